r"""Times how long a drawing page takes from a stroke to its translation, in headless Chromium.

    make node
    python -m benchmarks.page --site=demo/web

Serves the site on this machine, opens it as a visitor would, draws rectangles and waits
for the translation of each. The GPU is left out: what is measured is the page on WebAssembly,
which any computer has. Needs Chromium on the path.
"""

from __future__ import annotations

import functools
import http.server
import json
import pathlib
import statistics
import subprocess
import threading

from absl import flags

from export.tfjs import programs
from pix2pix_tf import commands
from pix2pix_tf.errors import InputError, MissingInputError

_SESSION = pathlib.Path(__file__).resolve().with_suffix(".js")


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("site", None, "Folder that python -m export.web wrote.", required=True)
    flags.DEFINE_integer("strokes", 20, "Number of rectangles to draw.", lower_bound=1)


def main(unused_arguments: list[str]) -> None:
    """Prints the times."""
    times = measure(pathlib.Path(flags.FLAGS.site), strokes=flags.FLAGS.strokes)
    print(f"first translation: {times['opened'] / 1000:.1f} s after the page was asked for")
    print(f"a stroke: {_describe(times['strokes'])} from letting go to its translation")
    print(f"the model alone: {_describe(times['model'])}, on {times['backend']}")


def measure(site: pathlib.Path, *, strokes: int) -> dict:
    """Returns what `page.js` prints.

    Args:
        site: Folder that `export.web` wrote.
        strokes: How many to draw.

    Raises:
        MissingInputError: If the site, Node, its packages or Chromium are not there.
        InputError: If the page does not translate.
    """
    if not (site / "site.json").is_file():
        raise MissingInputError(
            f"'{site}' is not a drawing page: it has no site.json. Pass the --output of python -m "
            "export.web."
        )
    node = programs.find_node()
    chromium = programs.find_chromium()
    handler = functools.partial(_QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        request = dict(
            playwright=str(programs.RUNNER / "node_modules" / "playwright-core"),
            chromium=chromium,
            url=f"http://127.0.0.1:{server.server_port}/",
            strokes=strokes,
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


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A plain file host that does not log requests."""

    def log_message(self, *arguments):
        pass


def _describe(milliseconds: list[float]) -> str:
    low, high = min(milliseconds), max(milliseconds)
    return f"{statistics.median(milliseconds):.0f} ms (median; {low:.0f} to {high:.0f})"


if __name__ == "__main__":
    define_flags()
    commands.run(main)
