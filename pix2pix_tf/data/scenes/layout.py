"""The layout of a house: which part is where.

Positions are in units, 1/64 of the picture side, so a scene has the same layout
at every size. Labels are 2 units thick or more. Later parts cover earlier ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pix2pix_tf.data.classes import LabelClass
from pix2pix_tf.data.scenes import classes
from pix2pix_tf.data.scenes.geometry import SIDE, Box
from pix2pix_tf.data.scenes.randomness import between, chance, pick

_BAND = 2.2  # How far the cornice at the top of a storey reaches down into it.
_PILASTER = 2.2  # The width of a pilaster.


class Part(NamedTuple):
    """One labelled part of a house."""

    scene_class: LabelClass
    box: Box
    top_inset: float = 0.0  # Units cut from both ends of the top edge: a slanted roof.
    is_arched: bool = False


class Plan(NamedTuple):
    """The layout of one scene."""

    parts: list[Part]
    ground: float  # Where the pavement begins.
    ground_floor_top: float


class _Grid(NamedTuple):
    """The storeys (0 is the highest) and columns of a wall."""

    wall: Box
    margin: float
    storeys: int
    columns: int

    @property
    def pitch(self) -> float:
        """Width of one column."""
        return (self.wall.width - 2.0 * self.margin) / self.columns

    def storey_top(self, storey: int) -> float:
        return self.wall.top + self.wall.height * storey / self.storeys

    def cell(self, storey: int, column: int) -> Box:
        left = self.wall.left + self.margin + column * self.pitch
        return Box(self.storey_top(storey), left, self.storey_top(storey + 1), left + self.pitch)


def plan_house(rng: np.random.Generator) -> Plan:
    """Returns the layout of a new house."""
    ground = SIDE - between(rng, 3.0, 6.0)
    left = 0.0 if chance(rng, 0.25) else between(rng, 2.0, 9.0)
    right = SIDE if chance(rng, 0.25) else SIDE - between(rng, 2.0, 9.0)
    roof = pick(rng, ("flat", "hip", "mansard", "gable"))
    roof_height = {
        "flat": 0.0,
        "hip": between(rng, 8.0, 12.0),
        "mansard": between(rng, 8.5, 10.5),
        "gable": between(rng, 14.0, 19.0),
    }[roof]
    sky_height = between(rng, 10.0, 16.0) if chance(rng, 0.35) else between(rng, 3.0, 8.0)
    wall = Box(sky_height + roof_height, left, ground, right)
    margin = between(rng, 1.0, 2.0)
    grid = _Grid(
        wall,
        margin=margin,
        storeys=max(2, int(wall.height / between(rng, 11.5, 15.0))),
        columns=max(3, int((wall.width - 2.0 * margin) / between(rng, 10.5, 15.0))),
    )
    # Wider than the wall: they carry the roof and throw the longest shadow.
    eaves = Box(wall.top - 1.0, left - 1.2, wall.top + _BAND, right + 1.2)
    parts = [
        *_plan_roof(rng, roof, roof_height, wall),
        Part(classes.FACADE, wall),
        *_plan_upper_storeys(rng, grid),
        *_plan_ground_floor(rng, grid),
        Part(classes.CORNICE, eaves),
    ]
    return Plan(parts, ground, grid.storey_top(grid.storeys - 1))


def _plan_roof(rng: np.random.Generator, roof: str, roof_height: float, wall: Box) -> list[Part]:
    if roof == "flat":
        return []
    parts = []
    top = wall.top - roof_height
    if chance(rng, 0.7):
        chimney_left = wall.left + wall.width * pick(rng, (0.2, 0.3, 0.66, 0.76))
        chimney_top = top - 1.5 if roof != "gable" else top + 1.0
        chimney = Box(chimney_top, chimney_left, wall.top, chimney_left + 4.0)
        parts.append(Part(classes.FACADE, chimney))
    box = Box(top, wall.left - 0.8, wall.top, wall.right + 0.8)
    if roof == "gable":
        return parts + _plan_gable(rng, box)
    top_inset = between(rng, 8.0, 14.0) if roof == "hip" else between(rng, 2.0, 4.0)
    parts.append(Part(classes.MOLDING, box, top_inset=top_inset))
    num_dormers = pick(rng, (0, 1, 2) if roof == "hip" else (0, 1, 2, 3))
    for dormer in range(num_dormers):
        center = box.left + box.width * (dormer + 1.0) / (num_dormers + 1.0)
        frame = Box(box.bottom - 7.4, center - 4.0, box.bottom, center + 4.0)
        window = Box(frame.top + 2.0, center - 2.0, frame.bottom, center + 2.0)
        parts += [Part(classes.FACADE, frame), Part(classes.WINDOW, window)]
    return parts


def _plan_gable(rng: np.random.Generator, roof: Box) -> list[Part]:
    """Plans a triangle of wall with a window, under a roof that is seen edge on."""
    thickness = 3.5  # Measured downwards; 2 units or more across the slope.
    height = roof.bottom - (roof.top + thickness)
    # The same slope as the roof, so that the roof's edge is a band.
    reach = height * (roof.width / 2.0) / roof.height
    inner = Box(roof.top + thickness, roof.center - reach, roof.bottom, roof.center + reach)
    window_width = between(rng, 4.0, 5.0)
    window = Box(
        roof.bottom - 0.52 * height,
        roof.center - window_width / 2.0,
        roof.bottom - 2.0,
        roof.center + window_width / 2.0,
    )
    return [
        Part(classes.MOLDING, roof, top_inset=roof.width / 2.0),
        Part(classes.FACADE, inner, top_inset=reach),
        Part(classes.WINDOW, window, is_arched=chance(rng, 0.6)),
    ]


def _plan_upper_storeys(rng: np.random.Generator, grid: _Grid) -> list[Part]:
    """Plans every window above the ground floor with its company, and the wall around them."""
    last = grid.storeys - 1
    parts = []
    # Pilasters and shutters need the same place. Either leaves room for narrow windows.
    beside = pick(rng, ("nothing", "pilasters", "shutters"))
    width = grid.pitch * (between(rng, 0.4, 0.54) if beside == "nothing" else 0.39)
    shutter_width = max(2.0, 0.5 * width)
    balcony_reach = {  # To the pilasters, or over the shutters: no sliver of wall between.
        "nothing": 2.0,
        "pilasters": grid.pitch / 2.0 - _PILASTER / 2.0 - width / 2.0,
        "shutters": shutter_width,
    }[beside]
    if beside == "pilasters":
        parts += _plan_pilasters(rng, grid)
    for storey in pick(rng, ((), (last,), (last,), range(1, grid.storeys))):
        top = grid.storey_top(storey)
        band = Box(top - 0.2, grid.wall.left, top + _BAND, grid.wall.right)
        parts.append(Part(classes.CORNICE, band))
    has_sills = chance(rng, 0.75)
    has_deco = chance(rng, 0.45)
    arched_storey = pick(rng, (None, None, 0, last - 1))
    balcony_storey = pick(rng, (None, *range(last), last - 1))
    balcony_columns = pick(
        rng, (range(grid.columns), range(0, grid.columns, 2), (grid.columns // 2,))
    )
    # Wall between two parts is left out, or is 2 units: ornament and sill meet
    # the cornices of a low storey, and keep away from those of a high one.
    is_high = grid.cell(0, 0).height > 14.0
    above = pick(rng, (4.2, 6.4)) if is_high else 4.2
    below = 4.4 if is_high else 2.2
    for storey in range(last):
        for column in range(grid.columns):
            cell = grid.cell(storey, column)
            window = Box(
                cell.top + above,
                cell.center - width / 2.0,
                cell.bottom - below,
                cell.center + width / 2.0,
            )
            is_arched = storey == arched_storey
            parts.append(Part(classes.WINDOW, window, is_arched=is_arched))
            if beside == "shutters":
                parts += _plan_both_sides(classes.BLIND, window, shutter_width)
            if has_deco and not is_arched:
                parts.append(Part(classes.DECO, _ledge(window.top - 2.0, window, overhang=0.5)))
            if storey == balcony_storey and column in balcony_columns:
                balcony = Box(
                    window.bottom - 0.42 * window.height,
                    window.left - balcony_reach,
                    window.bottom + 2.0,
                    window.right + balcony_reach,
                )
                parts.append(Part(classes.BALCONY, balcony))
            elif has_sills:
                overhang = 0.0 if beside == "pilasters" else 0.7
                parts.append(Part(classes.SILL, _ledge(window.bottom, window, overhang=overhang)))
    return parts


def _plan_pilasters(rng: np.random.Generator, grid: _Grid) -> list[Part]:
    """Plans pillars on the wall: between all columns, or at the two ends."""
    parts = []
    bottom = grid.storey_top(grid.storeys - 1)
    step = pick(rng, (1, 1, grid.columns))
    for column in range(0, grid.columns + 1, step):
        center = grid.wall.left + grid.margin + column * grid.pitch
        left = center - _PILASTER / 2.0 if column > 0 else grid.wall.left
        right = center + _PILASTER / 2.0 if column < grid.columns else grid.wall.right
        parts.append(Part(classes.PILLAR, Box(grid.wall.top, left, bottom, right)))
    return parts


def _plan_both_sides(scene_class: LabelClass, opening: Box, width: float) -> list[Part]:
    """Plans two equal parts that touch an opening on the left and on the right."""
    return [
        Part(scene_class, opening._replace(left=left, right=left + width))
        for left in (opening.left - width, opening.right)
    ]


def _ledge(top: float, opening: Box, *, overhang: float) -> Box:
    """Returns a box 2 units high, a little wider than the opening it belongs to."""
    return Box(top, opening.left - overhang, top + 2.0, opening.right + overhang)


def _plan_ground_floor(rng: np.random.Generator, grid: _Grid) -> list[Part]:
    """Plans doors, and shops or windows between them."""
    storey = grid.storeys - 1
    last = grid.columns - 1
    door_columns = pick(rng, ((grid.columns // 2,), (0,), (last,), (0, last)))
    has_shops = chance(rng, 0.45)
    has_portal = chance(rng, 0.4)
    has_arch = chance(rng, 0.35) and not has_portal
    parts = []
    shop_start = None
    for column in range(grid.columns):
        cell = grid.cell(storey, column)
        opening_top = cell.top + 4.2
        if column in door_columns:
            door_half = max(2.2, 0.23 * cell.width)
            door = Box(opening_top, cell.center - door_half, cell.bottom, cell.center + door_half)
            parts.append(Part(classes.DOOR, door, is_arched=has_arch))
            if has_portal:
                parts += _plan_both_sides(classes.PILLAR, door, 2.0)
                parts.append(Part(classes.DECO, _ledge(door.top - 2.0, door, overhang=2.2)))
        elif not has_shops:
            window = cell.part(0.0, 0.25, 0.76, 0.75)._replace(top=opening_top)
            parts.append(Part(classes.WINDOW, window))
        else:  # One shop fills all columns up to the next door.
            if shop_start is None:
                shop_start = cell.left
            if column == last or column + 1 in door_columns:
                shop = Box(cell.top + _BAND, shop_start + 1.0, cell.bottom, cell.right - 1.0)
                parts.append(Part(classes.SHOP, shop))
                shop_start = None
    return parts
