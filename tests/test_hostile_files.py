"""Tests that hostile files end nothing, and hide nothing: the whole corpus of `hostile_files`."""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from unittest import mock

import hostile_files
import hostile_runs
import tiny_runs
from absl.testing import absltest


class HostileFilesTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.report = hostile_runs.check(cls.folder, seed=0)
        print(cls.report)

    def test_nothing_is_lost(self):
        self.assertEmpty(self.report.lost, str(self.report))

    def test_there_are_many_and_of_all_kinds(self):
        self.assertGreater(sum(self.report.files.values()), 300)
        self.assertLen(self.report.files, 13)
        # Some of the damaged files can still be read, and most cannot.
        flipped = self.report.read["bits flipped", "train"]
        self.assertBetween(flipped, 1, self.report.files["bits flipped"] / 2)

    def test_all_good_files_are_read(self):
        for kind in ("good", "odd name, good"):
            for way in ("train", "translate"):
                self.assertEqual(self.report.read[kind, way], self.report.files[kind], (kind, way))

    def test_memory_is_measured(self):
        # The largest picture takes a gigabyte: less would mean that it was not looked at.
        megabytes, where = self.report.megabytes
        self.assertGreater(megabytes, 500)
        self.assertIn("largest", where)


class JudgingTest(absltest.TestCase):
    """That the check can fail: outcomes that have to be noted."""

    def judge(self, outcome: str | None, **changes) -> list[str]:
        file = hostile_files.HostileFile("a.png", "truncated", None)
        file = dataclasses.replace(file, **changes)
        report = hostile_runs.Report(collections.Counter())
        hostile_runs._judge(file, "train", outcome, pathlib.Path("/folder"), report)
        return report.lost

    def test_what_is_as_it_should_be(self):
        self.assertEmpty(self.judge("read"))
        self.assertEmpty(self.judge("refused: '/folder/data/train/a.png' is damaged"))

    def test_one_line_a_file(self):
        for name, shown, is_right in (
            ("two\nlines.png", r"two\nlines.png", True),
            ("two\nlines.png", "two\nlines.png", False),
            ("a.png", "a.png' is damaged\nseverely", False),
        ):
            lost = self.judge(f"refused: '/folder/data/train/{shown}' is damaged", name=name)
            self.assertEqual(not lost, is_right, lost)

    def test_what_is_lost(self):
        self.assertLen(self.judge(None), 1)
        self.assertLen(self.judge("KeyError: 7"), 1)
        self.assertLen(self.judge("refused: some file is damaged"), 1)
        self.assertLen(self.judge("read", is_good=False), 1)
        self.assertLen(self.judge("refused: '/folder/data/train/a.png' is odd", is_good=True), 1)

    def test_a_process_that_dies_or_hangs(self):
        for code, expected in (
            ("import os; os.abort()", "status -6"),
            ("import time; time.sleep(60)", "hung"),
        ):
            with self.subTest(code):
                report = hostile_runs.Report(collections.Counter())
                self.assertIn(expected, self.run_worker(code, report))

    def run_worker(self, code: str, report: hostile_runs.Report) -> str:
        """Returns what is noted of a worker that does as the code says over the second file."""
        folder = tiny_runs.temporary_folder(self)
        script = folder / "worker.py"
        script.write_text('print(\'{"doing": "translate", "index": 1}\', flush=True)\n' + code)
        files = [hostile_files.HostileFile(name, "bomb", False) for name in ("a", "b", "c")]
        with (
            mock.patch.object(hostile_runs, "__file__", str(script)),
            mock.patch.object(hostile_runs, "SECONDS_PER_FILE", 1),
        ):
            start = hostile_runs._run_worker(folder, files, 0, report, {})
        self.assertEqual(start, 2)  # The next one goes on behind that file.
        (lost,) = report.lost
        self.assertStartsWith(lost, "translate of 'b': the process ")
        return lost


if __name__ == "__main__":
    absltest.main()
