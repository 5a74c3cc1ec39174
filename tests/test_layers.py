"""Tests of the blocks: their numbers, their constants and how they take the noise."""

from __future__ import annotations

from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf.models import convolutions, layers


def _normal(shape, *, seed: int = 0, mean: float = 0.0, stddev: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, stddev, shape).astype(np.float32)


def _normalize(x, *, axes, gamma, beta, epsilon=1e-5) -> np.ndarray:
    x = x.astype(np.float64)
    mean = x.mean(axis=axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def _down_model(channels: int = 3, **arguments) -> keras.Model:
    image = keras.Input([None, None, channels])
    return keras.Model(image, layers.down_block(image, 4, **arguments))


def _up_model(channels: int = 3, **arguments) -> keras.Model:
    image, noise = keras.Input([None, None, channels]), keras.Input([None])
    x, left = layers.up_block(image, noise, 4, **arguments)
    return keras.Model([image, noise], [x, left])


class StatisticsNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("bfloat16", "batch", "plain"),
        ("bfloat16", "batch", "portable"),
        ("bfloat16", "image", "plain"),
        ("float16", "batch", "plain"),
    )
    def test_computes_in_float32(self, policy, statistics, formulation):
        # 16,384 values around 40: added up in half precision they overflow or stall.
        x = tf.cast(_normal([1, 128, 128, 1], mean=40.0), policy)
        layer = layers.StatisticsNormalization(statistics=statistics, dtype=f"mixed_{policy}")
        layer.formulation = formulation
        layer.build((None, None, None, 1))
        layer.set_weights(np.float32([[1.0], [0.0]]))
        y = layer(x)
        self.assertEqual(y.dtype, x.dtype)
        expected = _normalize(tf.cast(x, tf.float32).numpy(), axes=(1, 2), gamma=1.0, beta=0.0)
        # Rounded once, at the end.
        self.assertAllClose(tf.cast(y, tf.float32), tf.cast(expected, policy), atol=2e-2)

    def test_the_fused_operation_has_the_gradients_of_the_formula(self):
        x = tf.constant(_normal([3, 5, 6, 4], mean=2.0))
        weights = _normal([3, 5, 6, 4])
        found = []
        for formulation in ("plain", "portable"):
            layer = layers.StatisticsNormalization()
            layer.formulation = formulation
            layer.build(x.shape)
            layer.set_weights([np.linspace(0.5, 1.5, 4), np.linspace(-1.0, 2.0, 4)])
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
                loss = tf.reduce_sum(weights * y * y)
            found.append([y, *tape.gradient(loss, [x, *layer.trainable_variables])])
        for fused, written in zip(*found):
            self.assertAllClose(fused, written, rtol=1e-4, atol=1e-4)

    def test_weights_are_not_rounded(self):
        layer = layers.StatisticsNormalization(dtype="mixed_bfloat16")
        x = _normal([1, 4, 4, 1])
        layer(x)
        layer.set_weights(np.float32([[0.0], [100.3]]))  # bfloat16 has 100.5.
        self.assertAllClose(layer(x), np.full(x.shape, 100.3), rtol=1e-6)


class NoiseDropoutTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(("quarter", 0.25), ("half", 0.5), ("most", 0.9))
    def test_drops_the_units_under_the_rate_and_scales_the_others(self, rate):
        features, noise = _normal([2, 3, 4, 5]), tiny_runs.random_noise(2, 100)
        y, left = layers.NoiseDropout(rate)(features, noise)
        kept = noise[:, :60].reshape([2, 3, 4, 5]) >= rate
        self.assertAllClose(y, np.where(kept, features / (1.0 - rate), 0.0), rtol=1e-5)
        self.assertBetween(np.mean(kept), 0.05, 0.95)  # Both kinds are there.
        self.assertAllEqual(left, noise[:, 60:])

    def test_a_number_equal_to_the_rate_keeps_the_unit(self):
        just_under = np.nextafter(np.float32(0.5), np.float32(0.0))
        noise = np.float32([[0.0, just_under, 0.5, 0.75]])
        y, _ = layers.NoiseDropout(0.5)(np.ones([1, 2, 2, 1], np.float32), noise)
        self.assertAllEqual(tf.reshape(y, [-1]), [0.0, 0.0, 2.0, 2.0])

    def test_rate_0_takes_no_noise_and_changes_nothing(self):
        features, noise = _normal([2, 3, 4, 5]), np.zeros([2, 7], np.float32)
        y, left = layers.NoiseDropout(0.0)(features, noise)
        self.assertAllEqual(y, features)
        self.assertAllEqual(left, noise)

    @parameterized.named_parameters(
        ("bfloat16", "mixed_bfloat16", tf.bfloat16), ("float16", "mixed_float16", tf.float16)
    )
    def test_decides_in_float32(self, policy, dtype):
        # 0.4999 is 0.5 in bfloat16; a rounded number would keep the unit.
        noise = np.float32([[0.4999, 0.5]])
        y, left = layers.NoiseDropout(0.5, dtype=policy)(tf.ones([1, 1, 2, 1], dtype), noise)
        self.assertAllEqual(tf.reshape(tf.cast(y, tf.float32), [-1]), [0.0, 2.0])
        self.assertEqual((y.dtype, left.dtype), (dtype, tf.float32))


class LeakyReLUTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((True, tf.float32), (False, tf.bfloat16))
    def test_the_gradient_in_bfloat16_takes_a_detour_on_cpus_alone(self, is_cpu_alone, expected):
        @tf.function
        def differentiate(x):
            return tf.gradients(layers.LeakyReLU(dtype="mixed_bfloat16")(x), x)

        with mock.patch.object(convolutions, "is_cpu_alone", return_value=is_cpu_alone):
            graph = differentiate.get_concrete_function(tf.ones([3], tf.bfloat16)).graph
        gradients = [x for x in graph.get_operations() if x.type == "LeakyReluGrad"]
        self.assertEqual([x.get_attr("T") for x in gradients], [expected])


class NormalizeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("batch", "batch", "plain", (0, 1, 2)),
        ("batch", "batch", "portable", (0, 1, 2)),
        ("batch", "image", "plain", (1, 2)),
        ("instance", "batch", "plain", (1, 2)),
        ("instance", "image", "portable", (1, 2)),
    )
    def test_matches_numpy(self, norm, statistics, formulation, axes):
        image = keras.Input([None, None, 2])
        model = keras.Model(image, layers.normalize(image, norm=norm, statistics=statistics))
        convolutions.set_formulation(model, formulation)
        # Gamma first, then beta, for all of them.
        model.set_weights([np.float32([0.5, 1.5]), np.float32([-1.0, 2.0])])
        # A variance near the authors' 1e-5: Keras' 1e-3 would show.
        x = _normal([3, 5, 4, 2], mean=0.01, stddev=0.003)
        expected = _normalize(x, axes=axes, gamma=[0.5, 1.5], beta=[-1.0, 2.0])
        self.assertAllClose(model(x), expected, atol=1e-4)

    @parameterized.parameters(("batch", "batch"), ("instance", "batch"), ("batch", "image"))
    def test_initial_weights_are_the_authors(self, norm, statistics):
        keras.utils.set_random_seed(1)
        image = keras.Input([None, None, 4096])
        model = keras.Model(image, layers.normalize(image, norm=norm, statistics=statistics))
        gamma, beta = model.get_weights()
        # 4,096 draws: the mean is known to 0.02 / 64, the deviation to 0.02 / 90.
        self.assertAllClose(np.mean(gamma), 1.0, atol=0.0015)
        self.assertAllClose(np.std(gamma), 0.02, atol=0.001)
        self.assertAllEqual(beta, np.zeros(4096))


class BlockTest(tf.test.TestCase, parameterized.TestCase):
    """What the blocks of the encoder and of the decoder have in common."""

    @parameterized.parameters((_down_model, (4, 4, 512, 4)), (_up_model, (4, 4, 4, 512)))
    def test_kernel_is_4x4_and_starts_from_the_papers_normal(self, build, shape):
        keras.utils.set_random_seed(1)
        kernel = build(channels=512, norm="batch").get_weights()[0]
        self.assertEqual(kernel.shape, shape)
        # 32,768 draws; a truncated normal of the same name would have 0.0176.
        self.assertAllClose(np.mean(kernel), 0.0, atol=0.0005)
        self.assertAllClose(np.std(kernel), 0.02, atol=0.0004)


class DownBlockTest(tf.test.TestCase, parameterized.TestCase):
    def test_slope_is_the_papers(self):
        model = _down_model(channels=1, norm="none", stride=1, kernel_size=1)
        model.set_weights([np.ones([1, 1, 1, 4]), np.zeros(4)])
        y = model(np.float32([-5.0, 5.0]).reshape([1, 1, 2, 1]))
        self.assertAllClose(y[0, 0, :, 0], [-1.0, 5.0])

    @parameterized.parameters(1, 2)
    def test_pads_one_pixel_on_each_side(self, stride):
        model = _down_model(channels=1, norm="none", stride=stride)
        kernel = _normal([4, 4, 1, 4])
        model.set_weights([kernel, np.ones(4)])
        x = _normal([1, 8, 8, 1])
        padded = np.pad(x[0, :, :, 0], 1)
        first = np.einsum("hw,hwf->f", padded[:4, :4], kernel[:, :, 0]) + 1.0
        last = np.einsum("hw,hwf->f", padded[-4:, -4:], kernel[:, :, 0]) + 1.0
        y = model(x)
        self.assertAllClose(y[0, 0, 0], np.where(first > 0, first, 0.2 * first), atol=1e-5)
        self.assertAllClose(y[0, -1, -1], np.where(last > 0, last, 0.2 * last), atol=1e-5)


class UpBlockTest(tf.test.TestCase, parameterized.TestCase):
    def test_drops_after_the_norm_and_before_the_relu(self):
        with_dropout = _up_model(norm="batch", dropout=0.5)
        without = _up_model(norm="batch", dropout=0.0)
        without.set_weights(with_dropout.get_weights())
        x, z = _normal([1, 3, 3, 3]), tiny_runs.random_noise(1, 144)
        expected = np.where(z.reshape([1, 6, 6, 4]) >= 0.5, 2.0 * without([x, z])[0], 0.0)
        self.assertAllClose(with_dropout([x, z])[0], expected, atol=1e-5)
        self.assertAllGreaterEqual(expected, 0.0)
        self.assertGreater(expected.max(), 1.0)
