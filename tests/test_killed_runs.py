"""Tests that a run survives SIGKILL: a few real kills. `make robustness` has twenty."""

from __future__ import annotations

import pathlib
import tempfile

import killed_runs
import pytest
from absl.testing import absltest


@pytest.mark.slow  # Each process takes as long to start as it takes to be killed.
class KilledRunTest(absltest.TestCase):
    def test_it_ends_as_a_run_that_was_left_alone(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        report = killed_runs.check(folder, kills=3, seed=1)
        print(report)
        self.assertEmpty(report.lost, str(report))
        self.assertEqual(sum(report.kills.values()), 3)
        # One came while a checkpoint was written: its folder was left unfinished.
        self.assertTrue(any(place.startswith("in a checkpoint") for place in report.kills), report)
