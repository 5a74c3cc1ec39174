"""Tests of the TF.js export: the files, and that TF.js gives what the SavedModel gives."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import re
from unittest import mock

import browser_tools
import command_line
import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from export import frozen_graph, image_size
from export.browser import programs
from export.errors import ModelError
from export.tfjs import __main__ as tfjs
from export.tfjs import conversion, subpixel, weights
from pix2pix_tf import networks, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, WriteError
from pix2pix_tf.inference import exported
from pix2pix_tf.models import convolutions

SIZE = tiny_runs.CROP_SIZE
# Largest difference from the SavedModel. float32: the order of sums. The others: kernels of this
# network, of all sizes alike, rounded to 11 bits and to 8; tanh's output goes from -1 to 1.
LIMITS = {"none": 1e-4, "float16": 5e-3, "uint8": 0.2}


def read_model(folder: pathlib.Path, signature: str) -> dict:
    return json.loads((folder / signature / "model.json").read_text(encoding="utf-8"))


def ops_of(model: dict) -> set[str]:
    return {node["op"] for node in model["modelTopology"]["node"]}


def sizes_of(folder: pathlib.Path) -> list[int]:
    """Returns the sizes of the shards, in bytes."""
    return [path.stat().st_size for path in sorted((folder / "weights").iterdir())]


class ConvertTest(tf.test.TestCase, parameterized.TestCase):
    """One model in all forms."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.version = tiny_runs.shared_version()
        cls.card = serving.read_model_card(cls.version)
        cls.converted = dict(none=conversion.convert(cls.version, cls.folder / "none"))
        # Traced once for all conversions that differ in what is written.
        cls.portable = exported.portable_model(cls.version)
        cls.graphs = conversion.freeze(cls.portable, cls.card, signatures=["with_noise"])
        for quantize in ("float16", "uint8"):
            cls.converted[quantize] = cls.convert_again(cls.folder / quantize, quantize=quantize)
        cls.any_size = cls.folder / "any"
        cls.write(cls.any_size, size=image_size.DYNAMIC)
        cls.signatures = tf.saved_model.load(str(cls.version)).signatures

    @classmethod
    def convert_again(cls, output: pathlib.Path, **options) -> pathlib.Path:
        with mock.patch.object(conversion, "freeze", return_value=cls.graphs):
            return conversion.convert(cls.version, output, **options)

    @classmethod
    def write(cls, folder: pathlib.Path, *, size) -> None:
        graphs = conversion.freeze(cls.portable, cls.card, size=size, signatures=["with_noise"])
        conversion.write(folder, graphs, cls.card, "none")

    def inputs(self, *, batch: int = 1, height: int = SIZE, width: int = SIZE) -> dict:
        crops = -(-height // SIZE) * -(-width // SIZE)
        return dict(
            image=tiny_runs.random_image(batch, height, width, 3),
            z=tiny_runs.random_noise(batch, crops * self.card["noise_size"]),
        )

    def expected(self, inputs: dict) -> np.ndarray:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        expected = self.signatures["with_noise"](**tensors)["output"]
        self.assertGreater(np.std(expected), 0.1)
        return expected

    def assert_same(
        self, folder: pathlib.Path, inputs: dict, *, backend: str = "wasm", limit=LIMITS["none"]
    ):
        (output,), _ = programs.run_tfjs(folder, "with_noise", inputs, backend=backend)
        self.assertAllClose(output, self.expected(inputs), rtol=0, atol=limit)

    @parameterized.parameters(("none", "wasm"), ("float16", "wasm"), ("uint8", "cpu"))
    def test_the_same_picture_in_node(self, quantize, backend):
        browser_tools.node()
        self.assert_same(
            self.converted[quantize], self.inputs(), backend=backend, limit=LIMITS[quantize]
        )

    def test_the_same_picture_in_chromium_run_by_run(self):
        browser_tools.chromium()
        browser_tools.node()
        inputs = self.inputs()
        outputs, milliseconds = programs.run_tfjs(
            self.converted["none"], "with_noise", inputs, program=programs.CHROMIUM, repeat=2
        )
        self.assertEqual((outputs.shape, len(milliseconds)), ((2, 1, SIZE, SIZE, 3), 2))
        for output in outputs:
            self.assertAllClose(output, self.expected(inputs), rtol=0, atol=LIMITS["none"])
        with self.assertRaisesRegex(ModelError, "TF.js in Chromium, .*image"):
            programs.run_tfjs(
                self.converted["none"], "serving_default", {}, program=programs.CHROMIUM
            )

    def test_a_batch_of_another_size(self):
        browser_tools.node()
        self.assert_same(self.any_size, self.inputs(batch=2, height=40, width=70))

    def test_another_size_known_beforehand_in_shards(self):
        browser_tools.node()
        folder = tiny_runs.temporary_folder(self) / "model"
        with mock.patch.object(weights, "SHARD_BYTES", 5000):
            self.write(folder, size=(40, 70))
        self.assertGreater(len(sizes_of(folder)), 3)
        self.assertEqual(max(sizes_of(folder)), 5000)
        self.assertNoCommonElements(
            ops_of(read_model(folder, "with_noise")), ["Shape", "Range", "FloorMod"]
        )
        self.assert_same(folder, self.inputs(height=40, width=70))

    def test_serving_default_draws_its_noise(self):
        browser_tools.node()
        inputs = dict(image=self.inputs()["image"])
        (first, second), _ = programs.run_tfjs(
            self.converted["none"], "serving_default", inputs, repeat=2
        )
        self.assertEqual(first.shape, (1, SIZE, SIZE, 3))
        self.assertGreater(np.abs(first - second).max(), 0.1)

    def test_model_json_names_what_goes_in_and_out(self):
        for folder, batch, size, noise in (
            (self.converted["none"], 1, SIZE, self.card["noise_size"]),
            (self.any_size, -1, -1, -1),
        ):
            model = read_model(folder, "with_noise")
            self.assertEqual(model["format"], "graph-model")
            shapes = {
                name: [int(side["size"]) for side in described["tensorShape"]["dim"]]
                for side in ("inputs", "outputs")
                for name, described in model["signature"][side].items()
            }
            image = [batch, size, size, 3]
            self.assertEqual(shapes, dict(image=image, z=[batch, noise], output=image))
            self.assertEqual(model["signature"]["inputs"]["z"]["dtype"], "DT_FLOAT")
        default = read_model(self.converted["none"], "serving_default")
        self.assertEqual(list(default["signature"]["inputs"]), ["image"])

    def test_the_model_card_goes_along(self):
        for quantize, folder in self.converted.items():
            metadata = read_model(folder, "with_noise")["userDefinedMetadata"]
            self.assertEqual(metadata.pop("tfjs"), dict(quantize=quantize))
            self.assertEqual(metadata, self.card)

    def test_signatures_share_their_weights(self):
        folder = self.converted["none"]
        manifests = [read_model(folder, name)["weightsManifest"] for name in image_size.SIGNATURES]
        self.assertEqual(*manifests)
        self.assertEqual(manifests[0][0]["paths"], ["../weights/group1-shard1of1.bin"])
        names = [entry["name"] for entry in manifests[0][0]["weights"]]
        self.assertLen(set(names), len(names))
        parameters = sum(weight.size for weight in exported.read_weights(self.version))
        self.assertBetween(sum(sizes_of(folder)), 4 * parameters, 4 * parameters + 4096)

    def test_kernels_are_quantised_and_nothing_else(self):
        sizes = {quantize: sum(sizes_of(folder)) for quantize, folder in self.converted.items()}
        self.assertLess(sizes["float16"], 0.6 * sizes["none"])
        self.assertLess(sizes["uint8"], 0.35 * sizes["none"])
        for group in read_model(self.converted["uint8"], "with_noise")["weightsManifest"]:
            for entry in group["weights"]:
                self.assertEqual("quantization" in entry, len(entry["shape"]) == 4, entry)

    @parameterized.parameters(
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), WriteError, "'{output}'.*No space"),
    )
    def test_failing_leaves_nothing(self, fault, expected, message):
        output = tiny_runs.temporary_folder(self) / "model"
        with mock.patch.object(json, "dumps", side_effect=fault):
            with self.assertRaisesRegex(expected, message.format(output=re.escape(str(output)))):
                self.convert_again(output)
        self.assertEqual(list(output.parent.iterdir()), [])

    def test_what_tfjs_would_compute_wrongly_is_refused(self):
        # The first with other statistics, or as NaN; the other slower than `subpixel` has it.
        self.assertNoCommonElements(conversion._RUNS, ["FusedBatchNormV3", "Conv2DBackpropInput"])
        with mock.patch.object(conversion, "_RUNS", conversion._RUNS - {"Tanh", "Mean"}):
            with self.assertRaisesRegex(InputError, "Mean, Tanh in with_noise"):
                conversion.freeze(self.portable, self.card, signatures=["with_noise"])


class OtherModelsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        dict(
            generator="encoder_decoder",
            input_channels=1,
            output_channels=4,
            norm="instance",
            bottleneck_norm=True,
        ),
        dict(norm="none", dropout=0.0),
    )
    def test_the_same_picture_in_tfjs(self, **settings):
        browser_tools.node()
        folder = tiny_runs.temporary_folder(self)
        config = TrainConfig(crop_size=SIZE, base_filters=2, **settings)
        generator = networks.build_generator(config)
        tiny_runs.set_weights(generator, seed=0)
        model = serving.ServingModel(
            config, generator.get_weights(), formulation=convolutions.PORTABLE
        )
        inputs = dict(
            image=tiny_runs.random_image(1, SIZE, SIZE, config.input_channels),
            z=tiny_runs.random_noise(1, model.block.noise_size),
        )
        card = serving.model_card_of(model, folder, None)
        graphs = conversion.freeze(model, card, signatures=["with_noise"])
        conversion.write(folder / "tfjs", graphs, card, "none")
        expected = generator([inputs["image"], inputs["z"]], training=True)
        (output,), _ = programs.run_tfjs(folder / "tfjs", "with_noise", inputs)
        self.assertAllClose(output, expected, rtol=0, atol=LIMITS["none"])


class CommandTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def convert(self, *flags: str) -> command_line.Result:
        return command_line.run(
            tfjs, f"--saved_model={self.folder / 'in'}", f"--output={self.folder / 'out'}", *flags
        )

    def test_flags_reach_the_conversion(self):
        for given, expected in (
            ((), dict(quantize="none", size=None)),
            (("--quantize=uint8", "--size=64"), dict(quantize="uint8", size=(64, 64))),
            (("--size=64x32",), dict(quantize="none", size=(64, 32))),
            (("--size=dynamic",), dict(quantize="none", size="dynamic")),
        ):
            with mock.patch.object(conversion, "convert", return_value=self.folder) as convert:
                result = self.convert(*given)
            convert.assert_called_once_with(self.folder / "in", self.folder / "out", **expected)
            self.assertEqual(result.stdout, f"Wrote '{self.folder}', 0.0 MB.\n")

    def test_what_cannot_be_used(self):
        folder, output = self.folder / "in", self.folder / "out"
        card = json.dumps(dict(config=dict(crop_size=SIZE), step=None, noise_size=0))
        for prepare, part in (
            (lambda: None, f"'{folder}'"),
            (folder.mkdir, "saved_model.pb"),
            (lambda: (folder / "saved_model.pb").write_bytes(b"damaged"), "assets.extra"),
            (output.touch, f"'{output}'"),
            (output.unlink, "assets.extra"),
            ((folder / serving.MODEL_CARD).parent.mkdir, "assets.extra"),
            (lambda: (folder / serving.MODEL_CARD).write_text(card), f"'{folder}'"),
        ):
            prepare()
            result = self.convert()
            result.check_refused(part)


class WeightsTest(tf.test.TestCase):
    def test_uint8_keeps_zero_and_the_ends(self):
        value = np.linspace(-0.3, 1.7, 4 * 4 * 8, dtype=np.float32).reshape(4, 4, 8, 1)
        value[0, 0, 0, 0] = 0.0
        entry, contents = weights.encode("kernel", value, "uint8")
        scale, least = entry["quantization"]["scale"], entry["quantization"]["min"]
        steps = np.frombuffer(contents, np.uint8).reshape(value.shape)
        decoded = steps * scale + least  # As TF.js does.
        self.assertAllClose(decoded, value, rtol=0, atol=0.5001 * scale + 1e-7)
        self.assertEqual(decoded[0, 0, 0, 0], 0.0)
        self.assertAllClose(scale, 2.0 / 255, rtol=0.02)


def freeze(function, shape) -> frozen_graph.FrozenGraph:
    """Returns the graph of a function of one image."""
    spec = tf.TensorSpec(shape, tf.float32, name="image")
    named = tf.function(lambda *, image: {"output": function(image)})
    return frozen_graph.freeze(named.get_concrete_function(image=spec))


def run(graph: frozen_graph.FrozenGraph, image: np.ndarray) -> np.ndarray:
    """Returns what TensorFlow makes of a frozen graph."""
    graph_def = tf.compat.v1.GraphDef(node=graph.nodes)
    for node in graph_def.node:
        if node.op == "Const":
            value = tf.make_tensor_proto(graph.constants[node.name])
            node.attr["value"].tensor.CopyFrom(value)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        return session.run("output:0", {"image:0": image})


class FrozenGraphTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (lambda image: tf.stop_gradient(image) + tf.cast(tf.size(image), tf.float32), ["AddV2"]),
        (lambda image: tf.gather(image, 3 - tf.range(4), axis=1), ["GatherV2"]),
        # Large enough to be a weight, which is no matter of shapes.
        (lambda image: image + tf.reduce_sum(np.ones([100, 100], np.float32)), ["AddV2", "Sum"]),
        (lambda image: tf.split(image, 2, axis=2)[1], ["Split"]),
    )
    def test_only_what_the_image_changes_stays(self, function, ops):
        graph = freeze(function, [1, 4, 6, 3])
        found = [node.op for node in graph.nodes]
        kept = [op for op in found if op not in ("Const", "Placeholder", "Identity")]
        self.assertEqual(sorted(kept), ops)
        image = tiny_runs.random_image(1, 4, 6, 3)
        self.assertAllClose(run(graph, image), function(image), rtol=1e-5, atol=0)


class SubpixelTest(tf.test.TestCase, parameterized.TestCase):
    """The rewritten graph, run by TensorFlow, against the transposed convolution."""

    @parameterized.parameters((1, 1), (1, 5), (6, 3))
    def test_the_same_numbers(self, height, width):
        layer = keras.layers.Conv2DTranspose(
            3, 4, strides=2, padding="same", bias_initializer="ones"
        )
        image = tiny_runs.random_image(2, height, width, 5)
        expected = layer(image)
        graph = subpixel.rewrite(freeze(layer, [2, height, width, 5]))
        self.assertNotIn("Conv2DBackpropInput", {node.op for node in graph.nodes})
        self.assertAllClose(run(graph, image), expected, rtol=0, atol=1e-5)

    @parameterized.parameters(dict(kernel_size=3), dict(strides=1), dict(padding="valid"))
    def test_others_are_left_alone(self, **settings):
        settings = {**dict(kernel_size=4, strides=2, padding="same"), **settings}
        layer = keras.layers.Conv2DTranspose(2, **settings)
        layer(np.zeros((1, 4, 4, 3), np.float32))
        graph = subpixel.rewrite(freeze(layer, [1, 4, 4, 3]))
        self.assertIn("Conv2DBackpropInput", {node.op for node in graph.nodes})
