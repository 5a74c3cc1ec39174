"""The `demo` data set: house fronts that the project draws by itself, without a network.

A scene is a pair, as in CMP Facades: a map of labelled parts, and a "photo" of
the same house. The parts sit in the photo exactly where the labels say, but a
pixel's colour also depends on what no label tells: masonry, light, shadows of
neighbouring parts, the place inside a window, and colours chosen per scene.

Positions are in units of 1/64 of the picture side (rows grow downwards), so a
scene has the same layout at every size. Labels are 2 units thick or more.

Everything is a pure function of `(size, seed, index)`. Two habits keep the
bytes equal between NumPy versions: random numbers come from `Generator.random`
alone, and pixels only from operations that IEEE 754 rounds exactly (no `exp`,
`sin`, `power`, matrix product or array sum).

Reference:
    Tylecek and Sara, "Spatial Pattern Templates for Recognition of Objects with
    Regular Structure", GCPR 2013: the classes and their colours.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pix2pix_tf import errors


@dataclasses.dataclass(frozen=True)
class SceneClass:
    """One kind of labelled part, and its colour in the label image."""

    name: str
    color: tuple[int, int, int]


CLASSES: tuple[SceneClass, ...] = (
    SceneClass("background", (0, 0, 222)),
    SceneClass("facade", (0, 48, 255)),
    SceneClass("window", (0, 128, 255)),
    SceneClass("door", (1, 207, 255)),
    SceneClass("cornice", (32, 255, 224)),
    SceneClass("sill", (112, 254, 142)),
    SceneClass("balcony", (192, 255, 63)),
    SceneClass("blind", (255, 240, 1)),  # Here: shutters beside a window.
    SceneClass("deco", (255, 159, 0)),  # Here: ornaments above windows and doors.
    SceneClass("molding", (255, 80, 0)),  # Here: roofs; CMP has no class for them.
    SceneClass("pillar", (254, 0, 0)),
    SceneClass("shop", (174, 0, 1)),
)

_CLASS_COLORS = np.array([scene_class.color for scene_class in CLASSES], np.uint8)

_SMALLEST_SIZE = 32  # Below, a part of 2 units has less than one pixel.
_SIDE = 64.0  # The picture side in units.
_BAND = 2.2  # How far the cornice at the top of a storey reaches down into it.
_PILASTER = 2.2  # The width of a pilaster.
_SMALLEST_RENDER = 128  # Smaller photos are drawn at this size or more and averaged.

(
    _BACKGROUND,
    _FACADE,
    _WINDOW,
    _DOOR,
    _CORNICE,
    _SILL,
    _BALCONY,
    _BLIND,
    _DECO,
    _MOLDING,
    _PILLAR,
    _SHOP,
) = range(len(CLASSES))

# Photo colours, 0-255. The walls are few and close to each other on purpose: a
# network trained for minutes has to find a plausible one.
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
        raise errors.InputError(
            f"A demo scene of {size}x{size} pixels is too small to show its parts. "
            f"Pass a size of {_SMALLEST_SIZE} or more."
        )
    if seed < 0 or index < 0:
        raise errors.InputError(
            f"Demo scenes are numbered from 0, but seed={seed} and index={index} were given. "
            "Pass numbers that are not negative."
        )
    # One stream per subject: how much one draws does not move the others. Only
    # the grain draws as many numbers as there are pixels.
    layout_rng, style_rng, grain_rng = (
        np.random.Generator(np.random.PCG64(np.random.SeedSequence((int(seed), int(index), part))))
        for part in range(3)
    )
    plan = _plan_house(layout_rng)
    canvas = _Canvas(int(size))
    style = _choose_style(style_rng, grain_rng, canvas, plan)
    _paint_background(canvas, style, plan, style_rng)
    for part in plan.parts:
        _draw_part(canvas, part, style, style_rng)
    photo = _photograph(canvas, style, plan, grain_rng)
    return Scene(canvas.class_index, _CLASS_COLORS[canvas.class_index], photo)


# Random choices.


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return rng.random() < probability


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.random() * len(options))]


def _pick_color(rng: np.random.Generator, options: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Returns one of the 0-255 colours, a little lighter or darker, as float32 [3] in [0, 1]."""
    return np.array(_pick(rng, options), np.float32) * (_between(rng, 0.93, 1.05) / 255.0)


# The layout: which part is where.


class _Box(NamedTuple):
    """A rectangle, in units."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def center(self) -> float:
        return (self.left + self.right) / 2.0

    def inset(self, margin: float) -> _Box:
        """Returns the box without a border of `margin` units."""
        return _Box(
            self.top + margin, self.left + margin, self.bottom - margin, self.right - margin
        )

    def part(self, top: float, left: float, bottom: float, right: float) -> _Box:
        """Returns the piece between four fractions of the height and of the width."""
        return _Box(
            self.top + top * self.height,
            self.left + left * self.width,
            self.top + bottom * self.height,
            self.left + right * self.width,
        )


class _Part(NamedTuple):
    """One labelled part of a house. Later parts cover earlier ones."""

    class_index: int
    box: _Box
    top_inset: float = 0.0  # Units cut from both ends of the top edge: a slanted roof.
    is_arched: bool = False


class _Plan(NamedTuple):
    """The layout of one scene."""

    parts: list[_Part]
    ground: float  # Where the pavement begins.
    ground_floor_top: float


class _Grid(NamedTuple):
    """The storeys (0 is the highest) and columns of a wall."""

    wall: _Box
    margin: float
    storeys: int
    columns: int

    @property
    def pitch(self) -> float:
        """Width of one column."""
        return (self.wall.width - 2.0 * self.margin) / self.columns

    def storey_top(self, storey: int) -> float:
        return self.wall.top + self.wall.height * storey / self.storeys

    def cell(self, storey: int, column: int) -> _Box:
        left = self.wall.left + self.margin + column * self.pitch
        return _Box(self.storey_top(storey), left, self.storey_top(storey + 1), left + self.pitch)


def _plan_house(rng: np.random.Generator) -> _Plan:
    ground = _SIDE - _between(rng, 3.0, 6.0)
    left = 0.0 if _chance(rng, 0.25) else _between(rng, 2.0, 9.0)
    right = _SIDE if _chance(rng, 0.25) else _SIDE - _between(rng, 2.0, 9.0)
    roof = _pick(rng, ("flat", "hip", "mansard", "gable"))
    roof_height = {
        "flat": 0.0,
        "hip": _between(rng, 8.0, 12.0),
        "mansard": _between(rng, 8.5, 10.5),
        "gable": _between(rng, 14.0, 19.0),
    }[roof]
    sky_height = _between(rng, 10.0, 16.0) if _chance(rng, 0.35) else _between(rng, 3.0, 8.0)
    wall = _Box(sky_height + roof_height, left, ground, right)
    margin = _between(rng, 1.0, 2.0)
    grid = _Grid(
        wall,
        margin=margin,
        storeys=max(2, int(wall.height / _between(rng, 11.5, 15.0))),
        columns=max(3, int((wall.width - 2.0 * margin) / _between(rng, 10.5, 15.0))),
    )
    parts = _plan_roof(rng, roof, roof_height, wall)
    parts.append(_Part(_FACADE, wall))
    parts += _plan_upper_storeys(rng, grid)
    parts += _plan_ground_floor(rng, grid)
    # Wider than the wall: it carries the roof and throws the longest shadow.
    eaves = _Box(wall.top - 1.0, left - 1.2, wall.top + _BAND, right + 1.2)
    parts.append(_Part(_CORNICE, eaves))
    return _Plan(parts, ground, grid.storey_top(grid.storeys - 1))


def _plan_roof(rng: np.random.Generator, roof: str, roof_height: float, wall: _Box) -> list[_Part]:
    if roof == "flat":
        return []
    parts = []
    top = wall.top - roof_height
    if _chance(rng, 0.7):
        chimney_left = wall.left + wall.width * _pick(rng, (0.2, 0.3, 0.66, 0.76))
        chimney_top = top - 1.5 if roof != "gable" else top + 1.0
        parts.append(_Part(_FACADE, _Box(chimney_top, chimney_left, wall.top, chimney_left + 4.0)))
    box = _Box(top, wall.left - 0.8, wall.top, wall.right + 0.8)
    if roof == "gable":
        parts.append(_Part(_MOLDING, box, top_inset=box.width / 2.0))
        thickness = 3.5  # Measured downwards; 2 units or more across the slope.
        inner = _Box(box.top + thickness, wall.left, wall.top, wall.right)
        # The same slope as the roof, so that the roof's edge is a band.
        inner_reach = inner.height * (box.width / 2.0) / box.height
        inner = inner._replace(left=box.center - inner_reach, right=box.center + inner_reach)
        parts.append(_Part(_FACADE, inner, top_inset=inner_reach))
        window_width = _between(rng, 4.0, 5.0)
        window = _Box(
            wall.top - 0.52 * inner.height,
            box.center - window_width / 2.0,
            wall.top - 2.0,
            box.center + window_width / 2.0,
        )
        parts.append(_Part(_WINDOW, window, is_arched=_chance(rng, 0.6)))
        return parts
    top_inset = _between(rng, 8.0, 14.0) if roof == "hip" else _between(rng, 2.0, 4.0)
    parts.append(_Part(_MOLDING, box, top_inset=top_inset))
    num_dormers = _pick(rng, (0, 1, 2) if roof == "hip" else (0, 1, 2, 3))
    for dormer in range(num_dormers):
        center = box.left + box.width * (dormer + 1.0) / (num_dormers + 1.0)
        frame = _Box(box.bottom - 7.4, center - 4.0, box.bottom, center + 4.0)
        parts.append(_Part(_FACADE, frame))
        parts.append(
            _Part(_WINDOW, _Box(frame.top + 2.0, center - 2.0, frame.bottom, center + 2.0))
        )
    return parts


def _plan_upper_storeys(rng: np.random.Generator, grid: _Grid) -> list[_Part]:
    """Plans every window above the ground floor with its company, and the wall around them."""
    last = grid.storeys - 1
    parts = []
    # Pilasters and shutters need the same place. Either leaves room for narrow windows.
    beside = _pick(rng, ("nothing", "pilasters", "shutters"))
    width = grid.pitch * (_between(rng, 0.4, 0.54) if beside == "nothing" else 0.39)
    shutter_width = max(2.0, 0.5 * width)
    balcony_reach = {  # To the pilasters, or over the shutters: no sliver of wall between.
        "nothing": 2.0,
        "pilasters": grid.pitch / 2.0 - _PILASTER / 2.0 - width / 2.0,
        "shutters": shutter_width,
    }[beside]
    if beside == "pilasters":
        parts += _plan_pilasters(rng, grid)
    bands = _pick(rng, ((), (last,), (last,), range(1, grid.storeys)))
    for storey in bands:
        top = grid.storey_top(storey)
        parts.append(_Part(_CORNICE, _Box(top - 0.2, grid.wall.left, top + _BAND, grid.wall.right)))
    has_sills = _chance(rng, 0.75)
    has_deco = _chance(rng, 0.45)
    arched_storey = _pick(rng, (None, None, 0, last - 1))
    balcony_storey = _pick(rng, (None, *range(last), last - 1))
    balcony_columns = _pick(
        rng, (range(grid.columns), range(0, grid.columns, 2), (grid.columns // 2,))
    )
    # Wall between two parts is left out, or is 2 units: ornament and sill meet
    # the cornices of a low storey, and keep away from those of a high one.
    is_high = grid.cell(0, 0).height > 14.0
    above = _pick(rng, (4.2, 6.4)) if is_high else 4.2
    below = 4.4 if is_high else 2.2
    for storey in range(last):
        for column in range(grid.columns):
            cell = grid.cell(storey, column)
            window = _Box(
                cell.top + above,
                cell.center - width / 2.0,
                cell.bottom - below,
                cell.center + width / 2.0,
            )
            is_arched = storey == arched_storey
            parts.append(_Part(_WINDOW, window, is_arched=is_arched))
            if beside == "shutters":
                for edge in (window.left - shutter_width, window.right):
                    shutter = window._replace(left=edge, right=edge + shutter_width)
                    parts.append(_Part(_BLIND, shutter))
            if has_deco and not is_arched:
                parts.append(_Part(_DECO, _ledge(window.top - 2.0, window, overhang=0.5)))
            if storey == balcony_storey and column in balcony_columns:
                balcony = _Box(
                    window.bottom - 0.42 * window.height,
                    window.left - balcony_reach,
                    window.bottom + 2.0,
                    window.right + balcony_reach,
                )
                parts.append(_Part(_BALCONY, balcony))
            elif has_sills:
                overhang = 0.0 if beside == "pilasters" else 0.7
                parts.append(_Part(_SILL, _ledge(window.bottom, window, overhang=overhang)))
    return parts


def _plan_pilasters(rng: np.random.Generator, grid: _Grid) -> list[_Part]:
    """Plans pillars on the wall: between all columns, or at the two ends."""
    parts = []
    bottom = grid.storey_top(grid.storeys - 1)
    step = _pick(rng, (1, 1, grid.columns))
    for column in range(0, grid.columns + 1, step):
        center = grid.wall.left + grid.margin + column * grid.pitch
        left = center - _PILASTER / 2.0 if column > 0 else grid.wall.left
        right = center + _PILASTER / 2.0 if column < grid.columns else grid.wall.right
        parts.append(_Part(_PILLAR, _Box(grid.wall.top, left, bottom, right)))
    return parts


def _ledge(top: float, opening: _Box, *, overhang: float) -> _Box:
    """Returns a box 2 units high, a little wider than the opening it belongs to."""
    return _Box(top, opening.left - overhang, top + 2.0, opening.right + overhang)


def _plan_ground_floor(rng: np.random.Generator, grid: _Grid) -> list[_Part]:
    """Plans doors, and shops or windows between them."""
    storey = grid.storeys - 1
    last = grid.columns - 1
    door_columns = _pick(rng, ((grid.columns // 2,), (0,), (last,), (0, last)))
    has_shops = _chance(rng, 0.45)
    has_portal = _chance(rng, 0.4)
    has_arch = _chance(rng, 0.35) and not has_portal
    parts = []
    shop_start = None
    for column in range(grid.columns):
        cell = grid.cell(storey, column)
        if column in door_columns:
            door_half = max(2.2, 0.23 * cell.width)
            door = _Box(
                cell.top + 4.2,
                cell.center - door_half,
                cell.bottom,
                cell.center + door_half,
            )
            parts.append(_Part(_DOOR, door, is_arched=has_arch))
            if has_portal:
                for edge in (door.left - 2.0, door.right):
                    parts.append(_Part(_PILLAR, door._replace(left=edge, right=edge + 2.0)))
                parts.append(_Part(_DECO, _ledge(door.top - 2.0, door, overhang=2.2)))
        elif not has_shops:
            window = cell.part(0.0, 0.25, 0.76, 0.75)
            parts.append(_Part(_WINDOW, window._replace(top=cell.top + 4.2)))
        else:  # One shop fills all columns up to the next door.
            if shop_start is None:
                shop_start = cell.left
            if column == last or column + 1 in door_columns:
                shop = _Box(cell.top + _BAND, shop_start + 1.0, cell.bottom, cell.right - 1.0)
                parts.append(_Part(_SHOP, shop))
                shop_start = None
    return parts


# The picture: colours, and a relief that the light falls on.


class _Canvas:
    """The arrays of one scene while it is drawn.

    Attributes:
        class_index: uint8 [size, size].
        albedo: float32 [render, render, 3] in [0, 1], the colours without light.
        relief: float32 [render, render], units in front of the wall.
        factor: Render pixels per output pixel, along one side.
        unit: Render pixels per unit.
    """

    def __init__(self, size: int):
        self.size = size
        self.factor = -(-_SMALLEST_RENDER // size)
        self.render_size = size * self.factor
        self.unit = self.render_size / _SIDE
        self.class_index = np.zeros((size, size), np.uint8)
        self.albedo = np.zeros((self.render_size, self.render_size, 3), np.float32)
        self.relief = np.zeros((self.render_size, self.render_size), np.float32)

    def snap(self, box: _Box) -> _Box:
        """Returns `box` moved to edges of output pixels, so that photo and labels agree."""
        return _Box(*(_to_pixel(edge, self.size) * _SIDE / self.size for edge in box))

    def label_slices(self, box: _Box) -> tuple[slice, slice]:
        top, left, bottom, right = (_to_pixel(edge, self.size) for edge in box)
        return slice(top, bottom), slice(left, right)

    def slices(self, box: _Box) -> tuple[slice, slice]:
        top, left, bottom, right = (_to_pixel(edge, self.render_size) for edge in box)
        return slice(top, bottom), slice(left, right)

    def fill(self, box: _Box, color: np.ndarray, relief: float) -> None:
        where = self.slices(box)
        self.albedo[where] = color
        self.relief[where] = relief

    def paste(self, box: _Box, albedo: np.ndarray, relief: np.ndarray) -> None:
        """Copies the same place of two arrays of the picture's size."""
        where = self.slices(box)
        self.albedo[where] = albedo[where]
        self.relief[where] = relief[where]


def _to_pixel(edge: float, size: int) -> int:
    return min(max(math.floor(edge * size / _SIDE + 0.5), 0), size)


@dataclasses.dataclass(frozen=True)
class _Style:
    """What one scene chooses once: colours, textures, habits of its windows, the light.

    Textures have the picture's size: a part shows the piece at its own place.
    """

    wall: np.ndarray
    wall_relief: np.ndarray
    roof: np.ndarray
    roof_relief: np.ndarray
    glass: np.ndarray
    trim: np.ndarray
    frame: np.ndarray
    door: np.ndarray
    shutter: np.ndarray
    awning: np.ndarray
    sky: tuple[np.ndarray, np.ndarray]  # Zenith, horizon.
    muntins: str
    has_dentils: bool
    has_stone_balconies: bool
    sun_side: float  # Columns that a shadow moves per row: positive from the left.
    sun_strength: float


def _choose_style(
    rng: np.random.Generator, grain_rng: np.random.Generator, canvas: _Canvas, plan: _Plan
) -> _Style:
    size = canvas.render_size
    zenith, horizon = _pick(rng, _SKIES)
    sky = (np.array(zenith, np.float32) / 255.0, np.array(horizon, np.float32) / 255.0)
    trim = _pick_color(rng, _TRIMS)

    material = _pick(rng, ("brick", "brick", "stucco", "stucco", "stone"))
    wall, wall_relief = _wall_texture(rng, canvas, material)
    if _chance(rng, 0.3):  # A ground floor of stone, as in many towns.
        base, base_relief = _wall_texture(rng, canvas, "stone")
        ground_floor = slice(_to_pixel(plan.ground_floor_top, size), None)
        wall[ground_floor] = base[ground_floor]
        wall_relief[ground_floor] = base_relief[ground_floor]
    # Walls are stained in patches, and dirtier towards the pavement.
    stains = 0.9 + 0.2 * _smooth_noise(rng, size, 5) + 0.08 * _smooth_noise(rng, size, 24)
    height_above_ground = (plan.ground - _unit_centers(canvas))[:, np.newaxis]
    stains *= 0.86 + 0.14 * np.clip(height_above_ground / 5.0, 0.0, 1.0)
    stains += 0.1 * (grain_rng.random((size, size), np.float32) - 0.5)
    wall *= stains[..., np.newaxis]

    roof_color = _pick_color(rng, _ROOFS)
    roof, roof_relief = _masonry(
        rng, canvas, roof_color, 0.5 * roof_color, course=1.6, length=1.5, joint=0.25, variety=0.3
    )
    roof *= (0.85 + 0.3 * _smooth_noise(rng, size, 8))[..., np.newaxis]

    # What stands across the street, seen dimly in the panes.
    mirrored = _smooth_noise(rng, size, 12) * _smooth_noise(rng, size, 5)
    glass = np.array((0.12, 0.15, 0.18), np.float32) + mirrored[..., np.newaxis] * (0.9 * sky[1])
    return _Style(
        wall=wall,
        wall_relief=wall_relief,
        roof=roof,
        roof_relief=roof_relief + 0.5,
        glass=glass,
        trim=trim,
        frame=_pick_color(rng, _FRAMES),
        door=_pick_color(rng, _DOORS),
        shutter=_pick_color(rng, _SHUTTERS),
        awning=_pick_color(rng, _AWNINGS),
        sky=sky,
        muntins=_pick(rng, ("cross", "casement", "sash", "grid")),
        has_dentils=_chance(rng, 0.5),
        has_stone_balconies=_chance(rng, 0.3),
        sun_side=_pick(rng, (-1.0, 1.0)) * _between(rng, 0.35, 0.95),
        sun_strength=_between(rng, 0.4, 0.62),
    )


def _wall_texture(
    rng: np.random.Generator, canvas: _Canvas, material: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the colours and the relief of a wall as large as the picture."""
    if material == "stucco":
        color = _pick_color(rng, _STUCCO_WALLS)
        shape = canvas.relief.shape
        relief = 0.12 * _smooth_noise(rng, canvas.render_size, 60)
        return np.broadcast_to(color, (*shape, 3)).copy(), relief
    if material == "brick":
        color = _pick_color(rng, _BRICK_WALLS)
        mortar = 0.5 * color + 0.32
        return _masonry(rng, canvas, color, mortar, course=1.4, length=4.0, joint=0.3, variety=0.3)
    color = _pick_color(rng, _STONE_WALLS)
    course = _between(rng, 3.2, 4.4)
    return _masonry(
        rng, canvas, color, 0.62 * color, course=course, length=8.0, joint=0.4, variety=0.22
    )


def _masonry(
    rng: np.random.Generator,
    canvas: _Canvas,
    color: np.ndarray,
    joint_color: np.ndarray,
    *,
    course: float,
    length: float,
    joint: float,
    variety: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the colours and the relief of courses of blocks, every second one shifted by half.

    Args:
        rng: Draws the tone of each block.
        canvas: Gives the resolution.
        color: Mean colour of a block.
        joint_color: Colour between blocks.
        course: Height of a course, in units.
        length: Length of a block, in units.
        joint: Thickness of the joints, in units.
        variety: Difference between the lightest and the darkest block, relative.
    """
    centers = _unit_centers(canvas)
    row = np.floor(centers / course).astype(np.int64)
    below_joint = centers - row * course
    shift = (row % 2) * (0.5 * length)
    along = centers[np.newaxis, :] + shift[:, np.newaxis]
    block = np.floor(along / length).astype(np.int64)
    after_joint = along - block * length
    # The share of a pixel that is joint: thin joints fade in small pictures
    # where all-or-nothing would give stripes.
    nearest = np.minimum(below_joint[:, np.newaxis], after_joint)
    is_joint = np.clip((joint - nearest) * canvas.unit + 0.5, 0.0, 1.0).astype(np.float32)

    tones = rng.random((int(_SIDE / course) + 2, int(_SIDE / length) + 3), np.float32)
    tone = 1.0 + variety * (tones[row[:, np.newaxis], block] - 0.5)
    albedo = tone[..., np.newaxis] * color
    albedo += is_joint[..., np.newaxis] * (joint_color - albedo)
    return albedo, 0.3 * (1.0 - is_joint)


def _unit_centers(canvas: _Canvas) -> np.ndarray:
    """Returns where the centres of the render pixels are along one side, in units."""
    return (np.arange(canvas.render_size, dtype=np.float64) + 0.5) / canvas.unit


def _smooth_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Returns float32 [size, size] in [0, 1): random values on a lattice, joined smoothly."""
    lattice = rng.random((cells + 1, cells + 1), np.float32)
    position = (np.arange(size, dtype=np.float64) + 0.5) * (cells / size)
    before = position.astype(np.int64)
    fraction = position - before
    weight = (fraction * fraction * (3.0 - 2.0 * fraction)).astype(np.float32)
    rows = lattice[before] + weight[:, np.newaxis] * (lattice[before + 1] - lattice[before])
    start, end = rows[:, before], rows[:, before + 1]
    return start + weight * (end - start)


# One painter per class. Each fills its whole box; `_draw_part` cuts the shape.


def _draw_part(canvas: _Canvas, part: _Part, style: _Style, rng: np.random.Generator) -> None:
    box = canvas.snap(part.box)
    label_where = canvas.label_slices(part.box)
    where = canvas.slices(box)
    if not part.top_inset and not part.is_arched:
        canvas.class_index[label_where] = part.class_index
        _PAINTERS[part.class_index](canvas, box, style, rng)
        return
    outside = ~_shape_mask(part, label_where, canvas.size)
    outside_render = _enlarge(outside, canvas.factor)
    arrays = (canvas.class_index[label_where], canvas.albedo[where], canvas.relief[where])
    masks = (outside, outside_render, outside_render)
    kept = [array[mask] for array, mask in zip(arrays, masks)]
    canvas.class_index[label_where] = part.class_index
    _PAINTERS[part.class_index](canvas, box, style, rng)
    for array, mask, before in zip(arrays, masks, kept):
        array[mask] = before


def _shape_mask(part: _Part, where: tuple[slice, slice], size: int) -> np.ndarray:
    """Returns which output pixels of the box `where` belong to a slanted or arched part."""
    box = part.box
    rows = ((np.arange(where[0].start, where[0].stop) + 0.5) * (_SIDE / size))[:, np.newaxis]
    from_center = np.abs(
        (np.arange(where[1].start, where[1].stop) + 0.5) * (_SIDE / size) - box.center
    )
    if part.top_inset:
        inset = part.top_inset * (box.bottom - rows) / box.height
        return from_center < box.width / 2.0 - inset
    rise = min(box.width / 2.0, 0.35 * box.height)
    across = from_center / (box.width / 2.0)
    above = np.maximum(box.top + rise - rows, 0.0) / rise
    return across * across + above * above <= 1.0


def _enlarge(mask: np.ndarray, factor: int) -> np.ndarray:
    return mask if factor == 1 else mask.repeat(factor, axis=0).repeat(factor, axis=1)


def _paint_wall(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    del rng
    canvas.paste(box, style.wall, style.wall_relief)


def _paint_roof(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    del rng
    canvas.paste(box, style.roof, style.roof_relief)


def _paint_glass(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    """Paints panes: each reflects its own share of the sky, most at the top."""
    where = canvas.slices(box)
    num_rows = where[0].stop - where[0].start
    depth = ((np.arange(num_rows, dtype=np.float32) + 0.5) / max(num_rows, 1)).reshape(-1, 1, 1)
    reflection = _between(rng, 0.12, 0.4)
    canvas.albedo[where] = style.glass[where] + reflection * (1.0 - depth) * style.sky[1]
    canvas.relief[where] = -1.5


def _paint_window(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    canvas.fill(box, style.frame, relief=-1.0)
    panes = box.inset(0.6)
    _paint_glass(canvas, panes, style, rng)
    has_curtains = _chance(rng, 0.35)
    curtain_width = _between(rng, 0.16, 0.3)
    if has_curtains:
        cloth = 0.55 * style.trim
        canvas.fill(panes.part(0.0, 0.0, 1.0, curtain_width), cloth, relief=-1.7)
        canvas.fill(panes.part(0.0, 1.0 - curtain_width, 1.0, 1.0), cloth, relief=-1.7)
    heights = {"cross": (0.35,), "casement": (), "sash": (0.5,), "grid": (0.33, 0.66)}
    for height in heights[style.muntins]:
        middle = panes.top + height * panes.height
        bar = panes._replace(top=middle - 0.25, bottom=middle + 0.25)
        canvas.fill(bar, style.frame, relief=-1.2)
    if style.muntins != "sash":
        bar = panes._replace(left=box.center - 0.25, right=box.center + 0.25)
        canvas.fill(bar, style.frame, relief=-1.2)


def _paint_door(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    canvas.fill(box, style.trim, relief=-0.8)
    leaf = _Box(box.top + 0.5, box.left + 0.5, box.bottom, box.right - 0.5)
    canvas.fill(leaf, style.door, relief=-1.3)
    _paint_glass(canvas, leaf.part(0.04, 0.1, 0.2, 0.9), style, rng)
    for top, bottom in ((0.27, 0.56), (0.64, 0.92)):
        for left, right in ((0.12, 0.43), (0.57, 0.88)):
            canvas.fill(leaf.part(top, left, bottom, right), 0.82 * style.door, relief=-1.8)
    brass = np.array((0.85, 0.72, 0.4), np.float32)
    canvas.fill(leaf.part(0.57, 0.8, 0.62, 0.92), brass, relief=-0.9)


def _paint_cornice(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    """Paints three steps, the highest one farthest out."""
    del rng
    for top, bottom, relief in ((0.0, 0.4, 2.6), (0.4, 0.7, 1.9), (0.7, 1.0, 1.2)):
        canvas.fill(box.part(top, 0.0, bottom, 1.0), style.trim, relief)
    if style.has_dentils:
        rows, columns = canvas.slices(box.part(0.4, 0.0, 0.8, 1.0))
        is_gap = _stripes(canvas, columns, period=1.6, share=0.45)
        canvas.albedo[rows, columns][:, is_gap] *= 0.6
        canvas.relief[rows, columns][:, is_gap] = 0.6


def _paint_sill(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    del rng
    canvas.fill(box, style.trim, relief=0.7)
    canvas.fill(box.part(0.0, 0.0, 0.55, 1.0), style.trim, relief=1.5)


def _paint_balcony(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    """Paints a railing and a slab. What is behind stays visible between the bars."""
    del rng
    iron = np.array((0.13, 0.13, 0.15), np.float32)
    color = style.trim if style.has_stone_balconies else iron
    period, share = (1.3, 0.6) if style.has_stone_balconies else (1.0, 0.4)
    rows, columns = canvas.slices(box)
    is_bar = _stripes(canvas, columns, period, share)
    canvas.albedo[rows, columns][:, is_bar] = color
    canvas.relief[rows, columns][:, is_bar] = 2.2
    canvas.fill(box._replace(bottom=box.top + 0.6), color, relief=2.6)
    canvas.fill(box._replace(top=box.bottom - 1.2), style.trim, relief=3.0)


def _paint_shutter(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    del rng
    canvas.fill(box, style.shutter, relief=0.6)
    rows, columns = canvas.slices(box.inset(0.4))
    is_gap = _stripes(canvas, rows, period=0.9, share=0.4)
    canvas.albedo[rows, columns][is_gap] *= 0.72
    canvas.relief[rows, columns][is_gap] = 0.3


def _paint_deco(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    del rng
    canvas.fill(box, style.trim, relief=0.6)
    canvas.fill(box.part(0.0, 0.0, 0.35, 1.0), style.trim, relief=1.2)
    canvas.fill(box.part(0.5, 0.1, 0.9, 0.9), 0.85 * style.trim, relief=0.3)
    canvas.fill(box.part(0.0, 0.42, 1.0, 0.58), style.trim, relief=1.4)  # The keystone.


def _paint_pillar(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    """Paints a round shaft between a capital and a base."""
    del rng
    canvas.fill(box, style.trim, relief=0.0)
    rows, columns = canvas.slices(box)
    num_columns = columns.stop - columns.start
    across = (np.arange(num_columns, dtype=np.float32) + 0.5) * (2.0 / max(num_columns, 1)) - 1.0
    canvas.relief[rows, columns] = 1.6 - 1.2 * across * across
    canvas.fill(box._replace(bottom=box.top + 1.2), style.trim, relief=1.9)
    canvas.fill(box._replace(top=box.bottom - 1.4), style.trim, relief=1.9)


def _paint_shop(canvas: _Canvas, box: _Box, style: _Style, rng: np.random.Generator) -> None:
    """Paints a lit display behind mullions, under a striped awning."""
    canvas.fill(box, style.door, relief=-0.4)
    num_panes = max(2, round(box.width / 5.0))
    display = _Box(box.top, box.left + 0.7, box.bottom - 1.6, box.right - 0.7)
    lamp = np.array((0.34, 0.27, 0.15), np.float32) * _between(rng, 0.3, 1.0)
    for pane in range(num_panes):
        left, right = pane / num_panes, (pane + 1.0) / num_panes
        glass = display.part(0.0, left, 1.0, right)
        glass = glass._replace(left=glass.left + 0.3, right=glass.right - 0.3)
        _paint_glass(canvas, glass, style, rng)
        canvas.albedo[canvas.slices(glass)] += lamp
    awning = box.part(0.0, 0.0, 0.34, 1.0)
    rows, columns = canvas.slices(awning)
    canvas.albedo[rows, columns] = style.awning
    is_light = _stripes(canvas, columns, period=2.4, share=0.5)
    canvas.albedo[rows, columns][:, is_light] = style.trim
    num_rows = rows.stop - rows.start
    slope = 1.0 + 2.2 * (np.arange(num_rows, dtype=np.float32) + 0.5) / max(num_rows, 1)
    canvas.relief[rows, columns] = slope[:, np.newaxis]


def _stripes(canvas: _Canvas, along: slice, period: float, share: float) -> np.ndarray:
    """Returns bool [pixels of `along`]: the first `share` of each `period` units."""
    offset = (np.arange(along.stop - along.start) + 0.5) / (canvas.unit * period)
    return offset - np.floor(offset) < share


_PAINTERS = {
    _FACADE: _paint_wall,
    _WINDOW: _paint_window,
    _DOOR: _paint_door,
    _CORNICE: _paint_cornice,
    _SILL: _paint_sill,
    _BALCONY: _paint_balcony,
    _BLIND: _paint_shutter,
    _DECO: _paint_deco,
    _MOLDING: _paint_roof,
    _PILLAR: _paint_pillar,
    _SHOP: _paint_shop,
}


def _paint_background(
    canvas: _Canvas, style: _Style, plan: _Plan, rng: np.random.Generator
) -> None:
    """Paints sky with clouds, a hazy row of distant roofs, and the pavement."""
    size = canvas.render_size
    zenith, horizon = style.sky
    centers = _unit_centers(canvas).astype(np.float32)
    fall = np.clip(centers / plan.ground, 0.0, 1.0)[:, np.newaxis, np.newaxis]
    clouds = 0.5 * _smooth_noise(rng, size, 4) + 0.3 * _smooth_noise(rng, size, 11)
    clouds += 0.2 * _smooth_noise(rng, size, 29)
    cover = np.clip((clouds - _between(rng, 0.45, 0.65)) * 3.0, 0.0, 0.75)
    sky = zenith + fall * (horizon - zenith)
    canvas.albedo[:] = sky + cover[..., np.newaxis] * (0.96 - sky)

    roof_heights = 4.0 + 10.0 * rng.random(int(_SIDE / 4.0) + 1, np.float32)
    skyline = plan.ground - roof_heights[(centers / 4.0).astype(np.int64)]
    haze = 0.55 * horizon + np.array((0.12, 0.14, 0.17), np.float32)
    canvas.albedo[centers[:, np.newaxis] > skyline] = haze

    pavement_top = canvas.snap(_Box(plan.ground, 0.0, _SIDE, _SIDE))
    slabs, slab_relief = _masonry(
        rng,
        canvas,
        np.array((0.55, 0.54, 0.53), np.float32) * _between(rng, 0.85, 1.1),
        np.array((0.36, 0.36, 0.36), np.float32),
        course=2.0,
        length=6.0,
        joint=0.25,
        variety=0.14,
    )
    canvas.paste(pavement_top, slabs, slab_relief)


# The light and the camera.


def _photograph(
    canvas: _Canvas, style: _Style, plan: _Plan, rng: np.random.Generator
) -> np.ndarray:
    """Returns the lit scene as a camera sees it, uint8 [size, size, 3]."""
    light = _light(canvas, style)
    is_sky = _enlarge(canvas.class_index == _BACKGROUND, canvas.factor)
    is_sky[_to_pixel(plan.ground, canvas.size) * canvas.factor :] = False
    image = canvas.albedo * light
    np.copyto(image, canvas.albedo, where=is_sky[..., np.newaxis])
    image = _shrink(image, canvas.factor)
    # A lens blurs edges. Averaging has done part of that where it took place.
    softness = 0.55 if canvas.factor == 1 else 0.25
    image += softness * (_blur(image) - image)
    # The sum of two uniform numbers: near enough to a sensor's noise.
    noise = rng.random(image.shape, np.float32) + rng.random(image.shape, np.float32)
    image += 0.022 * (noise - 1.0)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _light(canvas: _Canvas, style: _Style) -> np.ndarray:
    """Returns the light on each render pixel, float32 [render, render, 3]."""
    relief = canvas.relief
    shadow = np.clip(1.8 * (_shadow_height(canvas, style.sun_side) - relief), 0.0, 1.0)
    shadow = _blur(shadow)
    # An edge that looks up, or towards the sun, is brighter.
    side = 1 if style.sun_side > 0 else -1
    slant = relief - 0.6 * _shifted(relief, 1, 0) - 0.4 * _shifted(relief, 0, side)
    edges = 0.3 * np.clip(slant, -0.8, 0.8)
    # The near end of the front receives more.
    centers = (_unit_centers(canvas) / _SIDE - 0.5).astype(np.float32)
    gradient = 1.0 - 0.3 * side * centers[np.newaxis, :] - 0.16 * centers[:, np.newaxis]
    sun = (1.0 - shadow) * (gradient + edges)

    # Shadows keep the light of the sky, which is blue.
    ambient = np.array((0.46, 0.49, 0.56), np.float32)
    sun_color = np.array((1.06, 1.0, 0.9), np.float32) * style.sun_strength
    return ambient + sun[..., np.newaxis] * sun_color


def _shadow_height(canvas: _Canvas, sun_side: float) -> np.ndarray:
    """Returns how far out the shadow reaches at each pixel, in the units of the relief.

    A ray that grazes a part comes down by as many units as it comes nearer to
    the wall. Each pass doubles the distance from which shadows have arrived.
    """
    height = canvas.relief
    distance = 1
    while distance <= 5.0 * canvas.unit:  # The longest shadow: 3 units of balcony on glass.
        columns = math.floor(distance * sun_side + 0.5)
        moved = _shifted(height, distance, columns) - distance / canvas.unit
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
    for axis in (0, 1):
        step = (1, 0) if axis == 0 else (0, 1)
        before = _shifted(image, *step)
        after = _shifted(image, -step[0], -step[1])
        image = 0.25 * before + 0.5 * image + 0.25 * after
    return image


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Returns the means of `factor` x `factor` pixels, summed in a fixed order."""
    if factor == 1:
        return image
    total = np.zeros((image.shape[0] // factor, image.shape[1] // factor, 3), np.float32)
    for row in range(factor):
        for column in range(factor):
            total += image[row::factor, column::factor]
    return total / (factor * factor)
