"""Tests of what is measured: `benchmarks.train_step`, `inference`, `input_pipeline`, `startup`."""

from __future__ import annotations

import json
import math
import os
import pathlib
import subprocess
import sys
import types
from unittest import mock

import benchmark_fakes
import command_line
import keras
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from benchmarks import __main__ as all_benchmarks
from benchmarks import (
    arithmetic,
    inference,
    input_pipeline,
    interpreters,
    limits,
    machine,
    rounds,
    scaling,
    startup,
    train_step,
    train_step_contenders,
    tutorial_recipe,
)
from benchmarks.contenders import REPOSITORY, available_cpus
from pix2pix_tf import networks
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError

_SIZES = ("--crop_size=32", "--base_filters=2")
_TINY = dict(crop_size=32, base_filters=2)
_SUMMARY = dict(median=0.5, p5=0.4, p25=0.4, p75=0.6, p95=0.6, minimum=0.25, maximum=1.0, count=9)


def result(name: str, **values) -> dict:
    """Returns what `rounds.alternate` would, of a contender that took half a second."""
    return dict(
        name=name,
        settings=dict(precision="float32", batch_size=1, **_TINY),
        facts=dict(versions=dict(library="1.0")),
        seconds=dict(_SUMMARY),
        seconds_to_first=3.0,
        peak_resident_gigabytes=1.0,
        **values,
    )


def convolution_macs(model: keras.Model) -> int:
    """Returns the multiply-adds of a network, from what Keras built."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            positions = layer.input.shape[1:3]
        elif isinstance(layer, keras.layers.Conv2D):
            positions = layer.output.shape[1:3]
        else:
            continue
        total += math.prod(positions) * math.prod(layer.kernel.shape)
    return total


class ArithmeticTest(tf.test.TestCase):
    def test_layers_are_those_of_the_networks(self):
        for sizes in (dict(crop_size=256, base_filters=8), dict(crop_size=32, base_filters=4)):
            # The tutorial's, since ours are built without a size; the convolutions are the same.
            self.assertEqual(
                sum(arithmetic.generator_macs(**sizes)),
                convolution_macs(tutorial_recipe.build_generator(**sizes)),
            )
            self.assertEqual(
                sum(arithmetic.discriminator_macs(**sizes)),
                convolution_macs(tutorial_recipe.build_discriminator(**sizes)),
            )

    def test_a_step_at_the_papers_size(self):
        # One forward pass of D on the fake more than the tutorial, 2 x 3.197 GMAC.
        self.assertAlmostEqual(arithmetic.step_gflop(fresh_logits=False), 80.5458, places=3)
        self.assertAlmostEqual(arithmetic.step_gflop(), 86.9401, places=3)

    def test_adam_moves_seven_times_the_weights(self):
        self.assertAlmostEqual(arithmetic.adam_gigabytes(54_413_955 + 2_768_705), 1.601, places=3)


class LimitsTest(tf.test.TestCase):
    def test_makers(self):
        for precision in limits.PRECISIONS:
            work, facts = limits.matrix_product(
                dict(library="tensorflow", precision=precision, matrix_size=64)
            )
            self.assertLen(work(2), 2)
            self.assertAlmostEqual(facts["gflop"], 2 * 64**3 / 1e9)
        work, facts = limits.copy(dict(megabytes=1))
        self.assertLen(work(3), 3)
        self.assertAlmostEqual(facts["gigabytes"], 0.002)

    def test_summary_takes_the_best(self):
        def product(precision, gflop, minimum):
            found = result("product")
            found.update(settings=dict(precision=precision), facts=dict(gflop=gflop))
            found["seconds"]["minimum"] = minimum
            return found

        copy = dict(result("copy"), settings={}, facts=dict(gigabytes=4.0))
        summary = limits.summarize(
            [
                product("float32", 10.0, 0.1),
                product("float32", 10.0, 0.05),
                product("bfloat16", 10.0, 0.02),
                copy,
                dict(name="x", settings={}, error="lost"),
            ]
        )
        self.assertAllClose(summary["gflop_per_second"], dict(float32=200.0, bfloat16=500.0))
        self.assertEqual(summary["copy_gigabytes_per_second"], 16.0)
        seconds = limits.step_seconds(
            summary, precision="float32", gflop=80.0, num_parameters=10**9 // 28
        )
        self.assertAllClose(seconds, 80 / 200 + 1 / 16)
        nothing = limits.summarize([])
        self.assertIsNone(
            limits.step_seconds(nothing, precision="float32", gflop=1.0, num_parameters=1)
        )


class InterpretersTest(tf.test.TestCase):
    def test_this_one_is_the_default(self):
        version = ".".join(tf.__version__.split(".")[:2])
        self.assertEqual(interpreters.find_pythons([]), {f"TF {version}": sys.executable})

    def test_wrong_ones_are_refused(self):
        with self.assertRaisesRegex(InputError, "--pythons: '/no/python' cannot be started"):
            interpreters.find_pythons(["/no/python"])
        with self.assertRaisesRegex(InputError, "--torch_python: '/no/python' cannot be started"):
            interpreters.find_torch("/no/python")
        without = mock.Mock(returncode=1)
        with mock.patch.object(subprocess, "run", return_value=without):
            with self.assertRaisesRegex(InputError, "'other' has no torch. Install it there"):
                interpreters.find_torch("other")


class TrainStepTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("project", "project", "float32", {}),
        ("project_simultaneous", "project", "bfloat16", dict(update_order="simultaneous")),
        ("tutorial", "tutorial", "bfloat16", dict(is_compiled=False)),
        ("tutorial_compiled", "tutorial", "float32", dict(is_compiled=True)),
    )
    def test_contender(self, kind, precision, more):
        self.addCleanup(keras.mixed_precision.set_global_policy, "float32")
        settings = dict(_TINY, precision=precision, batch_size=2, **more)
        work, facts = getattr(train_step_contenders, kind)(settings)
        self.assertLen(work(2), 2)
        self.assertGreater(min(work(1)), 0)
        self.assertLen(facts["num_parameters"], 2)
        self.assertEqual(facts["fresh_logits"], kind == "project" and not more)
        if kind == "project":
            config = TrainConfig(crop_size=32, base_filters=2)
            self.assertEqual(
                facts["num_parameters"][0], networks.build_generator(config).count_params()
            )

    def test_a_step_that_computes_nonsense_is_no_result(self):
        with self.assertRaisesRegex(ArithmeticError, "L1 is nan"):
            train_step_contenders._check(float("nan"))

    def test_each_setting_of_pytorch_is_tried_on_top_of_the_best(self):
        def alternate(contenders, *, num_rounds, count):
            (contender,) = contenders
            chosen = contender["settings"]
            if chosen["adam"] == "plain":
                return [dict(name="x", settings=chosen, error="lost")]
            seconds = 1.0 + chosen["channels_last"] + (chosen["adam"] == "fused")
            found = dict(result(contender["name"]), settings=chosen)
            found["seconds"] = dict(_SUMMARY, median=seconds)
            return [found]

        sizes = dict(_TINY, batch_size=1, precision="bfloat16")
        with mock.patch.object(rounds, "alternate", alternate):
            with mock.patch.object(train_step, "available_cpus", lambda: [0, 1, 2, 3]):
                (best,), tried = train_step.best_pytorch("python", sizes)
        self.assertEqual(
            best["settings"],
            dict(sizes, channels_last=False, adam="foreach", is_compiled=False, threads=4),
        )
        self.assertEqual(
            best["name"],
            "pytorch, bfloat16 (channels_last=False, adam=foreach, is_compiled=False, threads=4)",
        )
        self.assertEqual([x["settings"]["threads"] for x in tried], [4, 4, 4, 4, 4, 2])

    def test_the_tutorial_is_tried_compiled(self):
        def alternate(contenders, *, num_rounds, count):
            (contender,) = contenders
            found = dict(result(contender["name"]), settings=contender["settings"])
            found["seconds"] = dict(_SUMMARY, median=2.0 - contender["settings"]["is_compiled"])
            return [found]

        sizes = dict(_TINY, batch_size=1, precision="float32")
        with mock.patch.object(rounds, "alternate", alternate):
            (best,), tried = train_step.best_tutorial("TF", "python", sizes)
        self.assertEqual(best["name"], "tutorial, float32 (is_compiled=True)")
        self.assertEqual(best["settings"], dict(sizes, is_compiled=True))
        self.assertLen(tried, 2)
        self.assertEqual(tried[0]["name"], "tutorial, float32 (is_compiled=False), TF")

    def test_rates_and_ratios(self):
        bounds = dict(
            gflop_per_second=dict(float32=200.0, bfloat16=400.0), copy_gigabytes_per_second=10.0
        )
        found = result("project, float32")
        found["settings"] = dict(crop_size=256, base_filters=64, batch_size=4, precision="float32")
        found["facts"].update(num_parameters=[54_413_955, 2_768_705], fresh_logits=False)
        rates = train_step._rates(found, bounds)
        self.assertEqual(rates["images_per_second"], 8.0)
        self.assertAlmostEqual(rates["gflop_per_image"], 80.5458, places=3)
        self.assertAlmostEqual(rates["gflop_per_second"], 644.37, places=1)
        self.assertAlmostEqual(rates["limit_seconds"], 4 * 80.5458 / 200 + 0.1601, places=3)
        self.assertAlmostEqual(rates["share_of_limit"], 2 * rates["limit_seconds"])

        def rated(name, precision, rate):
            return dict(name=name, settings=dict(precision=precision), images_per_second=rate)

        found = train_step.ratios(
            [
                rated("project, float32", "float32", 2.0),
                rated("project, bfloat16", "bfloat16", 6.0),
                dict(
                    rated("project, bfloat16, simultaneous", "bfloat16", 9.0),
                    settings=dict(precision="bfloat16", update_order="simultaneous"),
                ),
                rated("tutorial, float32", "float32", 1.0),
                rated("tutorial, bfloat16", "bfloat16", 1.5),
                rated("pytorch, float32 (x)", "float32", 3.0),
                dict(name="pytorch, bfloat16 (x)", settings={}, error="lost"),
            ]
        )
        self.assertEqual(
            found,
            {
                "best / tutorial": 4.0,
                "float32 / tutorial": 2.0,
                "bfloat16 / tutorial": 4.0,
                "best / pytorch": 2.0,
                "float32 / pytorch": 2.0 / 3.0,
                "simultaneous / tutorial": 6.0,
                "simultaneous / pytorch": 3.0,
            },
        )

    def test_pytorch_is_the_reference(self):
        python = os.environ.get("PIX2PIX_TORCH_PYTHON")
        if not python:
            self.skipTest("PIX2PIX_TORCH_PYTHON names no interpreter with PyTorch.")
        script = REPOSITORY / "tests" / "pytorch_script.py"
        done = subprocess.run(
            [python, str(script)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual(found["num_parameters"], [54_413_955, 2_768_705])
        self.assertEqual(found["shapes"], [[1, 3, 256, 256], [1, 1, 30, 30]])
        for name, l1 in found["l1"].items():
            self.assertLess(l1[-1], 0.8 * l1[0], name)
        self.assertEqual(found["dropout_sizes_px"], [4, 8, 16])


class CommandsTest(tf.test.TestCase):
    """Each benchmark from its flags to its table and JSON, its contenders in this process."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.enter_context(mock.patch.object(rounds, "Contender", benchmark_fakes.InProcess))
        self.addCleanup(keras.mixed_precision.set_global_policy, "float32")

    def run_benchmark(self, module, *arguments):
        """Returns (JSON, table)."""
        path = self.folder / "result.json"
        done = command_line.run(module, f"--json={path}", "--num_rounds=1", *arguments)
        self.assertEqual(done.exit_code, 0, done.stderr)
        found = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual(found["num_rounds"], 1)
        return found, done.stdout

    def test_train_step(self):
        """On contenders that take no step; `TrainStepTest` has the real ones."""
        made = []

        def idle(settings):
            made.append(settings)
            facts = dict(versions={}, num_parameters=[1000, 100], fresh_logits=True)
            return lambda count: [0.25] * count, facts

        for kind in ("project", "tutorial"):
            self.enter_context(mock.patch.object(train_step_contenders, kind, idle))
        found, table = self.run_benchmark(train_step, *_SIZES, "--num_steps=1", "--batch_size=2")
        self.assertEqual(
            {(x["precision"], x.get("is_compiled"), x.get("update_order")) for x in made},
            {("bfloat16", None, "simultaneous")}
            | {(x, y, None) for x in limits.PRECISIONS for y in (None, False, True)},
        )
        self.assertEqual([group["batch_size"] for group in found["groups"]], [2])
        for group in found["groups"]:
            names = [item["name"].partition(" (")[0] for item in group["contenders"]]
            expected = [f"{x}, {y}" for x in ("project", "tutorial") for y in limits.PRECISIONS]
            expected.insert(2, "project, bfloat16, simultaneous")
            self.assertEqual(names, expected)
            for item in group["contenders"]:
                self.assertNotIn("error", item)
                self.assertEqual(item["settings"]["batch_size"], group["batch_size"])
                self.assertAllClose(
                    item["images_per_second"], group["batch_size"] / item["seconds"]["median"]
                )
                self.assertGreater(item["limit_seconds"], 0)
        self.assertGreater(found["limits"]["gflop_per_second"]["bfloat16"], 0)
        self.assertGreater(found["limits"]["copy_gigabytes_per_second"], 0)
        self.assertIn("**Batch 2, TF", table)
        self.assertIn("| tutorial, bfloat16 ", table)

    def test_inference(self):
        found, table = self.run_benchmark(inference, *_SIZES, "--num_images=2")
        (group,) = found["groups"]
        self.assertEqual(
            [item["name"] for item in group["contenders"]],
            ["SavedModel", "tutorial", "tutorial, compiled"],
        )
        for item in group["contenders"]:
            self.assertEqual(item["seconds"]["count"], 2)
        self.assertIn("tutorial, p95", group["ratios"])
        self.assertIn("| SavedModel ", table)

    def test_input_pipeline(self):
        found, table = self.run_benchmark(
            input_pipeline, "--crop_size=32", "--num_pairs=3", "--num_images=4"
        )
        (group,) = found["groups"]
        self.assertEqual(
            [item["name"] for item in group["contenders"]], list(input_pipeline.SOURCES)
        )
        for item in group["contenders"]:
            self.assertEqual(item["facts"]["num_pairs"], 3)
            self.assertAllClose(item["images_per_second"], 4 / item["seconds"]["median"])
        self.assertIn("| tutorial, from JPEG files ", table)

    def test_input_pipeline_of_a_folder_that_is_none(self):
        folder = str(tiny_runs.temporary_folder(self))
        with self.assertRaisesRegex(
            InputError, "could not be written as records. error: .* has no"
        ):
            input_pipeline.write_records(sys.executable, folder, f"{folder}/records")


class ProcessesTest(tf.test.TestCase):
    """What has to run in processes: the command of training, and several workers."""

    def test_startup(self):
        python = interpreters.find_pythons([])
        found = startup.measure(python, None, **_TINY, num_rounds=1)
        ours, tutorial = found["contenders"]
        self.assertNotIn("error", ours)
        self.assertEqual(ours["facts"]["num_traces"], 1)
        # Its first step is not the last thing that its process did.
        self.assertLess(ours["facts"]["seconds_to_first_step"], ours["seconds_to_first"])
        self.assertEqual(ours["seconds"]["median"], ours["facts"]["seconds_to_first_step"])
        self.assertEqual(tutorial["seconds"]["median"], tutorial["seconds_to_first"])
        self.assertIn(f"| {ours['name']} ", startup.table(found))

    def test_scaling(self):
        if len(available_cpus()) < 2:
            self.skipTest("There is one core only.")
        found = scaling.measure(interpreters.find_pythons([]), **_TINY, num_rounds=1, num_steps=2)
        (group,) = found["groups"]
        self.assertEqual(
            [(item["name"], item.get("error")) for item in group["arrangements"]],
            [("one worker", None), ("two workers", None), ("one process", None)],
        )
        self.assertGreater(group["efficiency"], 0)
        self.assertIn("| two workers, batch 2 ", scaling.table(found))


class RatiosTest(tf.test.TestCase):
    def test_inference(self):
        ours = result("SavedModel")
        peer = dict(result("tutorial"), seconds=dict(_SUMMARY, median=1.0, p95=3.0))
        self.assertAllClose(
            inference.ratios([ours, peer]), {"tutorial, p50": 2.0, "tutorial, p95": 5.0}
        )
        self.assertEqual(inference.ratios([dict(name="SavedModel", error="lost"), peer]), {})

    def test_scaling(self):
        rates = {"one worker": 1.0, "two workers": 1.5, "one process": 3.0}
        measured = [dict(name=name, images_per_second=rate) for name, rate in rates.items()]
        self.assertEqual(
            scaling.efficiency(measured), dict(efficiency=0.75, share_of_one_process=0.5)
        )
        measured[0] = dict(name="one worker", error="lost")
        self.assertEqual(
            scaling.efficiency(measured), dict(efficiency=None, share_of_one_process=0.5)
        )


class DrawnPairsTest(tf.test.TestCase):
    def test_are_as_large_as_those_of_facades(self):
        folder = tiny_runs.temporary_folder(self) / "train"
        input_pipeline.draw_pairs(folder, count=2, size=256)
        for path in folder.iterdir():
            # Facades: 512x256 pixels, 38 KB on average.
            self.assertBetween(path.stat().st_size, 25_000, 60_000)


class PageTest(tf.test.TestCase):
    def test_page(self):
        described = machine.describe()
        good = dict(
            groups=[dict(stack="TF", contenders=[dict(result("project"), images_per_second=4.0)])]
        )
        pipeline = dict(
            groups=[
                dict(
                    stack="TF",
                    contenders=[dict(result("project, from memory"), images_per_second=100.0)],
                )
            ]
        )
        measured = {"Training step": good, "Input pipeline": pipeline, "Other": dict(error="lost")}
        for number, section in enumerate(measured.values()):
            section.update(commit=f"c{number}", date="2026-01-01", load_before=0.1)
        page = all_benchmarks.write_page(
            described, _TINY, measured, {"Training step": "table", "Input pipeline": "more"}
        )
        self.assertIn("Commit c1, 2026-01-01; load of the machine before: 0.1.\n\nmore", page)
        self.assertIn("library 1.0", page)
        self.assertRegex(page, "## Other\n\n.*c2.*\n\nFailed: lost")
        self.assertIn("uses 4.00 images a second", page)
        self.assertIn("project, from memory (TF) 25x", page)

    def test_one_benchmark_run_again_keeps_the_others(self):
        folder = pathlib.Path(self.get_temp_dir())
        options = types.SimpleNamespace(
            output=str(folder / "page.md"),
            pythons=[sys.executable],
            torch_python="",
            dataset="demo",
            direction="AtoB",
            num_rounds=0,
            crop_size=256,
            base_filters=64,
        )
        namespace = types.SimpleNamespace(FLAGS=options)
        self.enter_context(mock.patch.object(all_benchmarks, "flags", namespace))

        def run(only, error):
            options.only = only
            with mock.patch.object(all_benchmarks, "_measure", lambda _: dict(error=error)):
                self.assertEqual(all_benchmarks.main([]), all_benchmarks.EXIT_FAILED)
            return (folder / "page.md").read_text(encoding="utf-8")

        page = run([], "first")
        self.assertEqual(page.count("Failed: first"), 9)
        page = run(["Translation"], "second")
        self.assertEqual(page.count("Failed: first"), 8)
        self.assertRegex(page, "## Translation\n\n.*\n\nFailed: second\n\n## Input pipeline")
        with self.assertRaisesRegex(InputError, "--only is 'Taste'. Known are: Training step, Op"):
            run(["Taste"], "")
        options.crop_size = 32
        with self.assertRaisesRegex(InputError, "is of other sizes: .*256"):
            run(["Translation"], "")
        (folder / "page.json").unlink()
        with self.assertRaisesRegex(InputError, "page.json', which --only would go on from: "):
            run(["Translation"], "")

    def test_machine(self):
        described = machine.describe()
        self.assertGreater(described["cores"], 0)
        self.assertGreater(described["memory_gigabytes"], 0.1)
        self.assertRegex(described["commit"], r"^([0-9a-f]{12}\+?|unknown)$")
        self.assertRegex(described["date"], r"^\d{4}-\d\d-\d\d$")
