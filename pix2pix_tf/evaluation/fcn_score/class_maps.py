"""The true class of each pixel of a pair, from the folder of class maps or from label colours."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import classes, images, index_maps
from pix2pix_tf.data.classes import IGNORED, ClassTable
from pix2pix_tf.errors import InputError, MissingInputError


class TrueClasses:
    """The true class maps of one split.

    Args:
        folder: Holds `SPLIT/NAME.png`, see `index_maps.read`; "" to tell the classes by the
            nearest colours of label pictures.
        split: "train", "val" or "test".
        names: Names of the pairs whose maps are needed.
        table: The classes whose indexes the maps hold.

    Raises:
        MissingInputError: If a map is not there.
    """

    def __init__(self, folder: str, split: str, names: Sequence[str], table: ClassTable):
        self._folder, self._table = pathlib.Path(folder, split) if folder else None, table
        paths = [self._folder / f"{name}.png" for name in names] if folder else []
        missing = [path for path in paths if not files.is_file(path)]
        if missing:
            raise MissingInputError(
                f"{len(missing)} of {len(names)} pictures have no class map, the first being "
                f"'{missing[0]}'. Add them, or take the pictures out."
            )

    def read(self, name: str, labels: np.ndarray) -> np.ndarray:
        """Returns the class map of a pair, uint8 `[height, width]`.

        Args:
            name: The pair's.
            labels: The picture that shows its classes, as the file has it; where there are class
                maps its shape alone counts. A map may have any other shape: the paper's
                Cityscapes are views of 2:1 that were squeezed.

        Raises:
            InputError: If the pair is not square, or as `index_maps.read`.
        """
        height, width = labels.shape[:2]
        if height != width:
            raise InputError(
                f"The pictures of pair '{name}' are {width}x{height} pixels. The FCN-score "
                "and --class_maps need square ones, as the paper's are: scale both to a square."
            )
        if self._folder:
            return self._read_map(self._folder / f"{name}.png")
        pixels = images.shown_pixels(images.normalize_image(labels))  # From 16 bits, too.
        return classes.nearest(pixels, self._table)

    def _read_map(self, path: pathlib.Path) -> np.ndarray:
        scored = np.full([IGNORED + 1], IGNORED, np.uint8)  # By the index in the file.
        scored[list(self._table.indexes)] = np.arange(len(self._table.scored))
        return scored[index_maps.read(path, self._table.num_indexes)]
