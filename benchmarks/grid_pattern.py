r"""Measures how strong a grid a generator leaves on flat walls, in grey levels.

    python -m benchmarks.grid_pattern --class_index=FOLDER --pictures=FOLDER [--pictures=...]

Transposed convolutions of stride 2 repeat their unevenness every 2, 4, 8, ...
pixels, at the same phase all over a picture. So the wall pixels of a picture are
averaged by their phase, (row mod 8, column mod 8), after the local mean was taken
off: texture averages out, a grid stays. The measure is the standard deviation
over the 64 phases, in grey levels of 255; photos themselves have a floor above 0
(JPEG's blocks are 8 pixels wide, and a wall has few pixels).
"""

from __future__ import annotations

import pathlib

import numpy as np
from absl import flags
from PIL import Image
from scipy import ndimage

from benchmarks import results
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
    detail = grey - ndimage.uniform_filter(grey, PERIOD_PX, mode="mirror")
    rows, cols = np.nonzero(is_wall)
    phase = (rows % PERIOD_PX) * PERIOD_PX + cols % PERIOD_PX
    counts = np.bincount(phase, minlength=PERIOD_PX**2)
    sums = np.bincount(phase, weights=detail[rows, cols], minlength=PERIOD_PX**2)
    return float(np.std(sums / counts))


def inner_walls(class_index: np.ndarray) -> np.ndarray:
    """Returns where all of the 17x17 pixels around are wall, so that no edge counts."""
    return ndimage.minimum_filter(class_index == WALL_CLASS, 17, mode="constant", cval=False)


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
                f"'{pictures}' does not have '{path.name}'. Translate the whole split."
            )
        grey = np.asarray(Image.open(path).convert("L"), dtype=np.float64)
        strengths[path.stem] = grid_strength(grey, is_wall)
    if not strengths:
        raise InputError(f"No class index in '{class_index}' has {MIN_WALL_PIXELS} pixels of wall.")
    return strengths


def mean_over_pictures(folder: pathlib.Path) -> float:
    """Returns the mean grid strength of all pictures in a folder, each as a whole."""
    strengths = []
    for path in sorted(folder.glob("*.png")):
        grey = np.asarray(Image.open(path).convert("L"), dtype=np.float64)
        strengths.append(grid_strength(grey, np.ones_like(grey, dtype=bool)))
    return float(np.mean(strengths))


def main(unused_arguments: list[str]) -> None:
    """Prints and writes the grid strength of each folder."""
    options = flags.FLAGS
    measured = {}
    for folder in options.pictures:
        strengths = measure_folder(pathlib.Path(folder), pathlib.Path(options.class_index))
        values = list(strengths.values())
        mean, error = float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))
        measured[folder] = dict(mean=mean, standard_error=error, per_picture=strengths)
        print(
            f"{folder}: {mean:.3f} grey levels (standard error {error:.3f}, {len(values)} pictures)"
        )
    results.write(measured, options.json)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
