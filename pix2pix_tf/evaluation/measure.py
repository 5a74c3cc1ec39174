"""What all measures share: the pair that they are given, and what they return."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import images
from pix2pix_tf.metrics import METRICS


@dataclasses.dataclass(frozen=True)
class Score:
    """A number that stands for all pairs.

    Attributes:
        name: One of `METRICS`. The scores of single images have the same names.
        value: None where it is not defined, or infinite.
        standard_error: Standard error of a mean over images.
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
        return {"better": METRICS[values.pop("name")].better, **values}


@dataclasses.dataclass(frozen=True)
class MeasuredPair:
    """An input, what was made of it and what it should be.

    Outputs are measured as they are written, in 8 or 16 bits: a model, and the files
    that it wrote, have the same scores. Those with a range of their own are not rounded.

    Attributes:
        name: Name of the pair.
        source: float32 `[height, width, input_channels]` in [-1, 1].
        draws: `[num_samples, height, width, output_channels]`, uint8 or uint16 pixels or
            float32 in [-1, 1]; the first is the output, the others are further draws
            of the noise.
        target: float32 `[height, width, output_channels]` in [-1, 1].
    """

    name: str
    source: np.ndarray
    draws: np.ndarray
    target: np.ndarray

    @functools.cached_property
    def output(self) -> np.ndarray:
        """The first draw as float32 in [-1, 1]."""
        return images.normalize_image(self.draws[0]).numpy()

    @functools.cached_property
    def target_pixels(self) -> np.ndarray:
        """The target in the type of the draws."""
        if np.issubdtype(self.draws.dtype, np.floating):
            return self.target
        return images.denormalize_image(self.target, dtype=tf.as_dtype(self.draws.dtype)).numpy()

    @property
    def both_in_colour(self) -> tuple[np.ndarray, np.ndarray]:
        """Output and target as `images.in_colour` shows them."""
        return images.in_colour(self.output), images.in_colour(self.target)


class Measure(Protocol):
    """One subject, measured pair by pair.

    Attributes:
        section: Where `result` goes in `evaluation.json`.
        notes: What a reader of the result has to know; whole once there is one.
    """

    section: str
    notes: Sequence[str] = ()

    def add(self, pair: MeasuredPair) -> dict[str, float | None]:
        """Takes a pair in; returns its own scores by name, if it has any."""

    def result(self) -> tuple[dict | None, list[Score]]:
        """Returns all about all pairs, for JSON, and the numbers to compare models by.

        None and no numbers if it cannot be measured.
        """
