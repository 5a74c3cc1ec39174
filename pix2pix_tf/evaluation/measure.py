"""What all measures share: the pair that they are given, and what they return."""

from __future__ import annotations

import dataclasses
import functools
from typing import Protocol

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import images
from pix2pix_tf.evaluation.score import Score


@dataclasses.dataclass(frozen=True)
class MeasuredPair:
    """An input, what was made of it and what it should be.

    Outputs are measured as they are written, in 8 or 16 bits: a model, and the files
    that it wrote, have the same scores. Those with a range of their own are not rounded.

    Attributes:
        name: Of the pair.
        source: float32 `[size, size, input_channels]` in [-1, 1].
        draws: `[num_samples, size, size, output_channels]`, uint8 or uint16 pixels or
            float32 in [-1, 1]; the first is the output, the others are further draws
            of the noise.
        target: float32 `[size, size, output_channels]` in [-1, 1].
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
    def source_rgb(self) -> np.ndarray:
        """The input in colour; see `images.in_colour`."""
        return images.in_colour(self.source)

    @property
    def output_rgb(self) -> np.ndarray:
        """The output in colour; see `images.in_colour`."""
        return images.in_colour(self.output)

    @property
    def target_rgb(self) -> np.ndarray:
        """The target in colour; see `images.in_colour`."""
        return images.in_colour(self.target)


class Measure(Protocol):
    """One subject, measured pair by pair.

    Attributes:
        section: Where `result` goes in `evaluation.json`.
    """

    section: str

    def add(self, pair: MeasuredPair) -> dict[str, float | None]:
        """Takes a pair in; returns its own scores by name, if it has any."""

    def result(self) -> dict | None:
        """Returns everything about all pairs, for JSON; None if it cannot be measured."""

    def scores(self, result: dict) -> list[Score]:
        """Returns the numbers to compare models by.

        Args:
            result: What `result` returned.
        """
