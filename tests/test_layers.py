"""Tests of the blocks: their numbers, their constants and how they take the noise."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf import errors
from pix2pix_tf.models import convolutions, layers


def _normal(shape, *, seed: int = 0, mean: float = 0.0, stddev: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, stddev, shape).astype(np.float32)


def _uniform(shape, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


def _normalize(x, *, axes, gamma, beta, epsilon=1e-5) -> np.ndarray:
    x = x.astype(np.float64)
    mean = x.mean(axis=axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def _names(model: keras.Model) -> list[str]:
    """Returns the classes of a model's layers, its inputs left out."""
    return [type(layer).__name__ for layer in model.layers if not _is_input(layer)]


def _is_input(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.InputLayer)


def _down_model(channels: int = 3, **arguments) -> keras.Model:
    image = keras.Input([None, None, channels])
    return keras.Model(image, layers.down_block(image, 4, **arguments))


def _up_model(channels: int = 3, **arguments) -> keras.Model:
    image, noise = keras.Input([None, None, channels]), keras.Input([None])
    x, left = layers.up_block(image, noise, 4, **arguments)
    return keras.Model([image, noise], [x, left])


def _built_normalization(channels: int, **arguments) -> layers.StatisticsNormalization:
    """Returns a layer whose gamma and beta differ per channel."""
    layer = layers.StatisticsNormalization(**arguments)
    layer.build((None, None, None, channels))
    layer.set_weights([np.linspace(0.5, 1.5, channels), np.linspace(-1.0, 2.0, channels)])
    return layer


class StatisticsNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        [dict(statistics="batch", axes=(0, 1, 2)), dict(statistics="image", axes=(1, 2))],
        formulation=("plain", "portable"),
    )
    def test_matches_numpy(self, statistics, axes, formulation):
        x = _normal([3, 5, 4, 2], mean=2.0, stddev=3.0)
        layer = _built_normalization(2, statistics=statistics, formulation=formulation)
        expected = _normalize(x, axes=axes, gamma=[0.5, 1.5], beta=[-1.0, 2.0])
        self.assertAllClose(layer(x), expected, atol=1e-5)

    def test_default_is_the_statistics_of_the_batch(self):
        x = _normal([3, 5, 4, 2])
        expected = _built_normalization(2, statistics="batch")(x)
        self.assertAllEqual(_built_normalization(2)(x), expected)

    def test_epsilon_is_the_authors(self):
        # A variance of 4e-6 makes epsilon the larger part: 1e-3 would give 0.06.
        x = np.tile(np.float32([0.002, -0.002]), [1, 1, 4, 1]).reshape([1, 2, 4, 1])
        layer = layers.StatisticsNormalization()
        layer.build((None, None, None, 1))
        layer.set_weights(np.float32([[1.0], [0.0]]))
        self.assertAllClose(layer(x), np.sign(x) * 0.002 / np.sqrt(4e-6 + 1e-5))

    @parameterized.named_parameters(("batch", "batch"), ("image", "image"))
    def test_training_changes_nothing(self, statistics):
        image = keras.Input([None, None, 2])
        layer = layers.StatisticsNormalization(statistics=statistics)
        model = keras.Model(image, layer(image))
        x = _normal([3, 5, 4, 2], mean=2.0)
        before = model.get_weights()
        expected = model(x, training=False)
        self.assertAllEqual(model(x, training=True), expected)
        self.assertAllEqual(model(x, training=False), expected)
        for weight, weight_before in zip(model.get_weights(), before):
            self.assertAllEqual(weight, weight_before)

    def test_all_variables_are_trainable(self):
        layer = _built_normalization(7)
        self.assertEmpty(layer.non_trainable_variables)
        self.assertEqual([tuple(v.shape) for v in layer.trainable_variables], [(7,), (7,)])

    @parameterized.named_parameters(("batch", "batch", False), ("image", "image", True))
    def test_whether_a_stranger_in_the_batch_matters(self, statistics, is_independent):
        x = _normal([2, 6, 6, 3])
        with_stranger = np.stack([x[0], 5.0 * x[1] + 3.0])
        layer = _built_normalization(3, statistics=statistics)
        difference = np.abs(layer(x)[0] - layer(with_stranger)[0]).max()
        if is_independent:
            self.assertEqual(difference, 0.0)
        else:
            self.assertGreater(difference, 0.5)

    def test_one_image_has_the_statistics_of_its_batch(self):
        x = _normal([1, 6, 6, 3])
        of_batch = _built_normalization(3, statistics="batch")(x)
        self.assertAllClose(_built_normalization(3, statistics="image")(x), of_batch, atol=1e-6)

    @parameterized.product(
        policy=("bfloat16", "float16"),
        statistics=layers.STATISTICS,
        formulation=("plain", "portable"),
    )
    def test_computes_in_float32(self, policy, statistics, formulation):
        # 16,384 values around 40: added up in half precision they overflow or stall.
        x = tf.cast(_normal([1, 128, 128, 1], mean=40.0), policy)
        layer = layers.StatisticsNormalization(
            statistics=statistics, formulation=formulation, dtype=f"mixed_{policy}"
        )
        layer.build((None, None, None, 1))
        layer.set_weights(np.float32([[1.0], [0.0]]))
        y = layer(x)
        self.assertEqual(y.dtype, x.dtype)
        expected = _normalize(tf.cast(x, tf.float32).numpy(), axes=(1, 2), gamma=1.0, beta=0.0)
        # Rounded once, at the end.
        self.assertAllClose(tf.cast(y, tf.float32), tf.cast(expected, policy), atol=2e-2)

    def test_the_fused_operation_equals_the_formula_with_its_gradients(self):
        x = _normal([3, 5, 6, 4], mean=2.0)
        weights = _normal([3, 5, 6, 4])
        layer = _built_normalization(4)

        def gradients(normalize):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = normalize(x)
                loss = tf.reduce_sum(weights * y * y)
            return [y, *tape.gradient(loss, [x, *layer.trainable_variables])]

        def formula(x):
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            gamma, beta = (tf.convert_to_tensor(w) for w in layer.trainable_variables)
            return gamma * (x - mean) / tf.sqrt(variance + layer.epsilon) + beta

        x = tf.constant(x)
        for fused, written in zip(gradients(layer), gradients(formula)):
            self.assertAllClose(fused, written, rtol=1e-4, atol=1e-4)

    @parameterized.named_parameters(("bfloat16", "mixed_bfloat16"), ("float16", "mixed_float16"))
    def test_weights_are_not_rounded(self, policy):
        layer = layers.StatisticsNormalization(dtype=policy)
        x = _normal([1, 4, 4, 1])
        layer(x)
        layer.set_weights(np.float32([[0.0], [100.3]]))  # bfloat16 has 100.5, float16 100.3125.
        self.assertAllClose(layer(x), np.full(x.shape, 100.3), rtol=1e-6)

    def test_flat_input_gives_beta_and_finite_gradient(self):
        layer = _built_normalization(2)
        x = tf.ones([1, 3, 3, 2])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        self.assertAllClose(y, np.broadcast_to([-1.0, 2.0], [1, 3, 3, 2]))
        self.assertAllInRange(tape.gradient(y, x), -1e-3, 1e-3)

    def test_config_rebuilds_the_layer(self):
        layer = layers.StatisticsNormalization(
            statistics="image", epsilon=0.5, formulation="portable", name="here"
        )
        again = layers.StatisticsNormalization.from_config(layer.get_config())
        self.assertEqual((again.statistics, again.epsilon, again.name), ("image", 0.5, "here"))
        self.assertEqual(again.formulation, "portable")

    def test_unknown_statistics_are_refused(self):
        with self.assertRaisesRegex(
            errors.InputError, r"^statistics is 'moving'\. Use one of batch, image\.$"
        ):
            layers.StatisticsNormalization(statistics="moving")


class NoiseDropoutTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(("quarter", 0.25), ("half", 0.5), ("most", 0.9))
    def test_drops_the_units_under_the_rate_and_scales_the_others(self, rate):
        features, noise = _normal([2, 3, 4, 5]), _uniform([2, 60])
        y, _ = layers.NoiseDropout(rate)(features, noise)
        kept = noise.reshape([2, 3, 4, 5]) >= rate
        self.assertAllClose(y, np.where(kept, features / (1.0 - rate), 0.0), rtol=1e-5)
        self.assertBetween(np.mean(kept), 0.05, 0.95)  # Both kinds are there.

    def test_a_number_equal_to_the_rate_keeps_the_unit(self):
        just_under = np.nextafter(np.float32(0.5), np.float32(0.0))
        noise = np.float32([[0.0, just_under, 0.5, 0.75]])
        y, _ = layers.NoiseDropout(0.5)(np.ones([1, 2, 2, 1], np.float32), noise)
        self.assertAllEqual(tf.reshape(y, [-1]), [0.0, 0.0, 2.0, 2.0])

    def test_hands_on_the_noise_it_did_not_take(self):
        noise = _uniform([2, 100])
        _, left = layers.NoiseDropout(0.5)(_normal([2, 3, 4, 5]), noise)
        self.assertAllEqual(left, noise[:, 60:])

    def test_takes_all_of_a_noise_of_its_size(self):
        _, left = layers.NoiseDropout(0.5)(_normal([2, 3, 4, 5]), _uniform([2, 60]))
        self.assertEqual(left.shape, (2, 0))

    def test_too_little_noise_is_an_error(self):
        with self.assertRaises(tf.errors.InvalidArgumentError):
            layers.NoiseDropout(0.5)(_normal([2, 3, 4, 5]), _uniform([2, 59]))

    def test_rate_0_takes_no_noise_and_changes_nothing(self):
        features, noise = _normal([2, 3, 4, 5]), np.zeros([2, 7], np.float32)
        y, left = layers.NoiseDropout(0.0)(features, noise)
        self.assertAllEqual(y, features)
        self.assertAllEqual(left, noise)

    def test_training_changes_nothing(self):
        image, noise = keras.Input([None, None, 5]), keras.Input([None])
        model = keras.Model([image, noise], layers.NoiseDropout(0.5)(image, noise))
        inputs = [_normal([2, 3, 4, 5]), _uniform([2, 60])]
        trained, served = model(inputs, training=True)[0], model(inputs, training=False)[0]
        self.assertAllEqual(trained, served)
        self.assertBetween(np.mean(served.numpy() == 0.0), 0.3, 0.7)

    @parameterized.named_parameters(
        ("bfloat16", "mixed_bfloat16", tf.bfloat16), ("float16", "mixed_float16", tf.float16)
    )
    def test_decides_in_float32(self, policy, dtype):
        # 0.4999 is 0.5 in bfloat16; a rounded number would keep the unit.
        noise = np.float32([[0.4999, 0.5]])
        y, left = layers.NoiseDropout(0.5, dtype=policy)(tf.ones([1, 1, 2, 1], dtype), noise)
        self.assertAllEqual(tf.reshape(tf.cast(y, tf.float32), [-1]), [0.0, 2.0])
        self.assertEqual((y.dtype, left.dtype), (dtype, tf.float32))

    def test_gradient_passes_the_kept_units_only(self):
        features = tf.constant(_normal([1, 2, 2, 1]))
        with tf.GradientTape() as tape:
            tape.watch(features)
            y, _ = layers.NoiseDropout(0.75)(features, np.float32([[0.9, 0.1, 0.8, 0.74]]))
        self.assertAllClose(tf.reshape(tape.gradient(y, features), [-1]), [4.0, 0.0, 4.0, 0.0])

    def test_config_rebuilds_the_layer(self):
        layer = layers.NoiseDropout(0.25, name="here")
        again = layers.NoiseDropout.from_config(layer.get_config())
        self.assertEqual((again.rate, again.name), (0.25, "here"))

    @parameterized.named_parameters(("negative", -0.1), ("one", 1.0), ("nan", float("nan")))
    def test_other_rates_are_refused(self, rate):
        with self.assertRaisesRegex(
            errors.InputError,
            rf"^The dropout rate is {rate}\. Use a number from 0 up to, not at, 1\.$",
        ):
            layers.NoiseDropout(rate)


class NormalizeTest(tf.test.TestCase, parameterized.TestCase):
    def test_none_is_the_input_itself(self):
        x = tf.ones([1, 2, 2, 1])
        self.assertIs(layers.normalize(x, norm="none"), x)

    @parameterized.named_parameters(
        ("batch", "batch", "batch", (0, 1, 2)),
        ("batch_per_image", "batch", "image", (1, 2)),
        ("instance", "instance", "batch", (1, 2)),
        ("instance_per_image", "instance", "image", (1, 2)),
    )
    def test_matches_numpy(self, norm, statistics, axes):
        image = keras.Input([None, None, 2])
        model = keras.Model(image, layers.normalize(image, norm=norm, statistics=statistics))
        # Gamma first, then beta, for all of them.
        model.set_weights([np.float32([0.5, 1.5]), np.float32([-1.0, 2.0])])
        # A variance near 1e-5, where another epsilon shows.
        x = _normal([3, 5, 4, 2], mean=0.01, stddev=0.003)
        expected = _normalize(x, axes=axes, gamma=[0.5, 1.5], beta=[-1.0, 2.0])
        self.assertAllClose(model(x), expected, atol=1e-4)

    @parameterized.named_parameters(
        ("batch", "batch", "batch"),
        ("instance", "instance", "batch"),
        ("per_image", "batch", "image"),
    )
    def test_initial_weights_are_the_authors(self, norm, statistics):
        keras.utils.set_random_seed(1)
        image = keras.Input([None, None, 4096])
        model = keras.Model(image, layers.normalize(image, norm=norm, statistics=statistics))
        gamma, beta = model.get_weights()
        # 4,096 draws: the mean is known to 0.02 / 64, the deviation to 0.02 / 90.
        self.assertAllClose(np.mean(gamma), 1.0, atol=0.0015)
        self.assertAllClose(np.std(gamma), 0.02, atol=0.001)
        self.assertAllEqual(beta, np.zeros(4096))

    def test_unknown_norm_is_refused(self):
        with self.assertRaisesRegex(
            errors.InputError, r"^norm is 'layer'\. Use one of batch, instance, none\.$"
        ):
            layers.normalize(tf.ones([1, 2, 2, 1]), norm="layer")


class DownBlockTest(tf.test.TestCase, parameterized.TestCase):
    def test_is_convolution_norm_leaky_relu(self):
        self.assertEqual(
            _names(_down_model(norm="batch")), ["Conv2D", "StatisticsNormalization", "LeakyReLU"]
        )

    def test_slope_is_the_papers(self):
        model = _down_model(channels=1, norm="none", stride=1, kernel_size=1)
        model.set_weights([np.ones([1, 1, 1, 4]), np.zeros(4)])
        y = model(np.float32([-5.0, 5.0]).reshape([1, 1, 2, 1]))
        self.assertAllClose(y[0, 0, :, 0], [-1.0, 5.0])

    def test_kernel_is_4x4_and_starts_from_the_papers_normal(self):
        keras.utils.set_random_seed(1)
        kernel = _down_model(channels=512, norm="batch").get_weights()[0]
        self.assertEqual(kernel.shape, (4, 4, 512, 4))
        # 32,768 draws; a truncated normal of the same name would have 0.0176.
        self.assertAllClose(np.mean(kernel), 0.0, atol=0.0005)
        self.assertAllClose(np.std(kernel), 0.02, atol=0.0004)

    @parameterized.named_parameters(
        ("batch", "batch", None, False),
        ("instance", "instance", None, False),
        ("none", "none", None, True),
        ("none_without", "none", False, False),
        ("batch_with", "batch", True, True),
    )
    def test_bias_where_no_norm_cancels_it(self, norm, use_bias, expected):
        model = _down_model(norm=norm, use_bias=use_bias)
        (convolution,) = (layer for layer in model.layers if type(layer) is convolutions.Conv2D)
        self.assertEqual(convolution.use_bias, expected)
        if expected:
            self.assertAllEqual(convolution.get_weights()[1], np.zeros(4))

    @parameterized.named_parameters(
        ("stride_2", 2, 4, (8, 6)), ("stride_1", 1, 4, (15, 11)), ("pixel", 1, 1, (16, 12))
    )
    def test_shrinks_the_image(self, stride, kernel_size, expected):
        model = _down_model(norm="batch", stride=stride, kernel_size=kernel_size)
        self.assertEqual(model(_normal([2, 16, 12, 3])).shape, (2, *expected, 4))

    @parameterized.named_parameters(("stride_2", 2), ("stride_1", 1))
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

    @parameterized.named_parameters(
        ("bfloat16", "mixed_bfloat16", tf.bfloat16), ("float16", "mixed_float16", tf.float16)
    )
    def test_precision_reaches_the_layers(self, policy, dtype):
        model = _down_model(norm="batch", dtype=policy)
        self.assertEqual(model(_normal([1, 8, 8, 3])).dtype, dtype)
        computed_in = {type(layer).__name__: layer.compute_dtype for layer in model.layers}
        self.assertEqual(computed_in["Conv2D"], dtype.name)
        self.assertEqual(computed_in["StatisticsNormalization"], "float32")
        for weight in model.get_weights():
            self.assertEqual(weight.dtype, np.float32)


class SpectralNormTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(("stride_2", 2, 4), ("stride_1", 1, 4), ("pixel", 1, 1))
    def test_training_calls_bring_the_largest_singular_value_to_1(self, stride, kernel_size):
        keras.utils.set_random_seed(1)
        model = _down_model(
            norm="batch", stride=stride, kernel_size=kernel_size, spectral_norm=True
        )
        (kernel,) = (
            variable for variable in model.trainable_variables if "kernel" in variable.name
        )
        before = self._largest_singular_value(kernel)
        x = _normal([1, 8, 8, 3])
        model(x, training=False)
        self.assertEqual(self._largest_singular_value(kernel), before)
        for _ in range(30):
            model(x, training=True)
        self.assertGreater(abs(before - 1.0), 0.1)
        self.assertAllClose(self._largest_singular_value(kernel), 1.0, atol=0.02)

    def test_kernel_keeps_its_gradient(self):
        model = _down_model(norm="none", spectral_norm=True)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(_normal([1, 8, 8, 3]), training=True) ** 2)
        for gradient in tape.gradient(total, model.trainable_variables):
            self.assertGreater(np.abs(gradient).max(), 1e-3)

    def _largest_singular_value(self, kernel) -> float:
        matrix = kernel.numpy().reshape([-1, kernel.shape[-1]])
        return np.linalg.svd(matrix, compute_uv=False)[0]


class UpBlockTest(tf.test.TestCase, parameterized.TestCase):
    def test_is_convolution_norm_dropout_relu(self):
        self.assertEqual(
            _names(_up_model(norm="batch", dropout=0.5)),
            ["Conv2DTranspose", "StatisticsNormalization", "NoiseDropout", "ReLU"],
        )

    def test_without_a_rate_there_is_no_dropout(self):
        image, noise = keras.Input([None, None, 3]), keras.Input([None])
        x, left = layers.up_block(image, noise, 4, norm="batch")
        self.assertIs(left, noise)
        self.assertEqual(
            _names(keras.Model(image, x)), ["Conv2DTranspose", "StatisticsNormalization", "ReLU"]
        )

    def test_doubles_the_image_and_takes_the_noise_of_its_output(self):
        y, left = _up_model(norm="batch", dropout=0.5)([_normal([2, 3, 5, 3]), _uniform([2, 250])])
        self.assertEqual(y.shape, (2, 6, 10, 4))
        self.assertEqual(left.shape, (2, 250 - 6 * 10 * 4))

    def test_drops_after_the_norm_and_before_the_relu(self):
        with_dropout = _up_model(norm="batch", dropout=0.5)
        without = _up_model(norm="batch", dropout=0.0)
        without.set_weights(with_dropout.get_weights())
        x, z = _normal([1, 3, 3, 3]), _uniform([1, 144])
        expected = np.where(z.reshape([1, 6, 6, 4]) >= 0.5, 2.0 * without([x, z])[0], 0.0)
        self.assertAllClose(with_dropout([x, z])[0], expected, atol=1e-5)
        self.assertAllGreaterEqual(expected, 0.0)
        self.assertGreater(expected.max(), 1.0)

    def test_kernel_is_4x4_and_starts_from_the_papers_normal(self):
        keras.utils.set_random_seed(1)
        kernel = _up_model(channels=512, norm="batch").get_weights()[0]
        self.assertEqual(kernel.shape, (4, 4, 4, 512))
        self.assertAllClose(np.mean(kernel), 0.0, atol=0.0005)
        self.assertAllClose(np.std(kernel), 0.02, atol=0.0004)

    @parameterized.named_parameters(
        ("batch", "batch", False), ("instance", "instance", False), ("none", "none", True)
    )
    def test_bias_where_no_norm_cancels_it(self, norm, expected):
        model = _up_model(norm=norm)
        (convolution,) = (
            layer for layer in model.layers if isinstance(layer, keras.layers.Conv2DTranspose)
        )
        self.assertEqual(convolution.use_bias, expected)

    def test_negative_values_are_cut(self):
        model = _up_model(channels=1, norm="none")
        kernel = np.ones([4, 4, 4, 1]) * np.reshape([1.0, -1.0, 2.0, -2.0], [1, 1, 4, 1])
        model.set_weights([kernel, np.zeros(4)])
        y, _ = model([np.ones([1, 1, 1, 1], np.float32), _uniform([1, 3])])
        self.assertAllClose(y[0, 0, 0], [1.0, 0.0, 2.0, 0.0])


if __name__ == "__main__":
    tf.test.main()
