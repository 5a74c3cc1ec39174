"""Tests of `pix2pix_tf.data.examples`: something to look at, whatever a model takes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import examples, lab, pairs

SIZE = 32
COLORIZATION = dict(color_space="lab")


def pixels_of(image) -> np.ndarray:
    """Returns the values of 8 bits, unrounded, of an image in [-1, 1]."""
    return (np.asarray(image) + 1) * 127.5


class ExamplesTestCase(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def write_pairs(self, split: str, *, count: int, seed: int = 0) -> list[np.ndarray]:
        """Writes pairs side by side; returns their pixels."""
        random = np.random.RandomState(seed)
        (self.folder / split).mkdir()
        written = []
        for number in range(count):
            written.append(random.randint(0, 256, (SIZE, 2 * SIZE, 3)).astype(np.uint8))
            Image.fromarray(written[-1]).save(self.folder / split / f"{number}.png")
        return written

    def config(self, **settings) -> TrainConfig:
        return TrainConfig(**{"dataset": str(self.folder), "crop_size": SIZE, **settings})


class HeldOutTest(ExamplesTestCase):
    def test_pairs_of_the_test_split_whole_and_in_the_direction_of_the_run(self):
        self.write_pairs("train", count=1, seed=1)
        self.write_pairs("val", count=1, seed=2)
        written = self.write_pairs("test", count=3)
        found = examples.held_out(self.config(direction="BtoA"), limit=2)
        self.assertEqual([example.name for example in found], ["0", "2"])
        for example, pair in zip(found, written[::2]):
            self.assertAllClose(pixels_of(example.source[0]), pair[:, SIZE:], atol=1e-3)
            self.assertAllClose(pixels_of(example.target[0]), pair[:, :SIZE], atol=1e-3)

    @parameterized.parameters("val", "train")
    def test_without_a_test_split_it_is_the_next(self, split):
        written = self.write_pairs("train", count=1, seed=1)
        if split == "val":
            written = self.write_pairs("val", count=1, seed=2)
        (example,) = examples.held_out(self.config(), limit=4)
        self.assertAllClose(pixels_of(example.source[0]), written[0][:, :SIZE], atol=1e-3)


class OfFileTest(ExamplesTestCase):
    def write(self) -> np.ndarray:
        pixels = np.random.RandomState(0).randint(0, 256, (21, 35, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(self.folder / "mine.png")
        return pixels

    def test_a_picture_in_its_size_has_no_target(self):
        pixels = self.write()
        example = examples.of_file(self.folder / "mine.png", self.config())
        self.assertEqual((example.name, example.target), ("mine.png", None))
        self.assertIsNone(example.target_picture)
        self.assertAllClose(pixels_of(example.source), pixels[np.newaxis], atol=1e-3)
        self.assertIs(example.source_picture, example.source)

    def test_colorization_takes_the_lightness_and_shows_the_grey_photo(self):
        pixels = self.write()
        example = examples.of_file(self.folder / "mine.png", self.config(**COLORIZATION))
        photo = (pixels / 127.5 - 1).astype(np.float32)
        self.assertAllClose(example.source[0], lab.lightness_of(photo), atol=1e-5)
        self.assertEqual(example.source_picture.shape, (1, 21, 35, 3))
        self.assertIsNone(example.target_picture)


class DrawnTest(ExamplesTestCase):
    def setUp(self):
        super().setUp()
        self.labels, _ = pairs.ScenePairs("test", size=2 * SIZE).read(0)
        self.grey = self.labels @ [0.299, 0.587, 0.114]

    @parameterized.parameters(1, 2, 3, 4, 5)
    def test_colours_their_grey_or_the_grey_in_each_channel(self, channels):
        grey = np.repeat(self.grey[..., np.newaxis], channels, axis=-1)
        opaque = np.full_like(self.grey[..., np.newaxis], 255)
        colours = {3: self.labels, 4: np.concatenate([self.labels, opaque], axis=-1)}
        expected = colours.get(channels, grey)[:SIZE]
        self.assertAllClose(self.drawn(input_channels=channels), expected, rtol=0, atol=1)

    def test_colorization_is_given_the_lightness(self):
        photo = (self.labels[:SIZE] / 127.5 - 1).astype(np.float32)
        expected = pixels_of(lab.lightness_of(photo))
        self.assertAllClose(self.drawn(**COLORIZATION), expected, atol=0.01)

    def drawn(self, **settings) -> np.ndarray:
        """Returns the pixels of the source, wider than high."""
        example = examples.drawn(self.config(crop_width=2 * SIZE, dataset="/not/here", **settings))
        self.assertIsNone(example.target)
        self.assertEqual(example.source.dtype, tf.float32)
        (pixels,) = pixels_of(example.source)
        return pixels
