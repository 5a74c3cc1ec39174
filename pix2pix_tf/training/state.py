"""Everything that a run has learned and must not lose: one object, saved as one."""

from __future__ import annotations

import keras
import tensorflow as tf

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.keras_compat import FusedAdam, ScaledOptimizer
from pix2pix_tf.models import convolutions
from pix2pix_tf.networks import build_discriminator, build_generator
from pix2pix_tf.training import precision

# Authors' code, which takes Torch's default. Keras' is 1e-7.
ADAM_EPSILON = 1e-8


class TrainState(tf.Module):
    """Networks, optimizers and counters of a run.

    All random choices of a step follow from (`seed`, `step`) and those of the
    data from (`seed`, `examples_seen`), so these three are the whole random state
    and data position.

    Attributes:
        generator: `G([source, z])`.
        discriminator: D of source and image joined along the channels.
        generator_optimizer: Updates the generator.
        discriminator_optimizer: Updates the discriminator.
        step: int64, steps done. One step updates each network once.
        examples_seen: int64, pairs consumed over all replicas.
        seed: int64, as configured.
        first_bad_step: int64, the first step whose losses were not finite; -1
            for none.
    """

    def __init__(self, config: TrainConfig):
        super().__init__()
        dtype = precision.POLICIES[precision.resolve_precision(config.precision)]
        keras.utils.set_random_seed(config.seed)  # For the initial weights.
        formulation = convolutions.FAST if convolutions.is_cpu_alone() else convolutions.PLAIN
        self.generator = build_generator(config, dtype=dtype, formulation=formulation)
        self.discriminator = build_discriminator(config, dtype=dtype, formulation=formulation)
        self.generator_optimizer = _build_optimizer(config, self.generator, dtype)
        self.discriminator_optimizer = _build_optimizer(config, self.discriminator, dtype)
        self.step = _counter(0, "step")
        self.examples_seen = _counter(0, "examples_seen")
        self.seed = _counter(config.seed, "seed")
        self.first_bad_step = _counter(-1, "first_bad_step")


class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate that falls linearly to 0 over the last steps of the run.

    Args:
        learning_rate: The constant.
        num_steps: Steps of the run.
        decay_steps: How many of them, at the end, it falls.
    """

    def __init__(self, learning_rate: float, *, num_steps: int, decay_steps: int):
        self.learning_rate = learning_rate
        self.num_steps = num_steps
        self.decay_steps = decay_steps

    def __call__(self, step):
        """Returns the rate of the step that follows `step` done ones."""
        left = tf.cast(self.num_steps - tf.cast(step, tf.int64), tf.float32)
        return self.learning_rate * tf.clip_by_value(left / self.decay_steps, 0.0, 1.0)

    def get_config(self):
        """Returns what `__init__` takes."""
        return dict(
            learning_rate=self.learning_rate,
            num_steps=self.num_steps,
            decay_steps=self.decay_steps,
        )


def _build_optimizer(config: TrainConfig, model: keras.Model, dtype: str) -> ScaledOptimizer:
    rate = config.learning_rate
    if config.decay_steps:
        rate = LinearDecay(rate, num_steps=config.num_steps, decay_steps=config.decay_steps)
    adam = FusedAdam(
        rate, beta_1=config.adam_beta_1, beta_2=config.adam_beta_2, epsilon=ADAM_EPSILON
    )
    return ScaledOptimizer(
        adam, model.trainable_variables, loss_scaling=dtype == precision.POLICIES["float16"]
    )


def _counter(value: int, name: str) -> tf.Variable:
    return tf.Variable(
        value,
        dtype=tf.int64,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
