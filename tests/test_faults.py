"""Tests of whole runs on disks that are full, read-only or gone."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import tempfile
from unittest import mock

import command_line
import file_faults
import numpy as np
import tiny_runs
import tiny_training
from absl.testing import parameterized
from matplotlib.figure import Figure
from refusals import refused

from pix2pix_tf import files, run_folder, train
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import WriteError
from pix2pix_tf.training import loop, reports

_STEPS = 6


class RunTest(parameterized.TestCase):
    """Disturbs runs, and compares their ends with that of one that was left alone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enter_context(tiny_training.stub_networks())
        root = pathlib.Path(cls.enter_context(tempfile.TemporaryDirectory()))
        cls.data = tiny_training.write_pairs(root / "data", train=3, val=1)
        cls.undisturbed = root / "undisturbed"
        result = cls.train(cls.undisturbed)
        if result.exit_code:
            raise AssertionError(result.stderr)

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.workdir = self.folder / "run"

    @classmethod
    def train(cls, workdir: pathlib.Path, *, before_step=None) -> command_line.Result:
        """Trains in this process as the command does; `before_step` is called with each number."""
        settings = dict(
            tiny_training.SETTINGS,
            dataset=cls.data,
            workdir=workdir,
            num_samples=1,
            num_steps=_STEPS,
            log_every=1,
            checkpoint_every=2,
            sample_every=2,
        )
        make_train_step = loop.make_train_step

        def make_watched_step(state, *arguments):
            train_step = make_train_step(state, *arguments)

            def step(batch):
                if before_step:
                    before_step(int(state.step) + 1)
                return train_step(batch)

            return step

        flags = [f"--{name}={value}" for name, value in settings.items()]
        with mock.patch.object(loop, "make_train_step", make_watched_step):
            with mock.patch.object(reports, "plot_losses"):  # Takes a second.
                return command_line.run(train, *flags)

    def assert_one_line(self, result: command_line.Result, pattern: str) -> None:
        result.check_refused()
        self.assertRegex(result.stderr, pattern)

    def assert_is_as_undisturbed(self) -> None:
        found, expected = (
            tiny_training.saved_variables(self.workdir),
            tiny_training.saved_variables(self.undisturbed),
        )
        self.assertNotEmpty(expected)
        self.assertEqual(len(found), len(expected))
        for one, other in zip(found, expected):
            np.testing.assert_array_equal(one, other)

    def assert_goes_on_to_the_same_end(self) -> None:
        result = self.train(self.workdir)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertIn("after step 4.", result.stdout)
        self.assert_is_as_undisturbed()
        steps = [record["step"] for record in run_folder.read_metrics(self.workdir)]
        self.assertEqual(steps, list(range(1, _STEPS + 1)))

    def test_a_limit_on_the_size_of_files(self):
        limit = self.enter_context(file_faults.changing_limit())

        def reach_limit(step):
            if step == 5:
                limit(200)  # Of a line of metrics, there is room for a part.

        result = self.train(self.workdir, before_step=reach_limit)
        limit(None)
        self.assert_one_line(result, r"metrics\.jsonl' .*File too large")
        self.assert_goes_on_to_the_same_end()

    def test_a_second_run_is_refused_and_changes_nothing(self):
        shutil.copytree(self.undisturbed, self.workdir)
        with files.locked(self.workdir / loop.LOCK_FILE, refusal="mine"):
            before = tiny_training.read_folder(self.workdir)
            with mock.patch.object(loop, "TrainState", side_effect=AssertionError):
                result = self.train(self.workdir)
            self.assert_one_line(result, rf"'{self.workdir}' is being trained in by another")
            self.assertEqual(tiny_training.read_folder(self.workdir), before)


def write_sample(workdir: pathlib.Path, value: float) -> None:
    reports.write_sample_grid(workdir, 1, np.full([8, 8, 3], int(value), np.uint8))


def draw_losses(workdir: pathlib.Path, value: float) -> None:
    """Draws them for nobody to look at: test_reports.py does."""
    records = [dict(step=1, l1_loss=value)]
    with (
        mock.patch.object(Figure, "savefig", lambda *to, **unused: to[1].write(b"%f" % value)),
        mock.patch.object(reports, "read_metrics", return_value=records),
    ):
        reports.plot_losses(workdir, gan_loss="none")


class ReportsTest(parameterized.TestCase):
    """Each file that a run writes, where there is no room for it."""

    @parameterized.parameters(
        ("config.json", lambda workdir, value: TrainConfig(lambda_l1=value).save(workdir)),
        ("losses.png", draw_losses),
        (
            "index.html",
            lambda workdir, value: reports.write_page(workdir, TrainConfig(lambda_l1=value)),
        ),
        ("samples/step_00000001.png", write_sample),
    )
    def test_the_old_file_stays_and_one_line_names_it(self, name, write):
        workdir = tiny_runs.temporary_folder(self)
        path = workdir / name
        write(workdir, 1.0)
        before = path.read_bytes()
        fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch.object(os, "replace", side_effect=fault):
            with refused(f"'{path}'", "No space left on device", kind=WriteError):
                write(workdir, 2.0)
        self.assertEqual(path.read_bytes(), before)
        self.assertLen(list(path.parent.iterdir()), 1)
        write(workdir, 2.0)
        self.assertNotEqual(path.read_bytes(), before)
