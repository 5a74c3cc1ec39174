"""Tests of `pix2pix_tf.serving`: what an exported model does, seen from outside Python's loader."""

from __future__ import annotations

import contextlib
import io
import pathlib
import re
from unittest import mock

import data_folder
import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf import serving
from pix2pix_tf.inference import translator

v1 = tf.compat.v1
SIZE = tiny_runs.CROP_SIZE
SIGNATURES = ("serving_default", "with_noise", "encoded")


class Session:
    """An exported model in a TensorFlow 1 session: a graph, with none of the project's code."""

    def __init__(self, version: pathlib.Path):
        self._session = v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self.meta = v1.saved_model.load(self._session, ["serve"], str(version))
        self.signatures = self.meta.signature_def

    def close(self) -> None:
        self._session.close()

    def run(self, name: str, **inputs) -> np.ndarray:
        """Returns the one output of a signature."""
        signature = self.signatures[name]
        (output,) = signature.outputs.values()
        feeds = {signature.inputs[key].name: value for key, value in inputs.items()}
        return self._session.run(output.name, feeds)

    def nodes(self, name: str) -> list:
        """Returns the nodes that a signature's output depends on, also inside functions."""
        nodes = {node.name: node for node in self.meta.graph_def.node}
        functions = {f.signature.name: f for f in self.meta.graph_def.library.function}
        (output,) = self.signatures[name].outputs.values()
        waiting, seen, found, called = [output.name], set(), [], set()
        while waiting:
            key = waiting.pop().lstrip("^").split(":")[0]
            if key not in seen:
                seen.add(key)
                found.append(nodes[key])
                waiting.extend(nodes[key].input)
        for node in found:  # Grows meanwhile.
            for value in node.attr.values():
                for function in [value.func, *value.list.func]:
                    if function.name and function.name not in called:
                        called.add(function.name)
                        found.extend(functions[function.name].node_def)
        return found


@contextlib.contextmanager
def session_of(version: pathlib.Path):
    session = Session(version)
    try:
        yield session
    finally:
        session.close()


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


def batch_of(*contents: bytes) -> np.ndarray:
    return np.array(contents, dtype=object)


class ExportedModelTest(tf.test.TestCase, parameterized.TestCase):
    """One export, made while the program has set a seed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.run_folder = folder / "run"
        cls.config = tiny_runs.write_run(cls.run_folder)
        keras.utils.set_random_seed(1)  # The noise must not follow from it.
        cls.version = serving.save_version(cls.run_folder, folder / "exported")
        cls.noise_size = serving.read_model_card(cls.version)["noise_size"]
        cls.session = Session(cls.version)
        cls.addClassCleanup(cls.session.close)

    def test_signatures_have_the_promised_names_types_and_shapes(self):
        def described(tensors):
            return {
                name: (tf.as_dtype(info.dtype).name, [d.size for d in info.tensor_shape.dim])
                for name, info in tensors.items()
            }

        image = ("float32", [-1, -1, -1, 3])
        encoded = {"image_bytes": ("string", [-1])}
        expected = {
            "serving_default": ({"image": image}, {"output": image}),
            "with_noise": ({"image": image, "z": ("float32", [-1, -1])}, {"output": image}),
            "encoded": (encoded, encoded),
        }
        found = {
            name: (described(signature.inputs), described(signature.outputs))
            for name, signature in self.session.signatures.items()
            if not name.startswith("__saved_model")
        }
        self.assertEqual(found, expected)
        for name in SIGNATURES:
            self.assertEqual(
                self.session.signatures[name].method_name, "tensorflow/serving/predict"
            )

    @parameterized.parameters(*SIGNATURES)
    def test_no_op_writes_a_variable_or_is_missing_in_other_runtimes(self, name):
        ops = {node.op for node in self.session.nodes(name)}
        self.assertIn("BatchMatMulV2", ops)  # The walk went into the functions.
        self.assertIn("ReadVariableOp", ops)
        banned = [
            op
            for op in ops
            if "Assign" in op
            or op.startswith(("FusedBatchNorm", "StatelessRandom", "Random", "RNG"))
        ]
        # The plain op alone: TFLite and TF.js have it.
        self.assertEqual(banned, [] if name == "with_noise" else ["RandomUniform"])
        self.assertNotIn("PyFunc", ops)

    @parameterized.parameters("serving_default", "encoded")
    def test_no_seed_is_frozen_into_the_graph(self, name):
        drawn = [node for node in self.session.nodes(name) if node.op == "RandomUniform"]
        self.assertLen(drawn, 1)
        self.assertEqual((drawn[0].attr["seed"].i, drawn[0].attr["seed2"].i), (0, 0))

    def test_each_call_draws_other_noise(self):
        image = tiny_runs.random_image(2, SIZE, SIZE, 3)
        first, second = (self.session.run("serving_default", image=image) for _ in range(2))
        for output in first, second:
            self.assertEqual((output.shape, output.dtype), (image.shape, np.float32))
            self.assertAllInRange(output, -1.0, 1.0)
        self.assertGreater(np.abs(first - second).mean(), 0.01)
        # The noise is of each image, too.
        same = self.session.run("serving_default", image=image[[0, 0]])
        self.assertGreater(np.abs(same[0] - same[1]).mean(), 0.01)

    def test_a_restart_draws_other_noise(self):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        outputs = []
        for _ in range(2):
            with session_of(self.version) as session:
                outputs.append(session.run("serving_default", image=image))
        self.assertGreater(np.abs(outputs[0] - outputs[1]).mean(), 0.01)

    def test_each_encoded_call_draws_other_noise(self):
        contents = batch_of(png(random_pixels(SIZE, SIZE, 3)))
        first, second = (self.session.run("encoded", image_bytes=contents) for _ in range(2))
        self.assertNotEqual(first[0], second[0])

    def test_known_noise_repeats_and_equals_keras(self):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        z = tiny_runs.random_noise(1, self.noise_size)
        first, second = (self.session.run("with_noise", image=image, z=z) for _ in range(2))
        self.assertAllEqual(first, second)
        generator = tiny_runs.read_generator(self.run_folder)
        self.assertAllClose(generator([image, z], training=True), first, rtol=0, atol=1e-5)
        other = self.session.run("with_noise", image=image, z=1.0 - z)
        self.assertGreater(np.abs(other - first).mean(), 0.01)

    def test_known_noise_equals_the_translator_of_the_run(self):
        image = tiny_runs.random_image(1, 33, 47, 3)
        z = tiny_runs.random_noise(1, 4 * self.noise_size)
        translate = translator.load(self.run_folder)
        with mock.patch.object(np.random, "default_rng") as generator:
            generator().random.return_value = z[0]
            expected = translate(image[0])
        generator().random.assert_called_once_with(z.size, dtype=np.float32)
        output = self.session.run("with_noise", image=image, z=z)
        self.assertAllClose(expected, output[0], rtol=0, atol=1e-5)

    @parameterized.parameters((33, 47), (1, 1), (100, 20), (32, 31), (64, 32), (2, 95))
    def test_any_size_goes_in_and_comes_out(self, height, width):
        image = tiny_runs.random_image(2, height, width, 3)
        output = self.session.run("serving_default", image=image)
        self.assertEqual(output.shape, image.shape)
        self.assertAllInRange(output, -1.0, 1.0)

    @parameterized.parameters((1, -1), (1, 1), (2, 0))
    def test_noise_of_another_shape_is_refused_with_the_right_one(self, batch, more):
        image = tiny_runs.random_image(1, 2 * SIZE, SIZE, 3)
        size = 2 * self.noise_size  # Of two crops.
        z = tiny_runs.random_noise(batch, size + more)
        message = re.escape(
            f"[z has shape] [{batch} {size + more}] [but the image takes] [1 {size}]"
        )
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, message):
            self.session.run("with_noise", image=image, z=z)

    def test_a_stranger_in_the_batch_changes_no_bit(self):
        image = tiny_runs.random_image(4, SIZE, SIZE, 3)
        image[1:] *= 0.1
        z = tiny_runs.random_noise(4, self.noise_size)
        together = self.session.run("with_noise", image=image, z=z)
        again = self.session.run("with_noise", image=image[[0, 2, 2, 3]], z=z[[0, 3, 1, 2]])
        self.assertAllEqual(together[0], again[0])
        alone = self.session.run("with_noise", image=image[:1], z=z[:1])
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
        outputs = self.session.run("encoded", image_bytes=batch_of(*files.values()))
        for size, output in zip(files, outputs):
            pixels = decode(output)
            self.assertEqual((pixels.shape, pixels.dtype), ((*size, 3), np.uint8))
            self.assertGreater(np.ptp(pixels) + (size == (1, 1)), 0)

    @parameterized.named_parameters(
        ("garbage", b"not an image", "neither a PNG nor a JPEG file"),
        ("a_strip", png(random_pixels(1, 2**17 + 1, 1)), "[131073] [x] [1] [pixels] [padded"),
    )
    def test_what_is_refused_is_named_and_the_others_are_still_served(self, contents, expected):
        good = png(random_pixels(8, 8, 3))
        with self.assertRaises(tf.errors.InvalidArgumentError) as caught:
            self.session.run("encoded", image_bytes=batch_of(good, contents))
        self.assertIn("[image 1 of the batch]", str(caught.exception))
        self.assertIn(expected, str(caught.exception))
        (output,) = self.session.run("encoded", image_bytes=batch_of(good))  # It lives on.
        self.assertEqual(decode(output).shape, (8, 8, 3))

    def test_real_photos_keep_their_size(self):
        folder = data_folder.require("photos")
        paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))[:3]
        self.assertNotEmpty(paths)
        contents = [path.read_bytes() for path in paths]
        outputs = self.session.run("encoded", image_bytes=batch_of(*contents))
        for path, output in zip(paths, outputs):
            with Image.open(path) as picture:
                self.assertEqual(decode(output).shape[1::-1], picture.size, path.name)


class ChannelsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((1, 4), (4, 1))
    def test_signatures_follow_the_channels(self, input_channels, output_channels):
        run = tiny_runs.temporary_folder(self) / "run"
        tiny_runs.write_run(run, input_channels=input_channels, output_channels=output_channels)
        model = tiny_runs.serving_model(run)
        signatures = model.signatures()
        for name in ("serving_default", "with_noise"):
            (_, inputs) = signatures[name].structured_input_signature
            inputs = inputs or dict(image=signatures[name].inputs[0])
            self.assertEqual(inputs["image"].shape.as_list(), [None, None, None, input_channels])
            output = signatures[name].structured_outputs["output"]
            self.assertEqual(output.shape.as_list(), [None, None, None, output_channels])
        image = tiny_runs.random_image(1, 20, SIZE, input_channels)
        output = signatures["serving_default"](tf.constant(image))["output"]
        self.assertEqual(output.shape, (1, 20, SIZE, output_channels))
        files = [png(random_pixels(9, 7, channels)) for channels in (1, 2, 3, 4)]
        for contents in signatures["encoded"](tf.constant(files))["image_bytes"].numpy():
            self.assertEqual(decode(contents).shape, (9, 7, output_channels))


class ServingModelTest(tf.test.TestCase, parameterized.TestCase):
    """The numbers of the serving form, in memory: `model` is of the run that `trained` is of."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        run = tiny_runs.temporary_folder(cls) / "run"
        tiny_runs.write_run(run)
        cls.model = tiny_runs.serving_model(run)
        cls.trained = tiny_runs.read_generator(run)

    def assert_equal_one_by_one(self, model, trained):
        image = tiny_runs.random_image(2, SIZE, SIZE, 3)
        z = tiny_runs.random_noise(2, model.noise_size)
        output = model.translate(image, z).numpy()
        for one in (slice(0, 1), slice(1, 2)):
            expected = trained([image[one], z[one]], training=True)
            self.assertAllClose(output[one], expected, rtol=0, atol=1e-5)
        self.assertGreater(output.std(), 0.05)  # Weights that say something.

    def test_equals_the_generator_as_trained(self):
        self.assert_equal_one_by_one(self.model, self.trained)

    @parameterized.named_parameters(
        ("instance_norm", dict(norm="instance")),
        ("no_norm", dict(norm="none")),
        ("encoder_decoder", dict(generator="encoder_decoder")),
        ("bottleneck_norm", dict(bottleneck_norm=True)),
    )
    def test_variant_equals_the_generator_as_trained(self, settings):
        run = tiny_runs.temporary_folder(self) / "run"
        tiny_runs.write_run(run, **settings)
        model = tiny_runs.serving_model(run)
        self.assert_equal_one_by_one(model, tiny_runs.read_generator(run))

    @parameterized.parameters("batch", "instance")
    def test_batch_statistics_are_the_rule_to_the_letter(self, norm):
        run = tiny_runs.temporary_folder(self) / "run"
        tiny_runs.write_run(run, norm=norm)
        model = tiny_runs.serving_model(run, statistics="batch")
        trained = tiny_runs.read_generator(run)
        image = tiny_runs.random_image(3, SIZE, SIZE, 3)
        z = tiny_runs.random_noise(3, model.noise_size)
        output = model.translate(image, z)
        self.assertAllClose(output, trained([image, z], training=True), rtol=0, atol=1e-5)
        image[1:] *= 0.1
        change = np.abs(model.translate(image, z)[0] - output[0]).max()
        if norm == "batch":
            self.assertGreater(change, 0.01)
        else:
            self.assertLess(change, 1e-6)

    @parameterized.parameters((33, 47), (1, 1), (100, 20), (1, 40), (64, 32))
    def test_other_sizes_are_padded_by_reflection_at_the_bottom_and_right(self, height, width):
        image = tiny_runs.random_image(1, height, width, 3)
        rows, columns = -(-height // SIZE), -(-width // SIZE)
        padding = ((0, 0), (0, rows * SIZE - height), (0, columns * SIZE - width), (0, 0))
        # NumPy reflects as often as needed, too, and repeats an axis of one pixel.
        padded = np.pad(image, padding, mode="reflect")
        z = tiny_runs.random_noise(1, rows * columns * self.model.noise_size)
        expected = self.trained([padded, z], training=True)[:, :height, :width]
        output = self.model.translate(tf.constant(image), tf.constant(z))
        self.assertAllClose(output, expected, rtol=0, atol=1e-5)

    @parameterized.parameters((SIZE, SIZE), (2 * SIZE, 3 * SIZE))
    def test_an_exact_multiple_is_not_padded(self, height, width):
        image = tiny_runs.random_image(1, height, width, 3)
        seen = []

        def spy(image, z):
            seen.append(image)
            return image

        with mock.patch.object(self.model, "_generate", spy):
            self.model.translate(image, self.model.draw_noise(image))
        self.assertAllEqual(seen[0], image)

    @parameterized.named_parameters(
        ("square", 2, SIZE, SIZE, 1),
        ("one_pixel_more", 1, SIZE + 1, SIZE, 2),
        ("dot", 3, 1, 1, 1),
        ("wide", 1, 20, 100, 4),
    )
    def test_noise_is_uniform_and_grows_with_the_area(self, batch, height, width, blocks):
        keras.utils.set_random_seed(3)
        z = self.model.draw_noise(tf.zeros([batch, height, width, 3])).numpy()
        self.assertEqual(z.shape, (batch, blocks * self.model.noise_size))
        self.assertAllInRange(z, 0.0, 1.0, open_upper_bound=True)
        self.assertNear(z.mean(), 0.5, 0.1)
        self.assertNear(z.std(), 12**-0.5, 0.05)
        keras.utils.set_random_seed(3)
        again = self.model.draw_noise(tf.zeros([batch, height, width, 3]))
        self.assertNotAllClose(z, again)


class EncodedPixelsTest(tf.test.TestCase, parameterized.TestCase):
    """`encoded` against `with_noise` of the pixels in the file; without noise, to compare."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        run = tiny_runs.temporary_folder(cls) / "run"
        tiny_runs.write_run(run)
        cls.model = tiny_runs.serving_model(run, dropout=False)
        cls.encoded = staticmethod(cls.model.signatures()["encoded"])

    def translated(self, contents: bytes) -> np.ndarray:
        (output,) = self.encoded(tf.constant([contents]))["image_bytes"].numpy()
        return decode(output).astype(np.int32)

    def expected(self, values: np.ndarray) -> np.ndarray:
        """Returns the output's pixels for input values in [0, 1]."""
        image = (2.0 * values - 1.0).astype(np.float32)[np.newaxis]
        output = self.model.translate(image, self.model.draw_noise(image))[0].numpy()
        return (output + 1.0) * 127.5

    def assert_translates(self, contents: bytes, values: np.ndarray):
        difference = np.abs(self.translated(contents) - self.expected(values))
        self.assertLess(difference.max(), 0.6)  # Rounding is 0.5; sums differ a little.

    def test_there_is_no_noise(self):
        self.assertEqual((self.model.noise_size, self.model.config.dropout), (0, 0.0))
        z = self.model.draw_noise(tf.zeros([2, SIZE, SIZE, 3]))
        self.assertEqual(z.shape, (2, 0))
        contents = png(random_pixels(37, 50, 3))
        self.assertAllEqual(self.translated(contents), self.translated(contents))

    def test_colour(self):
        pixels = random_pixels(37, 50, 3)
        self.assert_translates(png(pixels), pixels / 255)

    def test_grey_is_repeated(self):
        pixels = random_pixels(37, 50, 1)
        self.assert_translates(png(pixels), pixels.repeat(3, axis=-1) / 255)

    @parameterized.parameters(2, 4)
    def test_transparency_is_laid_over_white(self, channels):
        pixels = random_pixels(20, 30, channels)
        pixels[..., -1] = np.where(np.arange(30) < 15, 0, 255)
        color = np.broadcast_to(pixels[..., :-1], (20, 30, 3)) / 255
        self.assert_translates(
            png(pixels), np.where(pixels[..., -1:] > 0, color, np.ones_like(color))
        )

    @parameterized.parameters(1, 3)
    def test_sixteen_bits(self, channels):
        pixels = random_pixels(37, 50, channels, np.uint16)
        self.assert_translates(png(pixels), np.broadcast_to(pixels, (37, 50, 3)) / 65535)

    def test_jpeg(self):
        contents = tf.io.encode_jpeg(random_pixels(37, 50, 3)).numpy()
        pixels = tf.io.decode_jpeg(contents, dct_method="INTEGER_ACCURATE").numpy()
        self.assert_translates(contents, pixels / 255)


if __name__ == "__main__":
    tf.test.main()
