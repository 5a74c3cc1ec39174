"""Tests of `python -m pix2pix_tf.train`, of the flags behind it, and of a run resumed."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import types
from unittest import mock

import command_line
import numpy as np
import test_config
import tiny_training
from absl.testing import absltest, parameterized

from pix2pix_tf import commands, run_folder, train
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import NonFiniteLossError
from pix2pix_tf.training import loop, reports

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_TIMEOUT_SECONDS = 240


def start(*arguments: str) -> subprocess.Popen:
    """Starts the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pix2pix_tf.train", *arguments],
        cwd=_REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> command_line.Result:
    try:
        stdout, stderr = process.communicate(timeout=_TIMEOUT_SECONDS)
    finally:
        process.kill()
    return command_line.Result(process.returncode, stdout, stderr)


def parse(*arguments: str) -> dict:
    """Returns the configuration that flags describe."""
    found = []
    module = types.SimpleNamespace(
        __name__="command",
        define_flags=lambda: commands.define_flags(TrainConfig),
        main=lambda unused: found.append(commands.config_from_flags(TrainConfig)),
    )
    command_line.run(module, *arguments)
    return dataclasses.asdict(*found)


class FlagsTest(absltest.TestCase):
    def test_the_defaults_of_the_flags_are_those_of_the_configuration(self):
        self.assertEqual(parse(), dataclasses.asdict(TrainConfig()))

    def test_every_flag_reaches_its_field(self):
        wanted = test_config.TOGETHER  # color_space is tested with the presets.
        self.assertEqual(parse(*(f"--{name}={value}" for name, value in wanted.items())), wanted)


class CommandTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.workdir = self.folder / "run"

    def assert_one_line(self, result, expected):
        """Asserts exit status 2 and one line on stderr."""
        result.check_refused()
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, expected)
        self.assertFalse((self.workdir / "config.json").exists())

    @parameterized.named_parameters(
        ("value", ["--crop_size=33"], "crop_size is 33"),
        ("together", ["--gan_loss=none", "--lambda_l1=0"], "lambda_l1"),
        ("batch", ["--batch_size=3", "--accumulate=2"], "accumulate is 2.* 3"),
        ("no_flag", ["--crop_size=32", "seed=5"], "'seed=5'"),
        ("unknown", ["--crop_sise=64"], "crop_sise"),
        ("not_a_choice", ["--norm=layer"], "batch|instance|none"),
        ("not_a_number", ["--num_steps=many"], "num_steps"),
        ("no_workdir", ["--workdir="], "workdir"),
    )
    def test_a_wrong_setting_is_one_line(self, arguments, expected):
        self.assert_one_line(
            command_line.run(train, f"--workdir={self.workdir}", *arguments), expected
        )

    def test_a_run_goes_on_with_its_own_settings_where_none_are_given(self):
        saved = TrainConfig(crop_size=32, lambda_l1=7.0, mirror=False, num_steps=9)
        with mock.patch.object(loop, "train") as started:
            result = command_line.run(train, f"--workdir={self.workdir}")  # There is no such run.
            self.assertEqual(started.call_args.args[0], TrainConfig())
            self.assertEqual(result.stdout, "")
            self.workdir.mkdir()
            saved.save(self.workdir)
            result = command_line.run(train, f"--workdir={self.workdir}")
            self.assertEqual(started.call_args.args[0], saved)
            self.assertIn("not given are those of", result.stdout)
            command_line.run(train, f"--workdir={self.workdir}", "--mirror", "--num_steps=80000")
            expected = dataclasses.replace(saved, mirror=True, num_steps=80_000)
            self.assertEqual(started.call_args.args[0], expected)

    def test_help_names_every_flag_with_its_text(self):
        result = finish(start("--help"))
        text = " ".join((result.stdout + result.stderr).split())
        self.assertIn("--workdir: ", text)
        for field in dataclasses.fields(TrainConfig):
            prefix = "--[no]" if isinstance(field.default, bool) else "--"
            beginning = " ".join(field.metadata["help"].split()[:4])
            self.assertRegex(
                text, rf"{re.escape(prefix)}{field.name}: (<\S+>: )?{re.escape(beginning)}"
            )

    def test_a_loss_that_is_not_finite_is_one_line_and_exit_status_3(self):
        fault = NonFiniteLossError("A loss was not finite at step 7.")
        with mock.patch.object(loop, "train", side_effect=fault) as started:
            result = command_line.run(train, f"--workdir={self.workdir}", "--num_steps=9")
        started.assert_called_once_with(TrainConfig(num_steps=9), self.workdir)
        self.assertEqual(
            (result.exit_code, result.stdout, result.stderr),
            (3, "", "error: A loss was not finite at step 7.\n"),
        )


class ResumedRunTest(absltest.TestCase):
    def test_a_run_stopped_by_a_signal_ends_as_one_that_was_not(self):
        """With the real networks, and in a process of the command's own until the signal."""
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        data = tiny_training.write_pairs(folder / "data", train=5, val=2)
        stopped, straight = folder / "stopped", folder / "straight"
        settings = dict(
            tiny_training.SETTINGS,
            dataset=data,
            norm="none",
            num_samples=1,
            log_every=1,
        )
        flags = [f"--{name}={value}" for name, value in settings.items()]
        result = self.stop_by_sigterm(
            start(f"--workdir={stopped}", "--num_steps=1000000", *flags), stopped
        )
        self.assertEqual(result.exit_code, 0, result.stderr)
        pattern = r"^Stopped by SIGTERM after step (\d+); everything is saved\."
        step = int(re.search(pattern, result.stdout, re.MULTILINE).group(1))

        num_steps = step + 4
        self.enter_context(mock.patch.object(reports, "plot_losses"))  # Takes a second.
        # The one that goes on has all but the number of steps in its folder.
        result = command_line.run(train, f"--workdir={stopped}", f"--num_steps={num_steps}")
        self.assertIn(f"after step {step}.", result.stdout)
        command_line.run(train, f"--workdir={straight}", f"--num_steps={num_steps}", *flags)
        found, expected = map(tiny_training.saved_variables, (stopped, straight))
        self.assertEqual(len(found), len(expected))
        for value, wanted in zip(found, expected):
            np.testing.assert_array_equal(value, wanted)
        picture = f"samples/step_{num_steps:08d}.png"
        self.assertEqual((stopped / picture).read_bytes(), (straight / picture).read_bytes())
        metrics = [
            [{**record, "images_per_second": 0.0} for record in run_folder.read_metrics(run)]
            for run in (stopped, straight)
        ]
        self.assertEqual([x["step"] for x in metrics[1]], list(range(1, num_steps + 1)))
        self.assertEqual(metrics[0], metrics[1])

    def stop_by_sigterm(self, process, workdir: pathlib.Path) -> command_line.Result:
        """Sends the signal once four steps are logged, and returns what the process left."""
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if len(run_folder.read_metrics(workdir)) >= 4:
                process.send_signal(signal.SIGTERM)
                break
            time.sleep(0.01)
        return finish(process)


class LostWorkerTest(absltest.TestCase):
    def test_says_what_to_do_and_ends_with_a_status_of_its_own(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        lost = loop.WorkerLostError("Another worker is gone (why).")
        with mock.patch.object(loop, "train", side_effect=lost):
            result = command_line.run(train, f"--workdir={folder}")
        self.assertEqual(result.exit_code, commands.EXIT_WORKER_LOST)
        self.assertIn("error: Another worker is gone (why). Start all workers", result.stderr)
