"""One step of training: an update of the discriminator, then one of the generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf import losses, objective, seeds
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.models import generator
from pix2pix_tf.training.state import TrainState


class _Run(NamedTuple):
    """What a step works with, beside the batch."""

    state: TrainState
    config: TrainConfig
    terms: Sequence[objective.Term]


class Tally:
    """What the steps of a run leave on the device for the host to read now and then.

    Args:
        config: Settings of the run.

    Attributes:
        sums: float64 `[losses]`, of the steps since the last `read_means`. In float64, so that
            sums of float32 numbers are exact unless these differ by a factor of millions.
        wish: float32, whether this process wishes the run to end: 1, else 0.
        wishes: float32, the mean of `wish` over all processes at the last step.
    """

    def __init__(self, config: TrainConfig):
        self._names = objective.loss_names(config)
        self.sums = tf.Variable(tf.zeros([len(self._names)], tf.float64))
        with tf.device("CPU:0"):  # The host writes the one and reads the other.
            self.wish, self.wishes = tf.Variable(0.0), tf.Variable(0.0)

    def read_means(self, num_steps: int) -> dict[str, float]:
        """Returns the means of the losses over the steps since the last call, by name."""
        sums = self.sums.numpy()
        self.sums.assign(tf.zeros_like(self.sums))
        return dict(zip(self._names, (sums / num_steps).tolist()))


def make_train_step(
    state: TrainState,
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
    tally: Tally | None = None,
):
    """Returns the compiled step, `train_step(batch) -> losses`.

    The batch is a pair (source, target), or what a distributed iterator gives.
    The losses are a dict of float32 scalars, means over the replicas, unweighted
    (see `objective`); terms of weight 0 are absent. `tally` gets them too.

    The order of updates is that of the authors' PyTorch code unless `update_order` says
    otherwise: one forward pass of the generator; the discriminator learns from it; the
    generator then learns against the discriminator just updated, through the same pass.
    (Their Torch code takes the generator's loss from what the discriminator said before.)
    """
    if config.update_order == "simultaneous":
        update = _update_simultaneously
    elif config.accumulate > 1:
        update = _update_in_parts
    else:
        update = _update_in_order

    with strategy.scope():  # A term may have a network.
        run = _Run(state, config, objective.build(config))
    height, width = config.crop_shape
    noise_size = generator.noise_size(state.generator, height=height, width=width)
    names = objective.loss_names(config)

    def update_networks(source, target, noise) -> list[tf.Tensor]:
        reported = update(run, source, target, noise)
        return [reported[name] for name in names]

    if config.jit_compile:
        # Not the whole step: XLA cannot use counters that are in the memory of another device.
        update_networks = tf.function(update_networks, jit_compile=True)

    def replica_step(source, target, seed, wish, decay) -> tf.Tensor:
        noise = _draw_noise(source, noise_size, seed)
        reported = update_networks(source, target, noise)
        state.update_average(decay)
        return tf.stack([*reported, wish])

    @tf.function
    def train_step(batch) -> dict[str, tf.Tensor]:
        seed = tf.stack(
            [seeds.stream(state.seed, seeds.NOISE), state.step * strategy.num_replicas_in_sync]
        )
        wish = tf.zeros([]) if tally is None else tally.wish.read_value()
        # All in one tensor, since each is a round of messages between machines.
        decay = state.decay_of_average()
        per_replica = strategy.run(replica_step, args=(*batch, seed, wish, decay))
        reported = strategy.reduce(tf.distribute.ReduceOp.MEAN, per_replica, axis=None)
        losses = reported[:-1]
        if tally is not None:
            tally.sums.assign_add(tf.cast(losses, tf.float64))
            tally.wishes.assign(reported[-1])
        state.step.assign_add(1)
        state.examples_seen.assign_add(config.batch_size)
        _note_bad_step(state, losses)
        return dict(zip(names, tf.unstack(losses)))

    return train_step


def make_train_steps(train_step) -> Callable[[Iterator, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the compiled `train_steps(batches, count) -> losses`, those of the last step."""

    @tf.function
    def train_steps(batches, count):
        for _ in tf.range(count - 1):
            train_step(next(batches))
        return train_step(next(batches))

    return train_steps


def _update_in_order(run: _Run, source, target, noise):
    """Updates D, then G through the same forward pass; returns the losses."""
    with tf.GradientTape() as tape:
        fake = run.state.generator([source, noise], training=True)
    reported = {}
    if run.config.uses_gan:
        gradients, reported = _discriminator_gradients(run, source, target, fake)
        _apply_to_discriminator(run.state, gradients)
    gradients, of_generator = _generator_gradients(run, source, target, fake, tape)
    _apply_to_generator(run.state, gradients)
    return {**reported, **of_generator}


def _update_in_parts(run: _Run, source, target, noise):
    """Does the same with one part of the batch in memory at a time.

    The generator runs once more for each part, since the forward pass that the
    discriminator has learned from has been dropped.
    """

    def of_discriminator(source, target, noise, *, is_first):
        fake = run.state.generator([source, noise], training=True)
        return _discriminator_gradients(run, source, target, fake, rescales_kernels=is_first)

    def of_generator(source, target, noise, *, is_first):
        with tf.GradientTape() as tape:
            fake = run.state.generator([source, noise], training=True)
        return _generator_gradients(run, source, target, fake, tape)

    parts = (source, target, noise)
    reported = {}
    if run.config.uses_gan:
        gradients, reported = _mean_over_parts(of_discriminator, parts, run.config.accumulate)
        _apply_to_discriminator(run.state, gradients)
    gradients, reported_of_generator = _mean_over_parts(of_generator, parts, run.config.accumulate)
    _apply_to_generator(run.state, gradients)
    return {**reported, **reported_of_generator}


def _update_simultaneously(run: _Run, source, target, noise):
    """Updates both by gradients at the same weights; returns the losses.

    The discriminator's forward pass on the generated pair serves both, as in
    TensorFlow's tutorial.
    """

    def of_both(source, target, noise, *, is_first):
        with tf.GradientTape() as generator_tape:
            fake = run.state.generator([source, noise], training=True)
        if not run.config.uses_gan:
            gradients, reported = _generator_gradients(run, source, target, fake, generator_tape)
            return ([], gradients), reported
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(fake)
            logits = _logits(run, source, target, fake, rescales_kernels=is_first)
            discriminator_loss = losses.discriminator_loss(*logits, gan_loss=run.config.gan_loss)
            total, terms = objective.evaluate(
                run.terms, objective.Seen(source, target, fake, logits[1])
            )
            scaled = _share(run.state.discriminator_optimizer.scale_loss(discriminator_loss))
            scaled_of_generator = _share(run.state.generator_optimizer.scale_loss(total))
        fake_gradient = tape.gradient(scaled_of_generator, fake)
        gradients = (
            tape.gradient(scaled, run.state.discriminator.trainable_variables),
            generator_tape.gradient(
                fake, run.state.generator.trainable_variables, output_gradients=fake_gradient
            ),
        )
        return gradients, {
            "discriminator_loss": discriminator_loss,
            "generator_loss": total,
            **terms,
        }

    (of_discriminator, of_generator), reported = _mean_over_parts(
        of_both, (source, target, noise), run.config.accumulate
    )
    if run.config.uses_gan:
        _apply_to_discriminator(run.state, of_discriminator)
    _apply_to_generator(run.state, of_generator)
    return reported


def _mean_over_parts(compute, batch, num_parts: int):
    """Returns the mean of `compute(*part)` over equal parts of a batch, one after another.

    Args:
        compute: Returns a structure of float32 tensors; takes `is_first` too.
        batch: Tensors `[batch, ...]`.
        num_parts: How many; it divides the batch.
    """
    if num_parts == 1:
        return compute(*batch, is_first=True)
    parts = [tf.reshape(x, [num_parts, -1, *x.shape[1:]]) for x in batch]
    first = compute(*(x[0] for x in parts), is_first=True)
    # A loop, whose turns cannot run side by side: that is what saves the memory.
    total = tf.foldl(
        lambda total, part: tf.nest.map_structure(tf.add, total, compute(*part, is_first=False)),
        [x[1:] for x in parts],
        initializer=first,
        parallel_iterations=1,
    )
    return tf.nest.map_structure(lambda x: x / num_parts, total)


def _discriminator_gradients(run: _Run, source, target, fake, *, rescales_kernels: bool = True):
    """Returns D's gradients for a true and a generated pair, and its halved loss."""
    fake = tf.stop_gradient(fake)
    with tf.GradientTape() as tape:
        logits = _logits(run, source, target, fake, rescales_kernels=rescales_kernels)
        loss = losses.discriminator_loss(*logits, gan_loss=run.config.gan_loss)
        scaled = _share(run.state.discriminator_optimizer.scale_loss(loss))
    gradients = tape.gradient(scaled, run.state.discriminator.trainable_variables)
    return gradients, {"discriminator_loss": loss}


def _generator_gradients(run: _Run, source, target, fake, tape: tf.GradientTape):
    """Returns G's gradients against D as it is, and the losses; `tape` saw `fake` made."""
    logits = None
    with tf.GradientTape() as loss_tape:
        loss_tape.watch(fake)
        if run.config.uses_gan:
            # training=False: spectral norm rescales the kernels in the update of D
            # alone, once a step; nothing else in D knows of training.
            logits = run.state.discriminator(_seen(run.config, source, fake), training=False)
        total, terms = objective.evaluate(run.terms, objective.Seen(source, target, fake, logits))
        scaled = _share(run.state.generator_optimizer.scale_loss(total))
    # In two stages, so that no gradient with respect to D's weights is computed here.
    fake_gradient = loss_tape.gradient(scaled, fake)
    variables = run.state.generator.trainable_variables
    return tape.gradient(fake, variables, output_gradients=fake_gradient), {
        "generator_loss": total,
        **terms,
    }


def _logits(run: _Run, source, target, fake, *, rescales_kernels: bool):
    """Returns what D makes of the true pair, and of the generated one.

    With `rescales_kernels` spectral norm brings D's kernels to norm 1 first: once a step, since
    all gradients of a step are at the same weights.
    """
    # Two calls, not one joined batch: each takes its own batch statistics.
    return (
        run.state.discriminator(_seen(run.config, source, target), training=rescales_kernels),
        run.state.discriminator(_seen(run.config, source, fake), training=False),
    )


def _apply_to_discriminator(state: TrainState, gradients) -> None:
    state.discriminator_optimizer.apply(gradients, state.discriminator.trainable_variables)


def _apply_to_generator(state: TrainState, gradients) -> None:
    state.generator_optimizer.apply(gradients, state.generator.trainable_variables)


def _seen(config: TrainConfig, source: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Returns what D looks at: the pair when conditional, else the image alone."""
    return tf.concat([source, image], axis=-1) if config.conditional else image


def _draw_noise(source: tf.Tensor, noise_size: int, seed: tf.Tensor) -> tf.Tensor:
    """Returns z, `[batch, noise_size]` in [0, 1): another one on each replica.

    Args:
        source: The replica's share of the batch.
        noise_size: Numbers an image.
        seed: int64 `[2]`, of the first replica; the next has the next number.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    number = seed[1] + tf.cast(replica, tf.int64)
    shape = [tf.shape(source)[0], noise_size]
    return tf.random.stateless_uniform(shape, seed=tf.stack([seed[0], number]))


def _share(loss: tf.Tensor) -> tf.Tensor:
    """Returns this replica's share: gradients are summed over replicas, the loss is a mean."""
    return loss / tf.distribute.get_replica_context().num_replicas_in_sync


def _note_bad_step(state: TrainState, reported: tf.Tensor) -> None:
    """Remembers the first step whose losses are not finite, without asking the host each step."""
    is_finite = tf.reduce_all(tf.math.is_finite(reported))
    is_first = tf.logical_and(state.first_bad_step < 0, tf.logical_not(is_finite))
    state.first_bad_step.assign(tf.where(is_first, state.step, state.first_bad_step))
