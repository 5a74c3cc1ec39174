"""The one shell of all pages that are written: title, style, and a body that the caller makes."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_STYLE = """
  :root { color-scheme: light dark; --soft: rgb(128 128 128 / .15); }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
    padding: 0 1rem; }
  h1, h2 { line-height: 1.2; }
  a { color: inherit; }
  table { display: block; overflow-x: auto; border-collapse: collapse; }
  th, td { vertical-align: top; }
  th { text-align: left; font-weight: normal; padding-right: 2rem; opacity: .7; }
  td { text-align: right; font-variant-numeric: tabular-nums; }
  img { max-width: 100%; }
  figure { margin: 1.5rem 0; }
  figcaption { font-weight: 600; }
  pre { background: var(--soft); padding: 1rem; overflow-x: auto; }
  code { background: var(--soft); padding: 0 .3em; }
"""


def page(title: str, body: str, *, style: str = "", script: str = "") -> bytes:
    """Returns an HTML file, which works when it is opened from a disk.

    Args:
        title: Plain text, the head of the page too.
        body: HTML that follows the head.
        style: CSS that follows the common one.
        script: JavaScript that runs when all of the body is there.
    """
    text = html.escape(title)
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{text}</title>
<style>{_STYLE}{style}</style>
<h1>{text}</h1>
{body}
{f"<script>{script}</script>" if script else ""}
</html>
""".encode(errors="backslashreplace")  # A file's name need not be Unicode.


def table(rows: Iterable[Sequence[object]], *, header: Sequence[object] = ()) -> str:
    """Returns a table, everything in it escaped; the first cell of a row is its name."""
    lines = []
    if header:
        lines.append("".join(f"<th>{html.escape(str(cell))}</th>" for cell in header))
    for name, *cells in rows:
        values = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells)
        lines.append(f"<th>{html.escape(str(name))}</th>{values}")
    return "<table>" + "".join(f"<tr>{line}</tr>\n" for line in lines) + "</table>"
