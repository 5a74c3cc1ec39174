"""Tests of `pix2pix_tf.prepare.colorize`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from preparing import TaskTest, photo, save
from skimage import color

from pix2pix_tf.data import pairs
from pix2pix_tf.prepare import colorize


def lightness(pixels: np.ndarray) -> np.ndarray:
    """Returns CIE L, of scikit-image; grey is repeated."""
    rgb = np.repeat(pixels, 4 - pixels.shape[-1], axis=-1)[..., :3] / np.iinfo(pixels.dtype).max
    return color.rgb2lab(rgb)[..., 0]


def all_colors(count: int = 40_000) -> np.ndarray:
    """Returns random colours, and the corners of the cube: uint8 `[1, count, 3]`."""
    colors = np.random.default_rng(0).integers(0, 256, [1, count, 3], dtype=np.uint8)
    colors[0, :8] = np.stack(np.meshgrid([0, 255], [0, 255], [0, 255]), axis=-1).reshape(-1, 3)
    return colors


class ColorizeTest(TaskTest):
    task = "colorize"

    # Half a level of 8 bits is up to 0.25 of L, where L is steepest; scikit-image's own constants
    # are the reason that 16 bits leave as much as 0.01.
    @parameterized.parameters((np.uint8, 1, 0.26), (np.uint16, 257, 0.01))
    def test_grey_has_the_lightness_of_the_photo(self, dtype, scale, most):
        colors = all_colors().astype(dtype) * scale
        grey = colorize.make_grey(colors, "")
        self.assertEqual((grey.shape, grey.dtype), ((1, 40_000, 1), dtype))
        self.assertLess(np.abs(lightness(grey) - lightness(colors)).max(), most)

    def test_grey_stays_as_it_is(self):
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1)
        ramp = np.concatenate([ramp, [[(255, 0, 0)]]], axis=1).astype(np.uint8)
        np.testing.assert_array_equal(colorize.make_grey(ramp, "")[0, :256, 0], np.arange(256))

    def test_strips_do_not_show(self):
        colors = all_colors(2 * colorize._ROWS + 10).transpose(1, 0, 2)
        grey = colorize.make_grey(colors, "")
        np.testing.assert_array_equal(grey, colorize.make_grey(colors[:, ::-1], ""))
        self.assertLess(np.abs(lightness(grey) - lightness(colors)).max(), 0.26)

    def test_training_reads_the_very_photo_and_its_grey(self):
        deep = photo(seed=1).astype(np.uint16) * 200  # No 8 bits hold it.
        (self.input / "train").mkdir(parents=True)
        (self.input / "train" / "1.png").write_bytes(tf.io.encode_png(deep).numpy())
        self.save("val/1.png")
        self.assert_done(self.run_task())
        for split, original in (("train", deep), ("val", photo())):
            a, b = pairs.open_pairs(str(self.output), split, a_channels=1).read(0)
            np.testing.assert_array_equal(b, original)
            np.testing.assert_array_equal(a, colorize.make_grey(original, ""))

    def test_a_photo_without_colours_is_named(self):
        save(self.input / "1.png", photo()[..., 0])
        save(self.input / "2.png", np.repeat(photo()[..., :1], 3, axis=-1))
        self.save("3.png")
        self.assert_named(self.run_task(), ("1.png", "colours"), ("2.png", "colours"))
