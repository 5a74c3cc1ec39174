"""Tests of the runner of .tflite files, and of the example for devices."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
import types
import warnings
import zipfile
from unittest import mock

import hostile_files
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_tflite
from PIL import ExifTags, Image

from export.errors import ModelError
from export.tflite import conversion, litert
from pix2pix_tf.data import images
from pix2pix_tf.errors import InputError, MissingInputError

SIZE = 32
NOISE_SIZE = 5


def write_model(path: pathlib.Path, *, is_dynamic: bool = False) -> None:
    """Writes a file with the signatures of the project, and a network of a few operations."""

    def with_noise(image, z):
        strength = tf.reduce_mean(tf.reshape(z, [-1, NOISE_SIZE]))
        return dict(output=tf.tanh(image * (0.5 + strength)))

    def serving_default(image):
        return with_noise(image, tf.random.uniform([1, NOISE_SIZE]))

    image_shape, noise_shape = [1, SIZE, SIZE, 3], [1, NOISE_SIZE]
    if is_dynamic:
        image_shape, noise_shape = [None, None, None, 3], [None, None]
    image = tf.TensorSpec(image_shape, tf.float32, name="image")
    z = tf.TensorSpec(noise_shape, tf.float32, name="z")
    signatures = dict(
        with_noise=tf.function(with_noise).get_concrete_function(image, z),
        serving_default=tf.function(serving_default).get_concrete_function(image),
    )
    folder = str(path.with_suffix(".saved_model"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's own, about its converter.
        tf.saved_model.save(tf.Module(), folder, signatures=signatures)
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


class LiteRtModelTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.path = cls.folder / "model.tflite"
        write_model(cls.path)
        cls.any_size = cls.folder / "of_others.tflite"
        write_model(cls.any_size, is_dynamic=True)
        cls.model = litert.LiteRtModel(cls.path, num_threads=1)
        cls.inputs = dict(
            image=tiny_runs.random_image(1, SIZE, SIZE, 3),
            z=tiny_runs.random_noise(1, NOISE_SIZE),
        )

    def test_outputs_are_the_callers_own(self):
        first = self.model.run("with_noise", **self.inputs)["output"]
        kept = first.copy()
        other = dict(self.inputs, image=-self.inputs["image"])
        second = self.model.run("with_noise", **other)["output"]
        self.assertGreater(np.abs(first - second).mean(), 0.01)
        self.assertAllEqual(first, kept)

    def test_files_that_are_no_models(self):
        path = self.folder / "text.tflite"
        with self.assertRaisesRegex(MissingInputError, f"'{path}'"):
            litert.LiteRtModel(path)
        for contents in (b"", b"no model", self.path.read_bytes()[:1000]):
            path.write_bytes(contents)
            with self.assertRaisesRegex(InputError, f"'{path}'"):
                litert.LiteRtModel(path)

    def test_inputs_that_do_not_fit(self):
        with self.assertRaisesRegex(InputError, "'encoded'.*serving_default, with_noise"):
            self.model.run("encoded", **self.inputs)
        image, z = self.inputs["image"], self.inputs["z"]
        for wrong, message in (
            (dict(image=image), "takes image .*, z "),
            (dict(image=image, z=z, seed=z), "given .*seed float32"),
            (dict(image=image[:, :16], z=z), r"given image float32 \[1, 16, 32, 3\]"),
            (dict(image=image[0], z=z), r"given image float32 \[32, 32, 3\]"),
            (dict(image=image.astype(np.float64), z=z), "given image float64"),
            (dict(image=image, z=z[:, 1:]), rf"z float32 \[1, {NOISE_SIZE}\], and"),
        ):
            with self.assertRaisesRegex(InputError, message):
                self.model.run("with_noise", **wrong)
        # It is none the worse for it.
        self.assertEqual(self.model.run("with_noise", **self.inputs)["output"].shape, image.shape)

    def test_a_z_of_another_length_than_the_image_takes(self):
        path = shutil.copy(self.any_size, self.folder / "any_size.tflite")
        image = tiny_runs.random_image(1, SIZE, SIZE + 1, 3)  # Two tiles.
        z = tiny_runs.random_noise(1, 2 * NOISE_SIZE)
        # Of a file that says nothing of itself, the interpreter finds out.
        with self.assertRaisesRegex(ModelError, "any_size.tflite', with_noise: .*eshape"):
            litert.LiteRtModel(path).run("with_noise", image=image, z=z[:, 1:])
        card = dict(config=dict(crop_size=SIZE), noise_size=NOISE_SIZE)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("metadata.json", json.dumps(dict(size="dynamic", model_card=card)))
        model = litert.LiteRtModel(path)
        self.assertEqual(model.run("with_noise", image=image, z=z)["output"].shape, image.shape)
        self.assertEqual(model.run("serving_default", image=image)["output"].shape, image.shape)
        for wrong in (z[:, 1:], z[:, :NOISE_SIZE], np.tile(z, [1, 2]), np.tile(z, [2, 1])):
            with self.assertRaises(InputError) as caught:
                model.run("with_noise", image=image, z=wrong)
            for shape in (wrong.shape, z.shape):
                self.assertIn(str(list(shape)), str(caught.exception))

    def test_what_stands_in_for_litert_is_not_litert(self):
        with mock.patch.object(litert, "Interpreter", tf.lite.Interpreter):
            with self.assertRaisesRegex(MissingInputError, "pip install 'ai-edge-litert"):
                litert.check_installed()

    def test_a_tensorflow_without_it_says_so(self):
        with mock.patch.object(litert, "Interpreter", None):
            with self.assertRaisesRegex(MissingInputError, "pip install 'ai-edge-litert"):
                litert.LiteRtModel(self.path)
        with mock.patch.dict(sys.modules, tensorflow=types.SimpleNamespace(__version__="3.0")):
            with self.assertRaisesRegex(MissingInputError, "3.0 is without its converter"):
                conversion.check_converter()

    def described(self) -> str:
        """Returns a copy with the note that `export.tflite` adds, which the example reads."""
        path = shutil.copy(self.path, self.folder / "described.tflite")
        card = dict(config=dict(input_channels=3, output_channels=3))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("metadata.json", json.dumps(dict(model_card=card)))
        return path

    def test_the_example_ends_in_one_line(self):
        example, described = tiny_tflite.load_example(self), self.described()
        bomb = self.folder / "bomb.png"
        header = hostile_files.png_header(20_000, 20_000)
        bomb.write_bytes(header + hostile_files.chunk(b"IDAT", b""))
        with self.assertRaisesRegex(SystemExit, "^error: .*model.tflite"):  # It is no picture.
            example.main([described, self.path, self.folder / "out.png"])
        with self.assertRaisesRegex(SystemExit, "^error: .*400000000 pixels"):
            example.main([described, bomb, self.folder / "out.png"])
        picture = self.folder / "small.png"
        Image.new("RGB", (4, 4)).save(picture)
        path = shutil.copy(self.any_size, self.folder / "unknown.tflite")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("other.txt", "")
        with self.assertRaisesRegex(SystemExit, f"^error: {path} .*metadata.json"):
            example.main([path, picture, self.folder / "out.png"])
        for error, message in (
            (RuntimeError("tensor.cc:1\nit failed"), "error: tensor.cc:1 it failed"),
            (MemoryError(), "error: MemoryError"),
        ):
            with mock.patch.object(example, "translate", side_effect=error):
                with self.assertRaisesRegex(SystemExit, f"^{message}$"):
                    example.main([self.path, picture, self.folder / "out.png"])

    def test_the_example_for_devices(self):
        tiny_tflite.load_example(self)
        pixels = np.random.RandomState(0).randint(0, 256, [SIZE, SIZE, 3], np.uint8)
        picture, output = self.folder / "in.png", self.folder / "out.png"
        tf.io.write_file(str(picture), tf.io.encode_png(pixels))
        code = (
            "import runpy, sys; sys.argv = sys.argv[1:];"
            "runpy.run_path(sys.argv[0], run_name='__main__');"
            "found = {'tensorflow', 'pix2pix_tf'} & set(sys.modules);"
            "sys.exit(f'imported {found}' if found else 0)"
        )
        result = subprocess.run(
            [
                sys.executable,
                "-c",
                code,
                tiny_tflite.EXAMPLE,
                self.described(),
                picture,
                output,
                "7",
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        z = np.random.default_rng(7).random((1, NOISE_SIZE), dtype=np.float32)
        image = pixels[np.newaxis] / np.float32(127.5) - 1
        expected = self.model.run("with_noise", image=image, z=z)["output"][0]
        found = tf.io.decode_png(tf.io.read_file(str(output))).numpy()
        self.assertAllClose(found, (expected + 1) * 127.5, rtol=0, atol=0.51)

    def test_the_example_reads_pictures_as_the_package_does(self):
        example = tiny_tflite.load_example(self)
        random = np.random.RandomState(0)
        path = self.folder / "picture.png"
        files = ((np.uint8, 1), (np.uint8, 2), (np.uint8, 3), (np.uint8, 4), (np.uint16, 1))
        for dtype, channels_of_file in (*files, (np.uint16, 4)):
            levels = np.iinfo(dtype).max + 1
            pixels = random.randint(0, levels, [6, 5, channels_of_file]).astype(dtype)
            path.write_bytes(tf.io.encode_png(pixels).numpy())
            for channels in (1, 3, 4):
                read = np.asarray(example.read_picture(path, channels))
                expected = images.read_pixels(path, channels=channels)
                # Of 16 bits, Pillow takes the upper 8 and the package the nearest.
                self.assertAllClose(
                    read.reshape(expected.shape), expected, rtol=0, atol=1 if levels < 257 else 2
                )

    def test_the_example_turns_photos_upright(self):
        example = tiny_tflite.load_example(self)
        path = self.folder / "photo.jpg"
        upright = np.zeros([32, 16, 3], np.uint8)
        upright[:16] = 255  # White above black.
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6  # Stored lying: to be turned right by 90 degrees.
        Image.fromarray(np.rot90(upright)).save(path, exif=exif)
        read = np.asarray(example.read_picture(path, 3))
        self.assertAllClose(read, upright, rtol=0, atol=2)
