"""The report of an ablation: `ablation.json`, `ablation.md`, `ablation.html` and pictures.

The Markdown and the page are made from the same sections, so they say the same.
"""

from __future__ import annotations

import dataclasses
import html
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from benchmarks import grid_pattern, results
from benchmarks.ablation import claims
from benchmarks.ablation.grids import GRID_TITLES, GRIDS, NUMBERS_OF_PAIRS, PAPER_GRIDS, VARIANTS
from benchmarks.ablation.runs import Outcome
from pix2pix_tf import figures, files, grids, html_page, metrics, run_folder
from pix2pix_tf.data import images
from pix2pix_tf.evaluation import runner

PAGE = "ablation.html"
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
    "grid": "grid",
    "across_inputs_l1": "across inputs",
    "draws_l1": "across draws",
    "fid": "FID",
    "kid": "KID",
    "segmenter_kernel_distance": "segmenter's kernel distance",
}
_CURVE = "pairs_curve.png"
_CURVE_LABELS = dict(pairs="mirrored alone", turned_pairs="flipped and turned too")
_GRID_MEANING = (
    "Standard deviation over the 64 places modulo 8 pixels of what is left without the local "
    "mean, in grey levels (0 to 255), of the whole picture; less is better, but never 0."
)


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report: a heading, and a paragraph, a table or a picture."""

    title: str
    text: str = ""
    headings: Sequence[str] = ()  # Of the columns of the table.
    rows: Sequence[Sequence[str]] = ()
    numeric: bool = True  # Whether all columns but the first are numbers.
    picture: str = ""  # Name of a file beside the report.

    def to_markdown(self) -> str:
        """Returns it as Markdown."""
        parts = [f"## {self.title}"]
        if self.text:
            parts.append(self.text)
        if self.headings:
            parts.append(results.markdown_table(self.headings, self.rows, numeric=self.numeric))
        if self.picture:
            parts.append(f"![{self.title}]({self.picture})")
        return "\n\n".join(parts) + "\n"

    def to_html(self) -> str:
        """Returns it as HTML."""
        title = html.escape(self.title)
        parts = [f"<h2>{title}</h2>"]
        if self.text:
            parts.append(f"<p>{html.escape(self.text)}</p>")
        if self.headings:
            parts.append(html_page.table(self.rows, header=self.headings))
        if self.picture:
            parts.append(f'<img src="{self.picture}" alt="{title}">')
        return "\n".join(parts)


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
    readings = [x for x in run_folder.WEIGHTS if any(x == one.weights for one in outcomes)]
    measures = {weights: _measures(outcomes, weights) for weights in readings}
    asked = claims.CLAIMS if any(grid in PAPER_GRIDS for grid in wanted) else ()
    asked = (*asked, *(claims.LABEL_CLAIMS if "labels" in wanted else ()))
    verdicts = {
        weights: [claims.judge(claim, measures[weights]) for claim in asked] for weights in readings
    }
    columns = [name for name in _COLUMNS if any(name in x.scores for x in outcomes)]
    meanings = [[_COLUMNS[name], _meaning(name)] for name in columns]
    sections = [
        Section("What was run", _description(outcomes, command)),
        Section("The columns of the tables", "", ["score", "meaning"], meanings, numeric=False),
    ]
    for grid in wanted:
        of_grid = [outcome for outcome in outcomes if outcome.run.variant in GRIDS[grid]]
        if of_grid:
            sections.append(_grid_section(grid, of_grid, columns, output))
    of_pairs = [outcome for outcome in outcomes if VARIANTS[outcome.run.variant].num_pairs]
    if of_pairs:
        sections.append(_curve_section(of_pairs, output))
    if asked:
        sections.append(_claims_section(verdicts))
    result = dict(
        command=command,
        settings=_shared_settings(outcomes),
        ground_truth=_ground_truth(outcomes),
        runs=[
            dict(
                variant=outcome.run.variant,
                title=VARIANTS[outcome.run.variant].title,
                seed=outcome.run.config.seed,
                weights=outcome.weights,
                step=outcome.evaluation["step"],
                training_seconds=round(outcome.seconds),
                scores=outcome.scores,
            )
            for outcome in outcomes
        ],
        claims=verdicts,
        seed_distances={x: claims.seed_distances(measures[x]) for x in readings},
    )
    results.write(result, str(output / "ablation.json"))
    text = "# Ablation\n\n" + "\n".join(section.to_markdown() for section in sections)
    files.write_atomically(output / "ablation.md", text.encode())
    page = html_page.page(
        "Ablation",
        "\n".join(section.to_html() for section in sections),
        style="body { max-width: 75rem; } td { vertical-align: top; padding-right: .7rem; }",
    )
    files.write_atomically(output / PAGE, page)
    return text


def _measures(outcomes: Sequence[Outcome], weights: str) -> claims.Measures:
    measures: claims.Measures = {}
    for outcome in outcomes:
        if outcome.weights == weights:
            seeds = measures.setdefault(outcome.run.variant, {})
            seeds[outcome.run.config.seed] = outcome.scores
    return measures


def _meaning(name: str) -> str:
    return _GRID_MEANING if name == "grid" else metrics.METRICS[name].meaning


def _shared_settings(outcomes: Sequence[Outcome]) -> dict:
    """Returns the settings that all runs have in common, without folders of this machine."""
    configs = [vars(outcome.run.config) for outcome in outcomes]
    shared = {
        name: value
        for name, value in configs[0].items()
        if all(config[name] == value for config in configs) and name != "data_dir"
    }
    # Subsets of a set lie in folders of their own, whose last name is the set's.
    return {**shared, "dataset": pathlib.PurePath(configs[0]["dataset"]).name}


def _ground_truth(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Returns the scores of the real pictures, where there are any; the same in every run."""
    return {
        name: entry["ground_truth"]
        for name, entry in outcomes[0].evaluation["scores"].items()
        if entry["ground_truth"] is not None
    } | {"grid": grid_pattern.mean_over_pictures(_folder(outcomes[0]) / runner.TARGETS_FOLDER)}


def _description(outcomes: Sequence[Outcome], command: str) -> str:
    evaluation, config = outcomes[0].evaluation, _shared_settings(outcomes)
    minutes = {outcome.run.folder: outcome.seconds / 60 for outcome in outcomes}
    sentences = [
        f"{config['dataset']}, {config['direction']}, {config['crop_size']} pixels, "
        f"{config['base_filters']} base filters, batch {config['batch_size']}, "
        f"{evaluation['step']:,} steps, {config['precision']}.",
        f"{len(minutes)} runs, {sum(minutes.values()) / 60:.1f} hours of training steps in all, "
        f"each measured at its last step on the {evaluation['num_images']} pairs of "
        f"{evaluation['split']}.",
    ]
    if "fcn_score" in evaluation:
        judge = evaluation["fcn_score"]
        sentences.append(
            f"FCN-score: segmenter trained {judge['segmenter']['weights']}; truth: "
            f"{judge['labels']}."
        )
    if config["dataset"] != "cityscapes":
        sentences.append(
            "The paper's tables are of Cityscapes, with a segmenter of its own: its numbers show "
            "the order of the configurations, and cannot be compared with those here."
        )
    return " ".join([*sentences, f"Command: {command}"])


def _grid_section(
    grid: str, outcomes: Sequence[Outcome], columns: Sequence[str], output: pathlib.Path
) -> Section:
    order = {variant: number for number, variant in enumerate(GRIDS[grid])}
    ordered = sorted(outcomes, key=lambda x: (order[x.run.variant], x.run.config.seed, x.weights))
    of_paper = dict(generators=claims.PAPER_GENERATORS, labels=claims.PAPER_LABELS).get(
        grid, claims.PAPER
    )

    def row(title, seed, weights, scores, minutes, paper):
        numbers = [_number(scores.get(name)) for name in columns]
        of_paper = " / ".join(f"{value:.2f}" for value in paper)
        return [title, seed, weights, *numbers, minutes, of_paper]

    rows = [
        row(
            VARIANTS[outcome.run.variant].title,
            str(outcome.run.config.seed),
            outcome.weights,
            outcome.scores,
            f"{outcome.seconds / 60:.0f}",
            of_paper.get(outcome.run.variant, ()),
        )
        for outcome in ordered
    ]
    rows.append(row("Ground truth", "", "", _ground_truth(outcomes), "", _truth_of_paper(grid)))
    shown = [x for x in ordered if x.run.config.seed == outcomes[0].run.config.seed]
    picture = f"{grid}.jpg"
    files.write_atomically(output / picture, _draw_outputs(shown))
    headings = [
        "",
        "seed",
        "weights",
        *(_COLUMNS[name] for name in columns),
        "minutes",
        "paper's FCN-score",
    ]
    return Section(GRID_TITLES[grid], "", headings, rows, picture=picture)


def _truth_of_paper(grid: str) -> tuple[float, ...]:
    return claims.PAPER_TRUTH if grid in PAPER_GRIDS else ()


def _claims_section(verdicts: dict[str, list[dict]]) -> Section:
    """Returns the section of the paper's claims: a column for the weights of each kind."""
    rows = []
    for of_claim in zip(*verdicts.values()):
        claim = of_claim[0]
        row = [f"{claim['claim']} ({claim['source']}). {claim['note']}".strip()]
        for verdict in of_claim:
            counts = [f"{count} {name}" for name, count in verdict["counts"].items() if count]
            row.append(f"{verdict['verdict']}: {', '.join(verdict['missing'] or counts)}")
        rows.append(row)
    return Section(
        "The paper's claims",
        "A comparison is undecided where the difference is no larger than that between two seeds "
        "of one of the variants compared, or, if both have one seed, of any; where none has two, "
        "every difference counts. A claim is reproduced "
        "if all its comparisons hold, not reproduced if none holds and some fail, else partly. All "
        "comparisons, and the distances between seeds, are in ablation.json.",
        ["claim", *(f"here, {weights} weights" for weights in verdicts)],
        rows,
        numeric=False,
    )


def _curve_section(outcomes: Sequence[Outcome], output: pathlib.Path) -> Section:
    """Returns the section of a plot of L1 and class IoU by the number of pairs."""
    weights = outcomes[0].weights
    shown = [outcome for outcome in outcomes if outcome.weights == weights]
    files.write_atomically(output / _CURVE, _draw_curve(shown))
    return Section(
        f"By the number of training pairs, {weights} weights",
        "Dotted: the real pictures, which the judge does not recognise fully either.",
        picture=_CURVE,
    )


def _draw_curve(outcomes: Sequence[Outcome]) -> bytes:
    names = [name for name in ("l1", "class_iou") if name in outcomes[0].scores]
    figure = figures.new_figure(figsize=(4.5 * len(names), 3.4))
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        for grid, colour in (("pairs", "C0"), ("turned_pairs", "C1")):
            of_grid = [x for x in outcomes if x.run.variant in GRIDS[grid]]
            ordered = sorted(of_grid, key=lambda x: VARIANTS[x.run.variant].num_pairs)
            for number, seed in enumerate(sorted({x.run.config.seed for x in ordered})):
                of_seed = [x for x in ordered if x.run.config.seed == seed]
                axes.plot(
                    [VARIANTS[x.run.variant].num_pairs for x in of_seed],
                    [x.scores[name] for x in of_seed],
                    ("o-", "s--", "^:")[number % 3],
                    color=colour,
                    label=f"{_CURVE_LABELS[grid]}, seed {seed}",
                )
        truth = _ground_truth(outcomes).get(name)
        if truth:
            axes.axhline(truth, color="gray", linestyle=":")
        axes.set_xscale("log", base=2)
        axes.set_xticks(NUMBERS_OF_PAIRS, [str(count) for count in NUMBERS_OF_PAIRS])
        axes.set_xlabel("training pairs")
        axes.set_title(_COLUMNS[name], loc="left", fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figures.to_png(figure)


def _number(value: float | None) -> str:
    return results.number(value, _PLACES)


def _folder(outcome: Outcome) -> pathlib.Path:
    return outcome.run.evaluation(outcome.weights)


def _draw_outputs(outcomes: Sequence[Outcome]) -> bytes:
    """Returns a JPEG like the paper's figure 4: rows inputs, columns configurations."""
    folder = _folder(outcomes[0])
    names = list(outcomes[0].evaluation["per_image"])
    chosen = np.linspace(0, len(names) - 1, _NUM_ROWS + 2).round().astype(int)[1:-1]
    columns = [folder / runner.INPUTS_FOLDER, folder / runner.TARGETS_FOLDER]
    columns += [_folder(outcome) / runner.OUTPUTS_FOLDER for outcome in outcomes]
    rows = [
        [images.read_pixels(column / f"{names[number]}.png", channels=3) for column in columns]
        for number in chosen
    ]
    normalized = [[images.normalize_image(pixels).numpy() for pixels in row] for row in rows]
    titles = ["input", "ground truth"]
    for outcome in outcomes:
        which = f", {outcome.weights}" if len(outcome.run.readings) > 1 else ""
        titles.append(VARIANTS[outcome.run.variant].title + which)
    return images.encode_image(tf.constant(grids.sample_grid(normalized, titles)), ".jpg")
