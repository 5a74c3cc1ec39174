"""The optimizers: the paper's Adam, at a constant rate or one that falls at the end."""

from __future__ import annotations

import keras
import tensorflow as tf

from pix2pix_tf import precision
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.keras_compat import FusedAdam, ScaledOptimizer

# Authors' code, which takes Torch's default. Keras' is 1e-7.
ADAM_EPSILON = 1e-8


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


def build_adam(config: TrainConfig, model: keras.Model, dtype: str) -> ScaledOptimizer:
    """Returns the paper's optimizer for a model, with loss scaling where `dtype` needs it.

    Args:
        config: Has the rate and how it falls, and the decay of both means.
        model: What it will update.
        dtype: Keras dtype policy name of the model.
    """
    rate = config.learning_rate
    if config.decay_steps:
        rate = LinearDecay(rate, num_steps=config.num_steps, decay_steps=config.decay_steps)
    adam = FusedAdam(
        rate, beta_1=config.adam_beta_1, beta_2=config.adam_beta_2, epsilon=ADAM_EPSILON
    )
    return ScaledOptimizer(
        adam, model.trainable_variables, loss_scaling=dtype == precision.POLICIES["float16"]
    )
