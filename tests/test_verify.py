"""Tests of `export.verify`: what agrees passes, and each way of spoiling an export is found."""

from __future__ import annotations

import json
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from export import cpp_session, tfjs_model, verify
from pix2pix_tf import serving
from pix2pix_tf.errors import InputError
from pix2pix_tf.models import layers
from pix2pix_tf.training import state

_normalize = layers.StatisticsNormalization.call


def frozen_statistics(layer, inputs):
    """Normalises by fixed statistics in the export, as moving averages would."""
    if layer.statistics == "batch":  # Of the reference, which is right.
        return _normalize(layer, inputs)
    return tf.nn.batch_normalization(
        inputs, 0.1, 0.9, layer.beta, layer.gamma, variance_epsilon=layer.epsilon
    )


class VerifyTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = tiny_runs.temporary_folder(cls) / "run"
        tiny_runs.write_run(cls.run_folder)

    def setUp(self):
        super().setUp()
        self.output = tiny_runs.temporary_folder(self) / "parity"

    def verify(self, *flags: str) -> command_line.Result:
        """Verifies the Python and C++ forms of the SavedModel, which take seconds."""
        return command_line.run(
            verify,
            f"--workdir={self.run_folder}",
            f"--output={self.output}",
            *("--runtimes=cpp", "--num_images=2", "--repeat=1", "--num_draws=16"),
            *flags,
        )

    def test_an_export_that_is_right(self):
        result = self.verify()
        self.assertEqual(result.exit_code, 0, result.stdout + result.stderr)
        found = json.loads((self.output / "parity.json").read_text(encoding="utf-8"))
        names = [row["name"] for row in found["runtimes"]]
        self.assertEqual(names, ["Keras, training=True", "SavedModel, Python", "SavedModel, C++"])
        for row in found["runtimes"][1:]:
            self.assertLess(row["max_difference"], 1e-4)
            self.assertGreater(row["spread"], 1e-3)
            self.assertGreater(row["megabytes"], 0.01)
            self.assertLess(row["mean_shift"], 2 * row["sampling_error"])
        table = (self.output / "parity.md").read_text(encoding="utf-8")
        self.assertIn("| SavedModel, C++ |", table)
        with Image.open(self.output / "parity.png") as picture:
            self.assertEqual(picture.size, (4 * 32 + 3 * 4, 22 + 4 * (32 + 4) - 4))

    def assert_found(self, result: command_line.Result, *expected: str) -> None:
        self.assertEqual(result.exit_code, verify.EXIT_DIFFERS, result.stdout + result.stderr)
        for text in expected:
            self.assertIn(f"FAILED: {text}", result.stdout)

    def test_frozen_statistics(self):
        with mock.patch.object(layers.StatisticsNormalization, "call", frozen_statistics):
            result = self.verify()
        self.assert_found(result, "SavedModel, Python: max diff", "SavedModel, C++: max diff")

    def test_dropped_dropout(self):
        def keep_all(layer, features, noise):
            return features, noise

        with mock.patch.object(layers.NoiseDropout, "call", keep_all):
            expected = "two calls of serving_default give the same picture"
            self.assert_found(self.verify(), f"SavedModel, C++: {expected}")

    def test_a_frozen_seed(self):
        draw = tf.raw_ops.RandomUniform

        def seeded(**arguments):
            return draw(**{**arguments, "seed": 1})

        with mock.patch.object(tf.raw_ops, "RandomUniform", seeded):
            result = self.verify()
        self.assert_found(result, "SavedModel, Python: loaded anew, serving_default gives the same")

    def test_fused_batch_normalisation(self):
        def fuse(layer, inputs):
            outputs, _, _ = tf.compat.v1.nn.fused_batch_norm(
                inputs, tf.cast(layer.gamma, tf.float32), tf.cast(layer.beta, tf.float32)
            )
            return outputs

        with mock.patch.object(layers.StatisticsNormalization, "call", fuse):
            version = serving.save_version(self.run_folder, self.output)
        # TF.js would run it with other statistics, or give NaN.
        with self.assertRaisesRegex(InputError, "FusedBatchNorm"):
            tfjs_model.convert(version, self.output / "tfjs")

    def test_swapped_channels(self):
        translate = serving.ServingModel.translate
        with mock.patch.object(
            serving.ServingModel,
            "translate",
            lambda model, image, z: translate(model, image, z)[..., ::-1],
        ):
            result = self.verify()
        self.assert_found(result, "SavedModel, Python: mean difference", "SavedModel, C++: mean")

    def test_statistics_of_the_whole_batch(self):
        build = state.build_generator

        def spoilt(config, *, statistics="batch", **arguments):
            return build(config, statistics="batch", **arguments)

        with mock.patch.object(serving, "build_generator", spoilt):
            self.assert_found(
                self.verify(), "SavedModel, Python: a stranger in the batch changes the output"
            )

    def test_a_runtime_that_fails_is_a_row_beside_the_others(self):
        fault = cpp_session.CppError("INTERNAL", "it broke")
        with mock.patch.object(cpp_session.CppSession, "run", side_effect=fault):
            result = self.verify()
        self.assert_found(result, "SavedModel, C++: INTERNAL: it broke")
        self.assertIn("| SavedModel, C++ | failed |", result.stdout)
        self.assertIn("| SavedModel, Python | 0.", result.stdout)

    def test_noise_of_another_mean_or_strength(self):
        random = np.random.RandomState(0)
        expected = random.normal(0.0, 1.0, [64, 8, 8, 3])
        for shift, strength, found in (
            (0.0, 1.0, None),
            (1.0, 1.0, "the mean over draws is off by"),
            (0.0, 0.6, "the noise is 0.6"),
            (0.0, 2.0, "the noise is 2."),
        ):
            row = verify._noise_row(random.normal(shift, strength, [64, 8, 8, 3]), expected)
            row.update(name="x", mean_difference=0.0, max_difference=0.0)
            faults = verify._faults(row, verify.runtimes.EXACT)
            self.assertLen(faults, 1 if found else 0)
            if found:
                self.assertStartsWith(faults[0], f"x: {found}")
