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


def write(
    evaluations: Sequence[tuple[grids.Run, dict]],
    output: pathlib.Path,
    *,
    wanted: Sequence[str],
    seconds: dict[str, float],
) -> str:
    """Writes the report of the runs that are evaluated; returns it as Markdown.

    Args:
        evaluations: Runs with what `evaluation.json` says of each.
        output: Folder of the report.
        wanted: Keys of `grids.GRIDS`.
        seconds: Wall time of each run's training, by the name of its folder.
    """
    measures: claims.Measures = {}
    for run, evaluation in evaluations:
        values = {name: measure.read(evaluation) for name, measure in MEASURES.items()}
        found = {name: value for name, value in values.items() if value is not None}
        measures.setdefault(run.variant, {})[run.config.seed] = found
    truth = {
        name: measure.truth(evaluations[0][1])
        for name, measure in MEASURES.items()
        if measure.truth is not None
    }
    verdicts = [claims.judge(claim, measures) for claim in claims.CLAIMS]
    verdicts = [verdict for verdict in verdicts if verdict is not None]
    noise = claims.seed_differences(measures)
    config = evaluations[0][0].config
    result = dict(
        settings=_shared_settings([run.config for run, _ in evaluations]),
        ground_truth=truth,
        runs=[
            dict(
                variant=run.variant,
                title=grids.VARIANTS[run.variant].title,
                seed=run.config.seed,
                step=evaluation["step"],
                training_seconds=seconds[run.folder.name],
                measures=measures[run.variant][run.config.seed],
            )
            for run, evaluation in evaluations
        ],
        claims=verdicts,
        largest_difference_between_seeds=noise,
    )
    sections = [_settings_section(result)]
    for grid in wanted:
        done = [
            (run, evaluation) for run, evaluation in evaluations if run.variant in grids.GRIDS[grid]
        ]
        if done:
            sections.append(_grid_section(grid, done, measures, truth, output, config))
    sections.append(_claims_section(verdicts, noise))
    text = "\n".join(section.to_markdown() for section in sections)
    files.write_atomically(output / JSON_FILE, (json.dumps(result, indent=1) + "\n").encode())
    files.write_atomically(output / MARKDOWN_FILE, text.encode())
    files.write_atomically(output / PAGE, _page(sections).encode())
    return text
