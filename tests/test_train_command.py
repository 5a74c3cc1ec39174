"""Tests of `python -m pix2pix_tf.train` and of the flags behind it, in processes of their own."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from unittest import mock

import command_line
import h5py
import numpy as np
import tiny_training
from absl.testing import absltest, parameterized

from pix2pix_tf import commands, train
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.training import loop

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_COMMAND = [sys.executable, "-m", "pix2pix_tf.train"]
_TIMEOUT_SECONDS = 240


def start(*arguments: str, command=_COMMAND) -> subprocess.Popen:
    return subprocess.Popen(
        [*command, *arguments],
        cwd=_REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> subprocess.CompletedProcess:
    try:
        stdout, stderr = process.communicate(timeout=_TIMEOUT_SECONDS)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def run(*arguments: str, command=_COMMAND) -> subprocess.CompletedProcess:
    return finish(start(*arguments, command=command))


# Prints the configuration that the flags describe; TensorFlow is not imported.
_SHOW_CONFIG = """
import dataclasses, json, sys
from pix2pix_tf import commands
from pix2pix_tf.config import TrainConfig

def show(unused):
    assert "tensorflow" not in sys.modules
    print(json.dumps(dataclasses.asdict(commands.config_from_flags(TrainConfig))))

commands.define_flags(TrainConfig)
commands.run(show)
"""


def parse(*arguments: str) -> subprocess.CompletedProcess:
    return run(*arguments, command=[sys.executable, "-c", _SHOW_CONFIG])


def is_property(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(decorator, ast.Name) and decorator.id == "property"
        for decorator in node.decorator_list
    )


class FlagsTest(absltest.TestCase):
    def test_the_defaults_of_the_flags_are_those_of_the_configuration(self):
        result = parse()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout), dataclasses.asdict(TrainConfig()))

    def test_every_flag_reaches_its_field(self):
        # Another value than the default, for each field, that goes with the others.
        wanted = dict(
            dataset="x",
            data_dir="y",
            num_steps=100,
            decay_steps=7,
            load_size=300,
            crop_height=256,
            crop_width=384,
            color_space="rgb",  # Tested with the presets; lab has channels and ranges of its own.
            input_range="0,1",
            output_range="0,4095",
            profile_steps="2-3",
        )
        for field in dataclasses.fields(TrainConfig):
            if field.name in wanted:
                continue
            if isinstance(field.default, bool):
                wanted[field.name] = not field.default
            elif field.metadata["choices"]:
                wanted[field.name] = [x for x in field.metadata["choices"] if x != field.default][0]
            elif field.name == "crop_size":
                wanted[field.name] = 128
            elif isinstance(field.default, int):
                wanted[field.name] = field.default + 1
            else:
                wanted[field.name] = field.default / 2 + 0.125
        expected = dataclasses.asdict(TrainConfig(**wanted))
        self.assertEqual(expected, wanted)
        result = parse(*(f"--{name}={value}" for name, value in wanted.items()))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout), wanted)

    def test_every_field_is_read_somewhere(self):
        read = set()
        for path in (_REPOSITORY / "pix2pix_tf").rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            owner, parts = "config", [tree]
            if path.name == "config.py":  # Some are read through a property, such as crop_shape.
                owner, parts = "self", [node for node in ast.walk(tree) if is_property(node)]
            for node in (node for part in parts for node in ast.walk(part)):
                if isinstance(node, ast.Attribute) and owner in ast.unparse(node.value):
                    read.add(node.attr)
        for field in dataclasses.fields(TrainConfig):
            self.assertIn(field.name, read)


class CommandTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.workdir = self.folder / "run"

    def assert_one_line(self, result, *parts):
        """Asserts exit status 2 and one line on stderr, which holds `parts`."""
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stdout, "")
        (line,) = result.stderr.splitlines()
        self.assertStartsWith(line, "error: ")
        for part in parts:
            self.assertIn(part, line)

    @parameterized.named_parameters(
        ("value", ["--crop_size=33"], "crop_size is 33"),
        ("range", ["--dropout=1.5"], "dropout is 1.5. Use a number from 0.0 to 0.95."),
        ("choice", ["--receptive_field=71"], "Use one of 1, 16, 34, 70"),
        ("together", ["--gan_loss=none", "--lambda_l1=0"], "no objective"),
    )
    def test_a_wrong_setting_is_one_line(self, arguments, expected):
        result = run(f"--workdir={self.workdir}", *arguments)
        self.assert_one_line(result, expected)
        self.assertFalse(self.workdir.exists())

    def test_an_argument_that_is_no_flag_is_refused(self):
        result = run(f"--workdir={self.workdir}", "--crop_size=32", "--num_steps=1", "seed=5")
        self.assert_one_line(result, "'seed=5' is no flag. Write settings as --name=value")
        self.assertFalse(self.workdir.exists())

    @parameterized.named_parameters(
        ("unknown", ["--workdir=x", "--crop_sise=64"], "crop_sise"),
        ("not_a_choice", ["--workdir=x", "--norm=layer"], "batch|instance|none"),
        ("not_a_number", ["--workdir=x", "--num_steps=many"], "num_steps"),
        ("no_workdir", [], "workdir"),
    )
    def test_a_flag_that_cannot_be_read_is_named(self, arguments, expected):
        self.assert_one_line(run(*arguments), expected)

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
        result = run("--help")
        text = " ".join((result.stdout + result.stderr).split())
        self.assertIn("--workdir: Run folder; made if it is not there.", text)
        for field in dataclasses.fields(TrainConfig):
            prefix = "--[no]" if isinstance(field.default, bool) else "--"
            self.assertIn(f"{prefix}{field.name}: ", text)
            beginning = " ".join(field.metadata["help"].split()[:4])
            self.assertIn(beginning, text)

    def test_a_loss_that_is_not_finite_is_one_line_and_exit_status_3(self):
        fault = loop.NonFiniteLossError("A loss was not finite at step 7.")
        with mock.patch.object(loop, "train", side_effect=fault) as started:
            result = command_line.run(train, f"--workdir={self.workdir}", "--num_steps=9")
        started.assert_called_once_with(TrainConfig(num_steps=9), self.workdir)
        self.assertEqual(
            (result.exit_code, result.stdout, result.stderr),
            (3, "", "error: A loss was not finite at step 7.\n"),
        )


def flags_of(workdir: pathlib.Path, data: pathlib.Path, **settings) -> list[str]:
    """Returns the flags of a tiny run."""
    merged = dict(
        tiny_training.SETTINGS,
        dataset=data,
        workdir=workdir,
        norm="none",
        deterministic=True,
        num_samples=1,
        **settings,
    )
    return [f"--{name}={value}" for name, value in merged.items()]


def read_weights(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of an HDF5 file by name."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.array(item)

    with h5py.File(path) as file:
        file.visititems(note)
    return found


class InterruptedRunTest(absltest.TestCase):
    """Stops a run twice by a signal at any moment, and compares it with one that was not."""

    def setUp(self):
        super().setUp()
        # A script that starts the tests in the background has them, and theirs, ignore it.
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, usual)
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.data = tiny_training.write_pairs(self.folder / "data", train=5, val=2)

    def run_until(self, step: int, number: signal.Signals, workdir: pathlib.Path):
        """Starts a run, sends a signal once `step` is logged, and returns the result."""
        process = start(*flags_of(workdir, self.data, num_steps=10**6, log_every=1))
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        metrics = workdir / "metrics.jsonl"
        while time.monotonic() < deadline and process.poll() is None:
            if metrics.is_file() and metrics.read_text(encoding="utf-8").count("\n") >= step:
                process.send_signal(number)
                break
            time.sleep(0.01)
        return finish(process)

    def assert_stopped(self, result, reason) -> int:
        """Asserts a clean end by a signal, and returns the step."""
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        pattern = rf"^Stopped by {reason} after step (\d+); everything is saved\."
        return int(re.search(pattern, result.stdout, re.MULTILINE).group(1))

    def test_a_run_stopped_by_signals_ends_as_one_that_was_not(self):
        stopped, straight = self.folder / "stopped", self.folder / "straight"
        first = self.assert_stopped(self.run_until(4, signal.SIGTERM, stopped), "SIGTERM")
        result = self.run_until(first + 3, signal.SIGINT, stopped)
        self.assertIn(f"after step {first}.", result.stdout)
        second = self.assert_stopped(result, "Ctrl-C")
        self.assertGreater(second, first)

        num_steps = second + 4
        processes = [  # The one that goes on has all but these settings in its folder.
            start(f"--workdir={stopped}", f"--num_steps={num_steps}"),
            start(*flags_of(straight, self.data, num_steps=num_steps, log_every=1)),
        ]
        for result in map(finish, processes):
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(f"Saved step {num_steps}: ", result.stdout)
        for network in ("generator", "discriminator"):
            name = f"{network}.weights.h5"
            found, expected = (read_weights(run / name) for run in (stopped, straight))
            self.assertNotEmpty(expected)
            self.assertCountEqual(found, expected)
            for key, value in expected.items():
                np.testing.assert_array_equal(found[key], value)
        picture = f"samples/step_{num_steps:08d}.png"
        self.assertEqual((stopped / picture).read_bytes(), (straight / picture).read_bytes())
        metrics = []
        for workdir in (stopped, straight):
            lines = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            records = [json.loads(line) for line in lines]
            self.assertEqual([x["step"] for x in records], list(range(1, num_steps + 1)))
            metrics.append([{**x, "images_per_second": 0.0} for x in records])
        self.assertEqual(metrics[0], metrics[1])

    def test_a_run_that_diverges_says_so(self):
        workdir = self.folder / "diverged"
        result = run(*flags_of(workdir, self.data, num_steps=50, learning_rate=1e30, log_every=1))
        self.assertEqual(result.returncode, 3)
        self.assertRegex(
            result.stderr.splitlines()[-1],
            r"^error: A (loss|weight) was not finite (at|after) step \d+\. The last checkpoint",
        )
        self.assertNotIn("Traceback", result.stderr)
        self.assertFalse((workdir / "checkpoints").exists())


class LostWorkerTest(absltest.TestCase):
    def test_starts_again_once_a_checkpoint(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        lost = loop.WorkerLostError("Another worker is gone (why).")
        parent = self.enter_context(tempfile.TemporaryDirectory())
        self.enter_context(mock.patch.object(tempfile, "tempdir", parent))
        left = []

        def replace_process(*unused):
            left.append(os.listdir(parent))

        with mock.patch.object(loop, "train", side_effect=lost):
            with mock.patch.object(train.os, "execv", side_effect=replace_process) as execv:
                with mock.patch.dict(train.os.environ):
                    first = command_line.run(train, f"--workdir={folder}")
                    restarts = execv.call_count
                with mock.patch.dict(train.os.environ, {train._RESTARTED_AT: "none"}):
                    second = command_line.run(train, f"--workdir={folder}")
        self.assertIn("Another worker is gone (why). This one starts again", first.stdout)
        self.assertEqual(restarts, 1)
        self.assertEqual(left, [[]])  # A process that is replaced comes to no end.
        # No checkpoint since: not for ever.
        self.assertEqual(execv.call_count, 1)
        self.assertEqual(second.exit_code, commands.EXIT_WORKER_LOST)
        self.assertIn("error: Another worker is gone (why). That was so before", second.stderr)

    def test_parts_that_do_not_divide_the_batch_are_refused(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        result = command_line.run(
            train, f"--workdir={folder}/run", "--dataset=demo", "--batch_size=3", "--accumulate=2"
        )
        self.assertEqual(result.exit_code, 2)
        self.assertIn("accumulate is 2, but a device's batch of 3", result.stderr)
