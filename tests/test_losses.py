"""Tests of the objectives: their numbers, their weights and what they do not compute."""

from __future__ import annotations

import math

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
    @parameterized.named_parameters(("vanilla", "vanilla"), ("lsgan", "lsgan"), ("hinge", "hinge"))
    def test_is_least_where_the_discriminator_says_real(self, gan_loss):
        real = losses.adversarial_loss(_logits(1.0), gan_loss=gan_loss)
        fake = losses.adversarial_loss(_logits(-1.0), gan_loss=gan_loss)
        self.assertLess(real, fake)

    @parameterized.named_parameters(
        ("vanilla", "vanilla", _LOG_2), ("lsgan", "lsgan", 1.0), ("hinge", "hinge", 0.0)
    )
    def test_of_an_undecided_discriminator(self, gan_loss, expected):
        loss = losses.adversarial_loss(tf.zeros([2, 3, 3, 1]), gan_loss=gan_loss)
        self.assertAllClose(loss, expected)

    @parameterized.named_parameters(
        # -log sigmoid(2) and -log sigmoid(-1).
        ("vanilla", "vanilla", (_softplus(-2.0) + _softplus(1.0)) / 2),
        ("lsgan", "lsgan", ((2.0 - 1.0) ** 2 + (-1.0 - 1.0) ** 2) / 2),
        ("hinge", "hinge", -(2.0 - 1.0) / 2),
    )
    def test_is_the_mean_over_the_patches(self, gan_loss, expected):
        loss = losses.adversarial_loss(_logits(2.0, -1.0), gan_loss=gan_loss)
        self.assertAllClose(loss, expected)

    def test_default_is_vanilla(self):
        self.assertAllClose(losses.adversarial_loss(_logits(3.0)), _softplus(-3.0))

    def test_is_the_form_that_does_not_saturate(self):
        # A discriminator that is sure of the fake: log(1 - D) has gradient 0 there.
        logits = _logits(-20.0)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = losses.adversarial_loss(logits)
        self.assertAllClose(tape.gradient(loss, logits), _logits(-1.0))

    @parameterized.named_parameters(
        ("vanilla_low", "vanilla", -1e4, 1e4),
        ("vanilla_high", "vanilla", 1e4, 0.0),
        ("lsgan_low", "lsgan", -1e4, (1e4 + 1) ** 2),
        ("lsgan_high", "lsgan", 1e4, (1e4 - 1) ** 2),
        ("hinge_low", "hinge", -1e4, 1e4),
        ("hinge_high", "hinge", 1e4, -1e4),
    )
    def test_extreme_logits(self, gan_loss, logit, expected):
        logits = _logits(logit)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = losses.adversarial_loss(logits, gan_loss=gan_loss)
        self.assertAllClose(loss, expected)
        self.assertAllInRange(tape.gradient(loss, logits), -1e5, 1e5)

    @parameterized.named_parameters(("none", "none"), ("unknown", "wgan"))
    def test_unknown_loss_is_refused(self, gan_loss):
        with self.assertRaisesRegex(
            errors.InputError, rf"^gan_loss is '{gan_loss}'\. Use one of vanilla, lsgan, hinge\.$"
        ):
            losses.adversarial_loss(_logits(0.0), gan_loss=gan_loss)


class DiscriminatorLossTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("vanilla", "vanilla", _LOG_2), ("lsgan", "lsgan", 0.5), ("hinge", "hinge", 1.0)
    )
    def test_of_an_undecided_discriminator(self, gan_loss, expected):
        zeros = tf.zeros([2, 3, 3, 1])
        self.assertAllClose(losses.discriminator_loss(zeros, zeros, gan_loss=gan_loss), expected)

    @parameterized.named_parameters(
        # Real logits 2 and -1, fake logits -3 and 0.5.
        (
            "vanilla",
            "vanilla",
            0.5 * (_softplus(-2.0) + _softplus(1.0) + _softplus(-3.0) + _softplus(0.5)) / 2,
        ),
        ("lsgan", "lsgan", 0.5 * ((1.0 + 4.0) / 2 + (9.0 + 0.25) / 2)),
        ("hinge", "hinge", 0.5 * ((0.0 + 2.0) / 2 + (0.0 + 1.5) / 2)),
    )
    def test_is_half_the_sum_of_the_two_means(self, gan_loss, expected):
        loss = losses.discriminator_loss(_logits(2.0, -1.0), _logits(-3.0, 0.5), gan_loss=gan_loss)
        self.assertAllClose(loss, expected)

    def test_default_is_vanilla(self):
        loss = losses.discriminator_loss(_logits(3.0), _logits(1.0))
        self.assertAllClose(loss, 0.5 * (_softplus(-3.0) + _softplus(1.0)))

    def test_gradient_is_halved_too(self):
        real_logits, fake_logits = _logits(0.0), _logits(0.0)
        with tf.GradientTape() as tape:
            tape.watch([real_logits, fake_logits])
            loss = losses.discriminator_loss(real_logits, fake_logits)
        real, fake = tape.gradient(loss, [real_logits, fake_logits])
        self.assertAllClose(real, _logits(-0.25))
        self.assertAllClose(fake, _logits(0.25))

    @parameterized.named_parameters(
        ("vanilla", "vanilla", 1e4), ("lsgan", "lsgan", 1e8 + 1e4 + 0.5), ("hinge", "hinge", 10001)
    )
    def test_extreme_logits(self, gan_loss, expected):
        real_logits, fake_logits = _logits(-1e4), _logits(1e4)  # Wrong on both.
        with tf.GradientTape() as tape:
            tape.watch([real_logits, fake_logits])
            loss = losses.discriminator_loss(real_logits, fake_logits, gan_loss=gan_loss)
        self.assertAllClose(loss, expected)
        real, fake = tape.gradient(loss, [real_logits, fake_logits])
        self.assertAllInRange(real, -1.1e4, -0.4)
        self.assertAllInRange(fake, 0.4, 1.1e4)

    @parameterized.named_parameters(("vanilla", "vanilla"), ("hinge", "hinge"))
    def test_a_discriminator_that_is_sure_and_right_scores_0(self, gan_loss):
        loss = losses.discriminator_loss(_logits(1e4), _logits(-1e4), gan_loss=gan_loss)
        self.assertEqual(loss, 0.0)

    @parameterized.named_parameters(("none", "none"), ("unknown", "wgan"))
    def test_unknown_loss_is_refused(self, gan_loss):
        with self.assertRaisesRegex(
            errors.InputError, rf"^gan_loss is '{gan_loss}'\. Use one of vanilla, lsgan, hinge\.$"
        ):
            losses.discriminator_loss(_logits(0.0), _logits(0.0), gan_loss=gan_loss)


class GeneratorLossesTest(tf.test.TestCase, parameterized.TestCase):
    def test_matches_hand_computed_values(self):
        result = losses.generator_losses(
            tf.zeros([1, 2, 2, 1]),  # Logit 0 is "undecided": log(2) per patch.
            _image(0.25),
            _image(-0.5),
            lambda_gan=2.0,
            lambda_l1=10.0,
            lambda_l2=4.0,
        )
        # Terms as they are, weights in the total only.
        self.assertAllClose(result.adversarial, _LOG_2)
        self.assertAllClose(result.l1, 0.75)
        self.assertAllClose(result.l2, 0.5625)
        self.assertAllClose(result.total, 2.0 * _LOG_2 + 7.5 + 2.25)

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
        ("adversarial", dict(lambda_gan=1.0, lambda_l1=0.0, lambda_l2=0.0), "adversarial", _LOG_2),
        ("l1", dict(lambda_gan=0.0, lambda_l1=1.0, lambda_l2=0.0), "l1", 0.75),
        ("l2", dict(lambda_gan=0.0, lambda_l1=0.0, lambda_l2=1.0), "l2", 0.5625),
        ("gan_loss_none", dict(gan_loss="none", lambda_l1=1.0), "l1", 0.75),
    )
    def test_a_term_without_weight_is_none(self, arguments, only, expected):
        result = losses.generator_losses(
            tf.zeros([1, 2, 2, 1]), _image(0.25), _image(-0.5), **arguments
        )
        self.assertAllClose(result.total, expected)
        for name in ("adversarial", "l1", "l2"):
            if name == only:
                self.assertAllClose(getattr(result, name), expected)
            else:
                self.assertIsNone(getattr(result, name))

    @parameterized.named_parameters(
        ("all", dict(lambda_l2=1.0), {"Softplus", "Abs", "SquaredDifference"}),
        ("lambda_gan_0", dict(lambda_gan=0.0, lambda_l2=1.0), {"Abs", "SquaredDifference"}),
        ("gan_loss_none", dict(gan_loss="none", lambda_l2=1.0), {"Abs", "SquaredDifference"}),
        ("lambda_l1_0", dict(lambda_l1=0.0, lambda_l2=1.0), {"Softplus", "SquaredDifference"}),
        ("lambda_l2_0", dict(), {"Softplus", "Abs"}),
    )
    def test_a_term_without_weight_is_not_in_the_graph(self, arguments, expected):
        @tf.function
        def total(fake_logits, fake, target):
            return losses.generator_losses(fake_logits, fake, target, **arguments).total

        graph = total.get_concrete_function(_logits(0.0), _image(0.25), _image(-0.5)).graph
        operations = {operation.type for operation in graph.get_operations()}
        self.assertEqual(operations & {"Softplus", "Abs", "SquaredDifference"}, expected)

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
        with self.assertRaisesRegex(
            errors.InputError, r"output has shape \(1, 4, 4, 3\) and the target \(.*Make output_ch"
        ):
            losses.generator_losses(_logits(0.0), _image(0.0), _image(0.0, shape))

    def test_sizes_unknown_while_tracing_are_accepted(self):
        unknown = tf.TensorSpec([None, None, None, 3])

        @tf.function(input_signature=[unknown, unknown])
        def l1(fake, target):
            return losses.generator_losses(None, fake, target, gan_loss="none").l1

        self.assertAllClose(l1(_image(0.25), _image(-0.5)), 0.75)

    def test_unknown_loss_is_refused(self):
        with self.assertRaisesRegex(errors.InputError, r"^gan_loss is 'wgan'"):
            losses.generator_losses(_logits(0.0), _image(0.0), _image(0.0), gan_loss="wgan")


if __name__ == "__main__":
    tf.test.main()
