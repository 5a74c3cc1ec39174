"""Decoding what strangers send: checked before anything is decoded, named when it is refused.

All of it runs inside a graph, so that a server without Python has the same
checks. A request ends as InvalidArgument with a text that says which image of
the batch is meant, what is wrong, and what is allowed.
"""

from __future__ import annotations

import tensorflow as tf

from pix2pix_tf.data import images

# How a PNG begins: signature, length and name of its first chunk; the size comes next. A
# decoder would pass over another chunk in that place, and with it over a size that is no size.
_PNG_BEGINNING = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_HEADER_BYTES = len(_PNG_BEGINNING) + 8


def decode_checked(
    contents: tf.Tensor, index: tf.Tensor, *, channels: int, multiple: int, max_pixels: int
) -> tf.Tensor:
    """Returns the pixels of a PNG or JPEG that someone sent.

    Args:
        contents: The file, a string scalar.
        index: Its number in the batch, for the message; an integer scalar.
        channels: 1, 3 or 4; see `images.decode_pixels`.
        multiple: Pixels; the sides will be padded to multiples of it.
        max_pixels: Most pixels after that padding: a file of some kilobytes can
            hold gigabytes of them, and a thin strip gain as many.

    Returns:
        uint16 `[height, width, channels]`.

    Raises:
        tf.errors.InvalidArgumentError: If it is neither PNG nor JPEG, too large,
            empty, truncated or damaged.
    """
    name = tf.strings.join(["image ", tf.strings.as_string(index), " of the batch"])
    is_png = tf.logical_and(
        tf.equal(tf.strings.substr(contents, 0, len(_PNG_BEGINNING)), _PNG_BEGINNING),
        tf.strings.length(contents) >= _PNG_HEADER_BYTES,
    )
    contents = _require(
        contents,
        tf.logical_or(is_png, tf.io.is_jpeg(contents)),
        [name, "is neither a PNG nor a JPEG file"],
    )

    def png_size() -> tf.Tensor:
        size = tf.strings.substr(contents, len(_PNG_BEGINNING), 8)
        return tf.io.decode_raw(size, tf.int32, little_endian=False)[::-1]

    def jpeg_size() -> tf.Tensor:
        shape = _attempt(tf.image.extract_jpeg_shape, contents, tf.zeros([3], tf.int32))
        return shape[:2]

    size = tf.cond(is_png, png_size, jpeg_size)  # Height and width; zeros if it is damaged.
    # As float64, since a header may claim 2**31 by 2**31 pixels.
    blocks = tf.math.ceil(tf.cast(size, tf.float64) / multiple)
    num_pixels = tf.reduce_prod(blocks) * multiple**2
    is_damaged = [name, "cannot be decoded: it is truncated or damaged"]
    # Of a PNG the same bytes mean nothing.
    scans = tf.strings.split(contents, images.START_OF_SCAN)
    num_scans = tf.where(is_png, 0, tf.size(scans) - 1)
    contents = _require(
        contents,
        num_scans <= images.MAX_SCANS,
        [name, "has", num_scans, f"scans; the limit is {images.MAX_SCANS}"],
    )
    contents = _require(contents, num_pixels > 0, is_damaged)
    contents = _require(
        contents,
        num_pixels <= max_pixels,
        [
            *(name, "has", size[1], "x", size[0], "pixels"),
            f"padded to multiples of {multiple}; the limit is {max_pixels} pixels in all",
        ],
    )
    pixels = _attempt(
        lambda file: images.decode_pixels(file, channels=channels, dtype=tf.uint16),
        contents,
        tf.zeros([0, 0, channels], tf.uint16),
    )
    return _require(pixels, tf.size(pixels) > 0, is_damaged)


def _require(value: tf.Tensor, condition: tf.Tensor, text: list) -> tf.Tensor:
    """Returns `value`, which can be had only if `condition` holds."""
    with tf.control_dependencies([tf.debugging.Assert(condition, text)]):
        return tf.identity(value)


def _attempt(function, contents: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    """Returns `function(contents)`, or `otherwise` where that fails.

    A graph has no try; a data set that passes over what fails is as good as one.
    """
    results = tf.data.Dataset.from_tensors(contents).map(function).ignore_errors()
    instead = tf.data.Dataset.from_tensors(otherwise)
    # Not reduce(), which takes 10 to 40 ms a call.
    return results.concatenate(instead).take(1).get_single_element()
