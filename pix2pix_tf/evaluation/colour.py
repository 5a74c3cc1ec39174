"""Colour, as the paper's figure has it: marginal histograms in CIE Lab and how far they overlap.

A network that averages over what is possible gives greyish pictures, whose a and b
are narrower than those of the photos.
"""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure

from pix2pix_tf.data.lab import WHITE, XYZ_OF_RGB
from pix2pix_tf.evaluation.measure import MeasuredPair
from pix2pix_tf.evaluation.score import Score

AXES = ("L", "a", "b")
# Bins 1 wide. sRGB has a from -86.2 to 98.3 and b from -107.9 to 94.5. Of both, 0 is the middle of
# a bin: on an edge, rounding would spread the greys over two.
_CHROMA = np.arange(-110.5, 111.0)
EDGES = {"L": np.arange(0.0, 101.0), "a": _CHROMA, "b": _CHROMA}

_LINEAR_BELOW = (6.0 / 29.0) ** 3


def rgb_to_lab(image: np.ndarray) -> np.ndarray:
    """Returns CIE L*a*b* (D65, 2 degrees) of sRGB, as `lab.to_lab` but in float64.

    Args:
        image: `[..., 3]` in [-1, 1].

    Returns:
        float64 `[..., 3]`: L from 0 to 100, a and b in about [-108, 99].
    """
    rgb = (np.asarray(image, np.float64) + 1.0) / 2.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0.0) + 0.055) / 1.055) ** 2.4)
    xyz = linear @ XYZ_OF_RGB.T / WHITE
    f = np.where(xyz > _LINEAR_BELOW, np.cbrt(xyz), xyz * (29.0 / 6.0) ** 2 / 3.0 + 4.0 / 29.0)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def histograms(image: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the number of pixels in each bin of `EDGES`, for L, a and b.

    Args:
        image: `[..., 3]` in [-1, 1].
    """
    lab = rgb_to_lab(image).reshape(-1, 3)
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


class ColourMeasure:
    """The histograms of all outputs against those of all targets.

    Args:
        with_inputs: Whether those of the inputs are measured too. Of colorization they are
            grey photos: an output that is no nearer to the targets has no colours of worth.
    """

    section = "colour"

    def __init__(self, *, with_inputs: bool = False):
        self._outputs, self._targets = _no_counts(), _no_counts()
        self._inputs = _no_counts() if with_inputs else None

    def add(self, pair: MeasuredPair) -> dict[str, float]:
        """Counts a pair; returns the mean intersection of its own three histograms."""
        of_output, of_target = histograms(pair.output_rgb), histograms(pair.target_rgb)
        for axis in AXES:
            self._outputs[axis] += of_output[axis]
            self._targets[axis] += of_target[axis]
        if self._inputs is not None:
            for axis, counts in histograms(pair.source_rgb).items():
                self._inputs[axis] += counts
        common = [intersection(of_output[axis], of_target[axis]) for axis in AXES]
        return {"colour_intersection": float(np.mean(common))}

    def result(self) -> dict:
        """Returns the intersections over all pixels of all pairs, their mean, and the counts."""
        common = _intersections(self._outputs, self._targets)
        result = dict(
            intersection=common,
            mean_intersection=float(np.mean(list(common.values()))),
            bin_width=1.0,
            first_bin={axis: float(EDGES[axis][0]) for axis in AXES},
            output_counts={axis: self._outputs[axis].tolist() for axis in AXES},
            target_counts={axis: self._targets[axis].tolist() for axis in AXES},
        )
        if self._inputs is not None:
            of_inputs = _intersections(self._inputs, self._targets)
            result["input_intersection"] = of_inputs
            result["mean_input_intersection"] = float(np.mean(list(of_inputs.values())))
        return result

    def scores(self, result: dict) -> list[Score]:
        """Returns the mean intersection, and that of the inputs if it is measured."""
        scores = [Score("colour_intersection", result["mean_intersection"])]
        if "mean_input_intersection" in result:
            scores.append(Score("grey_colour_intersection", result["mean_input_intersection"]))
        return scores


def _no_counts() -> dict[str, np.ndarray]:
    return {axis: np.zeros(len(EDGES[axis]) - 1, np.int64) for axis in AXES}


def _intersections(first: dict, second: dict) -> dict[str, float]:
    return {axis: intersection(first[axis], second[axis]) for axis in AXES}


def plot(result: dict) -> bytes:
    """Returns the histograms of `ColourMeasure.result` as a PNG, log probability by value."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, axis in zip(figure.subplots(1, len(AXES), sharey=True), AXES):
        for name, label in (("target", "ground truth"), ("output", "output")):
            counts = np.array(result[f"{name}_counts"][axis], np.float64)
            centres = result["first_bin"][axis] + result["bin_width"] * (
                np.arange(len(counts)) + 0.5
            )
            shares = counts / counts.sum()
            there = shares > 0  # The logarithm of an empty bin is left out.
            axes.plot(centres[there], np.log10(shares[there]), label=label, lw=1)
        common = result["intersection"][axis]
        axes.set_title(f"{axis}, intersection {common:.2f}", loc="left", fontsize=10)
        axes.set_xlabel(axis)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("log10 of probability")
    figure.axes[0].legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
