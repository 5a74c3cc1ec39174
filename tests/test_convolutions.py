"""Tests of `pix2pix_tf.models.convolutions`: every formulation gives the same numbers."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf.models import convolutions, discriminator, generator

# Of float32: sums of a few hundred terms near 1, in two orders.
_ROUNDING = 1e-5


def _normal(*shape: int, seed: int = 0, dtype: str = "float32") -> tf.Tensor:
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return tf.cast(values, dtype)


def _maps(stride: int, *, batch: int = 2, dtype: str = "float32"):
    """Returns a larger map, a kernel and a smaller map that belong together."""
    rows, columns = 3, 5
    large = (6, 10) if stride == 2 else (6, 8)
    return (
        _normal(batch, *large, 3, seed=1, dtype=dtype),
        _normal(4, 4, 3, 7, seed=2, dtype=dtype),
        _normal(batch, rows, columns, 7, seed=3, dtype=dtype),
    )


class ProductTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 2)
    def test_patches_are_those_of_tensorflow(self, stride):
        large, _, _ = _maps(stride)
        padding = [[0, 0], [1, 1], [1, 1], [0, 0]] if stride == 2 else [[0, 0]] * 4
        expected = tf.image.extract_patches(
            tf.pad(large, padding), [1, 4, 4, 1], [1, stride, stride, 1], [1, 1, 1, 1], "VALID"
        )
        self.assertAllEqual(convolutions.patches(large, stride=stride), expected)

    def test_sum_of_patches_is_the_adjoint(self):
        large, _, _ = _maps(2)
        values = _normal(2, 3, 5, 48)
        by_rows = tf.reduce_sum(convolutions.patches(large, stride=2) * values)
        by_pixels = tf.reduce_sum(large * convolutions.sum_of_patches(values))
        self.assertAllClose(by_rows, by_pixels, rtol=1e-5)

    @parameterized.parameters(itertools.product((1, 2), (1, 3)))
    def test_matrices_equal_the_operation(self, stride, batch):
        large, kernel, small = _maps(stride, batch=batch)
        products = [
            lambda **how: convolutions.to_small(large, kernel, **how),
            lambda **how: convolutions.to_kernel(large, small, **how),
        ]
        if stride == 2:
            products.append(lambda **how: convolutions.to_large(small, kernel, **how))
        for product in products:
            found = product(stride=stride, as_matrices=True)
            expected = product(stride=stride, as_matrices=False)
            self.assertEqual(found.shape, expected.shape)
            self.assertAllClose(found, expected, rtol=_ROUNDING, atol=_ROUNDING)

    @parameterized.parameters(1, 2)
    def test_the_three_products_are_one_trilinear_form(self, stride):
        large, kernel, small = _maps(stride)
        how = dict(stride=stride, as_matrices=False)
        values = [
            tf.reduce_sum(small * convolutions.to_small(large, kernel, **how)),
            tf.reduce_sum(large * convolutions.to_large(small, kernel, **how)),
            tf.reduce_sum(kernel * convolutions.to_kernel(large, small, **how)),
        ]
        self.assertAllClose(values, [values[0]] * 3, rtol=1e-5)

    def test_a_size_that_is_not_known_when_traced(self):
        large, kernel, small = _maps(2)

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
        def to_small(large):
            return convolutions.to_small(large, kernel, stride=2, as_matrices=True)

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 7])])
        def to_large(small):
            return convolutions.to_large(small, kernel, stride=2, as_matrices=True)

        self.assertAllClose(to_small(large), tf.nn.conv2d(large, kernel, 2, "SAME"), rtol=1e-5)
        self.assertAllClose(
            to_large(small),
            tf.nn.conv2d_transpose(small, kernel, [2, 6, 10, 3], 2, "SAME"),
            rtol=1e-5,
            atol=1e-5,
        )


class LayerTest(tf.test.TestCase, parameterized.TestCase):
    """The layers against those of Keras with the same weights."""

    def _check(self, fast, plain, inputs, *, tolerance=_ROUNDING):
        # Weights of one layer for both; compiled, as in training.
        plain.build(inputs.shape)
        fast.build(inputs.shape)
        fast.set_weights([_normal(*w.shape, seed=9).numpy() for w in plain.get_weights()])
        plain.set_weights(fast.get_weights())
        results = []
        for layer in (fast, plain):

            @tf.function
            def run(inputs, layer=layer):
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    outputs = layer(inputs)
                    # Every output counts differently.
                    weights = tf.reshape(tf.range(tf.size(outputs)) % 7 - 3, tf.shape(outputs))
                    total = tf.reduce_sum(outputs * tf.cast(weights, outputs.dtype))
                return outputs, tape.gradient(total, [inputs, *layer.trainable_variables])

            results.append(run(inputs))
        (found, gradients), (expected, expected_gradients) = results
        self.assertAllClose(found, expected, rtol=tolerance, atol=tolerance)
        self.assertLen(gradients, len(expected_gradients))
        for gradient, wanted in zip(gradients, expected_gradients):
            scale = float(tf.reduce_max(tf.abs(tf.cast(wanted, tf.float32))))
            self.assertAllClose(gradient, wanted, rtol=tolerance, atol=tolerance * scale)

    @parameterized.parameters(4, 32, 64)
    def test_convolution(self, size):
        # Outputs of 2, 16 and 32 pixels: both products as matrices, and none.
        for bias in (True, False):
            arguments = dict(strides=2, padding="same", use_bias=bias)
            self._check(
                convolutions.Conv2D(3, 4, formulation="fast", **arguments),
                keras.layers.Conv2D(3, 4, **arguments),
                _normal(2, size, size, 2),
            )

    @parameterized.parameters(1, 16, 32)
    def test_transposed_convolution(self, size):
        for bias in (True, False):
            arguments = dict(strides=2, padding="same", use_bias=bias)
            self._check(
                convolutions.Conv2DTranspose(3, 4, formulation="fast", **arguments),
                keras.layers.Conv2DTranspose(3, 4, **arguments),
                _normal(2, size, size, 2),
            )

    def test_convolution_of_stride_1(self):
        self._check(
            convolutions.Conv2D(3, 4, formulation="fast"),
            keras.layers.Conv2D(3, 4),
            _normal(2, 9, 9, 2),
        )

    def _operations(self, layer_class, shape, dtype=tf.float32, **arguments):
        layer = layer_class(2, 4, strides=2, padding="same", dtype=dtype.name, **arguments)

        @tf.function
        def gradients(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                total = tf.reduce_sum(layer(inputs))
            return tape.gradient(total, [inputs, *layer.trainable_variables])

        layer.build([*shape[:3], 2])
        graph_def = gradients.get_concrete_function(
            tf.TensorSpec([*shape, 2], dtype)
        ).graph.as_graph_def()
        nested = [node for body in graph_def.library.function for node in body.node_def]
        operations = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "BatchMatMulV2"}
        return operations & {node.op for node in [*graph_def.node, *nested]}

    @parameterized.parameters(convolutions.Conv2D, convolutions.Conv2DTranspose)
    def test_which_product_is_chosen(self, layer_class):
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
                layer = layer_class(3, 4, formulation=formulation, typical_height=8, **arguments)
                layer.build(inputs.shape)
                layer.set_weights(plain.get_weights())
                spec = [tf.TensorSpec([None, None, None, 2])]
                found = tf.function(layer, input_signature=spec)(inputs)
                self.assertAllClose(found, plain(inputs), rtol=_ROUNDING, atol=_ROUNDING)

    def test_odd_sides(self):
        arguments = dict(strides=2, padding="same")
        self._check(
            convolutions.Conv2D(3, 4, formulation="fast", **arguments),
            keras.layers.Conv2D(3, 4, **arguments),
            _normal(1, 9, 6, 2),
        )

    @parameterized.parameters(
        (dict(activation="relu"), "activation"),
        (dict(padding="same"), "padding"),
        (dict(strides=2), "padding"),
        (dict(kernel_size=3), "kernel_size"),
        (dict(dilation_rate=2), "dilation_rate"),
    )
    def test_what_the_fast_formulation_would_pass_over_is_refused(self, arguments, name):
        arguments = {"kernel_size": 4, **arguments}
        convolutions.Conv2D(2, **arguments)
        with self.assertRaisesRegex(ValueError, f"{name} is "):
            convolutions.Conv2D(2, formulation="fast", **arguments)

    def test_a_layer_is_made_again_from_its_config(self):
        for layer_class in (convolutions.Conv2D, convolutions.Conv2DTranspose):
            layer = layer_class(
                3, 4, strides=2, padding="same", formulation="fast", typical_height=8
            )
            again = layer_class.from_config(layer.get_config())
            self.assertEqual(again.get_config(), layer.get_config())
            self.assertEqual((again.formulation, again.typical_height), ("fast", 8))


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

    def _compare(self, build, inputs, *, dtype, tolerance):
        plain, fast = (build(dtype=dtype, formulation=name) for name in ("plain", "fast"))
        fast.set_weights(plain.get_weights())
        found, gradients = self._gradients(fast, inputs)
        expected, expected_gradients = self._gradients(plain, inputs)
        self.assertAllClose(found, expected, rtol=0, atol=tolerance)
        self.assertEqual(gradients[0].dtype, tf.float32)
        for gradient, wanted in zip(gradients, expected_gradients):
            norm = float(tf.norm(wanted))
            self.assertLess(float(tf.norm(gradient - wanted)), 10 * tolerance * norm + 1e-7)

    @parameterized.parameters(("float32", 1e-5), ("mixed_bfloat16", 3e-2))
    def test_generator(self, dtype, tolerance):
        image = _normal(2, 64, 64, 3)
        size = generator.noise_size(crop_size=64, base_filters=4, dropout=0.5)
        z = tf.constant(np.random.default_rng(5).random([2, size], dtype=np.float32))

        def build(**arguments):
            return generator.build_generator("unet", crop_size=64, base_filters=4, **arguments)

        self._compare(build, [image, z], dtype=dtype, tolerance=tolerance)

    @parameterized.parameters(
        ("float32", 1e-5, False), ("float32", 1e-5, True), ("mixed_bfloat16", 3e-2, False)
    )
    def test_discriminator(self, dtype, tolerance, spectral_norm):
        def build(**arguments):
            return discriminator.patchgan(base_filters=4, spectral_norm=spectral_norm, **arguments)

        self._compare(build, _normal(2, 64, 64, 6), dtype=dtype, tolerance=tolerance)

    @parameterized.parameters(False, True)
    def test_set_formulation_reaches_every_layer(self, spectral_norm):
        model = discriminator.patchgan(
            base_filters=2, spectral_norm=spectral_norm, formulation="fast"
        )

        def operations():
            function = tf.function(model).get_concrete_function(tf.zeros([1, 32, 32, 6]))
            return {op.type for op in function.graph.get_operations()}

        self.assertContainsSubset({"BatchMatMulV2", "FusedBatchNormV3"}, operations())
        convolutions.set_formulation(model, "plain")
        self.assertNotIn("BatchMatMulV2", operations())
        self.assertIn("FusedBatchNormV3", operations())
        convolutions.set_formulation(model, "portable")
        self.assertNoCommonElements(["BatchMatMulV2", "FusedBatchNormV3"], operations())
        convolutions.set_formulation(model, "fast")
        self.assertContainsSubset({"BatchMatMulV2", "FusedBatchNormV3"}, operations())

    @parameterized.parameters("plain", "portable")
    def test_a_network_is_made_in_the_formulation_asked_for(self, formulation):
        for model, inputs in (
            (
                generator.build_generator(
                    "unet", crop_size=32, base_filters=2, formulation=formulation
                ),
                [tf.zeros([1, 32, 32, 3]), tf.zeros([1, 32**3])],
            ),
            (
                discriminator.patchgan(base_filters=2, formulation=formulation),
                tf.zeros([1, 32, 32, 6]),
            ),
        ):
            graph = tf.function(model).get_concrete_function(inputs).graph
            fused = "FusedBatchNormV3" in {op.type for op in graph.get_operations()}
            self.assertEqual(fused, formulation == "plain")

    def test_innermost_layers_keep_float32(self):
        def types(formulation):
            model = generator.build_generator(
                "unet",
                crop_size=64,
                base_filters=2,
                dtype="mixed_bfloat16",
                formulation=formulation,
            )
            kinds = (convolutions.Conv2D, convolutions.Conv2DTranspose)
            return [layer.compute_dtype for layer in model.layers if isinstance(layer, kinds)]

        # Encoder 32, 16, 8, 4, 2, 1 pixels, decoder from 1, 2, 4, ...
        wide, deep = ["bfloat16"] * 4, ["float32"] * 4
        self.assertEqual(types("fast"), wide + deep + wide)
        self.assertEqual(types("plain"), ["bfloat16"] * 12)


if __name__ == "__main__":
    tf.test.main()
