"""Surfaces, and what one scene chooses once: colours, materials, habits of its windows, the sun.

A part shows the piece of a texture at its own place, so joints and stains run on behind
windows. Lengths are in units, 1/64 of the picture side. Palettes are RGB, 0-255; chosen
colours are float32 [3] in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from pix2pix_tf.data.scenes.layout import SIDE, Box, Plan, between, chance, pick

# The walls are few and close to each other on purpose: a network trained for
# minutes has to find a plausible one.
_WALLS = {
    "brick": ((154, 92, 72), (168, 108, 82), (140, 86, 72), (176, 134, 100)),
    "stucco": ((212, 194, 160), (218, 206, 184), (198, 186, 168), (204, 172, 142)),
    "stone": ((176, 168, 152), (186, 172, 146), (164, 161, 156)),
}
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


class Raster(NamedTuple):
    """A square grid of pixels over the picture."""

    size: int  # Pixels along one side.

    @property
    def unit(self) -> float:
        """Pixels per unit."""
        return self.size / SIDE

    def edge(self, position: float) -> int:
        """Returns the edge between pixels, 0 to `size`, that is nearest to a position in units."""
        return min(max(math.floor(position * self.size / SIDE + 0.5), 0), self.size)

    def slices(self, box: Box) -> tuple[slice, slice]:
        """Returns the rows and the columns of a box; what lies outside the picture is cut."""
        top, left, bottom, right = (self.edge(position) for position in box)
        return slice(top, bottom), slice(left, right)

    def snap(self, box: Box) -> Box:
        """Returns `box` moved to edges of pixels, cut at the picture's border."""
        return Box(*(self.edge(position) * SIDE / self.size for position in box))

    def centers(self) -> np.ndarray:
        """Returns where the pixels' centres are along one side, in units, float64 [size]."""
        return (np.arange(self.size, dtype=np.float64) + 0.5) / self.unit


class Surface(NamedTuple):
    """How the picture, or a box of it, looks before light falls on it."""

    albedo: np.ndarray  # float32 [rows, columns, 3] in [0, 1]: RGB.
    relief: np.ndarray  # float32 [rows, columns], units in front of the wall.


class Blocks(NamedTuple):
    """The stones, bricks or tiles of a surface; lengths in units."""

    course: float  # Height of a course.
    length: float  # Length of a block.
    joint: float  # Thickness of the joints.
    variety: float  # Difference between the lightest and the darkest block, relative.


class Style:
    """The choices of one scene, by `rng`; `grain_rng` draws what has a number per pixel.

    Textures have the picture's size.
    """

    def __init__(self, rng: Generator, grain_rng: Generator, raster: Raster, plan: Plan):
        sky = pick(rng, _SKIES)
        self.zenith, self.horizon = (np.array(color, np.float32) / 255.0 for color in sky)
        self.trim = _pick_color(rng, _TRIMS)
        self.wall = _wall(rng, grain_rng, raster, plan)
        self.roof = _roof(rng, raster)
        # What stands across the street, seen dimly in the panes; the sky is added there.
        mirrored = smooth_noise(rng, raster, 12) * smooth_noise(rng, raster, 5)
        dark = np.array((0.12, 0.15, 0.18), np.float32)
        self.glass = dark + mirrored[..., np.newaxis] * (0.9 * self.horizon)
        self.frame = _pick_color(rng, _FRAMES)
        self.door = _pick_color(rng, _DOORS)
        self.shutter = _pick_color(rng, _SHUTTERS)
        self.awning = _pick_color(rng, _AWNINGS)
        self.muntins = pick(rng, ("cross", "casement", "sash", "grid"))  # The bars of windows.
        self.has_dentils = chance(rng, 0.5)
        self.has_stone_balconies = chance(rng, 0.3)
        # Columns that a shadow moves per row: positive from the left.
        self.sun_side = pick(rng, (-1.0, 1.0)) * between(rng, 0.35, 0.95)
        self.sun_strength = between(rng, 0.4, 0.62)


def smooth_noise(rng: Generator, raster: Raster, cells: int) -> np.ndarray:
    """Returns float32 [size, size] in [0, 1): random values on `cells` by `cells`, made smooth."""
    lattice = rng.random((cells + 1, cells + 1), np.float32)
    position = (np.arange(raster.size, dtype=np.float64) + 0.5) * (cells / raster.size)
    before = position.astype(np.int64)
    fraction = position - before
    weight = (fraction * fraction * (3.0 - 2.0 * fraction)).astype(np.float32)
    rows = lattice[before] + weight[:, np.newaxis] * (lattice[before + 1] - lattice[before])
    start, end = rows[:, before], rows[:, before + 1]
    return start + weight * (end - start)


def masonry(
    rng: Generator, raster: Raster, color: np.ndarray, joint_color: np.ndarray, blocks: Blocks
) -> Surface:
    """Returns courses of blocks, every second one shifted by half a block."""
    centers = raster.centers()
    row = np.floor(centers / blocks.course).astype(np.int64)
    below_joint = centers - row * blocks.course
    along = centers + (row % 2)[:, np.newaxis] * (0.5 * blocks.length)
    block = np.floor(along / blocks.length).astype(np.int64)
    after_joint = along - block * blocks.length
    # The share of a pixel that is blocks.joint: thin joints fade in small pictures
    # where all-or-nothing would give stripes.
    nearest = np.minimum(below_joint[:, np.newaxis], after_joint)
    joint_share = np.clip((blocks.joint - nearest) * raster.unit + 0.5, 0.0, 1.0).astype(np.float32)

    tones = rng.random((int(SIDE / blocks.course) + 2, int(SIDE / blocks.length) + 3), np.float32)
    tone = 1.0 + blocks.variety * (tones[row[:, np.newaxis], block] - 0.5)
    albedo = tone[..., np.newaxis] * color
    albedo += joint_share[..., np.newaxis] * (joint_color - albedo)
    return Surface(albedo, relief=0.3 * (1.0 - joint_share))


def _pick_color(rng: Generator, options: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Returns one of the colours, a little lighter or darker."""
    return np.array(pick(rng, options), np.float32) * (between(rng, 0.93, 1.05) / 255.0)


def _wall(rng: Generator, grain_rng: Generator, raster: Raster, plan: Plan) -> Surface:
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


def _material(rng: Generator, raster: Raster, name: str) -> Surface:
    """Returns a clean wall of "brick", "stucco" or "stone"."""
    color = _pick_color(rng, _WALLS[name])
    if name == "stucco":
        relief = 0.12 * smooth_noise(rng, raster, 60)
        return Surface(np.broadcast_to(color, (*relief.shape, 3)).copy(), relief)
    if name == "brick":
        return masonry(rng, raster, color, 0.5 * color + 0.32, Blocks(1.4, 4.0, 0.3, 0.3))
    blocks = Blocks(between(rng, 3.2, 4.4), 8.0, 0.4, 0.22)
    return masonry(rng, raster, color, 0.62 * color, blocks)


def _roof(rng: Generator, raster: Raster) -> Surface:
    """Returns tiles or slates, half a unit in front of the wall."""
    color = _pick_color(rng, _ROOFS)
    tiles = masonry(rng, raster, color, 0.5 * color, Blocks(1.6, 1.5, 0.25, 0.3))
    stains = 0.85 + 0.3 * smooth_noise(rng, raster, 8)
    return Surface(tiles.albedo * stains[..., np.newaxis], tiles.relief + 0.5)
