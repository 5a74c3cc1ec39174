"""Tables of results for people, JSON for programs."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

from absl import flags

from pix2pix_tf.files import write_atomically


def define_json_flag() -> None:
    """Defines the flag that names the file of `write`."""
    flags.DEFINE_string("json", "", "File for the results; empty for none.")


def write(result: dict, path: str) -> None:
    """Writes a result as JSON; an empty path writes nothing.

    Raises:
        WriteError: If the file cannot be written.
    """
    if not path:
        return
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    write_atomically(pathlib.Path(path), text.encode())


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table of which the first column is text and the others are numbers."""
    # A bar within a cell would be taken for a border.
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(row: Sequence[str]) -> str:
        padded = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, (cells[0], rule, *cells[1:])))


def number(value: float | None, digits: int) -> str:
    """Returns a number for a table; a dash where nothing was measured."""
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    """Returns a share for a table."""
    return "-" if value is None else f"{value:.0%}"


def spread(summary: dict, digits: int, *, factor: float = 1.0) -> str:
    """Returns a median and its quartiles, times `factor`: "0.40 (0.39 to 0.42)"."""
    median, low, high = (f"{factor * summary[key]:.{digits}f}" for key in ("median", "p25", "p75"))
    return f"{median} ({low} to {high})"
