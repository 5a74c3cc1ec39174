"""From a layout and a style to labels, colours and relief: the picture before the light.

Boxes and the relief are in units, 1/64 of the picture side; the relief is 0 at
the wall, positive towards the street and negative inside window openings.
"""

from __future__ import annotations

import numpy as np

from pix2pix_tf.data.scenes import classes
from pix2pix_tf.data.scenes.canvas import Canvas
from pix2pix_tf.data.scenes.geometry import SIDE, Box, Raster
from pix2pix_tf.data.scenes.layout import Part
from pix2pix_tf.data.scenes.randomness import between, chance
from pix2pix_tf.data.scenes.style import Style
from pix2pix_tf.data.scenes.textures import masonry, smooth_noise


def paint_background(
    canvas: Canvas, style: Style, rng: np.random.Generator, *, ground: float
) -> None:
    """Paints sky with clouds, a hazy row of distant roofs, and the pavement below `ground`."""
    albedo = canvas.surface.albedo
    centers = canvas.render.centers().astype(np.float32)
    fall = np.clip(centers / ground, 0.0, 1.0)[:, np.newaxis, np.newaxis]
    clouds = 0.5 * smooth_noise(rng, canvas.render, 4) + 0.3 * smooth_noise(rng, canvas.render, 11)
    clouds += 0.2 * smooth_noise(rng, canvas.render, 29)
    cover = np.clip((clouds - between(rng, 0.45, 0.65)) * 3.0, 0.0, 0.75)
    sky = style.zenith + fall * (style.horizon - style.zenith)
    albedo[:] = sky + cover[..., np.newaxis] * (0.96 - sky)

    roof_heights = 4.0 + 10.0 * rng.random(int(SIDE / 4.0) + 1, np.float32)
    skyline = ground - roof_heights[(centers / 4.0).astype(np.int64)]
    haze = 0.55 * style.horizon + np.array((0.12, 0.14, 0.17), np.float32)
    albedo[centers[:, np.newaxis] > skyline] = haze

    slabs = masonry(
        rng,
        canvas.render,
        np.array((0.55, 0.54, 0.53), np.float32) * between(rng, 0.85, 1.1),
        np.array((0.36, 0.36, 0.36), np.float32),
        course=2.0,
        length=6.0,
        joint=0.25,
        variety=0.14,
    )
    canvas.paste(canvas.output.snap(Box(ground, 0.0, SIDE, SIDE)), slabs)


def paint_part(canvas: Canvas, part: Part, style: Style, rng: np.random.Generator) -> None:
    """Paints one part over what is there, and labels its pixels."""
    # Edges of output pixels, so that photo and labels agree.
    box = canvas.output.snap(part.box)
    labels = canvas.class_index[canvas.output.slices(part.box)]
    number = classes.CLASSES.index(part.scene_class)
    paint = _PAINTERS[part.scene_class]
    if not part.top_inset and not part.is_arched:
        labels[:] = number
        paint(canvas, box, style, rng)
        return
    # A painter fills its whole box; what is outside the shape is put back.
    is_inside = _shape_mask(part, canvas.output)
    labels[is_inside] = number
    is_outside = canvas.enlarge(~is_inside)
    views = canvas.crop(box)
    kept = [view[is_outside] for view in views]
    paint(canvas, box, style, rng)
    for view, before in zip(views, kept):
        view[is_outside] = before


def _shape_mask(part: Part, raster: Raster) -> np.ndarray:
    """Returns which pixels of its box belong to a slanted or arched part."""
    box = part.box
    rows, columns = raster.slices(box)
    down = raster.centers()[rows, np.newaxis]
    from_center = np.abs(raster.centers()[columns] - box.center)
    if part.top_inset:
        inset = part.top_inset * (box.bottom - down) / box.height
        return from_center < box.width / 2.0 - inset
    rise = min(box.width / 2.0, 0.35 * box.height)
    across = from_center / (box.width / 2.0)
    above = np.maximum(box.top + rise - down, 0.0) / rise
    return across * across + above * above <= 1.0


# One painter per class; all have the same arguments, for the table at the end.
# Those that draw no random numbers call the generator `_`.


def _paint_wall(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    canvas.paste(box, style.wall)


def _paint_roof(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    canvas.paste(box, style.roof)


def _paint_window(canvas: Canvas, box: Box, style: Style, rng: np.random.Generator) -> None:
    canvas.fill(box, style.frame, relief=-1.0)
    panes = box.inset(0.6)
    _paint_glass(canvas, panes, style, rng)
    has_curtains = chance(rng, 0.35)
    curtain_width = between(rng, 0.16, 0.3)
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


def _paint_glass(canvas: Canvas, box: Box, style: Style, rng: np.random.Generator) -> None:
    """Paints panes: each reflects its own share of the sky, most at the top."""
    view = canvas.crop(box)
    num_rows = len(view.relief)
    depth = ((np.arange(num_rows, dtype=np.float32) + 0.5) / max(num_rows, 1)).reshape(-1, 1, 1)
    reflection = between(rng, 0.12, 0.4)
    behind = style.glass[canvas.render.slices(box)]
    view.albedo[:] = behind + reflection * (1.0 - depth) * style.horizon
    view.relief[:] = -1.5


def _paint_door(canvas: Canvas, box: Box, style: Style, rng: np.random.Generator) -> None:
    canvas.fill(box, style.trim, relief=-0.8)
    leaf = Box(box.top + 0.5, box.left + 0.5, box.bottom, box.right - 0.5)
    canvas.fill(leaf, style.door, relief=-1.3)
    _paint_glass(canvas, leaf.part(0.04, 0.1, 0.2, 0.9), style, rng)
    for top, bottom in ((0.27, 0.56), (0.64, 0.92)):
        for left, right in ((0.12, 0.43), (0.57, 0.88)):
            canvas.fill(leaf.part(top, left, bottom, right), 0.82 * style.door, relief=-1.8)
    brass = np.array((0.85, 0.72, 0.4), np.float32)
    canvas.fill(leaf.part(0.57, 0.8, 0.62, 0.92), brass, relief=-0.9)


def _paint_cornice(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    """Paints three steps, the highest one farthest out."""
    for top, bottom, relief in ((0.0, 0.4, 2.6), (0.4, 0.7, 1.9), (0.7, 1.0, 1.2)):
        canvas.fill(box.part(top, 0.0, bottom, 1.0), style.trim, relief)
    if style.has_dentils:
        view = canvas.crop(box.part(0.4, 0.0, 0.8, 1.0))
        is_gap = _stripes(view.relief.shape[1], canvas.render, period=1.6, share=0.45)
        view.albedo[:, is_gap] *= 0.6
        view.relief[:, is_gap] = 0.6


def _paint_sill(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    canvas.fill(box, style.trim, relief=0.7)
    canvas.fill(box.part(0.0, 0.0, 0.55, 1.0), style.trim, relief=1.5)


def _paint_balcony(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    """Paints a railing and a slab. What is behind stays visible between the bars."""
    iron = np.array((0.13, 0.13, 0.15), np.float32)
    color = style.trim if style.has_stone_balconies else iron
    period, share = (1.3, 0.6) if style.has_stone_balconies else (1.0, 0.4)
    view = canvas.crop(box)
    is_bar = _stripes(view.relief.shape[1], canvas.render, period=period, share=share)
    view.albedo[:, is_bar] = color
    view.relief[:, is_bar] = 2.2
    canvas.fill(box._replace(bottom=box.top + 0.6), color, relief=2.6)
    canvas.fill(box._replace(top=box.bottom - 1.2), style.trim, relief=3.0)


def _paint_shutter(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    canvas.fill(box, style.shutter, relief=0.6)
    view = canvas.crop(box.inset(0.4))
    is_gap = _stripes(view.relief.shape[0], canvas.render, period=0.9, share=0.4)
    view.albedo[is_gap] *= 0.72
    view.relief[is_gap] = 0.3


def _paint_deco(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    canvas.fill(box, style.trim, relief=0.6)
    canvas.fill(box.part(0.0, 0.0, 0.35, 1.0), style.trim, relief=1.2)
    canvas.fill(box.part(0.5, 0.1, 0.9, 0.9), 0.85 * style.trim, relief=0.3)
    canvas.fill(box.part(0.0, 0.42, 1.0, 0.58), style.trim, relief=1.4)  # The keystone.


def _paint_pillar(canvas: Canvas, box: Box, style: Style, _: np.random.Generator) -> None:
    """Paints a round shaft between a capital and a base."""
    num_columns = canvas.crop(box).relief.shape[1]
    across = (np.arange(num_columns, dtype=np.float32) + 0.5) * (2.0 / max(num_columns, 1)) - 1.0
    canvas.fill(box, style.trim, relief=1.6 - 1.2 * across * across)
    canvas.fill(box._replace(bottom=box.top + 1.2), style.trim, relief=1.9)
    canvas.fill(box._replace(top=box.bottom - 1.4), style.trim, relief=1.9)


def _paint_shop(canvas: Canvas, box: Box, style: Style, rng: np.random.Generator) -> None:
    """Paints a lit display behind mullions, under a striped awning."""
    canvas.fill(box, style.door, relief=-0.4)
    num_panes = max(2, round(box.width / 5.0))
    display = Box(box.top, box.left + 0.7, box.bottom - 1.6, box.right - 0.7)
    lamp = np.array((0.34, 0.27, 0.15), np.float32) * between(rng, 0.3, 1.0)
    for pane in range(num_panes):
        glass = display.part(0.0, pane / num_panes, 1.0, (pane + 1.0) / num_panes)
        glass = glass._replace(left=glass.left + 0.3, right=glass.right - 0.3)
        _paint_glass(canvas, glass, style, rng)
        canvas.crop(glass).albedo[:] += lamp
    awning = box.part(0.0, 0.0, 0.34, 1.0)
    view = canvas.crop(awning)
    num_rows, num_columns = view.relief.shape
    slope = 1.0 + 2.2 * (np.arange(num_rows, dtype=np.float32) + 0.5) / max(num_rows, 1)
    canvas.fill(awning, style.awning, relief=slope[:, np.newaxis])
    is_light = _stripes(num_columns, canvas.render, period=2.4, share=0.5)
    view.albedo[:, is_light] = style.trim


def _stripes(num_pixels: int, raster: Raster, *, period: float, share: float) -> np.ndarray:
    """Returns bool [num_pixels]: the first `share` of each `period` units."""
    offset = (np.arange(num_pixels) + 0.5) / (raster.unit * period)
    return offset - np.floor(offset) < share


_PAINTERS = {
    classes.FACADE: _paint_wall,
    classes.WINDOW: _paint_window,
    classes.DOOR: _paint_door,
    classes.CORNICE: _paint_cornice,
    classes.SILL: _paint_sill,
    classes.BALCONY: _paint_balcony,
    classes.BLIND: _paint_shutter,
    classes.DECO: _paint_deco,
    classes.MOLDING: _paint_roof,
    classes.PILLAR: _paint_pillar,
    classes.SHOP: _paint_shop,
}
