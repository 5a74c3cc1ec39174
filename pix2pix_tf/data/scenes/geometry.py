"""Units, boxes in them, and the pixels that they cover.

A unit is 1/64 of the picture side, so a box is in the same place at every size.
Rows grow downwards, columns to the right; both begin at 0.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

SIDE = 64.0  # The picture side in units.


class Box(NamedTuple):
    """A rectangle, in units."""

    top: float
    left: float
    bottom: float
    right: float

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


@dataclasses.dataclass(frozen=True)
class Raster:
    """A square grid of pixels over the picture.

    Attributes:
        size: Pixels along one side.
    """

    size: int

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
