"""Tests of `python -m benchmarks.ablation`: what is run, and what is claimed of it."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import threading
import time
from unittest import mock

import command_line
import label_data
import measured_pairs
import tiny_runs
from absl.testing import absltest

from benchmarks.ablation import __main__ as command
from benchmarks.ablation import claims, grids, report, runs, subsets
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import outputs, reference, runner

_TINY = dict(crop_size=32, base_filters=2, num_steps=2, precision="float32", checkpoint_every=2)


class GridsTest(absltest.TestCase):
    def test_a_configuration_that_grids_share_is_run_once(self):
        planned = grids.list_runs(list(grids.GRIDS), TrainConfig(), [3], pathlib.Path("out"))
        self.assertEqual(len({run.folder for run in planned}), len(planned))
        configs = {run.variant: run.config for run in planned}
        self.assertEqual(configs["l1_cgan"], TrainConfig(seed=3))  # The default is the full method.
        gan = dict(conditional=False, lambda_l1=0.0)
        self.assertEqual(configs["gan"], TrainConfig(seed=3, **gan))

    def test_further_seeds_are_for_the_headline_claims(self):
        planned = grids.list_runs(grids.PAPER_GRIDS, TrainConfig(), [0, 1], pathlib.Path("out"))
        second = {run.variant for run in planned if run.config.seed == 1}
        headline = [claim for claim in claims.CLAIMS if "headline" in claim.text]
        compared = [one for claim in headline for one in claim.comparisons]
        self.assertEqual(second, {x for one in compared for x in (one.more, one.less)})

    def test_recipes(self):
        base = TrainConfig(num_steps=30)
        planned = grids.list_runs(["recipes"], base, [0, 1], pathlib.Path("out"))
        settings = {(x.config.upsampling, x.config.decay_steps, x.config.seed) for x in planned}
        wanted = {(up, n, s) for up in ("transposed", "resize") for n in (0, 15) for s in (0, 1)}
        self.assertEqual(settings, wanted)
        self.assertEqual(planned[0].readings, ("average", "last"))
        without = grids.list_runs(["recipes"], TrainConfig(ema_decay=0.0), [0], pathlib.Path("x"))
        self.assertEqual(without[0].readings, ("last",))


class SubsetsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        label_data.write(self.folder, train=8, test=2)
        self.config = TrainConfig(dataset=str(self.folder / "facades"))

    def test_training_pairs_spread_over_all_and_the_others_whole(self):
        for _ in range(2):  # As when the command is given again.
            subsets.write(self.folder / "out", self.config, 3)
        subset = subsets.folder_of(self.folder / "out", self.config, 3)
        self.assertEqual(subset.name, "facades")
        names = sorted(path.name for path in (subset / "train").iterdir())
        self.assertEqual(names, ["train_0.png", "train_4.png", "train_7.png"])
        self.assertLen(list((subset / "test").iterdir()), 2)
        original = self.folder / "facades" / "train" / "train_4.png"
        self.assertEqual((subset / "train" / names[1]).read_bytes(), original.read_bytes())
        with self.assertRaisesRegex(InputError, "8 files of training pairs, and 9"):
            subsets.write(self.folder / "out", self.config, 9)

    def test_runs_of_few_pairs_train_on_them(self):
        planned = grids.list_runs(["pairs"], self.config, [0], self.folder / "out")
        self.assertEqual(
            [run.config.dataset for run in planned],
            [str(self.folder / f"out/data/{n}/facades") for n in grids.NUMBERS_OF_PAIRS],
        )
        turned = grids.list_runs(["turned_pairs"], self.config, [0], self.folder / "out")
        self.assertTrue(all(x.config.rotate90 and x.config.vertical_flip for x in turned))

    def test_the_report_of_few_pairs_has_a_curve(self):
        planned = [
            run
            for grid in ("pairs", "turned_pairs")
            for run in grids.list_runs([grid], self.config, [0], self.folder / "out")[:2]
        ]
        outcomes = []
        for run, value in zip(planned, (0.4, 0.3, 0.5, 0.4)):
            for folder in (runner.INPUTS_FOLDER, runner.OUTPUTS_FOLDER, runner.TARGETS_FOLDER):
                path = run.evaluation("average") / folder
                path.mkdir(parents=True)
                (path / "one.png").write_bytes(
                    (self.folder / "maps" / "test" / "test_0.png").read_bytes()
                )
            evaluation = dict(
                scores=dict(l1=dict(value=value, ground_truth=None)),
                colour=dict(intersection=dict.fromkeys("Lab", 1.0)),
                per_image=dict(one={}),
                step=2,
                num_images=1,
                split="test",
            )
            outcomes.append(runs.Outcome(run, "average", evaluation, seconds=1.0, grid=1.0))
        text = report.write(
            outcomes, self.folder / "out", wanted=["pairs", "turned_pairs"], command="x"
        )
        for part in ("| 25 pairs |", "| 50 pairs, turned |", "facades, AtoB"):
            self.assertIn(part, text)
        self.assertEqual(text.count("_curve.png"), 1)  # Of both grids.
        self.assertTrue((self.folder / "out" / "pairs_curve.png").is_file())

    def test_what_has_no_files_to_take_fewer_of(self):
        with self.assertRaisesRegex(InputError, "'demo' is not a folder of splits"):
            subsets.write(self.folder / "out", TrainConfig(), 3)


class ClaimsTest(absltest.TestCase):
    def judge(self, a, b, *, may_tie=False, **others):
        """Judges that a has more than b; each is its (score, other) by seed."""
        comparison = claims.Comparison("a", "b", ("score", "other"), may_tie=may_tie)
        measures = {
            variant: {seed: dict(zip(("score", "other"), x)) for seed, x in by_seed.items()}
            for variant, by_seed in dict(a=a, b=b, **others).items()
        }
        return claims.judge(claims.Claim("a beats b", "nowhere", (comparison,)), measures)

    def test_the_papers_own_numbers_reproduce_the_papers_claims(self):
        num_judged = 0
        for claim in claims.CLAIMS:
            for table in (claims.PAPER, claims.PAPER_GENERATORS):
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
        for a, b, verdict, counts in (
            ((2, 2), (1, 1), "reproduced", (2, 0, 0)),
            ((1, 1), (2, 2), "not reproduced", (0, 2, 0)),
            ((2, 0.5), (1, 1), "partly reproduced", (1, 1, 0)),
            ((1, 1), (1, 1), "undecided", (0, 0, 2)),
        ):
            found = self.judge({0: a}, {0: b})
            self.assertEqual(found["verdict"], verdict)
            self.assertEqual(tuple(found["counts"].values()), counts)
        # As much is enough where the paper has a tie.
        found = self.judge({0: (1, 1)}, {0: (1, 0)}, may_tie=True)
        self.assertEqual(found["verdict"], "reproduced")

    def test_what_seeds_do_alone_decides_nothing(self):
        found = self.judge({0: (2.0, 5.0), 1: (2.5, 5.1)}, {0: (1.6, 1.0), 1: (1.9, 1.2)})
        by_name = {(one["measure"], one["seed"]): one for one in found["comparisons"]}
        self.assertEqual(by_name["score", 0]["outcome"], "undecided")  # 0.4, and a's seeds: 0.5.
        self.assertEqual(by_name["score", 1]["outcome"], "holds")  # 0.6.
        self.assertEqual(by_name["other", 0]["outcome"], "holds")
        self.assertAlmostEqual(by_name["other", 0]["chance"], 0.2)
        # With one seed each, those of others tell what chance does.
        found = self.judge({0: (2, 2)}, {0: (1, 1)}, c={0: (0, 0), 1: (1.5, 0.5)})
        self.assertEqual([x["outcome"] for x in found["comparisons"]], ["undecided", "holds"])

    def test_what_was_not_measured_is_named(self):
        for b, missing in (
            ({1: (2, 2)}, "no seed of both a and b"),
            ({0: (1,)}, "no other of a or b, seed 0"),
        ):
            found = self.judge({0: (2, 2)}, b)
            self.assertEqual((found["verdict"], found["missing"]), ("not measured", [missing]))


def pretend_to_train(*, workdir: pathlib.Path, **settings) -> None:
    """Leaves of a training what the ablation reads."""
    config = TrainConfig(**settings)
    (workdir / "checkpoints" / f"step_{config.num_steps:08}").mkdir(parents=True)
    config.save(workdir)
    record = dict(step=config.num_steps, images_per_second=0.01)
    (workdir / "metrics.jsonl").write_text(json.dumps(record) + "\n")


def evaluate_run(*, model, weights, output, samples: int, feature_weights: str) -> None:
    """Evaluates two pairs of a run, as `python -m pix2pix_tf.evaluate` does all."""
    config = TrainConfig.load(model)
    compared = reference.Reference(
        config, split="val", size=config.crop_size, feature_weights=feature_weights
    )
    names = set(list(compared.reader.names)[:2])
    # Outputs of L1 alone are nearer to grey, and averages too.
    step = (20 if config.gan_loss == "none" else 60) + (5 if weights == "last" else 0)
    made = outputs.ModelOutputs(
        measured_pairs.FakeTranslator(config, step=step),
        name="run",
        num_pairs=len(names),
        seed=0,
        num_samples=samples,
    )
    made.names = names
    runner.evaluate(made, compared, output)


class CommandTest(absltest.TestCase):
    """Two configurations, as if trained, and evaluated; the plots are left out."""

    @classmethod
    def setUpClass(cls):
        cls.output = tiny_runs.temporary_folder(cls)
        cls.calls = []
        cls.first = cls.run_command()

    @classmethod
    def run_command(cls, *arguments):
        def call(module, settings, run):
            cls.calls.append(module)
            does = {"pix2pix_tf.train": pretend_to_train, "pix2pix_tf.evaluate": evaluate_run}
            does[module](**settings)

        settings = [f"--{name}={value}" for name, value in _TINY.items()]
        # The scenes need none; the report names it not.
        settings.append(f"--data_dir={cls.output}")
        small = dict(losses=("l1", "l1_cgan"))
        with (
            mock.patch.object(grids, "GRIDS", small),
            mock.patch.object(grids, "PAPER_GRIDS", list(small)),
            mock.patch.object(report, "GRIDS", small),
            mock.patch.object(runner, "PLOTS", {}),
            mock.patch.object(runs, "_call", call),
        ):
            return command_line.run(
                command, f"--output={cls.output}", *settings, "--feature_weights=none", *arguments
            )

    def test_trains_evaluates_and_reports(self):
        self.assertEqual(self.first.exit_code, 0, self.first.stderr)
        result = json.loads((self.output / "ablation.json").read_text())
        scores = [run["scores"] for run in result["runs"]]
        kinds = [(run["variant"], run["weights"]) for run in result["runs"]]
        expected = [(x, weights) for x in ("l1", "l1_cgan") for weights in ("average", "last")]
        self.assertEqual(kinds, expected)
        self.assertLen({run["l1"] for run in scores}, 4)
        self.assertGreater(min(run["grid"] for run in scores), 0)
        self.assertNotIn("gan_loss", result["settings"])  # Not shared.
        self.assertEqual(result["settings"]["best_metric"], "none")  # The last step counts.
        self.assertEqual(list(result["claims"]), ["average", "last"])
        verdicts = {one["claim"]: one for one in result["claims"]["last"]}
        headline = [one for claim, one in verdicts.items() if "headline" in claim]
        self.assertEqual([one["verdict"] for one in headline], ["not measured"] * 2)
        blur = verdicts["L1 alone is blurrier than L1+cGAN"]["comparisons"][0]
        self.assertEqual(blur["values"], [scores[3]["sharpness"], scores[1]["sharpness"]])
        self.assertTrue((self.output / "losses.jpg").is_file())
        for name in ("ablation.md", "ablation.html"):
            text = (self.output / name).read_text()
            self.assertIn(f"{scores[0]['l1']:.3f}", text)
            self.assertNotIn(str(self.output), text)  # No folder of the machine.
            self.assertIn(f"--output={self.output.name}", text)

    def test_what_is_done_is_not_done_again_unless_it_is_of_something_else(self):
        num_calls = len(self.calls)
        again = self.run_command()
        self.assertEqual(again.exit_code, 0, again.stderr)
        self.assertLen(self.calls, num_calls)
        record = self.output / "runs" / "l1-seed0" / "evaluation_last" / "arguments.json"
        before = record.read_text()
        record.write_text(before.replace('"step": 2', '"step": 1'))
        self.run_command()
        self.assertEqual(self.calls[num_calls:], ["pix2pix_tf.evaluate"])
        self.assertEqual(record.read_text(), before)

    def test_what_cannot_be_used_is_refused_before_anything_runs(self):
        num_calls = len(self.calls)
        for argument, message in (
            ("--seeds=0,x", "0,x"),
            ("--seeds=1,1", "1,1"),
            ("--crop_size=33", "33"),
            ("--seed=3", "seed"),  # Which --seeds says.
            ("--base_filters=3", "l1-seed0.*base_filters.*was 2, now 3"),  # Of the run there.
            ("--segmenter=/nowhere", "/nowhere"),
        ):
            with self.subTest(argument):
                result = self.run_command(argument)
                self.assertEqual(result.exit_code, 2)
                self.assertRegex(result.stderr, message)
        self.assertLen(self.calls, num_calls)


class ProcessTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.run = grids.Run("l1", TrainConfig(num_steps=5), self.folder)

    def test_a_signal_is_passed_on(self):
        (self.folder / "fake_command.py").write_text(
            "import pathlib, signal, sys, time\n"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
            "pathlib.Path(__file__).with_suffix('.ready').touch()\n"
            "time.sleep(60)\n"
        )

        def stop():
            while not (self.folder / "fake_command.ready").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=stop).start()
        with mock.patch.dict(os.environ, PYTHONPATH=str(self.folder)):
            with self.assertRaisesRegex(InputError, "fake_command of L1, seed 0 .* status 3"):
                runs._call("fake_command", {}, self.run)

    def test_a_training_that_was_stopped_is_told(self):
        (self.folder / "checkpoints" / "step_00000003").mkdir(parents=True)
        with mock.patch.object(runs, "_call"):
            with self.assertRaisesRegex(InputError, "L1, seed 0 .* step 3"):
                runs.train(self.run)
