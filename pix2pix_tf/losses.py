"""The objectives of the paper and its ablations, always in float32.

Reduction: every term is a mean over all its elements (patches, or pixels and
channels) of the images given. Adversarial terms take logits; nothing here
applies a sigmoid before the loss does.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf.errors import InputError

GAN_LOSSES = ("vanilla", "lsgan", "hinge")


class GeneratorLosses(NamedTuple):
    """The generator's objective and its terms, float32 scalars.

    `adversarial`, `l1` and `l2` are unweighted, so that runs with different
    weights compare; a term of weight 0 is not computed and is None.
    """

    total: tf.Tensor
    adversarial: tf.Tensor | None
    l1: tf.Tensor | None
    l2: tf.Tensor | None


def generator_losses(
    fake_logits: tf.Tensor | None,
    fake: tf.Tensor,
    target: tf.Tensor,
    *,
    gan_loss: str = "vanilla",
    lambda_gan: float = 1.0,
    lambda_l1: float = 100.0,
    lambda_l2: float = 0.0,
) -> GeneratorLosses:
    """Returns the generator's objective and its terms.

    The adversarial term asks the discriminator to call every patch of `fake`
    real, the non-saturating form: with logits 0, "undecided", vanilla is
    log(2), least squares 1 and hinge 0.

    Shapes:
        fake_logits: `[batch, patch_rows, patch_cols, 1]`.
        fake, target: `[batch, height, width, channels]`, in [-1, 1].

    Args:
        fake_logits: Discriminator output on `fake`, no sigmoid applied; not
            looked at, and may be None, when `lambda_gan` is 0.
        fake: Generator output.
        target: Ground truth paired with the source that produced `fake`.
        gan_loss: One of `GAN_LOSSES`, or "none".
        lambda_gan: Weight of the adversarial term; 1 in the paper.
        lambda_l1: Weight of the mean absolute difference; 100 in the paper.
        lambda_l2: Weight of the mean squared difference.

    Raises:
        InputError: If `gan_loss` is unknown or `fake` and `target` differ in shape.

    Reference:
        Isola et al., CVPR 2017, equations 3 and 4. Goodfellow et al., 2014
        (non-saturating). Mao et al., "Least Squares GAN", ICCV 2017.
        Lim and Ye, "Geometric GAN", 2017 (hinge).
    """
    if not fake.shape.is_compatible_with(target.shape):
        raise InputError(
            f"The output has shape {fake.shape} and the target {target.shape}. Make "
            "output_channels and the sizes agree."
        )
    adversarial = l1 = l2 = None
    terms = []
    if gan_loss != "none" and lambda_gan:
        adversarial = adversarial_loss(fake_logits, gan_loss=gan_loss)
        terms.append(lambda_gan * adversarial)
    if lambda_l1:
        l1 = tf.reduce_mean(tf.abs(_float32(target) - _float32(fake)))
        terms.append(lambda_l1 * l1)
    if lambda_l2:
        l2 = tf.reduce_mean(tf.math.squared_difference(_float32(target), _float32(fake)))
        terms.append(lambda_l2 * l2)
    return GeneratorLosses(tf.add_n(terms), adversarial, l1, l2)


def adversarial_loss(fake_logits: tf.Tensor, *, gan_loss: str = "vanilla") -> tf.Tensor:
    """Returns how far the discriminator is from calling every patch real."""
    fake_logits = _float32(fake_logits)
    if gan_loss == "vanilla":
        return _cross_entropy(fake_logits, is_real=True)
    if gan_loss == "lsgan":
        return tf.reduce_mean(tf.math.squared_difference(fake_logits, 1.0))
    if gan_loss == "hinge":
        return -tf.reduce_mean(fake_logits)
    raise InputError(f"gan_loss is {gan_loss!r}. Use one of {', '.join(GAN_LOSSES)}.")


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
    real_logits, fake_logits = _float32(real_logits), _float32(fake_logits)
    if gan_loss == "vanilla":
        real = _cross_entropy(real_logits, is_real=True)
        fake = _cross_entropy(fake_logits, is_real=False)
    elif gan_loss == "lsgan":
        real = tf.reduce_mean(tf.math.squared_difference(real_logits, 1.0))
        fake = tf.reduce_mean(tf.square(fake_logits))
    elif gan_loss == "hinge":
        real = tf.reduce_mean(tf.nn.relu(1.0 - real_logits))
        fake = tf.reduce_mean(tf.nn.relu(1.0 + fake_logits))
    else:
        raise InputError(f"gan_loss is {gan_loss!r}. Use one of {', '.join(GAN_LOSSES)}.")
    return 0.5 * (real + fake)


def _cross_entropy(logits: tf.Tensor, *, is_real: bool) -> tf.Tensor:
    """Returns mean -log sigmoid(logits) for real, mean -log(1 - sigmoid(logits)) for fake."""
    # softplus keeps its gradient where log(sigmoid) has underflowed.
    return tf.reduce_mean(tf.math.softplus(-logits if is_real else logits))


def _float32(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32)
