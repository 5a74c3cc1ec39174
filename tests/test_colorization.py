"""Colorization end to end: photos of files, training, evaluation, translation and export."""

from __future__ import annotations

import io
import json
import pathlib
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image
from preparing import photo, prepare, save

from pix2pix_tf import evaluate, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images, lab, pairs, pipeline
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import colour, runner
from pix2pix_tf.inference import exported, tiles, translator

_LAB = dict(color_space="lab")


def colored(*, width: int = 40, height: int = 40, seed: int = 0) -> np.ndarray:
    """Returns a picture with colours everywhere, far from the borders of sRGB."""
    return (photo(width=width, height=height, seed=seed) // 2 + 64).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def decode(contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(contents)) as picture:
        return np.asarray(picture)


def lightness(pixels: np.ndarray) -> np.ndarray:
    """Returns CIE L of pixels of 8 bits, grey or in colours."""
    image = images.in_colour(np.atleast_3d(pixels)) / 127.5 - 1.0
    return lab.to_lab(image).numpy()[..., 0]


def evaluate_by(output: pathlib.Path, *flags: str) -> dict:
    """Returns what the command has measured; nobody looks at its plots here."""
    plots = {name: (section, lambda result: b"") for name, (section, _) in runner.PLOTS.items()}
    with mock.patch.dict(runner.PLOTS, plots):
        result = command_line.run(
            *(evaluate, f"--output={output}", "--split=val", "--feature_weights=none"), *flags
        )
    if result.exit_code:
        raise AssertionError(result.stderr)
    return json.loads((output / "evaluation.json").read_text())


class PhotosTest(tf.test.TestCase, parameterized.TestCase):
    """Which files are photos, and what the network gets of them."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def read(self, *, index: int = 0, dataset=None, size: int = 40, **settings):
        config = TrainConfig(dataset=str(dataset or self.folder), **_LAB, **settings)
        return pipeline.open_reader(config, "train", size=size).read(index)

    def assert_is_of(self, pair, pixels: np.ndarray):
        """Asserts that a pair is L and ab of a photo."""
        source, target = pair
        self.assertEqual((source.dtype, target.dtype), (np.float32, np.float32))
        expected = lab.to_lab(pixels / np.iinfo(pixels.dtype).max * 2.0 - 1.0)
        self.assertAllClose(source, expected[..., :1] / 50 - 1, rtol=0, atol=1e-4)
        self.assertAllClose(target, expected[..., 1:] / 110, rtol=0, atol=1e-4)

    def test_photos_alone(self):
        save(self.folder / "train" / "1.png", colored())
        save(self.folder / "train" / "2.png", colored(width=60, height=40, seed=1))
        self.assert_is_of(self.read(), colored())
        self.assert_is_of(self.read(index=1), colored(width=60, height=40, seed=1))
        deep = colored().astype(np.uint16) * 257 + 100
        (self.folder / "train" / "1.png").write_bytes(tf.io.encode_png(deep).numpy())
        self.assert_is_of(self.read(), deep)

    @parameterized.parameters("pairs", "folders")
    def test_pairs_of_prepare_colorize(self, layout):
        save(self.folder / "in" / "train" / "1.png", colored())
        result = prepare("colorize", self.folder, f"--layout={layout}")
        self.assertEqual(result.exit_code, 0, result)
        self.assert_is_of(self.read(dataset=self.folder / "out"), colored())

    @parameterized.parameters(("AtoB", 1), ("BtoA", 0))
    def test_side_of_the_photo(self, direction, side):
        halves = [colored(seed=seed) for seed in (0, 1)]
        halves[1 - side] = np.repeat(halves[1 - side][..., :1], 3, axis=-1)
        save(self.folder / "train" / "1.png", np.concatenate(halves, axis=1))
        self.assert_is_of(self.read(direction=direction), halves[side])
        other = "BtoA" if direction == "AtoB" else "AtoB"
        self.assertEqual(self.read(direction=other)[0].shape, (40, 80, 1))  # A photo, then.

    def test_pairs_saved_as_jpeg(self):
        # The middle is in no block of its own: the grey gets some of the colours beside it.
        width = 36
        grey = np.repeat(colored(width=width)[..., 1:2], 3, axis=-1)
        pair = np.concatenate([grey, colored(width=width, seed=1)], axis=1)
        (self.folder / "train").mkdir()
        (self.folder / "train" / "1.jpg").write_bytes(jpeg(pair))
        source, target = self.read(size=width)
        self.assertEqual(source.shape[:2], (40, width))
        expected = lab.to_lab(colored(width=width, seed=1) / 127.5 - 1.0)
        self.assertLess(np.abs(target * 110 - expected[..., 1:]).mean(), 5)

    def test_drawn_scenes(self):
        scenes = pairs.open_pairs("demo", "train", photo_side="B", scene_size=32)
        first, second = scenes.read(0)
        self.assertIs(first, second)
        self.assert_is_of(self.read(dataset="demo", size=32, crop_size=32), first)

    def test_a_grey_file_is_refused_by_name(self):
        save(self.folder / "train" / "1.png", colored()[..., 0])
        with self.assertRaisesRegex(InputError, "1.png' is grey"):
            self.read()
        # Also one in three channels.
        save(self.folder / "train" / "0.png", colored())
        (self.folder / "train" / "1.png").unlink()
        save(self.folder / "train" / "1.jpg", np.repeat(colored()[..., :1], 3, axis=-1))
        with self.assertRaisesRegex(InputError, "1.jpg' is grey"):
            self.read(index=1)


class ModelTest(tf.test.TestCase, parameterized.TestCase):
    """A run, translated, exported and evaluated."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.run_folder = cls.folder / "run"
        for split, seeds in (("train", (0, 1, 2)), ("val", (3, 4))):
            for seed in seeds:
                pixels = colored(width=32, height=32, seed=seed)
                save(cls.folder / "data" / split / f"{seed}.png", pixels)
        cls.config = tiny_runs.write_run(
            cls.run_folder, dataset=str(cls.folder / "data"), color_space="lab", dropout=0.0
        )
        cls.version = serving.save_version(cls.run_folder, cls.folder / "exported")
        cls.model = exported.load(cls.version)
        cls.translate = translator.Translator(
            cls.config, cls.model.translate_with_noise, block=cls.model.block
        )

    def test_encoded_takes_grey_and_colour_and_gives_colour_of_the_same_size(self):
        pixels = colored(width=50, height=35)
        grey = np.asarray(Image.fromarray(pixels).convert("L"))
        given = [jpeg(pixels), jpeg(grey), encode_16_bits(grey)]
        for source, contents in zip((pixels, grey, grey), self.model.translate_encoded(given)):
            result = decode(contents)
            self.assertEqual((result.shape, result.dtype), ((35, 50, 3), np.uint8))
            self.assertGreater(np.ptp(result.astype(int), axis=-1).mean(), 10)  # Not grey.
            # Where nothing was clipped, the lightness is the input's, but for JPEG and rounding.
            inside = (result > 0).all(-1) & (result < 255).all(-1)
            self.assertGreater(inside.mean(), 0.05)
            difference = np.abs(lightness(result) - lightness(source))[inside]
            self.assertLess(np.median(difference), 1.0)

    def test_tiles_make_the_same_photo(self):
        by_tiles = tiles.TiledTranslator(*translator.load_generator(self.run_folder), tile=64)
        path = self.folder / "large.png"
        pixels = colored(width=100, height=150)
        for contents in (pixels, pixels.astype(np.uint16) * 257):
            path.write_bytes(tf.io.encode_png(contents).numpy())
            whole = self.translate.translate_file(path, seed=2)
            tiled = by_tiles.translate_file(path, seed=2)
            self.assertEqual((tiled.shape, tiled.dtype), (whole.shape, whole.dtype))
            difference = np.abs(tiled.astype(int) - whole.astype(int))
            self.assertLess(difference.mean(), 0.1)
            self.assertLess((difference > 2).mean(), 1e-3)

    def test_evaluation_measures_photos_and_the_grey_they_came_from(self):
        output = self.folder / "evaluation"
        with mock.patch.object(translator, "load", return_value=self.translate):
            measured = evaluate_by(output, f"--model={self.run_folder}")
        self.assertLess(measured["scores"]["grey_colour_intersection"]["value"], 0.7)
        # By hand, from the pictures that were written.
        counts = {axis: [0, 0] for axis in colour.AXES}
        for name in ("3.png", "4.png"):
            for number, folder in enumerate(("inputs", "targets")):
                pixels = decode((output / folder / name).read_bytes())
                for axis, found in colour.histograms(pixels / 127.5 - 1.0).items():
                    counts[axis][number] = counts[axis][number] + found
        # But for L, which rounding moves from bin to bin.
        for axis in ("a", "b"):
            self.assertAlmostEqual(
                measured["colour"]["input_intersection"][axis], colour.intersection(*counts[axis])
            )
        self.assertGreater(measured["colour"]["input_intersection"]["L"], 0.9)
        target = decode((output / "targets" / "3.png").read_bytes())
        self.assertAllEqual(target, colored(width=32, height=32, seed=3))
        grey = decode((output / "inputs" / "3.png").read_bytes())
        self.assertAllEqual(grey, np.repeat(grey[..., :1], 3, axis=-1))
        self.assertLess(np.abs(lightness(grey) - lightness(target)).max(), 0.3)

    def test_evaluation_of_other_programs_photos(self):
        given = self.folder / "given"
        for seed in (3, 4):
            save(given / f"{seed}.png", colored(width=32, height=32, seed=seed))
        flags = (f"--outputs={given}", "--color_space=lab", f"--dataset={self.folder / 'data'}")
        scores = evaluate_by(self.folder / "of_folder", *flags)["scores"]
        # But for values at the border of two bins, since the targets were to Lab and back.
        self.assertGreater(scores["colour_intersection"]["value"], 0.999)
        self.assertLess(scores["l1"]["value"], 1e-6)
        self.assertLess(scores["grey_colour_intersection"]["value"], 0.7)


def encode_16_bits(grey: np.ndarray) -> bytes:
    return tf.io.encode_png(grey.astype(np.uint16)[..., np.newaxis] * 257).numpy()
