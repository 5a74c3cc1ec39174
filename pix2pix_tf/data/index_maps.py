"""Files of class maps: grey PNG files whose values are indexes of classes."""

from __future__ import annotations

import pathlib

import numpy as np

from pix2pix_tf.data import image_files, images, picture_files
from pix2pix_tf.data.classes import IGNORED
from pix2pix_tf.errors import InputError


def read(path: pathlib.Path, num_classes: int) -> np.ndarray:
    """Returns a class map, uint8 `[height, width]`.

    Args:
        path: A grey PNG whose values are the indexes, or one with a palette, where the indexes
            count and not the colours.
        num_classes: Indexes are below it, or `classes.IGNORED`.

    Raises:
        InputError: If it cannot be read, is neither, or holds other indexes.
    """
    info = images.inspect_image(path)
    with image_files.reading(path, "a class map"), image_files.open_file(path) as file:
        picture = picture_files.open_picture(path, file, has_pixels=True)
        kind, mode = picture.format, picture.mode
        pixels = np.asarray(picture.convert("L") if mode == "1" else picture)
    if kind != "PNG" or mode not in ("1", "L", "P") or info.bits > 8:
        raise InputError(
            f"'{path}' is a {kind} of mode {mode}, which does not hold indexes. Class maps are "
            "grey PNG files with up to 8 bits, or have a palette."
        )
    indexes = pixels if mode == "P" else _stored_indexes(pixels, bits=info.bits)
    found = np.unique(indexes)
    wrong = found[(found >= num_classes) & (found != IGNORED)]
    if wrong.size:
        raise InputError(
            f"'{path}' holds {', '.join(map(str, wrong[:5]))}, but the classes are 0 to "
            f"{num_classes - 1}, and {IGNORED} for what is ignored. Pass the right "
            "--classes; those of cityscapes are its train ids."
        )
    return indexes


def _stored_indexes(pixels: np.ndarray, *, bits: int) -> np.ndarray:
    """Returns the values that a grey file of 1 to 8 bits holds, given its pixels as decoded, uint8.

    Decoders stretch the 1, 2 or 4 bits of a small PNG to 0 to 255, as is right for a shade. The
    last index of such a class map would be `classes.IGNORED`.
    """
    return pixels // (255 // (2**bits - 1))
