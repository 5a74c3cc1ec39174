"""What one scene chooses once: colours, materials, habits of its windows, the sun.

Palettes are RGB, 0-255; chosen colours are float32 [3] in [0, 1].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from pix2pix_tf.data.scenes.canvas import Surface
from pix2pix_tf.data.scenes.geometry import Raster
from pix2pix_tf.data.scenes.layout import Plan
from pix2pix_tf.data.scenes.randomness import between, chance, pick
from pix2pix_tf.data.scenes.textures import masonry, smooth_noise

# The walls are few and close to each other on purpose: a network trained for
# minutes has to find a plausible one.
_BRICK_WALLS = ((154, 92, 72), (168, 108, 82), (140, 86, 72), (176, 134, 100))
_STUCCO_WALLS = ((212, 194, 160), (218, 206, 184), (198, 186, 168), (204, 172, 142))
_STONE_WALLS = ((176, 168, 152), (186, 172, 146), (164, 161, 156))
_TRIMS = ((224, 216, 200), (208, 202, 190), (232, 226, 214))
_FRAMES = ((238, 236, 230), (238, 236, 230), (226, 218, 202), (88, 62, 46))
_DOORS = ((104, 66, 42), (54, 82, 66), (122, 46, 40), (52, 68, 98))
_SHUTTERS = ((62, 96, 76), (76, 102, 120), (112, 76, 54))
_ROOFS = ((152, 84, 62), (130, 78, 62), (96, 98, 108), (84, 86, 94))
_AWNINGS = ((156, 48, 44), (46, 90, 74), (56, 78, 118))
_SKIES = (  # Zenith, horizon.
    ((92, 142, 204), (196, 218, 236)),
    ((112, 158, 212), (214, 226, 234)),
    ((148, 174, 204), (226, 230, 232)),
    ((122, 150, 196), (238, 216, 190)),
)


@dataclasses.dataclass(frozen=True)
class Style:
    """The choices of one scene. Textures have the picture's size."""

    wall: Surface
    roof: Surface
    glass: np.ndarray  # float32 [size, size, 3]: what is seen in the panes, but for the sky.
    trim: np.ndarray
    frame: np.ndarray
    door: np.ndarray
    shutter: np.ndarray
    awning: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    muntins: str  # "cross", "casement", "sash" or "grid": the bars of a window.
    has_dentils: bool
    has_stone_balconies: bool
    sun_side: float  # Columns that a shadow moves per row: positive from the left.
    sun_strength: float


def choose_style(
    rng: np.random.Generator, grain_rng: np.random.Generator, raster: Raster, plan: Plan
) -> Style:
    """Returns the look of a new house.

    Args:
        rng: Makes the choices, and draws textures.
        grain_rng: Draws what has a number per pixel.
        raster: The pixels of the textures.
        plan: The layout: the ground floor may have a wall of its own.
    """
    zenith, horizon = (np.array(color, np.float32) / 255.0 for color in pick(rng, _SKIES))
    trim = _pick_color(rng, _TRIMS)
    wall = _wall(rng, grain_rng, raster, plan)
    roof = _roof(rng, raster)
    # What stands across the street, seen dimly in the panes.
    mirrored = smooth_noise(rng, raster, 12) * smooth_noise(rng, raster, 5)
    glass = np.array((0.12, 0.15, 0.18), np.float32) + mirrored[..., np.newaxis] * (0.9 * horizon)
    return Style(
        wall=wall,
        roof=roof,
        glass=glass,
        trim=trim,
        frame=_pick_color(rng, _FRAMES),
        door=_pick_color(rng, _DOORS),
        shutter=_pick_color(rng, _SHUTTERS),
        awning=_pick_color(rng, _AWNINGS),
        zenith=zenith,
        horizon=horizon,
        muntins=pick(rng, ("cross", "casement", "sash", "grid")),
        has_dentils=chance(rng, 0.5),
        has_stone_balconies=chance(rng, 0.3),
        sun_side=pick(rng, (-1.0, 1.0)) * between(rng, 0.35, 0.95),
        sun_strength=between(rng, 0.4, 0.62),
    )


def _pick_color(rng: np.random.Generator, options: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Returns one of the colours, a little lighter or darker."""
    return np.array(pick(rng, options), np.float32) * (between(rng, 0.93, 1.05) / 255.0)


def _wall(
    rng: np.random.Generator, grain_rng: np.random.Generator, raster: Raster, plan: Plan
) -> Surface:
    wall = _material(rng, raster, pick(rng, ("brick", "brick", "stucco", "stucco", "stone")))
    if chance(rng, 0.3):  # A ground floor of stone, as in many towns.
        ground_floor = slice(raster.edge(plan.ground_floor_top), None)
        for array, stone in zip(wall, _material(rng, raster, "stone")):
            array[ground_floor] = stone[ground_floor]
    # Walls are stained in patches, and dirtier towards the pavement.
    stains = 0.9 + 0.2 * smooth_noise(rng, raster, 5) + 0.08 * smooth_noise(rng, raster, 24)
    height_above_ground = (plan.ground - raster.centers())[:, np.newaxis]
    stains *= 0.86 + 0.14 * np.clip(height_above_ground / 5.0, 0.0, 1.0)
    stains += 0.1 * (grain_rng.random(stains.shape, np.float32) - 0.5)
    return wall._replace(albedo=wall.albedo * stains[..., np.newaxis])


def _material(rng: np.random.Generator, raster: Raster, name: str) -> Surface:
    """Returns a clean wall of "brick", "stucco" or "stone"."""
    if name == "stucco":
        color = _pick_color(rng, _STUCCO_WALLS)
        relief = 0.12 * smooth_noise(rng, raster, 60)
        return Surface(np.broadcast_to(color, (*relief.shape, 3)).copy(), relief)
    if name == "brick":
        color = _pick_color(rng, _BRICK_WALLS)
        mortar = 0.5 * color + 0.32
        return masonry(rng, raster, color, mortar, course=1.4, length=4.0, joint=0.3, variety=0.3)
    color = _pick_color(rng, _STONE_WALLS)
    course = between(rng, 3.2, 4.4)
    return masonry(
        rng, raster, color, 0.62 * color, course=course, length=8.0, joint=0.4, variety=0.22
    )


def _roof(rng: np.random.Generator, raster: Raster) -> Surface:
    """Returns tiles or slates, half a unit in front of the wall."""
    color = _pick_color(rng, _ROOFS)
    tiles = masonry(
        rng, raster, color, 0.5 * color, course=1.6, length=1.5, joint=0.25, variety=0.3
    )
    stains = 0.85 + 0.3 * smooth_noise(rng, raster, 8)
    return Surface(tiles.albedo * stains[..., np.newaxis], tiles.relief + 0.5)
