"""Reading the files that people save at the end of a session.

They come by mail from strangers: files of something else, cut short, changed on the way, or
written by another version of the page are found before anything is counted. What has the right
checksum is taken to be what the page wrote.
"""

from __future__ import annotations

import glob
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from pix2pix_tf.errors import InputError, MissingInputError, list_faults
from pix2pix_tf.evaluation.perceptual_study import protocol


class Trial(NamedTuple):
    """One answer that counts.

    Attributes:
        is_fooled: Whether the real picture was taken for the fake.
        reaction_ms: From the question to the answer.
        shown_ms: How long each of the two pictures was visible, the last time.
        interruptions: How often the pair was not shown to the end, and then shown again.
    """

    is_fooled: bool
    reaction_ms: int
    shown_ms: tuple[int, int]
    interruptions: int


class Session(NamedTuple):
    """What one person did.

    Attributes:
        identity: Drawn by the page.
        study: Which pictures were shown, see `build`.
        algorithm: The one whose pictures were the fakes.
        exposure_ms: How long each picture should be shown.
        num_trials: How many trials were planned, without the practice.
        is_complete: Whether all of them were done.
        trials: Those that were done, without the practice.
        written: All that the file says of it.
    """

    identity: str
    study: str
    algorithm: str
    exposure_ms: int
    num_trials: int
    is_complete: bool
    trials: list[Trial]
    written: str


def find_files(arguments: Sequence[str]) -> list[pathlib.Path]:
    """Returns the files that arguments mean: files, folders of .json files, patterns.

    Raises:
        InputError: If one of them means no file.
    """
    if not arguments:
        raise InputError(
            "No files of answers were named. Pass files, or their folders: results *.json"
        )
    found: dict[pathlib.Path, pathlib.Path] = {}
    for argument in arguments:
        path = pathlib.Path(argument)
        if path.is_dir():
            paths = sorted(path.glob("*.json"))
        elif path.exists():
            paths = [path]
        else:
            # Where the shell does not expand patterns, as on Windows.
            paths = sorted(pathlib.Path(name) for name in glob.glob(argument))
        if not paths:
            raise MissingInputError(f"There are no .json files at '{argument}'. Check the name.")
        found.update((path.resolve(), path) for path in paths)
    return list(found.values())


def read_all(paths: Sequence[pathlib.Path]) -> dict[pathlib.Path, Session]:
    """Returns the session of each file.

    Raises:
        InputError: Listing every file that cannot be used, and why.
    """
    sessions, faults = {}, []
    for path in paths:
        try:
            sessions[path] = read(path)
        except InputError as error:
            faults.append(error.message)
    if faults:
        raise InputError(list_faults(faults, num_items=len(paths), what="files"))
    return sessions


def read(path: pathlib.Path) -> Session:
    """Returns the session of a file.

    Raises:
        InputError: If it is not what the page has written, naming the file and the fault.
    """
    try:
        # An editor may add a mark at the beginning.
        return _parse(json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"'{path}' is not a whole file of answers ({error}). Ask for it again, or leave it out."
        ) from None


def _parse(contents) -> Session:
    """Returns the session in a file; one of several errors is raised for what it is not."""
    if contents["format"] != protocol.ANSWERS_FORMAT or contents["version"] != protocol.VERSION:
        raise ValueError(
            f"it is of {contents['format']!r}, version {contents['version']!r}, and this program "
            f"reads {protocol.ANSWERS_FORMAT!r}, version {protocol.VERSION}"
        )
    session = contents["session"]
    # The page writes it in this form, without spaces.
    written = json.dumps(session, ensure_ascii=False, separators=(",", ":"))
    digest = protocol.checksum(written)
    if contents["checksum"] != digest:
        raise ValueError(
            f"changed after it was saved: its checksum is {contents['checksum']!r} and should be "
            f"{digest!r}"
        )
    trials = [
        Trial(
            is_fooled=trial["answer"] != trial["fake"],
            reaction_ms=int(trial["reaction_ms"]),
            shown_ms=tuple(map(int, trial["shown_ms"])),
            interruptions=int(trial["interruptions"]),
        )
        for trial in session["trials"]
        if not trial["practice"]
    ]
    planned = int(session["num_trials"])
    if session["complete"] and len(trials) != planned:
        raise ValueError(f"it says that it is complete, with {len(trials)} of {planned} trials")
    return Session(
        identity=str(session["id"]),
        study=str(session["study"]),
        algorithm=str(session["algorithm"]),
        exposure_ms=int(session["exposure_ms"]),
        num_trials=planned,
        is_complete=bool(session["complete"]),
        trials=trials,
        written=written,
    )
