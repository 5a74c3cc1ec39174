"""Tests of `pix2pix_tf.models.convolutions`: every formulation gives the same numbers."""

from __future__ import annotations

from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf import keras_compat, networks, precision
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.models import convolutions, discriminator, generator

# Of float32: sums of a few hundred terms near 1, in two orders.
_ROUNDING = 1e-5


def _normal(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def _on(has_avx512: bool):
    """Takes the processor for one with AVX-512, or without."""
    return mock.patch.object(precision, "has_avx512", lambda: has_avx512)


def _fast(layer, formulation: str = "fast", typical_height: int | None = None):
    """Returns a layer in another formulation; see `set_formulation`."""
    layer.formulation, layer.typical_height = formulation, typical_height
    return layer


class LayerTest(tf.test.TestCase, parameterized.TestCase):
    """The layers against those of Keras with the same weights."""

    def _check(self, fast, plain, inputs, *, tolerance=_ROUNDING):
        # Weights of one layer for both; compiled, as in training.
        plain.build(inputs.shape)
        fast.build(inputs.shape)
        fast.set_weights([_normal(*w.shape, seed=9).numpy() for w in plain.get_weights()])
        plain.set_weights(fast.get_weights())
        results = []
        # The fast one by what is chosen with AVX-512, and without.
        for layer, has_avx512 in ((fast, True), (fast, False), (plain, True)):

            @tf.function
            def run(inputs, layer=layer):
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    outputs = layer(inputs)
                    # Every output counts differently.
                    weights = tf.reshape(tf.range(tf.size(outputs)) % 7 - 3, tf.shape(outputs))
                    total = tf.reduce_sum(outputs * tf.cast(weights, outputs.dtype))
                return outputs, tape.gradient(total, [inputs, *layer.trainable_variables])

            with _on(has_avx512):
                results.append(run(inputs))
        *results, (expected, expected_gradients) = results
        for found, gradients in results:
            self.assertAllClose(found, expected, rtol=tolerance, atol=tolerance)
            self.assertLen(gradients, len(expected_gradients))
            for gradient, wanted in zip(gradients, expected_gradients):
                scale = float(tf.reduce_max(tf.abs(tf.cast(wanted, tf.float32))))
                self.assertAllClose(gradient, wanted, rtol=tolerance, atol=tolerance * scale)

    # Outputs of 2 and 32 pixels: both products as matrices, and none. An odd side. Stride 1.
    @parameterized.parameters((2, 4, 4, True), (2, 64, 64, False), (2, 9, 6, True), (1, 9, 9, True))
    def test_convolution(self, stride, height, width, bias):
        padding = "same" if stride == 2 else "valid"
        arguments = dict(strides=stride, padding=padding, use_bias=bias)
        for filters in (3, 17):  # Few, and more.
            self._check(
                _fast(convolutions.Conv2D(filters, 4, **arguments)),
                keras.layers.Conv2D(filters, 4, **arguments),
                _normal(2, height, width, 2),
            )

    @parameterized.parameters((1, False), (32, True))
    def test_transposed_convolution(self, size, bias):
        arguments = dict(strides=2, padding="same", use_bias=bias)
        self._check(
            _fast(convolutions.Conv2DTranspose(3, 4, **arguments)),
            keras.layers.Conv2DTranspose(3, 4, **arguments),
            _normal(2, size, size, 2),
        )

    # All layers that double the size, by matrices and by the operation; a side of one pixel.
    @parameterized.parameters((1, "fast"), (6, "fast"), (32, "fast"), (5, "plain"))
    def test_resize_convolution(self, size, formulation):
        """Against nearest-neighbour upsampling and a 3x3 convolution, with the same weights."""
        layer = _fast(convolutions.ResizeConv2D(3, strides=2, padding="same"), formulation)
        plain = keras.layers.Conv2D(3, 3, padding="same")
        upsample = keras.layers.UpSampling2D(2)
        inputs = _normal(2, size, size, 2)
        layer.build(inputs.shape)
        kernel, bias = _normal(3, 3, 3, 2, seed=1), _normal(3, seed=2)
        layer.set_weights([kernel, bias])
        plain.build([2, 2 * size, 2 * size, 2])
        # A transposed convolution has its kernel the other way round.
        plain.set_weights([tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2]), bias])
        weights = _normal(2, 2 * size, 2 * size, 3, seed=3)
        found = []
        for call, variables in (
            (layer, layer.trainable_variables),
            (lambda x: plain(upsample(x)), plain.trainable_variables),
        ):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = call(inputs)
                total = tf.reduce_sum(outputs * weights)
            gradients = tape.gradient(total, [inputs, *variables])
            found.append([outputs, *map(tf.convert_to_tensor, gradients)])
        found[1][2] = tf.transpose(found[1][2][::-1, ::-1], [0, 1, 3, 2])
        for value, expected in zip(*found):
            scale = float(tf.reduce_max(tf.abs(expected)))
            self.assertAllClose(value, expected, rtol=1e-5, atol=1e-5 * scale)

    # By matrices, and the larger only for the kernel.
    @parameterized.parameters((2, 8), (2, 40), (1, 9))
    def test_convolutions_in_bfloat16(self, stride, size):
        padding = "same" if stride == 2 else "valid"
        arguments = dict(strides=stride, padding=padding, dtype="mixed_bfloat16")
        for own, keras_class in (
            (convolutions.Conv2D, keras.layers.Conv2D),
            (convolutions.Conv2DTranspose, keras.layers.Conv2DTranspose),
        )[:stride]:
            self._check(
                _fast(own(3, 4, **arguments)),
                keras_class(3, 4, **arguments),
                _normal(1, size, size, 2),
                tolerance=4e-2,
            )

    def _operations(
        self,
        layer_class,
        shape,
        dtype=tf.float32,
        formulation="plain",
        stride=2,
        filters=2,
        **typical,
    ):
        padding = "same" if stride == 2 else "valid"
        layer = layer_class(filters, 4, strides=stride, padding=padding, dtype=dtype.name)
        _fast(layer, formulation, **typical)

        @tf.function
        def gradients(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                total = tf.reduce_sum(layer(inputs))
            return tape.gradient(total, [inputs, *layer.trainable_variables])

        layer.build([*shape[:3], 2])
        graph = gradients.get_concrete_function(tf.TensorSpec([*shape, 2], dtype)).graph
        operations = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "BatchMatMulV2"}
        return operations & tiny_runs.operations(graph.as_graph_def())

    @parameterized.parameters(convolutions.Conv2D, convolutions.Conv2DTranspose)
    def test_which_product_is_chosen(self, layer_class):
        self.enter_context(_on(has_avx512=True))

        def operations(batch, side, **arguments):
            side = side and (2 * side if layer_class is convolutions.Conv2D else side)
            return self._operations(layer_class, [batch, side, side], **arguments)

        maps, kernel = {"Conv2D", "Conv2DBackpropInput"}, {"Conv2DBackpropFilter"}
        matrices = {"BatchMatMulV2"}
        fast = dict(formulation="fast")
        self.assertEqual(operations(1, 16), maps | kernel)
        self.assertEqual(operations(1, 16, **fast), matrices)
        self.assertEqual(operations(4, 8, **fast), matrices)
        # The pixels of the whole batch count.
        self.assertEqual(operations(5, 8, **fast), maps | kernel)
        self.assertEqual(operations(1, 17, **fast), maps | kernel)
        bfloat16 = dict(fast, dtype=tf.bfloat16)
        self.assertEqual(operations(1, 64, **bfloat16), maps | matrices)
        self.assertEqual(operations(1, 65, **bfloat16), maps | kernel)
        self.assertEqual(operations(1, 8, **dict(fast, dtype=tf.float16)), maps | kernel)
        # Of any size: decided at each call, where the typical one makes it likely.
        self.assertEqual(operations(None, None, **fast), maps | kernel)
        self.assertEqual(operations(None, None, typical_height=17, **fast), maps | kernel)
        found = operations(None, None, typical_height=16, **fast)
        self.assertEqual(found, maps | kernel | matrices)

    def test_which_product_is_chosen_without_avx512(self):
        self.enter_context(_on(has_avx512=False))

        def operations(side, **arguments):
            size = [1, side, side]
            return self._operations(convolutions.Conv2D, size, formulation="fast", **arguments)

        # The gradient of the input is an operation from 256 pixels; that of the kernel is not.
        to_small = {"BatchMatMulV2"} if keras_compat.IS_KERAS_3 else {"Conv2D", "BatchMatMulV2"}
        self.assertEqual(operations(32), to_small | {"Conv2DBackpropInput"})
        self.assertEqual(operations(16), {"BatchMatMulV2"})
        stride_1 = {"Conv2DBackpropInput", "BatchMatMulV2"}
        self.assertEqual(operations(9, stride=1, filters=17), {"Conv2D"} | stride_1)
        few = {"Conv2DBackpropInput", "Conv2DBackpropFilter", "BatchMatMulV2"}
        self.assertEqual(operations(9, stride=1, filters=1), few)
        # What is exported may serve on another machine.
        layer = _fast(convolutions.Conv2D(2, 4, strides=2, padding="same"), "inference")
        layer.build([1, 32, 32, 2])
        self.assertEqual(layer._limits()["to_small"], 256)

    @parameterized.parameters(8, 20)
    def test_the_size_that_comes_decides(self, side):
        # 8 is under the limit, 20 above: one graph for both.
        arguments = dict(strides=2, padding="same")
        for plain, layer_class in (
            (keras.layers.Conv2D(3, 4, **arguments), convolutions.Conv2D),
            (keras.layers.Conv2DTranspose(3, 4, **arguments), convolutions.Conv2DTranspose),
        ):
            inputs = _normal(2, 2 * side, 2 * side, 2)
            plain.build(inputs.shape)
            for formulation in ("fast", "inference"):
                layer = _fast(layer_class(3, 4, **arguments), formulation, typical_height=8)
                layer.build(inputs.shape)
                layer.set_weights(plain.get_weights())
                spec = [tf.TensorSpec([None, None, None, 2])]
                found = tf.function(layer, input_signature=spec)(inputs)
                self.assertAllClose(found, plain(inputs), rtol=_ROUNDING, atol=_ROUNDING)


class NetworkTest(tf.test.TestCase, parameterized.TestCase):
    """Whole networks, plain and fast, with the same weights."""

    def _gradients(self, model, inputs):
        @tf.function
        def run():
            with tf.GradientTape() as tape:
                output = model(inputs, training=True)
                loss = tf.reduce_mean(tf.sin(3.0 * output))
            return output, tape.gradient(loss, model.trainable_variables)

        return run()

    def _compare(self, build, inputs, *, size=None):
        plain, fast = build(), build()
        convolutions.set_formulation(fast, "fast", size=size)
        fast.set_weights(plain.get_weights())
        found, gradients = self._gradients(fast, inputs)
        expected, expected_gradients = self._gradients(plain, inputs)
        self.assertAllClose(found, expected, rtol=0, atol=1e-5)
        for gradient, wanted in zip(gradients, expected_gradients):
            norm = float(tf.norm(wanted))
            self.assertLess(float(tf.norm(gradient - wanted)), 1e-4 * norm + 1e-7)

    def _inputs_of_generator(self, build):
        size = generator.noise_size(build(), height=64, width=64)
        return [_normal(2, 64, 64, 3), tf.constant(tiny_runs.random_noise(2, size))]

    def test_generator(self):
        def build(**arguments):
            return generator.build_generator("unet", crop_size=64, base_filters=4, **arguments)

        self._compare(build, self._inputs_of_generator(build), size=(64, 64))

    def test_generator_in_bfloat16(self):
        """Its output alone: in gradients rounding adds up, so each layer is compared above."""

        def build(**arguments):
            return generator.build_generator("unet", crop_size=64, base_filters=4, **arguments)

        inputs = self._inputs_of_generator(build)
        plain, fast = (build(dtype="mixed_bfloat16") for _ in range(2))
        convolutions.set_formulation(fast, "fast", size=(64, 64))
        fast.set_weights(plain.get_weights())
        found, gradients = self._gradients(fast, inputs)
        self.assertAllClose(found, plain(inputs), rtol=0, atol=3e-2)
        self.assertEqual({gradient.dtype for gradient in gradients}, {tf.float32})

    def test_discriminator(self):
        def build(**arguments):
            return discriminator.patchgan(base_filters=4, spectral_norm=True, **arguments)

        self._compare(build, _normal(2, 32, 32, 6))

    def _check_operations(self, model, formulation):
        """Checks what the batch normalisations and the convolutions are made of."""
        expected = dict(
            fast={"BatchMatMulV2", "FusedBatchNormV3"}, plain={"FusedBatchNormV3"}, portable=set()
        )
        image = tf.zeros([1, 32, 32, model.inputs[0].shape[-1]])
        inputs = image if len(model.inputs) == 1 else [image, tf.zeros([1, 32**3])]
        graph = tf.function(model).get_concrete_function(inputs).graph
        found = {op.type for op in graph.get_operations()}
        self.assertEqual(found & expected["fast"], expected[formulation])

    # With spectral normalisation a convolution lies inside of another layer.
    @parameterized.parameters(False, True)
    def test_set_formulation_reaches_every_layer(self, spectral_norm):
        model = discriminator.patchgan(base_filters=2, spectral_norm=spectral_norm)
        self._check_operations(model, "plain")
        for formulation in ("fast", "portable", "plain"):
            convolutions.set_formulation(model, formulation)
            self._check_operations(model, formulation)

    @parameterized.parameters("fast", "portable")
    def test_a_network_is_built_in_the_formulation_asked_for(self, formulation):
        config = TrainConfig(crop_size=32, base_filters=2)
        for build in (networks.build_generator, networks.build_discriminator):
            self._check_operations(build(config, formulation=formulation), formulation)

    def test_innermost_layers_keep_float32_where_that_is_fast(self):
        config = TrainConfig(crop_size=32, base_filters=2)
        model = networks.build_generator(config, dtype="mixed_bfloat16", formulation="fast")
        found = [layer.arithmetic for layer in model.layers if hasattr(layer, "arithmetic")]
        # Encoder 16, 8, 4, 2, 1 pixels, decoder from 1, 2, 4, ...
        wide, deep = ["bfloat16"] * 3, ["float32"] * 4
        self.assertEqual(found, wide + deep + wide)
