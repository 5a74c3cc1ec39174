"""Tests of the discriminators: the paper's table, and the receptive field as measured."""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf import errors
from pix2pix_tf.models import discriminator, layers

_FIELDS = (1, 16, 34, 70, 142, 286)


def _build(**arguments) -> keras.Model:
    keras.utils.set_random_seed(1)
    return discriminator.patchgan(**{"base_filters": 2, **arguments})


@functools.cache
def _tiny(**arguments) -> keras.Model:
    """Returns a model that tests share; one that changes its weights builds its own."""
    return _build(**arguments)


def _image(size: int = 32) -> np.ndarray:
    return tiny_runs.random_image(1, size, size, 6)


def _convolutions(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


class ArchitectureTest(tf.test.TestCase, parameterized.TestCase):
    def test_default_is_the_papers(self):
        model = discriminator.patchgan()
        self.assertEqual(model.count_params(), 2_768_705)
        self.assertEmpty(model.non_trainable_variables)
        self.assertEqual([layer.filters for layer in _convolutions(model)], [64, 128, 256, 512, 1])
        self.assertEqual(model.inputs[0].shape[-1], 6)
        norms = [type(layer) for layer in model.layers].count(layers.StatisticsNormalization)
        self.assertEqual(norms, 3)

    @parameterized.parameters(
        (1, [2, 4], 256),
        (16, [2, 4], 126),
        (34, [2, 4, 8], 62),
        (70, [2, 4, 8, 16], 30),
        (142, [2, 4, 8, 16, 16], 14),
        (286, [2, 4, 8, 16, 16, 16], 6),
    )
    def test_layers_of_the_paper(self, receptive_field, filters, num_logits):
        model = _tiny(receptive_field=receptive_field)
        convolutions = _convolutions(model)
        self.assertEqual([layer.filters for layer in convolutions], [*filters, 1])
        size, down = ((1, 1), (1, 1)) if receptive_field == 1 else ((4, 4), (2, 2))
        for layer in convolutions:
            self.assertEqual(layer.kernel_size, size)
        # The last block and the convolution after it do not halve the image.
        strides = [layer.strides for layer in convolutions]
        self.assertEqual(strides, [down] * (len(filters) - 1) + [(1, 1)] * 2)
        # A bias is where no norm cancels it; the PixelGAN ends without in the authors' code.
        biases = [layer.use_bias for layer in convolutions]
        between = [False] * (len(filters) - 1)
        self.assertEqual(biases, [True, *between, receptive_field != 1])
        self.assertEqual(model(_image(size=256)).shape, (1, num_logits, num_logits, 1))

    @parameterized.parameters(*_FIELDS)
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

    @parameterized.parameters(("receptive_field", 71), ("norm", "layer"))
    def test_other_arguments_are_refused(self, name, value):
        with self.assertRaisesRegex(errors.InputError, repr(value)):
            _build(**{name: value})


class LogitsTest(tf.test.TestCase, parameterized.TestCase):
    def test_no_sigmoid_is_applied(self):
        model = _build(norm="none")
        *_, kernel, bias = model.get_weights()
        model.set_weights([*model.get_weights()[:-2], kernel, bias - 7.0])
        self.assertAllLess(model(_image()), -5.0)

    @parameterized.parameters(("bfloat16", "batch"), ("float16", "instance"))
    def test_mixed_precision_keeps_logits_and_weights_in_float32(self, computed_in, norm):
        reference = _tiny(norm=norm)
        model = _build(norm=norm, dtype=f"mixed_{computed_in}")
        model.set_weights(reference.get_weights())
        for layer in _convolutions(model):
            self.assertEqual(layer.arithmetic, computed_in)
        for weight in model.get_weights():
            self.assertEqual(weight.dtype, np.float32)
        logits, expected = model(_image()), reference(_image())
        self.assertEqual(logits.dtype, tf.float32)
        self.assertAllClose(logits, expected, atol=0.1 * np.std(expected))

    @parameterized.parameters((1, False), (70, False), (70, True), (286, False))
    def test_every_weight_has_a_gradient(self, receptive_field, spectral_norm):
        # Training calls of a spectral norm change weights: not those of a shared model.
        model = _build(receptive_field=receptive_field, spectral_norm=spectral_norm)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(_image(size=128), training=True) ** 2)
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(total, model.trainable_variables)
        ):
            self.assertGreater(np.abs(gradient).max(), 0.0, msg=variable.name)


class SpectralNormTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((1, 3), (70, 5))
    def test_training_calls_bring_every_kernel_to_norm_1(self, receptive_field, num_kernels):
        model = _build(receptive_field=receptive_field, spectral_norm=True)
        for _ in range(40):
            model(_image(), training=True)
        kernels = [weight for weight in model.get_weights() if weight.ndim == 4]
        norms = [np.linalg.norm(k.reshape([-1, k.shape[-1]]), ord=2) for k in kernels]
        self.assertAllClose(norms, np.ones(num_kernels), atol=0.03)
