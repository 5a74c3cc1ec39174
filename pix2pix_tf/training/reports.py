"""What a run leaves for a person to look at: metrics, curves, grids of samples, a page."""

from __future__ import annotations

import html
import json
import math
import pathlib
import shlex

import numpy as np
import tensorflow as tf

from pix2pix_tf import figures, files, html_page, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images
from pix2pix_tf.run_folder import (
    LOSSES_PICTURE,
    METRICS_FILE,
    PAGE,
    SAMPLES_FOLDER,
    list_sample_grids,
    read_metrics,
)
from pix2pix_tf.training.inputs import GIVEN

# More than the picture of the curves is wide, and what a browser scrolls through.
_MOST_POINTS = 1000
_MOST_GRIDS = 100


def forget_later(workdir: pathlib.Path, *, step: int) -> None:
    """Drops metrics and grids beyond `step`: of steps that were cut off and will come again."""
    kept = [record for record in read_metrics(workdir) if record["step"] <= step]
    lines = "".join(json.dumps(record) + "\n" for record in kept)
    files.write_atomically(pathlib.Path(workdir) / METRICS_FILE, lines.encode())
    files.sweep(pathlib.Path(workdir) / SAMPLES_FOLDER, is_alone=True)
    for later, path in list_sample_grids(workdir).items():
        if later > step:
            with files.writing(path):
                path.unlink()


def append_metrics(workdir: pathlib.Path, record: dict[str, float]) -> None:
    """Appends a line to `metrics.jsonl`, kept if the process is killed, but not if the machine is.

    Raises:
        WriteError: If it cannot be written; `read_metrics` leaves a part of it out.
    """
    path = pathlib.Path(workdir) / METRICS_FILE
    with files.writing(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def write_sample_grid(workdir: pathlib.Path, step: int, grid: np.ndarray) -> None:
    """Writes `samples/step_NNNNNNNN.png`."""
    path = run_folder.sample_grid(workdir, step)
    with files.writing(path):
        path.parent.mkdir(exist_ok=True)
    files.write_atomically(path, images.encode_image(tf.constant(grid), ".png"))


def plot_losses(workdir: pathlib.Path, *, gan_loss: str) -> None:
    """Writes `losses.png`, by step: adversarial losses, reconstruction, held-out measure.

    Of a long run evenly spread points, so that it takes the time of a short one.

    Args:
        workdir: The run folder, with its metrics.
        gan_loss: With "vanilla" the score of an undecided discriminator is drawn.
    """
    records = read_metrics(workdir, at_most=_MOST_POINTS)
    if not records:
        return
    panels = [
        ("adversarial", {"discriminator_loss": "discriminator", "adversarial_loss": "generator"}),
        ("reconstruction", {"l1_loss": "L1", "l2_loss": "L2"}),
    ]
    measured = read_metrics(workdir, at_most=_MOST_POINTS, having=run_folder.HELD_OUT_PREFIX)
    known = sorted({name for record in records + measured for name in record})
    shown = {"generator_loss", *(name for _, curves in panels for name in curves)}
    panels += [  # Terms of one's own, each in its own scale.
        (name.removesuffix("_loss").replace("_", " "), {name: "generator"})
        for name in known
        if name.endswith("_loss") and name not in shown
    ]
    measures = [name for name in known if name.startswith(run_folder.HELD_OUT_PREFIX)]
    for name in measures:  # More than one where a run was continued with another.
        label = name.removeprefix(run_folder.HELD_OUT_PREFIX)
        panels.append((f"{label} of the checkpoints, held-out pairs", {name: label}))
    panels = [
        (title, {name: label for name, label in curves.items() if name in known})
        for title, curves in panels
    ]
    panels = [panel for panel in panels if panel[1]]
    figure = figures.new_figure(figsize=(8, 2.6 * len(panels)))
    for axes, (title, curves) in zip(np.atleast_1d(figure.subplots(len(panels))), panels):
        for name, label in curves.items():
            is_measure = name in measures
            drawn = measured if is_measure else records
            points = [(record["step"], record[name]) for record in drawn if name in record]
            marker = "." if is_measure else None
            axes.plot(*zip(*points), label=label, lw=1, marker=marker)
        if "discriminator_loss" in curves and gan_loss == "vanilla":
            axes.axhline(math.log(2), color="grey", lw=0.8, ls="--", label="undecided, log 2")
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    files.write_atomically(pathlib.Path(workdir) / LOSSES_PICTURE, figures.to_png(figure))


def write_page(workdir: pathlib.Path, config: TrainConfig, *, held_out: str | None = None) -> None:
    """Writes `index.html`: the curves and the grids by step; works from a file.

    Of many grids it shows a selection, with the newest and the first.

    Args:
        workdir: The run folder, with its metrics, curves and samples.
        config: The settings of the run.
        held_out: The split of the samples; None if there is but that of the training.
    """
    workdir = pathlib.Path(workdir)
    best = run_folder.read_best(workdir)
    latest = run_folder.read_last_metrics(workdir) or {"step": 0}
    rows = [(name.replace("_", " "), _number(value)) for name, value in latest.items()]
    if best is not None:
        name = f"best checkpoint, by {best['metric']} on {best['split']}"
        rows.append((name, f"{best['value']:.4f} at step {best['step']:,}"))
    all_grids = list_sample_grids(workdir)
    shown_grids = run_folder.spread(list(all_grids.items()), _MOST_GRIDS)
    grids = "".join(
        f'<figure id="step_{step:08d}"><figcaption>step {step:,}: '
        f"input, output, target</figcaption>"
        f'<img loading="lazy" src="{SAMPLES_FOLDER}/{path.name}" alt="input, output and target at '
        f'step {step}"></figure>'
        for step, path in reversed(shown_grids)
    )
    selection = (
        f" {len(shown_grids)} of {len(all_grids):,}; all are in <code>{SAMPLES_FOLDER}</code>."
        if len(shown_grids) < len(all_grids)
        else ""
    )
    curves = (
        f'<img src="{LOSSES_PICTURE}" alt="losses by step">'
        if (workdir / LOSSES_PICTURE).is_file()
        else "<p>No metrics yet.</p>"
    )
    settings = html.escape(json.dumps(vars(config), indent=1))
    shown = f"Pairs of {held_out}, never trained on" if held_out else "Training pairs"
    is_given = config.dataset == GIVEN
    commands = html.escape(
        _next_commands(workdir, has_held_out=held_out is not None, is_given=is_given)
    )
    which = "the newest checkpoint"
    if best is not None:
        which += ", or with <code>--checkpoint=best</code> the best"
    body = f"""
<p>Step {int(latest["step"]):,} of {config.num_steps:,}. Reload the page to see newer results.</p>
{html_page.table(rows)}
<h2>Losses</h2>
<p>Each point of a loss is the mean since the one before. With the vanilla loss a discriminator that
cannot tell real from generated scores 0.69 (log 2); a value near 0 means that it always can.</p>
{curves}
<h2>Samples by step</h2>
<p>{shown}, with the same dropout noise at every step.{selection}</p>
{grids or "<p>None yet.</p>"}
<h2>What next</h2>
<pre>{commands}</pre>
<p>Each takes {which}.</p>
<h2>Settings</h2>
<details><summary>config.json</summary><pre>{settings}</pre></details>"""
    page = html_page.page(f"pix2pix: {config.dataset}, {config.direction}", body)
    files.write_atomically(workdir / PAGE, page)


def _next_commands(workdir: pathlib.Path, *, has_held_out: bool, is_given: bool) -> str:
    run = shlex.quote(str(workdir))
    lines = [f"pix2pix translate --model={run} --input=IMAGE_OR_FOLDER --output=out"]
    if has_held_out:
        which = " --dataset=FOLDER" if is_given else ""
        lines.append(f"pix2pix evaluate --model={run}{which} --output={run}/evaluation")
    lines.append(f"pix2pix export saved_model --workdir={run} --output={run}/saved_model")
    return "\n".join(lines)


def _number(value) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
