"""Ctrl-C, SIGTERM and SIGHUP: as an interrupt, as a wish to stop, or as the end at once.

Signals that are ignored stay so: SIGHUP under nohup, SIGINT in what a script starts with "&".
Python allows handlers in the main thread only; elsewhere nothing changes.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows does not have it.
_TO_END = (signal.SIGTERM, *([_HANGUP] if _HANGUP else []))
_ALL = (signal.SIGINT, *_TO_END)


@contextlib.contextmanager
def handled(handler: Callable | int) -> Iterator[dict]:
    """Gives these signals a handler while the block runs.

    Args:
        handler: What `signal.signal` takes.

    Yields:
        The handlers that there were, by the numbers of the signals that got the new one.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ALL:
            if signal.getsignal(number) not in (None, signal.SIG_IGN):  # None: not Python's.
                before[number] = signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _give_back(before: dict, numbers) -> None:
    """Lets the next of these signals act as usual, but no SIGHUP: it often comes twice."""
    for number in numbers:
        if number in before:
            signal.signal(number, signal.SIG_IGN if number == _HANGUP else before[number])


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Turns these signals into KeyboardInterrupt, with the number of the signal.

    So temporary files are removed and workers ended. A second SIGTERM acts as usual.

    Raises:
        KeyboardInterrupt: Also in place of an error of the block after a signal: TensorFlow makes
            a TypeError of an interrupt that comes while it looks at arguments.
    """
    came = []

    def interrupt(number, unused_frame):
        came.append(int(number))
        if number != signal.SIGINT:  # Which interrupts each time, as it does without this.
            _give_back(before, {number, _HANGUP})
        raise KeyboardInterrupt(int(number))

    with handled(interrupt) as before:
        try:
            yield
        except Exception as error:
            if not came:
                raise
            raise KeyboardInterrupt(came[0]) from error


class StopRequest(contextlib.ExitStack):
    """Turns the first of these signals into a request; a second one acts as usual.

    Attributes:
        is_requested: Whether one has come.
        reason: Which.
    """

    def __init__(self):
        super().__init__()
        self.is_requested, self.reason = False, ""

    def __enter__(self) -> StopRequest:
        self._before = self.enter_context(handled(self._request))
        return self

    def request(self, reason: str) -> None:
        """Requests it without a signal; `reason` is what to name in place of one."""
        self.is_requested = True
        self.reason = reason

    def _request(self, number, unused_frame):
        self.request("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
        _give_back(self._before, _ALL)
