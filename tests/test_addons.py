"""Tests of TensorFlow Addons' layers and of those that stand in for them: the same numbers."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
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


def _without_addons(is_fallback: bool = True):
    """Takes Addons away, or leaves things as they are."""
    return mock.patch.object(addons, "HAS_ADDONS", addons.HAS_ADDONS and not is_fallback)


class HasAddonsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_layers_are_addons_where_installed_or_else_keras(self, is_fallback):
        with _without_addons(is_fallback):
            normalization = _instance_normalization()
            spectral = addons.spectral_normalization(keras.layers.Conv2D(2, 3), name="here")
            expected = "tensorflow_addons" if addons.HAS_ADDONS else "keras"
        self.assertEqual(spectral.name, "here")
        self.assertStartsWith(type(spectral).__module__, expected)
        is_fallback = expected == "keras"
        self.assertEqual(type(normalization) is addons.InstanceNormalization, is_fallback)
        # A weights file addresses a layer by the name of its class.
        self.assertEqual(type(normalization).__name__, "InstanceNormalization")

    def test_no_other_module_imports_addons(self):
        # By a statement, or by name.
        imports = re.compile(
            r"(?m)^\s*(import|from) tensorflow_addons|import.*\(.tensorflow_addons"
        )
        sources = {
            path.relative_to(_ROOT).as_posix(): path.read_text(encoding="utf-8")
            for folder in ("pix2pix_tf", "export", "notebooks", "benchmarks")
            for path in (_ROOT / folder).rglob("*.py")
        }
        self.assertGreater(len(sources), 10)
        importers = [path for path, text in sources.items() if imports.search(text)]
        self.assertEqual(importers, ["pix2pix_tf/addons.py"])


class InstanceNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_matches_numpy(self, is_fallback):
        with _without_addons(is_fallback):
            layer = _instance_normalization(epsilon=0.5)
        x = _normal(2, 5, 4, 3, mean=2.0).astype(np.float64)
        centered = x - x.mean(axis=(1, 2), keepdims=True)
        deviation = np.sqrt((centered**2).mean(axis=(1, 2), keepdims=True) + 0.5)
        expected = np.array([0.5, 1.0, 2.0]) * centered / deviation + np.array([-1.0, 0.0, 3.0])
        self.assertAllClose(layer(x.astype(np.float32)), expected, atol=1e-5)

    @parameterized.parameters(False, True)
    def test_uses_the_initializer_and_float32(self, is_fallback):
        with _without_addons(is_fallback):
            layer = addons.instance_normalization(
                epsilon=1e-5, gamma_initializer=keras.initializers.Constant(7.0), name="here"
            )
        y = layer(tf.ones([1, 2, 2, 3], tf.bfloat16))
        self.assertEqual((layer.name, y.dtype), ("here", tf.float32))
        gamma, beta = layer.get_weights()
        self.assertAllEqual(gamma, [7.0, 7.0, 7.0])
        self.assertAllEqual(beta, [0.0, 0.0, 0.0])

    @_needs_addons
    def test_both_give_the_same_numbers_and_gradient(self):
        of_addons = _instance_normalization()
        with _without_addons():
            of_keras = _instance_normalization()
        x, weight = tf.constant(_normal(3, 6, 5, 3, mean=2.0)), _normal(3, 6, 5, 3, seed=1)
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

    @parameterized.parameters(False, True)
    def test_weights_files_fit_both(self, to_fallback):
        def build(is_fallback):
            with _without_addons(is_fallback):
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


class SpectralNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_one_call_is_one_power_iteration(self, is_fallback):
        with _without_addons(is_fallback):
            layer = _spectral_normalization(keras.layers.Conv2D(5, 3))
        kernel, bias, u = _state_values(layer)
        layer(_normal(1, 8, 8, 3), training=True)
        kernel_after, bias_after, u_after = _state_values(layer)
        matrix = kernel.reshape([-1, 5])
        # Not `@`: on some processors OpenBLAS raises "invalid value" for sound rows like these.
        v = np.einsum("ij,kj->ik", u, matrix)
        v /= np.linalg.norm(v)
        expected_u = np.einsum("ik,kj->ij", v, matrix)
        sigma = np.linalg.norm(expected_u)
        self.assertAllClose(u_after, expected_u / sigma, atol=1e-5)
        self.assertAllClose(kernel_after, kernel / sigma, atol=1e-5)
        self.assertAllEqual(bias_after, bias)

    @_needs_addons
    @parameterized.parameters(
        lambda: keras.layers.Conv2D(5, 4, strides=2, padding="same"),
        lambda: keras.layers.Conv2D(1, 4, padding="same"),
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
