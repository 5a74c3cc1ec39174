"""Reading the files that people save at the end of a session, strictly.

They come by mail from strangers, so that every fault is found before anything is
counted: files of something else, cut short, changed on the way, or written by another
version of the page.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import pathlib
from collections.abc import Sequence

from pix2pix_tf.errors import InputError, MissingInputError, join_lines
from pix2pix_tf.evaluation.perceptual_study import protocol

_MOST_FAULTS_SHOWN = 10
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
_FILE_IS_WRONG = "Ask for the file again, or leave it out."


@dataclasses.dataclass(frozen=True)
class Trial:
    """One answer."""

    is_practice: bool
    is_fooled: bool  # The real picture was taken for the fake.
    reaction_ms: int  # From the question to the answer.
    shown_ms: tuple[int, int]  # How long each picture was visible, the last time.
    interruptions: int  # How often the pair was not shown to the end, and then shown again.


@dataclasses.dataclass(frozen=True)
class Session:
    """What one person did."""

    identity: str
    study: str
    algorithm: str
    exposure_ms: int
    num_practice: int
    num_trials: int
    is_complete: bool
    trials: tuple[Trial, ...]
    written: str  # All that the file says of it.

    @property
    def main_trials(self) -> list[Trial]:
        """The trials that count: without the practice."""
        return [trial for trial in self.trials if not trial.is_practice]


def find_files(arguments: Sequence[str]) -> list[pathlib.Path]:
    """Returns the files that arguments mean: files, folders of .json files, patterns.

    Raises:
        InputError: If one of them means no file.
    """
    if not arguments:
        raise InputError(
            "No files of answers were named. Pass files, or folders that hold them: results *.json"
        )
    found = []
    for argument in arguments:
        path = pathlib.Path(argument)
        if path.is_dir():
            paths = sorted(path.glob("*.json"))
            if not paths:
                raise MissingInputError(f"'{path}' holds no .json files. Name another folder.")
        elif path.exists():
            paths = [path]
        else:
            # Where the shell does not expand patterns, as on Windows.
            paths = sorted(pathlib.Path(name) for name in glob.glob(argument))
            if not paths:
                raise MissingInputError(f"There is no file '{argument}'. Check the name.")
        found += paths
    return list({path.resolve(): path for path in found}.values())


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
            faults.append(str(error))
    if faults:
        head = [f"{len(faults)} of {len(paths)} files cannot be used:"] if len(faults) > 1 else []
        more = len(faults) - _MOST_FAULTS_SHOWN
        tail = [f"... and {more} more."] if more > 0 else []
        raise InputError(join_lines([*head, *faults[:_MOST_FAULTS_SHOWN], *tail]))
    return sessions


def read(path: pathlib.Path) -> Session:
    """Returns the session of a file.

    Raises:
        InputError: If it is not what the page has written, naming the file and the fault.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")  # An editor may add a mark.
    except UnicodeDecodeError:
        raise InputError(f"'{path}' is no text, and so no file of answers. Leave it out.") from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). Check it.") from None
    try:
        contents = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"'{path}' is cut short or damaged ({len(text):,} characters; {error}). "
            f"{_FILE_IS_WRONG}"
        ) from None
    if not isinstance(contents, dict) or contents.get("format") != protocol.ANSWERS_FORMAT:
        raise InputError(
            f"'{path}' is JSON, but no file of answers: its format is not "
            f"'{protocol.ANSWERS_FORMAT}'. Leave it out."
        )
    if contents.get("version") != protocol.VERSION:
        raise InputError(
            f"'{path}' has version {contents.get('version')!r} of the format; this program reads "
            f"{protocol.VERSION}. Use the release that built the study."
        )
    session = contents.get("session")
    # The page writes it in this form, without spaces.
    written = json.dumps(session, ensure_ascii=False, separators=(",", ":"))
    digest = protocol.checksum(written)
    if contents.get("checksum") != digest:
        raise InputError(
            f"'{path}' was changed after it was saved: its checksum is "
            f"{contents.get('checksum')!r}, and {digest!r} follows from what it holds. "
            f"{_FILE_IS_WRONG}"
        )
    try:
        return _session_of(session, written)
    except _Fault as fault:
        raise InputError(f"'{path}' holds no session: {fault}. {_FILE_IS_WRONG}") from None


class _Fault(Exception):
    """What is wrong inside a file whose checksum is right."""


def _session_of(session, written: str) -> Session:
    _check_fields(session, _SESSION_FIELDS, "the session")
    num_practice, num_trials = session["num_practice"], session["num_trials"]
    trials = [
        _trial_of(trial, f"trial {number}") for number, trial in enumerate(session["trials"], 1)
    ]
    planned = num_practice + num_trials
    if num_practice < 0 or num_trials < 1 or len(trials) > planned:
        raise _Fault(f"it has {len(trials)} trials of {num_practice} and {num_trials}")
    if session["complete"] and len(trials) != planned:
        raise _Fault(f"it says that it is complete, and has {len(trials)} of {planned} trials")
    if [trial.is_practice for trial in trials] != [n < num_practice for n in range(len(trials))]:
        raise _Fault(f"its first {num_practice} trials are not those of the practice")
    return Session(
        identity=session["id"],
        study=session["study"],
        algorithm=session["algorithm"],
        exposure_ms=session["exposure_ms"],
        num_practice=num_practice,
        num_trials=num_trials,
        is_complete=session["complete"],
        trials=tuple(trials),
        written=written,
    )


def _trial_of(trial, what: str) -> Trial:
    _check_fields(trial, _TRIAL_FIELDS, what)
    for field in ("fake", "answer"):
        if trial[field] not in protocol.POSITIONS:
            raise _Fault(f"{what} has {field} {trial[field]!r}, which is none of first, second")
    shown = trial["shown_ms"]
    if [type(time) for time in shown] != [int, int] or min(*shown, trial["reaction_ms"]) < 0:
        raise _Fault(f"{what} has times that are none: {shown!r}, {trial['reaction_ms']!r}")
    if trial["interruptions"] < 0:
        raise _Fault(f"{what} has {trial['interruptions']} interruptions")
    return Trial(
        is_practice=trial["practice"],
        is_fooled=trial["answer"] != trial["fake"],
        reaction_ms=trial["reaction_ms"],
        shown_ms=tuple(shown),
        interruptions=trial["interruptions"],
    )


def _check_fields(found, fields: dict[str, type], what: str) -> None:
    if not isinstance(found, dict):
        raise _Fault(f"{what} is {type(found).__name__}, and should be an object")
    for field, kind in fields.items():
        # Not isinstance: true would pass for a number.
        if type(found.get(field)) is not kind:
            raise _Fault(f"{what} has no {field} of type {kind.__name__}")
