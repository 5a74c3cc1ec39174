"""Resizing, the paper's jitter, and padding: pure functions on tensors.

Images are `[height, width, channels]`. Random choices come from a `seed` of two
integers given by the caller, so that the same seed gives the same picture.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, Union

import tensorflow as tf

Size = Union[int, tuple[int, int]]  # Pixels of a square's side, or (height, width).


def sides_of(size: Size) -> tuple[int, int]:
    """Returns (height, width)."""
    return (size, size) if isinstance(size, int) else size


def resize_to_cover(image, size: Size) -> tf.Tensor:
    """Returns `image` scaled, its shape kept, to the smallest size that covers `size`.

    The paper's sets are square, where this is its resize to `size` x `size`;
    other pictures are not distorted. Bilinear, as in the authors' Torch code; antialiasing
    when it shrinks is ours. An image that has the size already is returned untouched.

    Args:
        image: `[height, width, channels]`, any numeric dtype.
        size: What has to be covered.

    Returns:
        The same dtype as `image`; integers are rounded.
    """
    image = tf.convert_to_tensor(image)
    sides = tf.constant(sides_of(size))
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.reduce_max(tf.cast(sides, tf.float32) / shape)
    new_shape = tf.maximum(tf.cast(tf.round(shape * scale), tf.int32), sides)
    resized = tf.image.resize(image, new_shape, method="bilinear", antialias=True)
    if image.dtype.is_integer:
        # Bilinear interpolation stays within the range of what it is given.
        resized = tf.round(resized)
    return tf.cast(resized, image.dtype)


@functools.cache
def compiled_resize(size: Size, dtype: tf.DType) -> Callable:
    """Returns `resize_to_cover` to a size as one operation, on the CPU, for arrays of a type."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], dtype)], autograph=False)
    def resize(image: tf.Tensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            return resize_to_cover(image, size)

    return resize


class Jitter(NamedTuple):
    """What is changed of a pair at random, beside the place of the crop.

    Attributes:
        mirror: Whether half of the pairs are flipped left to right. Paper: appendix 6.2.
        vertical_flip: Whether half are flipped top to bottom. Ours, as the rest.
        rotate90: Whether they are turned by a random multiple of 90 degrees.
        input_jitter: Most change of the input alone: of its contrast as a share, and of its
            brightness in units of [-1, 1]. 0: none.
    """

    mirror: bool = True
    vertical_flip: bool = False
    rotate90: bool = False
    input_jitter: float = 0.0


_WITH_ALPHA = 4  # Channels.


def jitter_pair(source, target, *, crop_size: Size, jitter: Jitter, seed):
    """Returns the same random crop, flips and turn of both images of a pair.

    Args:
        source: `[height, width, channels]` in [-1, 1], at least as large as the crop.
        target: As `source`; the channels may differ.
        crop_size: What is cut out; a square if `jitter.rotate90`.
        jitter: What else is done.
        seed: Two integers. Paper: appendix 6.2, "random jitter".

    Returns:
        (source, target), both of `crop_size`.
    """
    # Three independent draws from one seed.
    crop_row, crop_col, flip = tf.unstack(tf.random.stateless_uniform([3], seed))
    room = tf.cast(tf.shape(source)[:2] - sides_of(crop_size) + 1, tf.float32)
    row, col = tf.unstack(tf.cast(tf.stack([crop_row, crop_col]) * room, tf.int32))
    source, target = (_crop(image, row, col, crop_size) for image in (source, target))
    if jitter.mirror:
        source, target = tf.cond(
            flip < 0.5, lambda: (source[:, ::-1], target[:, ::-1]), lambda: (source, target)
        )
    if not any(jitter[1:]):
        return source, target
    # From a seed of their own, so that the draws above are the same with them and without.
    own_seed = tf.random.experimental.stateless_fold_in(seed, 1)
    upside_down, turn, contrast, brightness = tf.unstack(tf.random.stateless_uniform([4], own_seed))
    if jitter.vertical_flip:
        source, target = tf.cond(
            upside_down < 0.5, lambda: (source[::-1], target[::-1]), lambda: (source, target)
        )
    if jitter.rotate90:
        turns = tf.cast(4 * turn, tf.int32)
        source, target = (
            tf.ensure_shape(tf.image.rot90(image, turns), image.shape) for image in (source, target)
        )
    if jitter.input_jitter:
        factor = 1 + jitter.input_jitter * (2 * contrast - 1)
        shift = jitter.input_jitter * (2 * brightness - 1)
        source = _change_light(source, factor, shift)
    return source, target


def _change_light(image: tf.Tensor, factor: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Returns an image with its contrast changed around its mean, and its brightness."""
    alpha = image[..., _WITH_ALPHA - 1 :] if image.shape[-1] == _WITH_ALPHA else None
    light = image if alpha is None else image[..., : _WITH_ALPHA - 1]
    mean = tf.reduce_mean(light)
    changed = tf.clip_by_value((light - mean) * factor + mean + shift, -1.0, 1.0)
    return changed if alpha is None else tf.concat([changed, alpha], axis=-1)


def center_pair(source, target, *, crop_size: Size):
    """Returns the same central part of both images of a pair, for evaluation."""
    row, col = tf.unstack((tf.shape(source)[:2] - sides_of(crop_size)) // 2)
    return tuple(_crop(image, row, col, crop_size) for image in (source, target))


def _crop(image, row, col, crop_size: Size) -> tf.Tensor:
    height, width = sides_of(crop_size)
    cropped = image[row : row + height, col : col + width]
    return tf.ensure_shape(cropped, [height, width, image.shape[-1]])


def pad_to_multiple(image, multiple: int) -> tf.Tensor:
    """Returns `image` padded at the bottom and right until its sides are multiples.

    By reflection, as often as needed: also where the padding is wider than the
    image, down to an image of one pixel. Cropping to the old size undoes it.

    Args:
        image: `[..., height, width, channels]`; sizes may be unknown until run time.
        multiple: Pixels.
    """
    for axis in (-3, -2):
        size = image.shape[axis]
        if size is None or size % multiple:
            indices = reflected_indices(tf.shape(image)[axis], multiple)
            image = tf.gather(image, indices, axis=axis)
    return image


def reflected_indices(size: tf.Tensor, multiple: int) -> tf.Tensor:
    """Returns 0, 1, ..., size - 1, size - 2, ..., 1, 0, 1, ... up to a multiple."""
    # Not -(-size // multiple): ONNX divides towards 0.
    padded = (size + multiple - 1) // multiple * multiple
    # A triangle wave that does not repeat its turning points; a period of 0 is size 1.
    period = tf.maximum(2 * (size - 1), 1)
    phase = tf.range(padded) % period
    return tf.minimum(tf.minimum(phase, period - phase), size - 1)
