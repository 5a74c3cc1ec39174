r"""How strong a grid a generator leaves on flat walls, in grey levels.

    python -m benchmarks.grid_pattern --class_index=FOLDER --pictures=FOLDER [--pictures=...]

Transposed convolutions of stride 2 repeat their unevenness every 2, 4, 8, ...
pixels, at the same phase all over a picture. So the wall pixels of a picture are
averaged by their phase, (row mod 8, column mod 8), after the local mean was taken
off: texture averages out, a grid stays. The measure is the standard deviation
over the 64 phases, in grey levels of 255; photos themselves have a floor above 0
(JPEG's blocks are 8 pixels wide, and a wall has few pixels).
"""

from __future__ import annotations

import json
import pathlib

import numpy as np
from absl import flags
from PIL import Image

from pix2pix_tf import commands
from pix2pix_tf.errors import InputError, MissingInputError

PERIOD_PX = 8
WALL_CLASS = 1  # "facade" among the classes of CMP Facades.
MIN_WALL_PIXELS = 64 * 64  # With fewer, a phase has too few pixels to average texture out.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_multi_string("pictures", None, "Folder of 256x256 pictures.", required=True)
    flags.DEFINE_string("class_index", None, "Folder of class indices, same names.", required=True)
    flags.DEFINE_string("json", "", "File for the results; empty for none.")


def grid_strength(grey: np.ndarray, is_wall: np.ndarray) -> float:
    """Returns the standard deviation over phases of a picture's walls.

    Args:
        grey: `[height, width]`, 0 to 255.
        is_wall: `[height, width]`, whether a pixel counts.
    """
    # Local mean over one period in each direction: what is left has no slow shading.
    detail = grey - _box_mean(grey)
    rows, cols = np.nonzero(is_wall)
    phase = (rows % PERIOD_PX) * PERIOD_PX + cols % PERIOD_PX
    counts = np.bincount(phase, minlength=PERIOD_PX**2)
    sums = np.bincount(phase, weights=detail[rows, cols], minlength=PERIOD_PX**2)
    return float(np.std(sums / counts))


def _box_mean(grey: np.ndarray) -> np.ndarray:
    """Returns the mean over the 8x8 pixels around each, reflected at the border."""
    before, after = PERIOD_PX // 2, PERIOD_PX // 2 - 1
    padded = np.pad(grey, ((before, after), (before, after)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PERIOD_PX, PERIOD_PX))
    return windows.mean(axis=(2, 3))


def inner_walls(class_index: np.ndarray) -> np.ndarray:
    """Returns where all of the 17x17 pixels around are wall, so that no edge counts."""
    margin = 8
    padded = np.pad(class_index == WALL_CLASS, margin, constant_values=False)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * margin + 1, 2 * margin + 1))
    return windows.all(axis=(2, 3))


def measure_folder(pictures: pathlib.Path, class_index: pathlib.Path) -> dict[str, float]:
    """Returns the grid strength of each picture that has enough wall, by name.

    Raises:
        InputError: If a picture is missing or none has enough wall.
    """
    strengths = {}
    for index_path in sorted(class_index.glob("*.png")):
        is_wall = inner_walls(np.asarray(Image.open(index_path)))
        if is_wall.sum() < MIN_WALL_PIXELS:
            continue
        path = pictures / index_path.name
        if not path.is_file():
            raise MissingInputError(
                f"'{pictures}' has no '{path.name}'. Translate the whole split."
            )
        grey = np.asarray(Image.open(path).convert("L"), dtype=np.float64)
        strengths[path.stem] = grid_strength(grey, is_wall)
    if not strengths:
        raise InputError(f"No class index in '{class_index}' has {MIN_WALL_PIXELS} pixels of wall.")
    return strengths


def main(unused_arguments: list[str]) -> None:
    """Prints and writes the grid strength of each folder."""
    options = flags.FLAGS
    results = {}
    for folder in options.pictures:
        strengths = measure_folder(pathlib.Path(folder), pathlib.Path(options.class_index))
        values = list(strengths.values())
        results[folder] = dict(
            num_pictures=len(values),
            mean=float(np.mean(values)),
            standard_error=float(np.std(values) / np.sqrt(len(values))),
            per_picture=strengths,
        )
        print(
            f"{folder}: {results[folder]['mean']:.3f} grey levels (standard error "
            f"{results[folder]['standard_error']:.3f}, {len(values)} pictures)"
        )
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    define_flags()
    commands.run(main)
