"""Tests of `export.verify`: what agrees passes, and each way of spoiling an export is found.

One test takes a real model through real runtimes. What the comparison finds is tried on
networks in NumPy, which take the places of Keras' and the SavedModel's.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import pathlib
import shutil
import weakref
from unittest import mock

import browser_tools
import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from export import cpp_session, verify
from export.browser import programs
from export.onnx import conversion as onnx_conversion
from export.parity import limits, measuring, runtimes, saved_model, verification
from export.tfjs import conversion as tfjs_conversion
from export.tflite import conversion as tflite_conversion
from export.tflite import litert
from pix2pix_tf import serving
from pix2pix_tf.errors import InputError
from pix2pix_tf.inference import exported

_CARD = dict(step=7, config=dict(crop_size=32), versions={})


def network(image: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Normalises, by each image's own statistics as they should be, and has noise."""
    axes = (1, 2)
    normalized = (image - image.mean(axes, keepdims=True)) / image.std(axes, keepdims=True)
    return np.tanh(normalized + 2 * z[:, :1].sum(axis=1)[:, None, None, None])


def without_noise(image: np.ndarray, z: np.ndarray) -> np.ndarray:
    return network(image, z[:, :0])


def fake(
    name: str, computes=network, *, kind="cpp", repeats_noise=False, **options
) -> runtimes.Runtime:
    """Returns a runtime that computes with NumPy."""
    numbers = itertools.count()

    @contextlib.contextmanager
    def opened(path, settings):
        loaded = 0 if repeats_noise else next(numbers)
        # Of each runtime other noise, and each time that it is loaded.
        random = np.random.default_rng([loaded, *name.encode()])

        def call(signature, inputs):
            z = inputs["z"] if "z" in inputs else random.random((1, 1), np.float32)
            return computes(inputs["image"], z)

        yield runtimes.timed(call)

    return runtimes.Runtime(name, kind, limits.EXACT, opened, takes_batches=True, **options)


class VerifyTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.run_folder = tiny_runs.shared_run()
        self.output = tiny_runs.temporary_folder(self) / "parity"

    def verify(self, *flags: str) -> command_line.Result:
        return command_line.run(
            verify,
            f"--workdir={self.run_folder}",
            f"--output={self.output}",
            *("--runtimes=cpp", "--num_images=2", "--repeat=1", "--num_draws=16"),
            *flags,
        )

    def verify_fakes(
        self, *flags: str, reference=network, python=network, cpp=None
    ) -> command_line.Result:
        """Verifies networks in NumPy as the SavedModel's Python and C++ forms."""
        python_runtime = fake("SavedModel, Python", python)
        cpp_runtime = cpp or fake("SavedModel, C++", python)
        with contextlib.ExitStack() as stack:
            for target, name, value in (
                (verification, "keras", lambda _: fake("Keras", reference)),
                (serving, "save_version", lambda *_, **__: pathlib.Path(__file__)),
                (serving, "read_model_card", lambda _: _CARD),
                (saved_model, "PYTHON", python_runtime),
            ):
                stack.enter_context(mock.patch.object(target, name, value))
            stack.enter_context(
                mock.patch.dict(runtimes._REGISTERED, {cpp_runtime.name: cpp_runtime})
            )
            return self.verify(*flags)

    def read_results(self) -> dict:
        return json.loads((self.output / "parity.json").read_text(encoding="utf-8"))

    def assert_found(self, result: command_line.Result, *expected: str) -> None:
        self.assertEqual(result.exit_code, verify.EXIT_DIFFERS, result.stdout + result.stderr)
        for text in expected:
            self.assertIn(f"FAILED: {text}", result.stdout)

    def test_an_export_that_is_right(self):
        """All runtimes but Chromium, for real; no model is in the memory beside another."""
        browser_tools.node()
        models, exported_before = [], tiny_runs.shared_version()

        def assert_alone():
            self.assertEqual([model() for model in models], [None] * len(models))

        def watched(load):
            def watch(*arguments, **options):
                assert_alone()
                model = load(*arguments, **options)
                models.append(weakref.ref(model))
                return model

            return watch

        float32 = ("ONNX none", "SavedModel, C++", "TFLite none", "TF.js none, Node wasm")
        compared = {x.name: x for x in runtimes.registered() if x.name in float32}

        def save_version(workdir, folder, **chosen):  # Which takes longer than all else.
            self.assertEqual(workdir, self.run_folder)
            self.assertEqual(chosen, dict(checkpoint="newest", weights="average"))
            return pathlib.Path(shutil.copytree(exported_before, folder / "1"))

        load, litert_model = exported.load, litert.LiteRtModel

        def apart(convert):  # Which compares two models.
            def convert_apart(*arguments, **options):
                with mock.patch.object(exported, "load", load):
                    with mock.patch.object(litert, "LiteRtModel", litert_model):
                        return convert(*arguments, **options)

            return convert_apart

        with contextlib.ExitStack() as stack:
            for patch in (
                mock.patch.object(serving, "save_version", save_version),
                *(
                    mock.patch.object(module, "convert", apart(module.convert))
                    for module in (tflite_conversion, onnx_conversion)
                ),
                mock.patch.dict(runtimes._REGISTERED, compared, clear=True),
                mock.patch.object(exported, "load", watched(exported.load)),
                mock.patch.object(cpp_session, "CppSession", watched(cpp_session.CppSession)),
                mock.patch.object(litert, "LiteRtModel", watched(litert.LiteRtModel)),
            ):
                stack.enter_context(patch)
            result = self.verify(*(f"--runtimes={x}" for x in ("onnx", "tflite", "node")))
        self.assertEqual(result.exit_code, 0, result.stdout + result.stderr)
        found = self.read_results()
        converted = ["TF.js none, Node wasm", "TFLite none"]
        names = ["Keras, training=True", "SavedModel, Python", "ONNX none", "SavedModel, C++"]
        names += converted
        self.assertEqual([row["name"] for row in found["runtimes"]], names)
        for row in found["runtimes"][1:]:
            self.assertLess(row["max_difference"], 1e-4)
            self.assertGreater(row["spread"], 1e-3)
            self.assertGreater(row["megabytes"], 0.01)
            self.assertLess(row["mean_shift"], 2 * row["sampling_error"])
        self.assertEqual(found["num_images"], 2)
        table = (self.output / "parity.md").read_text(encoding="utf-8")
        for name in names:
            self.assertIn(f"| {name} |", table)
        with Image.open(self.output / "parity.png") as picture:  # The input and six runtimes.
            self.assertEqual(picture.size, (7 * 32 + 6 * 4, 22 + 4 * (32 + 4) - 4))
        self.assertLen(models, 6)  # Each of three, loaded twice.
        gc.collect()
        assert_alone()

    @parameterized.named_parameters(
        (
            "frozen_statistics",
            lambda image, z: np.tanh((image - 0.1) / 0.9 + 2 * z[:, :1, None, None]),
            "max diff",
        ),
        ("not_a_number", lambda *inputs: network(*inputs) * np.nan, "mean difference nan"),
        ("swapped_channels", lambda *inputs: network(*inputs)[..., ::-1], "mean diff"),
        ("dropped_dropout", without_noise, "all calls of serving_default give the same picture"),
        (
            "statistics_of_the_batch",
            lambda image, z: network(image, z) + (len(image) > 1) * image[::-1] * 1e-3,
            "another image in the same batch changes the output",
        ),
        ("weaker_noise", lambda image, z: network(image, z / 2), "the noise is 0."),
    )
    def test_spoilt_models(self, spoilt, fault):
        result = self.verify_fakes(python=spoilt)
        self.assert_found(result, f"SavedModel, Python: {fault}", f"SavedModel, C++: {fault}")

    def test_noise_that_is_the_same_after_each_loading(self):
        result = self.verify_fakes(cpp=fake("SavedModel, C++", repeats_noise=True))
        self.assert_found(result, "SavedModel, C++: a freshly loaded model repeats its noise")
        self.assertNotIn("FAILED: SavedModel, Python", result.stdout)

    def test_a_runtime_that_fails_is_a_row_beside_the_others(self):
        fault = cpp_session.CppError("INTERNAL", "it broke\nat last")
        result = self.verify_fakes(cpp=fake("SavedModel, C++", mock.Mock(side_effect=fault)))
        self.assert_found(result, "SavedModel, C++: INTERNAL: it broke\\nat last")
        self.assertIn("| SavedModel, C++ | failed: SavedModel, C++: INTERNAL: ", result.stdout)
        self.assertRegex(result.stdout, r"\| SavedModel, Python \| \d")
        (fault,) = self.read_results()["runtimes"][2]["faults"]
        self.assertEndsWith(fault, "it broke\nat last")
        damaged = mock.Mock(side_effect=InputError("it is damaged"))
        result = self.verify_fakes(python=damaged, cpp=fake("SavedModel, C++"))
        self.assertEqual(result.stdout.count("FAILED: SavedModel, Python: it is damaged"), 1)
        self.assertRegex(result.stdout, r"\| SavedModel, C\+\+ \| \d")

    @parameterized.parameters(ValueError("it is wrong"), RuntimeError("it is wrong"))
    def test_a_defect_of_this_program_keeps_its_traceback(self, defect):
        with self.assertRaisesRegex(type(defect), "it is wrong"):
            self.verify_fakes(python=mock.Mock(side_effect=defect))

    def test_a_conversion_that_fails_is_a_row_beside_the_others(self):
        def convert(version, path, *, quantize, **pairs):
            if quantize == "none":
                raise InputError("the converter broke")
            if quantize == "float16":
                raise OSError("No space left on device")
            path.write_bytes(b"no model")

        with contextlib.ExitStack() as stack:
            for patch in (
                mock.patch.object(tflite_conversion, "convert", convert),
                mock.patch.object(tfjs_conversion, "convert", side_effect=InputError("not that")),
                mock.patch.object(onnx_conversion, "convert", side_effect=InputError("nor that")),
                mock.patch.object(programs, "find_node"),
                mock.patch.object(programs, "find_chromium"),
            ):
                stack.enter_context(patch)
            result = self.verify_fakes(*(f"--runtimes={kind}" for kind in verification.kinds()))
        self.assert_found(
            result,
            "TFLite none: the converter broke",
            "LiteRT.js none, Chromium wasm: the converter broke",
            "TFLite float16: No space left on device",
            f"TFLite dynamic: '{self.output}/",
            f"TFLite int8: '{self.output}/",
            *(f"TF.js {kind}, Node wasm: not that" for kind in limits.TFJS),
            "TF.js none, Chromium wasm: not that",
            *(f"ONNX {kind}: nor that" for kind in limits.ONNX),
        )
        self.assertEqual(result.stdout.count("FAILED"), 11)
        self.assertRegex(result.stdout, r"\| SavedModel, C\+\+ \| \d")

    def test_a_format_that_is_registered_elsewhere_has_a_row(self):
        written = []

        def convert(version, path, settings):
            path.touch()
            written.append((path.name, version.name, settings.dataset))

        twin = fake("Abacus", kind="abacus", file="model.beads", convert=convert)
        with mock.patch.dict(runtimes._REGISTERED):
            runtimes.register(twin)
            result = self.verify_fakes("--runtimes=abacus", "--dataset=demo")
        self.assertEqual(result.exit_code, 0, result.stdout)
        self.assertRegex(result.stdout, r"\| Abacus \| \d")
        self.assertEqual(written, [("model.beads", pathlib.Path(__file__).name, "demo")])
        names = ["parity.json", "parity.md", "parity.png"]
        self.assertEqual(tiny_runs.names_in(self.output), names)  # No models are left.

    def test_what_is_missing_is_said_before_anything_is_made(self):
        with mock.patch.object(litert, "Interpreter", tf.lite.Interpreter):
            result = self.verify("--runtimes=tflite")
        result.check_refused("-m pip install 'ai-edge-litert", "leave tflite out")
        self.assertFalse(self.output.exists())

    def test_without_the_pairs_of_the_training_it_says_how_to_name_others(self):
        self.run_folder = self.output.parent / "run"
        tiny_runs.write_run(self.run_folder, dataset="/not/on/this/machine")
        result = self.verify()
        result.check_refused("/not/on/this/machine", "--dataset", "--data_dir")

    def test_a_model_without_noise_on_other_pairs(self):
        self.run_folder = self.output.parent / "run"
        tiny_runs.write_run(self.run_folder, dropout=0.0, dataset="/not/on/this/machine")
        result = self.verify_fakes(
            "--dataset=demo",
            reference=without_noise,
            python=without_noise,
            cpp=fake("SavedModel, C++"),
        )
        self.assertRegex(result.stdout, r"\| SavedModel, Python \| .* \| none \| none \|\n")
        # A runtime that draws noise all the same.
        self.assert_found(result, "SavedModel, C++: the model has no noise")
        self.assertNotIn("FAILED: SavedModel, Python", result.stdout)

    def test_int8_is_calibrated_with_the_pairs_that_were_named(self):
        pairs_named = dict(dataset="demo", data_dir="there")
        settings = runtimes.Settings(**pairs_named)
        (int8,) = (x for x in runtimes.registered() if x.name == "TFLite int8")
        with mock.patch.object(tflite_conversion, "convert") as convert:
            int8.convert(self.run_folder, self.output, settings)
        convert.assert_called_with(self.run_folder, self.output, quantize="int8", **pairs_named)

    def test_noise_of_another_mean_or_strength(self):
        random = np.random.RandomState(0)
        expected = random.normal(0.0, 1.0, [64, 8, 8, 3])
        for shift, strength, allowed_shift, found in (
            (0.0, 1.0, 0.0, []),
            (1.0, 1.0, 0.0, ["the mean over draws is off by"]),
            (0.0, 0.6, 0.0, ["the noise is 0.6"]),
            (0.0, 2.0, 0.0, ["the noise is 2."]),
            (0.5, 1.0, 0.5, []),  # Of int8 a shift is expected.
        ):
            draws = random.normal(shift, strength, [64, 8, 8, 3])
            values = measuring.noise_values(draws, expected)
            limit = limits.Limit(mean=0.0, max=0.0, mean_shift=allowed_shift)
            faults = measuring.noise_faults(dict(values, distinct_draws=64), limit)
            self.assertLen(faults, len(found))
            for fault, expected_fault in zip(faults, found):
                self.assertStartsWith(fault, expected_fault)
