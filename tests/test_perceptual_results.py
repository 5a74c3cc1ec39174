"""Tests of `python -m pix2pix_tf.evaluation.perceptual_study results`."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from unittest import mock

import command_line
import numpy as np
import tiny_runs
from absl.testing import absltest, parameterized

from pix2pix_tf.evaluation.perceptual_study import protocol, results

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def make_session(identity: str = "a", fooled: int = 1, **changes) -> dict:
    """Returns a session of 2 practice trials, both fooled, and 4 that count."""
    is_fooled = [True, True] + [number < fooled for number in range(4)]
    session = dict(
        id=identity,
        study="0123456789abcdef",
        algorithm="L1",
        seed=3,
        pairing="same",
        exposure_ms=1000,
        num_practice=2,
        num_trials=4,
        complete=True,
        trials=[
            dict(
                practice=number < 2,
                pair=f"pair {number} \u00e9",
                real=f"pair {number} \u00e9",
                fake="first" if number % 2 else "second",
                answer="first" if fools == (number % 2 == 0) else "second",
                reaction_ms=100 * number,
                shown_ms=[1000, 1017],
                interruptions=0,
            )
            for number, fools in enumerate(is_fooled)
        ],
    )
    return dict(session, **changes)


def to_text(session, **changes) -> str:
    """Returns the file of a session, as the page writes it."""
    written = json.dumps(session, ensure_ascii=False, separators=(",", ":"))
    contents = dict(
        format=protocol.ANSWERS_FORMAT,
        version=protocol.VERSION,
        checksum=protocol.checksum(written),
        session=session,
    )
    return json.dumps(dict(contents, **changes), indent=1, ensure_ascii=False) + "\n"


class ResultsCommandTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def write(self, name: str, session=None, text: str | None = None) -> pathlib.Path:
        path = self.folder / name
        path.write_text(to_text(session or make_session()) if text is None else text, "utf-8")
        return path

    def run_command(self, *arguments) -> command_line.Result:
        return command_line.run(results, *map(str, arguments), takes_arguments=True)

    def count(self, *arguments) -> dict:
        """Returns what --json holds."""
        path = self.folder / "numbers" / "rates.json"
        result = self.run_command(*arguments, f"--json={path}")
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.output = result.stdout
        return json.loads(path.read_text("utf-8"))

    def refuse(self, *arguments) -> str:
        result = self.run_command(*arguments)
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertRegex(result.stderr, "^error: ")
        return result.stderr

    def test_rates_by_hand(self):
        # 1 and 3 of 4 fooled by L1, 0 of 4 by cGAN. Practice, which fooled all, is left out.
        self.write("a.json", make_session("a", 1))
        self.write("b.json", make_session("b", 3))
        self.write("c.json", make_session("c", 0, algorithm="cGAN"))
        found = self.count(self.folder)
        l1, cgan = found["algorithms"]
        self.assertEqual((cgan["algorithm"], l1["algorithm"]), ("cGAN", "L1"))
        keys = ("num_participants", "num_trials", "num_fooled", "rate")
        self.assertEqual([cgan[key] for key in keys], [1, 4, 0, 0.0])
        # None of n: up to 1 - 0.025^(1 / n). That 1 and 3 of 4 differ is the bootstrap's matter:
        # it draws both, one of them, or one of them twice, with 1/4, 1/2 and 1/4.
        np.testing.assert_allclose(cgan["interval"], [0.0, 1.0 - 0.025**0.25], atol=1e-12)
        self.assertEqual(cgan["interval_method"], results.EXACT)
        self.assertEqual(l1["interval"], [0.25, 0.75])
        self.assertEqual(l1["interval_method"], results.BOOTSTRAP)
        self.assertEqual([l1[key] for key in keys], [2, 8, 4, 0.5])
        self.assertEqual(l1["median_reaction_ms"], 350.0)  # Of 200, 300, 400, 500, twice.
        self.assertEqual((found["confidence"], found["num_files"]), (0.95, 3))
        self.assertRegex(self.output, r"L1 \(study 0123456789abcdef\): 50\.0 % .* 25\.0 to 75\.0 %")
        self.assertIn("2 participants, 8 trials.\n  With fewer than 20", self.output)

    def test_two_algorithms_are_compared(self):
        # L1: 1 and 3 of 4, 0.25 to 0.75; cGAN: none of 4, 0 to 0.602; both from 0.5 and 0.
        self.write("a.json", make_session("a", 1))
        self.write("b.json", make_session("b", 3))
        self.write("c.json", make_session("c", 0, algorithm="cGAN"))
        self.write("d.json", make_session("d", 1, algorithm="L2", study="fedcba9876543210"))
        (found,) = self.count(self.folder)["differences"]  # Of the same pictures only.
        self.assertEqual((found["algorithm"], found["less"]), ("L1", "cGAN"))
        self.assertEqual((found["study"], found["difference"]), ("0123456789abcdef", 0.5))
        high = 1.0 - 0.025**0.25
        np.testing.assert_allclose(found["interval"], [0.5 - np.hypot(0.25, high), 0.75])
        line = "L1 less cGAN (study 0123456789abcdef): +50.0 points, 95 % interval -15.2 to +75.0"
        self.assertIn(f"\n{line}: it may be chance.\n", self.output)

    def test_other_pictures_are_another_study(self):
        self.write("a.json", make_session("a", 1))
        self.write("b.json", make_session("b", 3, study="fedcba9876543210"))
        found = self.count(self.folder)["algorithms"]
        rates = [(one["algorithm"], one["study"], one["rate"]) for one in found]
        expected = [("L1", "0123456789abcdef", 0.25), ("L1", "fedcba9876543210", 0.75)]
        self.assertEqual(rates, expected)

    def test_the_same_session_twice_is_counted_once(self):
        self.write("a.json")
        self.write("b.json")
        found = self.count(self.folder)
        self.assertEqual(found["algorithms"][0]["num_participants"], 1)
        # Nor does it matter how often a file is named.
        self.assertEqual(self.count(self.folder, self.folder / "a.json"), found)
        self.write("b.json", make_session("a", 2))
        self.assertRegex(self.refuse(self.folder), "/a.json' and '.*/b.json'")

    def test_who_stopped_is_left_out(self):
        self.write("a.json", make_session("a", 2))
        trials = make_session()["trials"]
        stopped = self.write("b.json", make_session("b", complete=False, trials=trials[:3]))
        found = self.count(self.folder)
        self.assertEqual(found["algorithms"][0]["num_trials"], 4)
        self.assertEqual(found["left_out"], [str(stopped)])
        self.assertIn(f"Left out: '{stopped}'", self.output)
        self.assertIn("None of the 1 files", self.refuse(stopped))

    def test_pictures_that_were_shown_too_long_and_pairs_that_were_shown_again(self):
        session = make_session()
        for number, shown in ((0, [1500, 1000]), (3, [1000, 1101]), (4, [899, 1000])):
            session["trials"][number]["shown_ms"] = shown
        session["trials"][5]["shown_ms"] = [900, 1100]
        # The first is of the practice, which does not count.
        for number, interruptions in ((0, 1), (2, 1), (3, 1), (5, 7)):
            session["trials"][number]["interruptions"] = interruptions
        self.write("a.json", session)
        self.write("b.json", make_session("b", algorithm="cGAN"))
        found = self.count(self.folder)["algorithms"]
        keys = ("num_trials_off_time", "num_trials_shown_again")
        self.assertEqual([[one[key] for key in keys] for one in found], [[2, 3], [0, 0]])
        self.assertRegex(self.output, "2 trials .* 100 ms .* 3 with a pair shown again")

    @parameterized.parameters(
        ("", "Expecting value"),
        (to_text(make_session())[:-3], "Expecting"),
        ("[]", "list"),
        ("{}", "format"),
        ("[" * 100_000, "recursion"),
        (to_text(make_session(), version=2), "version 2"),
        (to_text(make_session(), checksum="00000000"), "changed"),
    )
    def test_refuses_what_is_not_a_file_of_answers(self, text, message):
        path = self.write("wrong.json", text=text)
        self.assertRegex(self.refuse(path), f"^error: '{path}' .*{message}.*\n$")

    def test_lists_all_files_that_are_wrong(self):
        self.write("a.json")
        self.write("b.json", text="{")
        (self.folder / "c.json").write_bytes(b"\x89PNG\xff")
        message = self.refuse(self.folder, self.folder / "d.json")
        self.assertIn("3 of 4 files", message)
        for name in "bcd":
            self.assertIn(f"/{name}.json'", message)
        self.assertIn("results *.json", self.refuse())

    def test_as_a_subcommand_without_tensorflow(self):
        self.write("a.json")
        options = ["-W", "error", "-X", "importtime", "-m"]
        command = [*options, "pix2pix_tf.evaluation.perceptual_study", "results", self.folder]
        process = subprocess.run(
            [sys.executable, *command], cwd=_REPOSITORY, capture_output=True, text=True
        )
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("25.0 %", process.stdout)
        self.assertNotIn("tensorflow", process.stderr)  # Which takes seconds to import.


class DifferenceTest(absltest.TestCase):
    def test_the_interval_holds_the_true_difference(self):
        """Of 20 participants each, whom 30 % and 20 % of 40 trials fool: in about 94 %."""
        random = np.random.default_rng(0)
        inside = 0
        self.enter_context(mock.patch.object(results, "NUM_RESAMPLES", 1000))
        for number in range(300):
            rates = []
            for true in (0.3, 0.2):
                fooled = random.binomial(40, true, 20)
                interval, _ = results.find_interval(fooled, [40] * 20, seed=number)
                one = dict(algorithm="", study="", rate=fooled.mean() / 40, interval=interval)
                rates.append(one)
            low, high = results._compare(*rates)["interval"]
            inside += low <= 0.1 <= high
        self.assertBetween(inside / 300, 0.9, 0.98)


class IntervalTest(parameterized.TestCase):
    def test_participants_are_drawn_whole(self):
        # All or nothing: a resample has 0, 1 or 2 of the two, with 1/4, 1/2 and 1/4. Trials
        # alone would give 31/80 to 49/80.
        self.assertEqual(results.find_interval([0, 40], [40, 40])[0], (0.0, 1.0))
        # Of 12 such, the number fooled is a binomial of 12 coins: 3 to 9.
        interval, _ = results.find_interval([0, 40] * 6, [40] * 12)
        self.assertEqual(interval, (3 / 12, 9 / 12))
        # The same coins, if they differ by 2 trials of 40: 2/40 * 3/12 above 19/40, and so on.
        interval, _ = results.find_interval([19, 21] * 6, [40] * 12)
        np.testing.assert_allclose(interval, [(19 + 2 * 3 / 12) / 40, (19 + 2 * 9 / 12) / 40])

    @parameterized.parameters(
        # By hand: none of n up to 1 - 0.025^(1 / n); one of one from 0.025.
        (0, 1, (0.0, 0.975)),
        (1, 1, (0.025, 1.0)),
        # 1 or more of 2 is 1 - (1 - p)^2, 2 of 2 is p^2.
        (1, 2, (1 - 0.975**0.5, 0.975**0.5)),
        # The quantiles of the beta distribution, by scipy.stats.beta.ppf.
        (8, 40, (0.0905224094, 0.3564780187)),
        (366, 2000, (0.1662781431, 0.2006564914)),
    )
    def test_exact_interval(self, num_fooled, num_trials, expected):
        interval = results.exact_interval(num_fooled, num_trials)
        np.testing.assert_allclose(interval, expected, atol=1e-9)
