"""matplotlib's figures as PNG, whatever the environment says of windows and folders.

A notebook sets MPLBACKEND, and a command that it starts inherits it: where that backend is not
installed, to import matplotlib is a ValueError. Where there is no home that can be written to,
matplotlib keeps its list of fonts in a folder that goes away with the process, and logs so.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(**options) -> Figure:
    """Returns an empty figure, which is to be drawn into a file alone.

    Not by pyplot: its global state would draw into a notebook's own figures.

    Args:
        **options: Arguments of `matplotlib.figure.Figure`.
    """
    return _figure_class()(layout="constrained", **options)


def to_png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


@functools.cache
def _figure_class() -> type[Figure]:
    """Imports matplotlib: half a second, which serving and translating save."""
    is_new = "matplotlib" not in sys.modules
    backend = os.environ.pop("MPLBACKEND", None)
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from matplotlib import figure, rcParams
    finally:
        logger.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if is_new and backend:  # What the import makes of it, for what a notebook draws later.
        with contextlib.suppress(ValueError):
            rcParams["backend"] = backend
    return figure.Figure
