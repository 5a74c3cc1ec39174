"""Warnings of the libraries that read files, switched off on several threads at once."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

_lock = threading.Lock()
_users = 0  # Threads within `ignored`.
_before = contextlib.ExitStack()  # Gives back what the first of them found.


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Switches off all warnings of the process until the last thread has left.

    `warnings.catch_warnings` alone is for one thread: of two that overlap, the one that
    leaves last gives back what it found, which are the switched-off warnings of the other.
    That remains so beside a thread that uses `warnings.catch_warnings` itself: the filters of one
    may then stay.
    """
    global _users
    with _lock:
        if not _users:
            _before.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _before.close()
