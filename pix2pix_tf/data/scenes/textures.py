"""Surfaces as large as the picture: noise, and courses of blocks.

A part shows the piece of a texture at its own place, so joints and stains run on
behind windows. Lengths are in units, 1/64 of the picture side.
"""

from __future__ import annotations

import numpy as np

from pix2pix_tf.data.scenes.canvas import Surface
from pix2pix_tf.data.scenes.geometry import SIDE, Raster


def smooth_noise(rng: np.random.Generator, raster: Raster, cells: int) -> np.ndarray:
    """Returns float32 [size, size] in [0, 1): random values on a lattice, joined smoothly.

    Args:
        rng: Draws the values on the lattice.
        raster: The pixels of the picture.
        cells: Cells of the lattice along one side: more of them give finer noise.
    """
    lattice = rng.random((cells + 1, cells + 1), np.float32)
    position = (np.arange(raster.size, dtype=np.float64) + 0.5) * (cells / raster.size)
    before = position.astype(np.int64)
    fraction = position - before
    weight = (fraction * fraction * (3.0 - 2.0 * fraction)).astype(np.float32)
    rows = lattice[before] + weight[:, np.newaxis] * (lattice[before + 1] - lattice[before])
    start, end = rows[:, before], rows[:, before + 1]
    return start + weight * (end - start)


def masonry(
    rng: np.random.Generator,
    raster: Raster,
    color: np.ndarray,
    joint_color: np.ndarray,
    *,
    course: float,
    length: float,
    joint: float,
    variety: float,
) -> Surface:
    """Returns courses of blocks, every second one shifted by half a block.

    Args:
        rng: Draws the tone of each block.
        raster: The pixels of the picture.
        color: Mean colour of a block, float32 [3] in [0, 1].
        joint_color: Colour between blocks, likewise.
        course: Height of a course, in units.
        length: Length of a block, in units.
        joint: Thickness of the joints, in units.
        variety: Difference between the lightest and the darkest block, relative.
    """
    centers = raster.centers()
    row = np.floor(centers / course).astype(np.int64)
    below_joint = centers - row * course
    shift = (row % 2) * (0.5 * length)
    along = centers[np.newaxis, :] + shift[:, np.newaxis]
    block = np.floor(along / length).astype(np.int64)
    after_joint = along - block * length
    # The share of a pixel that is joint: thin joints fade in small pictures
    # where all-or-nothing would give stripes.
    nearest = np.minimum(below_joint[:, np.newaxis], after_joint)
    joint_share = np.clip((joint - nearest) * raster.unit + 0.5, 0.0, 1.0).astype(np.float32)

    tones = rng.random((int(SIDE / course) + 2, int(SIDE / length) + 3), np.float32)
    tone = 1.0 + variety * (tones[row[:, np.newaxis], block] - 0.5)
    albedo = tone[..., np.newaxis] * color
    albedo += joint_share[..., np.newaxis] * (joint_color - albedo)
    return Surface(albedo, relief=0.3 * (1.0 - joint_share))
