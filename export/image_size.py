"""The images that a converted model is made for, `--size` of the converters, and their z."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Union

from pix2pix_tf.errors import InputError

if TYPE_CHECKING:
    from pix2pix_tf.networks import Block  # With TensorFlow, which not all who ask need.

DYNAMIC = "dynamic"
SIGNATURES = ("serving_default", "with_noise")  # What they are converted from.
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
        raise InputError(f"size is {text!r}. Write pixels, as 256x512 or 256, or {DYNAMIC}.")
    height, width = int(found[1]), int(found[2] or found[1])
    if height * width > images.MAX_PIXELS:
        raise InputError(f"size is {text!r}; the limit is {images.MAX_PIXELS} pixels.")
    return height, width


def block_of(card: dict) -> Block:
    """Returns the smallest image that an exported model takes, by its card."""
    from pix2pix_tf.networks import Block

    return Block.of_card(card)


def example_size(card: dict, size: ImageSize) -> tuple[int, int]:
    """Returns (height, width) of an image that a model of this size takes."""
    crop_size = card["config"]["crop_size"]
    return (crop_size, crop_size) if size in (None, DYNAMIC) else size


def input_specs(card: dict, size: ImageSize) -> dict:
    """Returns what signatures are traced for, `tf.TensorSpec` of `image` and `z`.

    A batch of one, unless dynamic.
    """
    import tensorflow as tf

    channels = card["config"]["input_channels"]
    shapes = dict(image=[None, None, None, channels], z=[None, None])
    if size != DYNAMIC:
        height, width = example_size(card, size)
        noise_size = block_of(card).noise_size_of(height, width)
        shapes = dict(image=[1, height, width, channels], z=[1, noise_size])
    return {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}
