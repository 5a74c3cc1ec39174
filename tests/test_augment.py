"""Tests of `pix2pix_tf.data.augment`, mostly on images that hold their own coordinates."""

from __future__ import annotations

import collections

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf.data import augment


def coordinates(height: int, width: int) -> np.ndarray:
    """Returns `[height, width, 2]`, the row and the column of every pixel."""
    rows, cols = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.stack([rows, cols], axis=-1).astype(np.float32)


class JitterPairTest(tf.test.TestCase, parameterized.TestCase):
    # Crops of 4 x 4 from 6 x 8: 3 rows, 5 columns and 2 flips to choose from.
    height, width, crop_size = 6, 8, 4

    def draw(self, num_seeds: int, *, mirror: bool) -> list[tuple[int, int, bool]]:
        """Returns (row, col, flipped) of many jitters, having checked both sides of each."""
        image = tf.constant(coordinates(self.height, self.width))
        number = 100.0 * image[..., :1] + image[..., 1:]  # Another image, with one channel.

        @tf.function
        def jitter(seed):
            return augment.jitter_pair(
                image,
                number,
                crop_size=self.crop_size,
                jitter=augment.Jitter(mirror=mirror),
                seed=seed,
            )

        drawn = []
        for seed in range(num_seeds):
            source, target = (side.numpy() for side in jitter(tf.constant([seed, 7])))
            self.assertAllEqual(target[..., 0], 100.0 * source[..., 0] + source[..., 1])
            row, col = source.min(axis=(0, 1)).astype(int)
            flipped = bool(source[0, 0, 1] > source[0, -1, 1])
            cut = image[row : row + self.crop_size, col : col + self.crop_size].numpy()
            self.assertAllEqual(source, cut[:, ::-1] if flipped else cut)
            drawn.append((row, col, flipped))
        return drawn

    def test_every_crop_and_flip_is_drawn(self):
        drawn = self.draw(400, mirror=True)
        everything = {(r, c, f) for r in range(3) for c in range(5) for f in (False, True)}
        self.assertEqual(set(drawn), everything)
        # Half are flipped, and no corner is favoured: 400 / 2, 400 / 3 and 400 / 5 expected.
        self.assertBetween(sum(flipped for _, _, flipped in drawn), 170, 230)
        self.assertAllInRange(np.bincount([row for row, _, _ in drawn]), 105, 162)
        self.assertAllInRange(np.bincount([col for _, col, _ in drawn]), 55, 105)


class MoreJitterTest(tf.test.TestCase, parameterized.TestCase):
    """What is off by default; both sides carry the same marks."""

    size = 4

    def draw(self, seed: int, **settings) -> tuple[np.ndarray, np.ndarray]:
        marks = np.arange(self.size**2, dtype=np.float32).reshape(self.size, self.size, 1) / 16
        source, target = augment.jitter_pair(
            tf.constant(np.repeat(marks, 3, axis=-1)),
            tf.constant(-marks),
            crop_size=self.size,
            jitter=augment.Jitter(mirror=False, **settings),
            seed=tf.constant([seed, 7]),
        )
        return source.numpy()[..., 0], -target.numpy()[..., 0]

    def turns_of(self, **settings) -> set[bytes]:
        """Returns the different pictures that are drawn, the same on both sides."""
        drawn = [self.draw(seed, **settings) for seed in range(60)]
        for source, target in drawn:
            self.assertAllEqual(source, target)
        return {source.tobytes() for source, _ in drawn}

    def test_flips_and_turns_are_the_same_of_both_sides(self):
        plain = self.draw(0)[0]
        self.assertEqual(self.turns_of(), {plain.tobytes()})
        self.assertEqual(
            self.turns_of(vertical_flip=True), {plain.tobytes(), plain[::-1].tobytes()}
        )
        turned = {np.rot90(plain, k).tobytes() for k in range(4)}
        self.assertEqual(self.turns_of(rotate90=True), turned)
        both = turned | {np.rot90(plain[::-1], k).tobytes() for k in range(4)}
        self.assertEqual(self.turns_of(rotate90=True, vertical_flip=True), both)

    def test_the_light_of_the_input_alone_changes(self):
        plain = self.draw(0)[0]
        slopes, shifts = [], []
        for seed in range(60):
            source, target = self.draw(seed, input_jitter=0.2)
            self.assertAllEqual(target, plain)
            inside = (source > -1) & (source < 1)
            slope, _ = np.polyfit(plain[inside], source[inside], 1)
            slopes.append(slope)
            shifts.append(np.mean(source - plain))
        self.assertAllInRange(slopes, 0.79, 1.21)
        self.assertAllInRange(shifts, -0.21, 0.21)
        self.assertGreater(np.ptp(slopes), 0.3)
        self.assertGreater(np.ptp(shifts), 0.3)

    def test_alpha_keeps_its_values(self):
        image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (4, 4, 4)).astype(np.float32))
        jitter = augment.Jitter(mirror=False, input_jitter=0.5)
        source, _ = augment.jitter_pair(
            image, image, crop_size=4, jitter=jitter, seed=tf.constant([1, 2])
        )
        self.assertAllEqual(source[..., 3], image[..., 3])
        self.assertNotAllClose(source[..., :3], image[..., :3], atol=0.05)

    def test_the_place_and_the_mirror_are_the_same_with_and_without(self):
        image = tf.constant(coordinates(8, 8))
        for seed in range(10):
            drawn = [
                augment.jitter_pair(
                    image,
                    image,
                    crop_size=4,
                    jitter=augment.Jitter(vertical_flip=flip),
                    seed=tf.constant([seed, 7]),
                )[0].numpy()
                for flip in (False, True)
            ]
            self.assertAllEqual(np.sort(drawn[0], axis=0), np.sort(drawn[1], axis=0))

    def operations(self, **settings) -> collections.Counter:
        """Returns what a pair goes through in training: operations, by their type."""

        @tf.function
        def jitter_pair(image, seed):
            jitter = augment.Jitter(mirror=False, **settings)
            return augment.jitter_pair(image, image, crop_size=4, jitter=jitter, seed=seed)

        graph = jitter_pair.get_concrete_function(
            tf.TensorSpec([None, None, 3]), tf.TensorSpec([2], tf.int32)
        ).graph
        return collections.Counter(operation.type for operation in graph.get_operations())

    def test_what_is_off_costs_nothing(self):
        off = self.operations()
        draws = "StatelessRandomUniformV2"
        # The draw of the place, and the same cut on both sides.
        self.assertEqual((off[draws], off["StridedSlice"]), (1, 3))
        for settings in (dict(vertical_flip=True), dict(rotate90=True), dict(input_jitter=0.1)):
            on = self.operations(**settings)
            self.assertEqual(on[draws], 2)
            self.assertGreater(sum(on.values()), sum(off.values()))


class CenterPairTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((8, 10, 2, 3), (7, 11, 1, 3), (4, 4, 0, 0), (4, 20, 0, 8))
    def test_cuts_the_center_of_both(self, height, width, row, col):
        image = tf.constant(coordinates(height, width))
        source, target = augment.center_pair(image, 10.0 * image[..., 1:], crop_size=4)
        self.assertAllEqual(source, image[row : row + 4, col : col + 4])
        self.assertAllEqual(target[..., 0], 10.0 * source[..., 1])
        self.assertEqual(target.shape, (4, 4, 1))


class ResizeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("square_up", (10, 10), 17, (17, 17)),
        ("square_down", (40, 40), 17, (17, 17)),
        ("papers", (256, 256), 286, (286, 286)),
        ("wide", (20, 50), 10, (10, 25)),
        ("tall", (50, 20), 10, (25, 10)),
        ("rounded", (30, 41), 12, (12, 16)),
        ("rounded_up", (30, 44), 12, (12, 18)),
        ("almost_square", (100, 101), 3, (3, 3)),
        ("narrow", (1, 9), 7, (7, 63)),
    )
    def test_size(self, shape, size, expected):
        resized = augment.resize_to_cover(tf.zeros([*shape, 2], tf.uint8), size)
        self.assertEqual(resized.shape, (*expected, 2))

    @parameterized.named_parameters(("up", 11, 13, 17), ("down", 40, 53, 9), ("mixed", 16, 24, 15))
    def test_equals_pillow_and_tensorflow(self, height, width, size):
        generator = np.random.default_rng(0)
        image = generator.uniform(-1, 1, (height, width, 1)).astype(np.float32)
        resized = augment.resize_to_cover(image, size)
        # Pillow's bilinear filter has antialiasing always: without it "down" is far off.
        picture = Image.fromarray(image[..., 0]).resize(
            (resized.shape[1], resized.shape[0]), Image.Resampling.BILINEAR
        )
        self.assertAllClose(resized[..., 0], np.asarray(picture), rtol=0, atol=1e-5)
        by_tensorflow = tf.image.resize(image, resized.shape[:2], antialias=True)
        self.assertAllClose(resized, by_tensorflow, rtol=0, atol=1e-6)

    @parameterized.named_parameters(
        ("uint8", tf.uint8), ("uint16", tf.uint16), ("float32", tf.float32), ("half", tf.float16)
    )
    def test_dtype_is_kept_and_integers_are_rounded(self, dtype):
        generator = np.random.default_rng(1)
        values = generator.integers(0, 256, (9, 12, 3))
        resized = augment.resize_to_cover(tf.cast(values, dtype), 14)
        self.assertEqual(resized.dtype, dtype)
        exact = tf.image.resize(tf.cast(values, tf.float32), resized.shape[:2], antialias=True)
        # Values cut off instead of rounded would be lower by half a level on average.
        difference = tf.cast(resized, tf.float32) - exact
        self.assertAllInRange(difference, -0.501, 0.501)
        self.assertAllClose(tf.reduce_mean(difference), 0.0, atol=0.03)


class PadToMultipleTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("fits", 8, 16, 8),
        ("once", 13, 9, 8),
        ("by_one", 15, 7, 8),
        ("one_axis", 8, 5, 8),
        ("many_reflections", 3, 2, 16),
        ("pixel", 1, 1, 8),
        ("row", 1, 5, 4),
        ("column", 5, 1, 4),
        ("multiple_of_one", 3, 5, 1),
    )
    def test_equals_numpy(self, height, width, multiple):
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        padded = augment.pad_to_multiple(pixels, multiple)
        rows, cols = -height % multiple, -width % multiple
        expected = np.pad(pixels, ((0, rows), (0, cols), (0, 0)), mode="reflect")
        self.assertEqual(padded.dtype, tf.uint8)
        self.assertAllEqual(padded, expected)
        self.assertAllEqual(padded[:height, :width], pixels)
