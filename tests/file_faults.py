"""Faults of the file system, at an exact operation or from a disk that is really full."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import resource
import sys
from collections.abc import Callable, Iterator
from unittest import mock

_FLAGS_THAT_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_hook = None  # One for the process: what was added to an audit cannot be taken away.


class KilledError(BaseException):
    """Stands for SIGKILL: no handler of errors takes it."""


class Operations:
    """Counts the operations of Python that change files in a folder; can make one fail.

    Attributes:
        count: How many there were, tried ones included.
    """

    def __init__(self, folder: pathlib.Path, *, fault, number: int, is_last: bool):
        self.count = 0
        self._folder = os.path.realpath(folder)
        self._fault = fault
        self._number = number
        self._is_last = is_last

    def note(self, event: str, arguments: tuple) -> None:
        """Takes an audit event, and raises the fault where it is due."""
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & _FLAGS_THAT_WRITE:
                return
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"):
            path = arguments[0]
        else:
            return
        # shutil.rmtree names what is in a folder by the name alone, from an open folder.
        if isinstance(path, (str, os.PathLike)) and os.path.isabs(path):
            if not os.path.realpath(path).startswith(self._folder):
                return
        self.count += 1
        if self.count == self._number or (self.count > self._number and self._is_last):
            raise self._fault


@contextlib.contextmanager
def _watch(operations: Operations) -> Iterator[Operations]:
    global _hook
    if _hook is None:
        _hook = []
        sys.addaudithook(lambda event, arguments: _hook and _hook[-1].note(event, arguments))
    _hook.append(operations)
    try:
        yield operations
    finally:
        _hook.pop()


def kill_at(number: int, folder: pathlib.Path):
    """Ends all writing in a folder at operation `number`, counted from 1, by a KilledError.

    What comes after, such as the removal of a temporary file, fails as well, as in a process
    that is no more.
    """
    return _watch(Operations(folder, fault=KilledError(), number=number, is_last=True))


def fail_at(number: int, folder: pathlib.Path):
    """Has operation `number` in a folder, counted from 1, fail for lack of space, and no other."""
    fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _watch(Operations(folder, fault=fault, number=number, is_last=False))


@contextlib.contextmanager
def unreadable(folder: pathlib.Path) -> Iterator[None]:
    """Has the system neither list a folder nor look up what is in it; permissions do not stop root.

    Args:
        folder: May be there or not.
    """
    denied = os.fspath(folder)

    def refuse(name: str, *, itself: bool):
        function = getattr(os, name)

        def asked(path=".", *arguments, **settings):
            given = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
            if (itself and given == denied) or given.startswith(denied + os.sep):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), given)
            return function(path, *arguments, **settings)

        return mock.patch.object(os, name, asked)

    may_access = os.access
    access = mock.patch.object(
        os, "access", lambda path, mode: os.fspath(path) != denied and may_access(path, mode)
    )
    with refuse("listdir", itself=True), refuse("scandir", itself=True):
        with refuse("stat", itself=False), access:
            yield


@contextlib.contextmanager
def changing_limit() -> Iterator[Callable[[int | None], None]]:
    """Gives a function that has the system write no file beyond a size in bytes; None: any."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    try:
        yield limit
    finally:
        limit(None)


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Has the system refuse to write beyond `size` bytes of any file, whoever writes."""
    with changing_limit() as limit:
        limit(size)
        yield
