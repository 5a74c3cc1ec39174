"""Tests of the generators: the paper's architecture, and G as a pure function of image and z."""

from __future__ import annotations

import functools
import os

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf import errors
from pix2pix_tf.models import convolutions, generator, layers

_KINDS = (("unet", "unet"), ("encoder_decoder", "encoder_decoder"))


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
    shape = (batch, height, width, channels)
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)


def _noise(batch: int = 1, *, seed: int = 0, dropout: float = 0.5, **sizes) -> np.ndarray:
    size = generator.noise_size(**{"crop_size": 32, "base_filters": 2, "dropout": dropout, **sizes})
    return np.random.default_rng(seed).uniform(size=(batch, size)).astype(np.float32)


def _layers_of(model: keras.Model, kind: type) -> list[keras.layers.Layer]:
    """Returns the layers of exactly that class: for Keras 2 a transposed one is a Conv2D too."""
    return [layer for layer in model.layers if type(layer) is kind]


def _convolutions(model: keras.Model) -> list[keras.layers.Layer]:
    return _layers_of(model, convolutions.Conv2D)


def _transposed(model: keras.Model) -> list[keras.layers.Layer]:
    return _layers_of(model, convolutions.Conv2DTranspose)


def _scatter_weights(model: keras.Model, *, seed: int = 0) -> None:
    """Gives a model weights that are far from their initial values, beta and bias included."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.normal(0.1, 0.4, weight.shape).astype(np.float32) for weight in model.get_weights()]
    )


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

    def test_bottleneck_norm_adds_a_scale_and_an_offset_for_each_channel(self):
        sizes = dict(crop_size=256, base_filters=1)
        without = _tiny(**sizes).count_params()
        self.assertEqual(_tiny(bottleneck_norm=True, **sizes).count_params() - without, 2 * 8)
        # 1,024 for 512 channels.
        self.assertEqual(generator.filters_of_encoder(256, 64)[-1], 512)

    def test_encoder_is_the_papers(self):
        model = _tiny(crop_size=256, base_filters=1)
        filters = [layer.filters for layer in _convolutions(model)]
        self.assertEqual(filters, [1, 2, 4, 8, 8, 8, 8, 8])
        self.assertEqual(
            generator.filters_of_encoder(256, 64), [64, 128, 256, 512, 512, 512, 512, 512]
        )
        for layer in _convolutions(model) + _transposed(model):
            self.assertEqual((layer.kernel_size, layer.strides), ((4, 4), (2, 2)))

    def test_decoder_of_the_encoder_decoder_is_the_papers(self):
        model = generator.build_generator("encoder_decoder", crop_size=256, base_filters=1)
        kernels = [layer.kernel.shape for layer in _transposed(model)]
        # Paper: CD512-CD512-CD512-C512-C256-C128-C64.
        self.assertEqual([kernel[2] for kernel in kernels], [8, 8, 8, 8, 4, 2, 1, 3])
        self.assertEqual([kernel[3] for kernel in kernels], [8, 8, 8, 8, 8, 4, 2, 1])
        self.assertEmpty(_layers_of(model, keras.layers.Concatenate))

    @parameterized.named_parameters(
        ("batch", "batch", layers.StatisticsNormalization), ("none", "none", None)
    )
    def test_norm_is_everywhere_but_on_the_ends_and_the_bottleneck(self, norm, kind):
        model = _tiny(norm=norm)
        # 5 down, 5 up: without the first, the bottleneck and the last.
        found = _layers_of(model, layers.StatisticsNormalization)
        self.assertLen(found, 7 if kind else 0)
        with_bias = [layer.use_bias for layer in _convolutions(model) + _transposed(model)]
        self.assertEqual(with_bias, [norm == "none"] * 9 + [True])

    def test_norm_of_an_instance_model_is_addons(self):
        model = _tiny(norm="instance")
        names = [type(layer).__name__ for layer in model.layers]
        self.assertEqual(names.count("InstanceNormalization"), 7)
        self.assertNotIn("StatisticsNormalization", names)

    def test_encoder_starts_without_norm(self):
        model = _tiny()
        first = keras.Model(model.inputs[0], _layers_of(model, layers.LeakyReLU)[0].output)
        # Twice the image, twice the first features: a norm would take that out.
        self.assertAllClose(first(2.0 * _image()), 2.0 * first(_image()), atol=1e-6)

    @parameterized.named_parameters(
        ("32", 32), ("64", 64), ("128", 128), ("256", 256), ("512", 512), ("1024", 1024)
    )
    def test_bottleneck_is_one_pixel(self, crop_size):
        model = _tiny(crop_size=crop_size, base_filters=1)
        bottleneck = _convolutions(model)[-1]
        encoder = keras.Model(model.inputs[0], bottleneck.output)
        self.assertEqual(encoder(_image(1, crop_size, crop_size)).shape, (1, 1, 1, 8))

    @parameterized.named_parameters(*_KINDS)
    def test_output_at_the_default_size_and_another(self, kind):
        model = _tiny(kind=kind, crop_size=64)
        z = _noise(2, crop_size=64)
        self.assertEqual(model([_image(2, 64, 64), z]).shape, (2, 64, 64, 3))

    @parameterized.named_parameters(
        ("1_to_2", 1, 2), ("2_to_4", 2, 4), ("4_to_7", 4, 7), ("7_to_1", 7, 1)
    )
    def test_channels(self, input_channels, output_channels):
        model = _tiny(input_channels=input_channels, output_channels=output_channels)
        y = model([_image(channels=input_channels), _noise()])
        self.assertEqual(y.shape, (1, 32, 32, output_channels))

    def test_inputs_and_output_have_their_names(self):
        model = _tiny()
        self.assertEqual([tensor.name for tensor in model.inputs], ["image", "z"])
        self.assertEqual(model.layers[-1].name, "output")

    @parameterized.named_parameters(*_KINDS)
    def test_decoder_receives_rectified_features_only(self, kind):
        # ReLU follows the concatenation, so the negatives of the encoder do not pass.
        model = _tiny(kind=kind)
        received = keras.Model(model.inputs, [layer.input for layer in _transposed(model)])
        for features in received([_image(), _noise()]):
            self.assertAllGreaterEqual(features, 0.0)
            self.assertGreater(np.max(features), 0.0)

    @parameterized.named_parameters(("unet", "unet", True), ("no_skips", "encoder_decoder", False))
    def test_whether_there_is_a_way_around_the_bottleneck(self, kind, is_there):
        model = _build(kind)
        bottleneck = _convolutions(model)[-1]
        bottleneck.set_weights([np.zeros_like(weight) for weight in bottleneck.get_weights()])
        first = model([_image(seed=1), _noise()])
        second = model([_image(seed=2), _noise()])
        self.assertEqual(np.abs(first - second).max() > 1e-3, is_there)

    def test_skips_join_layers_of_one_size(self):
        model = _tiny(base_filters=1)
        pairs = [layer.input for layer in _layers_of(model, keras.layers.Concatenate)]
        self.assertLen(pairs, 4)
        values = keras.Model(model.inputs, pairs)([_image(), _noise(base_filters=1)])
        self.assertEqual([up.shape[1:] for up, _ in values], [skip.shape[1:] for _, skip in values])
        self.assertEqual([up.shape[1] for up, _ in values], [2, 4, 8, 16])

    def test_unknown_kind_is_refused(self):
        with self.assertRaisesRegex(
            errors.InputError, r"^generator is 'resnet'\. Use one of unet, encoder_decoder\.$"
        ):
            generator.build_generator("resnet")

    @parameterized.named_parameters(
        ("too_small", 16), ("too_large", 2048), ("no_power_of_two", 96), ("zero", 0), ("minus", -64)
    )
    def test_other_sizes_are_refused(self, crop_size):
        with self.assertRaisesRegex(
            errors.InputError,
            rf"^crop_size is {crop_size}\. Use a power of two from 32 to 1024: ",
        ):
            generator.build_generator("unet", crop_size=crop_size)

    @parameterized.named_parameters(
        ("norm", {"norm": "layer"}, "^norm is 'layer'"),
        ("dropout", {"dropout": 1.0}, "^The dropout rate is 1.0"),
        ("statistics", {"statistics": "moving"}, "^statistics is 'moving'"),
    )
    def test_other_arguments_are_refused(self, arguments, message):
        with self.assertRaisesRegex(errors.InputError, message):
            _build(**arguments)


class NoiseTest(tf.test.TestCase, parameterized.TestCase):
    def test_size_is_the_papers_dropout_units(self):
        # 512 channels at 2x2, 4x4 and 8x8.
        size = generator.noise_size(crop_size=256, base_filters=64, dropout=0.5)
        self.assertEqual(size, 512 * (4 + 16 + 64))

    @parameterized.named_parameters(
        ("32", 32, 0, 0),
        ("64", 64, 0, 0),
        ("128", 128, 128, 128),
        ("taller", 32, 64, 32),
        ("wider", 32, 32, 96),
    )
    def test_size_is_what_the_model_takes(self, crop_size, height, width):
        model = _tiny(crop_size=crop_size)
        z = _noise(2, crop_size=crop_size, height=height, width=width)
        image = _image(2, height or crop_size, width or crop_size)
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

    def test_one_number_too_few_is_an_error(self):
        with self.assertRaises(tf.errors.InvalidArgumentError):
            _tiny()([_image(), _noise()[:, :-1]])

    def test_dropout_is_in_the_first_three_blocks_of_the_decoder(self):
        model = _tiny(crop_size=128)
        dropouts = _layers_of(model, layers.NoiseDropout)
        features = keras.Model(model.inputs, [layer.output[0] for layer in dropouts])
        values = features([_image(1, 128, 128), _noise(crop_size=128)])
        self.assertEqual([value.shape[1:3] for value in values], [(2, 2), (4, 4), (8, 8)])
        self.assertEqual([layer.rate for layer in dropouts], [0.5, 0.5, 0.5])

    def test_without_dropout_there_is_no_noise(self):
        model = _tiny(dropout=0.0)
        z = _noise(2, dropout=0.0)
        self.assertEqual(z.shape, (2, 0))
        expected = model([_image(2), z])
        self.assertAllEqual(model([_image(2), np.zeros([2, 3], np.float32)]), expected)

    def test_rate_decides_how_many_units_are_dropped(self):
        model = _tiny(crop_size=64, base_filters=8, dropout=0.1)
        last = _layers_of(model, layers.NoiseDropout)[-1]
        z = _noise(crop_size=64, base_filters=8)
        features, _ = keras.Model(model.inputs, last.output)([_image(1, 64, 64), z])
        self.assertBetween(np.mean(features.numpy() == 0.0), 0.07, 0.13)


class FunctionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(*_KINDS)
    def test_image_and_noise_decide_the_output(self, kind):
        model = _tiny(kind=kind)
        expected = model([_image(), _noise()])
        self.assertAllEqual(model([_image(), _noise()]), expected)
        self.assertGreater(np.abs(model([_image(), _noise(seed=1)]) - expected).max(), 1e-3)
        self.assertGreater(np.abs(model([_image(seed=1), _noise()]) - expected).max(), 1e-3)

    @parameterized.named_parameters(("batch", "batch"), ("instance", "instance"), ("none", "none"))
    def test_training_changes_neither_output_nor_variables(self, norm):
        model = _tiny(norm=norm)
        inputs = [_image(2), _noise(2)]
        before = model.get_weights()
        expected = model(inputs, training=False)
        self.assertAllEqual(model(inputs, training=True), expected)
        self.assertAllEqual(model(inputs), expected)
        for weight, weight_before in zip(model.get_weights(), before):
            self.assertAllEqual(weight, weight_before)
        self.assertEmpty(model.non_trainable_variables)

    def test_graph_reads_variables_and_writes_none(self):
        model = _tiny()

        @tf.function
        def serve(image, z):
            return model([image, z], training=True)

        graph = serve.get_concrete_function(tf.constant(_image()), tf.constant(_noise())).graph
        operations = {operation.type for operation in graph.get_operations()}
        self.assertContainsSubset({"ReadVariableOp", "Conv2D"}, operations)
        self.assertEmpty([name for name in operations if "Assign" in name or "Random" in name])

    @parameterized.named_parameters(
        ("default_alone", False, 1, True),
        ("normalised_alone", True, 1, False),
        ("normalised_in_a_batch", True, 2, True),
    )
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

    @parameterized.named_parameters(*_KINDS)
    def test_every_weight_has_a_gradient(self, kind):
        model = _tiny(kind=kind)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model([_image(), _noise()]) * _image(seed=5))
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(total, model.trainable_variables)
        ):
            self.assertGreater(np.abs(gradient).max(), 0.0, msg=variable.name)

    def test_output_is_the_tanh_of_the_last_convolution(self):
        model = _build()
        _scatter_weights(model)
        before_tanh = keras.Model(model.inputs, _transposed(model)[-1].output)
        x = before_tanh([_image(), _noise()])
        self.assertGreater(np.abs(x).max(), 2.0)
        y = model([_image(), _noise()])
        self.assertAllClose(y, np.tanh(x), atol=1e-6)
        self.assertAllInRange(y, -1.0, 1.0)

    @parameterized.named_parameters(
        ("bfloat16", "bfloat16", "batch"),
        ("float16", "float16", "batch"),
        ("instance", "bfloat16", "instance"),
    )
    def test_mixed_precision_keeps_output_and_weights_in_float32(self, computed_in, norm):
        reference = _tiny(norm=norm)
        model = _build(norm=norm, dtype=f"mixed_{computed_in}")
        model.set_weights(reference.get_weights())
        for layer in _convolutions(model) + _transposed(model):
            self.assertEqual(layer.compute_dtype, computed_in)
        for weight in model.get_weights():
            self.assertEqual(weight.dtype, np.float32)
        y = model([_image(), _noise()])
        self.assertEqual(y.dtype, tf.float32)
        expected = reference([_image(), _noise()])
        self.assertGreater(np.std(expected), 0.02)
        self.assertAllClose(y, expected, atol=0.02)


class StatisticsTest(tf.test.TestCase, parameterized.TestCase):
    """Serving builds the model anew with `statistics="image"` and gives it the trained weights."""

    @parameterized.named_parameters(("batch", "batch"), ("instance", "instance"), ("none", "none"))
    def test_image_statistics_equal_batch_statistics_for_one_image(self, norm):
        trained, served = _build(norm=norm), _build(norm=norm, statistics="image")
        _scatter_weights(trained)
        served.set_weights(trained.get_weights())
        inputs = [_image(), _noise()]
        self.assertAllClose(served(inputs), trained(inputs), atol=1e-4)

    @parameterized.named_parameters(
        ("batch", "batch", "batch", False),
        ("per_image", "batch", "image", True),
        ("instance", "instance", "batch", True),
    )
    def test_whether_a_stranger_in_the_batch_matters(self, norm, statistics, is_independent):
        model = _build(norm=norm, statistics=statistics)
        _scatter_weights(model)
        image, z = _image(3), _noise(3)
        alone = model([image[1:2], z[1:2]])
        difference = np.abs(model([image, z])[1:2] - alone).max()
        if is_independent:
            self.assertLess(difference, 1e-5)
        else:
            self.assertGreater(difference, 0.1)

    def test_instance_weights_fit_a_model_with_image_statistics(self):
        trained, served = _build(norm="instance"), _build(norm="instance", statistics="image")
        _scatter_weights(trained)  # Gamma and beta differ, so their order shows.
        served.set_weights(trained.get_weights())
        inputs = [_image(3), _noise(3)]
        self.assertAllClose(served(inputs), trained(inputs), atol=1e-4)

    def test_serving_model_has_plain_layers_only(self):
        # Addons' layers have ops of their own, which other runtimes may not have.
        model = _tiny(norm="instance", statistics="image")
        names = {type(layer).__name__ for layer in model.layers}
        self.assertIn("StatisticsNormalization", names)
        self.assertNotIn("InstanceNormalization", names)


class WeightsFileTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("batch", {}),
        ("instance", {"norm": "instance"}),
        ("encoder_decoder", {"kind": "encoder_decoder", "bottleneck_norm": True}),
        ("mixed", {"dtype": "mixed_bfloat16"}),
    )
    def test_a_new_model_gives_the_same_output(self, arguments):
        model = _build(**arguments)
        _scatter_weights(model)
        path = os.path.join(self.get_temp_dir(), f"{self.id()}.weights.h5")
        model.save_weights(path)
        again = _build(**arguments)
        inputs = [_image(2), _noise(2)]
        expected = model(inputs)
        self.assertNotAllClose(again(inputs), expected)
        again.load_weights(path)
        self.assertAllEqual(again(inputs), expected)


if __name__ == "__main__":
    tf.test.main()
