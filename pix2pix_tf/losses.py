"""The losses of the paper and its ablations, always in float32; `objective` weighs them.

Reduction: every term is a mean over all its elements (patches, or pixels and
channels) of the images given. Adversarial terms take logits; nothing here
applies a sigmoid before the loss does.
"""

from __future__ import annotations

import tensorflow as tf

from pix2pix_tf.errors import InputError

GAN_LOSSES = ("vanilla", "lsgan", "hinge")


def l1_loss(fake: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the mean absolute difference of two batches in [-1, 1]: 0 to 2. Paper: equation 3."""
    return tf.reduce_mean(tf.abs(_float32(target) - _float32(fake)))


def l2_loss(fake: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the mean squared difference of two batches in [-1, 1]: 0 to 4."""
    return tf.reduce_mean(tf.math.squared_difference(_float32(target), _float32(fake)))


def adversarial_loss(fake_logits: tf.Tensor, *, gan_loss: str = "vanilla") -> tf.Tensor:
    """Returns how far the discriminator is from calling every patch real.

    The non-saturating form: with logits 0, "undecided", vanilla is log(2), least squares 1 and
    hinge 0.

    Args:
        fake_logits: Discriminator output on generated pairs, `[batch, patch_rows, patch_cols, 1]`.
        gan_loss: One of `GAN_LOSSES`.

    Reference:
        Isola et al., CVPR 2017, section 3.3. Goodfellow et al., 2014 (non-saturating). Mao et
        al., "Least Squares GAN", ICCV 2017. Lim and Ye, "Geometric GAN", 2017 (hinge).
    """
    fake_logits = _float32(fake_logits)
    if gan_loss == "hinge":
        return -tf.reduce_mean(fake_logits)
    return tf.reduce_mean(_of_patches(fake_logits, is_real=True, gan_loss=gan_loss))


def discriminator_loss(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, *, gan_loss: str = "vanilla"
) -> tf.Tensor:
    """Returns the discriminator's loss: the *half* sum of its two terms.

    Halved "which slows down the rate at which D learns relative to G" (paper,
    section 3.3). An undecided discriminator (logits 0) scores log(2) with
    vanilla, 0.5 with least squares and 1 with hinge.

    Args:
        real_logits: `[batch, patch_rows, patch_cols, 1]`, on true pairs.
        fake_logits: The same on generated pairs.
        gan_loss: One of `GAN_LOSSES`.
    """
    real = _of_patches(_float32(real_logits), is_real=True, gan_loss=gan_loss)
    fake = _of_patches(_float32(fake_logits), is_real=False, gan_loss=gan_loss)
    return 0.5 * (tf.reduce_mean(real) + tf.reduce_mean(fake))


def _of_patches(logits: tf.Tensor, *, is_real: bool, gan_loss: str) -> tf.Tensor:
    """Returns the loss of each patch whose logit should call it real, or generated."""
    if gan_loss == "vanilla":
        # -log sigmoid(logits) for real; softplus keeps its gradient where that has underflowed.
        return tf.math.softplus(-logits if is_real else logits)
    if gan_loss == "lsgan":
        return tf.math.squared_difference(logits, 1.0 if is_real else 0.0)
    if gan_loss == "hinge":
        return tf.nn.relu(1.0 - logits if is_real else 1.0 + logits)
    raise InputError(f"gan_loss is {gan_loss!r}. Use one of {', '.join(GAN_LOSSES)}.")


def _float32(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32)
