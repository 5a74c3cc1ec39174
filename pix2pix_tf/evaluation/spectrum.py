"""Sharpness: the radially averaged power spectrum of outputs against that of targets.

Natural pictures have less power the finer the detail; blur takes the fine end away,
a grid or noise adds to it. The curve shows where, one number says how much.
"""

from __future__ import annotations

import numpy as np

from pix2pix_tf import figures
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair, Score

HIGH_FREQUENCY = 0.25  # Cycles per pixel: detail finer than 4 pixels a period.
_NO_POWER = 1e-20  # Rounding leaves as much of a flat picture.
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as the project's grey.


def radial_power(image: np.ndarray) -> np.ndarray:
    """Returns the mean power of an image's luminance by spatial frequency.

    The mean is taken off and the picture fades out at its borders (a Hann window):
    else the jump from one border to the other, which is in every picture, would
    hide what a blur takes away.

    Args:
        image: `[height, width, 3]` in [-1, 1]; the central square of `size` pixels counts.

    Returns:
        float64 `[size // 2]`: the mean of |DFT|^2 over rings one index wide;
        entry k is at (k + 1) / size cycles per pixel, the last at 1/2 where `size`
        is even and half a ring below where it is odd.
    """
    size = min(image.shape[:2])
    row, column = ((side - size) // 2 for side in image.shape[:2])
    square = image[row : row + size, column : column + size]
    grey = np.asarray(square, np.float64) @ _LUMINANCE
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(size) + 0.5) / size)
    window = np.outer(hann, hann)
    grey = (grey - (grey * window).sum() / window.sum()) * window
    power = np.square(np.abs(np.fft.fft2(grey)))
    index = np.fft.fftfreq(size, d=1.0 / size)
    ring = np.hypot(index[:, np.newaxis], index).round().astype(int)  # The distance from zero.
    inside = ring <= size // 2  # The corners, beyond 1/2 cycle per pixel, are left out.
    sums = np.bincount(ring[inside], weights=power[inside])
    return (sums / np.bincount(ring[inside]))[1:]


def frequencies(size: int) -> np.ndarray:
    """Returns the frequencies of `radial_power` in cycles per pixel, `[size // 2]`."""
    return np.arange(1, size // 2 + 1) / size


class SpectrumMeasure(Measure):
    """The mean spectrum of outputs and of targets."""

    section = "sharpness"

    def __init__(self):
        self._size = 0
        self._powers: list[tuple[np.ndarray, np.ndarray]] = []  # Output, target.

    def add(self, pair: MeasuredPair) -> dict[str, float | None]:
        """Adds a pair; returns its own ratio, None for a target without fine detail."""
        self._size = min(pair.target.shape[:2])
        output, target = map(radial_power, pair.both_in_colour)
        self._powers.append((output, target))
        return {"sharpness": _ratio(output, target, self._size)}

    def result(self) -> tuple[dict, list[Score]]:
        """Returns the curves, and the ratio of their high-frequency power.

        The ratio, output by target, is 1 where outputs are as sharp as the
        targets, less for blur, more for noise and grids; None where the targets
        have no fine detail.
        """
        output, target = np.mean(self._powers, axis=0)
        ratio = _ratio(output, target, self._size)
        result = dict(
            high_frequency_ratio=ratio,
            above_cycles_per_pixel=HIGH_FREQUENCY,
            cycles_per_pixel=frequencies(self._size).tolist(),
            output_power=output.tolist(),
            target_power=target.tolist(),
        )
        return result, [Score("sharpness", ratio)]


def _ratio(output: np.ndarray, target: np.ndarray, size: int) -> float | None:
    """Returns the power above `HIGH_FREQUENCY`, each ring by its circumference, by the target's."""
    frequency = frequencies(size)
    is_high = frequency > HIGH_FREQUENCY
    of_output, of_target = ((x * frequency)[is_high].sum() for x in (output, target))
    return float(of_output / of_target) if of_target >= _NO_POWER else None


def plot(result: dict) -> bytes:
    """Returns the curves of `SpectrumMeasure.result` as a PNG, both axes logarithmic."""
    figure = figures.new_figure(figsize=(6, 3.6))
    axes = figure.subplots()
    for name, label in (("target", "ground truth"), ("output", "output")):
        axes.loglog(result["cycles_per_pixel"], result[f"{name}_power"], label=label, lw=1.2)
    axes.set_xscale("log", base=2)  # Labels of tens and of what is between would overlap.
    axes.axvline(result["above_cycles_per_pixel"], color="grey", lw=0.8, ls="--")
    ratio = result["high_frequency_ratio"]
    title = "no fine detail in the targets"
    if ratio is not None:
        title = f"power right of the dashed line, output by ground truth: {ratio:.2f}"
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("cycles per pixel")
    axes.set_ylabel("power")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    return figures.to_png(figure)
