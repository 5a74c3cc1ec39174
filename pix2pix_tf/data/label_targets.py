"""The classes that the pictures of a data set show, learned from some of them."""

from __future__ import annotations

import numpy as np

from pix2pix_tf.data import classes, images
from pix2pix_tf.data.pipeline import PairReader
from pix2pix_tf.errors import InputError

_NUM_PAIRS = 50  # Spread evenly over all.


def learn(reader: PairReader) -> classes.ClassTable:
    """Returns the classes of the training targets, see `classes.learn`.

    Args:
        reader: The training pairs; they are read as their files have them.

    Raises:
        InputError: If a pair cannot be read, or the targets are not label maps.
    """
    return classes.learn(_some_pictures(reader, side=1))


def are_labels(reader: PairReader, *, side: int) -> bool:
    """Returns whether the pictures of a side, 0 the source and 1 the target, show labels."""
    try:
        classes.learn(_some_pictures(reader, side=side))
    except InputError:
        return False
    return True


def _some_pictures(reader: PairReader, *, side: int) -> list[np.ndarray]:
    numbers = np.linspace(0, len(reader) - 1, min(_NUM_PAIRS, len(reader))).round().astype(int)
    pictures = []
    for number in numbers:
        pixels = images.normalize_image(reader.read_unscaled(number)[side])
        pictures.append(images.in_colour(images.denormalize_image(pixels).numpy()))
    return pictures
