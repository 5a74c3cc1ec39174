"""Tests of `benchmarks.contenders`, `benchmarks.rounds` and `benchmarks.results`."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time

import numpy as np
from absl.testing import absltest

from benchmarks import results, rounds
from benchmarks.contenders import Contender, ContenderError
from pix2pix_tf.errors import InputError

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
        with Contender(**fake("steady", seconds=[1.0, 2.0, 4.0])) as contender:
            contender.wait_until_ready()
            self.assertNotEqual(contender.facts["pid"], 0)
            self.assertGreater(contender.seconds_to_ready, 0)
            contender.ask(2)
            self.assertEqual(contender.answer(), [2.0, 4.0])  # The first was before ready.
            contender.ask(3)
            self.assertEqual(contender.answer(), [1.0, 2.0, 4.0])
            # Of a Python process without libraries: in bytes, not in kilobytes.
            self.assertBetween(contender.peak_resident_bytes, 4e6, 4e9)

    def test_what_it_prints_is_no_answer(self):
        with Contender(**fake("chatty")) as contender:
            contender.wait_until_ready().ask(1)
            self.assertEqual(contender.answer(), [2.0])

    def test_death_in_a_turn(self):
        with Contender(**fake("dying")) as contender:
            contender.wait_until_ready()
            contender.ask(1)
            with self.assertRaisesRegex(ContenderError, "status 9: out of luck"):
                contender.answer()
            with self.assertRaises(ContenderError):
                contender.ask(1)
                contender.answer()

    def test_does_not_wait_for_ever(self):
        started = time.monotonic()
        with self.assertRaisesRegex(ContenderError, "No answer in 1 second"):
            with Contender(**dict(fake("silent"), timeout_seconds=0.6)) as contender:
                contender.wait_until_ready()
        self.assertLess(time.monotonic() - started, 40)

    def test_interpreter_that_is_not_there(self):
        with self.assertRaisesRegex(ContenderError, "'/no/python' cannot be started"):
            Contender(**dict(fake("steady"), python="/no/python"))


class RoundsTest(absltest.TestCase):
    def test_summary(self):
        summary = rounds.summarize([5.0, 1.0, 2.0, 30.0, 4.0])
        self.assertEqual(summary["median"], 4.0)
        self.assertEqual((summary["p25"], summary["p75"]), (2.0, 5.0))
        self.assertEqual((summary["minimum"], summary["maximum"]), (1.0, 30.0))
        self.assertAlmostEqual(summary["p95"], 25.0)
        self.assertEqual(summary["count"], 5)
        self.assertEqual(rounds.summarize([1.0, 2.0])["median"], 1.5)

    def test_turns_alternate_and_nothing_overlaps(self):
        path = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory())) / "log"
        members = [fake("noting", name=x, path=str(path), letter=x) for x in "ab"]
        rounds.alternate(members, num_rounds=2, count=2, num_warmup=1)
        turns = [("a", 1), ("b", 1), ("a", 3), ("b", 3), ("b", 3), ("a", 3)]
        self.assertEqual(
            path.read_text(encoding="utf-8").splitlines(),
            [f"{x} {text} {count}" for x, count in turns for text in ("starts", "stops")],
        )

    def test_the_warm_up_of_a_turn_does_not_count(self):
        (result,) = rounds.alternate(
            [fake("steady", seconds=[9.0, 1.0, 3.0])], num_rounds=2, count=2, num_warmup=1
        )
        # 9 is the first work of all, then turns of 1 3 9 and 1 3 9, without their first.
        self.assertEqual(result["seconds"]["count"], 4)
        self.assertEqual(result["seconds"]["median"], 6.0)
        self.assertEqual(result["seconds"]["minimum"], 3.0)

    def test_a_failure_is_reported_and_the_others_go_on(self):
        found = rounds.alternate(
            [fake("unable"), fake("dying"), fake("steady", seconds=[2.0])], num_rounds=2, count=1
        )
        self.assertEqual([result["name"] for result in found], ["unable", "dying", "steady"])
        self.assertIn("no such layer", found[0]["error"])
        self.assertIn("out of luck", found[1]["error"])
        self.assertEqual(found[2]["seconds"]["median"], 2.0)
        self.assertEqual(found[2]["settings"], dict(seconds=[2.0]))
        json.dumps(found, allow_nan=False)


class ResultsTest(absltest.TestCase):
    def test_table(self):
        self.assertEqual(
            results.markdown_table(["a|b", "n"], [["x", "1.25"], ["longer", "-"]]),
            "| a\\|b   |    n |\n| ------ | ---: |\n| x      | 1.25 |\n| longer |    - |",
        )

    def test_json(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        results.write(dict(a=[1.5, None]), str(folder / "a.json"))
        self.assertEqual(json.loads((folder / "a.json").read_text()), dict(a=[1.5, None]))
        results.write(dict(a=1), "")
        with self.assertRaisesRegex(InputError, "a.json"):
            results.write(dict(a=1), str(folder / "none" / "a.json"))
        with self.assertRaises(ValueError):
            results.write(dict(a=np.nan), str(folder / "b.json"))
