"""Ctrl-C, SIGTERM and SIGHUP as a wish to stop, not as a crash."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([_HANGUP] if _HANGUP else []))


class StopRequest:
    """Turns the first of these signals into a request; a second one acts as usual.

    A second SIGHUP does not: shells and systems send it after another signal, and more than once.
    Those that are ignored stay so: SIGHUP under nohup, SIGINT in what a script starts with "&".

    Attributes:
        is_requested: Whether one has come.
        reason: Which.
    """

    def __init__(self):
        self.is_requested = False
        self.reason = ""
        self._previous = {}

    def __enter__(self) -> StopRequest:
        # Python allows handlers in the main thread only; elsewhere nothing changes.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (None, signal.SIG_IGN):  # None: not Python's.
                    self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *unused):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _request(self, number, unused_frame):
        self.is_requested = True
        self.reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        for each, handler in self._previous.items():
            signal.signal(each, signal.SIG_IGN if each == _HANGUP else handler)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Lets these signals end the process at once, even while it waits in C++.

    Python's own handlers run between two of its instructions, so not before such a call returns.
    TensorFlow catches SIGTERM itself while it waits for other workers; the others end it.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if handler not in (None, signal.SIG_IGN):
                before[number] = handler
                signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
