"""What a comparison found: as a table, as JSON, and as a picture."""

from __future__ import annotations

import json
import pathlib

import numpy as np

from pix2pix_tf import files, grids
from pix2pix_tf.errors import printable

from .runtimes import Inputs

NUM_PICTURES = 2  # Images shown in parity.png.
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
    files.write_atomically(output / "parity.json", f"{json.dumps(result, indent=1)}\n".encode())
    files.write_atomically(output / "parity.md", _table(result).encode())
    _write_picture(output / "parity.png", inputs, pictures)


def _table(result: dict) -> str:
    """Returns the rows as a table in Markdown."""
    versions = [f"{name} {number}" for name, number in result["versions"].items()]
    lines = [
        f"Step {result['workdir_step']}, {result['crop_size']}x{result['crop_size']}, batch 1, "
        f"{result['num_images']} held-out images; Python {result['python']}, "
        f"{', '.join(versions)}.",
        "",
        f"| {_COLUMNS} |",
        "|---" * 8 + "|",
    ]
    for row in result["runtimes"]:
        if "megabytes" not in row:
            reason = printable(row["faults"][0]).replace("|", "\\|")  # A bar would end the cell.
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
    """Writes a row of outputs and a row of their differences for each image."""
    from pix2pix_tf.data import images

    reference = next(iter(pictures.values()))
    rows = []
    for number, (expected,) in enumerate(reference):
        outputs = [outputs[number][0] for outputs in pictures.values()]
        rows.append([inputs[number]["image"][0], *outputs])
        # Grey where they agree; ten times the difference.
        differences = [np.clip(10 * (output - expected), -1, 1) for output in outputs]
        rows.append([np.zeros_like(expected), *differences])
    grid = grids.sample_grid(rows, ["input; below: difference x 10", *pictures])
    files.write_atomically(path, images.encode_image(grid, ".png"))
