"""What a runtime gives for a model, and how far that is from the reference."""

from __future__ import annotations

import gc
import pathlib
from typing import NamedTuple

import numpy as np

from pix2pix_tf import files

from .limits import Limit
from .runtimes import Inputs, Run, Runtime, Settings


class Measured(NamedTuple):
    """What a runtime gave.

    Attributes:
        outputs: Outputs of `with_noise`, for each image.
        milliseconds: Times of all repetitions but the first of each image.
        draws: Outputs of `serving_default` for one image, `[count, height, width, channels]`.
        first_draw: The first of them from the model when it was loaded a second time.
        depends_on_others: Whether another image in the same batch changes an output.
    """

    outputs: list[np.ndarray]
    milliseconds: list[float]
    draws: np.ndarray
    first_draw: np.ndarray
    depends_on_others: bool


def measure(
    runtime: Runtime,
    path: pathlib.Path,
    settings: Settings,
    inputs: list[Inputs],
    *,
    repeat: int,
    num_draws: int,
) -> Measured:
    """Returns what a runtime gives; its model is in the memory while this runs."""
    outputs, milliseconds = [], []
    with runtime.open(path, settings) as run:
        for one in inputs:
            # The first run of a runtime plans and allocates; its time is not the user's.
            found, times = run("with_noise", one, repeat + 1)
            outputs.append(found[-1])
            milliseconds += times[1:]
        depends_on_others = runtime.takes_batches and _depends_on_others(run, inputs)
        image = dict(image=inputs[0]["image"])
        draws, _ = run("serving_default", image, num_draws)
    del run
    gc.collect()  # One model is in the memory at a time: graphs of TensorFlow are cycles.
    with runtime.open(path, settings) as run:
        first_draw, _ = run("serving_default", image, 1)
    return Measured(outputs, milliseconds, draws[:, 0], first_draw[0, 0], depends_on_others)


def _depends_on_others(run: Run, inputs: list[Inputs]) -> bool:
    """Returns whether the first output of a batch depends on what the second image is."""
    first, other = inputs[0], inputs[-1]
    # Two batches of one size: another size may be computed in another order.
    alone, beside = (
        run("with_noise", {name: np.concatenate([first[name], x[name]]) for name in first}, 1)[0][0]
        for x in (first, dict(other, image=-other["image"]))
    )
    return bool((alone[0] != beside[0]).any())


def row(
    runtime: Runtime, path: pathlib.Path, measured: Measured, expected: Measured, has_noise: bool
) -> dict:
    """Returns a runtime's row of `parity.json`, with its faults in words."""
    limit = runtime.limit
    differences = np.abs(np.stack(measured.outputs) - np.stack(expected.outputs))
    values = dict(
        name=runtime.name,
        megabytes=files.megabytes(path),
        mean_difference=float(differences.mean()),
        max_difference=float(differences.max()),
        mean_limit=limit.mean,
        max_limit=limit.max,
        mean_shift_limit=limit.mean_shift,
        milliseconds=float(np.median(measured.milliseconds)),
        distinct_draws=len({draw.tobytes() for draw in measured.draws}),
    )
    faults = []
    for kind, allowed in (("mean", limit.mean), ("max", limit.max)):
        found = values[f"{kind}_difference"]
        if not found <= allowed:  # NaN is a fault too.
            faults.append(f"{kind} difference {found:.2g}, limit {allowed:.2g}")
    if has_noise:
        values.update(noise_values(measured.draws, expected.draws))
        faults += noise_faults(values, limit)
        if any(np.array_equal(measured.first_draw, draw) for draw in measured.draws):
            faults.append("a freshly loaded model repeats its noise")
    elif values["distinct_draws"] > 1:
        faults.append("the model has no noise, and calls of serving_default differ")
    if measured.depends_on_others:
        faults.append("another image in the same batch changes the output")
    return dict(values, faults=[f"{runtime.name}: {fault}" for fault in faults])


def noise_values(draws: np.ndarray, expected: np.ndarray) -> dict:
    """Returns how alive the noise is, and how far the mean over it is from the reference's."""
    count = len(draws)
    # Of the mean of N draws against the mean of N others: each has the variance s^2 / N.
    sampling = np.sqrt((draws.var(axis=0, ddof=1) + expected.var(axis=0, ddof=1)) / count)
    shift = draws.mean(axis=0) - expected.mean(axis=0)
    return dict(
        spread=float(draws.std(axis=0, ddof=1).mean()),
        expected_spread=float(expected.std(axis=0, ddof=1).mean()),
        mean_shift=float(np.sqrt(np.mean(np.square(shift)))),
        sampling_error=float(np.sqrt(np.mean(np.square(sampling)))),
    )


def noise_faults(values: dict, limit: Limit) -> list[str]:
    """Returns what is wrong with the noise that a runtime draws, in words."""
    faults = []
    if values["distinct_draws"] < 2:
        faults.append("all calls of serving_default give the same picture")
    # Rounding to 8 bits adds a third, see docs/parity.md; a dropout that is lost takes as much.
    ratio = values["spread"] / max(values["expected_spread"], 1e-12)
    if not 0.7 <= ratio <= 1.6:
        faults.append(f"the noise is {ratio:.2f} times as strong as Keras'")
    # Twice the error that is expected of two samples of the same distribution; a quantised
    # model is a slightly different one, by what its limit allows.
    allowed = 2 * values["sampling_error"] + limit.mean_shift
    if not values["mean_shift"] <= allowed:
        faults.append(
            f"the mean over draws is off by {values['mean_shift']:.2g}, allowed {allowed:.2g}"
        )
    return faults
