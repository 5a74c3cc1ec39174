"""The arrays of one scene while it is drawn: labels, colours, and a relief.

Labels have the output's resolution. Colours and relief have a whole multiple of
it, 128 pixels or more, so that small photos are averaged from fine ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pix2pix_tf.data.scenes.geometry import Box, Raster

_SMALLEST_RENDER = 128  # Pixels. Thin parts, such as muntins, need them.


class Surface(NamedTuple):
    """How the picture, or a box of it, looks before light falls on it."""

    albedo: np.ndarray  # float32 [rows, columns, 3] in [0, 1]: RGB.
    relief: np.ndarray  # float32 [rows, columns], units in front of the wall.


class Canvas:
    """One scene while it is drawn.

    Attributes:
        factor: Render pixels per output pixel, along one side.
        output: The pixels of the labels and of the finished photo.
        render: The pixels of the surface.
        class_index: uint8 [size, size], an index into CLASSES.
        surface: The whole picture, at render resolution.
    """

    def __init__(self, size: int):
        self.factor = -(-_SMALLEST_RENDER // size)
        self.output = Raster(size)
        self.render = Raster(size * self.factor)
        shape = (self.render.size, self.render.size)
        self.class_index = np.zeros((size, size), np.uint8)
        self.surface = Surface(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32))

    def crop(self, box: Box) -> Surface:
        """Returns views of the surface inside a box: writing to them draws."""
        where = self.render.slices(box)
        return Surface(self.surface.albedo[where], self.surface.relief[where])

    def fill(self, box: Box, color: np.ndarray, relief: float | np.ndarray) -> None:
        """Draws one colour."""
        view = self.crop(box)
        view.albedo[:] = color
        view.relief[:] = relief

    def paste(self, box: Box, texture: Surface) -> None:
        """Draws the same place of a texture that has the picture's size."""
        where = self.render.slices(box)
        self.surface.albedo[where] = texture.albedo[where]
        self.surface.relief[where] = texture.relief[where]

    def enlarge(self, mask: np.ndarray) -> np.ndarray:
        """Returns a mask of output pixels as one of render pixels."""
        return mask.repeat(self.factor, axis=0).repeat(self.factor, axis=1)
