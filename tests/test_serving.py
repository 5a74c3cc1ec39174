"""Tests of `pix2pix_tf.serving`: what an exported model does, seen from outside Python's loader."""

from __future__ import annotations

import io
import re

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from export.cpp_session import CppError
from pix2pix_tf import networks, serving
from pix2pix_tf.config import TrainConfig

SIZE = tiny_runs.CROP_SIZE
SIGNATURES = ("serving_default", "with_noise", "encoded")


def decode(contents: bytes) -> np.ndarray:
    """Returns the pixels of a PNG, `[height, width, channels]`; not with TensorFlow."""
    with Image.open(io.BytesIO(contents)) as picture:
        if picture.format != "PNG":
            raise ValueError(f"Not a PNG: {picture.format}.")
        pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def random_pixels(height: int, width: int, channels: int, dtype=np.uint8) -> np.ndarray:
    random = np.random.RandomState(channels)
    return random.randint(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def png(pixels: np.ndarray) -> bytes:
    return tf.io.encode_png(pixels).numpy()


def nodes_of(meta_graph, name: str) -> list:
    """Returns the nodes of the functions that a signature calls."""
    calls = {node.name: node for node in meta_graph.graph_def.node}
    bodies = {body.signature.name: body for body in meta_graph.graph_def.library.function}
    (output,) = meta_graph.signature_def[name].outputs.values()
    found, called = [calls[output.name.split(":")[0]]], set()
    for node in found:  # Grows meanwhile.
        for value in node.attr.values():
            for function in {value.func.name, *(func.name for func in value.list.func)} - called:
                if function:
                    called.add(function)
                    found.extend(bodies[function].node_def)
    return found


class ExportedModelTest(tf.test.TestCase, parameterized.TestCase):
    """An export as C++ loads it, with none of the project's code."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        version = tiny_runs.shared_version()
        cls.session = tiny_runs.shared_session()
        cls.noise_size = serving.read_model_card(version)["noise_size"]
        contents = (version / serving.SAVED_MODEL).read_bytes()
        (cls.meta_graph,) = saved_model_pb2.SavedModel.FromString(contents).meta_graphs

    def run_signature(self, name: str, **inputs) -> np.ndarray:
        (output,) = self.session.run(name, **inputs).values()
        return output

    def test_signatures_have_the_promised_names_types_and_shapes(self):
        def described(tensors):
            return {
                name: (tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape).as_list())
                for name, info in tensors.items()
            }

        image = (tf.float32, [None, None, None, 3])
        encoded = {"image_bytes": (tf.string, [None])}
        z = (tf.float32, [None, None])
        expected = {
            "serving_default": ({"image": image}, {"output": image}),
            "with_noise": ({"image": image, "z": z}, {"output": image}),
            "encoded": (encoded, encoded),
        }
        found = {
            name: (described(signature.inputs), described(signature.outputs))
            for name, signature in self.session.signatures.items()
        }
        self.assertEqual(found, expected)
        for name in SIGNATURES:
            method = self.meta_graph.signature_def[name].method_name
            self.assertEqual(method, "tensorflow/serving/predict")

    @parameterized.parameters(*SIGNATURES)
    def test_no_op_writes_a_variable_or_is_missing_in_other_runtimes(self, name):
        nodes = nodes_of(self.meta_graph, name)
        ops = {node.op for node in nodes}
        self.assertIn("BatchMatMulV2", ops)  # The walk went into the functions.
        self.assertIn("ReadVariableOp", ops)
        banned = ("FusedBatchNorm", "StatelessRandom", "Random", "RNG", "PyFunc")
        # The plain op alone: TFLite and TF.js have it. Its seed is of each call.
        found = [node for node in nodes if "Assign" in node.op or node.op.startswith(banned)]
        self.assertEqual(
            [(node.op, node.attr["seed"].i, node.attr["seed2"].i) for node in found],
            [] if name == "with_noise" else [("RandomUniform", 0, 0)],
        )

    def test_each_call_draws_other_noise(self):
        image = tiny_runs.random_image(2, SIZE, SIZE, 3)
        first, second = (self.run_signature("serving_default", image=image) for _ in range(2))
        for output in first, second:
            self.assertEqual((output.shape, output.dtype), (image.shape, np.float32))
            self.assertAllInRange(output, -1.0, 1.0)
        self.assertGreater(np.abs(first - second).mean(), 0.01)
        # The noise is of each image, too.
        same = self.run_signature("serving_default", image=image[[0, 0]])
        self.assertGreater(np.abs(same[0] - same[1]).mean(), 0.01)
        contents = [png(random_pixels(SIZE, SIZE, 3))]
        first, second = (self.run_signature("encoded", image_bytes=contents) for _ in range(2))
        self.assertNotEqual(first[0], second[0])

    def test_known_noise_repeats_and_equals_keras(self):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        z = tiny_runs.random_noise(1, self.noise_size)
        first, second = (self.run_signature("with_noise", image=image, z=z) for _ in range(2))
        self.assertAllEqual(first, second)
        generator = tiny_runs.read_generator(tiny_runs.shared_run())
        self.assertAllClose(generator([image, z], training=True), first, rtol=0, atol=1e-5)
        other = self.run_signature("with_noise", image=image, z=1.0 - z)
        self.assertGreater(np.abs(other - first).mean(), 0.01)

    @parameterized.parameters((1, -1), (1, 1), (2, 0))
    def test_noise_of_another_shape_is_refused_with_the_right_one(self, batch, more):
        image = tiny_runs.random_image(1, 2 * SIZE, SIZE, 3)
        size = 2 * self.noise_size  # Of two crops.
        z = tiny_runs.random_noise(batch, size + more)
        message = f"[{batch} {size + more}] [but the image takes] [1 {size}]"
        with self.assertRaisesRegex(CppError, re.escape(message)):
            self.run_signature("with_noise", image=image, z=z)

    def test_a_stranger_in_the_batch_changes_no_bit(self):
        image = tiny_runs.random_image(4, SIZE, SIZE, 3)
        image[1:] *= 0.1
        z = tiny_runs.random_noise(4, self.noise_size)
        together = self.run_signature("with_noise", image=image, z=z)
        again = self.run_signature("with_noise", image=image[[0, 2, 2, 3]], z=z[[0, 3, 1, 2]])
        self.assertAllEqual(together[0], again[0])
        alone = self.run_signature("with_noise", image=image[:1], z=z[:1])
        # Kernels may sum in another order for another batch size.
        self.assertAllClose(together[:1], alone, rtol=0, atol=1e-6)

    def test_a_batch_of_files_of_all_kinds(self):
        jpeg = tf.io.encode_jpeg(random_pixels(40, 24, 3)).numpy()
        grey_jpeg = tf.io.encode_jpeg(random_pixels(24, 40, 1)).numpy()
        files = {
            (97, 131): png(np.zeros((97, 131, 3), np.uint8)),
            (9, 5): png(random_pixels(9, 5, 1)),
            (5, 9): png(random_pixels(5, 9, 2)),
            (33, 8): png(random_pixels(33, 8, 4)),
            (SIZE, SIZE): png(random_pixels(SIZE, SIZE, 3, np.uint16)),
            (1, 1): png(random_pixels(1, 1, 1, np.uint16)),
            (40, 24): jpeg,
            (24, 40): grey_jpeg,
        }
        outputs = self.run_signature("encoded", image_bytes=list(files.values()))
        for size, output in zip(files, outputs):
            pixels = decode(output)
            self.assertEqual((pixels.shape, pixels.dtype), ((*size, 3), np.uint8))
            self.assertGreater(np.ptp(pixels) + (size == (1, 1)), 0)

    @parameterized.named_parameters(
        ("garbage", b"not an image", ""),
        ("a_strip", png(random_pixels(1, 2**17 + 1, 1)), "[131073] [x] [1]"),
    )
    def test_what_is_refused_is_named_and_the_others_are_still_served(self, contents, expected):
        good = png(random_pixels(8, 8, 3))
        with self.assertRaises(CppError) as caught:
            self.run_signature("encoded", image_bytes=[good, contents])
        self.assertEqual(caught.exception.code, "INVALID_ARGUMENT")
        self.assertIn("[image 1 of the batch]", caught.exception.message)
        self.assertIn(expected, caught.exception.message)
        (output,) = self.run_signature("encoded", image_bytes=[good])  # It lives on.
        self.assertEqual(decode(output).shape, (8, 8, 3))


class ServingModelTest(tf.test.TestCase, parameterized.TestCase):
    """The numbers of the serving form, in memory: `model` is of the run that `trained` is of."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = tiny_runs.serving_model(tiny_runs.shared_run())
        cls.trained = tiny_runs.read_generator(tiny_runs.shared_run())

    def test_batch_statistics_are_the_rule_to_the_letter(self):
        config = TrainConfig(crop_size=SIZE, base_filters=2, bottleneck_norm=True)
        trained = networks.build_generator(config)
        tiny_runs.set_weights(trained, seed=0)
        model = serving.ServingModel(config, trained.get_weights(), statistics="batch")
        image = tiny_runs.random_image(3, SIZE, SIZE, 3)
        z = tiny_runs.random_noise(3, model.block.noise_size)
        output = model.translate(image, z)
        self.assertAllClose(output, trained([image, z], training=True), rtol=0, atol=1e-5)
        image[1:] *= 0.1
        self.assertGreater(np.abs(model.translate(image, z)[0] - output[0]).max(), 0.01)

    @parameterized.parameters((33, 47), (1, 40))
    def test_other_sizes_are_padded_by_reflection_at_the_bottom_and_right(self, height, width):
        image = tiny_runs.random_image(1, height, width, 3)
        rows, columns = -(-height // SIZE), -(-width // SIZE)
        padding = ((0, 0), (0, rows * SIZE - height), (0, columns * SIZE - width), (0, 0))
        # NumPy reflects as often as needed, too, and repeats an axis of one pixel.
        padded = np.pad(image, padding, mode="reflect")
        z = tiny_runs.random_noise(1, rows * columns * self.model.block.noise_size)
        expected = self.trained([padded, z], training=True)[:, :height, :width]
        output = self.model.translate(tf.constant(image), tf.constant(z))
        self.assertAllClose(output, expected, rtol=0, atol=1e-5)

    def test_noise_is_uniform_and_grows_with_the_area(self):
        for batch, height, width, blocks in ((2, SIZE, SIZE, 1), (3, 1, 1, 1), (1, 20, 100, 4)):
            image = tf.zeros([batch, height, width, 3])
            draws = []
            for _ in range(2):
                keras.utils.set_random_seed(3)  # The noise does not follow from it.
                draws.append(self.model.draw_noise(image).numpy())
            self.assertEqual(draws[0].shape, (batch, blocks * self.model.block.noise_size))
            self.assertAllInRange(draws[0], 0.0, 1.0, open_upper_bound=True)
            self.assertNear(draws[0].mean(), 0.5, 0.1)
            self.assertNear(draws[0].std(), 12**-0.5, 0.05)
            self.assertNotAllClose(*draws)


class EncodedPixelsTest(tf.test.TestCase, parameterized.TestCase):
    """`encoded` against `with_noise` of the pixels in the file; without noise, to compare."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = tiny_runs.serving_model(tiny_runs.shared_run(), dropout=False)
        cls.encoded = staticmethod(cls.model.signatures()["encoded"])

    def assert_translates(self, contents: bytes, values: np.ndarray):
        """Checks the translation of a file against that of its values, in [0, 1]."""
        image = (2.0 * values - 1.0).astype(np.float32)[np.newaxis]
        expected = self.model.translate(image, self.model.draw_noise(image))[0].numpy()
        (output,) = self.encoded(tf.constant([contents]))["image_bytes"].numpy()
        difference = np.abs(decode(output).astype(np.int32) - (expected + 1.0) * 127.5)
        self.assertLess(difference.max(), 0.6)  # Rounding is 0.5; sums differ a little.

    @parameterized.product(channels=(1, 3), dtype=(np.uint8, np.uint16))
    def test_grey_and_colour(self, channels, dtype):
        pixels = random_pixels(37, 50, channels, dtype)
        values = np.broadcast_to(pixels, (37, 50, 3)) / np.iinfo(dtype).max
        self.assert_translates(png(pixels), values)

    @parameterized.parameters(2, 4)
    def test_transparency_is_laid_over_white(self, channels):
        pixels = random_pixels(20, 30, channels)
        pixels[..., -1] = np.where(np.arange(30) < 15, 0, 255)
        color = np.broadcast_to(pixels[..., :-1], (20, 30, 3)) / 255
        self.assert_translates(
            png(pixels), np.where(pixels[..., -1:] > 0, color, np.ones_like(color))
        )
