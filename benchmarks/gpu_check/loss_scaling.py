"""Training in float16: an overflow is skipped and halves the loss scale, and all else trains."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from benchmarks import makers
from benchmarks.gpu_check import checks, environment
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.settings import Settings
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import make_train_step

TITLE = "Loss scaling in float16"
MINUTES = 1
INITIAL_SCALE = 2.0**15  # Keras', on both stacks.
# Each skipped step halves the scale: after 15 it is 1, and what overflows then is not the scaling's
# fault. It grows after 2,000 steps only, so the skipped steps follow from it.
MOST_SKIPPED = 15
_OVERFLOWING_TARGET = 1e15  # Of pixels: its squared error fits in float32, no gradient in float16.


def measure(settings: Settings, folder: pathlib.Path) -> Iterator[Check]:
    """Yields how ordinary steps go, and one that overflows; `folder` is not used."""
    # The L2 term is for the step that overflows.
    config = settings.train_config(precision="float16", lambda_l2=1.0)
    state = TrainState(config)
    train_step = make_train_step(state, config, tf.distribute.get_strategy())
    source, target = map(tf.constant, makers.synthetic_batch(vars(config)))

    for _ in range(settings.short_steps):
        train_step((source, target))
    what = f"steps of {settings.short_steps} that were skipped, on the {environment.device()}"
    yield checks.at_most(what, num_skipped(state), MOST_SKIPPED)

    before, scale = _weights(state), state.generator_optimizer.loss_scale
    train_step((source, tf.fill(target.shape, _OVERFLOWING_TARGET)))
    ratio = state.generator_optimizer.loss_scale / scale
    yield checks.equals("loss scale after an overflow, as a share of the one before", ratio, 0.5)
    skipped = _weights(state)
    yield checks.equals("weights that an overflow moved", _num_moved(before, skipped), 0)
    train_step((source, target))
    moved = _num_moved(skipped, _weights(state))
    yield checks.at_least("weights that the step after it moved", moved, 1)


def num_skipped(state: TrainState) -> int:
    """Returns how many steps loss scaling has skipped, of either network, within 2,000 steps."""
    scales = (state.generator_optimizer.loss_scale, state.discriminator_optimizer.loss_scale)
    return round(math.log2(INITIAL_SCALE / min(scales)))


def _weights(state: TrainState) -> list[np.ndarray]:
    return [np.array(weight) for weight in state.generator.get_weights()]


def _num_moved(before: list[np.ndarray], after: list[np.ndarray]) -> int:
    return sum(int(np.sum(old != new)) for old, new in zip(before, after))
