"""Which way up a JPEG is: cameras store pixels as the sensor lies, and the rotation beside them.

TensorFlow's decoder passes over it. This is all in TensorFlow operations, so that an
exported model turns a photo as training did.
"""

from __future__ import annotations

import tensorflow as tf

UPRIGHT = 1  # Exif's numbers are 1 to 8.
_EXIF = b"Exif\0\0"
# Where the search for it ends: cameras write it first, in a segment of at most 64 KiB.
HEAD_BYTES = 2**18
_SHORT, _ORIENTATION = 3, 0x0112  # Exif's type of 16 bits, and the tag.


def of_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Returns Exif's orientation of a JPEG, int32 from 1 to 8; 1 where it states none.

    Args:
        contents: The file, a string scalar; damaged ones count as upright.
    """
    contents = tf.convert_to_tensor(contents)
    if tf.executing_eagerly() and contents.numpy().find(_EXIF, 0, HEAD_BYTES) < 0:
        return tf.constant(UPRIGHT)  # As most are; the operations take a third of the decoding.
    return _of_head(contents)


# Compiled: single operations are slow, and this is many.
@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def _of_head(contents: tf.Tensor) -> tf.Tensor:
    head = tf.strings.substr(contents, 0, HEAD_BYTES)
    parts = tf.strings.split(head, _EXIF, maxsplit=1)
    return tf.cond(tf.size(parts) > 1, lambda: _of_exif(parts[1]), lambda: tf.constant(UPRIGHT))


def _of_exif(exif: tf.Tensor) -> tf.Tensor:
    """Returns the orientation that Exif's first directory states."""
    exif = tf.cast(tf.io.decode_raw(exif, tf.uint8), tf.int64)
    # Zeros beyond the end, so that no look is out of bounds.
    exif = tf.concat([exif, tf.zeros([16], tf.int64)], axis=0)
    is_little = exif[0] == ord("I")

    def number(position: tf.Tensor, num_bytes: int) -> tf.Tensor:
        places = position[..., tf.newaxis] + tf.range(num_bytes, dtype=tf.int64)
        found = tf.gather(exif, tf.minimum(places, tf.size(exif, tf.int64) - 1))
        scale = tf.constant([256**power for power in range(num_bytes)], tf.int64)
        return tf.reduce_sum(found * tf.where(is_little, scale, scale[::-1]), axis=-1)

    directory = number(tf.constant(4, tf.int64), 4)
    entries = directory + 2 + 12 * tf.range(number(directory, 2))
    is_wanted = (number(entries, 2) == _ORIENTATION) & (number(entries + 2, 2) == _SHORT)
    stated = number(entries + 8, 2)
    is_wanted &= (stated >= 1) & (stated <= 8)
    return tf.cast(tf.concat([stated[is_wanted], [UPRIGHT]], axis=0)[0], tf.int32)


def turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns an image as it is meant to be seen.

    Args:
        pixels: `[height, width, channels]`.
        orientation: Number of Exif, 1 to 8: what row 0 and column 0 of `pixels` are.
    """
    if tf.executing_eagerly() and int(orientation) == UPRIGHT:
        return pixels  # As nearly all are; each operation below takes its time.
    pixels = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    is_mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    pixels = tf.cond(is_mirrored, lambda: pixels[:, ::-1], lambda: pixels)
    is_upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    return tf.cond(is_upside_down, lambda: pixels[::-1], lambda: pixels)
