"""Tests of `pix2pix_tf.objective`: weighted terms by name, also of one's own."""

from __future__ import annotations

import contextlib
import io
import math
import re
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_training
from absl.testing import parameterized
from matplotlib.figure import Figure

from pix2pix_tf import errors, objective, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.training import loop

_LOG_2 = math.log(2.0)


def _image(value: float, shape=(1, 4, 4, 3)) -> tf.Tensor:
    return tf.constant(value, tf.float32, shape)


def _seen(fake: tf.Tensor, target: tf.Tensor, *, logits=None) -> objective.Seen:
    return objective.Seen(tf.zeros_like(target), target, fake, logits)


class PaperTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        # Log 2 is what an undecided discriminator says; the images differ by 0.75 everywhere.
        (dict(), _LOG_2 + 75.0, dict(adversarial=_LOG_2, l1=0.75)),
        (
            dict(lambda_gan=2.0, lambda_l1=10.0, lambda_l2=4.0),
            2.0 * _LOG_2 + 7.5 + 2.25,
            dict(adversarial=_LOG_2, l1=0.75, l2=0.5625),
        ),
        (dict(lambda_l1=0.0), _LOG_2, dict(adversarial=_LOG_2)),
        (dict(lambda_gan=0.0, lambda_l1=1.0), 0.75, dict(l1=0.75)),
        (dict(gan_loss="none", lambda_l1=0.0, lambda_l2=1.0), 0.5625, dict(l2=0.5625)),
        (dict(gan_loss="lsgan", lambda_l1=0.0), 1.0, dict(adversarial=1.0)),
    )
    def test_weights_are_in_the_total_only_and_a_term_without_is_absent(
        self, settings, total, terms
    ):
        built = objective.build(TrainConfig(**settings))
        seen = _seen(_image(0.25), _image(-0.5), logits=tf.zeros([1, 2, 2, 1]))
        found, values = objective.evaluate(built, seen)
        self.assertAllClose(found, total)
        self.assertAllClose(values, {f"{name}_loss": value for name, value in terms.items()})

    @parameterized.parameters(("vanilla", -0.5), ("lsgan", -2.0), ("hinge", -1.0))
    def test_gradient_reaches_the_logits_and_the_output(self, gan_loss, slope):
        logits, fake = tf.zeros([1, 1, 2, 1]), _image(0.25)
        terms = objective.build(TrainConfig(gan_loss=gan_loss, lambda_l1=48.0))
        with tf.GradientTape() as tape:
            tape.watch([logits, fake])
            total, _ = objective.evaluate(terms, _seen(fake, _image(-0.5), logits=logits))
        of_logits, of_fake = tape.gradient(total, [logits, fake])
        self.assertAllClose(of_logits, tf.fill([1, 1, 2, 1], slope / 2))
        self.assertAllClose(of_fake, _image(1.0))  # 48 values, weight 48: one each.

    @parameterized.parameters((1, 4, 4, 1), (1, 2, 4, 3), (4, 4, 3))
    def test_shapes_that_differ_are_refused(self, *shape):
        # All of them would broadcast, or fail far from here.
        terms = objective.build(TrainConfig(gan_loss="none"))
        with self.assertRaisesRegex(errors.InputError, r"\(1, 4, 4, 3\).*" + re.escape(str(shape))):
            objective.evaluate(terms, _seen(_image(0.0), _image(0.0, shape)))


class RegisteredTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(mock.patch.dict(objective._MADE_BY))

    def register_level(self) -> list[tuple[keras.Model, list[np.ndarray]]]:
        """Registers a term with a fixed network; returns a list of those made, and their weights.

        It is the square of what a random convolution finds in the output beside the target.
        """
        made = []

        @objective.register("level")
        def make(config):
            image = keras.Input([None, None, config.output_channels])
            network = keras.Model(image, keras.layers.Conv2D(2, 3)(image))
            made.append((network, network.get_weights()))
            return lambda seen: tf.reduce_mean((network(seen.fake) - network(seen.target)) ** 2)

        return made

    def test_is_trained_on_and_shown_by_its_name_and_its_network_stays(self):
        made = self.register_level()
        self.enter_context(tiny_training.stub_networks())
        workdir, panels = tiny_runs.temporary_folder(self) / "run", {}

        def note(figure, file, **unused):
            file.write(b"drawn")
            for axes in figure.axes:
                panels[axes.get_title(loc="left")] = axes.get_lines()[0].get_data()

        config = tiny_training.make_config(
            gan_loss="none", extra_terms="level=3", num_steps=2, log_every=1, num_samples=1
        )
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            with mock.patch.object(Figure, "savefig", note):
                loop.train(config, workdir)
        records = run_folder.read_metrics(workdir)
        self.assertLen(records, 2)
        for record in records:
            self.assertGreater(record["level_loss"], 0.0)
            total = 100 * record["l1_loss"] + 3 * record["level_loss"]
            self.assertAllClose(record["generator_loss"], total)
        steps, values = panels["level"]
        self.assertEqual(list(steps), [1, 2])
        self.assertAllClose(values, [record["level_loss"] for record in records])
        self.assertIn(f"level {records[1]['level_loss']:.3f}", stdout.getvalue())
        ((network, before),) = made  # Once a run.
        for weight, wanted in zip(network.get_weights(), before):
            self.assertAllEqual(weight, wanted)

    @parameterized.parameters("sequential", "simultaneous")
    def test_changes_the_gradient_and_can_be_all_there_is(self, update_order):
        self.register_level()
        self.enter_context(tiny_training.stub_networks())
        moved = []
        for extra in ("", "level=1000"):
            config = tiny_training.make_config(extra_terms=extra, update_order=update_order)
            state, train_step = tiny_training.build(config)
            train_step(tiny_training.random_batch())
            moved.append(tiny_training.optimizer_variables(state.generator_optimizer.optimizer))
        self.assertNotAllClose(moved[0][-1], moved[1][-1], rtol=1e-2)
        alone = tiny_training.make_config(
            gan_loss="none", lambda_l1=0.0, extra_terms="level=1", learning_rate=1e-2
        )
        state, train_step = tiny_training.build(alone)
        losses = [train_step(tiny_training.random_batch()) for _ in range(15)]
        self.assertCountEqual(losses[0], ["generator_loss", "level_loss"])
        self.assertLess(float(losses[-1]["level_loss"]), 0.9 * float(losses[0]["level_loss"]))

    def test_a_name_that_is_not_registered_is_refused_naming_those_that_are(self):
        self.register_level()
        for extra in ("leval=1", "l1=5", "adversarial=1"):
            with self.assertRaisesRegex(errors.InputError, f"'{extra.split('=')[0]}'.* level"):
                objective.build(TrainConfig(extra_terms=extra))
        with self.assertRaisesRegex(errors.InputError, "'my-term'"):
            objective.register("my-term")
