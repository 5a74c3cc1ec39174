"""Tests of the generators: the paper's architecture, and G as a pure function of image and z."""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf import errors
from pix2pix_tf.models import convolutions, generator, layers

_KINDS = ("unet", "encoder_decoder")


def _build(kind: str = "unet", *, crop_size: int = 32, base_filters: int = 2, **arguments):
    keras.utils.set_random_seed(1)
    return generator.build_generator(
        kind, crop_size=crop_size, base_filters=base_filters, **arguments
    )


@functools.cache
def _tiny(**arguments) -> keras.Model:
    """Returns a model that tests share; one that changes its weights builds its own."""
    return _build(**arguments)


def _image(batch: int = 1, height: int = 32, width: int = 32, channels: int = 3, *, seed: int = 0):
    return tiny_runs.random_image(batch, height, width, channels, seed=seed)


def _noise(batch: int = 1, *, height: int = 32, width: int = 32, seed: int = 0, **settings):
    size = generator.noise_size(_tiny(**settings), height=height, width=width)
    return tiny_runs.random_noise(batch, size, seed=seed)


def _layers_of(model: keras.Model, kind: type) -> list[keras.layers.Layer]:
    """Returns the layers of exactly that class: for Keras 2 a transposed one is a Conv2D too."""
    return [layer for layer in model.layers if type(layer) is kind]


def _convolutions(model: keras.Model) -> list[keras.layers.Layer]:
    return _layers_of(model, convolutions.Conv2D)


def _transposed(model: keras.Model) -> list[keras.layers.Layer]:
    return _layers_of(model, convolutions.Conv2DTranspose)


class ArchitectureTest(tf.test.TestCase, parameterized.TestCase):
    def test_parameters_of_the_paper(self):
        model = generator.build_generator("unet")
        self.assertEqual(model.count_params(), 54_413_955)
        # None of them is left out of the training.
        trainable = sum(np.prod(v.shape) for v in model.trainable_variables)
        self.assertEqual(trainable, 54_413_955)
        kernels = [layer.kernel.shape for layer in _transposed(model)]
        self.assertEqual([kernel[2] for kernel in kernels], [512, 512, 512, 512, 256, 128, 64, 3])
        # Paper: CD512-CD1024-CD1024-C1024-C1024-C512-C256-C128, the skips included.
        self.assertEqual(
            [kernel[3] for kernel in kernels], [512, 1024, 1024, 1024, 1024, 512, 256, 128]
        )
        # Paper: C64-C128-C256-C512-C512-C512-C512-C512.
        filters = [layer.filters for layer in _convolutions(model)]
        self.assertEqual(filters, [64, 128, 256, 512, 512, 512, 512, 512])
        for layer in _convolutions(model) + _transposed(model):
            self.assertEqual((layer.kernel_size, layer.strides), ((4, 4), (2, 2)))

    def test_decoder_of_the_encoder_decoder_is_the_papers(self):
        model = _tiny(kind="encoder_decoder", crop_size=256, base_filters=1)
        kernels = [layer.kernel.shape for layer in _transposed(model)]
        # Paper: CD512-CD512-CD512-C512-C256-C128-C64.
        self.assertEqual([kernel[2] for kernel in kernels], [8, 8, 8, 8, 4, 2, 1, 3])
        self.assertEqual([kernel[3] for kernel in kernels], [8, 8, 8, 8, 8, 4, 2, 1])
        self.assertEmpty(_layers_of(model, keras.layers.Concatenate))

    @parameterized.parameters(
        ("batch", "batch", "StatisticsNormalization"),
        ("instance", "batch", "InstanceNormalization"),
        # Addons' layers have ops of their own, which other runtimes may not have.
        ("instance", "image", "StatisticsNormalization"),
        ("none", "batch", None),
    )
    def test_norm_is_everywhere_but_on_the_ends_and_the_bottleneck(self, norm, statistics, kind):
        model = _tiny(norm=norm, statistics=statistics)
        names = [type(layer).__name__ for layer in model.layers]
        # 5 down, 5 up: without the first, the bottleneck and the last.
        found = [name for name in names if name.endswith("Normalization")]
        self.assertEqual(found, [kind] * 7 if kind else [])
        if kind:
            self.assertLess(names.index("LeakyReLU"), names.index(kind))
        with_bias = [layer.use_bias for layer in _convolutions(model) + _transposed(model)]
        self.assertEqual(with_bias, [norm == "none"] * 9 + [True])

    @parameterized.product(
        [dict(channels=1, expected=2), dict(channels=4, expected=7)], kind=_KINDS
    )
    def test_channels_and_names(self, channels, expected, kind):
        model = _tiny(kind=kind, input_channels=channels, output_channels=expected)
        y = model([_image(2, channels=channels), _noise(2)])
        self.assertEqual(y.shape, (2, 32, 32, expected))
        self.assertEqual([tensor.name for tensor in model.inputs], ["image", "z"])
        self.assertEqual(model.layers[-1].name, "output")

    @parameterized.parameters(
        ("kind", "resnet"),
        ("norm", "layer"),
        ("dropout", 1.0),
        ("statistics", "moving"),
        # Too small, too large, no power of two.
        *[("crop_size", size) for size in (16, 2048, 96, 0, -64)],
    )
    def test_other_arguments_are_refused(self, name, value):
        with self.assertRaisesRegex(errors.InputError, repr(value)):
            _build(**{name: value})


class NoiseTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((32, 32, 32), (64, 64, 64), (32, 64, 32), (32, 32, 96))
    def test_size_is_what_the_model_takes(self, crop_size, height, width):
        model = _tiny(crop_size=crop_size)
        z = _noise(2, crop_size=crop_size, height=height, width=width)
        image = _image(2, height, width)
        dropouts = _layers_of(model, layers.NoiseDropout)
        self.assertLen(dropouts, 3)
        last_features = keras.Model(model.inputs, dropouts[-1].output)
        z[:, -1] = 0.9
        kept, left = last_features([image, z])
        self.assertEqual(left.shape, (2, 0))
        z[:, -1] = 0.1
        dropped, _ = last_features([image, z])
        # The last number decides about the last unit, and about no other.
        self.assertAllGreater(np.abs(kept[:, -1, -1, -1]), 0.0)
        self.assertAllEqual(dropped[:, -1, -1, -1], [0.0, 0.0])
        self.assertEqual(np.count_nonzero(kept.numpy() != dropped.numpy()), 2)

    def test_without_dropout_there_is_no_noise(self):
        model = _tiny(dropout=0.0)
        z = _noise(2, dropout=0.0)
        self.assertEqual(z.shape, (2, 0))
        expected = model([_image(2), z])
        self.assertAllEqual(model([_image(2), np.zeros([2, 3], np.float32)]), expected)


class FunctionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((False, 1, True), (True, 1, False), (True, 2, True))
    def test_whether_the_bottleneck_is_alive(self, bottleneck_norm, batch, is_alive):
        # The erratum: one value minus the mean of one value is 0, whatever the weights.
        model = _tiny(bottleneck_norm=bottleneck_norm)
        kernel = _convolutions(model)[-1].kernel
        with tf.GradientTape() as tape:
            y = model([_image(batch), _noise(batch)])
            total = tf.reduce_sum(y * _image(batch, seed=5))
        gradient = np.abs(tape.gradient(total, kernel)).max()
        if is_alive:
            self.assertGreater(gradient, 1e-2)
        else:
            self.assertLess(gradient, 1e-5)

    @parameterized.parameters(*_KINDS)
    def test_every_weight_has_a_gradient(self, kind):
        model = _tiny(kind=kind)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model([_image(), _noise()]) * _image(seed=5))
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(total, model.trainable_variables)
        ):
            self.assertGreater(np.abs(gradient).max(), 0.0, msg=variable.name)

    @parameterized.parameters(("bfloat16", "batch"), ("float16", "instance"))
    def test_mixed_precision_keeps_output_and_weights_in_float32(self, computed_in, norm):
        reference = _tiny(norm=norm)
        model = _build(norm=norm, dtype=f"mixed_{computed_in}")
        model.set_weights(reference.get_weights())
        for layer in _convolutions(model) + _transposed(model):
            self.assertEqual(layer.arithmetic, computed_in)
        for weight in model.get_weights():
            self.assertEqual(weight.dtype, np.float32)
        y = model([_image(), _noise()])
        self.assertEqual(y.dtype, tf.float32)
        expected = reference([_image(), _noise()])
        self.assertGreater(np.std(expected), 0.02)
        self.assertAllClose(y, expected, atol=0.02)


class StatisticsTest(tf.test.TestCase, parameterized.TestCase):
    """Serving builds the model anew with `statistics="image"` and gives it the trained weights."""

    # Of instance normalisation, each image of a batch.
    @parameterized.parameters(("batch", 1), ("instance", 3), ("none", 1))
    def test_image_statistics_equal_those_of_training(self, norm, batch):
        trained, served = (_build(norm=norm, statistics=rule) for rule in ("batch", "image"))
        tiny_runs.set_weights(trained, seed=0)
        served.set_weights(trained.get_weights())  # Gamma and beta differ: their order shows.
        inputs = [_image(batch), _noise(batch)]
        self.assertAllClose(served(inputs), trained(inputs), atol=1e-4)
