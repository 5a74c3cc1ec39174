"""The task `edges`: photos to pairs of an edge map, thin black lines on white, and the photo.

After Canny, "A Computational Approach to Edge Detection", PAMI 1986: smoothing, gradient,
thinning to its maxima and hysteresis; in colour, where each pixel takes the channel that changes
most. Then lines are thinned to one pixel and short ones removed, as the authors of pix2pix did
with the maps of a network (their edges2shoes, HED with post-processing).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from pix2pix_tf import addons
from pix2pix_tf.data import images
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import photos, work

# Pixels of the Gaussian's standard deviation, beyond which nothing of a photo is left.
_MOST_SMOOTHING = 100.0


def run(options) -> work.Outcome:
    """Makes edges|photo pairs of the photos of `--input`."""
    _import_skimage()
    _check(options)
    settings = dict(
        smoothing=options.smoothing,
        edge_low=options.edge_low,
        edge_high=options.edge_high,
        min_length=options.min_length,
    )
    make_source = functools.partial(_draw, **settings)
    return photos.make_pairs(options, "edges", make_source, settings=settings)


def _check(options) -> None:
    """Refuses what draws nothing, before the output folder is marked with it.

    Raises:
        InputError: If a setting is out of its range.
    """
    # Comparisons with NaN are false.
    if not 0.0 <= options.smoothing <= _MOST_SMOOTHING:
        raise InputError(
            f"smoothing is {options.smoothing}, but is a number of pixels from 0, for none, to "
            f"{_MOST_SMOOTHING:g}."
        )
    if not 0.0 < options.edge_low <= options.edge_high < math.inf:
        raise InputError(
            f"edge_low is {options.edge_low} and edge_high {options.edge_high}. The first has to "
            "be above 0 and not above the second, which has to be finite."
        )
    if not 0 <= options.min_length <= images.MAX_PIXELS:
        raise InputError(
            f"min_length is {options.min_length}, but is a number of pixels from 0, for lines of "
            f"any length, to {images.MAX_PIXELS}, more than a photo has."
        )


def _draw(photo: np.ndarray, unused_name: str, **settings) -> np.ndarray:
    return draw_edges(photo, **settings)


def draw_edges(
    photo: np.ndarray, *, smoothing: float, edge_low: float, edge_high: float, min_length: int
) -> np.ndarray:
    """Returns the edge map of a photo.

    Args:
        photo: Pixels `[height, width, 3]`, uint8 or uint16.
        smoothing: Standard deviation of the Gaussian, in pixels; 0 for none.
        edge_low: Least contrast along a line, as a share of black to white.
        edge_high: Contrast that each line reaches somewhere.
        min_length: Pixels of the shortest line that is kept.

    Returns:
        uint8 `[height, width, 1]`: 0 on lines, else 255.
    """
    skimage = _import_skimage()
    image = photo.astype(np.float32) / np.iinfo(photo.dtype).max
    if smoothing:
        image = addons.gaussian_blur(image, smoothing)
    down, right = _gradient(image, smoothing)
    contrast = np.hypot(down, right)
    maxima = np.where(_is_maximum(contrast, down, right), contrast, 0.0)
    lines = skimage.filters.apply_hysteresis_threshold(maxima, edge_low, edge_high)
    lines = skimage.morphology.skeletonize(lines)
    lines = _remove_short(lines, min_length)
    return np.where(lines, 0, 255).astype(np.uint8)[..., np.newaxis]


def _gradient(image: np.ndarray, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the change downwards and to the right of the channel that changes most.

    In units of the contrast of the edge: a step of height h, smoothed, has h at its middle.

    Args:
        image: float `[height, width, channels]`.
        smoothing: Standard deviation, in pixels, that `image` was smoothed with.
    """
    skimage = _import_skimage()
    down = np.stack([skimage.filters.sobel_h(x) for x in np.moveaxis(image, -1, 0)], axis=-1)
    right = np.stack([skimage.filters.sobel_v(x) for x in np.moveaxis(image, -1, 0)], axis=-1)
    strongest = np.square(down) + np.square(right)
    strongest = strongest.argmax(axis=-1)[..., np.newaxis]
    # Sobel takes the difference of the pixels on both sides: of a smoothed step, what the
    # Gaussian has within 1 of its middle.
    scale = 1.0 / math.erf(1.0 / (smoothing * math.sqrt(2.0))) if smoothing else 1.0
    return tuple(
        np.take_along_axis(side, strongest, axis=-1)[..., 0] * scale for side in (down, right)
    )


def _is_maximum(contrast: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns whether a pixel has more contrast than those beside it, across its edge.

    What is beside it, one pixel along the gradient, is interpolated between two pixels. The
    outermost pixels, whose gradient lacks a side, are none.

    Args:
        contrast: `[height, width]`.
        down: The gradient, as `contrast`.
        right: The gradient, as `contrast`.
    """
    padded = np.pad(contrast, 1)
    height, width = contrast.shape
    steep = np.abs(down) >= np.abs(right)  # Whether the next row is crossed, or the next column.
    small, large = np.where(steep, (right, down), (down, right))
    # Towards the diagonal neighbour by this share of the way.
    share = np.abs(small) / np.maximum(np.abs(large), 1e-12)
    row_sign, column_sign = np.where(down < 0, -1, 1), np.where(right < 0, -1, 1)
    straight_rows, straight_columns = np.where(steep, row_sign, 0), np.where(steep, 0, column_sign)
    rows, columns = np.mgrid[1 : height + 1, 1 : width + 1]

    def beside(sign: int) -> np.ndarray:
        straight = padded[rows + sign * straight_rows, columns + sign * straight_columns]
        diagonal = padded[rows + sign * row_sign, columns + sign * column_sign]
        return straight + share * (diagonal - straight)

    # Of two that are equal, one is taken.
    found = (contrast > beside(-1)) & (contrast >= beside(1)) & (contrast > 0.0)
    found[[0, -1]] = found[:, [0, -1]] = False
    return found


def _remove_short(lines: np.ndarray, min_length: int) -> np.ndarray:
    """Returns the lines, bool `[height, width]`, that have at least so many connected pixels."""
    labels = _import_skimage().measure.label(lines, connectivity=2)
    lengths = np.bincount(labels.ravel())
    lengths[0] = 0  # What is no line.
    return (lengths >= max(min_length, 1))[labels]


def _import_skimage():
    """Returns scikit-image, which only this task needs.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import skimage.filters
        import skimage.measure
        import skimage.morphology
    except ImportError:
        raise InputError(
            "edges needs scikit-image, which is not installed. Run: python -m pip install "
            "'scikit-image>=0.22,<0.27'"
        ) from None
    return skimage
