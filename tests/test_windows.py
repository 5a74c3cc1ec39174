"""Tests of `pix2pix_tf.inference.windows`, against which pixel reads which, pixel by pixel."""

from __future__ import annotations

import itertools

import numpy as np
from absl.testing import absltest

from pix2pix_tf.inference import windows
from pix2pix_tf.inference.windows import Window


class WindowTest(absltest.TestCase):
    def test_what_is_read_by_a_convolution_and_a_transposed_one(self):
        for top, bottom in itertools.combinations(range(-3, 6), 2):
            wanted = set(range(top, bottom))
            read = {2 * row - 1 + tap for row in wanted for tap in range(4)}
            transposed = {r for r in range(-9, 9) if wanted & {2 * r - 1 + tap for tap in range(4)}}
            rows, columns = Window(top, bottom, 0, 1), Window(0, 1, top, bottom)
            for method, expected in (("convolution", read), ("transposed", transposed)):
                window = getattr(rows, f"read_by_{method}")()
                self.assertEqual(set(range(window.top, window.bottom)), expected)
                window = getattr(columns, f"read_by_{method}")()
                self.assertEqual(set(range(window.left, window.right)), expected)

    def test_slices_and_paddings_place_one_window_in_another(self):
        outer, inner = Window(-2, 5, 1, 9), Window(0, 3, 4, 9)
        values = np.arange(7 * 8).reshape(7, 8)
        part = values[outer.slices_of(inner)]
        self.assertEqual(part.shape, (inner.height, inner.width))
        self.assertEqual(part[0, 0], values[2, 3])
        _, rows, columns, _ = outer.paddings_of(inner)
        padded = np.pad(part, [rows, columns])
        self.assertEqual(padded.shape, values.shape)
        np.testing.assert_array_equal(padded[2:5, 3:], part)
        self.assertTrue(outer.contains(inner))
        self.assertFalse(inner.contains(outer))
        for side in ("top", "bottom", "left", "right"):
            sticking_out = {**vars(outer), side: vars(outer)[side] + (-1) ** (side in "topleft")}
            self.assertFalse(outer.contains(Window(**sticking_out)), side)

    def test_tiles_cover_each_pixel_once(self):
        for height, width, side in ((7, 5, 3), (4, 8, 4), (1, 1, 9)):
            count = np.zeros([height, width], int)
            for window in windows.tile(height, width, side):
                self.assertLessEqual(max(window.height, window.width), side)
                count[window.rows, window.columns] += 1
            np.testing.assert_array_equal(count, 1)
