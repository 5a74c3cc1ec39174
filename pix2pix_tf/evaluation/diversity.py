"""How much pictures differ from one another: draws of one input, and outputs of many.

The first is the paper's "minor stochasticity" as a number. The second shows a
collapse: a GAN without a condition may give every input the same picture.
"""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf

from pix2pix_tf import metrics
from pix2pix_tf.data import images
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair, Score

MOST_COMPARED = 100  # Inputs whose outputs are held in memory and compared with one another.


def mean_pairwise_l1(draws: np.ndarray) -> float:
    """Returns the mean absolute difference over all pairs of different images.

    Args:
        draws: `[num_images, height, width, channels]`, 2 images or more; pixels, or
            float32 in [-1, 1].

    Returns:
        0 to 2, in the units of [-1, 1] as all other L1.
    """
    count = len(draws)
    ordered = np.sort(np.asarray(draws).reshape(count, -1), axis=0)
    # The k-th smallest of n values is the larger one in k of its pairs, the smaller in n - 1 - k.
    factors = 2.0 * np.arange(count) - (count - 1)
    total = np.dot(factors, ordered.sum(axis=1, dtype=np.float64))
    num_pairs = count * (count - 1) / 2
    is_image = np.issubdtype(ordered.dtype, np.floating)
    unit = 1.0 if is_image else np.iinfo(ordered.dtype).max / 2.0
    return float(total / num_pairs / ordered.shape[1] / unit)


def mean_pairwise_dissimilarity(draws: np.ndarray) -> float:
    """Returns the mean of 1 - SSIM over all pairs, 0 to 2; arguments as `mean_pairwise_l1`."""
    scaled = images.normalize_image(draws)
    first, second = zip(*itertools.combinations(range(len(draws)), 2))
    similarity = metrics.ssim(tf.gather(scaled, first), tf.gather(scaled, second))
    return float(1.0 - tf.reduce_mean(similarity))


class DrawsMeasure(Measure):
    """The draws of each input against one another."""

    section = "draws"

    def __init__(self, num_samples: int):
        self._num_samples = num_samples
        self._distances: list[tuple[float, float]] = []

    def add(self, pair: MeasuredPair) -> dict[str, float]:
        """Adds a pair; returns the mean L1 between its draws."""
        l1 = mean_pairwise_l1(pair.draws)
        self._distances.append((l1, mean_pairwise_dissimilarity(pair.draws)))
        return {"draws_l1": l1}

    def result(self) -> tuple[dict, list[Score]]:
        """Returns the means over the inputs, of which neither more nor less is better."""
        l1, one_minus_ssim = (float(np.mean(x)) for x in zip(*self._distances))
        result = dict(num_samples=self._num_samples, l1=l1, one_minus_ssim=one_minus_ssim)
        return result, [Score("draws_l1", l1), Score("draws_one_minus_ssim", one_minus_ssim)]


class AcrossInputsMeasure(Measure):
    """Outputs of different inputs against one another, beside the targets.

    Args:
        num_pairs: How many will come; `MOST_COMPARED` of them, evenly spread, are
            compared.
    """

    section = "across_inputs"

    def __init__(self, num_pairs: int):
        count = min(num_pairs, MOST_COMPARED)
        self._chosen = set(np.linspace(0, num_pairs - 1, count).round().astype(int).tolist())
        self._num_seen = 0
        self._outputs: list[np.ndarray] = []
        self._targets: list[np.ndarray] = []

    def add(self, pair: MeasuredPair) -> dict[str, float]:
        """Adds a pair, which has no score of its own."""
        if self._num_seen in self._chosen:
            self._outputs.append(pair.draws[0])
            self._targets.append(pair.target_pixels)
        self._num_seen += 1
        return {}

    def result(self) -> tuple[dict | None, list[Score]]:
        """Returns both mean L1 and their ratio; None for fewer than two pairs.

        The ratio is near 0 after a collapse, and 1 where outputs differ as much as
        the targets; None where all targets are equal.
        """
        if len(self._outputs) < 2:
            return None, []
        output, target = (mean_pairwise_l1(np.stack(x)) for x in (self._outputs, self._targets))
        result = dict(
            num_images=len(self._outputs),
            output_l1=output,
            target_l1=target,
            ratio=output / target if target else None,
        )
        return result, [Score("across_inputs_l1", output, ground_truth=target)]
