"""From a layout and a style to labels, colours and relief; from these to a photo.

Boxes and the relief are in units, 1/64 of the picture side; the relief is 0 at
the wall, positive towards the street and negative inside window openings. Colours and light are
float32, a colour in [0, 1].
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from pix2pix_tf.data.classes import FACADES
from pix2pix_tf.data.scenes.layout import SIDE, Box, Part, Plan, between, chance
from pix2pix_tf.data.scenes.surfaces import Blocks, Raster, Style, Surface, masonry, smooth_noise

_SMALLEST_RENDER = 128  # Pixels. Thin parts, such as muntins, need them.
_NUMBERS = {kind.name: number for number, kind in enumerate(FACADES)}
_BAR_HEIGHTS = {"cross": (0.35,), "casement": (), "sash": (0.5,), "grid": (0.33, 0.66)}


class Painting:
    """One scene, painted: the background, then part after part over what is there.

    Args:
        plan: Which part is where.
        size: Pixels of the side of the labels, and of the finished photo.
        rng: Makes choices.
        grain_rng: Draws what has a number per pixel.
    """

    def __init__(self, plan: Plan, size: int, rng: Generator, grain_rng: Generator):
        # Photos of small pictures are averaged from a finer surface.
        self.factor = -(-_SMALLEST_RENDER // size)
        self.output, self.render = Raster(size), Raster(size * self.factor)
        self.style = Style(rng, grain_rng, self.render, plan)
        shape = (self.render.size, self.render.size)
        self.class_index = np.zeros((size, size), np.uint8)  # Into the classes.
        self.surface = Surface(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32))
        self._rng = rng
        self._paint_background(plan.ground)
        for part in plan.parts:
            self._paint_part(part)

    def enlarge(self, mask: np.ndarray) -> np.ndarray:
        """Returns a mask of the labels' pixels as one of the surface's."""
        return mask.repeat(self.factor, axis=0).repeat(self.factor, axis=1)

    def _crop(self, box: Box, texture: Surface | None = None) -> Surface:
        """Returns views of the surface, or of a texture, inside a box."""
        where = self.render.slices(box)
        return Surface(*(array[where] for array in texture or self.surface))

    def _fill(self, box: Box, color: np.ndarray, relief: float | np.ndarray) -> None:
        view = self._crop(box)
        view.albedo[:] = color
        view.relief[:] = relief

    def _stripe(
        self, box: Box, color: np.ndarray, relief: float, *, period: float, share: float, axis=1
    ) -> None:
        """Paints the first `share` of each `period` units along an axis of the box."""
        view = self._crop(box)
        offset = (np.arange(view.relief.shape[axis]) + 0.5) / (self.render.unit * period)
        is_painted = offset - np.floor(offset) < share
        where = is_painted if axis == 0 else (slice(None), is_painted)
        view.albedo[where] = color
        view.relief[where] = relief

    def _paint_background(self, ground: float) -> None:
        """Paints sky with clouds, a hazy row of distant roofs, and the pavement below `ground`."""
        rng, style = self._rng, self.style
        albedo = self.surface.albedo
        centers = self.render.centers().astype(np.float32)
        fall = np.clip(centers / ground, 0.0, 1.0)[:, np.newaxis, np.newaxis]
        clouds = 0.5 * smooth_noise(rng, self.render, 4)
        clouds += 0.3 * smooth_noise(rng, self.render, 11)
        clouds += 0.2 * smooth_noise(rng, self.render, 29)
        cover = np.clip((clouds - between(rng, 0.45, 0.65)) * 3.0, 0.0, 0.75)
        sky = style.zenith + fall * (style.horizon - style.zenith)
        albedo[:] = sky + cover[..., np.newaxis] * (0.96 - sky)

        roof_heights = 4.0 + 10.0 * rng.random(int(SIDE / 4.0) + 1, np.float32)
        skyline = ground - roof_heights[(centers / 4.0).astype(np.int64)]
        haze = 0.55 * style.horizon + _rgb(0.12, 0.14, 0.17)
        albedo[centers[:, np.newaxis] > skyline] = haze

        colors = _rgb(0.55, 0.54, 0.53) * between(rng, 0.85, 1.1), _rgb(0.36, 0.36, 0.36)
        slabs = masonry(rng, self.render, *colors, Blocks(2.0, 6.0, 0.25, 0.14))
        pavement = self.output.snap(Box(ground, 0.0, SIDE, SIDE))
        self._fill(pavement, *self._crop(pavement, slabs))

    def _paint_part(self, part: Part) -> None:
        """Paints one part over what is there, and labels its pixels."""
        is_inside = _shape_mask(part, self.output)
        self.class_index[self.output.slices(part.box)][is_inside] = _NUMBERS[part.name]
        # Edges of output pixels, so that photo and labels agree.
        box = self.output.snap(part.box)
        # A painter fills its whole box; what is outside the shape is put back.
        is_outside = self.enlarge(~is_inside)
        views = self._crop(box)
        kept = [view[is_outside] for view in views]
        getattr(self, f"_paint_{part.name}")(box)
        for view, before in zip(views, kept):
            view[is_outside] = before

    def _paint_facade(self, box: Box) -> None:
        self._fill(box, *self._crop(box, self.style.wall))

    def _paint_molding(self, box: Box) -> None:
        self._fill(box, *self._crop(box, self.style.roof))

    def _paint_window(self, box: Box) -> None:
        self._fill(box, self.style.frame, relief=-1.0)
        panes = box.inset(0.6)
        self._paint_glass(panes)
        has_curtains = chance(self._rng, 0.35)
        curtain_width = between(self._rng, 0.16, 0.3)
        if has_curtains:
            for left, right in ((0.0, curtain_width), (1.0 - curtain_width, 1.0)):
                self._fill(panes.part(0.0, left, 1.0, right), 0.55 * self.style.trim, relief=-1.7)
        middles = [panes.top + x * panes.height for x in _BAR_HEIGHTS[self.style.muntins]]
        bars = [panes._replace(top=middle - 0.25, bottom=middle + 0.25) for middle in middles]
        if self.style.muntins != "sash":
            bars.append(Box.around(box.center, 0.25, top=panes.top, bottom=panes.bottom))
        for bar in bars:
            self._fill(bar, self.style.frame, relief=-1.2)

    def _paint_glass(self, box: Box) -> None:
        """Paints panes: each reflects its own share of the sky, most at the top."""
        depth = _ramp(len(self._crop(box).relief)).reshape(-1, 1, 1)
        reflection = between(self._rng, 0.12, 0.4)
        behind = self.style.glass[self.render.slices(box)]
        sky = reflection * (1.0 - depth) * self.style.horizon
        self._fill(box, behind + sky, relief=-1.5)

    def _paint_door(self, box: Box) -> None:
        self._fill(box, self.style.trim, relief=-0.8)
        leaf = Box(box.top + 0.5, box.left + 0.5, box.bottom, box.right - 0.5)
        self._fill(leaf, self.style.door, relief=-1.3)
        self._paint_glass(leaf.part(0.04, 0.1, 0.2, 0.9))
        for top, bottom in ((0.27, 0.56), (0.64, 0.92)):
            for left, right in ((0.12, 0.43), (0.57, 0.88)):
                panel = leaf.part(top, left, bottom, right)
                self._fill(panel, 0.82 * self.style.door, relief=-1.8)
        self._fill(leaf.part(0.57, 0.8, 0.62, 0.92), _rgb(0.85, 0.72, 0.4), relief=-0.9)  # Brass.

    def _paint_cornice(self, box: Box) -> None:
        """Paints three steps, the highest one farthest out."""
        for top, bottom, relief in ((0.0, 0.4, 2.6), (0.4, 0.7, 1.9), (0.7, 1.0, 1.2)):
            self._fill(box.part(top, 0.0, bottom, 1.0), self.style.trim, relief)
        if self.style.has_dentils:
            gaps = box.part(0.4, 0.0, 0.8, 1.0)
            self._stripe(gaps, 0.6 * self.style.trim, relief=0.6, period=1.6, share=0.45)

    def _paint_sill(self, box: Box) -> None:
        self._fill(box, self.style.trim, relief=0.7)
        self._fill(box.part(0.0, 0.0, 0.55, 1.0), self.style.trim, relief=1.5)

    def _paint_balcony(self, box: Box) -> None:
        """Paints a railing and a slab. What is behind stays visible between the bars."""
        is_stone = self.style.has_stone_balconies
        color = self.style.trim if is_stone else _rgb(0.13, 0.13, 0.15)
        period, share = (1.3, 0.6) if is_stone else (1.0, 0.4)
        self._stripe(box, color, relief=2.2, period=period, share=share)
        self._fill(box._replace(bottom=box.top + 0.6), color, relief=2.6)
        self._fill(box._replace(top=box.bottom - 1.2), self.style.trim, relief=3.0)

    def _paint_blind(self, box: Box) -> None:
        self._fill(box, self.style.shutter, relief=0.6)
        gaps, color = box.inset(0.4), 0.72 * self.style.shutter
        self._stripe(gaps, color, relief=0.3, period=0.9, share=0.4, axis=0)

    def _paint_deco(self, box: Box) -> None:
        trim = self.style.trim
        self._fill(box, trim, relief=0.6)
        self._fill(box.part(0.0, 0.0, 0.35, 1.0), trim, relief=1.2)
        self._fill(box.part(0.5, 0.1, 0.9, 0.9), 0.85 * trim, relief=0.3)
        self._fill(box.part(0.0, 0.42, 1.0, 0.58), trim, relief=1.4)  # The keystone.

    def _paint_pillar(self, box: Box) -> None:
        """Paints a round shaft between a capital and a base."""
        across = _ramp(self._crop(box).relief.shape[1], 2.0) - 1.0
        self._fill(box, self.style.trim, relief=1.6 - 1.2 * across * across)
        self._fill(box._replace(bottom=box.top + 1.2), self.style.trim, relief=1.9)
        self._fill(box._replace(top=box.bottom - 1.4), self.style.trim, relief=1.9)

    def _paint_shop(self, box: Box) -> None:
        """Paints a lit display behind mullions, under a striped awning."""
        self._fill(box, self.style.door, relief=-0.4)
        num_panes = max(2, round(box.width / 5.0))
        display = Box(box.top, box.left + 0.7, box.bottom - 1.6, box.right - 0.7)
        lamp = _rgb(0.34, 0.27, 0.15) * between(self._rng, 0.3, 1.0)
        for pane in range(num_panes):
            glass = display.part(0.0, pane / num_panes, 1.0, (pane + 1.0) / num_panes)
            glass = glass._replace(left=glass.left + 0.3, right=glass.right - 0.3)
            self._paint_glass(glass)
            self._crop(glass).albedo[:] += lamp
        awning = box.part(0.0, 0.0, 0.34, 1.0)
        slope = 1.0 + _ramp(len(self._crop(awning).relief), 2.2)[:, np.newaxis]
        self._fill(awning, self.style.awning, relief=slope)
        self._stripe(awning, self.style.trim, relief=slope, period=2.4, share=0.5)


def _rgb(*color: float) -> np.ndarray:
    return np.array(color, np.float32)


def _ramp(num_pixels: int, end: float = 1.0) -> np.ndarray:
    """Returns float32 [num_pixels], rising evenly from 0 to `end`, at the pixels' centres."""
    return end * (np.arange(num_pixels, dtype=np.float32) + 0.5) / max(num_pixels, 1)


def _shape_mask(part: Part, raster: Raster) -> np.ndarray:
    """Returns which pixels of its box belong to a part; slanted and arched ones leave some."""
    box = part.box
    rows, columns = raster.slices(box)
    down = raster.centers()[rows, np.newaxis]
    from_center = np.abs(raster.centers()[columns] - box.center)
    if part.top_inset:
        inset = part.top_inset * (box.bottom - down) / box.height
        return from_center < box.width / 2.0 - inset
    if not part.is_arched:
        return np.ones((down.size, from_center.size), bool)
    rise = min(box.width / 2.0, 0.35 * box.height)
    across = from_center / (box.width / 2.0)
    above = np.maximum(box.top + rise - down, 0.0) / rise
    return across * across + above * above <= 1.0


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
