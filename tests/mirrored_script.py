"""Trains on two CPU devices and prints what it found; run by `test_distribution.py`.

A process of its own: devices are made before TensorFlow starts.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_training

from pix2pix_tf.errors import InputError
from pix2pix_tf.training import distribution, loop, reports
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import make_train_step

_CONFIG = tiny_training.make_config(
    batch_size=2, norm="none", dropout=0.0, learning_rate=1e-3, lambda_l1=1.0
)


def run_steps(config, strategy: tf.distribute.Strategy) -> dict:
    """Takes two steps on the same batch and returns all that may be compared."""
    state = TrainState(config, strategy)
    before = state.generator.get_weights()
    train_step = make_train_step(state, config, strategy)
    pairs = tf.data.Dataset.from_tensor_slices(
        tiny_training.random_batch(config.batch_size)
    ).repeat()
    batches = iter(
        strategy.distribute_datasets_from_function(
            lambda context: pairs.batch(context.get_per_replica_batch_size(config.batch_size))
        )
    )
    losses = [
        {name: float(value) for name, value in train_step(next(batches)).items()} for _ in range(2)
    ]
    networks = (state.generator, state.discriminator, state.average)
    weights = [weight for network in networks for weight in network.trainable_variables]
    after = state.generator.get_weights()
    return dict(
        losses=losses,
        weights=[np.array(tf.convert_to_tensor(weight)).tolist() for weight in weights],
        moments=_moments(state) if config.precision == "float32" else [],
        learns=any(np.any(old != new) for old, new in zip(before, after)),
        replicas_differ_by=max(map(_spread, weights)),
        loss_scale=state.generator_optimizer.loss_scale,
        learning_rate=state.generator_optimizer.learning_rate,
        step=int(state.step.numpy()),
        counters_are_on_the_host=state.step.device.endswith("CPU:0"),
        examples_seen=int(state.examples_seen.numpy()),
        traces=train_step.experimental_get_tracing_count(),
    )


def _moments(state: TrainState) -> list:
    """Returns the moments of both optimizers: Adam's update forgets the scale of a gradient."""
    return [
        moment.tolist()
        for scaled in (state.generator_optimizer, state.discriminator_optimizer)
        for moment in tiny_training.optimizer_variables(scaled.optimizer)
        if moment.ndim
    ]


def _spread(weight) -> float:
    """Returns the largest difference between what the replicas hold."""
    mirrored = getattr(weight, "_value", weight)
    replicas = [value.numpy() for value in getattr(mirrored, "values", [mirrored])]
    return max(float(np.abs(value - replicas[0]).max()) for value in replicas)


def train(workdir: pathlib.Path) -> dict:
    """Trains a mirrored run, goes on with it on one device, and tries a batch of 3."""
    config = tiny_training.make_config(
        batch_size=2, strategy="mirrored", num_steps=2, num_samples=1, num_evaluated=1
    )
    loop.train(config, workdir)
    one_device = dataclasses.replace(config, num_steps=3, strategy="default")
    state = loop.train(one_device, workdir)
    try:
        odd = dataclasses.replace(config, batch_size=3)
        loop.train(odd, workdir.with_name("odd"))
        refusal = ""
    except InputError as error:
        refusal = str(error)
    return dict(
        steps=[int(state.step.numpy()), int(state.examples_seen.numpy())],
        refusal=refusal,
        odd_was_started=(workdir.with_name("odd") / "config.json").exists(),
    )


def overflow_on_second_replica(strategy: tf.distribute.Strategy) -> dict:
    """Takes a float16 step whose gradient overflows on the second of two replicas alone."""
    config = dataclasses.replace(
        _CONFIG, precision="float16", gan_loss="none", lambda_l1=0.0, lambda_l2=1.0
    )
    state = TrainState(config, strategy)
    before, scale = (
        state.generator.get_weights(),
        state.generator_optimizer.loss_scale,
    )
    source, target = tiny_training.random_batch(2)
    target = tf.stack([target[0], tf.fill(target[1].shape, 1e4)])  # 2e4 / 3072 * 32768 > 65504.
    pairs = tf.data.Dataset.from_tensor_slices((source, target))
    batches = iter(strategy.distribute_datasets_from_function(lambda context: pairs.batch(1)))
    losses = make_train_step(state, config, strategy)(next(batches))
    return dict(
        loss_is_finite=bool(np.isfinite(float(losses["l2_loss"]))),
        moved=any(np.any(old != new) for old, new in zip(before, state.generator.get_weights())),
        scale_ratio=state.generator_optimizer.loss_scale / scale,
    )


def main():
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = distribution.build_strategy("mirrored")
    one_device = distribution.build_strategy("default")
    batch_of_4 = dataclasses.replace(_CONFIG, batch_size=4)
    float16_batch_norm = dataclasses.replace(
        _CONFIG, precision="float16", norm="batch", dropout=0.5
    )
    found = dict()
    with tiny_training.plain_convolutions():
        found.update(
            one_device=run_steps(batch_of_4, one_device),
            mirrored=run_steps(batch_of_4, mirrored),
        )
        # D with its batch normalisation; the generator's layers are the same.
        with tiny_training.stub_networks(keeps_discriminator=True):
            found.update(
                float16_batch_norm=run_steps(float16_batch_norm, mirrored),
            )
    with tiny_training.stub_networks():
        found.update(
            one_device_of_stubs=run_steps(batch_of_4, one_device),
            in_parts_of_stubs=run_steps(dataclasses.replace(batch_of_4, accumulate=2), mirrored),
            float16_in_parts=run_steps(
                dataclasses.replace(float16_batch_norm, batch_size=4, accumulate=2), mirrored
            ),
            overflow=overflow_on_second_replica(mirrored),
        )
        with mock.patch.object(reports, "plot_losses"):
            found.update(trained=train(pathlib.Path(sys.argv[1])))
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
