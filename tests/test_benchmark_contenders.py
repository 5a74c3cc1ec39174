"""Tests of `benchmarks.contenders`, `benchmarks.rounds` and `benchmarks.results`."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time
from unittest import mock

import benchmark_fakes
import numpy as np
from absl.testing import absltest

from benchmarks import results, rounds
from benchmarks.contenders import Contender, ContenderError

_FOLDER = str(pathlib.Path(__file__).parent)


def fake(function: str, *, name: str = "", **settings) -> dict:
    """Returns arguments of a `Contender` of `benchmark_fakes`."""
    return dict(
        name=name or function,
        python=sys.executable,
        make=f"benchmark_fakes:{function}",
        settings=settings,
        environment=dict(PYTHONPATH=_FOLDER),
        timeout_seconds=60.0,
    )


class ContenderTest(absltest.TestCase):
    def test_works_in_a_process_of_its_own_when_asked(self):
        contender = Contender(**fake("steady", seconds=[1.0, 2.0, 4.0]))
        self.addCleanup(contender.close)
        contender.wait_until_ready()
        self.assertGreater(contender.seconds_to_ready, 0)
        self.assertEqual(contender.work(2), [2.0, 4.0])  # The first was before ready.
        self.assertEqual(contender.work(3), [1.0, 2.0, 4.0])
        # Of a Python process without libraries: in bytes, not in kilobytes.
        self.assertBetween(contender.peak_resident_bytes, 4e6, 4e9)

    def test_does_not_wait_for_ever(self):
        started = time.monotonic()
        contender = Contender(**dict(fake("silent"), timeout_seconds=0.6))
        self.addCleanup(contender.close)
        with self.assertRaisesRegex(ContenderError, "No answer in 1 second"):
            contender.wait_until_ready()
        self.assertLess(time.monotonic() - started, 40)


class RoundsTest(absltest.TestCase):
    def test_turns_alternate(self):
        members = [fake("steady", name=name, seconds=[1.0]) for name in "ab"]
        with (
            mock.patch.object(rounds, "Contender", benchmark_fakes.InProcess),
            mock.patch.object(benchmark_fakes.InProcess, "log", []) as log,
        ):
            rounds.alternate(members, num_rounds=2, count=2, num_warmup=1)
        turns = [("a", 1), ("b", 1), ("a", 3), ("b", 3), ("b", 3), ("a", 3)]
        self.assertEqual(log, turns)

    def test_the_warm_up_of_a_turn_does_not_count(self):
        (result,) = rounds.alternate(
            [fake("steady", seconds=[9.0, 1.0, 3.0])], num_rounds=2, count=2, num_warmup=1
        )
        # 9 is the first work of all, then turns of 1 3 9 and 1 3 9, without their first.
        expected = dict(count=4, median=6.0, p25=3.0, p75=9.0, p95=9.0)
        self.assertEqual(result["seconds"], expected)

    def test_a_failure_is_reported_and_the_others_go_on(self):
        found = rounds.alternate(
            [fake("unable"), fake("dying"), fake("steady", seconds=[2.0])], num_rounds=2, count=1
        )
        self.assertEqual([result["name"] for result in found], ["unable", "dying", "steady"])
        self.assertIn("ValueError: no such layer", found[0]["error"])
        self.assertIn("status 9: out of luck", found[1]["error"])
        self.assertEqual(found[2]["seconds"]["median"], 2.0)
        self.assertEqual(found[2]["settings"], dict(seconds=[2.0]))


class ResultsTest(absltest.TestCase):
    def test_json(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        values = dict(a=[1.5, None, (True, 'x"')], b={}, c=["long" * 40] * 9, d=1.23456)
        results.write(values, str(folder / "a.json"))
        text = (folder / "a.json").read_text()
        self.assertEqual(json.loads(text), dict(values, a=[1.5, None, [True, 'x"']], d=1.235))
        self.assertLen(text.splitlines(), 16)
        results.write(dict(a=1), "")
        with self.assertRaises(ValueError):
            results.write(dict(a=np.nan), str(folder / "b.json"))
