"""The page of an evaluation: scores, plots, and the images sorted by how bad they are.

Plain HTML with its style and script inside, pictures beside it: it works from a file,
without a network. Without JavaScript it still shows all, in the order of the names.
"""

from __future__ import annotations

import html
import json
import pathlib
import urllib.parse

from pix2pix_tf import files
from pix2pix_tf.data import augment
from pix2pix_tf.evaluation.score import KINDS, LESS, MORE, NEAR_ONE, badness

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
    return f"  ({', '.join(parts)})" if parts else ""


def write(output: pathlib.Path, result: dict) -> None:
    """Writes `index.html` into the folder of an evaluation.

    Args:
        output: The folder, with its pictures.
        result: What `evaluation.json` holds.
    """
    scores = result["scores"]
    rows = "".join(
        f"<tr><th scope=row>{name}</th><td>{number(score['value'])}</td>"
        f"<td>{html.escape(remark(score).strip(' ()'))}</td>"
        f"<td>{KINDS[name].meaning}{_BETTER.get(score['better'], '')}</td></tr>"
        for name, score in scores.items()
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in result["notes"])
    about = result["outputs"]
    height, width = augment.sides_of(result["size"])
    size = f"{width}x{height}"
    step = "" if result["step"] is None else f", step {result['step']:,}"
    draws = result.get("draws")
    folders = ["inputs", "outputs"]
    folders += [f"samples/{draw}" for draw in range(2, (draws["num_samples"] if draws else 1) + 1)]
    folders += ["targets"]
    sortable = next(iter(result["per_image"].values()))
    options = "".join(f'<option value="{name}">{name}</option>' for name in sortable)
    figures = "".join(
        _figure(name, values, folders) for name, values in result["per_image"].items()
    )
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    title = html.escape(f"Evaluation: {result['dataset']}, {result['split']}")
    text = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{_STYLE}</style>
<main>
<h1>{title}</h1>
<p>{result["num_images"]} images of {size} pixels, {result["direction"]};
outputs of the {html.escape(about["kind"])} <b>{html.escape(about["name"])}</b>{step}; seed
{result["seed"]}.</p>
<div class="wide"><table>
<thead><tr><th scope=col>score</th><th scope=col>value</th><th scope=col></th>
<th scope=col>meaning</th></tr></thead>
<tbody>{rows}</tbody></table></div>
{f"<ul>{notes}</ul>" if notes else ""}
{_PLOTS if "colour" in result else ""}
<h2>Images</h2>
<p class="controls"><label>Sort by <select id="score">{options}</select></label>
<button type="button" id="order" aria-pressed="false">best first</button>
<span id="said" role="status"></span></p>
<div id="images">{figures}</div>
<footer>{html.escape(versions)}. All numbers: <a href="evaluation.json">evaluation.json</a>.
</footer>
</main>
<script>{_SCRIPT}</script>
</html>
"""
    files.write_atomically(pathlib.Path(output) / PAGE, text.encode())


def _figure(name: str, values: dict, folders: list[str]) -> str:
    """Returns one row of images; how bad each score is travels with it, for sorting."""
    bad = {score: badness(score, value) for score, value in values.items() if value is not None}
    titles = ["input", "output"] + [f"draw {x.split('/')[1]}" for x in folders[2:-1]] + ["target"]
    pictures = "".join(
        f'<div><img loading="lazy" src="{folder}/{urllib.parse.quote(name)}.png" '
        f'alt="{html.escape(f"{title} of {name}")}"><small>{title}</small></div>'
        for folder, title in zip(folders, titles)
    )
    listed = " ".join(
        f'<span data-score="{score}">{score} <b>{number(value)}</b></span>'
        for score, value in values.items()
    )
    return (
        f'<figure data-name="{html.escape(name)}" data-bad="{html.escape(json.dumps(bad))}">'
        f"<figcaption><strong>{html.escape(name)}</strong> {listed}</figcaption>"
        f'<div class="pictures">{pictures}</div></figure>'
    )


_PLOTS = """<h2>Colour and sharpness</h2>
<div class="plots"><img src="colour.png" alt="Histograms of L, a and b, output and ground truth">
<img src="spectrum.png" alt="Power by spatial frequency, output and ground truth"></div>"""

_STYLE = """
  :root { --text: #222; --back: #fff; --line: #ccc; --soft: #666; --mark: #e8eefc; }
  @media (prefers-color-scheme: dark) {
    :root { --text: #ddd; --back: #181a1d; --line: #444; --soft: #999; --mark: #2a3450; }
  }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 0; color: var(--text);
    background: var(--back); }
  main { max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
  h1, h2 { line-height: 1.2; }
  a { color: inherit; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; }
  th, td { text-align: left; font-weight: normal; padding: .15rem 1.2rem .15rem 0;
    border-bottom: 1px solid var(--line); vertical-align: top; }
  td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums; }
  td:nth-child(n+3) { color: var(--soft); }
  .plots img { max-width: 100%; background: #fff; border-radius: 4px; }
  .controls { position: sticky; top: 0; background: var(--back); padding: .5rem 0; z-index: 1; }
  select, button { font: inherit; }
  figure { margin: 1rem 0; padding-top: .5rem; border-top: 1px solid var(--line); }
  figcaption span { display: inline-block; margin-left: .8rem; color: var(--soft);
    font-variant-numeric: tabular-nums; padding: 0 .3rem; border-radius: 3px; }
  figcaption span.chosen { background: var(--mark); color: var(--text); }
  .pictures { display: grid; gap: 4px; grid-auto-flow: column;
    grid-auto-columns: minmax(6rem, 16rem); overflow-x: auto; }
  .pictures img { width: 100%; display: block; }
  small { color: var(--soft); }
  @media (max-width: 44rem) {
    thead { display: none; }
    tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid var(--line);
      padding: .3rem 0; }
    th, td { border: 0; padding: 0; }
    td:nth-child(n+3) { grid-column: 1 / -1; }
    td:empty { display: none; }
  }
  footer { color: var(--soft); margin-top: 3rem; }
"""

_SCRIPT = """
  const list = document.getElementById("images");
  const score = document.getElementById("score");
  const order = document.getElementById("order");
  function sort() {
    const isBestFirst = order.getAttribute("aria-pressed") === "true";
    const badness = figure => JSON.parse(figure.dataset.bad)[score.value];
    const figures = [...list.children].sort((first, second) => {
      const one = badness(first), other = badness(second);
      // What has no value comes last, either way.
      if (one === undefined || other === undefined) {
        return (one === undefined) - (other === undefined);
      }
      return isBestFirst ? one - other : other - one;
    });
    list.append(...figures);
    for (const span of list.querySelectorAll("figcaption span")) {
      span.classList.toggle("chosen", span.dataset.score === score.value);
    }
    document.getElementById("said").textContent = isBestFirst ? "Best first." : "Worst first.";
  }
  score.addEventListener("change", sort);
  order.addEventListener("click", () => {
    order.setAttribute("aria-pressed", order.getAttribute("aria-pressed") !== "true");
    sort();
  });
  sort();
"""
