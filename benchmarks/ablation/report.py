"""The report of an ablation: `ablation.json`, `ablation.md`, `ablation.html` and pictures.

The Markdown and the page are made from the same sections, so they say the same.
"""

from __future__ import annotations

import dataclasses
import html
import io
import json
import pathlib
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from benchmarks.ablation import claims
from benchmarks.ablation.grids import GRID_TITLES, GRIDS, VARIANTS
from benchmarks.ablation.runs import Outcome
from pix2pix_tf import files, grids, metrics
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images
from pix2pix_tf.evaluation import colour, runner, spectrum

JSON_FILE, MARKDOWN_FILE, PAGE = "ablation.json", "ablation.md", "ablation.html"
NUM_SAMPLES = 3  # Draws of the noise for each input, for their diversity.
_NUM_ROWS = 5  # Of a grid's picture.
_PLACES = 3  # Decimals of a score.
# Columns of the tables, where they were measured; the names are those of evaluation.json.
_COLUMNS = {
    "per_pixel_accuracy": "per-pixel accuracy",
    "per_class_accuracy": "per-class accuracy",
    "class_iou": "class IoU",
    "l1": "L1",
    "sharpness": "sharpness",
    "colour_intersection": "colour",
    "across_inputs_l1": "across inputs",
    "draws_l1": "across draws",
    "fid": "FID",
    "kid": "KID",
    "segmenter_kernel_distance": "segmenter's kernel distance",
}


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: Its heading.
        text: A paragraph; may be empty.
        headings: Of the columns of its table; none without a table.
        rows: Of the table.
        pictures: File names beside the report, with a text for those who cannot see them.
    """

    title: str
    text: str = ""
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Sequence[tuple[str, str]] = ()

    def to_markdown(self) -> str:
        """Returns it as Markdown."""
        parts = [f"## {self.title}"]
        if self.text:
            parts.append(self.text)
        if self.headings:
            rule = ["---:" if is_numeric else "---" for is_numeric in self._numeric_columns()]
            lines = [self.headings, rule, *self.rows]
            parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
        parts += [f"![{text}]({name})" for name, text in self.pictures]
        return "\n\n".join(parts) + "\n"

    def to_html(self) -> str:
        """Returns it as HTML."""
        parts = [f"<h2>{html.escape(self.title)}</h2>"]
        if self.text:
            parts.append(f"<p>{html.escape(self.text)}</p>")
        if self.headings:
            classes = [
                ' class="number"' if is_numeric else "" for is_numeric in self._numeric_columns()
            ]
            head = "".join(
                f'<th scope="col"{kind}>{html.escape(text)}</th>'
                for kind, text in zip(classes, self.headings)
            )
            body = "".join(
                f'<tr><th scope="row">{html.escape(row[0])}</th>'
                + "".join(
                    f"<td{kind}>{html.escape(text)}</td>"
                    for kind, text in zip(classes[1:], row[1:])
                )
                + "</tr>"
                for row in self.rows
            )
            parts.append(
                f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
                f"<tbody>{body}</tbody></table></div>"
            )
        parts += [
            f'<img loading="lazy" src="{name}" alt="{html.escape(text)}">'
            for name, text in self.pictures
        ]
        return "\n".join(parts)

    def _numeric_columns(self) -> list[bool]:
        """Returns of each column whether it has numbers only, which are set to the right."""
        columns = zip([""] * len(self.headings), *self.rows)
        return [not any(re.search("[A-Za-z]", text) for text in column) for column in columns]


def write(
    outcomes: Sequence[Outcome], output: pathlib.Path, *, wanted: Sequence[str], command: str
) -> str:
    """Writes the report of the runs that are evaluated; returns it as Markdown.

    Args:
        outcomes: The runs, those of the first seed first.
        output: Folder of the report, where the run folders are too.
        wanted: Keys of `GRIDS`.
        command: The command line, for the record.
    """
    measures: claims.Measures = {}
    for outcome in outcomes:
        seeds = measures.setdefault(outcome.run.variant, {})
        seeds[outcome.run.config.seed] = outcome.scores
    verdicts = [claims.judge(claim, measures) for claim in claims.CLAIMS]
    distances = claims.seed_distances(measures)
    sections = [_about(outcomes, command), _scores_section(outcomes)]
    for grid in wanted:
        of_grid = [outcome for outcome in outcomes if outcome.run.variant in GRIDS[grid]]
        if of_grid:
            sections.append(_grid_section(grid, of_grid, output))
    sections += [_claims_section(verdicts), _comparisons_section(verdicts)]
    if distances:
        sections.append(_seeds_section(distances))
    result = dict(
        command=command,
        settings=_shared(outcomes),
        ground_truth=_ground_truth(outcomes),
        runs=[
            dict(
                variant=outcome.run.variant,
                title=VARIANTS[outcome.run.variant].title,
                seed=outcome.run.config.seed,
                step=outcome.evaluation["step"],
                training_seconds=round(outcome.seconds),
                scores=outcome.scores,
            )
            for outcome in outcomes
        ],
        claims=verdicts,
        seed_distances=distances,
    )
    text = "# Ablation\n\n" + "\n".join(section.to_markdown() for section in sections)
    files.write_atomically(output / JSON_FILE, (json.dumps(result, indent=1) + "\n").encode())
    files.write_atomically(output / MARKDOWN_FILE, text.encode())
    files.write_atomically(output / PAGE, _page(sections).encode())
    return text


def _shared(outcomes: Sequence[Outcome]) -> dict:
    """Returns the settings that all runs have in common, without folders of this machine."""
    configs = [vars(outcome.run.config) for outcome in outcomes]
    shared = {
        name: value
        for name, value in configs[0].items()
        if all(config[name] == value for config in configs) and name != "data_dir"
    }
    return {**shared, "dataset": pathlib.PurePath(shared["dataset"]).name}


def _ground_truth(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Returns what the real pictures score, where that is known; the same in every run."""
    return {
        name: entry["ground_truth"]
        for name, entry in outcomes[0].evaluation["scores"].items()
        if entry["ground_truth"] is not None
    }


def _about(outcomes: Sequence[Outcome], command: str) -> Section:
    evaluation, config = outcomes[0].evaluation, _shared(outcomes)
    steps = sorted({outcome.evaluation["step"] for outcome in outcomes})
    hours = sum(outcome.seconds for outcome in outcomes) / 3600
    segmenter = evaluation.get("fcn_score")
    sentences = [
        f"{config['dataset']}, {config['direction']}, {config['crop_size']} pixels, "
        f"{config['base_filters']} base filters, batch {config['batch_size']}, "
        f"{' / '.join(f'{step:,}' for step in steps)} steps, {config['precision']}.",
        f"{len(outcomes)} runs, {hours:.1f} hours of training steps in all, each measured at its "
        f"last step on the {evaluation['num_images']} pairs of {evaluation['split']}.",
    ]
    if segmenter:
        sentences.append(
            f"FCN-score: segmenter trained {segmenter['segmenter']['weights']}; truth: "
            f"{segmenter['labels']}. The most frequent class, "
            f"{segmenter['most_frequent_class']['name']}, has "
            f"{segmenter['most_frequent_class']['share']:.3f} of the pixels."
        )
    if config["dataset"] != "cityscapes":
        sentences.append(
            "The paper's tables are of Cityscapes, with a segmenter of its own: its numbers show "
            "the order of the configurations, and cannot be compared with those here."
        )
    sentences.append(f"Command: {command}")
    return Section("What was run", " ".join(sentences))


def _scores_section(outcomes: Sequence[Outcome]) -> Section:
    rows = [[_COLUMNS[name], metrics.METRICS[name].meaning] for name in _measured_columns(outcomes)]
    return Section("The columns of the tables", headings=["score", "meaning"], rows=rows)


def _measured_columns(outcomes: Sequence[Outcome]) -> list[str]:
    return [name for name in _COLUMNS if any(name in outcome.scores for outcome in outcomes)]


def _grid_section(grid: str, outcomes: Sequence[Outcome], output: pathlib.Path) -> Section:
    columns = _measured_columns(outcomes)
    order = {variant: number for number, variant in enumerate(GRIDS[grid])}
    ordered = sorted(outcomes, key=lambda x: (order[x.run.variant], x.run.config.seed))
    of_paper = claims.PAPER_GENERATORS if grid == "generators" else claims.PAPER
    rows = [
        [
            _title(grid, outcome.run.variant),
            str(outcome.run.config.seed),
            *(_number(outcome.scores.get(name)) for name in columns),
            f"{outcome.seconds / 60:.0f}",
            _paper(of_paper[outcome.run.variant]),
        ]
        for outcome in ordered
    ]
    truth = _ground_truth(outcomes)
    scores_of_truth = [_number(truth.get(name)) for name in columns]
    rows.append(["Ground truth", "", *scores_of_truth, "", _paper(claims.PAPER_TRUTH)])
    seed = outcomes[0].run.config.seed
    shown = [outcome for outcome in ordered if outcome.run.config.seed == seed]
    pictures = [(f"{grid}.jpg", f"Inputs, ground truth and outputs: {GRID_TITLES[grid]}")]
    _write_picture(output / f"{grid}.jpg", grid, shown)
    if grid == "losses":
        pictures += [
            ("spectra.png", "Power by frequency, of the outputs and the ground truth"),
            ("colours.png", "Histograms of L, a and b, of the outputs and the ground truth"),
        ]
        _plot_spectra(output / "spectra.png", shown)
        _plot_colours(output / "colours.png", shown)
    return Section(
        GRID_TITLES[grid],
        " ".join(_departures(grid, outcomes[0].run.config)),
        ["", "seed", *(_COLUMNS[name] for name in columns), "minutes", "paper's FCN-score"],
        rows,
        pictures,
    )


def _paper(scores: tuple[float, float, float]) -> str:
    return " / ".join(f"{value:.2f}" for value in scores)


def _departures(grid: str, config: TrainConfig) -> list[str]:
    """Returns what a reader has to know before comparing a grid with the paper's table."""
    found = []
    if grid == "generators" and config.batch_size != 10:
        found.append(f"The paper's table is of batch size 10, here it is {config.batch_size}.")
    if grid == "receptive_fields" and config.crop_size < 286:
        found.append(
            f"Of {config.crop_size} pixels a field of 286 sees everything and one of 70 more than "
            "in the paper's 256."
        )
    return found


def _title(grid: str, variant: str) -> str:
    title = VARIANTS[variant].title
    if grid == "generators" and variant in GRIDS["losses"]:
        return f"U-Net, {title}"
    if grid == "receptive_fields" and variant == "l1_cgan":
        return "70x70"
    return title


def _claims_section(verdicts: Sequence[dict]) -> Section:
    return Section(
        "The paper's claims",
        "A comparison is undecided where the difference is no larger than that between two seeds "
        "of one of the variants compared, or, if both have one seed, of any. A claim is reproduced "
        "if all its comparisons hold, not reproduced if none holds and some fail, else partly. All "
        "claims and all comparisons are listed.",
        ["claim", "here"],
        [[_claim_text(verdict), _verdict_text(verdict)] for verdict in verdicts],
    )


def _comparisons_section(verdicts: Sequence[dict]) -> Section:
    rows = [
        [
            f"{VARIANTS[one['more']].title} {'not below' if one['may_tie'] else 'above'} "
            f"{VARIANTS[one['less']].title}",
            _measure_title(one["measure"]),
            str(one["seed"]),
            *(_number(value) for value in one["values"]),
            _number(one["chance"]),
            one["outcome"],
        ]
        for verdict in verdicts
        for one in verdict["comparisons"]
    ]
    headings = ["claimed", "score", "seed", "first", "second", "by chance", "outcome"]
    return Section("All comparisons", headings=headings, rows=rows)


def _claim_text(verdict: dict) -> str:
    note = f" {verdict['note']}" if verdict["note"] else ""
    return f"{verdict['claim']} ({verdict['source']}).{note}"


def _verdict_text(verdict: dict) -> str:
    if verdict["missing"]:
        return f"{verdict['verdict']}: {', '.join(verdict['missing'])}"
    counts = ", ".join(f"{count} {name}" for name, count in verdict["counts"].items() if count)
    seeds = len({one["seed"] for one in verdict["comparisons"]})
    return f"{verdict['verdict']} ({counts}; {seeds} seed{'s' if seeds > 1 else ''})"


def _seeds_section(distances: dict[str, float]) -> Section:
    rows = [
        [_measure_title(name), f"{distance:.{_PLACES}f}"]
        for name, distance in sorted(distances.items())
    ]
    return Section(
        "What chance does",
        "The largest distance between two seeds of one configuration. A difference between "
        "configurations that is not larger says little.",
        ["score", "distance"],
        rows,
    )


def _measure_title(name: str) -> str:
    return _COLUMNS.get(name, name.replace("_", " "))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.{_PLACES}f}"


def _write_picture(path: pathlib.Path, grid: str, outcomes: Sequence[Outcome]) -> None:
    """Writes a picture like the paper's figure 4: rows inputs, columns configurations."""
    folder = outcomes[0].run.evaluation
    names = list(outcomes[0].evaluation["per_image"])
    chosen = np.linspace(0, len(names) - 1, _NUM_ROWS + 2).round().astype(int)[1:-1]
    columns = [folder / runner.INPUTS_FOLDER, folder / runner.TARGETS_FOLDER]
    columns += [outcome.run.evaluation / runner.OUTPUTS_FOLDER for outcome in outcomes]
    rows = [
        [_read_picture(column / f"{names[number]}.png") for column in columns] for number in chosen
    ]
    titles = ["input", "ground truth"]
    titles += [_title(grid, outcome.run.variant) for outcome in outcomes]
    picture = grids.sample_grid(rows, titles)
    files.write_atomically(path, images.encode_image(tf.constant(picture), ".jpg"))


def _read_picture(path: pathlib.Path) -> np.ndarray:
    return images.normalize_image(images.read_pixels(path, channels=3)).numpy()


def _plot_spectra(path: pathlib.Path, outcomes: Sequence[Outcome]) -> None:
    """Draws the radially averaged power of every configuration in one plot."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    curves = [outcome.evaluation[spectrum.SpectrumMeasure.section] for outcome in outcomes]
    first = curves[0]
    axes.loglog(first["cycles_per_pixel"], first["target_power"], "k", lw=2, label="ground truth")
    for outcome, curve in zip(outcomes, curves):
        title = VARIANTS[outcome.run.variant].title
        axes.loglog(curve["cycles_per_pixel"], curve["output_power"], lw=1.2, label=title)
    axes.set_xlabel("cycles per pixel")
    axes.set_ylabel("power")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    files.write_atomically(path, _png(figure))


def _plot_colours(path: pathlib.Path, outcomes: Sequence[Outcome]) -> None:
    """Draws the marginal histograms of every configuration, as the paper's figure 7."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    results = [outcome.evaluation[colour.ColourMeasure.section] for outcome in outcomes]
    for axes, axis in zip(figure.subplots(1, len(colour.AXES), sharey=True), colour.AXES):
        first = results[0]
        _draw_histogram(axes, first, axis, "target", "k", 2.0, "ground truth")
        for number, (outcome, result) in enumerate(zip(outcomes, results)):
            title = VARIANTS[outcome.run.variant].title
            _draw_histogram(axes, result, axis, "output", f"C{number}", 1.0, title)
        axes.set_xlabel(axis)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("log10 of the probability")
    figure.axes[-1].legend(fontsize=8)
    files.write_atomically(path, _png(figure))


def _draw_histogram(axes, result, axis, which, line_colour, width, label) -> None:
    counts = np.array(result[f"{which}_counts"][axis], np.float64)
    values = result["first_bin"][axis] + result["bin_width"] * (np.arange(len(counts)) + 0.5)
    with np.errstate(divide="ignore"):  # An empty bin is not drawn.
        log = np.log10(counts / counts.sum())
    axes.plot(values, np.where(np.isfinite(log), log, np.nan), line_colour, lw=width, label=label)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _page(sections: Sequence[Section]) -> str:
    body = "\n".join(section.to_html() for section in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>pix2pix: ablation</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto;
    padding: 0 1rem; }}
  h1, h2 {{ line-height: 1.2; }}
  .wide {{ overflow-x: auto; }}
  table {{ border-collapse: collapse; }}
  th, td {{ padding: .2rem .7rem .2rem 0; vertical-align: top; font-weight: normal; }}
  th, td {{ text-align: left; }}
  thead th {{ border-bottom: 1px solid; }}
  .number {{ text-align: right; font-variant-numeric: tabular-nums; }}
  img {{ display: block; max-width: 100%; margin: 1.5rem 0; }}
</style>
<h1>Ablation</h1>
{body}
</html>
"""
