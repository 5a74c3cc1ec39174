"""The numbers that models are compared by: their names, meanings and directions."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

# Which way a score points. NEITHER: it describes, and nothing is chosen by it.
LESS, MORE, NEAR_ONE, NEITHER = "less", "more", "near 1", "neither"


class Kind(NamedTuple):
    """What is known of a score before anything is measured."""

    better: str
    meaning: str


KINDS = {
    "l1": Kind(LESS, "mean absolute difference, 0 to 2"),
    "psnr": Kind(MORE, "peak signal-to-noise ratio, dB"),
    "ssim": Kind(MORE, "structural similarity, -1 to 1"),
    "ms_ssim": Kind(MORE, "multi-scale structural similarity, 0 to 1"),
    "per_pixel_accuracy": Kind(MORE, "FCN-score: pixels that the segmenter gets right, 0 to 1"),
    "per_class_accuracy": Kind(MORE, "FCN-score: the same as a mean over classes, 0 to 1"),
    "class_iou": Kind(MORE, "FCN-score: intersection over union, mean over classes, 0 to 1"),
    "colour_intersection": Kind(MORE, "common area of Lab histograms, mean of three, 0 to 1"),
    "grey_colour_intersection": Kind(
        NEITHER, "the same of the grey inputs, which colorization has to beat"
    ),
    "sharpness": Kind(NEAR_ONE, "power of fine detail, output by target"),
    "across_inputs_l1": Kind(NEITHER, "mean L1 between outputs of different inputs, 0 to 2"),
    "draws_l1": Kind(NEITHER, "mean L1 between draws of one input, 0 to 2"),
    "draws_one_minus_ssim": Kind(NEITHER, "mean 1 - SSIM between draws of one input, 0 to 2"),
    "fid": Kind(LESS, "Fréchet Inception distance, 0 or more"),
    "kid": Kind(LESS, "kernel Inception distance, about 0 or more"),
    "segmenter_frechet_distance": Kind(LESS, "Fréchet distance of the segmenter's features"),
    "segmenter_kernel_distance": Kind(LESS, "kernel distance of the segmenter's features"),
}
DISTANCES = ("fid", "kid", "segmenter_frechet_distance", "segmenter_kernel_distance")
NEED_SEGMENTER = ("per_pixel_accuracy", "per_class_accuracy", "class_iou", *DISTANCES[2:])
CHOOSABLE = tuple(name for name, kind in KINDS.items() if kind.better != NEITHER)


@dataclasses.dataclass(frozen=True)
class Score:
    """A number that stands for all pairs.

    Attributes:
        name: One of `KINDS`. The scores of single images have the same names.
        value: None where it is not defined, or infinite.
        standard_error: Of a mean over images.
        interval: (low, high), with 95 % confidence.
        ground_truth: What the targets themselves have, where that says something.
    """

    name: str
    value: float | None
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    ground_truth: float | None = None

    def to_dict(self) -> dict:
        """Returns all but the name, and which way it points."""
        values = dataclasses.asdict(self)
        del values["name"]
        return {"better": KINDS[self.name].better, **values}


def badness(name: str, value: float) -> float:
    """Returns how bad a value of a score is: the larger, the worse.

    Of a score that points neither way the smallest is called the worst.
    """
    better = KINDS[name].better
    if better == NEAR_ONE:
        return abs(math.log(max(value, 1e-12)))  # Half as sharp is as bad as twice.
    return value if better == LESS else -value
