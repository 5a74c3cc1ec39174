"""Tests of benchmarks of this project alone: convolutions, memory, operations, agreement."""

from __future__ import annotations

from unittest import mock

import command_line
import tensorflow as tf
from absl.testing import parameterized

from benchmarks import agreement, agreement_run, convolutions, interpreters, memory, operations
from pix2pix_tf.training import state

_TINY = dict(crop_size=32, base_filters=2)
_RUN = dict(dataset="demo", precision="float32", num_steps=3, receptive_field=16, **_TINY)


class ConvolutionsTest(tf.test.TestCase):
    def test_every_product_is_timed_in_both_formulations(self):
        found = convolutions.measure(
            interpreters.find_pythons([]),
            batch_sizes=(2,),
            num_rounds=2,
            layers=[(1, 4, 4), (2, 3, 5)],
        )
        self.assertEqual([x["precision"] for x in found["groups"]], ["float32", "bfloat16"])
        self.assertEqual([x["batch_size"] for x in found["groups"]], [2, 2])
        for group in found["groups"]:
            self.assertLen(group["products"], 2 * 3 * 2)
            self.assertEqual({x["seconds"]["count"] for x in group["products"]}, {2})
        text = convolutions.table(found)
        self.assertRegex(text, r"\| 2 px, 3 and 5 channels\s+\| +[\d.]+ / [\d.]+ \|")

    def test_times_are_of_their_products(self):
        cases = [dict(product="a"), dict(product="b")]
        first, second = convolutions._by_product(cases, [1.0, 10.0, 3.0, 30.0])
        self.assertEqual((first["product"], first["seconds"]["median"]), ("a", 2.0))
        self.assertEqual((second["product"], second["seconds"]["median"]), ("b", 20.0))


class MemoryTest(tf.test.TestCase):
    def test_parts_are_measured_one_after_another(self):
        found = memory.measure(
            interpreters.find_pythons([]), **_TINY, batch_size=2, accumulate=(1, 2)
        )
        whole, parts = found["groups"][0]["contenders"]
        self.assertNotIn("error", whole)
        self.assertNotIn("error", parts)
        self.assertEqual((whole["name"], parts["name"]), ("at once", "in 2 parts"))
        self.assertGreater(parts["peak_resident_gigabytes"], 0.1)
        self.assertIn("**Batch 2 at 32x32, bfloat16, ", memory.table(found))


class OperationsTest(tf.test.TestCase):
    def test_times_of_the_operations_make_up_the_step(self):
        found = operations.measure(interpreters.find_pythons([]), **_TINY)
        self.assertLen(found["groups"], 2)
        for group in found["groups"]:
            self.assertNotIn("error", group)
            facts = group["facts"]
            self.assertIn("ResourceApplyAdam", facts["milliseconds"])
            self.assertTrue(any("Conv2D" in kind for kind in facts["milliseconds"]))
            total = sum(facts["milliseconds"].values())
            self.assertGreater(total, 0.05 * facts["milliseconds_of_step"])
            self.assertLess(total, facts["milliseconds_of_step"])
        text = operations.table(found)
        self.assertRegex(text, r"\*\*project, bfloat16, batch 1, .*: a step of \d+ ms")
        self.assertEqual(text.count("| all others "), 2)

    def test_what_is_no_operation_is_not_counted(self):
        from tensorflow.tsl.profiler.protobuf import xplane_pb2

        space = xplane_pb2.XSpace()
        plane = space.planes.add()
        line = plane.lines.add()
        for number, name in enumerate(["train", "x/Conv2D:Conv2D", "y:Conv2D", "file.py:12 f"]):
            plane.event_metadata[number].name = name
            line.events.add(metadata_id=number, duration_ps=2 * 10**9)
        found = operations.read_profile(space.SerializeToString())
        self.assertEqual(found, {"Conv2D": 4.0})


class AgreementTest(tf.test.TestCase, parameterized.TestCase):
    def test_how_far_apart(self):
        def run(*values):
            return [dict.fromkeys(agreement._LOSSES, value) for value in values]

        found = agreement.differences(run(2.0, 4.0, 3.0), run(2.5, 2.5, 2.5))["l1_loss"]
        self.assertAllClose(found, dict(first=0.2, largest=0.6, of_the_means=0.2))

    def test_both_forms_compute_the_same(self):
        found = [agreement_run.train(form, _RUN) for form in ("project", "plain")]
        self.assertLen(found[0], 3)
        for losses, expected in zip(*found):
            self.assertAllClose(losses, expected, rtol=1e-4)
        # The seam that the plain form is made by: another rate would show.
        with mock.patch.object(state, "ADAM_EPSILON", 1.0):
            other = agreement_run.train("project", _RUN)
        self.assertGreater(abs(other[2]["l1_loss"] - found[0][2]["l1_loss"]), 1e-4)

    def test_plain_is_plain(self):
        # None of the project's own operations may be left in what it is compared with.
        with mock.patch.object(state, "FusedAdam", side_effect=AssertionError("fused")):
            agreement_run.train("plain", dict(_RUN, num_steps=1))

    def test_command(self):
        done = command_line.run(
            agreement,
            "--num_steps=2",
            "--crop_size=32",
            "--base_filters=2",
        )
        self.assertEqual(done.exit_code, 0, done.stderr)
        self.assertIn("| project and plain, l1_loss ", done.stdout)
        self.assertIn("| plain, one thread and plain, discriminator_loss ", done.stdout)
