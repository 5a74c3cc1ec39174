"""Windows of a map, and which window of one map a layer reads to compute one of the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Window:
    """Rows `top` to `bottom` and columns `left` to `right`, the ends left out.

    In pixels of its map. It may reach beyond the map, where layers see zeros.
    """

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def rows(self) -> slice:
        """Its rows in an array of the whole map, where it lies inside."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """As `rows`."""
        return slice(self.left, self.right)

    def read_by_convolution(self) -> Window:
        """Returns the window of the larger map that a 4x4 convolution of stride 2 reads.

        The map is padded by 1 pixel: row r comes from rows 2r - 1 to 2r + 2.
        """
        return Window(2 * self.top - 1, 2 * self.bottom + 1, 2 * self.left - 1, 2 * self.right + 1)

    def read_by_transposed(self) -> Window:
        """Returns the window of the smaller map that goes into a transposed convolution.

        The adjoint of the above: row r goes into rows 2r - 1 to 2r + 2.
        """
        top, left = (self.top - 1) // 2, (self.left - 1) // 2
        return Window(top, self.bottom // 2 + 1, left, self.right // 2 + 1)

    def doubled(self) -> Window:
        """Returns the window of the same place on a map of twice the size."""
        return Window(2 * self.top, 2 * self.bottom, 2 * self.left, 2 * self.right)

    def clipped(self, height: int, width: int) -> Window:
        """Returns what of it lies on a map of that size."""
        return Window(
            max(self.top, 0), min(self.bottom, height), max(self.left, 0), min(self.right, width)
        )

    def contains(self, other: Window) -> bool:
        """Returns whether `other` lies in it."""
        return (
            self.top <= other.top
            and other.bottom <= self.bottom
            and self.left <= other.left
            and other.right <= self.right
        )

    def slices_of(self, inner: Window) -> tuple[slice, slice]:
        """Returns where `inner` lies in an array that holds this window."""
        return (
            slice(inner.top - self.top, inner.bottom - self.top),
            slice(inner.left - self.left, inner.right - self.left),
        )

    def paddings_of(self, inner: Window) -> list[list[int]]:
        """Returns what `tf.pad` adds to `[batch, *inner, channels]` to fill this window."""
        return [
            [0, 0],
            [inner.top - self.top, self.bottom - inner.bottom],
            [inner.left - self.left, self.right - inner.right],
            [0, 0],
        ]


def tile(height: int, width: int, side: int) -> Iterator[Window]:
    """Yields windows that fill a map without overlapping, `side` pixels high and wide.

    Those at the bottom and right are smaller where `side` does not divide the map.
    """
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Window(top, top + side, left, left + side).clipped(height, width)
