"""Reading the files that people save at the end of a session, strictly.

They come by mail from strangers, so that every fault is found before anything is
counted: files of something else, cut short, changed on the way, or written by another
version of the page.
"""

from __future__ import annotations

import glob
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from pix2pix_tf.errors import InputError, MissingInputError, list_faults
from pix2pix_tf.evaluation.perceptual_study import protocol

# Fields of a session and of a trial that are counted or that tell sessions apart.
_SESSION_FIELDS = dict(
    id=str,
    study=str,
    algorithm=str,
    exposure_ms=int,
    num_practice=int,
    num_trials=int,
    complete=bool,
    trials=list,
)
_TRIAL_FIELDS = dict(
    practice=bool, fake=str, answer=str, reaction_ms=int, shown_ms=list, interruptions=int
)


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
    shown_ms: list[int]
    interruptions: int


class Session(NamedTuple):
    """What one person did.

    Attributes:
        identity: Drawn by the page.
        study: Which pictures were shown, see `build`.
        algorithm: Whose pictures were the fakes.
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
        contents = json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
        return _session_of(contents)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"'{path}' is not a whole file of answers: {error}. Ask for it again, or leave it out."
        ) from None


def _session_of(contents) -> Session:
    """Returns the session in a file; raises ValueError if something is wrong with it."""
    if not isinstance(contents, dict) or contents.get("format") != protocol.ANSWERS_FORMAT:
        raise ValueError(f"its format is not '{protocol.ANSWERS_FORMAT}'")
    if contents.get("version") != protocol.VERSION:
        raise ValueError(
            f"it has version {contents.get('version')!r} of the format, and this program reads "
            f"{protocol.VERSION}"
        )
    session = contents.get("session")
    # The page writes it in this form, without spaces.
    written = json.dumps(session, ensure_ascii=False, separators=(",", ":"))
    digest = protocol.checksum(written)
    if contents.get("checksum") != digest:
        raise ValueError(
            f"it was changed after it was saved, since its checksum is "
            f"{contents.get('checksum')!r} and should be {digest!r}"
        )
    _check_fields(session, _SESSION_FIELDS, "the session")
    trials, num_practice, num_trials = (
        session[field] for field in ("trials", "num_practice", "num_trials")
    )
    for number, trial in enumerate(trials, 1):
        _check_trial(trial, f"trial {number}")
    planned = num_practice + num_trials
    is_whole = len(trials) == planned if session["complete"] else len(trials) <= planned
    if num_practice < 0 or num_trials < 1 or not is_whole:
        raise ValueError(f"it has {len(trials)} trials of {num_practice} and {num_trials}")
    if [trial["practice"] for trial in trials] != [n < num_practice for n in range(len(trials))]:
        raise ValueError(f"its first {num_practice} trials are not those of the practice")
    return Session(
        session["id"],
        session["study"],
        session["algorithm"],
        session["exposure_ms"],
        num_trials,
        session["complete"],
        [
            Trial(
                trial["answer"] != trial["fake"],
                trial["reaction_ms"],
                trial["shown_ms"],
                trial["interruptions"],
            )
            for trial in trials[num_practice:]
        ],
        written,
    )


def _check_trial(trial, what: str) -> None:
    _check_fields(trial, _TRIAL_FIELDS, what)
    for field in ("fake", "answer"):
        if trial[field] not in protocol.POSITIONS:
            raise ValueError(f"{what} has {field} {trial[field]!r}")
    shown = trial["shown_ms"]
    if [type(time) for time in shown] != [int, int]:
        raise ValueError(f"{what} has shown_ms {shown!r}")
    numbers = [*shown, trial["reaction_ms"], trial["interruptions"]]
    if min(numbers) < 0:
        raise ValueError(f"{what} has numbers below 0: {numbers}")


def _check_fields(found, fields: dict[str, type], what: str) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{what} is {type(found).__name__}, and should be an object")
    for field, kind in fields.items():
        # Not isinstance: true would pass for a number.
        if type(found.get(field)) is not kind:
            raise ValueError(f"{what} has no {field} of type {kind.__name__}")
