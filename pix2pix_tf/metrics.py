"""Full-reference measures of an output against its ground truth, of one pair at a time.

All take float32 images in [-1, 1], `[batch, height, width, channels]`, and
return float32 `[batch]`.
"""

from __future__ import annotations

import tensorflow as tf

_RANGE = 2.0  # From -1 to 1.
SMALLEST_SIZE = 11  # Pixels: SSIM's Gaussian window, which has to fit into the images.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al., finest scale first.


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


def num_scales(height: int, width: int) -> int:
    """Returns how many scales `ms_ssim` takes of images of a size.

    Each halves the one before, and the last has to hold the window of 11 pixels:
    5 scales from 176 pixels on, the shorter side counting; 4 from 88, 3 from 44, 2
    from 22, else 1.
    """
    scales = 1
    while scales < len(_SCALE_WEIGHTS) and min(height, width) >> scales >= SMALLEST_SIZE:
        scales += 1
    return scales


def ms_ssim(fake: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the multi-scale structural similarity (Wang et al., 2003), 0 to 1; more is better.

    Images too small for the paper's 5 scales are measured on the first
    `num_scales`, whose weights are brought to the sum 1: values of sizes that
    differ in this are no more comparable.
    """
    weights = _SCALE_WEIGHTS[: num_scales(fake.shape[1], fake.shape[2])]
    return tf.image.ssim_multiscale(
        (fake + 1.0) / _RANGE,
        (target + 1.0) / _RANGE,
        max_val=1.0,
        power_factors=[weight / sum(weights) for weight in weights],
        filter_size=SMALLEST_SIZE,
    )


METRICS = {"l1": l1, "psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
LARGER_IS_BETTER = {"l1": False, "psnr": True, "ssim": True, "ms_ssim": True}
