"""Tests that the documents link to files and headings that are there."""

from __future__ import annotations

import pathlib
import re

from absl.testing import absltest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def documents() -> list[pathlib.Path]:
    """Returns the project's own documents, without those of installed packages."""
    return [
        *sorted(_REPOSITORY.glob("*.md")),
        _REPOSITORY / "notebooks" / "README.md",
        *sorted((_REPOSITORY / "docs").glob("*.md")),
        *sorted((_REPOSITORY / "export").glob("*/README.md")),
    ]


def headings(path: pathlib.Path) -> set[str]:
    """Returns the headings of a document as links name them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def broken_links(document: pathlib.Path) -> list[str]:
    """Returns the relative links of a document that lead nowhere."""
    broken = []
    for link in _LINK.findall(_CODE.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):  # Of the web.
            continue
        name, _, heading = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (heading and heading not in headings(target)):
            broken.append(link)
    return broken


class LinksTest(absltest.TestCase):
    def test_lead_somewhere(self):
        broken = {
            str(path.relative_to(_REPOSITORY)): found
            for path in documents()
            if (found := broken_links(path))
        }
        self.assertEqual(broken, {})
