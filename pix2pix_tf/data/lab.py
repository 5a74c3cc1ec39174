"""CIE Lab inside the graph: what a colorization network takes, gives, and is shown as.

With `color_space` "lab" a run learns a and b from L, as the paper's colorization does. Files
hold sRGB all the same: they are converted here, by TensorFlow's operations, so that training and
an exported model compute the same. With "rgb", all here leaves an image as it is.

Three forms: a *photo*, sRGB `[..., 3]` in [-1, 1]; *lightness*, `[..., 1]`, L / 50 - 1; and *ab*,
`[..., 2]`, a / 110 and b / 110, which for sRGB lie in [-0.981, 0.894]. The scales are those of the
authors' PyTorch code (data/colorization_dataset.py).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pix2pix_tf.config import LAB

AB_SCALE = 110.0
# IEC 61966-2-1: linear sRGB to XYZ.
XYZ_OF_RGB = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
WHITE = XYZ_OF_RGB.sum(axis=1)  # D65, as these three primaries give it: white is then a = b = 0.
# With the division by white in it.
_RELATIVE_XYZ_OF_RGB = XYZ_OF_RGB / WHITE[:, np.newaxis]
_RGB_OF_RELATIVE_XYZ = np.linalg.inv(_RELATIVE_XYZ_OF_RGB)
_DELTA = 6.0 / 29.0  # CIE 15: f is a cube root above its cube, and straight below.


def source_of(image: tf.Tensor, color_space: str) -> tf.Tensor:
    """Returns what the network takes of the image of a file; see the module."""
    return lightness_of(image) if color_space == LAB else image


def picture_of(source: tf.Tensor, output: tf.Tensor, color_space: str) -> tf.Tensor:
    """Returns what an output, or a target, for a source of the network looks like in a file."""
    return photo_of(source, output) if color_space == LAB else output


def split(photo) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the lightness and the ab of a photo."""
    lab = to_lab(photo)
    return lab[..., :1] / 50.0 - 1.0, lab[..., 1:] / AB_SCALE


def lightness_of(photo) -> tf.Tensor:
    """Returns the lightness of a photo, grey or not."""
    return split(photo)[0]


def photo_of(lightness, ab) -> tf.Tensor:
    """Returns the photo of a lightness and an ab of the same size.

    Not every ab goes with every L: of a colour that sRGB does not hold, red, green and blue are
    each clipped, by which its lightness may change too.
    """
    lightness, ab = tf.convert_to_tensor(lightness), tf.convert_to_tensor(ab)
    return to_rgb(tf.concat([(lightness + 1.0) * 50.0, ab * AB_SCALE], axis=-1))


def grey_of(lightness) -> tf.Tensor:
    """Returns the grey photo, `[..., 3]`, of a lightness: what colorization starts from."""
    lightness = tf.convert_to_tensor(lightness)
    return photo_of(lightness, tf.zeros_like(tf.repeat(lightness, 2, axis=-1)))


def to_lab(image) -> tf.Tensor:
    """Returns CIE L*a*b* (D65, 2 degrees) of sRGB, in its usual units.

    Args:
        image: `[..., 3]` in [-1, 1].

    Returns:
        float32 `[..., 3]`: L from 0 to 100, a and b in about [-108, 99].
    """
    rgb = (tf.cast(image, tf.float32) + 1.0) / 2.0
    # tf.where computes both branches, and a power of a negative number would be NaN.
    curved = tf.pow((tf.maximum(rgb, 0.0) + 0.055) / 1.055, 2.4)
    linear = tf.where(rgb <= 0.04045, rgb / 12.92, curved)
    xyz = _times(linear, _RELATIVE_XYZ_OF_RGB)
    root = tf.pow(tf.maximum(xyz, _DELTA**3), 1.0 / 3.0)
    f = tf.where(xyz > _DELTA**3, root, xyz / (3.0 * _DELTA**2) + 4.0 / 29.0)
    x, y, z = tf.unstack(f, axis=-1)
    return tf.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def to_rgb(lab) -> tf.Tensor:
    """Returns sRGB, `[..., 3]` in [-1, 1], of CIE L*a*b*; colours beyond sRGB are clipped."""
    lightness, a, b = tf.unstack(tf.cast(lab, tf.float32), axis=-1)
    y = (lightness + 16.0) / 116.0
    f = tf.stack([y + a / 500.0, y, y - b / 200.0], axis=-1)
    xyz = tf.where(f > _DELTA, f**3, (f - 4.0 / 29.0) * (3.0 * _DELTA**2))
    linear = tf.clip_by_value(_times(xyz, _RGB_OF_RELATIVE_XYZ), 0.0, 1.0)
    curved = 1.055 * tf.pow(linear, 1.0 / 2.4) - 0.055
    rgb = tf.where(linear <= 0.0031308, 12.92 * linear, curved)
    return tf.clip_by_value(rgb, 0.0, 1.0) * 2.0 - 1.0


def _times(values: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """Returns `matrix` times each vector of `values`, `[..., 3]`."""
    return tf.tensordot(values, tf.constant(matrix.T, tf.float32), axes=1)
