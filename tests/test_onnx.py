"""Tests of `export.onnx`: the file, what it keeps of the model, and what is refused."""

from __future__ import annotations

import json
import os
import sys
from unittest import mock

import command_line
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

from export.onnx import __main__ as command  # noqa: E402
from export.onnx import conversion, session  # noqa: E402
from export.parity import limits  # noqa: E402
from pix2pix_tf import serving  # noqa: E402

SIZE = tiny_runs.CROP_SIZE


class OnnxTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.model = tiny_runs.shared_model()
        cls.version = tiny_runs.shared_version()
        cls.path = cls.folder / "with_noise.onnx"
        flags = (f"--saved_model={cls.version.parent}", f"--output={cls.path}")
        cls.result = command_line.run(command, *flags)
        cls.image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        cls.z = tiny_runs.random_noise(1, cls.model.noise_size)

    def test_the_command_says_what_it_wrote(self):
        self.assertEqual((self.result.exit_code, self.result.stderr), (0, ""))
        self.assertIn(str(self.path), self.result.stdout)

    def test_output_is_the_models(self):
        output = session.run(session.open_session(self.path), dict(image=self.image, z=self.z))
        expected = self.model.translate_with_noise(self.image, self.z)
        self.assertAllClose(output, expected, atol=limits.EXACT.max)
        # Of other noise, another picture.
        other = self.model.translate_with_noise(self.image, 1 - self.z)
        self.assertGreater(np.abs(other - expected).max(), 10 * limits.EXACT.max)

    def test_statistics_are_those_of_the_image(self):
        """PyTorch's own exports fold those of the training into the kernels."""
        opened = session.open_session(self.path)
        for gain in (0.1, 1.0):
            image = gain * self.image
            output = session.run(opened, dict(image=image, z=self.z))
            expected = self.model.translate_with_noise(image, self.z)
            self.assertAllClose(output, expected, atol=limits.EXACT.max)

    def test_what_is_in_the_file(self):
        model = onnx.load(str(self.path))
        onnx.checker.check_model(model, full_check=True)
        self.assertGreaterEqual(model.opset_import[0].version, 17)
        names = [[value.name for value in x] for x in (model.graph.input, model.graph.output)]
        self.assertEqual(names, [["image", "z"], ["output"]])
        (entry,) = [x for x in model.metadata_props if x.key == conversion.CARD]
        card = json.loads(entry.value)
        self.assertEqual(card["noise_size"], self.model.noise_size)
        self.assertNotIn("BatchNormalization", {node.op_type for node in model.graph.node})

    def test_noise_of_its_own_differs_at_each_call_and_in_each_process(self):
        path = self.folder / "serving_default.onnx"
        difference = conversion.convert(self.version, path, signature="serving_default")
        self.assertLess(difference["max"], limits.EXACT.max)
        draws = []
        for _ in range(2):
            opened = session.open_session(path)
            self.assertEqual([value.name for value in opened.get_inputs()], ["image"])
            draws += [session.run(opened, dict(image=self.image)) for _ in range(2)]
        for first in range(4):
            for second in range(first):
                self.assertNotAllClose(draws[first], draws[second], atol=1e-3)

    def test_any_size(self):
        path = self.folder / "dynamic.onnx"
        conversion.convert(self.version, path, size="dynamic")
        opened = session.open_session(path)
        for batch, height, width in ((1, SIZE, SIZE), (2, SIZE + 3, 2 * SIZE)):
            image = tiny_runs.random_image(batch, height, width, 3)
            z = tiny_runs.random_noise(batch, self.model.block.noise_size_of(height, width))
            expected = self.model.translate_with_noise(image, z)
            self.assertAllClose(
                session.run(opened, dict(image=image, z=z)), expected, atol=limits.EXACT.max
            )

    def test_float16_halves_the_file(self):
        path = self.folder / "float16.onnx"
        difference = conversion.convert(self.version, path, quantize="float16")
        self.assertGreater(difference["mean"], 0)
        self.assertLess(difference["mean"], limits.ONNX["float16"].mean)
        types = {
            x.data_type for x in onnx.load(str(path)).graph.initializer if np.prod(x.dims) > 2000
        }
        self.assertEqual(types, {onnx.TensorProto.FLOAT16})

    def test_without_dropout(self):
        run = self.folder / "run"
        tiny_runs.write_run(run, dropout=0.0)
        path = self.folder / "plain.onnx"
        conversion.convert(run, path, signature="serving_default")  # A run folder will do.
        opened = session.open_session(path)
        outputs = [session.run(opened, dict(image=self.image)) for _ in range(2)]
        self.assertAllEqual(*outputs)

    def test_a_wrong_file_is_not_given_out(self):
        path = self.folder / "wrong.onnx"
        with mock.patch.object(serving.ServingModel, "translate", _dimmed):
            flags = (f"--saved_model={self.version}", f"--output={path}")
            command_line.run(command, *flags).check_refused("differ", "1e-05")
        self.assertFalse(path.exists())

    def test_what_is_missing_is_told(self):
        with mock.patch.dict(sys.modules, {"tf2onnx": None}):
            flags = (f"--saved_model={self.version}", f"--output={self.folder / 'no.onnx'}")
            command_line.run(command, *flags).check_refused("tf2onnx", "pip install")

    def test_a_folder_in_its_place(self):
        flags = (f"--saved_model={self.version}", f"--output={self.folder}")
        command_line.run(command, *flags).check_refused(os.fspath(self.folder))


_translate = serving.ServingModel.translate


def _dimmed(self, image, z):
    return 0.9 * _translate(self, image, z)
