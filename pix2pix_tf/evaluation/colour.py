"""Colour, as the paper's figure has it: marginal histograms in CIE Lab and how far they overlap.

A network that averages over what is possible gives greyish pictures, whose a and b
are narrower than those of the photos.
"""

from __future__ import annotations

import numpy as np

from pix2pix_tf import figures
from pix2pix_tf.data import images
from pix2pix_tf.data.lab import to_lab
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair, Score

AXES = ("L", "a", "b")
# Bins 1 wide. sRGB has a from -86.2 to 98.3 and b from -107.9 to 94.5. Of both, 0 is the middle of
# a bin: on an edge, rounding would spread the greys over two.
_CHROMA = np.arange(-110.5, 111.0)
EDGES = {"L": np.arange(0.0, 101.0), "a": _CHROMA, "b": _CHROMA}


def histograms(image: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the number of pixels in each bin of `EDGES`, for L, a and b.

    Args:
        image: `[..., 3]` in [-1, 1].
    """
    lab = to_lab(image).numpy().reshape(-1, 3)
    counts = {}
    for number, axis in enumerate(AXES):
        edges = EDGES[axis]
        # Rounding may put white a hair above 100.
        values = np.clip(lab[:, number], edges[0], edges[-1])
        counts[axis] = np.histogram(values, bins=edges)[0]
    return counts


def intersection(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the common area of two histograms, each brought to the sum 1; 0 to 1."""
    return float(np.minimum(first / first.sum(), second / second.sum()).sum())


class ColourMeasure(Measure):
    """The histograms of all outputs against those of all targets.

    Args:
        with_inputs: Whether those of the inputs are measured too. Of colorization they are
            grey photos: an output that is no nearer to the targets has no colours of worth.
    """

    section = "colour"

    def __init__(self, *, with_inputs: bool = False):
        pictures = ("output", "target", "source") if with_inputs else ("output", "target")
        self._counts = {picture: dict.fromkeys(AXES, 0) for picture in pictures}

    def add(self, pair: MeasuredPair) -> dict[str, float]:
        """Counts a pair; returns the mean intersection of its own three histograms."""
        own = {}
        for picture, counts in self._counts.items():
            own[picture] = histograms(images.in_colour(getattr(pair, picture)))
            for axis in AXES:
                counts[axis] += own[picture][axis]
        return {"colour_intersection": _mean(_intersections(own["output"], own["target"]))}

    def result(self) -> tuple[dict, list[Score]]:
        """Returns the intersections over all pixels of all pairs, and the counts; their means."""
        outputs, targets = self._counts["output"], self._counts["target"]
        common = _intersections(outputs, targets)
        result = dict(
            intersection=common,
            mean_intersection=_mean(common),
            bin_width=1.0,
            first_bin={axis: float(EDGES[axis][0]) for axis in AXES},
            output_counts={axis: outputs[axis].tolist() for axis in AXES},
            target_counts={axis: targets[axis].tolist() for axis in AXES},
        )
        scores = [Score("colour_intersection", _mean(common))]
        if "source" in self._counts:
            of_inputs = _intersections(self._counts["source"], targets)
            result.update(input_intersection=of_inputs, mean_input_intersection=_mean(of_inputs))
            scores.append(Score("grey_colour_intersection", _mean(of_inputs)))
        return result, scores


def _intersections(first: dict, second: dict) -> dict[str, float]:
    return {axis: intersection(first[axis], second[axis]) for axis in AXES}


def _mean(intersections: dict[str, float]) -> float:
    return float(np.mean(list(intersections.values())))


def plot(result: dict) -> bytes:
    """Returns the histograms of `ColourMeasure.result` as a PNG, log probability by value."""
    figure = figures.new_figure(figsize=(9, 3))
    for axes, axis in zip(figure.subplots(1, len(AXES), sharey=True), AXES):
        for name, label in (("target", "ground truth"), ("output", "output")):
            counts = np.array(result[f"{name}_counts"][axis], np.float64)
            there = counts > 0  # The logarithm of an empty bin is left out.
            centres = (EDGES[axis][:-1] + 0.5)[there]
            axes.plot(centres, np.log10(counts[there] / counts.sum()), label=label, lw=1)
        common = result["intersection"][axis]
        axes.set_title(f"{axis}, intersection {common:.2f}", loc="left", fontsize=10)
        axes.set_xlabel(axis)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("log10 of probability")
    figure.axes[0].legend(fontsize=8)
    return figures.to_png(figure)
