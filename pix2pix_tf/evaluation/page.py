"""The page of an evaluation: scores, plots, and the images sorted by how bad they are.

It works from a file, without a network; without JavaScript it shows the images in the order of
their names.
"""

from __future__ import annotations

import html
import json
import os
import pathlib
import urllib.parse

from pix2pix_tf import files, html_page
from pix2pix_tf.data import augment
from pix2pix_tf.metrics import LESS, METRICS, MORE, NEAR_ONE, badness

PAGE = "index.html"
_BETTER = {LESS: "; less is better", MORE: "; more is better", NEAR_ONE: "; 1 is as the targets"}


def number(value: float | None) -> str:
    """Returns a score as people read it."""
    return "none" if value is None else f"{value:.4f}"


def remark(score: dict) -> str:
    """Returns what is said beside a score: its uncertainty, and what the targets have."""
    parts = []
    if score["standard_error"] is not None:
        parts.append(f"standard error {score['standard_error']:.4f}")
    if score["interval"] is not None:
        parts.append("95 % interval {:.4f} to {:.4f}".format(*score["interval"]))
    if score["ground_truth"] is not None:
        parts.append(f"ground truth {score['ground_truth']:.4f}")
    return ", ".join(parts)


def write(output: pathlib.Path, result: dict) -> None:
    """Writes `index.html` beside the pictures of an evaluation, from its `evaluation.json`."""
    rows = [
        (
            name,
            number(score["value"]),
            remark(score),
            METRICS[name].meaning + _BETTER.get(score["better"], ""),
        )
        for name, score in result["scores"].items()
    ]
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in result["notes"])
    about = result["outputs"]
    height, width = augment.sides_of(result["size"])
    step = "" if result["step"] is None else f", step {result['step']:,}"
    num_samples = result["draws"]["num_samples"] if "draws" in result else 1
    draws = {f"samples/{draw}": f"draw {draw}" for draw in range(2, num_samples + 1)}
    columns = {"inputs": "input", "outputs": "output", **draws, "targets": "target"}
    sortable = next(iter(result["per_image"].values()))
    options = "".join(f'<option value="{name}">{name}</option>' for name in sortable)
    figures = "".join(_figure(name, found, columns) for name, found in result["per_image"].items())
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    body = f"""<p>{result["num_images"]} images of {width}x{height} pixels, {result["direction"]};
outputs of the {html.escape(about["kind"])} <b>{html.escape(about["name"])}</b>{step}; seed
{result["seed"]}.</p>
{html_page.table(rows, header=("score", "value", "", "meaning"))}
<ul>{notes}</ul>
{_legend(result["label_maps"]) if result.get("label_maps") else ""}
{_PLOTS if "colour" in result else ""}
<h2>Images</h2>
<p class="controls"><label>Worst first by <select id="score">{options}</select></label></p>
<div id="images">{figures}</div>
<footer>{html.escape(versions)}. All numbers: <a href="evaluation.json">evaluation.json</a>.
</footer>"""
    title = f"Evaluation: {result['dataset']}, {result['split']}"
    contents = html_page.page(title, body, style=_STYLE, script=_SCRIPT)
    files.write_atomically(output / PAGE, contents)


def _legend(label_maps: dict) -> str:
    """Returns the classes, by their colours, with the IoU of each, and the confusion picture."""
    kinds = [kind for kind in label_maps["classes"] if not kind["ignored"]]
    entries = "".join(
        f'<li><span class="swatch" style="background: rgb{tuple(kind["color"])}"></span>'
        f"{html.escape(kind['name'])} <b>{number(iou)}</b></li>"
        for kind, iou in zip(kinds, label_maps["iou_by_class"])
    )
    commonest = label_maps["most_frequent_class"]
    return f"""<h2>Classes</h2>
<p>IoU of each class. True classes: {html.escape(label_maps["labels"])}; the commonest is
{html.escape(commonest["name"])}, with {commonest["share"]:.1%} of the pixels.</p>
<ul class="legend">{entries}</ul>
<img src="confusion.png" alt="Share of each true class that went to each class">"""


def _figure(name: str, values: dict, columns: dict[str, str]) -> str:
    """Returns one row of images; how bad each score is travels with it, for sorting."""
    bad = {score: badness(score, value) for score, value in values.items() if value is not None}
    file = urllib.parse.quote(os.fsencode(name))  # Bytes, which need not be of Unicode.
    pictures = "".join(
        f'<div><img loading="lazy" src="{folder}/{file}.png" '
        f'alt="{html.escape(f"{title} of {name}")}"><small>{title}</small></div>'
        for folder, title in columns.items()
    )
    listed = " ".join(
        f'<span data-score="{score}">{score} <b>{number(value)}</b></span>'
        for score, value in values.items()
    )
    return (
        f'<figure data-name="{html.escape(name)}" data-bad="{html.escape(json.dumps(bad))}">'
        f"<figcaption>{html.escape(name)} {listed}</figcaption>"
        f'<div class="pictures">{pictures}</div></figure>'
    )


_PLOTS = """<h2>Colour and sharpness</h2>
<img src="colour.png" alt="Histograms of L, a and b, output and ground truth">
<img src="spectrum.png" alt="Power by spatial frequency, output and ground truth">"""

_STYLE = """
  :is(th, td):nth-child(n+3) { text-align: left; padding-left: 1.2rem; opacity: .7; }
  .legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
  .swatch { display: inline-block; width: 1rem; height: 1rem; margin-right: .4rem;
    vertical-align: -.15rem; border: 1px solid #8888; }
  .controls { position: sticky; top: 0; background: Canvas; padding: .5rem 0; z-index: 1; }
  figcaption span { font-weight: normal; margin-left: .8rem; padding: 0 .3rem; opacity: .7; }
  figcaption span.chosen { background: var(--soft); opacity: 1; }
  .pictures { display: grid; gap: 4px; grid-auto-flow: column;
    grid-auto-columns: minmax(6rem, 16rem); overflow-x: auto; }
  .pictures img { width: 100%; display: block; }
"""

_SCRIPT = """
  const list = document.getElementById("images");
  const score = document.getElementById("score");
  function sort() {
    // What has no value comes last.
    const badness = figure => JSON.parse(figure.dataset.bad)[score.value] ?? -1e9;
    list.append(...[...list.children].sort((one, other) => badness(other) - badness(one)));
    for (const span of list.querySelectorAll("figcaption span")) {
      span.classList.toggle("chosen", span.dataset.score === score.value);
    }
  }
  score.addEventListener("change", sort);
  sort();
"""
