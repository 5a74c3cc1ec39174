"""Data that no PNG holds, from files to an export: 5 channels of float to 2 of 16 bits."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf import serving, translate
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import arrays, pipeline
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import outputs, reference, runner
from pix2pix_tf.inference import exported, tiles, translator

_SETTINGS = dict(
    crop_size=32,
    crop_width=64,
    base_filters=2,
    receptive_field=16,
    precision="float32",
    input_channels=5,
    output_channels=2,
    input_range="-50,50",
    output_range="0,4095",
    num_steps=2,
    checkpoint_every=2,
    sample_every=2,
    num_evaluated=1,
)


def write_pairs(folder: pathlib.Path) -> None:
    """Writes 2 training pairs and a held-out one, 40x70 pixels, paired by name."""
    random = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for side in "AB":
            (folder / split / side).mkdir(parents=True)
        for number in range(count):
            coarse = random.uniform(-50, 50, (4, 7, 5)).astype("f4").repeat(10, 0).repeat(10, 1)
            np.save(folder / split / "A" / f"{number}.npy", coarse)
            target = ((coarse[..., :2] + 50) * 40.95).astype(np.uint16)
            contents = arrays.encode(target, ".tif")
            (folder / split / "B" / f"{number}.tif").write_bytes(contents)


class MultispectralTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        write_pairs(cls.folder / "data")
        cls.config = TrainConfig(dataset=str(cls.folder / "data"), **_SETTINGS)
        cls.run_folder = cls.folder / "run"
        tiny_runs.write_run(cls.run_folder, **dataclasses.asdict(cls.config))
        version = serving.save_version(cls.run_folder, cls.folder / "exported")
        cls.model = exported.load(version)
        cls.translate = translator.Translator(
            cls.config, cls.model.translate_with_noise, block=cls.model.block
        )

    def test_training_reads_the_values_of_both_sides(self):
        reader = pipeline.open_reader(self.config, "val", size=(40, 70))
        source, target = reader.read(0)
        values = np.load(self.folder / "data/val/A/0.npy")
        self.assertAllClose(source, values / 50.0, atol=1e-6)
        # Of the target the first two channels, cut to whole numbers of 12 bits.
        self.assertAllClose(target, values[..., :2] / 50.0, atol=1.1 * 2 / 4095)

    def test_a_crop_that_is_not_square(self):
        reader = pipeline.open_reader(self.config, "train", size=self.config.load_shape)
        height, width, _ = reader.read(0)[0].shape
        self.assertEqual((height, width), (41, 72))  # Covers 36x72 in the shape of 40x70.

    def test_translations_are_values_in_the_stated_range(self):
        values = np.load(self.folder / "data/val/A/0.npy")
        found = self.translate.translate_file(self.folder / "data/val/A/0.npy", seed=3)
        self.assertEqual((found.shape, found.dtype), ((40, 70, 2), np.dtype("uint16")))
        output = self.translate((values / 50).astype(np.float32), seed=3)
        self.assertAllClose(found, (output + 1) * 4095 / 2, rtol=0, atol=1)
        self.assertGreater(np.ptp(found), 2000)

    def test_tiles_give_what_one_piece_gives(self):
        random = np.random.default_rng(1)
        coarse = random.uniform(-50, 50, (5, 9, 5)).astype("f4").repeat(8, 0).repeat(8, 1)
        path = tiny_runs.temporary_folder(self) / "in.tif"
        path.write_bytes(arrays.encode(coarse, ".tif"))
        expected = self.translate.translate_file(path, seed=3)
        tiled = tiles.TiledTranslator(*translator.load_generator(self.run_folder), tile=32)
        found = tiled.translate_file(path, seed=3)
        self.assertEqual((found.shape, found.dtype), (expected.shape, np.dtype("uint16")))
        self.assertGreater(np.ptp(expected), 0.4 * 4095)
        # One, where a value lies between two integers.
        self.assertLessEqual(np.abs(found.astype(float) - expected).max(), 1)

    def test_export_has_no_signature_for_files(self):
        signatures = self.model.card["signatures"]
        self.assertEqual(list(signatures), ["serving_default", "with_noise"])
        taken = signatures["with_noise"]["inputs"]["image"]
        self.assertEqual((taken["shape"][-1], taken["values"]), (5, "-50,50"))
        output = self.model.translate(np.zeros((1, 20, 70, 5), "f4"))
        self.assertEqual(output.shape, (1, 20, 70, 2))
        with self.assertRaisesRegex(InputError, "5 channel.* 2 of type uint16"):
            self.model.translate_encoded([b""])

    def test_evaluation_says_what_it_leaves_out(self):
        pairs = reference.Reference(self.config, split="val", size=(32, 64))
        made = outputs.ModelOutputs(self.translate, name="run", num_pairs=1, num_samples=2)
        result = runner.evaluate(made, pairs, self.folder / "evaluation")
        self.assertEqual(result["size"], (32, 64))
        self.assertContainsSubset({"l1", "psnr", "ssim", "draws_l1"}, result["scores"])
        self.assertNotIn("colour_intersection", result["scores"])
        self.assertNotIn("sharpness", result["scores"])
        self.assertIn("2 channels", " ".join(result["notes"]))
        for folder in ("inputs", "outputs", "targets", "samples/2"):
            with Image.open(self.folder / "evaluation" / folder / "0.png") as picture:
                self.assertEqual((picture.size, picture.mode), ((64, 32), "RGB"))

    def test_the_score_of_a_network_for_photos_is_refused(self):
        with self.assertRaisesRegex(InputError, "FCN-score"):
            reference.Reference(self.config, split="val", size=(32, 64), segmenter="anything")

    @parameterized.named_parameters(
        ("jpeg_8_bits", "a.JPG", {}, "a.JPG"),
        ("png_16_bits", "a.png", dict(output_range="0,65535"), "a.png"),
        ("png_float", "a.png", dict(output_range="0,1"), "a.png.npy"),
        ("tiff_float", "a.tif", dict(output_range="0,1"), "a.tif"),
        ("tiff_8_bits", "a.tif", {}, "a.tif.png"),
    )
    def test_name_of_a_translation(self, name, settings, expected):
        config = TrainConfig(**settings)
        self.assertEqual(translate.output_name(pathlib.Path("in", name), None, config), expected)
