"""Tests of `pix2pix_tf.training.step` and `state`: who learns what, and by how much."""

from __future__ import annotations

import types

import keras
import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import parameterized

from pix2pix_tf import networks, seeds
from pix2pix_tf.losses import discriminator_loss
from pix2pix_tf.optimizers import LinearDecay
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import make_train_step


def reference_steps(config, source, target, num_steps: int):
    """Does what a step should, written out for Keras' Adam without compiling.

    Returns:
        (state with the networks, optimizer of G, optimizer of D, losses of each step).
    """
    state = TrainState(config)  # For the networks alone.
    generator, discriminator = state.generator, state.discriminator
    adam_g, adam_d = (
        keras.optimizers.Adam(
            config.learning_rate, config.adam_beta_1, config.adam_beta_2, epsilon=1e-8
        )
        for _ in range(2)
    )
    size = networks.noise_size(config)
    softplus = tf.math.softplus
    reported = []
    for step in range(num_steps):
        z = tf.random.stateless_uniform(
            [len(source), size], seed=[seeds.stream(config.seed, seeds.NOISE), step]
        )
        with tf.GradientTape() as tape:
            fake = generator([source, z], training=True)
            real_logits = discriminator(tf.concat([source, target], -1), training=True)
            fake_logits = discriminator(tf.concat([source, fake], -1), training=True)
            real = tf.reduce_mean(softplus(-real_logits))
            discriminator_loss = (real + tf.reduce_mean(softplus(fake_logits))) / 2
        variables = discriminator.trainable_variables
        gradients = tape.gradient(discriminator_loss, variables)
        adam_d.apply_gradients(zip(gradients, variables))
        with tf.GradientTape() as tape:
            fake = generator([source, z], training=True)
            fake_logits = discriminator(tf.concat([source, fake], -1), training=True)
            adversarial = tf.reduce_mean(softplus(-fake_logits))
            l1 = tf.reduce_mean(tf.abs(target - fake))
            total = config.lambda_gan * adversarial + config.lambda_l1 * l1
        variables = generator.trainable_variables
        adam_g.apply_gradients(zip(tape.gradient(total, variables), variables))
        reported.append(
            dict(
                discriminator_loss=discriminator_loss,
                generator_loss=total,
                adversarial_loss=adversarial,
                l1_loss=l1,
            )
        )
    return state, adam_g, adam_d, reported


class StubTestCase(tf.test.TestCase, parameterized.TestCase):
    """On networks of two layers: what a step does with them is the same."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enter_context(tiny_training.stub_networks(keeps_discriminator=cls.keeps_discriminator))
        cls.enter_context(tiny_training.plain_convolutions())

    keeps_discriminator = False


class UpdateTest(tf.test.TestCase):
    """On the real networks."""

    def setUp(self):
        super().setUp()
        self.enter_context(tiny_training.plain_convolutions())

    def test_equals_the_update_written_out(self):
        # lambda_l1 near 1 so that an error in the adversarial gradient is not drowned.
        config = tiny_training.make_config(
            batch_size=2, learning_rate=1e-3, lambda_l1=0.5, lambda_gan=2.0, seed=3
        )
        source, target = tiny_training.random_batch(2)
        state, train_step = tiny_training.build(config)
        reported = [train_step((source, target)) for _ in range(2)]
        expected, adam_g, adam_d, expected_losses = reference_steps(config, source, target, 2)
        for losses, expected_of_step in zip(reported, expected_losses):
            self.assertAllClose(losses, expected_of_step, rtol=1e-5, atol=1e-6)
        for network in ("generator", "discriminator"):
            for weight, wanted in zip(
                tiny_training.weights(getattr(state, network)),
                tiny_training.weights(getattr(expected, network)),
            ):
                self.assertAllClose(weight, wanted, rtol=0, atol=1e-6)
        # Adam forgets the scale of a gradient, but its moments do not.
        for optimizer, wanted in (
            (state.generator_optimizer, adam_g),
            (state.discriminator_optimizer, adam_d),
        ):
            found = tiny_training.optimizer_variables(optimizer.optimizer)
            for value, wanted_value in zip(found, tiny_training.optimizer_variables(wanted)):
                self.assertAllClose(value, wanted_value, rtol=1e-3, atol=1e-7)


def take_step(batch, **settings):
    """Returns the losses of one step, and the first moments of both networks."""
    state, train_step = tiny_training.build(
        tiny_training.make_config(batch_size=len(batch[0]), lambda_l1=0.5, **settings)
    )
    losses = train_step(batch)
    moments = [
        moment
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer)
        for moment in tiny_training.optimizer_variables(optimizer.optimizer)
        if moment.ndim
    ]
    return losses, moments


class OrderAndPartsTest(StubTestCase):
    def test_simultaneous_is_against_the_discriminator_before(self):
        # A rate so small that D hardly moves makes both orders one.
        batch = tiny_training.random_batch(2)
        expected, expected_moments = take_step(batch, learning_rate=1e-9)
        # A rate that moves D in this step changes nothing: G learns against the D before.
        for rate in (1e-9, 0.1):
            losses, moments = take_step(batch, update_order="simultaneous", learning_rate=rate)
            self.assertAllClose(losses, expected, rtol=1e-5)
            for moment, wanted in zip(moments, expected_moments):
                self.assertAllClose(moment, wanted, rtol=1e-3, atol=1e-6)
        losses, _ = take_step(batch, learning_rate=0.1)
        self.assertNotAllClose(losses["adversarial_loss"], expected["adversarial_loss"], rtol=0.01)

    @parameterized.parameters("sequential", "simultaneous")
    def test_parts_without_batch_statistics_make_the_whole(self, update_order):
        batch = tiny_training.random_batch(6)
        common = dict(norm="none", update_order=update_order, learning_rate=1e-2)
        whole, moments = take_step(batch, **common)
        losses, moments_of_parts = take_step(batch, accumulate=3, **common)
        self.assertAllClose(losses, whole, rtol=1e-5)
        for moment, wanted in zip(moments_of_parts, moments):
            self.assertAllClose(moment, wanted, rtol=1e-3, atol=1e-6)


class DiscriminatorInPartsTest(StubTestCase):
    """With the layers of the real discriminator that know of the batch or the step."""

    keeps_discriminator = True

    @parameterized.parameters("sequential", "simultaneous")
    def test_spectral_norm_rescales_once_a_step(self, update_order):
        batch = [tf.concat([x] * 2, axis=0) for x in tiny_training.random_batch(1)]
        settings = dict(spectral_norm=True, norm="none", dropout=0.0, update_order=update_order)
        found, moments = take_step(batch, accumulate=2, **settings)
        # Both halves are the same pair, so the parts make what one of them makes alone.
        expected, expected_moments = take_step([x[:1] for x in batch], **settings)
        self.assertAllClose(found, expected, rtol=1e-5)
        for moment, wanted in zip(moments, expected_moments):
            self.assertAllClose(moment, wanted, rtol=1e-3, atol=1e-6)

    def test_each_part_is_normalised_by_itself(self):
        batch = tiny_training.random_batch(2)
        losses, _ = take_step(batch, accumulate=2, dropout=0.0)
        _, train_step = tiny_training.build(
            tiny_training.make_config(lambda_l1=0.5, dropout=0.0, learning_rate=0.0)
        )
        alone = [train_step([x[i : i + 1] for x in batch]) for i in range(2)]
        whole, _ = take_step(batch, dropout=0.0)
        # The losses before the first update, that of the discriminator.
        for name in ("discriminator_loss", "l1_loss"):
            self.assertAllClose(losses[name], np.mean([x[name] for x in alone]), rtol=1e-5)
        self.assertNotAllClose(whole["discriminator_loss"], losses["discriminator_loss"], rtol=3e-5)


class WiringTest(StubTestCase):
    def test_the_adversarial_term_alone_teaches_the_generator(self):
        config = tiny_training.make_config(lambda_l1=0.0, learning_rate=1e-2)
        state, train_step = tiny_training.build(config)
        state.discriminator_optimizer.optimizer.learning_rate = 0.0
        before = tiny_training.weights(state.generator)
        batch = tiny_training.random_batch()
        losses = [train_step(batch) for _ in range(15)]
        self.assertCountEqual(
            losses[0], ["discriminator_loss", "generator_loss", "adversarial_loss"]
        )
        for weight, old in zip(tiny_training.weights(state.generator), before):
            self.assertNotAllEqual(weight, old)
        # Against a discriminator that stands still, more of what it takes for real.
        self.assertLess(
            float(losses[-1]["adversarial_loss"]), float(losses[0]["adversarial_loss"]) - 1e-3
        )
        self.assertEqual(int(state.first_bad_step), -1)
        # No L1 term, so this target reaches the discriminator's loss alone.
        train_step((batch[0], batch[1] * float("inf")))
        self.assertEqual(int(state.first_bad_step), len(losses) + 1)

    def test_gan_loss_none_has_no_discriminator(self):
        config = tiny_training.make_config(gan_loss="none", lambda_l2=10.0, learning_rate=1e-2)
        state, train_step = tiny_training.build(config)
        before = tiny_training.weights(state.discriminator)
        losses = train_step(tiny_training.random_batch())
        self.assertCountEqual(losses, ["generator_loss", "l1_loss", "l2_loss"])
        for weight, old in zip(tiny_training.weights(state.discriminator), before):
            self.assertAllEqual(weight, old)

    def test_unconditional_discriminator_sees_the_output_alone(self):
        config = tiny_training.make_config(conditional=False, learning_rate=0.0, dropout=0.0)
        state, train_step = tiny_training.build(config)
        source, target = tiny_training.random_batch()
        losses = train_step((source, target))
        fake = state.generator([source, tf.zeros([1, 0])])
        expected = discriminator_loss(state.discriminator(target), state.discriminator(fake))
        self.assertAllClose(losses["discriminator_loss"], expected)


class AverageTest(StubTestCase):
    def test_follows_the_weights_by_the_formula(self):
        config = tiny_training.make_config(learning_rate=1e-2, ema_decay=0.3)
        state, train_step = tiny_training.build(config)
        expected = tiny_training.weights(state.generator)
        for number in range(6):
            train_step(tiny_training.random_batch(seed=number))
            decay = min(0.3, (1 + number) / (10 + number))  # 0.1, 2/11, 0.25, then 0.3.
            expected = [
                average + (1 - decay) * (weight - average)
                for average, weight in zip(expected, tiny_training.weights(state.generator))
            ]
            for found, wanted in zip(tiny_training.weights(state.average), expected):
                self.assertAllClose(found, wanted, rtol=1e-6, atol=1e-7)
        self.assertIs(state.published, state.average)
        last = tiny_training.weights(state.generator)
        self.assertNotAllClose(expected[0], last[0], rtol=1e-3)

    def test_changes_nothing_in_training(self):
        ends = []
        for ema_decay in (0, 0.9):
            state, train_step = tiny_training.build(tiny_training.make_config(ema_decay=ema_decay))
            losses = [train_step(tiny_training.random_batch()) for _ in range(3)]
            ends.append((losses, tiny_training.weights(state.generator)))
        self.assertAllEqual(tf.nest.flatten(ends[0][0]), tf.nest.flatten(ends[1][0]))
        for weight, other in zip(ends[0][1], ends[1][1]):
            self.assertAllEqual(weight, other)

    def test_is_float32_in_mixed_precision(self):
        state, train_step = tiny_training.build(tiny_training.make_config(precision="bfloat16"))
        train_step(tiny_training.random_batch())
        self.assertEqual({x.dtype for x in tiny_training.weights(state.average)}, {np.dtype("f4")})

    def test_without_one_the_last_weights_are_published(self):
        state = TrainState(tiny_training.make_config(ema_decay=0.0))
        self.assertIsNone(state.average)
        self.assertIs(state.published, state.generator)


class CompilationTest(StubTestCase):
    def test_a_step_has_one_reduction(self):
        """Each is a round of messages between machines."""
        strategy = tf.distribute.get_strategy()
        state = TrainState(tiny_training.make_config())
        reduced = []

        def reduce(operation, value, axis):
            reduced.append(value)
            return strategy.reduce(operation, value, axis)

        counted = types.SimpleNamespace(
            reduce=reduce, run=strategy.run, scope=strategy.scope, num_replicas_in_sync=1
        )
        make_train_step(state, tiny_training.make_config(), counted)(tiny_training.random_batch())
        self.assertLen(reduced, 1)

    def test_compiled_by_xla_the_numbers_are_about_the_same(self):
        batch = tiny_training.random_batch()
        losses = []
        for jit_compile in (False, True):
            config = tiny_training.make_config(jit_compile=jit_compile)
            _, train_step = tiny_training.build(config)
            losses.append([train_step(batch) for _ in range(2)][-1])
        for name, value in losses[0].items():
            self.assertAllClose(value, losses[1][name], rtol=1e-4)


class CountersAndNoiseTest(StubTestCase):
    """On one compiled step whose rate is 0, so that only the noise changes its losses."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        config = tiny_training.make_config(batch_size=2, learning_rate=0.0)
        cls.state, train_step = tiny_training.build(config)
        cls.train_step = staticmethod(train_step)
        cls.batch = tiny_training.random_batch(2)

    def setUp(self):
        super().setUp()
        state = self.state
        for counter, value in ((state.step, 0), (state.examples_seen, 0), (state.seed, 0)):
            counter.assign(value)
        state.first_bad_step.assign(-1)

    def test_one_trace_serves_all_steps_and_counters_move(self):
        for number in range(5):
            losses = self.train_step(tiny_training.random_batch(2, seed=number))
        self.assertEqual(self.train_step.experimental_get_tracing_count(), 1)
        self.assertEqual(int(self.state.step), 5)
        self.assertEqual(int(self.state.examples_seen), 10)
        self.assertEqual(int(self.state.first_bad_step), -1)
        self.assertEqual({value.dtype for value in losses.values()}, {tf.float32})
        self.assertEqual({value.shape.rank for value in losses.values()}, {0})

    def test_the_first_bad_step_is_remembered(self):
        bad = (self.batch[0], self.batch[1] * float("nan"))
        expected = [-1, -1, 3, 3, 3]
        for batch, first_bad_step in zip((self.batch, self.batch, bad, self.batch, bad), expected):
            self.train_step(batch)
            self.assertEqual(int(self.state.first_bad_step), first_bad_step)
        # Adam's moments are now NaN, and so are the weights: not of use to other tests.
        type(self).setUpClass()

    def test_noise_differs_by_step_and_by_seed_and_follows_from_them(self):
        losses = [float(self.train_step(self.batch)["l1_loss"]) for _ in range(6)]
        self.assertLen(set(losses), 6)
        self.state.step.assign(2)
        self.assertAllClose(float(self.train_step(self.batch)["l1_loss"]), losses[2], rtol=1e-6)
        self.state.step.assign(2)
        self.state.seed.assign(1)
        self.assertNotAllClose(float(self.train_step(self.batch)["l1_loss"]), losses[2], rtol=1e-6)


class MixedPrecisionTest(StubTestCase):
    keeps_discriminator = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.moments = cls.gradient_moments("float32")[0]

    @classmethod
    def gradient_moments(cls, precision):
        config = tiny_training.make_config(precision=precision, lambda_l1=1.0, lambda_gan=0.1)
        state, train_step = tiny_training.build(config)
        losses = train_step(tiny_training.random_batch())
        optimizers = state.generator_optimizer.optimizer, state.discriminator_optimizer.optimizer
        moments = []
        for optimizer in optimizers:
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            moments += [x for x in tiny_training.optimizer_variables(inner) if x.ndim == 4]
        return moments, state, losses

    @parameterized.named_parameters(("float16", "float16", 0.1), ("bfloat16", "bfloat16", 0.25))
    def test_the_update_is_about_that_of_float32(self, precision, tolerance):
        moments, state, losses = self.gradient_moments(precision)
        self.assertEqual({loss.dtype for loss in losses.values()}, {tf.float32})
        for network in (state.generator, state.discriminator):
            self.assertEqual({x.dtype for x in tiny_training.weights(network)}, {np.dtype("f4")})
            computed = {str(layer.compute_dtype) for layer in network.layers}
            self.assertIn(precision, computed)
        self.assertLen(moments, len(self.moments))
        # A gradient that is not divided by the loss scale would be 32768 times too large.
        for found, wanted in zip(moments, self.moments):
            self.assertLess(np.linalg.norm(found - wanted), tolerance * np.linalg.norm(wanted))
        expected_scale = 2.0**15 if precision == "float16" else 1.0
        self.assertEqual(state.generator_optimizer.loss_scale, expected_scale)


class StateTest(StubTestCase):
    def test_the_seed_decides_the_initial_weights(self):
        def initial(seed):
            state = TrainState(tiny_training.make_config(seed=seed))
            return tiny_training.weights(state.generator) + tiny_training.weights(
                state.discriminator
            )

        for weight, again, other in zip(initial(5), initial(5), initial(6)):
            self.assertAllEqual(weight, again)
            if np.ptp(weight) > 0:  # Biases start at 0.
                self.assertNotAllEqual(weight, other)

    def test_linear_decay_falls_to_zero_over_the_last_steps(self):
        rate = LinearDecay(0.5, num_steps=10, decay_steps=4)
        rates = [float(rate(tf.constant(step, tf.int64))) for step in range(12)]
        self.assertAllClose(rates, [0.5] * 7 + [0.375, 0.25, 0.125, 0.0, 0.0])

    def test_the_step_follows_the_decay(self):
        config = tiny_training.make_config(
            learning_rate=1.0, num_steps=3, decay_steps=2, gan_loss="none", norm="none"
        )
        state, train_step = tiny_training.build(config)
        rates = []
        for _ in range(3):
            rates.append(state.generator_optimizer.learning_rate)
            train_step(tiny_training.random_batch())
        self.assertAllClose(rates, [1.0, 1.0, 0.5])
        self.assertAllClose(state.generator_optimizer.learning_rate, 0.0)
