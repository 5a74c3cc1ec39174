"""The numbers that models are compared by, and the functions of those that one pair has.

Such a function takes an output and its ground truth, float32 images in [-1, 1],
`[batch, height, width, channels]`, and returns float32 `[batch]`. With `register` another is
measured by `evaluate`, and chosen by with `--best_metric` and `--metric`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf.errors import InputError

# Which way a number points. NEITHER: it describes, and nothing is chosen by it.
LESS, MORE, NEAR_ONE, NEITHER = "less", "more", "near 1", "neither"
NO_METRIC = "none"  # As best_metric: no checkpoint is the best.
CLASS_IOU = "class_iou"  # As best_metric: of outputs that are label maps.

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


class Metric(NamedTuple):
    """What is known of a number before anything is measured.

    Attributes:
        better: LESS, MORE, NEAR_ONE or NEITHER.
        meaning: What it is, in a line, with its range.
        function: Measures a batch of pairs, see the module; None for what a class of
            `pix2pix_tf.evaluation` finds from all of them together.
    """

    better: str
    meaning: str
    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None


METRICS = {
    "l1": Metric(LESS, "mean absolute difference, 0 to 2", l1),
    "psnr": Metric(MORE, "peak signal-to-noise ratio, dB", psnr),
    "ssim": Metric(MORE, "structural similarity, -1 to 1", ssim),
    "ms_ssim": Metric(MORE, "multi-scale structural similarity, 0 to 1", ms_ssim),
    "per_pixel_accuracy": Metric(MORE, "pixels of the right class, 0 to 1"),
    "per_class_accuracy": Metric(MORE, "the same as a mean over classes, 0 to 1"),
    CLASS_IOU: Metric(MORE, "intersection over union, mean over classes, 0 to 1"),
    "colour_intersection": Metric(MORE, "common area of Lab histograms, mean of three, 0 to 1"),
    "grey_colour_intersection": Metric(
        NEITHER, "the same of the grey inputs, which colorization has to beat"
    ),
    "sharpness": Metric(NEAR_ONE, "power of fine detail, output by target"),
    "across_inputs_l1": Metric(NEITHER, "mean L1 between outputs of different inputs, 0 to 2"),
    "draws_l1": Metric(NEITHER, "mean L1 between draws of one input, 0 to 2"),
    "draws_one_minus_ssim": Metric(NEITHER, "mean 1 - SSIM between draws of one input, 0 to 2"),
    "fid": Metric(LESS, "Fréchet Inception distance, 0 or more"),
    "kid": Metric(LESS, "kernel Inception distance, about 0 or more"),
    "segmenter_frechet_distance": Metric(LESS, "Fréchet distance of the segmenter's features"),
    "segmenter_kernel_distance": Metric(LESS, "kernel distance of the segmenter's features"),
}

_OWN = frozenset(METRICS)


def register(name: str, metric: Metric) -> None:
    """Adds a metric, which has to be done before anything is measured or trained by it.

    Args:
        name: In tables, in JSON and for flags; letters, digits and underscores. What was
            registered by it before is replaced.
        metric: With a function, and better MORE or LESS.

    Raises:
        InputError: If the name is one of the project's or not plain, or the metric cannot choose.
    """
    if name in _OWN or name == NO_METRIC or not name.isidentifier():
        raise InputError(
            f"A metric cannot be called {name!r}, which the project uses, or which is not made of "
            "letters, digits and underscores. Choose another name."
        )
    if metric.function is None or metric.better not in (LESS, MORE):
        raise InputError(f"Metric {name!r} needs a function, and better LESS or MORE.")
    METRICS[name] = metric


def of_pairs() -> dict[str, Metric]:
    """Returns the metrics that have a function, by name."""
    return {name: metric for name, metric in METRICS.items() if metric.function is not None}


def check_best_metric(name: str) -> None:
    """Refuses, with an InputError, what training cannot choose a checkpoint by."""
    known = [NO_METRIC, *of_pairs(), CLASS_IOU]
    if name not in known:
        raise InputError(f"best_metric is {name!r}. Use one of {', '.join(known)}.")


def badness(name: str, value: float) -> float:
    """Returns how bad a value of a metric is: the larger, the worse.

    Of a metric that points neither way the smallest is called the worst.
    """
    better = METRICS[name].better
    if better == NEAR_ONE:
        return abs(math.log(max(value, 1e-12)))  # Half as sharp is as bad as twice.
    return value if better == LESS else -value
