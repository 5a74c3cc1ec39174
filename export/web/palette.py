"""What a person draws with: label classes, a pen, or the colours of the samples."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import classes, label_pictures, scenes
from pix2pix_tf.errors import InputError

_MOST_COLORS = 12
_SMALLEST_SHARE = 0.005  # Of the pixels; rarer colours are noise of the JPEG.
_SAME_COLOR = 48  # Distance in RGB up to which two colours are one.


@dataclasses.dataclass(frozen=True)
class Brush:
    """A colour of the input, 0-255 RGB, and what it stands for.

    The first brush of a palette is what an empty drawing is filled with.
    """

    name: str
    color: tuple[int, int, int]


_PEN = (Brush("paper", (255, 255, 255)), Brush("pen", (0, 0, 0)))


def has_scene_labels(config: TrainConfig) -> bool:
    """Tells whether the input is a label map in the colours of CMP Facades.

    The drawn scenes of the demo have the same classes.
    """
    name = pathlib.PurePath(config.dataset).name
    return (name, config.direction) in (("demo", "AtoB"), ("facades", "BtoA"))


def of_dataset(config: TrainConfig) -> tuple[Brush, ...]:
    """Returns the brushes that follow from the data set's name; empty if none do."""
    if has_scene_labels(config):
        return tuple(Brush(kind.name, kind.color) for kind in scenes.CLASSES)
    has_edges = pathlib.PurePath(config.dataset).name.startswith("edges2")
    return _PEN if has_edges and config.direction == "AtoB" else ()


def choose(config: TrainConfig, inputs: list[np.ndarray]) -> tuple[Brush, ...]:
    """Returns the brushes for a model.

    Args:
        config: Configuration of the run.
        inputs: Sample inputs, uint8 `[height, width, 3]`; may be empty.
    """
    known = of_dataset(config)
    if known:
        return known
    table = label_pictures.recognise(inputs) if inputs else None
    if table is not None:
        return tuple(Brush(kind.name, kind.color) for kind in table.scored)
    colors = dominant_colors(inputs) if inputs else []
    if len(colors) > 2 and label_pictures.are_lines(inputs):  # Scaled, so of many shades.
        return (Brush("paper", colors[0]), Brush("pen", colors[1]))
    if len(colors) < 2:  # Photos that are not at hand, or nothing to tell apart.
        return _PEN
    return tuple(Brush(f"colour {number}", color) for number, color in enumerate(colors, start=1))


def are_drawn(pictures: list[np.ndarray]) -> bool:
    """Tells whether pictures, uint8 `[height, width, 3]`, are labels or line art, not photos."""
    if not pictures:
        return False
    try:
        label_pictures.learn(pictures)
    except InputError:
        return len(dominant_colors(pictures)) == 2 or label_pictures.are_lines(pictures)
    return True


def dominant_colors(pictures: list[np.ndarray]) -> list[tuple[int, int, int]]:
    """Returns the few colours that pictures are mostly made of, the commonest first.

    Colours that differ by less than compression makes them differ are one.

    Args:
        pictures: uint8 `[height, width, 3]`.
    """
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    numbers, counts = np.unique(classes.as_numbers(pixels), return_counts=True)
    colors = classes.as_colors(numbers)
    chosen = []
    while len(chosen) < _MOST_COLORS and len(colors):
        color = colors[np.argmax(counts)]
        is_same = np.square(colors - color).sum(axis=1) < _SAME_COLOR**2
        if counts[is_same].sum() < _SMALLEST_SHARE * len(pixels):
            break
        chosen.append(tuple(map(int, color)))
        colors, counts = colors[~is_same], counts[~is_same]
    return chosen
