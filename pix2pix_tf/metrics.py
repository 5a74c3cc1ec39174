"""Full-reference measures of an output against its ground truth, of one pair at a time.

All take float32 images in [-1, 1], `[batch, height, width, channels]`, and
return float32 `[batch]`.
"""

from __future__ import annotations

import tensorflow as tf

_RANGE = 2.0  # From -1 to 1.


def l1(fake: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the mean absolute difference, 0 to 2; less is better."""
    return tf.reduce_mean(tf.abs(fake - target), axis=[1, 2, 3])


def psnr(fake: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the peak signal-to-noise ratio in decibels; more is better."""
    return tf.image.psnr(fake, target, max_val=_RANGE)


def ssim(fake: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the structural similarity (Wang et al., 2004), -1 to 1; more is better."""
    # SSIM's constants assume values from 0; a shift of both leaves the rest unchanged.
    return tf.image.ssim((fake + 1.0) / _RANGE, (target + 1.0) / _RANGE, max_val=1.0)


METRICS = {"l1": l1, "psnr": psnr, "ssim": ssim}
LARGER_IS_BETTER = {"l1": False, "psnr": True, "ssim": True}
