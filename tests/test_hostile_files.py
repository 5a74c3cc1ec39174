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
    def test_a_process_that_dies_is_noted_with_what_it_died_over(self):
        folder = tiny_runs.temporary_folder(self)
        script = folder / "worker.py"
        said = 'print(\'{"doing": "translate", "name": "b"}\', flush=True)\n'
        script.write_text(f"{said}import os; os.abort()")
        with mock.patch.object(hostile_runs, "__file__", str(script)):
            with mock.patch.object(hostile_files, "write", return_value=[]):
                report = hostile_runs.check(folder, seed=0)
        self.assertEqual(report.lost[0], "translate of 'b': status -6")
