"""Pictures of pictures: rows of images side by side under their titles."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pix2pix_tf.data import images

_GAP_PX, _HEADER_PX = 4, 22
_FONT_SIZES_PX = (10, 9, 8, 7)


def sample_grid(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str] = ("input", "output", "target")
) -> np.ndarray:
    """Returns one picture, rows of images side by side under their titles.

    Args:
        rows: For each row its images, float `[height, width, channels]` in
            [-1, 1], all of one size; channels may differ, see `images.in_colour`.
        titles: Titles of the columns; in smaller letters if one is wider than its column.

    Returns:
        uint8 `[height, width, 3]`.
    """
    height, width = rows[0][0].shape[:2]
    picture = Image.new(
        "RGB",
        (
            len(titles) * (width + _GAP_PX) - _GAP_PX,
            _HEADER_PX + len(rows) * (height + _GAP_PX) - _GAP_PX,
        ),
        "white",
    )
    draw = ImageDraw.Draw(picture)
    font = _font_that_fits(titles, width)
    for column, title in enumerate(titles):
        left = column * (width + _GAP_PX)
        draw.text((left + 2, 5), title, fill="black", font=font)
        for row, row_images in enumerate(rows):
            pixels = images.shown_pixels(row_images[column])
            picture.paste(Image.fromarray(pixels), (left, _HEADER_PX + row * (height + _GAP_PX)))
    return np.asarray(picture)


def _font_that_fits(titles: Sequence[str], width: int) -> ImageFont.FreeTypeFont:
    for size in _FONT_SIZES_PX:
        font = ImageFont.load_default(size)
        if all(font.getlength(title) <= width - 2 for title in titles):
            break
    return font


def row_as_png(pictures: Mapping[str, np.ndarray]) -> bytes:
    """Returns a PNG file, as a notebook shows it: images side by side under their names.

    Args:
        pictures: By name, images as of `sample_grid`.
    """
    grid = sample_grid([list(pictures.values())], titles=list(pictures))
    return images.encode_image(grid, ".png")


def side_by_side(paths: Sequence[pathlib.Path]) -> bytes:
    """Returns a PNG file of picture files, from left to right, all as high as the lowest."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    height = min(picture.height for picture in pictures)
    pictures = [
        picture.resize((picture.width * height // picture.height, height), Image.Resampling.LANCZOS)
        for picture in pictures
    ]
    width = sum(picture.width + _GAP_PX for picture in pictures) - _GAP_PX
    joined = Image.new("RGB", (width, height), "white")
    left = 0
    for picture in pictures:
        joined.paste(picture, (left, 0))
        left += picture.width + _GAP_PX
    buffer = io.BytesIO()
    joined.save(buffer, "PNG")
    return buffer.getvalue()
