"""Errors that are the user's to mend.

Commands print these as one line and exit with status 2; every other exception
is a defect of the project and keeps its traceback. A message has three parts:
what went wrong, which value came, what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

_MOST_FAULTS_SHOWN = 100


class InputError(ValueError):
    """Something a user gave (a flag, a file, a folder) cannot be used."""


class MissingInputError(InputError, FileNotFoundError):
    """A file or folder that a user named is not there."""


class WriteError(InputError, OSError):
    """A result cannot be written: the disk is full, the folder read-only or gone."""


def list_faults(faults: Sequence[str], *, num_items: int, what: str) -> str:
    """Returns one message of several, sorted, a line each; the first hundred if there are more.

    Args:
        faults: One message an item that cannot be used; the same of several is shown once.
        num_items: How many items there are.
        what: They are: "pairs".
    """
    shown = sorted(set(faults))
    head = f"{len(faults)} of {num_items} {what} cannot be used:\n" if len(shown) > 1 else ""
    more = len(shown) - _MOST_FAULTS_SHOWN
    tail = f"\n... and {more} more." if more > 0 else ""
    return head + "\n".join(shown[:_MOST_FAULTS_SHOWN]) + tail
