"""Tests of the losses: their numbers and their gradients."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf import errors, losses

_LOG_2 = math.log(2.0)


def _logits(*values: float, dtype=tf.float32) -> tf.Tensor:
    return tf.reshape(tf.constant(values, dtype), [1, 1, len(values), 1])


def _softplus(x: float) -> float:
    return math.log1p(math.exp(x))


class AdversarialLossTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        # The mean over patches with logits 2 and -1; -log sigmoid is softplus of the negative.
        ("vanilla", (2.0, -1.0), (_softplus(-2.0) + _softplus(1.0)) / 2),
        ("lsgan", (2.0, -1.0), ((2.0 - 1.0) ** 2 + (-1.0 - 1.0) ** 2) / 2),
        ("hinge", (2.0, -1.0), -(2.0 - 1.0) / 2),
        ("vanilla", (0.0,), _LOG_2),  # Undecided.
        ("vanilla", (-1e4,), 1e4),
        ("vanilla", (1e4,), 0.0),
        ("lsgan", (-1e4,), (1e4 + 1) ** 2),
        ("lsgan", (1e4,), (1e4 - 1) ** 2),
        ("hinge", (-1e4,), 1e4),
        ("hinge", (1e4,), -1e4),
    )
    def test_matches_hand_computed_values(self, gan_loss, values, expected):
        logits = _logits(*values)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = losses.adversarial_loss(logits, gan_loss=gan_loss)
        self.assertAllClose(loss, expected)
        self.assertAllInRange(tape.gradient(loss, logits), -1e5, 1e5)


class DiscriminatorLossTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (
            "vanilla",
            (2.0, -1.0),
            (-3.0, 0.5),
            0.5 * (_softplus(-2.0) + _softplus(1.0) + _softplus(-3.0) + _softplus(0.5)) / 2,
        ),
        ("lsgan", (2.0, -1.0), (-3.0, 0.5), 0.5 * ((1.0 + 4.0) / 2 + (9.0 + 0.25) / 2)),
        ("hinge", (2.0, -1.0), (-3.0, 0.5), 0.5 * ((0.0 + 2.0) / 2 + (0.0 + 1.5) / 2)),
        ("vanilla", (0.0,), (0.0,), _LOG_2),  # Undecided.
        ("vanilla", (1e4,), (-1e4,), 0.0),  # Sure, and right.
        ("hinge", (1e4,), (-1e4,), 0.0),
    )
    def test_is_half_the_sum_of_the_two_means(self, gan_loss, real, fake, expected):
        loss = losses.discriminator_loss(_logits(*real), _logits(*fake), gan_loss=gan_loss)
        self.assertAllClose(loss, expected)

    def test_default_is_vanilla_and_its_gradient_is_halved_too(self):
        real_logits, fake_logits = _logits(0.0), _logits(0.0)
        with tf.GradientTape() as tape:
            tape.watch([real_logits, fake_logits])
            loss = losses.discriminator_loss(real_logits, fake_logits)
        self.assertAllClose(loss, _LOG_2)
        real, fake = tape.gradient(loss, [real_logits, fake_logits])
        self.assertAllClose(real, _logits(-0.25))
        self.assertAllClose(fake, _logits(0.25))


class UnknownLossTest(parameterized.TestCase):
    @parameterized.parameters("none", "wgan")
    def test_is_refused(self, name):
        logits = _logits(0.0)
        with self.assertRaisesRegex(errors.InputError, name):
            losses.adversarial_loss(logits, gan_loss=name)
        with self.assertRaisesRegex(errors.InputError, name):
            losses.discriminator_loss(logits, logits, gan_loss=name)


class ReconstructionLossTest(tf.test.TestCase, parameterized.TestCase):
    def test_are_means_over_batch_pixels_and_channels(self):
        fake = np.zeros([2, 2, 2, 3], np.float32)
        target = fake.copy()
        target[1, 0, 1, 2] = -2.0  # One of 24 values.
        self.assertAllClose(losses.l1_loss(fake, target), 2.0 / 24)
        self.assertAllClose(losses.l2_loss(fake, target), 4.0 / 24)

    @parameterized.parameters(tf.float16, tf.bfloat16)
    def test_half_precision_gives_float32_losses(self, dtype):
        # Summed up in float16, 60,000 differences of 2 overflow.
        fake, target = (tf.constant(value, dtype, [1, 100, 200, 3]) for value in (-1.0, 1.0))
        logits = _logits(300.0, dtype=dtype)
        for loss, expected in (
            (losses.l1_loss(fake, target), 2.0),
            (losses.l2_loss(fake, target), 4.0),
            (losses.adversarial_loss(logits, gan_loss="lsgan"), 299.0**2),
            (losses.discriminator_loss(logits, logits, gan_loss="lsgan"), 0.5 * (299**2 + 300**2)),
        ):
            self.assertEqual(loss.dtype, tf.float32)
            self.assertAllClose(loss, expected)
