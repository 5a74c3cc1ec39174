"""Which way up a JPEG is: cameras store pixels as the sensor lies, and the rotation beside them.

TensorFlow's decoder passes over it. This is all in TensorFlow operations, so that an
exported model turns a photo as training did.
"""

from __future__ import annotations

import tensorflow as tf

UPRIGHT = 1  # Exif's numbers are 1 to 8.
_EXIF = b"Exif\0\0"
# Where the search for it ends. Cameras write Exif first; a segment has at most 64 KiB.
HEAD_BYTES = 2**18
_SHORT, _ORIENTATION = 3, 0x0112  # Exif's type of 16 bits, and the tag.


def of_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Returns Exif's orientation of a JPEG, int32 from 1 to 8; 1 where it states none.

    Args:
        contents: The file, a string scalar; damaged ones count as upright.
    """
    if tf.executing_eagerly():
        # Most files have no Exif, and single operations are slow.
        contents = tf.convert_to_tensor(contents)
        has_exif = _EXIF in contents.numpy()[:HEAD_BYTES]
        return _of_jpeg_compiled(contents) if has_exif else tf.constant(UPRIGHT)
    return _of_jpeg(contents)


def _of_jpeg(contents: tf.Tensor) -> tf.Tensor:
    head = tf.io.decode_raw(tf.strings.substr(contents, 0, HEAD_BYTES), tf.uint8)
    # Zeros beyond the end, so that no look is out of bounds.
    head = tf.concat([tf.cast(head, tf.int64), tf.zeros([16], tf.int64)], axis=0)
    size = tf.size(head, tf.int64) - 16

    def is_other_segment(position: tf.Tensor) -> tf.Tensor:
        segment = _look(head, position, 10)
        is_exif = tf.reduce_all(segment[4:] == list(_EXIF)) & (segment[1] == 0xE1)
        is_header = (segment[0] == 0xFF) & (segment[1] != 0xDA)  # DA: the pixels follow.
        return (position < size) & is_header & ~is_exif

    def next_segment(position: tf.Tensor) -> tf.Tensor:
        high, low = tf.unstack(_look(head, position + 2, 2))
        return position + 2 + tf.maximum(256 * high + low, 2)

    start = tf.while_loop(is_other_segment, next_segment, [tf.constant(2, tf.int64)])[0]
    is_exif = tf.reduce_all(_look(head, start + 4, 6) == list(_EXIF))
    return tf.where(is_exif, _of_exif(head, start + 10), UPRIGHT)


_of_jpeg_compiled = tf.function(_of_jpeg, input_signature=[tf.TensorSpec([], tf.string)])


def _of_exif(head: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
    """Returns the orientation that Exif's first directory states; `base` is where Exif begins."""
    is_little = head[tf.minimum(base, tf.size(head, tf.int64) - 1)] == ord("I")

    def number(position: tf.Tensor, num_bytes: int) -> tf.Tensor:
        found = _look(head, position, num_bytes)
        scale = tf.constant([256**power for power in range(num_bytes)], tf.int64)
        return tf.reduce_sum(found * tf.where(is_little, scale, scale[::-1]), axis=-1)

    directory = base + number(base + 4, 4)
    entries = directory + 2 + 12 * tf.range(number(directory, 2))
    is_wanted = (number(entries, 2) == _ORIENTATION) & (number(entries + 2, 2) == _SHORT)
    stated = number(entries + 8, 2)
    is_wanted &= (stated >= 1) & (stated <= 8)
    return tf.cast(tf.concat([stated[is_wanted], [UPRIGHT]], axis=0)[0], tf.int32)


def _look(head: tf.Tensor, position: tf.Tensor, count: int) -> tf.Tensor:
    """Returns `count` bytes from each position on; the last of all for those beyond the end."""
    places = position[..., tf.newaxis] + tf.range(count, dtype=tf.int64)
    return tf.gather(head, tf.clip_by_value(places, 0, tf.size(head, tf.int64) - 1))


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
