"""Tests of `export.verify`: what agrees passes, and each way of spoiling an export is found."""

from __future__ import annotations

import contextlib
import gc
import json
import unittest
import weakref
from unittest import mock

import browser_tools
import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_tflite
from absl.testing import parameterized
from PIL import Image

from export import (
    cpp_session,
    limits,
    litert,
    parity_models,
    tfjs_browser,
    tfjs_model,
    tfjs_node,
    tflite,
    verify,
)
from pix2pix_tf import networks, serving
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import exported
from pix2pix_tf.models import layers

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
        self.assertIn("batch 1, 2 images of test; Python", table)
        self.assertEqual(found["split"], "test")
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
            expected = "all calls of serving_default give the same picture"
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
        build = networks.build_generator

        def spoilt(config, *, statistics="batch", **arguments):
            return build(config, statistics="batch", **arguments)

        with mock.patch.object(serving, "build_generator", spoilt):
            self.assert_found(
                self.verify(), "SavedModel, Python: a stranger in the batch changes the output"
            )

    def test_a_runtime_that_fails_is_a_row_beside_the_others(self):
        fault = cpp_session.CppError("INTERNAL", "it broke\nat last")
        with mock.patch.object(cpp_session.CppSession, "run", side_effect=fault):
            result = self.verify()
        self.assert_found(result, "SavedModel, C++: INTERNAL: it broke")
        self.assertIn("| SavedModel, C++ | failed: INTERNAL: it broke |", result.stdout)
        self.assertRegex(result.stdout, r"\| SavedModel, Python \| \d")
        self.assertNotIn("at last", result.stdout)
        found = json.loads((self.output / "parity.json").read_text(encoding="utf-8"))
        self.assertEqual(
            found["runtimes"][2]["faults"], ["SavedModel, C++: INTERNAL: it broke\nat last"]
        )

    def test_a_defect_of_this_program_keeps_its_traceback(self):
        for defect in (ValueError("it is wrong"), RuntimeError("it is wrong")):
            with self.assertRaisesRegex(type(defect), "it is wrong"):
                verify._checked(mock.Mock(), mock.Mock(side_effect=defect))

    def test_a_conversion_that_fails_is_a_row_beside_the_others(self):
        def convert(version, path, *, quantize, **pairs):
            if quantize == "none":
                raise InputError("the converter broke")
            if quantize == "float16":
                raise OSError("No space left on device")
            path.write_bytes(b"no model")

        no_tfjs = InputError("TF.js has not that")
        with mock.patch.object(tflite, "convert", convert):
            with mock.patch.object(tfjs_model, "convert", side_effect=no_tfjs):
                with mock.patch.object(tfjs_node, "find_node"):
                    with mock.patch.object(tfjs_browser, "find_chromium"):
                        result = self.verify(*(f"--runtimes={name}" for name in verify.RUNTIMES))
        self.assert_found(
            result,
            "TFLite none: the converter broke",
            "TFLite float16: No space left on device",
            *(
                f"TFLite {kind}: '{self.output}/models/{kind}.tflite' cannot be loaded by LiteRT"
                for kind in ("dynamic", "int8")
            ),
            *(f"TF.js {kind}, Node wasm: TF.js has not that" for kind in limits.TFJS),
            "TF.js none, Chromium wasm: TF.js has not that",
        )
        self.assertEqual(result.stdout.count("FAILED"), 8)
        self.assertRegex(result.stdout, r"\| SavedModel, C\+\+ \| \d")
        self.assertIn("| TFLite none | failed: the converter broke |", result.stdout)

    def test_a_saved_model_that_does_not_load_is_told_for_each_check(self):
        with mock.patch.object(exported, "load", side_effect=InputError("it is damaged")):
            result = self.verify()
        self.assert_found(result, "SavedModel, Python: it is damaged")
        # As a runtime, in a batch with a stranger, and loaded anew.
        self.assertEqual(result.stdout.count("FAILED: SavedModel, Python: it is damaged"), 3)
        self.assertRegex(result.stdout, r"\| SavedModel, C\+\+ \| \d")

    def test_converted_models_one_at_a_time(self):
        """TFLite and TF.js for real, and no model is in the memory beside another."""
        models = []

        def assert_alone():
            self.assertEqual([model() for model in models], [None] * len(models))

        def watched(load):
            def watch(*arguments, **options):
                assert_alone()
                model = load(*arguments, **options)
                models.append(weakref.ref(model))
                return model

            return watch

        def float32_of(table):
            return mock.patch.dict(table, {"none": table["none"]}, clear=True)

        is_node_there = True
        try:
            browser_tools.node()
        except unittest.SkipTest:
            is_node_there = False
        with contextlib.ExitStack() as stack:
            for patch in (
                float32_of(limits.TFLITE),
                float32_of(limits.TFJS),
                mock.patch.object(tflite, "_run", tiny_tflite.run_here),
                mock.patch.object(exported, "load", watched(exported.load)),
                mock.patch.object(cpp_session, "CppSession", watched(cpp_session.CppSession)),
                mock.patch.object(litert, "LiteRtModel", watched(litert.LiteRtModel)),
            ):
                stack.enter_context(patch)
            result = self.verify("--runtimes=tflite", *["--runtimes=node"] * is_node_there)
        self.assertEqual(result.exit_code, 0, result.stdout + result.stderr)
        found = json.loads((self.output / "parity.json").read_text(encoding="utf-8"))
        names = [row["name"] for row in found["runtimes"][3:]]
        self.assertEqual(names, ["TFLite none", "TF.js none, Node wasm"][: 1 + is_node_there])
        with Image.open(self.output / "parity.png") as picture:  # Four runtimes in a row.
            height = (1 + is_node_there) * (22 + 4 * (32 + 4) - 4)
            self.assertEqual(picture.size, (5 * 32 + 4 * 4, height))
        # Python's, C++, the file at its conversion and after it, and Python's three times again.
        self.assertLen(models, 7)
        gc.collect()
        assert_alone()

    def test_models_of_an_earlier_run_make_room_and_nothing_else_does(self):
        models = self.output / "models"
        parity_models.make_room(models)
        for name in ("saved_model/1/old", "saved_model/7/old", "tfjs_none/old", "int8.tflite/old"):
            (models / name).parent.mkdir(parents=True)
            (models / name).touch()
        kept = [models / "mine.txt", models / "mine" / "model.tflite", self.output / "mine.tflite"]
        for path in kept:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        parity_models.make_room(models)
        for path in kept:
            self.assertTrue(path.exists(), path)
        self.assertEqual(list(models.rglob("old")), [])

    def test_a_folder_that_it_has_not_made_is_refused(self):
        theirs = self.output / "models" / "saved_model" / "1" / "saved_model.pb"
        theirs.parent.mkdir(parents=True)
        theirs.touch()
        result = self.verify()
        self.assertEqual(result.exit_code, 2)
        self.assertRegex(result.stderr, "^error: '.*/models' holds files that this command has not")
        self.assertTrue(theirs.exists())

    def test_without_litert_it_says_so_before_anything_is_made(self):
        with mock.patch.object(litert, "Interpreter", tf.lite.Interpreter):
            result = self.verify("--runtimes=tflite")
            self.assertEqual(result.exit_code, 2)
            self.assertStartsWith(result.stderr, "error: LiteRT is not installed")
            self.assertIn("-m pip install 'ai-edge-litert", result.stderr)
            self.assertEqual(list(self.output.iterdir()), [])

    def test_what_is_missing_can_be_left_out(self):
        without_node = mock.patch.object(
            tfjs_node, "find_node", side_effect=MissingInputError("There is no Node.")
        )
        without_chromium = mock.patch.object(
            tfjs_browser, "find_chromium", side_effect=MissingInputError("There is no Chromium.")
        )
        with without_node, without_chromium:
            for wanted, message in (
                (
                    ["cpp", "node", "chromium"],
                    "There is no Node. Or leave node and chromium out: --runtimes=cpp",
                ),
                (["node"], "There is no Node. Or leave node out: --runtimes=cpp"),
            ):
                result = self.verify(*(f"--runtimes={name}" for name in wanted))
                self.assertEqual((result.exit_code, result.stderr), (2, f"error: {message}\n"))
        there = mock.patch.object(tfjs_node, "find_node")
        with there, without_chromium, mock.patch.object(litert, "check_installed"):
            with self.assertRaisesRegex(
                MissingInputError,
                "There is no Chromium. Or leave chromium out: --runtimes=tflite --runtimes=node$",
            ):
                verify._check_installed(["tflite", "chromium", "node"])

    def test_without_the_pairs_of_the_training_it_says_how_to_name_others(self):
        run_folder = self.output.parent / "run"
        tiny_runs.write_run(run_folder, dataset="/not/on/this/machine")
        result = self.verify(f"--workdir={run_folder}")
        self.assertEqual(result.exit_code, 2)
        self.assertStartsWith(
            result.stderr, "error: The images to compare with are not available: "
        )
        self.assertIn("/not/on/this/machine", result.stderr)
        self.assertIn("Or name others with --dataset and --data_dir.", result.stderr)

    def test_int8_is_calibrated_with_the_pairs_that_were_named(self):
        pairs_named = dict(dataset="demo", data_dir="there")
        with mock.patch.object(tflite, "convert") as convert:
            for subject in parity_models.subjects(
                self.run_folder, self.output, ["tflite"], num_threads=1, **pairs_named
            ):
                subject.convert()
        convert.assert_called_with(
            self.run_folder, self.output / "int8.tflite", quantize="int8", **pairs_named
        )

    def test_a_run_that_cannot_be_used_costs_no_earlier_models(self):
        model = self.output / "models" / "none.tflite"
        parity_models.make_room(model.parent)
        model.touch()
        result = self.verify("--checkpoint=12345")
        self.assertEqual(result.exit_code, 2, result.stdout)
        self.assertTrue(model.exists())

    def test_noise_of_another_mean_or_strength(self):
        random = np.random.RandomState(0)
        expected = random.normal(0.0, 1.0, [64, 8, 8, 3])
        # Of int8 a shift is expected, of float32 none.
        for limit, shift, strength, found in (
            (limits.EXACT, 0.0, 1.0, None),
            (limits.EXACT, 1.0, 1.0, "the mean over draws is off by"),
            (limits.EXACT, 0.0, 0.6, "the noise is 0.6"),
            (limits.EXACT, 0.0, 2.0, "the noise is 2."),
            (limits.Limit(mean=9.0, max=9.0, mean_shift=0.0), 0.5, 1.0, "the mean over draws"),
            (limits.Limit(mean=0.0, max=0.0, mean_shift=0.5), 0.5, 1.0, None),
        ):
            row = verify._noise_row(random.normal(shift, strength, [64, 8, 8, 3]), expected)
            faults = verify._noise_faults({**row, "name": "x", "distinct_draws": 64}, limit)
            self.assertLen(faults, 1 if found else 0)
            if found:
                self.assertStartsWith(faults[0], f"x: {found}")

    def test_a_model_without_noise_on_other_pairs(self):
        run_folder = self.output.parent / "run"
        tiny_runs.write_run(run_folder, dropout=0.0, dataset="/not/on/this/machine")
        flags = (f"--workdir={run_folder}", "--num_images=1", "--num_draws=2")
        subjects = parity_models.subjects
        with mock.patch.object(parity_models, "subjects", side_effect=subjects) as compared:
            result = self.verify(*flags, "--dataset=demo", "--data_dir=there")
        self.assertEqual(result.exit_code, 0, result.stdout + result.stderr)
        self.assertEqual(
            compared.call_args.kwargs, dict(num_threads=2, dataset="demo", data_dir="there")
        )
        self.assertRegex(result.stdout, r"\| SavedModel, C\+\+ \| .* \| none \| none \|\n")

    def test_noise_of_a_model_without_noise(self):
        runtime = mock.Mock(limit=limits.EXACT, megabytes=1.0)
        runtime.name = "x"
        images = [tiny_runs.random_image(1, 8, 8, 3)]
        draws = np.repeat(images[0], 3, axis=0)
        right = verify._Measured(images, [1.0], draws)
        self.assertEqual(verify._row(runtime, right, right, noise_size=0)["faults"], [])
        spoilt = draws.copy()
        spoilt[2, 0, 0, 0] += 1e-6
        row = verify._row(runtime, verify._Measured(images, [1.0], spoilt), right, noise_size=0)
        self.assertEqual(
            row["faults"], ["x: the model has no noise, and calls of serving_default differ"]
        )

    def test_numbers_that_are_not_finite_are_null(self):
        result = dict(runtimes=[dict(mean=float("nan"), max=float("inf"), limit=0.5, step=None)])
        self.assertEqual(
            json.loads(verify._json(result), parse_constant=self.fail),
            dict(runtimes=[dict(mean=None, max=None, limit=0.5, step=None)]),
        )


if __name__ == "__main__":
    tf.test.main()
