"""Drawing one scene: plan, style, painting, photo.

All arrays of a scene are square, uint8 and of the size asked for; labels and photo
are RGB, 0-255.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pix2pix_tf.data.scenes.canvas import Canvas
from pix2pix_tf.data.scenes.classes import CLASSES
from pix2pix_tf.data.scenes.layout import plan_house
from pix2pix_tf.data.scenes.lighting import photograph
from pix2pix_tf.data.scenes.painting import paint_background, paint_part
from pix2pix_tf.data.scenes.style import choose_style
from pix2pix_tf.errors import InputError

_SMALLEST_SIZE = 32  # Below, a part of 2 units has less than one pixel.
_CLASS_COLORS = np.array([scene_class.color for scene_class in CLASSES], np.uint8)


class Scene(NamedTuple):
    """One pair, and the class map from which its label image was coloured."""

    class_index: np.ndarray  # uint8 [size, size], an index into CLASSES.
    labels: np.ndarray  # uint8 [size, size, 3], piecewise constant.
    photo: np.ndarray  # uint8 [size, size, 3].


def draw_scene(size: int, *, seed: int, index: int) -> Scene:
    """Draws scene number `index` of the endless series `seed`.

    Equal arguments give equal bytes, in any thread, process or order. Another
    size shows the same house, with other fine grain.

    Args:
        size: Width and height in pixels, 32 or more.
        seed: Names the series; not negative.
        index: Names the scene within the series; not negative.

    Returns:
        A `Scene` of new arrays.

    Raises:
        InputError: If `size` is under 32, or `seed` or `index` is negative.
    """
    if size < _SMALLEST_SIZE:
        raise InputError(
            f"A demo scene of {size}x{size} pixels is too small to show its parts. "
            f"Pass a size of {_SMALLEST_SIZE} or more."
        )
    if seed < 0 or index < 0:
        raise InputError(
            f"Demo scenes are numbered from 0, but seed={seed} and index={index} were given. "
            "Pass numbers that are not negative."
        )
    # One stream per subject: how much one draws does not move the others. Only
    # the grain draws as many numbers as there are pixels.
    layout_rng, style_rng, grain_rng = (
        np.random.Generator(np.random.PCG64(np.random.SeedSequence((int(seed), int(index), part))))
        for part in range(3)
    )
    canvas = Canvas(int(size))
    plan = plan_house(layout_rng)
    style = choose_style(style_rng, grain_rng, canvas.render, plan)
    paint_background(canvas, style, style_rng, ground=plan.ground)
    for part in plan.parts:
        paint_part(canvas, part, style, style_rng)
    photo = photograph(
        canvas,
        grain_rng,
        sun_side=style.sun_side,
        sun_strength=style.sun_strength,
        ground=plan.ground,
    )
    return Scene(canvas.class_index, _CLASS_COLORS[canvas.class_index], photo)
