"""From colours and relief to a photo: the sun, its shadows, and the camera.

Colours and light are float32, a colour in [0, 1]; a photo is uint8, 0-255. The
relief is in units, 1/64 of the picture side.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from pix2pix_tf.data.scenes.layout import SIDE
from pix2pix_tf.data.scenes.painting import Painting
from pix2pix_tf.data.scenes.surfaces import Raster, Style


def photograph(painting: Painting, rng: Generator, *, ground: float) -> np.ndarray:
    """Returns the lit scene as a camera sees it, uint8 [size, size, 3].

    The pavement, which begins at `ground`, is lit; the sky above it is not.
    """
    albedo, relief = painting.surface
    is_sky = painting.class_index == 0  # The background.
    is_sky[painting.output.edge(ground) :] = False
    light = _light(relief, painting.render, painting.style)
    image = np.where(painting.enlarge(is_sky)[..., np.newaxis], albedo, albedo * light)
    if painting.factor > 1:  # The means of squares, summed in a fixed order.
        steps = range(painting.factor)
        parts = [image[row :: len(steps), col :: len(steps)] for row in steps for col in steps]
        image = sum(parts, np.zeros_like(parts[0])) / painting.factor**2
    # A lens blurs edges. Averaging has done part of that where it took place.
    softness = 0.55 if painting.factor == 1 else 0.25
    image += softness * (_blur(image) - image)
    # The sum of two uniform numbers: near enough to a sensor's noise.
    noise = rng.random(image.shape, np.float32) + rng.random(image.shape, np.float32)
    image += 0.022 * (noise - 1.0)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _light(relief: np.ndarray, raster: Raster, style: Style) -> np.ndarray:
    """Returns the light on each pixel of the relief, float32 [size, size, 3]."""
    shadow_height = _shadow_height(relief, raster.unit, style.sun_side)
    shadow = _blur(np.clip(1.8 * (shadow_height - relief), 0.0, 1.0))
    # An edge that looks up, or towards the sun, is brighter.
    side = 1 if style.sun_side > 0 else -1
    slant = relief - 0.6 * _shifted(relief, 1, 0) - 0.4 * _shifted(relief, 0, side)
    edges = 0.3 * np.clip(slant, -0.8, 0.8)
    # The near end of the front receives more.
    centers = (raster.centers() / SIDE - 0.5).astype(np.float32)
    gradient = 1.0 - 0.3 * side * centers[np.newaxis, :] - 0.16 * centers[:, np.newaxis]
    sun = (1.0 - shadow) * (gradient + edges)
    # Shadows keep the light of the sky, which is blue.
    ambient = np.array((0.46, 0.49, 0.56), np.float32)
    sun_color = np.array((1.06, 1.0, 0.9), np.float32) * style.sun_strength
    return ambient + sun[..., np.newaxis] * sun_color


def _shadow_height(relief: np.ndarray, unit: float, sun_side: float) -> np.ndarray:
    """Returns how far out the shadow reaches at each pixel, in the units of the relief.

    A ray that grazes a part comes down by as many units as it comes nearer to
    the wall. Each pass doubles the distance from which shadows have arrived.
    """
    height = relief
    distance = 1
    while distance <= 5.0 * unit:  # The longest shadow: 3 units of balcony on glass.
        columns = math.floor(distance * sun_side + 0.5)
        moved = _shifted(height, distance, columns) - distance / unit
        height = np.maximum(height, moved)
        distance *= 2
    return height


def _shifted(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Returns `array` moved down by `rows` and right by `columns`, its edges repeated."""
    height, width = array.shape[:2]
    from_rows = np.clip(np.arange(height) - rows, 0, height - 1)
    from_columns = np.clip(np.arange(width) - columns, 0, width - 1)
    return array[from_rows[:, np.newaxis], from_columns]


def _blur(image: np.ndarray) -> np.ndarray:
    """Returns `image` weighted 1:2:1 along both axes, its edges repeated."""
    for rows, columns in ((1, 0), (0, 1)):
        before = _shifted(image, rows, columns)
        after = _shifted(image, -rows, -columns)
        image = 0.25 * before + 0.5 * image + 0.25 * after
    return image
