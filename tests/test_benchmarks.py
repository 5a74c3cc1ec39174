"""Tests of `python -m benchmarks` and of what it measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from unittest import mock

import benchmark_fakes
import command_line
import pytest
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from benchmarks import (
    agreement,
    agreement_run,
    arithmetic,
    convolutions,
    inference,
    input_pipeline,
    interpreters,
    limits,
    memory,
    operations,
    rounds,
    scaling,
    startup,
    train_step,
    train_step_contenders,
)
from benchmarks.contenders import REPOSITORY
from pix2pix_tf.errors import InputError
from pix2pix_tf.training import state

_SIZES = ("--crop_size=32", "--base_filters=2")
_TINY = dict(crop_size=32, base_filters=2)
_RUN = dict(dataset="demo", precision="float32", num_steps=3, receptive_field=16, **_TINY)


def result(name: str) -> dict:
    """Returns what `rounds.alternate` would, of a contender that took half a second."""
    return dict(name=name, facts=dict(versions=dict(library="1.0")), seconds=dict(median=0.5))


class ArithmeticTest(tf.test.TestCase):
    def test_a_step_at_the_papers_size(self):
        # One forward pass of D on the fake more than the tutorial, 2 x 3.197 GMAC.
        self.assertAlmostEqual(arithmetic.step_gflop(fresh_logits=False), 80.5458, places=3)
        self.assertAlmostEqual(arithmetic.step_gflop(), 86.9401, places=3)
        # Adam moves seven times the weights.
        self.assertAlmostEqual(arithmetic.adam_gigabytes(54_413_955 + 2_768_705), 1.601, places=3)


class TrainStepTest(tf.test.TestCase):
    def test_wrong_interpreters_are_refused(self):
        version = ".".join(tf.__version__.split(".")[:2])
        self.assertEqual(interpreters.find_pythons([]), {f"TF {version}": sys.executable})
        with self.assertRaisesRegex(InputError, "--pythons: '/no/python'"):
            interpreters.find_pythons(["/no/python"])
        with self.assertRaisesRegex(InputError, "--torch_python: '/no/python'"):
            interpreters.find_torch("/no/python")

    def test_a_step_that_computes_nonsense_is_no_result(self):
        with self.assertRaisesRegex(ArithmeticError, "L1 is nan"):
            train_step_contenders._check(float("nan"))

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

        rates = {
            "project, float32": 2.0,
            "project, bfloat16": 6.0,
            "tutorial, float32": 1.0,
            "tutorial, bfloat16": 1.5,
            "pytorch, float32": 3.0,
        }
        rated = [
            dict(name=name, settings=dict(precision=name.split()[-1]), images_per_second=rate)
            for name, rate in rates.items()
        ]
        other_order = dict(rated[1], images_per_second=9.0)
        other_order["settings"] = dict(precision="bfloat16", update_order="simultaneous")
        lost = dict(name="pytorch, bfloat16", settings={}, error="lost")
        self.assertEqual(
            train_step.ratios([*rated, other_order, lost]),
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

    @pytest.mark.slow
    def test_pytorch_is_the_reference(self):
        python = os.environ.get("PIX2PIX_TORCH_PYTHON")
        if not python:
            self.skipTest("PIX2PIX_TORCH_PYTHON names no interpreter with PyTorch.")
        done = subprocess.run(
            [python, str(REPOSITORY / "tests" / "pytorch_script.py")],
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


class CommandTest(tf.test.TestCase):
    def test_train_step(self):
        """From flags to table and JSON, on contenders that do nothing, in this process."""
        self.enter_context(mock.patch.object(rounds, "Contender", benchmark_fakes.InProcess))

        def idle(settings):
            facts = dict(versions={}, num_parameters=[1000, 100], fresh_logits=True)
            return lambda count: [0.25] * count, dict(facts, gflop=1.0, gigabytes=1.0)

        for module, name in (
            *((train_step_contenders, "project"), (train_step_contenders, "tutorial")),
            *((limits, "matrix_product"), (limits, "copy")),
        ):
            self.enter_context(mock.patch.object(module, name, idle))
        path = tiny_runs.temporary_folder(self) / "result.json"
        arguments = [*_SIZES, "--num_steps=1", "--batch_size=2", "--num_rounds=1"]
        done = command_line.run(train_step, f"--json={path}", *arguments)
        self.assertEqual(done.exit_code, 0, done.stderr)
        found = json.loads(path.read_text(encoding="utf-8"))
        (group,) = found["groups"]
        for item in group["contenders"]:
            self.assertEqual((item["settings"]["batch_size"], item["images_per_second"]), (2, 8))
        self.assertLen(group["contenders"], 5)
        self.assertEqual(found["limits"]["gflop_per_second"], dict(float32=4.0, bfloat16=4.0))
        self.assertIn("| tutorial, bfloat16 ", done.stdout)


@pytest.mark.slow
class MeasureTest(tf.test.TestCase, parameterized.TestCase):
    """Each benchmark at a small size, with the processes that it starts: none of them fails."""

    @parameterized.named_parameters(
        ("convolutions", convolutions, dict(batch_sizes=(2,), num_rounds=2, layers=[(2, 3, 5)])),
        ("inference", inference, dict(_TINY, num_rounds=1, num_images=2)),
        ("input_pipeline", input_pipeline, dict(crop_size=32, num_pairs=3, num_images=4)),
        ("memory", memory, dict(_TINY, batch_size=2, accumulate=(1, 2))),
        ("operations", operations, _TINY),
        ("scaling", scaling, dict(_TINY, num_rounds=1, num_steps=2)),
        ("startup", startup, dict(_TINY, torch_python=None, num_rounds=1)),
        (
            "train_step",
            train_step,
            dict(_TINY, torch_python=None, batch_sizes=[2], num_rounds=1, num_steps=1),
        ),
    )
    def test_measures(self, module, settings):
        found = module.measure(interpreters.find_pythons([]), **settings)
        self.assertNotIn('"error"', json.dumps(found, allow_nan=False))
        self.assertRegex(module.table(found), r"\| .*\d")

    def test_agreement(self):
        found = agreement.measure(_RUN)
        for apart in found["differences"].values():
            self.assertLess(apart["l1_loss"]["largest"], 1e-4)
        self.assertIn("| project and plain, l1_loss ", agreement.table(found))
        # None of the project's own operations may be left in what it is compared with.
        with mock.patch.object(state, "FusedAdam", side_effect=AssertionError("fused")):
            plain = agreement_run.train("plain", _RUN)
        # Another rate would show.
        with mock.patch.object(state, "ADAM_EPSILON", 1.0):
            other = agreement_run.train("project", _RUN)
        self.assertGreater(abs(other[-1]["l1_loss"] - plain[-1]["l1_loss"]), 1e-4)
