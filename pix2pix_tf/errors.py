"""Errors that are the user's to mend.

Commands print these as one line and exit with status 2, and so they do with a
PermissionError that names a file; every other exception is a defect of the project
and keeps its traceback. A message has three parts:
what went wrong, which value came, what to do.

Names of files may hold any character but "/", also one that ends a line or that a terminal
obeys, and bytes that are not text: messages have these escaped, as Python writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MOST_FAULTS_SHOWN = 100
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Lines(str):
    """Several messages, each a line; see `join_lines`."""


class InputError(ValueError):
    """Something a user gave (a flag, a file, a folder) cannot be used.

    Args:
        message: A line, in which control characters are escaped; or `Lines`.
    """

    def __init__(self, message: str):
        super().__init__(message if isinstance(message, Lines) else printable(message))

    @property
    def message(self) -> str:
        """What it was made with, escaped; `Lines` if it was."""
        return self.args[0]


class MissingInputError(InputError, FileNotFoundError):
    """A file or folder that a user named is not there."""


class WriteError(InputError, OSError):
    """A result cannot be written: the disk is full, the folder read-only or gone."""


class NonFiniteLossError(RuntimeError):
    """A loss or a weight became NaN or infinite; the training cannot go on."""


def printable(text: str) -> str:
    r"""Returns a text on one line: what ends a line or moves a cursor is escaped, as in \n.

    So is what is not Unicode: what a name has of other bytes, such as \udce9.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def first_line(error: BaseException) -> str:
    """Returns the first line of what an exception says, or its kind if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def join_lines(messages: Iterable[str]) -> Lines:
    """Returns messages, each of them a line or `Lines`, as those of one InputError."""
    return Lines("\n".join(x if isinstance(x, Lines) else printable(x) for x in messages))


def list_faults(faults: Sequence[str], *, num_items: int, what: str) -> Lines:
    """Returns one message of several, sorted, a line each; the first hundred if there are more.

    Args:
        faults: One message an item that cannot be used; the same of several is shown once.
        num_items: How many items there are.
        what: They are: "pairs".
    """
    shown = sorted(set(faults))
    head = [f"{len(faults)} of {num_items} {what} cannot be used:"] if len(shown) > 1 else []
    more = len(shown) - _MOST_FAULTS_SHOWN
    tail = [f"... and {more} more."] if more > 0 else []
    return join_lines([*head, *shown[:_MOST_FAULTS_SHOWN], *tail])
