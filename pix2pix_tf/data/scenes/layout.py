"""The layout of a house: which part is where.

A unit is 1/64 of the picture side, so a scene has the same layout at every size. Rows grow
downwards, columns to the right; both begin at 0. Labels are 2 units thick or more. Later parts
cover earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from numpy.random import Generator

SIDE = 64.0  # The picture side in units.
_BAND = 2.2  # How far the cornice at the top of a storey reaches down into it.
_PILASTER = 2.2  # The width of a pilaster.
_ROOF_HEIGHTS = {"hip": (8.0, 12.0), "mansard": (8.5, 10.5), "gable": (14.0, 19.0)}


# `Generator.choice`, `integers` and `uniform` would do the same as these three, but the numbers
# behind them may change with a NumPy version; so no other method than `random` is used.


def between(rng: Generator, low: float, high: float) -> float:
    """Returns a number in [low, high)."""
    return low + (high - low) * rng.random()


def chance(rng: Generator, probability: float) -> bool:
    """Returns True with the given probability."""
    return rng.random() < probability


def pick(rng: Generator, options: Sequence):
    """Returns one of the options. One that is listed twice is picked twice as often."""
    return options[int(rng.random() * len(options))]


class Box(NamedTuple):
    """A rectangle, in units."""

    top: float
    left: float
    bottom: float
    right: float

    @classmethod
    def around(cls, center: float, half_width: float, *, top: float, bottom: float) -> Box:
        """Returns a box that reaches equally far to both sides of a column."""
        return cls(top, center - half_width, bottom, center + half_width)

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def center(self) -> float:
        """The middle between left and right."""
        return (self.left + self.right) / 2.0

    def inset(self, margin: float) -> Box:
        """Returns the box without a border of `margin` units."""
        return Box(self.top + margin, self.left + margin, self.bottom - margin, self.right - margin)

    def part(self, top: float, left: float, bottom: float, right: float) -> Box:
        """Returns the piece between four fractions of the height and of the width."""
        return Box(
            self.top + top * self.height,
            self.left + left * self.width,
            self.top + bottom * self.height,
            self.left + right * self.width,
        )


class Part(NamedTuple):
    """One labelled part of a house."""

    name: str  # That of its class.
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

    def cell(self, storey: int, column: int) -> Box:
        left = self.wall.left + self.margin + column * self.pitch
        top, bottom = (
            self.wall.top + self.wall.height * number / self.storeys
            for number in (storey, storey + 1)
        )
        return Box(top, left, bottom, left + self.pitch)


def plan_house(rng: Generator) -> Plan:
    """Returns the layout of a new house."""
    ground = SIDE - between(rng, 3.0, 6.0)
    left = 0.0 if chance(rng, 0.25) else between(rng, 2.0, 9.0)
    right = SIDE if chance(rng, 0.25) else SIDE - between(rng, 2.0, 9.0)
    roof = pick(rng, ("flat", "hip", "mansard", "gable"))
    roof_heights = {name: between(rng, *heights) for name, heights in _ROOF_HEIGHTS.items()}
    sky_height = between(rng, 10.0, 16.0) if chance(rng, 0.35) else between(rng, 3.0, 8.0)
    wall = Box(sky_height + roof_heights.get(roof, 0.0), left, ground, right)
    margin = between(rng, 1.0, 2.0)
    storeys = max(2, int(wall.height / between(rng, 11.5, 15.0)))
    columns = max(3, int((wall.width - 2.0 * margin) / between(rng, 10.5, 15.0)))
    grid = _Grid(wall, margin, storeys, columns)
    # Wider than the wall: they carry the roof and throw the longest shadow.
    eaves = Box(wall.top - 1.0, left - 1.2, wall.top + _BAND, right + 1.2)
    parts = [
        *_plan_roof(rng, roof, roof_heights.get(roof, 0.0), wall),
        Part("facade", wall),
        *_plan_upper_storeys(rng, grid),
        *_plan_ground_floor(rng, grid),
        Part("cornice", eaves),
    ]
    return Plan(parts, ground, grid.cell(storeys - 1, 0).top)


def _plan_roof(rng: Generator, roof: str, roof_height: float, wall: Box) -> list[Part]:
    if roof == "flat":
        return []
    parts = []
    top = wall.top - roof_height
    if chance(rng, 0.7):
        chimney_left = wall.left + wall.width * pick(rng, (0.2, 0.3, 0.66, 0.76))
        chimney_top = top - 1.5 if roof != "gable" else top + 1.0
        chimney = Box(chimney_top, chimney_left, wall.top, chimney_left + 4.0)
        parts.append(Part("facade", chimney))
    box = Box(top, wall.left - 0.8, wall.top, wall.right + 0.8)
    if roof == "gable":
        return parts + _plan_gable(rng, box)
    top_inset = between(rng, 8.0, 14.0) if roof == "hip" else between(rng, 2.0, 4.0)
    parts.append(Part("molding", box, top_inset=top_inset))
    num_dormers = pick(rng, range(3 if roof == "hip" else 4))
    for dormer in range(num_dormers):
        center = box.left + box.width * (dormer + 1.0) / (num_dormers + 1.0)
        frame = Box.around(center, 4.0, top=box.bottom - 7.4, bottom=box.bottom)
        window = Box.around(center, 2.0, top=frame.top + 2.0, bottom=frame.bottom)
        parts += [Part("facade", frame), Part("window", window)]
    return parts


def _plan_gable(rng: Generator, roof: Box) -> list[Part]:
    """Plans a triangle of wall with a window, under a roof that is seen edge on."""
    top = roof.top + 3.5  # Measured downwards; 2 units or more across the slope.
    height = roof.bottom - top
    # The same slope as the roof, so that the roof's edge is a band.
    reach = height * (roof.width / 2.0) / roof.height
    inner = Box.around(roof.center, reach, top=top, bottom=roof.bottom)
    half_width = between(rng, 4.0, 5.0) / 2.0
    window_top, window_bottom = roof.bottom - 0.52 * height, roof.bottom - 2.0
    window = Box.around(roof.center, half_width, top=window_top, bottom=window_bottom)
    return [
        Part("molding", roof, top_inset=roof.width / 2.0),
        Part("facade", inner, top_inset=reach),
        Part("window", window, is_arched=chance(rng, 0.6)),
    ]


def _plan_upper_storeys(rng: Generator, grid: _Grid) -> list[Part]:
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
    if beside == "pilasters":  # Between all columns, or at the two ends.
        for column in range(0, grid.columns + 1, pick(rng, (1, 1, grid.columns))):
            _, center, bottom, _ = grid.cell(last - 1, column)
            left = center - _PILASTER / 2.0 if column > 0 else grid.wall.left
            right = center + _PILASTER / 2.0 if column < grid.columns else grid.wall.right
            parts.append(Part("pillar", Box(grid.wall.top, left, bottom, right)))
    for storey in pick(rng, ((), (last,), (last,), range(1, grid.storeys))):
        top = grid.cell(storey, 0).top
        parts.append(Part("cornice", Box(top - 0.2, grid.wall.left, top + _BAND, grid.wall.right)))
    has_sills = chance(rng, 0.75)
    has_deco = chance(rng, 0.45)
    arched_storey = pick(rng, (None, None, 0, last - 1))
    balcony_storey = pick(rng, (None, *range(last), last - 1))
    columns = range(grid.columns)
    balcony_columns = pick(rng, (columns, columns[::2], (grid.columns // 2,)))
    # Wall between two parts is left out, or is 2 units: ornament and sill meet
    # the cornices of a low storey, and keep away from those of a high one.
    is_high = grid.cell(0, 0).height > 14.0
    above = pick(rng, (4.2, 6.4)) if is_high else 4.2
    below = 4.4 if is_high else 2.2
    overhang = 0.0 if beside == "pilasters" else 0.7
    for storey, column in ((storey, column) for storey in range(last) for column in columns):
        cell = grid.cell(storey, column)
        top, bottom = cell.top + above, cell.bottom - below
        window = Box.around(cell.center, width / 2.0, top=top, bottom=bottom)
        is_arched = storey == arched_storey
        parts.append(Part("window", window, is_arched=is_arched))
        if beside == "shutters":
            parts += _plan_both_sides("blind", window, shutter_width)
        if has_deco and not is_arched:
            parts.append(Part("deco", _ledge(top - 2.0, window, overhang=0.5)))
        if storey == balcony_storey and column in balcony_columns:
            balcony = _ledge(bottom, window, overhang=balcony_reach)
            parts.append(Part("balcony", balcony._replace(top=bottom - 0.42 * window.height)))
        elif has_sills:
            parts.append(Part("sill", _ledge(bottom, window, overhang=overhang)))
    return parts


def _plan_both_sides(name: str, opening: Box, width: float) -> list[Part]:
    """Plans two equal parts that touch an opening on the left and on the right."""
    return [
        Part(name, opening._replace(left=left, right=left + width))
        for left in (opening.left - width, opening.right)
    ]


def _ledge(top: float, opening: Box, *, overhang: float) -> Box:
    """Returns a box 2 units high, a little wider than the opening it belongs to."""
    return Box(top, opening.left - overhang, top + 2.0, opening.right + overhang)


def _plan_ground_floor(rng: Generator, grid: _Grid) -> list[Part]:
    """Plans doors, and shops or windows between them."""
    last = grid.columns - 1
    door_columns = pick(rng, ((grid.columns // 2,), (0,), (last,), (0, last)))
    has_shops = chance(rng, 0.45)
    has_portal = chance(rng, 0.4)
    has_arch = chance(rng, 0.35) and not has_portal
    parts = []
    shop_start = None
    for column in range(grid.columns):
        cell = grid.cell(grid.storeys - 1, column)
        top = cell.top + 4.2
        if column in door_columns:
            half_width = max(2.2, 0.23 * cell.width)
            door = Box.around(cell.center, half_width, top=top, bottom=cell.bottom)
            parts.append(Part("door", door, is_arched=has_arch))
            if has_portal:
                parts += _plan_both_sides("pillar", door, 2.0)
                parts.append(Part("deco", _ledge(top - 2.0, door, overhang=2.2)))
        elif not has_shops:
            window = cell.part(0.0, 0.25, 0.76, 0.75)._replace(top=top)
            parts.append(Part("window", window))
        else:  # One shop fills all columns up to the next door.
            if shop_start is None:
                shop_start = cell.left
            if column == last or column + 1 in door_columns:
                shop = Box(cell.top + _BAND, shop_start + 1.0, cell.bottom, cell.right - 1.0)
                parts.append(Part("shop", shop))
                shop_start = None
    return parts
