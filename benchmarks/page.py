r"""Times how long a drawing page takes from a stroke to its translation, in headless Chromium.

    make node
    python -m benchmarks.page --site=demo/web

Serves each site on this machine, opens it as a visitor would, draws rectangles and waits
for the translation of each. The GPU is left out: what is measured is the page on WebAssembly,
which any computer has, or with --backend on Chromium's imitation of a GPU. Needs Chromium
on the path.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import subprocess
import threading

from absl import flags

from export.browser import programs
from export.web import serve
from pix2pix_tf import commands
from pix2pix_tf.errors import InputError

_SESSION = pathlib.Path(__file__).resolve().with_suffix(".js")


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_multi_string(
        "site", None, "Folder that pix2pix export web wrote. May be repeated.", required=True
    )
    flags.DEFINE_boolean(
        "threads", True, "Whether to send the headers by which browsers let a page have threads."
    )
    flags.DEFINE_string(
        "backend", "", "One of those that the page offers, as webgpu. Empty: its own choice."
    )
    flags.DEFINE_integer("strokes", 20, "Number of rectangles to draw.", lower_bound=1)


def main(unused_arguments: list[str]) -> None:
    """Prints the times."""
    options = flags.FLAGS
    for site in options.site:
        times = measure(
            pathlib.Path(site),
            strokes=options.strokes,
            threads=options.threads,
            backend=options.backend,
        )
        print(f"{site}, on {times['backend']}")
        print(f"  first translation: {times['opened'] / 1000:.1f} s after the page was asked for")
        print(f"  a stroke: {_describe(times['strokes'])} from letting go to its translation")
        print(f"  the model alone: {_describe(times['model'])}")


def measure(site: pathlib.Path, *, strokes: int, threads: bool = True, backend: str = "") -> dict:
    """Returns what `page.js` prints.

    Args:
        site: Folder that `export.web` wrote.
        strokes: How many to draw.
        threads: See `--threads`.
        backend: See `--backend`.

    Raises:
        MissingInputError: If the site, Node, its packages or Chromium are not there.
        InputError: If the page does not translate.
    """
    node = programs.find_node()
    chromium = programs.find_chromium()
    with serve.make_server(site, threads=threads) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        request = dict(
            playwright=str(programs.RUNNER / "node_modules" / "playwright-core"),
            chromium=chromium,
            url=f"http://localhost:{server.server_port}/",
            strokes=strokes,
            backend=backend,
        )
        command = [node, str(_SESSION), json.dumps(request)]
        try:
            process = subprocess.run(command, capture_output=True, text=True, check=False)
        finally:
            server.shutdown()
    if process.returncode:
        reason = (process.stderr.strip() or "no reason given").splitlines()[0]
        raise InputError(f"'{site}' does not translate in Chromium ({reason}). Open it to see why.")
    return json.loads(process.stdout)


def _describe(milliseconds: list[float]) -> str:
    low, high = min(milliseconds), max(milliseconds)
    return f"{statistics.median(milliseconds):.0f} ms (median; {low:.0f} to {high:.0f})"


if __name__ == "__main__":
    define_flags()
    commands.run(main)
