"""What a study is: the numbers of the paper's protocol, and the files that people save.

Paper, section 4.1: on each trial a real and a fake picture appear for 1 second each,
then there is unlimited time to say which was fake. 10 trials of practice with
feedback come first, then 40 without. A session tests one algorithm, and a person does
one session. The authors' page shows the two one after the other, at the left and at
the right, 0.9 seconds after the trial begins and 0.6 seconds after one another.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Sequence

from pix2pix_tf.config import check_value, setting
from pix2pix_tf.errors import InputError, MissingInputError, list_faults

VERSION = 1  # Of the files; the page knows the same number.
ANSWERS_FORMAT = "pix2pix_tf perceptual study answers"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a session goes; the defaults are the paper's.

    Raises:
        InputError: If a value is not allowed, naming the field and what is.
    """

    num_practice: int = setting(10, "Trials with feedback, which do not count (paper).", minimum=0)
    num_trials: int = setting(40, "Trials that count (paper).", minimum=1)
    exposure: float = setting(1.0, "Seconds that a picture is shown (paper).", minimum=0.05)
    # Paper, of "different": "to make the task more difficult and avoid floor-level results".
    pairing: str = setting(
        "same",
        "Whether both pictures of a trial show one scene (paper: colorization), or different ones "
        "(paper: maps and aerial photos).",
        choices=("same", "different"),
    )
    notice: str = setting(
        "", "Who runs the study, and where to send the file: shown before the start."
    )

    def __post_init__(self):
        """Checks every value."""
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))


def checksum(text: str) -> str:
    """Returns the CRC-32 of a text's UTF-8 bytes as 8 hexadecimal digits, as the page does."""
    return f"{zlib.crc32(text.encode()):08x}"


def find_answers(arguments: Sequence[str]) -> list[pathlib.Path]:
    """Returns the files that arguments name, and those in folders that end in .json.

    Raises:
        MissingInputError: If there are none.
    """
    found = []
    for path in map(pathlib.Path, arguments):
        found += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not found:
        raise MissingInputError(
            "No files of answers were named. Pass files, or their folders: results *.json"
        )
    return found


def read_answers(paths: Sequence[pathlib.Path]) -> dict[pathlib.Path, dict]:
    """Returns the session of each file, as `session` in site/page.js has it.

    They come by mail from strangers: files of something else, cut short, changed on the way, or
    written by another version of the page are found before anything is counted. What has the
    right checksum is taken to be what the page wrote.

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
    if kind != (ANSWERS_FORMAT, VERSION):
        raise ValueError(f"it is of {kind[0]!r}, version {kind[1]!r}")
    # The page writes it in this form, without spaces.
    written = json.dumps(contents["session"], ensure_ascii=False, separators=(",", ":"))
    if contents["checksum"] != checksum(written):
        raise ValueError("changed after it was saved, by its checksum")
    return contents["session"]
