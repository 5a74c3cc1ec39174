"""The task `edges`: photos to pairs of an edge map, thin black lines on white, and the photo.

After Canny, "A Computational Approach to Edge Detection", PAMI 1986: smoothing, gradient,
thinning to its maxima and hysteresis; in colour, where each pixel takes the channel that changes
most. Then lines are thinned to one pixel and short ones removed, as the authors of pix2pix did
with the maps of a network (their edges2shoes, HED with post-processing).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np

from pix2pix_tf import addons
from pix2pix_tf.data import images
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import photos, work

# Pixels of the Gaussian's standard deviation, beyond which nothing of a photo is left.
_MOST_SMOOTHING = 100.0
# Pixels of the side of what is worked on at a time.
_TILE = 1024


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
    above = {threshold: np.zeros(photo.shape[:2], bool) for threshold in (edge_low, edge_high)}
    for inner, maxima in _find_maxima(photo, smoothing):
        for threshold, found in above.items():
            found[inner] = maxima > threshold
    lines = _follow(above[edge_low], above[edge_high])
    lines = skimage.morphology.skeletonize(lines)
    lines = _remove_short(lines, min_length)
    return np.where(lines, np.uint8(0), np.uint8(255))[..., np.newaxis]


def _find_maxima(photo: np.ndarray, smoothing: float) -> Iterator[tuple]:
    """Yields the contrasts of a photo where these are maxima, else 0, tile by tile.

    At once they would take 150 bytes a pixel. A tile is computed with so much around it that it
    is the same, to the bit, as in the whole.

    Args:
        photo: As `draw_edges` takes it.
        smoothing: As `draw_edges` takes it.

    Yields:
        The slices of rows and columns of the tile, and its contrasts, `[rows, columns]`.
    """
    # A maximum looks at the contrasts beside it, these at the pixels beside them.
    margin = 2 + addons.gaussian_radius(smoothing)
    for corner in itertools.product(*(range(0, size, _TILE) for size in photo.shape[:2])):
        ends = [min(start + _TILE, size) for start, size in zip(corner, photo.shape)]
        outer = [
            slice(max(start - margin, 0), min(end + margin, size))
            for start, end, size in zip(corner, ends, photo.shape)
        ]
        image = photo[tuple(outer)].astype(np.float32) / np.iinfo(photo.dtype).max
        if smoothing:
            image = addons.gaussian_blur(image, smoothing)
        down, right = _gradient(image, smoothing)
        contrast = np.hypot(down, right)
        maxima = np.where(_is_maximum(contrast, down, right), contrast, 0.0)
        inner = tuple(map(slice, corner, ends))
        yield (
            inner,
            maxima[
                tuple(
                    slice(part.start - whole.start, part.stop - whole.start)
                    for part, whole in zip(inner, outer)
                )
            ],
        )


def _follow(faint: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """Returns the faint pixels that are connected with a strong one; all bool `[height, width]`.

    As `skimage.filters.apply_hysteresis_threshold`, which takes more memory.
    """
    labels = _import_skimage().measure.label(faint, connectivity=1)
    are_strong = np.zeros(labels.max() + 1, bool)
    are_strong[labels[strong]] = True
    return are_strong[labels]


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
    # Of the lines alone: for all pixels it would take them as 64 bits each.
    lengths = np.bincount(labels[lines], minlength=1)
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
