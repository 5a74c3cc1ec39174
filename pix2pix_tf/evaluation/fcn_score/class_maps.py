"""True class maps, read from the folder in which a data set keeps them."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import images
from pix2pix_tf.data.classes import IGNORED, ClassTable, stored_indexes
from pix2pix_tf.errors import InputError, MissingInputError


class ClassMaps:
    """The true class maps of one split: `FOLDER/SPLIT/NAME.png`, grey, with up to 8 bits.

    Args:
        folder: Has a folder per split.
        split: "train", "val" or "test".
        names: Names of the pairs whose maps are needed.
        table: The classes whose indexes the maps hold.

    Raises:
        MissingInputError: If a map is not there.
    """

    def __init__(
        self, folder: str | pathlib.Path, split: str, names: Sequence[str], table: ClassTable
    ):
        self._paths = {name: pathlib.Path(folder) / split / f"{name}.png" for name in names}
        self._table = table
        missing = [path for path in self._paths.values() if not files.is_file(path)]
        if missing:
            raise MissingInputError(
                f"{len(missing)} of {len(names)} pictures have no class map, the first being "
                f"'{missing[0]}'. Add them, or take the pictures out."
            )

    def read(self, name: str) -> np.ndarray:
        """Returns the class map of a pair, uint8 `[height, width]`.

        Raises:
            InputError: If it is not a grey image of up to 8 bits, or has values that are not
                classes, naming the file.
        """
        path = self._paths[name]
        info = images.inspect_image(path)
        if info.channels != 1 or info.bits > 8:
            raise InputError(
                f"'{path}' has {info.channels} channels of {info.bits} bits. Write the class of "
                "each pixel as a grey PNG with 8 bits, not as a colour."
            )
        pixels = images.read_pixels(path, channels=1)[..., 0]
        class_map = stored_indexes(pixels, bits=info.bits)
        count = len(self._table.scored)
        wrong = class_map[(class_map >= count) & (class_map != IGNORED)]
        if wrong.size:
            raise InputError(
                f"'{path}' has the value {wrong.max()}, which is not a class of "
                f"{self._table.name}: classes are 0 to {count - 1}, and {IGNORED} is ignored. "
                "Write train ids, not other numbers."
            )
        return class_map
