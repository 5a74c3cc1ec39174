"""Tests of TensorFlow Addons' layers and of those that stand in for them: the same numbers."""

from __future__ import annotations

import ast
import importlib.util
import os
import pathlib
import unittest
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pix2pix_tf import addons

_IS_INSTALLED = importlib.util.find_spec("tensorflow_addons") is not None
_ROOT = pathlib.Path(__file__).resolve().parents[1]

_needs_addons = unittest.skipUnless(_IS_INSTALLED, "TensorFlow Addons is not installed.")


def _normal(*shape: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, shape).astype(np.float32)


def _instance_normalization(**arguments) -> keras.layers.Layer:
    """Returns a layer of 3 channels whose gamma and beta differ per channel."""
    layer = addons.instance_normalization(
        **{"epsilon": 1e-5, "gamma_initializer": "ones", **arguments}
    )
    layer(tf.zeros([1, 2, 2, 3]))
    layer.set_weights([np.float32([0.5, 1.0, 2.0]), np.float32([-1.0, 0.0, 3.0])])
    return layer


def _spectral_normalization(inner: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a layer for 8x8 images that always starts from the same kernel, bias and u."""
    layer = addons.spectral_normalization(inner)
    layer(tf.zeros([1, 8, 8, 3]), training=False)
    for seed, variable in enumerate(_state(layer)):
        variable.assign(_normal(*variable.shape, seed=7 + seed))
    return layer


def _state(layer: keras.layers.Layer) -> list:
    """Returns the kernel, the bias and u; the layers differ in the order of their `weights`."""
    (kernel, bias), (u,) = layer.trainable_variables, layer.non_trainable_variables
    return [kernel, bias, u]


def _state_values(layer: keras.layers.Layer) -> list[np.ndarray]:
    return [variable.numpy() for variable in _state(layer)]


def _without_addons():
    return mock.patch.object(addons, "HAS_ADDONS", False)


class HasAddonsTest(tf.test.TestCase):
    def test_says_whether_they_are_installed(self):
        self.assertEqual(addons.HAS_ADDONS, _IS_INSTALLED)
        self.assertEqual(addons.tensorflow_addons is not None, _IS_INSTALLED)
        if not keras.__version__.startswith("2."):
            self.assertFalse(addons.HAS_ADDONS)

    @_needs_addons
    def test_layers_are_addons_where_installed(self):
        self.assertStartsWith(type(_instance_normalization()).__module__, "tensorflow_addons.")
        layer = addons.spectral_normalization(keras.layers.Conv2D(2, 3))
        self.assertStartsWith(type(layer).__module__, "tensorflow_addons.")

    def test_layers_are_keras_otherwise(self):
        with _without_addons():
            normalization = _instance_normalization()
            spectral = addons.spectral_normalization(keras.layers.Conv2D(2, 3))
        self.assertIs(type(normalization), addons.InstanceNormalization)
        self.assertIsInstance(normalization, keras.layers.GroupNormalization)
        self.assertIs(type(spectral), keras.layers.SpectralNormalization)

    def test_no_other_module_imports_addons(self):
        sources = [
            path
            for folder in ("pix2pix_tf", "export", "notebooks", "benchmarks")
            for path in (_ROOT / folder).rglob("*.py")
        ]
        self.assertGreater(len(sources), 10)
        importers = {
            path.relative_to(_ROOT).as_posix()
            for path in sources
            if any(
                name.split(".")[0] == "tensorflow_addons"
                for name in _imports(ast.parse(path.read_text(encoding="utf-8")))
            )
        }
        self.assertEqual(importers, {"pix2pix_tf/addons.py"})


def _imports(tree: ast.AST):
    """Yields the modules that a source imports, at its top or deeper, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


class InstanceNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(("as_installed", False), ("fallback", True))
    def test_matches_numpy(self, is_fallback):
        with mock.patch.object(addons, "HAS_ADDONS", addons.HAS_ADDONS and not is_fallback):
            layer = _instance_normalization(epsilon=0.5)
        x = _normal(2, 5, 4, 3, mean=2.0).astype(np.float64)
        centered = x - x.mean(axis=(1, 2), keepdims=True)
        deviation = np.sqrt((centered**2).mean(axis=(1, 2), keepdims=True) + 0.5)
        expected = np.array([0.5, 1.0, 2.0]) * centered / deviation + np.array([-1.0, 0.0, 3.0])
        self.assertAllClose(layer(x.astype(np.float32)), expected, atol=1e-5)

    @parameterized.named_parameters(("as_installed", False), ("fallback", True))
    def test_uses_the_initializer_and_float32(self, is_fallback):
        with mock.patch.object(addons, "HAS_ADDONS", addons.HAS_ADDONS and not is_fallback):
            layer = addons.instance_normalization(
                epsilon=1e-5, gamma_initializer=keras.initializers.Constant(7.0), name="here"
            )
        y = layer(tf.ones([1, 2, 2, 3], tf.bfloat16))
        self.assertEqual((layer.name, y.dtype), ("here", tf.float32))
        gamma, beta = layer.get_weights()
        self.assertAllEqual(gamma, [7.0, 7.0, 7.0])
        self.assertAllEqual(beta, [0.0, 0.0, 0.0])

    @_needs_addons
    @parameterized.named_parameters(("one_image", 1), ("batch", 3))
    def test_both_give_the_same_numbers_and_gradient(self, batch):
        of_addons = _instance_normalization()
        with _without_addons():
            of_keras = _instance_normalization()
        x, weight = tf.constant(_normal(batch, 6, 5, 3, mean=2.0)), _normal(batch, 6, 5, 3, seed=1)
        outputs, gradients = [], []
        for layer in (of_addons, of_keras):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
                total = tf.reduce_sum(y * weight)
            outputs.append(y)
            gradients.append(tape.gradient(total, [x, *layer.trainable_variables]))
        self.assertAllClose(*outputs, atol=1e-5)
        self.assertLen(gradients[0], 3)
        for of_one, of_other in zip(*gradients):
            self.assertGreater(np.abs(of_one).max(), 0.1)
            self.assertAllClose(of_one, of_other, atol=1e-4)

    def test_weights_files_know_both_by_one_name(self):
        # A file addresses a layer by the name of its class; see also the next test.
        with _without_addons():
            self.assertEqual(type(_instance_normalization()).__name__, "InstanceNormalization")
        self.assertEqual(type(_instance_normalization()).__name__, "InstanceNormalization")

    @parameterized.named_parameters(("to_the_fallback", True), ("from_the_fallback", False))
    def test_weights_files_fit_both(self, to_fallback):
        def build(is_fallback):
            with mock.patch.object(addons, "HAS_ADDONS", addons.HAS_ADDONS and not is_fallback):
                image = keras.Input([4, 4, 3])
                layer = addons.instance_normalization(epsilon=1e-5, gamma_initializer="ones")
                return keras.Model(image, layer(image))

        saved, loaded = build(not to_fallback), build(to_fallback)
        saved.set_weights([np.float32([0.5, 1.0, 2.0]), np.float32([-1.0, 0.0, 3.0])])
        path = os.path.join(self.get_temp_dir(), "model.weights.h5")
        saved.save_weights(path)
        loaded.load_weights(path)
        x = _normal(2, 4, 4, 3)
        self.assertAllClose(loaded(x), saved(x), atol=1e-5)

    def test_config_rebuilds_the_fallback(self):
        with _without_addons():
            layer = _instance_normalization(epsilon=0.25)
        again = addons.InstanceNormalization.from_config(layer.get_config())
        again(tf.zeros([1, 2, 2, 3]))
        again.set_weights(layer.get_weights())
        x = _normal(2, 4, 4, 3)
        self.assertAllEqual(again(x), layer(x))


class SpectralNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(("as_installed", False), ("fallback", True))
    def test_one_call_is_one_power_iteration(self, is_fallback):
        with mock.patch.object(addons, "HAS_ADDONS", addons.HAS_ADDONS and not is_fallback):
            layer = _spectral_normalization(keras.layers.Conv2D(5, 3))
        kernel, bias, u = _state_values(layer)
        layer(_normal(1, 8, 8, 3), training=True)
        kernel_after, bias_after, u_after = _state_values(layer)
        matrix = kernel.reshape([-1, 5])
        v = u @ matrix.T
        v /= np.linalg.norm(v)
        expected_u = v @ matrix
        sigma = np.linalg.norm(expected_u)
        self.assertAllClose(u_after, expected_u / sigma, atol=1e-5)
        self.assertAllClose(kernel_after, kernel / sigma, atol=1e-5)
        self.assertAllEqual(bias_after, bias)

    @parameterized.named_parameters(("as_installed", False), ("fallback", True))
    def test_only_training_changes_the_kernel(self, is_fallback):
        with mock.patch.object(addons, "HAS_ADDONS", addons.HAS_ADDONS and not is_fallback):
            layer = _spectral_normalization(keras.layers.Conv2D(5, 3))
        before = _state_values(layer)
        layer(_normal(1, 8, 8, 3), training=False)
        layer(_normal(1, 8, 8, 3))
        for weight, weight_before in zip(_state_values(layer), before):
            self.assertAllEqual(weight, weight_before)

    @_needs_addons
    @parameterized.named_parameters(
        ("convolution", lambda: keras.layers.Conv2D(5, 4, strides=2, padding="same")),
        ("pixel", lambda: keras.layers.Conv2D(5, 1)),
        ("one_filter", lambda: keras.layers.Conv2D(1, 4, padding="same")),
    )
    def test_both_give_the_same_numbers_and_gradient(self, build_inner):
        of_addons = _spectral_normalization(build_inner())
        with _without_addons():
            of_keras = _spectral_normalization(build_inner())
        x = _normal(2, 8, 8, 3)
        for _ in range(3):
            outputs, gradients = [], []
            for layer in (of_addons, of_keras):
                with tf.GradientTape() as tape:
                    y = layer(x, training=True)
                    total = tf.reduce_sum(y**2)
                outputs.append(y)
                gradients.append(tape.gradient(total, layer.trainable_variables))
            self.assertAllClose(*outputs, atol=1e-5)
            self.assertLen(gradients[0], 2)
            for of_one, of_other in zip(*gradients):
                self.assertAllClose(of_one, of_other, rtol=1e-4, atol=1e-3)
            for weight, other in zip(_state_values(of_addons), _state_values(of_keras)):
                self.assertAllClose(weight, other, atol=1e-5)

    def test_names_the_layer(self):
        for has_addons in {addons.HAS_ADDONS, False}:
            with mock.patch.object(addons, "HAS_ADDONS", has_addons):
                layer = addons.spectral_normalization(keras.layers.Conv2D(2, 3), name="here")
            self.assertEqual(layer.name, "here")


class GaussianBlurTest(parameterized.TestCase):
    @parameterized.parameters((0.7, (31, 40)), (2.0, (31, 40)), (2.0, (9, 9)), (2.0, (5, 40)))
    def test_same_with_and_without_addons(self, sigma, size):
        image = _normal(*size, 3)
        blurred = addons.gaussian_blur(image, sigma)
        with _without_addons():
            expected = addons.gaussian_blur(image, sigma)
        self.assertEqual((blurred.dtype, blurred.shape), (np.float32, image.shape))
        np.testing.assert_allclose(blurred, expected, atol=1e-5)
        self.assertLess(blurred.std(), 0.8 * image.std())

    @_needs_addons
    def test_addons_does_it_where_it_is_installed(self):
        function = "tensorflow_addons.image.gaussian_filter2d"
        with mock.patch(function, side_effect=ArithmeticError):
            with self.assertRaises(ArithmeticError):
                addons.gaussian_blur(_normal(20, 20, 3), 1.0)


if __name__ == "__main__":
    tf.test.main()
