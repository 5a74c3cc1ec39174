"""The `demo` data set: house fronts that the project draws by itself, without a network.

A scene is a pair, as in CMP Facades: a map of labelled parts, and a "photo" of
the same house. The parts sit in the photo exactly where the labels say, but a
pixel's colour also depends on what no label tells: masonry, light, shadows of
neighbouring parts, the place inside a window, and colours chosen per scene.
The classes are those of CMP Facades. Here, blinds are shutters beside a window,
deco ornaments above windows and doors, and moldings roofs, which CMP has no class for.

Everything is a pure function of `(size, seed, index)`. Two habits keep the
bytes equal between NumPy versions: random numbers come from `Generator.random`
alone, and pixels only from operations that IEEE 754 rounds exactly (no `exp`,
`sin`, `power`, matrix product or array sum).

Imports run one way, each line importing only from lines above it:

    layout      units, boxes, random choices; which part is where
    surfaces    pixels and textures; what one scene chooses once
    painting    parts to labels, colours and relief; these to a photo
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pix2pix_tf.data.classes import FACADES as CLASSES
from pix2pix_tf.data.scenes.layout import plan_house
from pix2pix_tf.data.scenes.painting import Painting, photograph
from pix2pix_tf.errors import InputError

__all__ = ["CLASSES", "Scene", "draw_scene"]

_SMALLEST_SIZE = 32  # Below, a part of 2 units has less than one pixel.
_CLASS_COLORS = np.array([kind.color for kind in CLASSES], np.uint8)


class Scene(NamedTuple):
    """One pair, and the class map from which its label image was coloured."""

    class_index: np.ndarray  # uint8 [size, size], an index into CLASSES.
    labels: np.ndarray  # uint8 [size, size, 3], RGB, piecewise constant.
    photo: np.ndarray  # uint8 [size, size, 3], RGB.


def draw_scene(size: int, *, seed: int, index: int) -> Scene:
    """Draws scene number `index` of the endless series `seed`.

    Equal arguments give equal bytes, in any thread, process or order. Another
    size shows the same house, with other fine grain.

    Args:
        size: Width and height in pixels, 32 or more.
        seed: Names the series; from 0.
        index: Names the scene within the series; from 0.

    Returns:
        A `Scene` of new arrays.

    Raises:
        InputError: If `size` is under 32.
    """
    if size < _SMALLEST_SIZE:
        raise InputError(
            f"A demo scene of {size}x{size} pixels cannot be drawn. Pass a size of "
            f"{_SMALLEST_SIZE} or more."
        )
    # One stream per subject: how much one draws does not move the others. Only
    # the grain draws as many numbers as there are pixels.
    layout_rng, style_rng, grain_rng = (
        np.random.Generator(np.random.PCG64(np.random.SeedSequence((int(seed), int(index), part))))
        for part in range(3)
    )
    plan = plan_house(layout_rng)
    painting = Painting(plan, int(size), style_rng, grain_rng)
    photo = photograph(painting, grain_rng, ground=plan.ground)
    return Scene(painting.class_index, _CLASS_COLORS[painting.class_index], photo)
