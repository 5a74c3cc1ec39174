"""The JSON file and the page to send back, written anew after each part."""

from __future__ import annotations

import base64
import html
import pathlib

from benchmarks import results
from benchmarks.gpu_check import checks, training
from pix2pix_tf import html_page, run_folder
from pix2pix_tf.files import write_atomically

JSON, PAGE = "gpu_check.json", "gpu_check.html"
_STYLE = """
  th:not(:first-child) { text-align: right; padding-right: 0; }
  th:not(:first-child), td { padding-left: 1.5rem; }
"""
# States of a part.
NOT_FINISHED, FINISHED, RAISED = "not finished", "finished", "ended by an error"


def verdict(result: dict) -> str:
    """Returns what a result says of the GPU, in a word or a few."""
    verdicts = {row["verdict"] for part in result["parts"] for row in part["checks"]}
    if checks.FAILED in verdicts:
        return "failed"
    if any(part["state"] != FINISHED for part in result["parts"]):
        return NOT_FINISHED
    return "passed" if result["has_gpu"] else "no GPU was found, so what needs one was not measured"


def write(result: dict, folder: pathlib.Path) -> None:
    """Writes both files into `folder`.

    Args:
        result: As `__main__.run_parts` makes it; its verdict is brought up to date.
        folder: Of the check; a run in it gives the picture of the page.
    """
    result["verdict"] = verdict(result)
    results.write(result, str(folder / JSON))
    write_atomically(folder / PAGE, _page(result, folder))


def _page(result: dict, folder: pathlib.Path) -> bytes:
    settings = " ".join(
        f"--{name}={value}" for name, value in result["settings"].items() if value != ""
    )
    body = [f"<p><strong>{html.escape(result['verdict'])}</strong></p>"]
    body += [f"<p>Settings: <code>{html.escape(settings)}</code></p>"]
    failures = [
        [part["title"], row["name"], text(row)]
        for part in result["parts"]
        for row in part["checks"]
        if row["verdict"] == checks.FAILED
    ]
    if failures:
        body += ["<h2>Failed</h2>", html_page.table(failures)]
    for part in result["parts"]:
        body += [f"<h2>{html.escape(part['title'])}</h2>"]
        body += [f"<p>{part['state']}, {part['seconds']:.0f} s</p>"]
        rows = [[row["name"], text(row), row["bound"], row["verdict"]] for row in part["checks"]]
        if rows:
            body += [html_page.table(rows, header=("", "measured", "bound", "verdict"))]
        errors = [row["why"] for row in part["checks"] if "\n" in row["why"]]
        body += [f"<pre>{html.escape(error)}</pre>" for error in errors]
    grids = list(run_folder.list_sample_grids(folder / training.RUN).items())
    for step, path in grids[-1:]:
        data = base64.b64encode(path.read_bytes()).decode()
        body += [f"<h2>Input, output and target after step {step}</h2>"]
        body += [f'<img alt="samples" src="data:image/png;base64,{data}">']
    return html_page.page("GPU check", "\n".join(body), style=_STYLE)


def text(row: dict) -> str:
    """Returns what a row shows as measured: the value, or why there is none."""
    value = row["measured"]
    if value is None:
        return row["why"].splitlines()[0]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
