"""Tests that hostile files end nothing, and hide nothing; the corpus is that of `hostile_files`."""

from __future__ import annotations

import os
from unittest import mock

import hostile_files
import hostile_runs
import pytest
import tiny_runs
from absl.testing import absltest


class SomeOfEachKindTest(absltest.TestCase):
    def test_nothing_is_lost(self):
        folder = tiny_runs.temporary_folder(self)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)  # Where what is hostile would leave its mark.
        report = hostile_runs.check_few(folder, seed=0, num_each=3)
        self.assertEmpty(report.lost, str(report))
        self.assertLen(report.files, 12)
        for way in ("train", "translate"):
            for kind in ("good", "odd name, good"):
                self.assertEqual(report.read[kind, way], report.files[kind], (kind, way))


@pytest.mark.slow
class WholeCorpusTest(absltest.TestCase):
    def test_nothing_is_lost(self):
        report = hostile_runs.check(tiny_runs.temporary_folder(self), seed=0)
        print(report)
        self.assertEmpty(report.lost, str(report))
        self.assertGreater(sum(report.files.values()), 300)
        self.assertLen(report.files, 13)
        # Some of the damaged files can still be read, and most cannot.
        flipped = report.read["bits flipped", "train"]
        self.assertBetween(flipped, 1, report.files["bits flipped"] / 2)
        # The largest picture takes a gigabyte: less would mean that it was not looked at.
        megabytes, where = report.megabytes
        self.assertGreater(megabytes, 500)
        self.assertIn("largest", where)


class WorkerTest(absltest.TestCase):
    def test_a_process_that_dies_or_hangs_is_noted(self):
        folder = tiny_runs.temporary_folder(self)
        script = folder / "worker.py"
        files = [hostile_files.HostileFile(name, "bomb", False) for name in ("a", "b", "c")]
        for code, expected in (
            ("import os; os.abort()", "status -6"),
            ("import time; time.sleep(60)", "hung"),
        ):
            said = 'print(\'{"doing": "translate", "index": 1}\', flush=True)\n'
            script.write_text(said + code)
            trial = hostile_runs._Trial(folder, files)
            with mock.patch.object(hostile_runs, "__file__", str(script)):
                with mock.patch.object(hostile_runs, "SECONDS_PER_FILE", 1):
                    start = hostile_runs._run_worker(trial, 0)
            self.assertEqual(start, 2)  # The next one goes on behind that file.
            (lost,) = trial.report.lost
            self.assertRegex(lost, f"translate of 'b': .*{expected}")
