"""Tests of `pix2pix_tf.evaluation.distribution_distance`, by hand and against scipy."""

from __future__ import annotations

from unittest import mock

import numpy as np
import reference_library
from absl.testing import parameterized

from pix2pix_tf.evaluation.distribution_distance import frechet_distance, kernel_distance


def gaussian(count: int, num_features: int, *, seed: int, mean=0.0, spread=1.0) -> np.ndarray:
    """Returns `[count, num_features]` whose features depend on one another."""
    random = np.random.RandomState(seed)
    mixing = random.normal(size=[num_features, num_features]) / np.sqrt(num_features)
    return mean + spread * random.normal(size=[count, num_features]) @ mixing


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    return (float(x @ y) / len(x) + 1.0) ** 3


class FrechetTest(parameterized.TestCase):
    def test_two_independent_features_by_hand(self):
        corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)
        # Each feature has variance 4/3; the second set's are 4 and 9 times as large.
        first, second = corners, corners * [2.0, 3.0] + [1.0, 0.0]
        expected = 1.0 + 4 / 3 * ((2 - 1) ** 2 + (3 - 1) ** 2)
        self.assertAlmostEqual(frechet_distance(first, second), expected)

    @parameterized.parameters((50, 40, 6), (9, 14, 30))  # More images than features, and fewer.
    def test_agrees_with_the_matrix_root_of_scipy(self, num_first, num_second, num_features):
        linalg = reference_library.require("scipy.linalg")
        first = gaussian(num_first, num_features, seed=0)
        second = gaussian(num_second, num_features, seed=1, mean=0.3, spread=1.5)
        covariances = [np.cov(x, rowvar=False) for x in (first, second)]
        # A little on the diagonal, without which the root of a singular product is inexact.
        jitter = 1e-10 * np.eye(num_features)
        root = linalg.sqrtm((covariances[0] + jitter) @ (covariances[1] + jitter))
        shift = first.mean(axis=0) - second.mean(axis=0)
        expected = shift @ shift + np.trace(sum(covariances) - 2.0 * np.real(root))
        self.assertAlmostEqual(frechet_distance(first, second), expected, delta=1e-3)

    def test_takes_no_longer_than_the_features_need(self):
        """It is cubic in what is decomposed: 10,000 images would take half an hour, not one."""
        sizes = []

        def note(matrix, **options):
            sizes.append(matrix.shape)
            return svd(matrix, **options)

        svd = np.linalg.svd
        with mock.patch.object(np.linalg, "svd", note):
            frechet_distance(gaussian(50, 6, seed=0), gaussian(5, 6, seed=1))
        self.assertEqual(sizes, [(6, 5)])


class KernelTest(parameterized.TestCase):
    def test_is_the_unbiased_estimate(self):
        first, second = gaussian(7, 4, seed=0), gaussian(7, 4, seed=1, mean=0.5)
        pairs = [(i, j) for i in range(7) for j in range(7)]
        within = np.mean([kernel(x[i], x[j]) for x in (first, second) for i, j in pairs if i != j])
        # Row i of both sets is of one pair, which says nothing about the sets.
        across = np.mean([kernel(first[i], second[j]) for i, j in pairs if i != j])
        found = kernel_distance(first, second, num_resamples=10)
        self.assertAlmostEqual(found[0], 2 * within - 2 * across)

    @parameterized.parameters(0.0, 0.95)
    def test_is_nothing_on_average_between_sets_of_one_kind(self, correlation):
        random = np.random.RandomState(0)
        values, inside = [], 0
        for _ in range(400):
            first, other = random.normal(size=[2, 10, 3])
            second = correlation * first + (1 - correlation**2) ** 0.5 * other
            value, (low, high) = kernel_distance(first, second, num_resamples=100)
            values.append(value)
            inside += low <= value <= high
        # With each image compared to itself it would be about 0.7 instead; with each output
        # compared to its own target, which it is like, about -2.
        self.assertLess(abs(np.mean(values)), 4 * np.std(values) / 400**0.5)
        self.assertLess(abs(np.mean(values)), 0.1)
        self.assertGreater(inside, 380)

    def test_two_images_have_a_value_and_no_interval(self):
        value, interval = kernel_distance(gaussian(2, 4, seed=0), gaussian(2, 4, seed=1))
        self.assertTrue(np.isfinite(value))
        self.assertIsNone(interval)
