"""Everything that a run has learned and must not lose: one object, saved as one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pix2pix_tf import keras_compat, optimizers, precision
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.models import convolutions
from pix2pix_tf.networks import build_discriminator, build_generator


class TrainState(tf.Module):
    """Networks, optimizers and counters of a run.

    All random choices of a step follow from (`seed`, `step`) and those of the
    data from (`seed`, `examples_seen`), so these three are the whole random state
    and data position.

    Args:
        config: Settings of the run.
        strategy: The devices that get the networks; None: one.

    Attributes:
        config: As given.
        generator: `G([source, z])`.
        average: The same network with the averages of its weights, see `update_average`; None
            where `ema_decay` is 0. Float32 whatever the precision.
        discriminator: D of source and image joined along the channels.
        generator_optimizer: Updates the generator.
        discriminator_optimizer: Updates the discriminator.
        step: int64, steps done. One step updates each network once.
        examples_seen: int64, pairs consumed over all replicas.
        seed: int64, as configured.
        first_bad_step: int64, the first step whose losses were not finite; -1
            for none.
    """

    def __init__(self, config: TrainConfig, strategy: tf.distribute.Strategy | None = None):
        super().__init__()
        self.config = config
        dtype = precision.POLICIES[precision.resolve_precision(config.precision)]
        keras.utils.set_random_seed(config.seed)  # For the initial weights.
        with (strategy or tf.distribute.get_strategy()).scope():
            formulation = convolutions.FAST if convolutions.is_cpu_alone() else convolutions.PLAIN
            made: dict[str, Any] = dict(dtype=dtype, formulation=formulation, is_trained=True)
            self.generator = build_generator(config, **made)
            self.discriminator = build_discriminator(config, dtype=dtype, formulation=formulation)
            self.generator_optimizer = optimizers.build_adam(config, self.generator, dtype)
            self.discriminator_optimizer = optimizers.build_adam(config, self.discriminator, dtype)
            # The last to draw from the seed, so that it changes no other weights.
            self.average = build_generator(config, **made) if config.ema_decay else None
        if self.average is not None:
            self.average.set_weights(self.generator.get_weights())
        # What seeds a draw is read by the host: on a GPU each step would wait for it.
        with tf.device("CPU:0"):
            self.step = _counter(0, "step")
            self.examples_seen = _counter(0, "examples_seen")
            self.seed = _counter(config.seed, "seed")
        # Where the losses are, which it follows from.
        self.first_bad_step = _counter(-1, "first_bad_step")

    @property
    def published(self) -> keras.Model:
        """The generator that is shown, measured and exported: the average where there is one."""
        return self.generator if self.average is None else self.average

    def decay_of_average(self) -> tf.Tensor:
        """Returns the decay of the average after this step, float32, from the steps before it.

        `min(ema_decay, (1 + n) / (10 + n))`: the first weights are soon forgotten.

        Reference:
            Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", ICLR 2019;
            the ramp is that of TensorFlow's `ExponentialMovingAverage`.
        """
        count = tf.cast(self.step, tf.float32)
        return tf.minimum(float(self.config.ema_decay), (1.0 + count) / (10.0 + count))

    def update_average(self, decay: tf.Tensor) -> None:
        """Moves the average towards the generator's weights, after their update; if there is one.

        Args:
            decay: See `decay_of_average`.
        """
        if self.average is not None:
            keras_compat.average_into(
                self.average.trainable_variables, self.generator.trainable_variables, decay
            )


def _counter(value: int, name: str) -> tf.Variable:
    return tf.Variable(value, dtype=tf.int64, trainable=False, name=name)
