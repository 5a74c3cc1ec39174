"""Importing TensorFlow without the notes that it writes before one can tell it not to.

TensorFlow 2.21 writes some lines to stderr while its libraries are loaded, before it reads
TF_CPP_MIN_LOG_LEVEL. They are taken out there; all other lines are passed on, also when the
import ends the process.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator

_TENSORFLOW = "tensorflow"
# A process of its own, so that the last words of an import that crashes are not lost. Of the
# levels those are taken out which TF_CPP_MIN_LOG_LEVEL=3 silences later: all but fatal.
_FILTER = r"""
import re, sys
note = re.compile(
    rb"[IWE]0000 00:00:\d+\.\d+ +\d+ [\w./-]+:\d+\] |"
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
)
for line in sys.stdin.buffer:
    if not note.match(line):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as the other finders do, and has its import done without the notes."""

    def find_spec(self, name, path=None, target=None):
        if name != _TENSORFLOW:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module) -> None:
                with _without_notes():
                    execute(module)

            spec.loader.exec_module = execute_quietly
        return spec


def install() -> None:
    """Has the next import of TensorFlow write no notes, if it is the first."""
    is_installed = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if _TENSORFLOW not in sys.modules and not is_installed:
        sys.meta_path.insert(0, _Finder())


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Passes what is written to file descriptor 2 through the filter."""
    with contextlib.ExitStack() as stack:
        try:
            stderr = os.dup(2)
            stack.callback(os.close, stderr)
            # In a session of its own: Ctrl-C is not for it.
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _FILTER],
                stdin=subprocess.PIPE,
                stdout=stderr,
                start_new_session=True,
            )
        except OSError:  # No stderr, or no room for a process: then as it comes.
            process = None
        if process is None:
            yield
            return
        os.dup2(process.stdin.fileno(), 2)
        process.stdin.close()
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            # Until nobody has the pipe: a process that the import started may keep it.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
