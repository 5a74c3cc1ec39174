"""Tests of `pix2pix_tf.metrics`, on values that fit in a comment and against `tf.image`."""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from refusals import refused

from pix2pix_tf import config, metrics
from pix2pix_tf.training import loop


def flat(*values: float) -> tf.Tensor:
    """Returns a batch of flat images, one for each value."""
    values = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    return tf.constant(np.broadcast_to(values, [len(values), 16, 16, 3]))


def noisy(amount: float, *, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns (images with noise of that amount, images without), float32 in [-1, 1]."""
    random = np.random.RandomState(seed)
    clean = random.uniform(-0.5, 0.5, [2, 24, 20, 3]).astype(np.float32)
    noise = amount * random.uniform(-0.5, 0.5, clean.shape).astype(np.float32)
    return tf.constant(clean + noise), tf.constant(clean)


class MetricsTest(tf.test.TestCase, parameterized.TestCase):
    def test_l1_is_a_mean_over_pixels_and_channels_of_each_pair(self):
        found = metrics.l1(flat(0.25, -1.0, 0.0), flat(-0.5, 1.0, 0.0))
        self.assertAllClose(found, [0.75, 2.0, 0.0])
        fake = np.zeros((2, 2, 2, 3), np.float32)
        fake[1, 0, 1, 2] = -1.2  # One of 12 values.
        self.assertAllClose(metrics.l1(tf.constant(fake), tf.zeros([2, 2, 2, 3])), [0.0, 0.1])

    def test_psnr_by_hand(self):
        fake = flat(0.5, 0.1)
        target = flat(0.0, 0.0)
        # 10 log10(2^2 / 0.5^2) and 10 log10(2^2 / 0.1^2): the range is 2.
        expected = [10 * math.log10(16), 10 * math.log10(400)]
        self.assertAllClose(metrics.psnr(fake, target), expected, rtol=1e-5)

    def test_ssim_of_flat_images_by_hand(self):
        a, b = 0.01, 0.03  # Dark, so that the constant counts.
        fake, target = (flat(2 * x - 1) for x in (a, b))
        # No variance: the luminance term is left, with C1 = (0.01 * 1)^2.
        expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
        self.assertAllClose(metrics.ssim(fake, target), [expected], rtol=1e-3)

    @parameterized.parameters(
        *((11, 1), (21, 1), (22, 2), (43, 2), (44, 3), (87, 3), (88, 4), (175, 4), (176, 5)),
        (4096, 5),
    )
    def test_ms_ssim_takes_the_scales_that_fit(self, size, expected):
        self.assertEqual(metrics.num_scales(size, 2 * size), expected)
        self.assertEqual(metrics.num_scales(2 * size, size), expected)
        if size in (11, 22, 44, 88, 176):
            image = tf.random.stateless_uniform([1, size, size, 1], seed=[0, size])
            # One scale more would not fit; tf.image checks.
            self.assertAllClose(metrics.ms_ssim(image, image), [1.0])

    def test_ms_ssim_of_large_images_is_the_published_one(self):
        clean = tf.random.stateless_uniform([1, 180, 200, 3], seed=[0, 1], minval=-1)
        fake = clean + tf.random.stateless_normal(clean.shape, seed=[0, 2], stddev=0.3)
        expected = tf.image.ssim_multiscale((fake + 1) / 2, (clean + 1) / 2, max_val=1.0)
        self.assertAllClose(metrics.ms_ssim(fake, clean), expected, rtol=1e-3)

    @parameterized.parameters(*metrics.of_pairs())
    def test_knows_which_way_it_points(self, name):
        metric = metrics.METRICS[name]
        better, worse = (metric.function(*noisy(amount)) for amount in (0.1, 0.8))
        self.assertEqual(better.shape, (2,))
        self.assertEqual(better.dtype, tf.float32)
        self.assertAllEqual(better > worse, [metric.better == metrics.MORE] * 2)

    @parameterized.parameters(
        ("l1", [0.3, 0.2, 0.1]),
        ("sharpness", [0.1, 4.0, 0.3, 1.9, 1.0]),  # As a factor, whichever way.
        ("draws_l1", [0.1, 0.2]),
    )
    def test_from_worst_to_best(self, name, values):
        by_badness = sorted(values, key=lambda value: -metrics.badness(name, value))
        self.assertEqual(by_badness, values)


class RegistryTest(parameterized.TestCase):
    @parameterized.parameters("kid", "l2")
    def test_a_best_metric_that_no_pair_has_is_refused_before_anything_is_made(self, name):
        folder = tiny_runs.temporary_folder(self) / "run"
        with refused(name, "none, l1, psnr, ssim, ms_ssim"):
            loop.train(config.TrainConfig(dataset="demo", best_metric=name), folder)
        self.assertFalse(folder.exists())

    @parameterized.parameters(
        ("ssim", metrics.METRICS["l1"]),
        ("none", metrics.METRICS["l1"]),
        ("a-b", metrics.METRICS["l1"]),
    )
    def test_what_cannot_be_registered(self, name, metric):
        with refused(f"'{name}'"):
            metrics.register(name, metric)

    def test_what_was_registered_is_replaced_but_has_to_choose(self):
        with mock.patch.dict(metrics.METRICS):
            for meaning in ("first", "second"):  # As when a cell of a notebook is run again.
                worst = metrics.Metric(metrics.LESS, meaning, metrics.METRICS["l1"].function)
                metrics.register("worst", worst)
            self.assertEqual(metrics.METRICS["worst"].meaning, "second")
            with refused("'worst'", "function"):
                metrics.register("worst", metrics.Metric(metrics.NEITHER, "none"))
