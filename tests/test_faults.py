"""Tests of whole runs on disks that are full, read-only or gone, with clocks that jump."""

from __future__ import annotations

import ast
import math
import os
import pathlib
import re
import shutil
import tempfile
import time
import types
from unittest import mock

import command_line
import file_faults
import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import absltest, parameterized

from pix2pix_tf import train
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import WriteError
from pix2pix_tf.training import locking, loop, progress, recorder, reports
from pix2pix_tf.training.checkpoints import list_checkpoints

_PACKAGE = pathlib.Path(loop.__file__).resolve().parent.parent
_STEPS = 6
# Prepare takes a result that is newer than what it was made from for done, as make does; a run
# of training never reads these times.
_MAY_ASK_WHICH_FILE_IS_NEWER = {"prepare/folders.py"}


def weights_of(run: pathlib.Path) -> list[np.ndarray]:
    """Returns the weights, optimizers and counters in the newest checkpoint of a run."""
    reader = tf.train.load_checkpoint(str(list_checkpoints(run)[-1] / "state"))
    names = sorted(reader.get_variable_to_shape_map())
    return [reader.get_tensor(name) for name in names if name.endswith("VARIABLE_VALUE")]


class RunTest(parameterized.TestCase):
    """Disturbs runs, and compares their ends with that of one that was left alone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.data = tiny_training.write_pairs(cls.root / "data", train=3, val=1)
        cls.undisturbed = cls.root / "undisturbed"
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
            norm="none",
            gan_loss="none",  # Which is compiled faster.
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

        with mock.patch.object(loop, "make_train_step", make_watched_step):
            flags = [f"--{name}={value}" for name, value in settings.items()]
            return command_line.run(train, *flags)

    def assert_one_line(self, result: command_line.Result, pattern: str) -> None:
        self.assertEqual(result.exit_code, 2)
        (line,) = result.stderr.splitlines()
        self.assertRegex(line, f"^error: .*{pattern}")

    def assert_goes_on_to_the_same_end(self) -> None:
        result = self.train(self.workdir)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertIn("after step 4.", result.stdout)
        found, expected = weights_of(self.workdir), weights_of(self.undisturbed)
        self.assertEqual(len(found), len(expected))
        for one, other in zip(found, expected):
            np.testing.assert_array_equal(one, other)
        steps = [record["step"] for record in reports.read_metrics(self.workdir)]
        self.assertEqual(steps, list(range(1, _STEPS + 1)))

    def test_a_disk_that_becomes_full(self):
        with file_faults.small_disk(self.folder, 8) as is_mounted:
            if not is_mounted:
                self.skipTest("This process may not mount a disk.")

            def fill(step):
                if step == 6:
                    file_faults.fill(self.folder, leave=100_000)

            result = self.train(self.workdir, before_step=fill)
            self.assert_one_line(result, r"step_00000006' cannot be written: No space left on")
            (self.folder / "filling").unlink()
            self.assert_goes_on_to_the_same_end()

    def test_a_limit_on_the_size_of_files(self):
        limit = self.enter_context(file_faults.changing_limit())

        def reach_limit(step):
            if step == 5:
                limit(200)  # Of a line of metrics, there is room for a part.

        result = self.train(self.workdir, before_step=reach_limit)
        limit(None)
        self.assert_one_line(result, r"metrics\.jsonl' cannot be written: File too large")
        self.assert_goes_on_to_the_same_end()

    def test_a_run_folder_that_vanishes(self):
        def take_away(step):
            if step == 3:
                shutil.rmtree(self.workdir)

        result = self.train(self.workdir, before_step=take_away)
        self.assert_one_line(result, "is no longer the folder that this run started in")
        self.assertFalse(self.workdir.exists())  # A disk may be missing there.

    def test_a_read_only_folder_is_refused_before_networks_are_built(self):
        self.workdir.mkdir()
        with file_faults.small_disk(self.workdir, 1, ",ro") as is_mounted:
            if not is_mounted:
                self.workdir.chmod(0o500)
                if os.access(self.workdir, os.W_OK):
                    self.skipTest("This process may write everywhere, but not mount a disk.")
            with mock.patch.object(loop, "TrainState", side_effect=AssertionError):
                result = self.train(self.workdir)
            self.assert_one_line(result, r"/run' cannot be written: .*[Mm]ake that")

    def test_a_folder_that_cannot_be_made_is_refused_before_data_are_read(self):
        (self.folder / "file").touch()
        with mock.patch.object(loop, "open_reader", side_effect=AssertionError):
            result = self.train(self.folder / "file" / "run")
        self.assert_one_line(result, "/file/run' cannot be made: a file is in its place")

    def test_a_second_run_is_refused_and_changes_nothing(self):
        shutil.copytree(self.undisturbed, self.workdir)
        with locking.RunLock(self.workdir):
            before = tiny_training.read_folder(self.workdir)
            with mock.patch.object(loop, "TrainState", side_effect=AssertionError):
                result = self.train(self.workdir)
            self.assert_one_line(result, rf"is being trained in by process {os.getpid()} on ")
            self.assertEqual(tiny_training.read_folder(self.workdir), before)

    def test_clocks_that_jump_and_stand_still(self):
        random = np.random.RandomState(0)
        jumping = mock.patch.object(time, "time", lambda: random.uniform(-1e9, 4e9))
        stopped = types.SimpleNamespace(monotonic=lambda: 7.0)
        with jumping, mock.patch.object(recorder, "time", stopped):
            with mock.patch.object(progress, "time", stopped):
                result = self.train(self.workdir)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        rates = [record["images_per_second"] for record in reports.read_metrics(self.workdir)]
        self.assertLen(rates, _STEPS)
        self.assertTrue(all(0 < rate < math.inf for rate in rates), rates)
        for one, other in zip(weights_of(self.workdir), weights_of(self.undisturbed)):
            np.testing.assert_array_equal(one, other)


class ClockTest(absltest.TestCase):
    def test_nothing_asks_for_the_time_of_day(self):
        # Of `time` only what never jumps, and no times of files.
        for path in _PACKAGE.rglob("*.py"):
            name = path.relative_to(_PACKAGE).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute):
                    text = ast.unparse(node)
                    self.assertNotRegex(text, r"^time\.(?!monotonic|perf_counter|sleep)", path)
                    self.assertNotRegex(text, r"datetime\.(now|today|utcnow)", path)
                    if name not in _MAY_ASK_WHICH_FILE_IS_NEWER:
                        self.assertNotRegex(text, r"st_[acm]time(_ns)?$|get[acm]time$", path)


class ReportsTest(parameterized.TestCase):
    """Each file that a run writes, where there is no room for it."""

    def setUp(self):
        super().setUp()
        self.workdir = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.config = TrainConfig()

    def write(self, name: str, value: float) -> None:
        if name == "config.json":
            TrainConfig(lambda_l1=value).save(self.workdir)
        elif name == "metrics.jsonl":
            log = reports.MetricsLog(self.workdir, step=0)
            log.write(dict(step=1, l1_loss=value))
        elif name == "losses.png":
            records = [dict(step=1, l1_loss=value), dict(step=2, l1_loss=0.0)]
            with mock.patch.object(reports, "read_metrics", return_value=records):
                reports.plot_losses(self.workdir, gan_loss="none")
        elif name == "index.html":
            reports.write_page(self.workdir, TrainConfig(lambda_l1=value))
        else:
            reports.write_sample_grid(self.workdir, 1, np.full([8, 8, 3], int(value), np.uint8))

    def error_of_writing(self, name: str, value: float) -> str | None:
        try:
            self.write(name, value)
        except WriteError as error:
            return str(error)
        return None

    def test_a_grid_that_cannot_be_removed_is_one_line(self):
        self.write("samples/step_00000001.png", 1.0)
        with file_faults.fail_at(1, self.workdir):
            with self.assertRaisesRegex(
                WriteError, r"step_00000001\.png' cannot be written: No sp"
            ):
                reports.remove_later_samples(self.workdir, step=0)
        reports.remove_later_samples(self.workdir, step=0)
        self.assertEmpty(list((self.workdir / "samples").iterdir()))

    @parameterized.parameters(
        "config.json", "metrics.jsonl", "losses.png", "index.html", "samples/step_00000001.png"
    )
    def test_the_old_file_stays_and_one_line_names_it(self, name):
        path = self.workdir / name
        self.write(name, 1.0)
        before = path.read_bytes()
        expected = rf"^'{re.escape(str(path))}' cannot be written: No space left on device\. Make"
        number = 0
        while True:
            number += 1
            with file_faults.fail_at(number, path.parent) as operations:
                error = self.error_of_writing(name, 2.0)
            if operations.count < number:
                break
            if error is None:  # A folder that is there need not be made.
                self.assertNotEqual(path.read_bytes(), before)
                self.write(name, 1.0)
            else:
                self.assertRegex(error, expected)
            if name != "metrics.jsonl":  # Which begins anew at step 0.
                self.assertEqual(path.read_bytes(), before)
            left = [other.name for other in path.parent.iterdir() if other.name[0] == "."]
            self.assertEmpty(left)
        self.assertGreater(number, 2)
        self.assertNotEqual(path.read_bytes(), before)


if __name__ == "__main__":
    absltest.main()
