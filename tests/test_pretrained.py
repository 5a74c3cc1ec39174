"""Tests of `pix2pix_tf.pretrained`: the models of the package, wherever a run folder goes."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
from unittest import mock

import browser_tools
import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from export import compact, saved_model
from export.web import assemble, serve
from pix2pix_tf import pretrained, run_folder, serving, translate
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pairs
from pix2pix_tf.inference import translator

_MAX_BYTES = 15_000_000


class HousesTest(tf.test.TestCase):
    """The model itself."""

    def test_what_is_in_its_folder(self):
        folder = pretrained.find_model(pretrained.HOUSES)
        files = [path for path in folder.rglob("*") if path.is_file()]
        self.assertLess(sum(path.stat().st_size for path in files), _MAX_BYTES)
        card = json.loads((folder / compact.CARD).read_text())
        self.assertEqual(TrainConfig.from_dict(card["config"]), TrainConfig.load(folder))
        self.assertEqual(run_folder.find_weights(folder)[1], card["step"])
        self.assertGreaterEqual(card["step"], 30_000)
        self.assertEqual(card["weights"], run_folder.AVERAGE)

    def test_it_draws_the_houses_that_labels_say(self):
        folder = tiny_runs.temporary_folder(self)
        config = TrainConfig.load(pretrained.find_model(pretrained.HOUSES))
        scenes = pairs.ScenePairs("test", size=config.crop_size)
        labels, _ = scenes.read(0)
        Image.fromarray(np.asarray(labels)).save(folder / "labels.png")
        flags = (f"--input={folder / 'labels.png'}", f"--output={folder / 'out'}")
        result = command_line.run(translate, "--model=houses", *flags)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        # Colours are not in the labels; where it is light and dark is.
        output = Image.open(folder / "out" / "labels.png")
        photos = [Image.fromarray(np.asarray(scenes.read(number)[1])) for number in range(5)]
        greys = [np.asarray(picture.convert("L")).ravel() for picture in (output, *photos)]
        own, *others = np.corrcoef(greys)[0, 1:]
        self.assertGreater(own, 0.5)
        self.assertGreater(own, max(others) + 0.2)


class NameTest(tf.test.TestCase, parameterized.TestCase):
    """The name, with a tiny model in the place of the package's."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        models, here = self.folder / "models", self.folder / "here"
        self.model = shutil.copytree(tiny_runs.shared_run(), models / pretrained.HOUSES)
        here.mkdir()
        self.enter_context(mock.patch.object(pretrained, "_HERE", models))
        self.enter_context(_working_in(here))

    def test_every_door_knows_it(self):
        image = np.zeros((32, 32, 3), np.float32)
        expected = translator.load(self.model)(image)
        self.assertAllEqual(translator.load("houses")(image), expected)
        config, _ = translator.load_generator("houses")
        self.assertEqual(config, TrainConfig.load(self.model))
        self.assertIsNone(translator.pair_file_size("houses"))
        result = command_line.run(saved_model, "--workdir=houses", "--output=exported")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertAllClose(translator.load("exported")(image), expected, atol=1e-5)
        with serving.version_of("houses") as version:
            self.assertEqual(serving.read_model_card(version)["step"], None)
        self.assertFalse(version.exists())  # It was for the while.

    def test_its_page_bears_its_name(self):
        browser_tools.node()
        site = assemble.assemble("houses", pathlib.Path("site"))
        self.assertEqual(
            json.loads((site / serve.DESCRIPTION).read_text())["title"], "pix2pix houses"
        )

    def test_a_folder_of_that_name_goes_first(self):
        own = pathlib.Path("houses")
        tiny_runs.write_run(own, dataset="own")
        self.assertEqual(pretrained.find_model("houses"), own)
        self.assertEqual(translator.load_generator("houses")[0].dataset, "own")

    @parameterized.parameters("./houses", "house", "models/houses")
    def test_other_names_are_paths(self, name):
        self.assertEqual(pretrained.find_model(name), pathlib.Path(name))

    def test_a_wrong_name_is_told_which_there_are(self):
        result = command_line.run(translate, "--model=house", "--input=.", "--output=out")
        self.assertEqual(result.exit_code, 2)
        Image.new("RGB", (32, 32)).save("a.png")
        result = command_line.run(translate, "--model=house", "--input=a.png", "--output=out")
        result.check_refused("'house'", "houses")


@contextlib.contextmanager
def _working_in(folder: pathlib.Path):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
