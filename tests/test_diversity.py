"""Tests of `pix2pix_tf.evaluation.diversity`."""

from __future__ import annotations

import itertools

import measured_pairs
import numpy as np
from absl.testing import absltest

from pix2pix_tf import metrics
from pix2pix_tf.evaluation import diversity


def l1(first: np.ndarray, second: np.ndarray) -> float:
    return np.abs(first.astype(float) - second).mean() / 127.5


class PairwiseTest(absltest.TestCase):
    def test_l1_is_that_of_all_pairs(self):
        pictures = measured_pairs.random_pixels(6, 5, 4, 3)
        expected = np.mean([l1(x, y) for x, y in itertools.combinations(pictures, 2)])
        self.assertAlmostEqual(diversity.mean_pairwise_l1(pictures), expected)

    def test_dissimilarity_is_that_of_all_pairs(self):
        pictures = measured_pairs.random_pixels(3, 16, 16, 3)
        scaled = (pictures / 127.5 - 1).astype(np.float32)
        expected = np.mean(
            [1 - metrics.ssim(x[None], y[None]) for x, y in itertools.combinations(scaled, 2)]
        )
        self.assertAlmostEqual(diversity.mean_pairwise_dissimilarity(pictures), expected, places=5)


class DrawsTest(absltest.TestCase):
    def test_averages_over_inputs(self):
        still = np.repeat(measured_pairs.random_pixels(1, 16, 16, 3), 2, axis=0)
        moving = measured_pairs.random_pixels(2, 16, 16, 3, seed=1)
        measure = diversity.DrawsMeasure(2)
        own = [measure.add(measured_pairs.make_pair(x, x[0])) for x in (still, moving)]
        self.assertEqual(own[0], {"draws_l1": 0.0})
        self.assertAlmostEqual(own[1]["draws_l1"], l1(*moving))
        result, _ = measure.result()
        self.assertEqual(result["num_samples"], 2)
        self.assertAlmostEqual(result["l1"], l1(*moving) / 2)
        self.assertGreater(result["one_minus_ssim"], 0.1)


class AcrossInputsTest(absltest.TestCase):
    def test_a_collapse_is_seen(self):
        targets = measured_pairs.random_pixels(4, 12, 12, 3)
        measure = diversity.AcrossInputsMeasure(4)
        for target in targets:
            # The output does not follow the input.
            self.assertEqual(measure.add(measured_pairs.make_pair(targets[0], target)), {})
        result, (score,) = measure.result()
        self.assertEqual((result["output_l1"], result["ratio"]), (0.0, 0.0))
        self.assertAlmostEqual(result["target_l1"], diversity.mean_pairwise_l1(targets))
        self.assertEqual((score.value, score.ground_truth), (0.0, result["target_l1"]))

    def test_takes_some_of_very_many_evenly(self):
        count = 2 * diversity.MOST_COMPARED
        measure = diversity.AcrossInputsMeasure(count)
        for number in range(count):
            pixels = np.full([2, 2, 3], number, np.uint8)
            measure.add(measured_pairs.make_pair(pixels, pixels))
        result, _ = measure.result()
        self.assertEqual(result["num_images"], diversity.MOST_COMPARED)
        # Numbers 0 to n differ by n / 3 on average.
        self.assertAlmostEqual(result["output_l1"], (count - 1) / 3 / 127.5, delta=0.02)

    def test_equal_targets_and_single_pairs_have_no_ratio(self):
        measure = diversity.AcrossInputsMeasure(2)
        pixels = measured_pairs.random_pixels(12, 12, 3)
        measure.add(measured_pairs.make_pair(pixels, pixels))
        self.assertEqual(measure.result(), (None, []))
        measure.add(measured_pairs.make_pair(pixels[::-1], pixels))
        self.assertIsNone(measure.result()[0]["ratio"])
