"""The classes that the targets of a data set show, learned from some of them."""

from __future__ import annotations

import numpy as np

from pix2pix_tf.data import classes, images
from pix2pix_tf.data.pipeline import PairReader

_NUM_PAIRS = 50  # Spread evenly over all.


def learn(reader: PairReader) -> classes.ClassTable:
    """Returns the classes of the training targets, see `classes.learn`.

    Args:
        reader: The training pairs; they are read as their files have them.

    Raises:
        InputError: If a pair cannot be read, or the targets are not label maps.
    """
    numbers = np.linspace(0, len(reader) - 1, min(_NUM_PAIRS, len(reader))).round().astype(int)
    pictures = []
    for number in numbers:
        _, target = reader.read_unscaled(number)
        pixels = images.denormalize_image(images.normalize_image(target)).numpy()
        pictures.append(images.in_colour(pixels))
    return classes.learn(pictures)
