"""Tests that hostile files end nothing, and hide nothing; the corpus is that of `hostile_files`."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

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
        """In a process of its own, whose memory is not that of other tests."""
        script = pathlib.Path(hostile_runs.__file__)
        result = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": str(script.parent.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        print(result.stdout)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr[-2000:])
        self.assertGreater(int(re.search(r"hostile files: (\d+)", result.stdout)[1]), 300)
        # The largest picture takes a gigabyte: less would mean that it was not looked at.
        megabytes = re.search(r"at most (\d+) MB, in .*largest", result.stdout)[1]
        self.assertGreater(int(megabytes), 500)
