"""Tests of `python -m benchmarks.ablation`: what is run, and what is claimed of it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time
from unittest import mock

import command_line
import tiny_runs
from absl.testing import absltest

from benchmarks.ablation import __main__ as command
from benchmarks.ablation import claims, grids, runs
from pix2pix_tf import commands
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import outputs, reference, runner
from pix2pix_tf.inference import translator
from pix2pix_tf.training import loop

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_TINY = dict(crop_size=32, base_filters=2, num_steps=2, precision="float32", checkpoint_every=2)


class GridsTest(absltest.TestCase):
    def test_grids_are_the_papers(self):
        self.assertEqual([len(variants) for variants in grids.GRIDS.values()], [5, 4, 4])
        settings = {name: variant.settings for name, variant in grids.VARIANTS.items()}
        self.assertEqual(settings["gan"], dict(conditional=False, lambda_l1=0.0))
        self.assertEqual(settings["cgan"], dict(lambda_l1=0.0))
        self.assertEqual(settings["l1"], dict(gan_loss="none"))
        self.assertEqual(settings["l1_gan"], dict(conditional=False))
        self.assertEqual(settings["l1_cgan"], {})  # The default is the full method.
        fields = [
            TrainConfig(**settings[x]).receptive_field for x in grids.GRIDS["receptive_fields"]
        ]
        self.assertEqual(fields, [1, 16, 70, 286])
        kinds = [TrainConfig(**settings[x]).generator for x in grids.GRIDS["generators"]]
        self.assertEqual(kinds, ["encoder_decoder", "encoder_decoder", "unet", "unet"])

    def test_a_configuration_that_grids_share_is_run_once(self):
        planned = grids.list_runs(list(grids.GRIDS), TrainConfig(), [3], pathlib.Path("out"))
        self.assertEqual(len(planned), 10)
        self.assertEqual(len({run.folder for run in planned}), 10)
        self.assertEqual({run.config.seed for run in planned}, {3})

    def test_further_seeds_are_for_the_headline_claims(self):
        planned = grids.list_runs(list(grids.GRIDS), TrainConfig(), [0, 1], pathlib.Path("out"))
        second = {run.variant for run in planned if run.config.seed == 1}
        compared = {
            variant
            for claim in claims.CLAIMS
            if "headline" in claim.text
            for comparison in claim.comparisons
            for variant in (comparison.more, comparison.less)
        }
        self.assertEqual(second, compared)
        # What has one seed only is done first, so that a report of all grids is there early.
        self.assertEqual(
            [run.config.seed for run in planned], sorted(x.config.seed for x in planned)
        )

    def test_every_claim_names_variants_that_exist(self):
        for claim in claims.CLAIMS:
            for comparison in claim.comparisons:
                self.assertIn(comparison.more, grids.VARIANTS)
                self.assertIn(comparison.less, grids.VARIANTS)


class ClaimsTest(absltest.TestCase):
    claim = claims.Claim("a beats b", "nowhere", (claims.Comparison("a", "b", ("score", "other")),))

    def judge(self, a, b, **others):
        return claims.judge(self.claim, dict(a=a, b=b, **others))

    def test_the_papers_own_numbers_reproduce_the_papers_claims(self):
        tables = (claims.PAPER, claims.PAPER_GENERATORS)
        num_judged = 0
        for claim in claims.CLAIMS:
            for table in tables:
                measures = {
                    variant: {0: dict(zip(claims.FCN_SCORE, scores))}
                    for variant, scores in table.items()
                }
                found = claims.judge(claim, measures)
                if found["verdict"] != "not measured":
                    num_judged += 1
                    self.assertEqual(found["verdict"], "reproduced", found)
        self.assertEqual(num_judged, 4)

    def test_the_verdict_follows_from_the_comparisons(self):
        better, worse = dict(score=2.0, other=2.0), dict(score=1.0, other=1.0)
        mixed = dict(score=2.0, other=0.5)
        for a, b, verdict, counts in (
            ({0: better}, {0: worse}, "reproduced", (2, 0, 0)),
            ({0: worse}, {0: better}, "not reproduced", (0, 2, 0)),
            ({0: mixed}, {0: worse}, "partly reproduced", (1, 1, 0)),
            ({0: worse}, {0: worse}, "undecided", (0, 0, 2)),
        ):
            with self.subTest(verdict=verdict):
                found = self.judge(a, b)
                self.assertEqual(found["verdict"], verdict)
                self.assertEqual(tuple(found["counts"].values()), counts)

    def test_what_seeds_do_alone_decides_nothing(self):
        a = {0: dict(score=2.0, other=5.0), 1: dict(score=2.5, other=5.1)}
        b = {0: dict(score=1.6, other=1.0), 1: dict(score=1.9, other=1.2)}
        found = self.judge(a, b)
        by_name = {(one["measure"], one["seed"]): one for one in found["comparisons"]}
        self.assertEqual(by_name["score", 0]["outcome"], "undecided")  # 0.4, and a's seeds: 0.5.
        self.assertEqual(by_name["score", 1]["outcome"], "holds")  # 0.6.
        self.assertEqual(by_name["other", 0]["outcome"], "holds")
        self.assertAlmostEqual(by_name["other", 0]["chance"], 0.2)
        self.assertEqual(found["verdict"], "partly reproduced")

    def test_with_one_seed_each_the_seeds_of_others_tell_what_chance_does(self):
        a, b = {0: dict(score=2.0, other=2.0)}, {0: dict(score=1.0, other=1.0)}
        others = {0: dict(score=0.0, other=0.0), 1: dict(score=1.5, other=0.5)}
        found = self.judge(a, b, c=others)
        self.assertEqual([x["outcome"] for x in found["comparisons"]], ["undecided", "holds"])

    def test_as_much_is_enough_where_the_paper_has_a_tie(self):
        tie = claims.Claim(
            "not below", "nowhere", (claims.Comparison("a", "b", ("score",), may_tie=True),)
        )
        for more, outcome in ((1.0, "holds"), (0.9, "fails"), (1.1, "holds")):
            measures = dict(a={0: dict(score=more)}, b={0: dict(score=1.0)})
            found = claims.judge(tie, measures)
            self.assertEqual(found["comparisons"][0]["outcome"], outcome)

    def test_seeds_are_compared_with_their_like(self):
        low, high = dict(score=1.0, other=1.0), dict(score=5.0, other=5.0)
        found = self.judge({0: high, 2: high}, {0: low, 1: high})
        self.assertEqual([one["seed"] for one in found["comparisons"]], [0, 0])
        self.assertEqual(found["comparisons"][0]["values"], [5.0, 1.0])

    def test_what_was_not_measured_is_named(self):
        whole, part = dict(score=2.0, other=2.0), dict(score=1.0)
        for a, b, missing in (
            ({0: whole}, {}, ["no run of b"]),
            ({0: whole}, {1: whole}, ["no seed that a and b share"]),
            ({0: whole}, {0: part}, ["no other of b, seed 0"]),
        ):
            found = self.judge(a, b)
            self.assertEqual((found["verdict"], found["missing"]), ("not measured", missing))

    def test_distance_of_seeds_is_the_largest_of_any_variant(self):
        measures = dict(
            a={0: dict(score=1.0), 1: dict(score=1.5)},
            b={0: dict(score=3.0), 1: dict(score=2.0), 2: dict(score=2.9)},
            c={0: dict(score=100.0)},
        )
        self.assertEqual(claims.seed_distances(measures), dict(score=1.0))
        self.assertEqual(claims.seed_distances(dict(c=measures["c"])), {})


def evaluate_run(flags):
    """Evaluates two pairs of a run, as `python -m pix2pix_tf.evaluate` does all."""
    translate = translator.load(flags["model"])
    config = translate.config
    compared = reference.open_reference(
        config, split="val", size=config.crop_size, feature_weights=flags["feature_weights"]
    )
    names = set(list(compared.reader.names)[:2])
    made = outputs.ModelOutputs(
        translate,
        name="run",
        num_pairs=len(names),
        seed=0,
        num_samples=int(flags["samples"]),
    )
    made.names = names
    runner.evaluate(made, compared, pathlib.Path(flags["output"]))


class CommandTest(absltest.TestCase):
    """Two configurations, really trained and evaluated."""

    @classmethod
    def setUpClass(cls):
        cls.output = tiny_runs.temporary_folder(cls)
        cls.calls = []
        cls.first = cls.run_command()

    @classmethod
    def run_command(cls, *arguments):
        def call(arguments, what):
            """Does what the process would do, without the seconds that its start takes."""
            cls.calls.append(arguments)
            flags = dict(argument[2:].split("=", 1) for argument in arguments[2:])
            if arguments[1] == "pix2pix_tf.train":
                fields = {
                    field.name: type(field.default) for field in dataclasses.fields(TrainConfig)
                }
                workdir = flags.pop("workdir")
                config = TrainConfig(**{name: fields[name](text) for name, text in flags.items()})
                loop.train(config, workdir)
            else:
                evaluate_run(flags)

        settings = [f"--{name}={value}" for name, value in _TINY.items()]
        settings.append(
            f"--data_dir={cls.output}"
        )  # The scenes need none; the report names it not.
        small = dict(losses=("l1", "l1_cgan"))
        with (
            mock.patch.object(grids, "GRIDS", small),
            mock.patch("benchmarks.ablation.report.GRIDS", small),
            mock.patch.object(runs, "_call", call),
        ):
            return command_line.run(
                command, f"--output={cls.output}", *settings, "--feature_weights=none", *arguments
            )

    def test_trains_evaluates_and_reports(self):
        self.assertEqual(self.first.exit_code, 0, self.first.stderr)
        result = json.loads((self.output / "ablation.json").read_text())
        self.assertEqual([run["title"] for run in result["runs"]], ["L1", "L1+cGAN"])
        self.assertEqual([run["step"] for run in result["runs"]], [2, 2])
        scores = [run["scores"] for run in result["runs"]]
        self.assertNotEqual(scores[0]["l1"], scores[1]["l1"])
        self.assertEqual(result["settings"]["crop_size"], 32)
        self.assertNotIn("gan_loss", result["settings"])  # Not shared.
        verdicts = {one["claim"]: one for one in result["claims"]}
        self.assertLen(verdicts, len(claims.CLAIMS))  # What was not measured is listed too.
        headline = [one for claim, one in verdicts.items() if "headline" in claim]
        self.assertEqual([one["verdict"] for one in headline], ["not measured"] * 2)
        blur = verdicts["L1 alone is blurrier than L1+cGAN"]["comparisons"][0]
        self.assertEqual(blur["values"], [scores[1]["sharpness"], scores[0]["sharpness"]])
        for name in ("ablation.md", "ablation.html", "losses.jpg", "spectra.png", "colours.png"):
            self.assertTrue((self.output / name).is_file(), name)
        markdown = (self.output / "ablation.md").read_text()
        self.assertIn(f"{scores[0]['l1']:.3f}", markdown)
        self.assertIn(f"{scores[0]['l1']:.3f}", (self.output / "ablation.html").read_text())
        self.assertEqual(markdown.count("mean absolute difference"), 1)  # Not with every table.
        self.assertIn("| claim | here |\n| --- | --- |", markdown)
        rule = markdown.split("| claimed | ")[1].splitlines()[1]
        self.assertEqual(rule, "| --- | --- | ---: | ---: | ---: | ---: | --- |")

    def test_what_is_done_is_not_done_again(self):
        num_calls = len(self.calls)
        again = self.run_command()
        self.assertEqual(again.exit_code, 0, again.stderr)
        self.assertEqual(len(self.calls), num_calls)

    def test_an_evaluation_of_something_else_is_made_again(self):
        (run,) = [x for x in (self.output / "runs").iterdir() if x.name == "l1-seed0"]
        record = run / "evaluation" / "arguments.json"
        before = record.read_text()
        record.write_text(before.replace('"step": 2', '"step": 1'))
        self.assertNotEqual(record.read_text(), before)
        num_calls = len(self.calls)
        self.run_command()
        made = [call[1] for call in self.calls[num_calls:]]
        self.assertEqual(made, ["pix2pix_tf.evaluate"])
        self.assertEqual(record.read_text(), before)

    def test_bad_seeds_and_settings_are_refused(self):
        for arguments, message in (
            (["--seeds=0,x"], "whole numbers"),
            (["--seeds=1,1"], "each once"),
            (["--crop_size=33"], "power of two"),
            (["--seed=3"], "seed"),
        ):
            with self.subTest(arguments=arguments):
                result = self.run_command(*arguments)
                self.assertEqual(result.exit_code, 2)
                self.assertIn(message, result.stderr)

    def test_a_folder_of_other_settings_is_refused_before_anything_runs(self):
        num_calls = len(self.calls)
        result = self.run_command("--base_filters=3")
        self.assertEqual(result.exit_code, 2)
        self.assertRegex(result.stderr, "l1-seed0.*base_filters.*was 2, now 3")
        self.assertLen(self.calls, num_calls)

    def test_wrong_flags_of_evaluation_are_found_before_anything_runs(self):
        num_calls = len(self.calls)
        result = self.run_command("--segmenter=/nowhere")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("nowhere", result.stderr)
        self.assertLen(self.calls, num_calls)

    def test_the_report_names_no_folder_of_the_machine(self):
        for name in ("ablation.json", "ablation.md", "ablation.html"):
            text = (self.output / name).read_text()
            self.assertNotIn(str(self.output), text)
            self.assertIn(f"--output={self.output.name}", text)


class ProcessTest(absltest.TestCase):
    def test_a_failing_command_is_named(self):
        with self.assertRaisesRegex(InputError, "Training of x ended with status 3"):
            runs._call(["-c", "raise SystemExit(3)"], "Training of x")

    def test_a_signal_reaches_the_training_which_saves(self):
        """SIGTERM to the ablation: its training saves and stops, the next call goes on."""
        output = tiny_runs.temporary_folder(self)
        arguments = [
            *(sys.executable, "-m", "benchmarks.ablation", f"--output={output}"),
            *("--grids=losses", "--crop_size=32", "--base_filters=2", "--num_steps=1000000"),
            *("--precision=float32", "--checkpoint_every=1000000", "--log_every=1"),
        ]
        process = subprocess.Popen(
            arguments, cwd=_REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(process.kill)
        metrics = output / "runs" / "l1-seed0" / "metrics.jsonl"
        deadline = time.monotonic() + 120
        while not (metrics.is_file() and metrics.read_text().count("\n") > 3):
            self.assertIsNone(process.poll(), "ended before it trained")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, commands.EXIT_INPUT_ERROR, errors)
        self.assertRegex(errors, r"stopped after step \d+. Run the same command again")
        self.assertGreater(runs.steps_done(metrics.parent), 3)


if __name__ == "__main__":
    absltest.main()
