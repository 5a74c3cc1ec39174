"""Tests of the objectives: their numbers, their weights and their gradients."""

from __future__ import annotations

import math
import re

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf import errors, losses

_LOG_2 = math.log(2.0)


def _logits(*values: float, dtype=tf.float32) -> tf.Tensor:
    return tf.reshape(tf.constant(values, dtype), [1, 1, len(values), 1])


def _image(value: float, shape=(1, 4, 4, 3), dtype=tf.float32) -> tf.Tensor:
    return tf.constant(value, dtype, shape)


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

    def test_default_is_vanilla_in_the_form_that_does_not_saturate(self):
        # A discriminator that is sure of the fake: log(1 - D) has gradient 0 there.
        logits = _logits(-20.0)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = losses.adversarial_loss(logits)
        self.assertAllClose(loss, _softplus(20.0))
        self.assertAllClose(tape.gradient(loss, logits), _logits(-1.0))


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

    @parameterized.parameters(("vanilla", 1e4), ("lsgan", 1e8 + 1e4 + 0.5), ("hinge", 10001))
    def test_extreme_logits(self, gan_loss, expected):
        real_logits, fake_logits = _logits(-1e4), _logits(1e4)  # Wrong on both.
        with tf.GradientTape() as tape:
            tape.watch([real_logits, fake_logits])
            loss = losses.discriminator_loss(real_logits, fake_logits, gan_loss=gan_loss)
        self.assertAllClose(loss, expected)
        real, fake = tape.gradient(loss, [real_logits, fake_logits])
        self.assertAllInRange(real, -1.1e4, -0.4)
        self.assertAllInRange(fake, 0.4, 1.1e4)

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
        logits, image = _logits(0.0), _image(0.0)
        with self.assertRaisesRegex(errors.InputError, name):
            losses.adversarial_loss(logits, gan_loss=name)
        with self.assertRaisesRegex(errors.InputError, name):
            losses.discriminator_loss(logits, logits, gan_loss=name)
        if name != "none":  # Which leaves the term out.
            with self.assertRaisesRegex(errors.InputError, name):
                losses.generator_losses(logits, image, image, gan_loss=name)


class GeneratorLossesTest(tf.test.TestCase, parameterized.TestCase):
    def test_defaults_are_the_papers(self):
        result = losses.generator_losses(tf.zeros([1, 2, 2, 1]), _image(0.25), _image(-0.5))
        self.assertAllClose(result.total, _LOG_2 + 75.0)
        self.assertIsNone(result.l2)

    def test_l1_and_l2_are_means_over_batch_pixels_and_channels(self):
        fake = np.zeros([2, 2, 2, 3], np.float32)
        target = fake.copy()
        target[1, 0, 1, 2] = -2.0  # One of 24 values.
        result = losses.generator_losses(
            None, tf.constant(fake), tf.constant(target), lambda_gan=0.0, lambda_l2=1.0
        )
        self.assertAllClose(result.l1, 2.0 / 24)
        self.assertAllClose(result.l2, 4.0 / 24)

    @parameterized.named_parameters(
        (
            "weights_are_in_the_total_only",
            dict(lambda_gan=2.0, lambda_l1=10.0, lambda_l2=4.0),
            (2.0 * _LOG_2 + 7.5 + 2.25, _LOG_2, 0.75, 0.5625),
        ),
        (
            "adversarial",
            dict(lambda_gan=1.0, lambda_l1=0.0, lambda_l2=0.0),
            (_LOG_2, _LOG_2, None, None),
        ),
        ("l1", dict(lambda_gan=0.0, lambda_l1=1.0, lambda_l2=0.0), (0.75, None, 0.75, None)),
        ("l2", dict(lambda_gan=0.0, lambda_l1=0.0, lambda_l2=1.0), (0.5625, None, None, 0.5625)),
        ("gan_loss_none", dict(gan_loss="none", lambda_l1=1.0), (0.75, None, 0.75, None)),
    )
    def test_a_term_without_weight_is_none(self, arguments, expected):
        result = losses.generator_losses(
            tf.zeros([1, 2, 2, 1]), _image(0.25), _image(-0.5), **arguments
        )
        found = (result.total, result.adversarial, result.l1, result.l2)
        for value, wanted in zip(found, expected):
            if wanted is None:
                self.assertIsNone(value)
            else:
                self.assertAllClose(value, wanted)

    @parameterized.named_parameters(("float16", tf.float16), ("bfloat16", tf.bfloat16))
    def test_half_precision_gives_float32_losses(self, dtype):
        # Summed up in float16, 60,000 differences of 2 overflow.
        shape = (1, 100, 200, 3)
        result = losses.generator_losses(
            _logits(0.0, 0.0, dtype=dtype),
            _image(-1.0, shape, dtype),
            _image(1.0, shape, dtype),
            lambda_l2=1.0,
        )
        for value in result:
            self.assertEqual(value.dtype, tf.float32)
        self.assertAllClose(result.l1, 2.0)
        self.assertAllClose(result.l2, 4.0)
        self.assertAllClose(result.total, _LOG_2 + 204.0)
        loss = losses.discriminator_loss(
            _logits(300.0, dtype=dtype), _logits(300.0, dtype=dtype), gan_loss="lsgan"
        )
        self.assertEqual(loss.dtype, tf.float32)
        self.assertAllClose(loss, 0.5 * (299.0**2 + 300.0**2))

    @parameterized.named_parameters(("vanilla", "vanilla"), ("lsgan", "lsgan"), ("hinge", "hinge"))
    def test_gradient_reaches_the_logits_and_the_output(self, gan_loss):
        fake_logits, fake, target = _logits(0.0, 0.0), _image(0.25), _image(-0.5)
        with tf.GradientTape() as tape:
            tape.watch([fake_logits, fake])
            result = losses.generator_losses(
                fake_logits, fake, target, gan_loss=gan_loss, lambda_l1=48.0
            )
        of_logits, of_fake = tape.gradient(result.total, [fake_logits, fake])
        slope = {"vanilla": -0.5, "lsgan": -2.0, "hinge": -1.0}[gan_loss]
        self.assertAllClose(of_logits, _logits(slope / 2, slope / 2))
        self.assertAllClose(of_fake, _image(1.0))  # 48 values, weight 48: one each.

    @parameterized.named_parameters(
        ("channels", (1, 4, 4, 1)), ("size", (1, 2, 4, 3)), ("rank", (4, 4, 3))
    )
    def test_shapes_that_differ_are_refused(self, shape):
        # All of them would broadcast, or fail far from here.
        with self.assertRaisesRegex(errors.InputError, r"\(1, 4, 4, 3\).*" + re.escape(str(shape))):
            losses.generator_losses(_logits(0.0), _image(0.0), _image(0.0, shape))

    def test_sizes_unknown_while_tracing_are_accepted(self):
        unknown = tf.TensorSpec([None, None, None, 3])

        @tf.function(input_signature=[unknown, unknown])
        def l1(fake, target):
            return losses.generator_losses(None, fake, target, gan_loss="none").l1

        self.assertAllClose(l1(_image(0.25), _image(-0.5)), 0.75)
