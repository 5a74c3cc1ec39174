"""Tests of the discriminators: the paper's table, and the receptive field as measured."""

from __future__ import annotations

import functools
import os

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf import errors
from pix2pix_tf.models import discriminator, layers

_FIELDS = tuple((str(field), field) for field in (1, 16, 34, 70, 142, 286))


def _build(**arguments) -> keras.Model:
    keras.utils.set_random_seed(1)
    return discriminator.patchgan(**{"base_filters": 2, **arguments})


@functools.cache
def _tiny(**arguments) -> keras.Model:
    """Returns a model that tests share; one that changes its weights builds its own."""
    return _build(**arguments)


def _image(batch: int = 1, size: int = 32, channels: int = 6, *, seed: int = 0) -> np.ndarray:
    shape = (batch, size, size, channels)
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)


def _convolutions(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


class ArchitectureTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("1", 1, 9_024),
        ("16", 16, 139_585),
        ("34", 34, 666_433),
        ("70", 70, 2_768_705),
        ("142", 142, 6_964_033),
        ("286", 286, 11_159_361),
    )
    def test_parameters_of_the_paper(self, receptive_field, expected):
        model = discriminator.patchgan(receptive_field=receptive_field)
        self.assertEqual(model.count_params(), expected)
        self.assertEmpty(model.non_trainable_variables)

    def test_default_is_the_papers(self):
        model = discriminator.patchgan()
        self.assertEqual([layer.filters for layer in _convolutions(model)], [64, 128, 256, 512, 1])
        self.assertEqual(model.inputs[0].shape[-1], 6)
        norms = [type(layer) for layer in model.layers].count(layers.StatisticsNormalization)
        self.assertEqual(norms, 3)

    @parameterized.named_parameters(
        ("1", 1, [2, 4]),
        ("16", 16, [2, 4]),
        ("34", 34, [2, 4, 8]),
        ("70", 70, [2, 4, 8, 16]),
        ("142", 142, [2, 4, 8, 16, 16]),
        ("286", 286, [2, 4, 8, 16, 16, 16]),
    )
    def test_layers_of_the_paper(self, receptive_field, filters):
        convolutions = _convolutions(_tiny(receptive_field=receptive_field))
        self.assertEqual([layer.filters for layer in convolutions], [*filters, 1])
        size, down = ((1, 1), (1, 1)) if receptive_field == 1 else ((4, 4), (2, 2))
        for layer in convolutions:
            self.assertEqual(layer.kernel_size, size)
        # The last block and the convolution after it do not halve the image.
        strides = [layer.strides for layer in convolutions]
        self.assertEqual(strides, [down] * (len(filters) - 1) + [(1, 1)] * 2)

    @parameterized.named_parameters(*_FIELDS)
    def test_bias_is_where_no_norm_cancels_it(self, receptive_field):
        biases = [layer.use_bias for layer in _convolutions(_tiny(receptive_field=receptive_field))]
        between = [False] * (len(biases) - 2)
        # The PixelGAN's last convolution has none in the authors' code.
        self.assertEqual(biases, [True, *between, receptive_field != 1])

    @parameterized.named_parameters(
        ("1", 1, 256),
        ("16", 16, 126),
        ("34", 34, 62),
        ("70", 70, 30),
        ("142", 142, 14),
        ("286", 286, 6),
    )
    def test_logits_for_256_pixels(self, receptive_field, expected):
        logits = _tiny(receptive_field=receptive_field)(_image(size=256))
        self.assertEqual(logits.shape, (1, expected, expected, 1))

    @parameterized.named_parameters(*_FIELDS)
    def test_one_logit_sees_exactly_its_patch(self, receptive_field):
        # Without norm: its statistics would let every pixel through.
        model = _tiny(receptive_field=receptive_field, norm="none", base_filters=1)
        size = 320 if receptive_field > 70 else 160
        image = tf.constant(_image(size=size))
        with tf.GradientTape() as tape:
            tape.watch(image)
            logits = model(image)
            middle = logits.shape[1] // 2
            one_logit = logits[0, middle, middle, 0]
        touched = np.any(tape.gradient(one_logit, image).numpy() != 0.0, axis=(0, 3))
        rows, columns = np.where(touched)
        self.assertEqual(
            (np.ptp(rows) + 1, np.ptp(columns) + 1), (receptive_field, receptive_field)
        )
        self.assertLen(rows, receptive_field**2)

    def test_unconditional_has_the_channels_of_the_target(self):
        model = discriminator.patchgan(input_channels=3)
        # 4x4 kernels, 3 channels fewer, 64 filters.
        self.assertEqual(model.count_params(), 2_768_705 - 4 * 4 * 3 * 64)
        self.assertEqual(_tiny(input_channels=3)(_image(channels=3)).shape, (1, 2, 2, 1))

    @parameterized.named_parameters(("batch", "batch"), ("instance", "instance"))
    def test_first_block_has_no_norm(self, norm):
        model = _tiny(norm=norm)
        names = [type(layer).__name__ for layer in model.layers]
        self.assertEqual(names[1:4], ["Conv2D", "LeakyReLU", "Conv2D"])
        self.assertEndsWith(names[4], "Normalization")
        first = keras.Model(model.inputs[0], model.layers[2].output)
        # Twice the image, twice the first features: a norm would take that out.
        self.assertAllClose(first(2.0 * _image()), 2.0 * first(_image()), atol=1e-6)

    def test_instance_norm_is_addons(self):
        kinds = [type(layer).__name__ for layer in _tiny(norm="instance").layers]
        self.assertEqual(kinds.count("InstanceNormalization"), 3)
        self.assertNotIn("StatisticsNormalization", kinds)

    def test_unknown_field_is_refused(self):
        with self.assertRaisesRegex(
            errors.InputError,
            r"^receptive_field is 71\. Use one of 1, 16, 34, 70, 142, 286\.$",
        ):
            discriminator.patchgan(receptive_field=71)

    def test_unknown_norm_is_refused(self):
        with self.assertRaisesRegex(errors.InputError, r"^norm is 'layer'\."):
            _build(norm="layer")


class LogitsTest(tf.test.TestCase, parameterized.TestCase):
    def test_no_sigmoid_is_applied(self):
        model = _build(norm="none")
        *_, kernel, bias = model.get_weights()
        model.set_weights([*model.get_weights()[:-2], kernel, bias - 7.0])
        self.assertAllLess(model(_image()), -5.0)

    @parameterized.named_parameters(("bfloat16", "bfloat16"), ("float16", "float16"))
    def test_mixed_precision_keeps_logits_and_weights_in_float32(self, computed_in):
        for norm in ("batch", "instance"):
            reference = _tiny(norm=norm)
            model = _build(norm=norm, dtype=f"mixed_{computed_in}")
            model.set_weights(reference.get_weights())
            for layer in _convolutions(model):
                self.assertEqual(layer.compute_dtype, computed_in)
            for weight in model.get_weights():
                self.assertEqual(weight.dtype, np.float32)
            logits, expected = model(_image()), reference(_image())
            self.assertEqual(logits.dtype, tf.float32)
            self.assertAllClose(logits, expected, atol=0.1 * np.std(expected))

    @parameterized.named_parameters(("batch", "batch"), ("instance", "instance"), ("none", "none"))
    def test_training_changes_neither_logits_nor_variables(self, norm):
        model = _tiny(norm=norm)
        before = model.get_weights()
        expected = model(_image(2), training=False)
        self.assertAllEqual(model(_image(2), training=True), expected)
        for weight, weight_before in zip(model.get_weights(), before):
            self.assertAllEqual(weight, weight_before)

    @parameterized.named_parameters(*_FIELDS)
    def test_every_weight_has_a_gradient(self, receptive_field):
        model = _tiny(receptive_field=receptive_field)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(_image(size=128)) ** 2)
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(total, model.trainable_variables)
        ):
            self.assertGreater(np.abs(gradient).max(), 0.0, msg=variable.name)


class SpectralNormTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(("1", 1, 3), ("70", 70, 5))
    def test_training_calls_bring_every_kernel_to_norm_1(self, receptive_field, num_kernels):
        model = _build(receptive_field=receptive_field, spectral_norm=True)
        for _ in range(40):
            model(_image(), training=True)
        norms = self._norms(model)
        self.assertLen(norms, num_kernels)
        self.assertAllClose(norms, np.ones(num_kernels), atol=0.03)

    def test_other_calls_write_no_variable(self):
        model = _build(spectral_norm=True)
        before = model.get_weights()
        model(_image(), training=False)
        for weight, weight_before in zip(model.get_weights(), before):
            self.assertAllEqual(weight, weight_before)

    def test_default_has_none(self):
        model = _build()
        before = self._norms(model)
        model(_image(), training=True)
        self.assertAllEqual(self._norms(model), before)

    def _norms(self, model: keras.Model) -> list[float]:
        kernels = [weight for weight in model.get_weights() if weight.ndim == 4]
        return [np.linalg.norm(k.reshape([-1, k.shape[-1]]), ord=2) for k in kernels]


class WeightsFileTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("batch", {}),
        ("instance", {"norm": "instance"}),
        ("spectral", {"spectral_norm": True, "norm": "none"}),
    )
    def test_a_new_model_gives_the_same_logits(self, arguments):
        model = _build(**arguments)
        rng = np.random.default_rng(0)
        model.set_weights(
            [
                rng.normal(0.1, 0.4, weight.shape).astype(np.float32)
                for weight in model.get_weights()
            ]
        )
        path = os.path.join(self.get_temp_dir(), f"{self.id()}.weights.h5")
        model.save_weights(path)
        again = _build(**arguments)
        expected = model(_image(2))
        self.assertNotAllClose(again(_image(2)), expected)
        again.load_weights(path)
        self.assertAllEqual(again(_image(2)), expected)
        # The vector of the power iteration is state too.
        self.assertAllEqual(again(_image(2), training=True), model(_image(2), training=True))


if __name__ == "__main__":
    tf.test.main()
