"""Tests of `pix2pix_tf.inference.translator`: one model, from each form that it is kept in."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf import serving
from pix2pix_tf.data import examples
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import translator
from pix2pix_tf.training import checkpoints
from pix2pix_tf.training.checkpoints import GENERATOR_WEIGHTS

SIZE = tiny_runs.CROP_SIZE


class TranslatorTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls) / "an odd näme (1), 100%"
        cls.run_folder, cls.exported = folder / "run", folder / "exported"
        cls.config = tiny_runs.write_run(cls.run_folder)
        newest = cls.run_folder / checkpoints.FOLDER / "step_00000007"
        newest.mkdir(parents=True)
        shutil.copyfile(cls.run_folder / GENERATOR_WEIGHTS, newest / GENERATOR_WEIGHTS)
        for older in ("2", "9"):  # 10 is newer than 9; these cannot be loaded.
            (cls.exported / older).mkdir(parents=True)
        cls.version = serving.save_version(cls.run_folder, cls.exported)
        cls.translators = {
            "run": translator.load(cls.run_folder),
            "model": translator.load(str(cls.exported)),
            "version": translator.load(cls.version),
        }

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    @parameterized.parameters((SIZE, SIZE), (33, 47), (1, 1), (20, 100))
    def test_run_model_and_version_folder_give_the_same_picture(self, height, width):
        image = tiny_runs.random_image(height, width, 3)
        outputs = {
            name: translate(image, seed=3, sample=1) for name, translate in self.translators.items()
        }
        for output in outputs.values():
            self.assertEqual((output.shape, output.dtype), ((height, width, 3), np.float32))
        self.assertAllClose(outputs["run"], outputs["model"], rtol=0, atol=1e-5)
        self.assertAllEqual(outputs["model"], outputs["version"])
        self.assertGreater(np.ptp(outputs["run"]) + (height == width == 1), 0.1)

    def test_noise_follows_from_seed_and_sample(self):
        image = tiny_runs.random_image(SIZE, SIZE, 3)
        translate = self.translators["run"]
        outputs = {
            (seed, sample): translate(image, seed=seed, sample=sample)
            for seed in range(3)
            for sample in range(3)
        }
        tf.random.set_seed(9)  # Not asked.
        np.random.seed(9)
        for (seed, sample), output in outputs.items():
            self.assertAllEqual(translate(image, seed=seed, sample=sample), output)
        pictures = list(outputs.values())
        for index, picture in enumerate(pictures):
            for other in pictures[:index]:
                self.assertGreater(np.abs(picture - other).mean(), 0.01)
        self.assertAllEqual(translate(image), outputs[0, 0])

    def test_frames_of_one_size_get_the_same_noise(self):
        image = tiny_runs.random_image(20, SIZE, 3)
        translate = self.translators["run"]
        before = translate(image)
        translate(-image)
        self.assertAllEqual(translate(image), before)
        (drawn, again) = ([], [])
        for seen in (drawn, again):
            spy = translator.Translator(self.config, lambda x, z, seen=seen: seen.append(z) or x)
            spy(tiny_runs.random_image(20, SIZE, 3, seed=len(drawn)))
        self.assertAllEqual(drawn[0], again[0])
        self.assertAllInRange(drawn[0], 0.0, 1.0, open_upper_bound=True)

    def test_knows_how_the_model_was_trained(self):
        for translate in self.translators.values():
            self.assertEqual(translate.config, self.config)
            self.assertEqual(translate.step, 7)

    @parameterized.named_parameters(
        ("colour", "RGB"),
        ("grey", "L"),
        ("grey_alpha", "LA"),
        ("alpha", "RGBA"),
        ("sixteen_bits", "I;16"),
    )
    def test_a_file_of_any_kind(self, mode):
        random = np.random.RandomState(0)
        channels = len(Image.new(mode, (1, 1)).getbands())
        if mode == "I;16":
            picture = Image.fromarray(random.randint(0, 2**16, (21, 35)).astype(np.uint16))
        else:
            pixels = random.randint(0, 256, (21, 35, channels)).astype(np.uint8)
            pixels[..., -1] |= 255 * (mode in ("LA", "RGBA"))  # Opaque.
            picture = Image.fromarray(pixels.squeeze())
        path = self.folder / "it is [one].png"
        picture.save(path)
        output = self.translators["run"].translate_file(path, seed=2, sample=1)
        self.assertEqual((output.shape, output.dtype), ((21, 35, 3), np.uint8))
        white = 65535 if mode == "I;16" else 255
        values = np.asarray(picture if mode == "I;16" else picture.convert("RGB")) / white
        values = np.broadcast_to(values.reshape(21, 35, -1), (21, 35, 3))
        image = (2 * values - 1).astype(np.float32)
        expected = (self.translators["run"](image, seed=2, sample=1) + 1) * 127.5
        self.assertLess(np.abs(output - expected).max(), 0.6)

    @parameterized.named_parameters(
        ("colour", dict(), np.uint8),
        ("colorization", dict(color_space="lab"), np.uint8),
        ("values", dict(output_channels=2, output_range="0,4095"), np.uint16),
        ("other_values", dict(output_range="-3,5.5"), np.float32),
    )
    def test_an_example_is_translated_as_its_file_is(self, settings, dtype):
        config = dataclasses.replace(self.config, **settings)
        channels = config.output_channels
        translate = translator.Translator(
            config, lambda image, z: np.tanh(image[..., :1] + z[0, :channels]) / 2
        )
        path = self.folder / "a photo.png"
        pixels = np.random.RandomState(0).randint(0, 256, (21, 35, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path)
        expected = translate.translate_file(path, seed=3, sample=1)
        example = examples.of_file(path, config)
        picture = translate.translate_example(example, seed=3, sample=1)
        self.assertEqual((picture.shape, picture.dtype), (expected.shape, np.float32))
        self.assertAllInRange(picture, -1.0, 1.0)
        values = translate.file_values(picture)
        self.assertEqual((values.dtype, expected.dtype), (dtype, dtype))
        self.assertAllEqual(values, expected)
        low, high = config.output_limits or (0, 255)
        self.assertAllClose(values, (picture + 1) / 2 * (high - low) + low, rtol=0, atol=0.51)
        self.assertNotAllEqual(translate.translate_example(example, seed=3), picture)

    def test_a_file_that_is_no_image_is_named(self):
        path = self.folder / "noise.png"
        with self.assertRaisesRegex(MissingInputError, "There is no file '.*noise.png'"):
            self.translators["run"].translate_file(path)
        path.write_bytes(b"\x89PNG\r\n\x1a\n....")
        with self.assertRaisesRegex(InputError, "'.*noise.png' cannot be read.* Replace it"):
            self.translators["run"].translate_file(path)

    def test_other_channels(self):
        run = self.folder / "run"
        tiny_runs.write_run(run, input_channels=1, output_channels=4, dropout=0.0)
        translate = translator.load(run)
        self.assertEqual(translate(tiny_runs.random_image(9, 40, 1)).shape, (9, 40, 4))
        self.assertIsNone(translate.step)

    # What cannot be loaded.

    def assert_refused(self, folder: pathlib.Path, error: type, *parts: str):
        with self.assertRaises(error) as caught:
            translator.load(folder)
        message = str(caught.exception)
        for part in (f"'{folder}", *parts):
            self.assertIn(part, message)
        self.assertLen(message.splitlines(), 1)

    def copy(self, name: str = "1") -> pathlib.Path:
        return pathlib.Path(shutil.copytree(self.version, self.folder / name))

    def test_no_folder(self):
        self.assert_refused(self.folder / "none", MissingInputError, "Pass a run folder or")
        (self.folder / "file").touch()
        self.assert_refused(self.folder / "file", MissingInputError, "Pass a run folder or")

    def test_neither_run_nor_model_is_not_called_a_model(self):
        with self.assertRaisesRegex(InputError, "neither a run folder"):
            translator.load(self.folder, checkpoint="best")

    def test_neither_run_nor_model(self):
        (self.folder / "notes").mkdir()
        self.assert_refused(
            self.folder, InputError, "neither a run folder", "config.json", "saved_model.pb"
        )

    def test_run_without_weights(self):
        tiny_runs.write_run(self.folder / "run")
        (self.folder / "run" / GENERATOR_WEIGHTS).unlink()
        with self.assertRaisesRegex(MissingInputError, "Train until the first checkpoint"):
            translator.load(self.folder / "run")

    def test_a_saved_model_has_one_checkpoint(self):
        with self.assertRaisesRegex(InputError, "'best', but .* is a SavedModel"):
            translator.load(self.exported, checkpoint="best")

    def test_config_that_is_no_json(self):
        (self.folder / "config.json").write_text("{")
        self.assert_refused(self.folder, InputError, "is not JSON")

    def test_model_of_another_project(self):
        shutil.rmtree(self.copy() / "assets.extra")
        self.assert_refused(
            self.folder / "1", MissingInputError, "model_card.json", "was not exported by"
        )

    @parameterized.named_parameters(
        ("cut_short", '{"config": {', "is no model card ("),
        ("a_list", "[]", "is no model card ("),
        ("without_its_fields", '{"step": 3}', "is no model card: it lacks config, noise_size"),
    )
    def test_damaged_card(self, text, expected):
        version = self.copy()
        (version / serving.MODEL_CARD).write_text(text)
        self.assert_refused(version, InputError, expected, "Export the run again.")

    @parameterized.named_parameters(
        ("graph", "saved_model.pb", 100),
        ("empty_graph", "saved_model.pb", 0),
        ("variables", "variables/variables.data-00000-of-00001", 100),
        ("no_variables", "variables/variables.data-00000-of-00001", None),
        ("no_index", "variables/variables.index", None),
    )
    def test_damaged_model(self, name, length):
        path = self.copy() / name
        contents = path.read_bytes()
        path.unlink()
        if length is not None:
            path.write_bytes(contents[:length])
        self.assert_refused(
            self.folder / "1", InputError, "cannot be loaded as a SavedModel", "Export the run"
        )

    def test_path_that_tensorflow_takes_for_a_pattern(self):
        self.assert_refused(
            self.copy("a [1]"), InputError, "has a [ in its path", "Name another folder"
        )


if __name__ == "__main__":
    tf.test.main()
