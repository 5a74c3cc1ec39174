"""One step of training: an update of the discriminator, then one of the generator."""

from __future__ import annotations

import tensorflow as tf

from pix2pix_tf import losses, seeds
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.training.state import TrainState, crop_noise_size


def make_train_step(state: TrainState, config: TrainConfig, strategy: tf.distribute.Strategy):
    """Returns the compiled step, `train_step(batch) -> losses`.

    The batch is a pair (source, target), or what a distributed iterator gives.
    The losses are a dict of float32 scalars, means over the replicas, unweighted
    (see `losses`); terms of weight 0 are absent.

    Order of updates, as in the authors' code: one forward pass of the generator;
    the discriminator learns from it; the generator then learns against the
    discriminator just updated, through the same forward pass.
    """

    def replica_step(source: tf.Tensor, target: tf.Tensor) -> dict[str, tf.Tensor]:
        generator, discriminator = state.generator, state.discriminator
        reported = {}
        with tf.GradientTape() as generator_tape:
            noise = _draw_noise(state, config, source)
            fake = generator([source, noise], training=True)

        fake_logits = None
        with tf.GradientTape() as loss_tape:
            loss_tape.watch(fake)
            if config.uses_gan:
                with loss_tape.stop_recording():
                    reported["discriminator_loss"] = _update_discriminator(
                        state, config, source, target, fake
                    )
                # training=False: spectral norm rescales the kernels in the update of D
                # alone, once a step; nothing else in D knows of training.
                fake_logits = discriminator(_seen(config, source, fake), training=False)
            terms = losses.generator_losses(
                fake_logits,
                fake,
                target,
                gan_loss=config.gan_loss,
                lambda_gan=config.lambda_gan,
                lambda_l1=config.lambda_l1,
                lambda_l2=config.lambda_l2,
            )
            scaled = _share(state.generator_optimizer.scale_loss(terms.total))
        # In two stages, so that no gradient with respect to D's weights is computed here.
        fake_gradient = loss_tape.gradient(scaled, fake)
        variables = generator.trainable_variables
        gradients = generator_tape.gradient(fake, variables, output_gradients=fake_gradient)
        state.generator_optimizer.apply(gradients, variables)

        reported["generator_loss"] = terms.total
        for name in ("adversarial", "l1", "l2"):
            if getattr(terms, name) is not None:
                reported[f"{name}_loss"] = getattr(terms, name)
        return reported

    @tf.function
    def train_step(batch) -> dict[str, tf.Tensor]:
        per_replica = strategy.run(replica_step, args=batch)
        reported = {
            name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in per_replica.items()
        }
        state.step.assign_add(1)
        state.examples_seen.assign_add(config.batch_size)
        _note_bad_step(state, reported)
        return reported

    return train_step


def _update_discriminator(
    state: TrainState, config: TrainConfig, source: tf.Tensor, target: tf.Tensor, fake: tf.Tensor
) -> tf.Tensor:
    """Updates D on a true and a generated pair; returns its halved loss."""
    discriminator = state.discriminator
    with tf.GradientTape() as tape:
        # Two calls, not one joined batch: each takes its own batch statistics.
        real_logits = discriminator(_seen(config, source, target), training=True)
        fake_logits = discriminator(
            _seen(config, source, tf.stop_gradient(fake)),
            training=False,  # One power iteration a step is enough for spectral norm.
        )
        loss = losses.discriminator_loss(real_logits, fake_logits, gan_loss=config.gan_loss)
        scaled = _share(state.discriminator_optimizer.scale_loss(loss))
    variables = discriminator.trainable_variables
    state.discriminator_optimizer.apply(tape.gradient(scaled, variables), variables)
    return loss


def _seen(config: TrainConfig, source: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Returns what D looks at: the pair when conditional, else the image alone."""
    return tf.concat([source, image], axis=-1) if config.conditional else image


def _draw_noise(state: TrainState, config: TrainConfig, source: tf.Tensor) -> tf.Tensor:
    """Returns z, `[batch, noise_size]` in [0, 1): another one each step and replica."""
    context = tf.distribute.get_replica_context()
    number = state.step * context.num_replicas_in_sync + tf.cast(
        context.replica_id_in_sync_group, tf.int64
    )
    shape = [tf.shape(source)[0], crop_noise_size(config)]
    return tf.random.stateless_uniform(
        shape, seed=tf.stack([seeds.stream(state.seed, seeds.NOISE), number])
    )


def _share(loss: tf.Tensor) -> tf.Tensor:
    """Returns this replica's share: gradients are summed over replicas, the loss is a mean."""
    return loss / tf.distribute.get_replica_context().num_replicas_in_sync


def _note_bad_step(state: TrainState, reported: dict[str, tf.Tensor]) -> None:
    """Remembers the first step whose losses are not finite, without asking the host each step."""
    is_finite = tf.reduce_all(tf.math.is_finite(tf.stack(list(reported.values()))))
    is_first = tf.logical_and(state.first_bad_step < 0, tf.logical_not(is_finite))
    state.first_bad_step.assign(tf.where(is_first, state.step, state.first_bad_step))
