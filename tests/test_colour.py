"""Tests of `pix2pix_tf.evaluation.colour`, by hand; see test_lab for the colours."""

from __future__ import annotations

import measured_pairs
import numpy as np
from absl.testing import absltest

from pix2pix_tf.data import lab
from pix2pix_tf.evaluation import colour


def image(*rgb: int) -> np.ndarray:
    """Returns one pixel of 8-bit values, in [-1, 1]."""
    return np.array(rgb) / 127.5 - 1.0


class HistogramTest(absltest.TestCase):
    def test_every_colour_is_in_a_bin(self):
        levels = np.linspace(-1, 1, 18)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
        values = lab.to_lab(cube).numpy().reshape(-1, 3)
        for number, axis in enumerate(colour.AXES):
            edges = colour.EDGES[axis]
            self.assertBetween(values[:, number].min(), edges[0] - 1e-4, edges[-1])
            self.assertBetween(values[:, number].max(), edges[0], edges[-1] + 1e-4)

    def test_counts_pixels(self):
        # Grey 128 has L 53.59; white 100 belongs to the last bin.
        counts = colour.histograms(np.stack([image(128, 128, 128)] * 3 + [image(255, 255, 255)]))
        self.assertEqual(counts["L"][53], 3)
        self.assertEqual(counts["L"][99], 1)
        self.assertEqual({axis: int(x.sum()) for axis, x in counts.items()}, dict(L=4, a=4, b=4))

    def test_intersection_by_hand(self):
        # 1/4, 3/4, 0 and 1/2, 1/4, 1/4.
        self.assertAlmostEqual(
            colour.intersection(np.array([1, 3, 0]), np.array([4, 2, 2])), 0.25 + 0.25
        )
        self.assertAlmostEqual(colour.intersection(np.array([2, 0]), np.array([7, 0])), 1.0)
        self.assertEqual(colour.intersection(np.array([2, 0]), np.array([0, 7])), 0.0)


class MeasureTest(absltest.TestCase):
    def test_is_over_the_pixels_of_all_pairs(self):
        black, white = np.zeros([4, 4, 3], np.uint8), np.full([4, 4, 3], 255, np.uint8)
        measure = colour.ColourMeasure()
        # No pair has the right colours, but together they do.
        own = [measure.add(measured_pairs.make_pair(*x)) for x in ((black, white), (white, black))]
        # a and b are 0 in both, L differs.
        self.assertEqual([round(x["colour_intersection"], 6) for x in own], [0.666667] * 2)
        result, _ = measure.result()
        self.assertEqual(result["intersection"], dict(L=1.0, a=1.0, b=1.0))
        self.assertEqual(sum(result["output_counts"]["L"]), 32)

    def test_grey_pictures_are_measured_in_colour_and_plotted(self):
        measure = colour.ColourMeasure()
        pixels = measured_pairs.random_pixels(8, 8, 1)
        measure.add(measured_pairs.make_pair(pixels, pixels))
        result, _ = measure.result()
        self.assertEqual(result["mean_intersection"], 1.0)
        self.assertStartsWith(colour.plot(result), b"\x89PNG")
