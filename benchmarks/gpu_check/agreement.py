"""A step on the GPU, and on several devices, against the same step on the CPU.

All get the same weights, batch and noise. What is compared is what a step computes: its losses,
the gradients of both networks, and how far the weights move.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import makers
from benchmarks.gpu_check import checks, environment
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.settings import Settings
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.keras_compat import ScaledOptimizer
from pix2pix_tf.training import distribution
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import make_train_step

TITLE = "The same step as on the CPU"
MINUTES = 3


class Bounds(NamedTuple):
    """Greatest differences, each as a share of what the CPU has.

    Attributes:
        loss: Of any loss.
        gradient: Of the gradients of a network, as the norm of the difference.
        update: Of the steps of a network's weights, likewise; None where they are not compared.
    """

    loss: float
    gradient: float
    update: float | None


# No GPU has been measured. By the paper's networks at batch 1, on a CPU:
#
#                                          loss      gradient    update
#   float32, summed in another order      1e-6        1.4e-3      0.05
#   float16 against float32               3e-5        4.5e-2
#
# The other order is that of products of matrices, see `models.convolutions`; what rounding does
# to a gradient is large since a batch of noise almost cancels in it. TF32 rounds factors to the 11
# bits that float16 has (unit roundoff 2^-11 = 5e-4), so a bound for float32 has to lie between
# both lines: a TF32 that was not turned off is a failure.
# The first step of Adam is the sign of the gradient times the learning rate, so a difference of
# the gradient by a share d turns the signs of a share of the weights that is proportional to d,
# and the norm of the update grows by its root: 0.05 * sqrt(1e-2 / 1.4e-3) = 0.13.
FLOAT32 = Bounds(loss=1e-5, gradient=1e-2, update=0.15)
# Four times what is seen above, and of losses four roundoffs. A gradient that is lost (a scale
# that is not divided out, underflow) differs by 1.
FLOAT16 = Bounds(loss=2e-3, gradient=0.2, update=None)


class Step(NamedTuple):
    """What a step computed: losses by name; gradients and updates by network."""

    losses: dict[str, float]
    gradients: dict[str, list[np.ndarray]]
    updates: dict[str, list[np.ndarray]]


def measure(settings: Settings, folder: object) -> Iterator[Check]:
    """Yields the differences of each kind of step; `folder` is not used."""
    if not environment.gpus():
        for name in ("float32", "float16", "mirrored"):
            yield checks.not_measured(f"{name} on the GPU against the CPU", checks.NO_GPU)
        return
    tf.config.experimental.enable_tensor_float_32_execution(False)
    cpu, gpu = (tf.distribute.OneDeviceStrategy(f"/{kind}:0") for kind in ("CPU", "GPU"))
    config = settings.train_config(precision="float32")
    expected = take_step(config, cpu)
    yield from differences("float32, TF32 off", take_step(config, gpu), expected, FLOAT32)
    # Weights that do not move, so that steps may be tried until the loss scale fits.
    still = dict(learning_rate=0.0)
    expected = take_step(settings.train_config(precision="float32", **still), cpu)
    found = take_step(settings.train_config(precision="float16", **still), gpu)
    yield from differences("float16", found, expected, FLOAT16)
    yield from compare_mirrored(settings, cpu)


def compare_mirrored(settings: Settings, reference: tf.distribute.Strategy) -> Iterator[Check]:
    """Yields the differences of a step on all GPUs (or logical CPUs) from that of `reference`."""
    mirrored = distribution.build_strategy("mirrored")
    count = mirrored.num_replicas_in_sync
    if count == 1:  # Nothing is reduced: the step above, once more.
        yield checks.not_measured("mirrored against one device", "there is one device alone")
        return
    # Without what depends on a device's share of the batch: its statistics, and its noise.
    alike = dict(precision="float32", norm="none", dropout=0.0)
    config = settings.train_config(batch_size=2 * count, **alike)
    found, expected = take_step(config, mirrored), take_step(config, reference)
    yield from differences(f"mirrored on {count} devices, float32", found, expected, FLOAT32)


def take_step(config: TrainConfig, strategy: tf.distribute.Strategy) -> Step:
    """Returns what the first step that the loss scale lets pass computes.

    Args:
        config: Settings of the step. With float16 the learning rate has to be 0, since more than
            one step may be needed.
        strategy: Where to.
    """
    state = TrainState(config, strategy)
    train_step = make_train_step(state, config, strategy)
    arrays = makers.synthetic_batch(vars(config))
    pairs = tf.data.Dataset.from_tensor_slices(arrays).repeat()
    batches = iter(
        strategy.distribute_datasets_from_function(
            lambda context: pairs.batch(context.get_per_replica_batch_size(config.batch_size))
        )
    )
    networks = dict(generator=state.generator, discriminator=state.discriminator)
    optimizers = dict(
        generator=state.generator_optimizer, discriminator=state.discriminator_optimizer
    )
    before = {name: _arrays(network.trainable_variables) for name, network in networks.items()}
    scales = {name: optimizer.loss_scale for name, optimizer in optimizers.items()}
    num_updates = dict.fromkeys(networks, 0)
    # A scale that is halved until nothing is left of it: no step passes at all.
    for _ in range(1 + math.ceil(math.log2(max(scales.values())))):
        state.step.assign(0)  # The noise follows from it.
        losses = {name: float(loss) for name, loss in train_step(next(batches)).items()}
        for name, optimizer in optimizers.items():
            scale = optimizer.loss_scale
            num_updates[name] += scale >= scales[name]  # Halved: this one was skipped.
            scales[name] = scale
        if all(num_updates.values()):
            break
    else:
        raise ArithmeticError(f"Each step was skipped; the loss scales are {scales}.")
    # Adam's mean of the gradients: of n times the same one, 1 - beta^n of it.
    gradients = {
        name: [
            mean / (1 - config.adam_beta_1 ** num_updates[name])
            for mean in _arrays(_inner(optimizer)._momentums)
        ]
        for name, optimizer in optimizers.items()
    }
    updates = {
        name: [new - old for new, old in zip(_arrays(network.trainable_variables), before[name])]
        for name, network in networks.items()
    }
    del state, train_step, networks, optimizers
    gc.collect()  # Graphs of TensorFlow are cycles, and hold the weights.
    return Step(losses, gradients, updates)


def differences(what: str, found: Step, expected: Step, bounds: Bounds) -> Iterator[Check]:
    """Yields a check for each kind of difference of two steps."""
    of_losses = [
        abs(found.losses[name] - value) / max(abs(value), 1e-9)
        for name, value in expected.losses.items()
    ]
    # Not max(), which passes over NaN.
    yield checks.at_most(f"{what}: losses", float(np.max(of_losses)), bounds.loss)
    for name in expected.gradients:
        value = _relative(found.gradients[name], expected.gradients[name])
        yield checks.at_most(f"{what}: gradient of the {name}", value, bounds.gradient)
        if bounds.update is not None:
            value = _relative(found.updates[name], expected.updates[name])
            yield checks.at_most(f"{what}: update of the {name}", value, bounds.update)


def _relative(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Returns the norm of the difference, over all arrays, as a share of the expected norm."""
    pairs = list(zip(found, expected))
    of_difference = sum(np.sum(np.square(a - b, dtype=np.float64)) for a, b in pairs)
    return math.sqrt(of_difference / sum(np.sum(np.square(b, dtype=np.float64)) for _, b in pairs))


def _inner(scaled: ScaledOptimizer):
    """Returns Adam, without what scales the loss for it."""
    return getattr(scaled.optimizer, "inner_optimizer", scaled.optimizer)


def _arrays(variables) -> list[np.ndarray]:
    return [np.array(tf.convert_to_tensor(variable)) for variable in variables]
