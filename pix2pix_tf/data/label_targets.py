"""The classes that the pictures of a data set show, told by some of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pix2pix_tf.data import classes, images, label_pictures
from pix2pix_tf.data.pipeline import PairReader
from pix2pix_tf.errors import InputError

_NUM_PAIRS = 50  # Spread evenly over all.
_NUM_CHECKED = 8  # Likewise.


def learn(reader: PairReader) -> classes.ClassTable:
    """Returns the classes of the training targets, see `label_pictures.learn`.

    Args:
        reader: The training pairs; they are read as their files have them.

    Raises:
        InputError: If a pair cannot be read, or the targets are not label maps.
    """
    return label_pictures.learn(_some_pictures(reader, _NUM_PAIRS, side=1))


def are_labels(reader: PairReader, *, side: int) -> bool:
    """Returns whether the pictures of a side, 0 the source and 1 the target, show labels."""
    try:
        label_pictures.learn(_some_pictures(reader, _NUM_PAIRS, side=side))
    except InputError:
        return False
    return True


def checked(
    reader: PairReader, table: classes.ClassTable, *, is_guess: bool
) -> classes.ClassTable | None:
    """Returns the classes of targets if these show them, by the look of a few; else None.

    A folder's name may tell another layout than its own, and a file the classes of another set.

    Args:
        reader: The pairs.
        table: The classes.
        is_guess: Whether nobody named them.

    Raises:
        InputError: If a pair cannot be read; or, of classes that were named, if the targets show
            others.
    """
    test = label_pictures.LabelTest(table)
    for picture in _some_pictures(reader, _NUM_CHECKED, side=1):
        test.add(picture)
    if test.shows_classes and not test.holds_indexes:
        return table
    if is_guess:
        return None
    raise InputError(
        f"The targets {label_pictures.OF_INDEXES}"
        if test.holds_indexes
        else f"The targets do not show the classes of '{table.name}': less than half of their even "
        "areas has one of its colours. Name the right ones by --classes, and the right --direction."
    )


def _some_pictures(reader: PairReader, limit: int, *, side: int) -> Iterator[np.ndarray]:
    """Yields what is shown of some pictures of a side, uint8 `[height, width, 3]`."""
    for number in np.linspace(0, len(reader) - 1, min(limit, len(reader))).round().astype(int):
        yield images.shown_pixels(images.normalize_image(reader.read_unscaled(number)[side]))
