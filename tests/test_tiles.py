"""Tests of `pix2pix_tf.inference.tiles`: tiles show no seam, since the result is the whole's."""

from __future__ import annotations

import functools
import tracemalloc
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf import networks
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import augment, images
from pix2pix_tf.errors import InputError
from pix2pix_tf.inference import noise, tiles, translator

SIZE = tiny_runs.CROP_SIZE
# In levels of 255: what docs/any_image.md states. The order of sums is another, and nothing else.
MAX_ERROR = 0.01
LEVELS = dict(dtype="float32", value_range=(0.0, 255.0))  # Nothing is rounded.


def uneven_pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Returns noise that no two tiles have the same statistics of, 16 bits."""
    values = np.random.RandomState(0).uniform(0, 1, (height, width, channels))
    ramp = np.linspace(0.02, 1, height)[:, np.newaxis] * np.linspace(1, 0.3, width)
    return (values * ramp[..., np.newaxis] * 65535).astype(np.uint16)


@functools.cache
def build_generator(**settings):
    """Returns a tiny configuration and its generator; not to be changed."""
    config = TrainConfig(**{"crop_size": SIZE, "base_filters": 2, **settings})
    generator = networks.build_generator(config)
    tiny_runs.set_weights(generator, seed=0)
    return config, generator


class TiledGeneratorTest(tf.test.TestCase, parameterized.TestCase):
    def build(self, **settings) -> TrainConfig:
        config, self.generator = build_generator(**settings)
        return config

    def tiled(self, *, tile: int = SIZE, **arguments) -> tiles.TiledGenerator:
        return tiles.TiledGenerator(self.generator, crop_size=SIZE, tile=tile, **arguments)

    def untiled(self, config: TrainConfig, pixels: np.ndarray, *, entropy=(0, 0)) -> np.ndarray:
        """Returns the translation of a whole image in levels of 255, not rounded."""
        height, width, _ = pixels.shape
        image = augment.pad_to_multiple(images.normalize_image(pixels)[tf.newaxis], SIZE)
        block = networks.block_of(config, self.generator)
        z = noise.draw(block.noise_size_of(height, width), entropy=list(entropy))[np.newaxis]
        output = self.generator([image, tf.constant(z)])[0, :height, :width]
        return (output.numpy() + 1.0) * 127.5

    def assert_same(self, output: np.ndarray, expected: np.ndarray):
        self.assertEqual((output.shape, output.dtype), (expected.shape, np.float32))
        self.assertLess(np.abs(output - expected).max(), MAX_ERROR)

    @parameterized.named_parameters(
        ("default", {}),
        ("encoder_decoder", dict(generator="encoder_decoder")),
        ("bottleneck_norm", dict(bottleneck_norm=True, base_filters=1)),
        ("instance", dict(norm="instance", input_channels=1, output_channels=4)),
        ("no_norm", dict(norm="none", dropout=0.25)),
        ("no_norm_nor_skips", dict(norm="none", dropout=0.0, generator="encoder_decoder")),
    )
    def test_the_whole_image_however_it_is_cut(self, settings):
        config = self.build(**settings)
        pixels = uneven_pixels(79, 101, config.input_channels)
        expected = self.untiled(config, pixels, entropy=[3, 1])
        self.assertGreater(np.ptp(expected), 100)
        first_kept = set()
        # The last is in one piece.
        for tile, max_kept_bytes in ((SIZE, 0), (2 * SIZE, 12_000), (5 * SIZE, 10**9)):
            tiled = self.tiled(tile=tile, max_kept_bytes=max_kept_bytes, **LEVELS)
            first_kept.add(tiled.first_kept_level(96 * 128))
            self.assert_same(tiled(pixels, entropy=[3, 1]), expected)
        self.assertLen(first_kept, 3)

    def test_odd_sizes(self):
        config = self.build()
        for height, width in ((1, 1), (1, 70), (33, 1), (SIZE, SIZE), (65, 31)):
            pixels = uneven_pixels(height, width)
            expected = self.untiled(config, pixels)
            self.assert_same(self.tiled(**LEVELS)(pixels, entropy=[0, 0]), expected)

    def test_which_levels_are_kept(self):
        self.build()
        num_pixels = 1024 * 1024
        # Of encoder and decoder; of the innermost level there is but one map.
        channels = {5: 16, 4: 16 + 16, 3: 8 + 8, 2: 4 + 4, 1: 2 + 2}
        num_bytes = 0
        for level, both in channels.items():
            num_bytes += num_pixels // 4**level * both * 4
            for max_kept_bytes, expected in (
                (num_bytes, level),
                (num_bytes - 1, min(level + 1, 5)),  # The bottleneck is always kept.
            ):
                tiled = self.tiled(max_kept_bytes=max_kept_bytes)
                self.assertEqual(tiled.first_kept_level(num_pixels), expected)

    def test_maps_that_are_not_kept_take_no_memory(self):
        self.build(base_filters=8)
        pixels = uneven_pixels(8 * SIZE, 8 * SIZE)
        peaks = []
        for max_kept_bytes in (0, 10**9):
            tiled = self.tiled(tile=4 * SIZE, max_kept_bytes=max_kept_bytes)
            tiled(pixels[:1, :1], entropy=[0, 0])  # What is made once.
            tracemalloc.start()
            tiled(pixels, entropy=[0, 0])
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        of_level_1 = 4 * SIZE * 4 * SIZE * 8 * 4
        self.assertLess(peaks[0], 3 * of_level_1)
        self.assertBetween(peaks[1] - peaks[0], 2 * of_level_1, 4 * of_level_1)


class TiledTranslatorTest(tf.test.TestCase):
    def test_limit_in_one_piece(self):
        """A photo of 12 million pixels is translated at 64 filters, one of 24 is not."""
        config = TrainConfig(base_filters=64)
        translate_file = translator.Translator(config, None, block=networks.Block(256, 0))
        for size, fits in (((4000, 3000), True), ((6000, 4000), False)):
            info = images.ImageInfo(*size, channels=3, bits=8)
            with mock.patch.object(images, "inspect_image", return_value=info):
                if fits:
                    translate_file.check_size("a.png")
                else:
                    with self.assertRaisesRegex(InputError, "take about 8 GB of memory"):
                        translate_file.check_size("a.png")
