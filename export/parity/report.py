"""What a comparison found: as a table, as JSON, and as a picture."""

from __future__ import annotations

import json
import math
import pathlib

import numpy as np

from export.parity.runtimes import Inputs
from pix2pix_tf import files, grids

NUM_PICTURES = 2  # Images shown in parity.png.
_RUNTIMES_IN_A_ROW = 4  # Of parity.png; with more the titles could not be read.
_COLUMNS = (
    "runtime | MB | mean difference | max difference | limits | ms | noise: spread "
    "| shift of the mean / sampling error"
)


def write(output: pathlib.Path, result: dict, inputs: list[Inputs], pictures: dict) -> None:
    """Writes `parity.json`, `parity.md` and `parity.png`.

    Args:
        output: The folder.
        result: What `parity.json` holds.
        inputs: The images that were compared.
        pictures: Outputs for the first `NUM_PICTURES` of them, by runtime, the reference first.
    """
    # JSON has no numbers that are not finite: they are null.
    text = json.dumps(_finite(result), indent=1, allow_nan=False)
    files.write_atomically(output / "parity.json", f"{text}\n".encode())
    files.write_atomically(output / "parity.md", _table(result).encode())
    _write_picture(output / "parity.png", inputs, pictures)


def first_line(text: str) -> str:
    """Returns what fits in a line of a report; the whole text is in parity.json."""
    return next(iter(text.splitlines()), "")


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(result: dict) -> str:
    """Returns the rows as a table in Markdown."""
    versions = [f"{name} {number}" for name, number in result["versions"].items()]
    lines = [
        f"Step {result['workdir_step']}, {result['crop_size']}x{result['crop_size']}, batch 1, "
        f"{result['num_images']} images of {result['split']}; Python {result['python']}, "
        f"{', '.join(versions)}.",
        "",
        f"| {_COLUMNS} |",
        "|---" * 8 + "|",
    ]
    for row in result["runtimes"]:
        if "megabytes" not in row:
            reason = first_line(row["faults"][0].removeprefix(f"{row['name']}: "))
            reason = reason.replace("|", "\\|")  # A bar would end the cell.
            lines.append(f"| {row['name']} | failed: {reason} |")
            continue
        noise = "none | none"
        if result["noise_size"]:
            noise = f"{row['spread']:.4f} | {row['mean_shift']:.4f} / {row['sampling_error']:.4f}"
        lines.append(
            f"| {row['name']} | {row['megabytes']:.1f} | {row['mean_difference']:.1e} "
            f"| {row['max_difference']:.1e} | {row['mean_limit']:g} / {row['max_limit']:g} "
            f"| {row['milliseconds']:.0f} | {noise} |"
        )
    return "\n".join(lines) + "\n"


def _write_picture(path: pathlib.Path, inputs: list[Inputs], pictures: dict) -> None:
    """Writes a row of outputs and a row of their differences for each image.

    Runtimes that are too many for one row of readable titles go on below, beside the input again.
    """
    from pix2pix_tf.data import images

    reference = next(iter(pictures.values()))
    num_columns = min(len(pictures), _RUNTIMES_IN_A_ROW)
    bands = []
    for start in range(0, len(pictures), num_columns):
        names = list(pictures)[start : start + num_columns]
        blank = [np.ones_like(reference[0][0])] * (num_columns - len(names))
        rows = []
        for number, (expected,) in enumerate(reference):
            outputs = [pictures[name][number][0] for name in names]
            rows.append([inputs[number]["image"][0], *outputs, *blank])
            # Grey where they agree; ten times the difference.
            differences = [np.clip(10 * (x - expected), -1, 1) for x in outputs]
            rows.append([np.zeros_like(expected), *differences, *blank])
        titles = ["input; below: difference x 10", *names, *[""] * len(blank)]
        bands.append(grids.sample_grid(rows, titles))
    files.write_atomically(path, images.encode_image(np.concatenate(bands), ".png"))
