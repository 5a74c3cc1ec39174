"""Tests of `pix2pix_tf.inference.noise`."""

from __future__ import annotations

import numpy as np
from absl.testing import parameterized

from pix2pix_tf.inference import noise
from pix2pix_tf.inference.windows import Window


class NoiseTest(parameterized.TestCase):
    def test_known_numbers(self):
        # A seed has to mean the same pictures in later versions too.
        drawn = noise.draw(3, entropy=[1, 2])
        self.assertEqual(drawn.dtype, np.float32)
        expected = [10792123, 7523157, 15743896]
        np.testing.assert_array_equal(drawn * 2**24, expected)

    @parameterized.parameters(
        (0, 8, 2, Window(0, 4, 0, 8)),
        (6, 8, 2, Window(1, 3, 2, 7)),
        (7, 5, 1, Window(0, 4, 1, 2)),
        (3, 5, 3, Window(2, 4, 3, 5)),
        (10**6 + 1, 9, 3, Window(3, 4, 8, 9)),
    )
    def test_a_window_has_what_the_whole_map_has_there(self, offset, width, channels, window):
        for entropy in ([0, 0], [3, 1]):
            whole = noise.draw(offset + 4 * width * channels, entropy=entropy)
            layer = whole[offset:].reshape(4, width, channels)
            drawn = noise.draw_window(
                window, offset=offset, width=width, channels=channels, entropy=entropy
            )
            self.assertEqual(drawn.dtype, np.float32)
            np.testing.assert_array_equal(drawn, layer[window.rows, window.columns])
