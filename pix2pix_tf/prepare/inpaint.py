"""The task `inpaint`: photos to pairs of the photo with holes, and the photo.

A has alpha, 0 in the holes and 255 elsewhere, and is white in the holes. Read with 3 channels, as
by default, a hole is white; with `--input_channels=4` the network is also told where it is.
"""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image, ImageDraw

from pix2pix_tf.prepare import pair_files, work


def run(options) -> work.Outcome:
    """Makes pairs, with and without holes, of the photos of `--input`."""
    return pair_files.make_pairs(options, "inpaint", cut_holes, "holes", "hole_area", "seed")


def cut_holes(
    photo: np.ndarray, name: str, *, holes: str, hole_area: float, seed: int
) -> np.ndarray:
    """Returns the photo with holes.

    Args:
        photo: Pixels `[height, width, 3]`, uint8 or uint16.
        name: Name of the photo: with the seed it decides the holes, whatever else there is.
        holes: "centre" or "strokes".
        hole_area: Share of the photo that is cut out: exact, to the rounding of its sides, for
            centre; reached or just passed for strokes.
        seed: Seed of the holes.

    Returns:
        The same type, `[height, width, 4]`.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    random = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    cut = _strokes if holes == "strokes" else _centre
    missing = cut(*photo.shape[:2], hole_area, random)[..., np.newaxis]
    white = photo.dtype.type(np.iinfo(photo.dtype).max)  # Of another type all would be 64 bits.
    alpha = np.where(missing, photo.dtype.type(0), white)
    return np.concatenate([np.where(missing, white, photo), alpha], axis=-1)


def _centre(height: int, width: int, area: float, unused_random) -> np.ndarray:
    """Returns a box in the middle, of the photo's shape."""
    missing = np.zeros([height, width], bool)
    rows, columns = (max(1, round(size * area**0.5)) for size in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    missing[top : top + rows, left : left + columns] = True
    return missing


def _strokes(height: int, width: int, area: float, random: np.random.Generator) -> np.ndarray:
    """Returns strokes of a round brush, which turn a little after each piece of their way."""
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    shorter = min(height, width)
    while (missing := np.asarray(canvas)).mean() < area:
        radius = max(0.5, shorter * random.uniform(0.02, 0.06))
        point = random.uniform(0.0, (width, height))
        direction = random.uniform(0.0, 2.0 * np.pi)
        points = [point]
        for _ in range(random.integers(2, 9)):
            direction += random.uniform(-np.pi / 3, np.pi / 3)
            step = shorter * random.uniform(0.05, 0.2)
            point = point + step * np.array([np.cos(direction), np.sin(direction)])
            points.append(point)
        draw.line([tuple(point) for point in points], fill=1, width=max(1, round(2 * radius)))
        for x, y in points:  # Round ends, and no notches where it turns.
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1)
    return missing
