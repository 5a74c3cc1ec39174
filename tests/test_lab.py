"""Tests of `pix2pix_tf.data.lab`, against scikit-image."""

from __future__ import annotations

import numpy as np
import reference_library
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf.data import images, lab


def colors(count: int = 20_000) -> np.ndarray:
    """Returns random colours, all greys and the corners of the cube: uint8 `[1, count, 3]`."""
    random = np.random.default_rng(0).integers(0, 256, [1, count, 3], dtype=np.uint8)
    random[0, :256] = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    corners = np.stack(np.meshgrid([0, 255], [0, 255], [0, 255]), axis=-1)
    random[0, 256:264] = corners.reshape(-1, 3)
    return random


class LabTest(tf.test.TestCase, parameterized.TestCase):
    def test_agrees_with_scikit_image(self):
        color = reference_library.require("skimage.color")
        # Its constants for D65 are rounded otherwise: by up to 0.02.
        found = lab.to_lab(images.normalize_image(colors()))
        self.assertAllClose(found, color.rgb2lab(colors()), rtol=0, atol=0.03)

    def test_a_photo_comes_back_bit_for_bit(self):
        for pixels in (colors(), colors().astype(np.uint16) * 257):
            image = images.normalize_image(pixels)
            back = images.denormalize_image(lab.photo_of(*lab.split(image)), dtype=tf.uint8)
            self.assertAllEqual(back, colors())

    @parameterized.parameters(-3.0, 3.0)
    def test_is_finite_for_whatever_a_network_gives(self, value):
        photo = lab.photo_of(np.full([4, 4, 1], value), np.full([4, 4, 2], value))
        self.assertAllInRange(photo, -1.0, 1.0)  # NaN is in no range.
        self.assertTrue(np.isfinite(lab.to_lab(np.full([2, 2, 3], value))).all())
