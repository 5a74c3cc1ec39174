"""Reading the files that people save at the end of a session.

They come by mail from strangers: files of something else, cut short, changed on the way, or
written by another version of the page are found before anything is counted. What has the right
checksum is taken to be what the page wrote.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

from pix2pix_tf.errors import InputError, MissingInputError, list_faults
from pix2pix_tf.evaluation.perceptual_study import protocol


def find_files(arguments: Sequence[str]) -> list[pathlib.Path]:
    """Returns the files that arguments name, and those in folders that end in .json, each once.

    Raises:
        MissingInputError: If there are none.
    """
    found: dict[pathlib.Path, pathlib.Path] = {}
    for path in map(pathlib.Path, arguments):
        paths = sorted(path.glob("*.json")) if path.is_dir() else [path]
        found.update((one.resolve(), one) for one in paths)
    if not found:
        raise MissingInputError(
            "No files of answers were named. Pass files, or their folders: results *.json"
        )
    return list(found.values())


def read_all(paths: Sequence[pathlib.Path]) -> dict[pathlib.Path, dict]:
    """Returns the session of each file, as `session` in site/page.js has it.

    Raises:
        InputError: Listing every file that is not what the page has written, and why.
    """
    sessions, faults = {}, []
    for path in paths:
        try:
            # An editor may add a mark at the beginning.
            sessions[path] = _parse(json.loads(path.read_text(encoding="utf-8-sig")))
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            faults.append(
                f"'{path}' is not a whole file of answers ({error}). Ask for it again, or leave "
                "it out."
            )
    if faults:
        raise InputError(list_faults(faults, num_items=len(paths), what="files"))
    return sessions


def _parse(contents) -> dict:
    """Returns the session in a file; one of several errors is raised for what it is not."""
    kind = (contents["format"], contents["version"])
    if kind != (protocol.ANSWERS_FORMAT, protocol.VERSION):
        raise ValueError(f"it is of {kind[0]!r}, version {kind[1]!r}")
    # The page writes it in this form, without spaces.
    written = json.dumps(contents["session"], ensure_ascii=False, separators=(",", ":"))
    if contents["checksum"] != protocol.checksum(written):
        raise ValueError("changed after it was saved, by its checksum")
    return contents["session"]
