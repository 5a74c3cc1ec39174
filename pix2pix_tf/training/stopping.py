"""Ctrl-C and SIGTERM as a wish to stop, not as a crash."""

from __future__ import annotations

import signal
import threading


class StopRequest:
    """Turns the first SIGTERM or Ctrl-C into a request; a second one acts as usual.

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
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *unused):
        self._restore()

    def _request(self, number, unused_frame):
        self.is_requested = True
        self.reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._restore()

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
