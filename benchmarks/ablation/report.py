"""The report of an ablation: `ablation.json`, `ablation.md`, `ablation.html`, and a picture a grid.

The Markdown and the page have the same contents, made from the same rows.
"""

from __future__ import annotations

import dataclasses
import html
import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from benchmarks.ablation import claims, grids
from pix2pix_tf import files
from pix2pix_tf.data import images
from pix2pix_tf.training import reports

JSON_FILE, MARKDOWN_FILE, PAGE = "ablation.json", "ablation.md", "ablation.html"
NUM_ROWS = 5  # Of a grid's picture.


@dataclasses.dataclass(frozen=True)
class Measure:
    """A column of the table.

    Attributes:
        title: Its heading.
        places: Decimals shown.
        read: Takes it out of an `evaluation.json`; None where it is not there.
    """

    title: str
    places: int
    read: Callable[[dict], float | None]


MEASURES: dict[str, Measure] = {}


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first column is a name."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_markdown(self) -> str:
        """Returns it as a table of Markdown."""
        lines = [self.headings, ["---"] + ["---:"] * (len(self.headings) - 1), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def to_html(self) -> str:
        """Returns it as a table of HTML."""
        head = "".join(f"<th>{html.escape(text)}</th>" for text in self.headings)
        body = "".join(
            f'<tr><th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(text)}</td>" for text in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
