"""Tests of `pix2pix_tf.inference.translator`: one model, from each form that it is kept in."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
import shutil

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image
from refusals import refused

from pix2pix_tf import networks, run_folder, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import examples
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import translator
from pix2pix_tf.run_folder import GENERATOR_WEIGHTS

SIZE = tiny_runs.CROP_SIZE


class TranslatorTest(tf.test.TestCase, parameterized.TestCase):
    """A run folder and a SavedModel of the same weights, after 7 steps."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls) / "an odd näme (1), 100%"
        cls.run_folder, cls.exported = folder / "run", folder / "exported"
        shutil.copytree(tiny_runs.shared_run(), cls.run_folder)
        cls.config = TrainConfig.load(cls.run_folder)
        newest = cls.run_folder / run_folder.CHECKPOINTS_FOLDER / "step_00000007"
        newest.mkdir(parents=True)
        shutil.copyfile(cls.run_folder / GENERATOR_WEIGHTS, newest / GENERATOR_WEIGHTS)
        for older in ("2", "9"):  # 10 is newer than 9; these cannot be loaded.
            (cls.exported / older).mkdir(parents=True)
        cls.version = cls.exported / "10"
        shutil.copytree(tiny_runs.shared_version(), cls.version)
        card = serving.read_model_card(cls.version)
        (cls.version / serving.MODEL_CARD).write_text(json.dumps({**card, "step": 7}))
        cls.translators = {
            "run": translator.load(cls.run_folder),
            "model": translator.load(str(cls.exported)),
        }

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    @parameterized.parameters((33, 47), (1, 1))
    def test_a_run_and_a_model_give_the_same_picture(self, height, width):
        image = tiny_runs.random_image(height, width, 3)
        outputs = {
            name: translate(image, seed=3, sample=1) for name, translate in self.translators.items()
        }
        for output in outputs.values():
            self.assertEqual((output.shape, output.dtype), ((height, width, 3), np.float32))
        self.assertAllClose(outputs["run"], outputs["model"], rtol=0, atol=1e-5)
        self.assertGreater(np.ptp(outputs["run"]) + (height == width == 1), 0.1)

    def test_noise_follows_from_seed_and_sample(self):
        image = tiny_runs.random_image(SIZE, SIZE, 3)
        translate = self.translators["run"]
        draws = ((0, 0), (0, 1), (1, 0), (1, 1))
        outputs = [translate(image, seed=seed, sample=sample) for seed, sample in draws]
        tf.random.set_seed(9)  # Not asked.
        np.random.seed(9)
        for (seed, sample), output in zip(draws, outputs):
            self.assertAllEqual(translate(image, seed=seed, sample=sample), output)
        for picture, other in itertools.combinations(outputs, 2):
            self.assertGreater(np.abs(picture - other).mean(), 0.01)
        self.assertAllEqual(translate(image), outputs[0])

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
            config,
            lambda image, z: np.tanh(image[..., :1] + z[0, :channels]) / 2,
            block=networks.Block(SIZE, channels),
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

    # What cannot be loaded.

    def assert_refused(self, folder: pathlib.Path, error: type, *parts: str, **options):
        with refused(f"'{folder}", *parts, kind=error) as caught:
            translator.load(folder, **options)
        self.assertLen(str(caught.value).splitlines(), 1)

    def test_a_run_that_is_not_whole(self):
        shutil.copy(self.run_folder / "config.json", self.folder)
        self.assert_refused(self.folder, MissingInputError, GENERATOR_WEIGHTS)
        (self.folder / "config.json").write_text("{")
        self.assert_refused(self.folder, InputError, "config.json")

    def test_a_saved_model_has_one_checkpoint(self):
        with refused("'best'", f"'{self.exported}'"):
            translator.load(self.exported, checkpoint="best")

    @parameterized.named_parameters(
        ("missing", None, "model_card.json"),
        ("cut_short", '{"config": {', "model_card.json"),
        ("a_list", "[]", "model_card.json"),
        ("without_its_fields", '{"step": 3}', "config, noise_size"),
    )
    def test_damaged_card(self, text, expected):
        version = pathlib.Path(shutil.copytree(self.version, self.folder / "1"))
        (version / serving.MODEL_CARD).unlink()
        if text is not None:
            (version / serving.MODEL_CARD).write_text(text)
        error = InputError if text else MissingInputError
        self.assert_refused(version, error, expected)

    @parameterized.named_parameters(
        ("graph", "saved_model.pb", 100),
        ("empty_graph", "saved_model.pb", 0),
        ("variables", "variables/variables.data-00000-of-00001", 100),
        ("no_index", "variables/variables.index", None),
    )
    def test_damaged_model(self, name, length):
        path = shutil.copytree(self.version, self.folder / "1") / name
        contents = path.read_bytes()
        path.unlink()
        if length is not None:
            path.write_bytes(contents[:length])
        self.assert_refused(self.folder / "1", InputError, "SavedModel")
