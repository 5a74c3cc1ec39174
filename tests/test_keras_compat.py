"""Tests of `pix2pix_tf.keras_compat`: one behaviour on both Keras."""

from __future__ import annotations

from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import parameterized

from pix2pix_tf import keras_compat
from pix2pix_tf.keras_compat import ScaledOptimizer
from pix2pix_tf.optimizers import LinearDecay

_INITIAL_SCALE = 2.0**15


class ScaledOptimizerTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.layer = keras.layers.Dense(3, use_bias=False, kernel_initializer="ones")
        self.layer.build((None, 2))
        self.variables = self.layer.trainable_variables

    def optimize(self, gradient, *, loss_scaling, optimizer=None):
        """Returns (the optimizer, a compiled step with `gradient` as that of the loss)."""
        # SGD, unlike Adam, moves by the gradient itself.
        optimizer = optimizer or keras.optimizers.SGD(0.5)
        scaled = ScaledOptimizer(optimizer, self.variables, loss_scaling=loss_scaling)

        @tf.function
        def step(factor):
            with tf.GradientTape() as tape:
                weight = tf.convert_to_tensor(self.variables[0])
                tape.watch(weight)
                loss = scaled.scale_loss(factor * tf.reduce_sum(gradient * weight))
            scaled.apply([tape.gradient(loss, weight)], self.variables)
            return loss

        return scaled, step

    def weight(self):
        return tiny_training.weights(self.layer)[0]

    @parameterized.parameters(True, False)
    def test_the_update_is_by_the_gradient_of_the_unscaled_loss(self, loss_scaling):
        gradient = np.arange(6, dtype=np.float32).reshape(2, 3)
        scaled, step = self.optimize(gradient, loss_scaling=loss_scaling)
        factor = _INITIAL_SCALE if loss_scaling else 1.0
        self.assertAllClose(step(tf.constant(1.0)), factor * 15.0)
        self.assertAllClose(self.weight(), 1.0 - 0.5 * gradient, rtol=1e-6)
        self.assertEqual(scaled.loss_scale, factor)
        self.assertAllClose(scaled.learning_rate, 0.5)

    def test_an_overflow_is_skipped_and_halves_the_scale(self):
        gradient = np.ones((2, 3), np.float32)
        scaled, step = self.optimize(gradient, loss_scaling=True)
        for value, scale in ((float("inf"), 2.0**14), (float("nan"), 2.0**13)):
            step(tf.constant(value))
            self.assertAllEqual(self.weight(), np.ones((2, 3)))
            self.assertEqual(scaled.loss_scale, scale)
        step(tf.constant(1.0))
        self.assertAllClose(self.weight(), np.full((2, 3), 0.5))
        self.assertEqual(scaled.loss_scale, 2.0**13)

    @parameterized.parameters(True, False)
    def test_nothing_is_created_by_the_first_step(self, loss_scaling):
        scaled, step = self.optimize(
            np.ones((2, 3), np.float32),
            loss_scaling=loss_scaling,
            optimizer=keras.optimizers.Adam(0.1),
        )
        before = len(tiny_training.optimizer_variables(scaled.optimizer))
        self.assertGreaterEqual(before, 3)  # Step, mean and square.
        step(tf.constant(1.0))
        self.assertLen(tiny_training.optimizer_variables(scaled.optimizer), before)


class FusedAdamTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((True, 0.01), (False, LinearDecay(0.01, num_steps=6, decay_steps=4)))
    def test_updates_like_keras_own(self, loss_scaling, rate):
        gradients = np.random.RandomState(0).normal(0.0, 3.0, [5, 7, 3]).astype(np.float32)
        histories = []
        for kind in (keras.optimizers.Adam, keras_compat.FusedAdam):
            layer = keras.layers.Dense(3, use_bias=False, kernel_initializer="ones")
            layer.build((None, 7))
            optimizer = ScaledOptimizer(
                kind(rate, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
                layer.trainable_variables,
                loss_scaling=loss_scaling,
            )

            @tf.function
            def step(gradient, layer=layer, optimizer=optimizer):
                scale = optimizer.scale_loss(tf.constant(1.0))
                optimizer.apply([gradient * scale], layer.trainable_variables)

            history = []
            for gradient in gradients:
                step(tf.constant(gradient))
                history.append(tiny_training.weights(layer)[0])
            histories.append(history)
        self.assertAllClose(histories[0], histories[1], rtol=1e-6, atol=1e-6)
        self.assertNotAllClose(histories[1][0], histories[1][-1], atol=1e-3)

    def test_the_powers_of_the_betas_are_computed_once_a_step(self):
        """And on a GPU Keras 2 does not compile each weight by itself."""
        layer = keras.layers.Dense(3)
        layer.build((None, 7))
        with mock.patch.object(tf.config, "list_physical_devices", lambda kind=None: [kind]):
            adam = keras_compat.FusedAdam(0.1)
        self.assertFalse(getattr(adam, "jit_compile", False))
        optimizer = ScaledOptimizer(adam, layer.trainable_variables, loss_scaling=False)

        @tf.function
        def step(kernel, bias):
            optimizer.apply([kernel, bias], layer.trainable_variables)

        graph = step.get_concrete_function(tf.ones([7, 3]), tf.ones([3])).graph
        kinds = [operation.type for operation in graph.get_operations()]
        self.assertEqual((kinds.count("ResourceApplyAdam"), kinds.count("Pow")), (2, 2))
