"""`--size` of the converters: which images a converted model is made for."""

from __future__ import annotations

import re
from typing import Union

from pix2pix_tf.errors import InputError

DYNAMIC = "dynamic"
# (height, width) in pixels; or DYNAMIC, any size and batch; or None, crop_size of the training.
ImageSize = Union[tuple[int, int], str, None]
FLAG_HELP = (
    "Pixels of the images that the model takes, one at a time: HEIGHTxWIDTH, or one number for a "
    f"square; or '{DYNAMIC}' for batches of any size, slower, since sizes are then computed at "
    "each call. Empty: crop_size x crop_size, of the training."
)


def parse(text: str) -> ImageSize:
    """Returns what a value of `--size` means.

    Args:
        text: "256x512", height first; "256" for a square; "dynamic"; or "".

    Raises:
        InputError: If it is none of these, or larger than what the project reads.
    """
    from pix2pix_tf.data import images

    if text in ("", DYNAMIC):
        return text or None
    found = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text, re.ASCII)
    if not found:
        raise InputError(
            f"size is {text!r}. Write height and width in pixels, as 256x512, one number for a "
            f"square, or {DYNAMIC}."
        )
    height, width = int(found[1]), int(found[2] or found[1])
    if height * width > images.MAX_PIXELS:
        raise InputError(
            f"size is {text!r}, more than the {images.MAX_PIXELS} pixels that are read. Use less."
        )
    return height, width
