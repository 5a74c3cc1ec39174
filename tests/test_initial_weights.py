"""Tests of `--init_from`: which weights a run starts from, and which models do not fit."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_training
from absl.testing import parameterized
from refusals import refused

from pix2pix_tf import keras_compat, networks, run_folder, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images, scenes
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.models import convolutions
from pix2pix_tf.training import initial_weights, loop
from pix2pix_tf.training.state import TrainState

_MODEL = dict(crop_size=tiny_runs.CROP_SIZE, base_filters=2, receptive_field=16)


class InitialWeightsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.source = cls.folder / "source"
        cls.config = tiny_runs.write_run(cls.source, upsampling="resize", **_MODEL)
        # As a run has it: sums of 3x3 kernels.
        trained = networks.build_generator(cls.config, is_trained=True)
        tiny_runs.set_weights(trained, seed=3)
        cls.trained = trained.get_weights()
        weights = networks.generator_file(cls.config, trained)
        (cls.source / run_folder.GENERATOR_WEIGHTS).write_bytes(weights)
        critic = networks.build_discriminator(cls.config)
        tiny_runs.set_weights(critic, seed=4)
        cls.critic = critic.get_weights()
        weights = keras_compat.weights_file(critic)
        (cls.source / run_folder.DISCRIMINATOR_WEIGHTS).write_bytes(weights)
        cls.exported = serving.save_version(cls.source, cls.folder / "exported").parent

    def make_config(self, source: pathlib.Path | None = None, **settings) -> TrainConfig:
        changed = dict(init_from=str(source or self.source), precision="float32", load_size=0)
        return dataclasses.replace(self.config, **changed, **settings)

    def start(self, source: pathlib.Path | None = None, **settings) -> tuple[TrainState, str]:
        config = self.make_config(source, **settings)
        state = TrainState(config)
        return state, initial_weights.start_from(state, initial_weights.find(config))

    def assert_same(self, ours, theirs, **options):
        self.assertEqual(len(ours), len(theirs))
        for x, y in zip(ours, theirs):
            self.assertAllClose(x, y, **options)

    def test_a_run_gives_both_networks(self):
        state, said = self.start()
        for model in (state.generator, state.average):
            self.assert_same(model.get_weights(), self.trained, atol=1e-5)
        self.assert_same(state.discriminator.get_weights(), self.critic)
        self.assertIn("So does the discriminator", said)
        self.assertEqual(int(state.step), 0)
        for value in tiny_training.optimizer_variables(state.generator_optimizer.optimizer):
            self.assertLess(np.abs(value).max(), 1e-2)  # Moments of 0, and the rate.

    def test_an_export_gives_the_generator(self):
        state, said = self.start(self.exported)
        self.assert_same(state.generator.get_weights(), self.trained, atol=1e-5)
        self.assertIn("no discriminator", said)
        self.assertNotAllClose(state.discriminator.get_weights()[0], self.critic[0])

    def test_a_transposed_decoder_takes_the_sums(self):
        state, _ = self.start(upsampling="transposed")
        trained = networks.build_generator(self.config, is_trained=True)
        trained.set_weights(self.trained)
        expected = convolutions.serving_weights(trained)
        self.assert_same(state.generator.get_weights(), expected, atol=1e-5)

    def test_layers_of_other_channels_start_anew(self):
        state, said = self.start(input_channels=1, output_channels=2)
        self.assertIn("2 layers", said)
        ours, theirs = state.generator.get_weights(), self.trained
        kept = [i for i, (x, y) in enumerate(zip(ours, theirs)) if x.shape == y.shape]
        # All but the first kernel, and the last with its bias.
        self.assertEqual(kept, list(range(1, len(ours) - 2)))
        self.assert_same([ours[i] for i in kept], [theirs[i] for i in kept], atol=1e-5)
        self.assertIn("discriminator starts anew", said)

    def test_a_discriminator_that_does_not_fit_starts_anew(self):
        state, said = self.start(conditional=False)
        self.assertIn("conditional", said)
        self.assert_same(state.generator.get_weights(), self.trained, atol=1e-5)

    @parameterized.parameters(
        dict(base_filters=4),
        dict(crop_size=64),
        dict(norm="instance"),
        dict(generator="encoder_decoder"),
        dict(bottleneck_norm=True),
    )
    def test_another_generator_is_refused(self, **settings):
        ((name, value),) = settings.items()
        theirs = getattr(self.config, name)
        with refused(name, repr(theirs), repr(value), f"--{name}={theirs}"):
            initial_weights.find(self.make_config(**settings))

    def test_4x4_kernels_are_not_sums(self):
        with refused("upsampling", "--upsampling=transposed"):
            initial_weights.find(self.make_config(tiny_runs.shared_run()))

    def test_a_run_starts_once(self):
        with tiny_training.stub_networks():
            source, run = self.folder / "stub", self.folder / "run"
            config = tiny_training.make_config(num_steps=1, num_samples=1, num_evaluated=1)
            first = loop.train(dataclasses.replace(config, seed=5), source)
            config = dataclasses.replace(config, init_from=str(source), learning_rate=0.0)
            started = loop.train(config, run)
            self.assert_same(
                started.generator.get_weights(), first.average.get_weights(), atol=1e-6
            )
            self.assertEqual(TrainConfig.load(run).init_from, str(source))
            source.rename(self.folder / "elsewhere")  # It is not asked for again.
            again = loop.train(dataclasses.replace(config, num_steps=2), run)
            self.assertEqual(int(again.step), 2)

    def test_weights_without_a_checkpoint_are_not_trained_over(self):
        with refused(self.source, f"--init_from={self.source}"):
            loop.train(self.config, self.source)

    def test_there_is_no_such_model(self):
        with refused("nowhere", kind=MissingInputError):
            initial_weights.find(self.make_config(pathlib.Path("nowhere")))


class FineTuningTest(tf.test.TestCase):
    """What it is for: few pairs of a task that a model for a like one exists of."""

    SETTINGS = dict(base_filters=8, learning_rate=1e-3)
    NUM_STEPS = 60

    def scenes(self, indices: range, *, recoloured: bool) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Returns batches of one of labels and photo, the labels in colours of their own or not."""
        batches = []
        for index in indices:
            scene = scenes.draw_scene(tiny_runs.CROP_SIZE, seed=0, index=index)
            labels = 255 - scene.labels[..., [1, 2, 0]] if recoloured else scene.labels
            pair = (images.normalize_image(pixels[np.newaxis]) for pixels in (labels, scene.photo))
            batches.append(tuple(pair))
        return batches

    def train(self, config: TrainConfig, pairs: list, num_steps: int) -> TrainState:
        state, step = tiny_training.build(config)
        if config.init_from:
            initial_weights.start_from(state, initial_weights.find(config))
        for number in range(num_steps):
            step(pairs[number % len(pairs)])
        return state

    def error_of(self, state: TrainState, pairs: list) -> float:
        """Returns the mean L1 of the average on pairs."""
        z = tf.constant(tiny_runs.random_noise(1, networks.noise_size(self.config)))
        outputs = [state.average([source, z], training=True) for source, _ in pairs]
        return float(np.mean([np.abs(y - target).mean() for y, (_, target) in zip(outputs, pairs)]))

    def setUp(self):
        super().setUp()
        self.enter_context(tiny_training.plain_convolutions())

    def test_twenty_pairs_are_enough_for_a_trained_model_and_not_for_a_new_one(self):
        self.config = tiny_training.make_config(**self.SETTINGS)
        source = tiny_runs.temporary_folder(self) / "source"
        source.mkdir()
        self.config.save(source)
        trained = self.train(self.config, self.scenes(range(100), recoloured=False), 400)
        weights = networks.generator_file(self.config, trained.average)
        (source / run_folder.GENERATOR_WEIGHTS).write_bytes(weights)
        weights = keras_compat.weights_file(trained.discriminator)
        (source / run_folder.DISCRIMINATOR_WEIGHTS).write_bytes(weights)

        pairs = self.scenes(range(1000, 1020), recoloured=True)
        held_out = self.scenes(range(2000, 2010), recoloured=True)
        errors = {}
        for init_from in ("", str(source)):
            config = dataclasses.replace(self.config, init_from=init_from)
            state = self.train(config, pairs, self.NUM_STEPS)
            errors[init_from] = self.error_of(state, held_out)
        self.assertLess(errors[str(source)], 0.95 * errors[""])
