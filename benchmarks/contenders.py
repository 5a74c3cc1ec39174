r"""Contenders: each a process that stays alive between its turns.

A contender is made in the interpreter that it needs, says that it is ready, and then
works only while it is asked to, so that several can take turns and no two compute at
once. This module is both ends: `Contender` starts and asks, `main` answers.

    PYTHON -m benchmarks.contenders MODULE:FUNCTION SETTINGS_AS_JSON

FUNCTION makes the work from the settings: it returns (work, facts), where `work(count)`
does it `count` times and returns the seconds of each, and `facts` is a dict to report.
Nothing but the standard library is imported here: one contender has TensorFlow, another
PyTorch.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

Work = Callable[[int], Sequence[float]]


class ContenderError(RuntimeError):
    """A contender died or took too long; the text is its last line of output."""


class Contender:
    """A process that does some work when asked.

    Args:
        name: For tables.
        python: Its interpreter, which has to be there, see `machine.find_pythons`.
        make: "module:function", see above.
        settings: Argument of the function; also reported.
        environment: Variables in addition to those of this process.
        timeout_seconds: For becoming ready, and for each turn.

    Attributes:
        facts: What it reported when it was made.
        seconds_to_ready: From the start of the process until its first work was done.
        peak_resident_bytes: Largest resident memory so far.
    """

    def __init__(
        self,
        name: str,
        python: str,
        make: str,
        settings: dict,
        *,
        environment: dict[str, str] | None = None,
        timeout_seconds: float = 600.0,
    ):
        self.name = name
        self.settings = settings
        self.facts: dict[str, Any] = {}
        self.seconds_to_ready: float | None = None
        self.peak_resident_bytes = 0
        self._timeout_seconds = timeout_seconds
        self._output = tempfile.TemporaryFile(mode="w+", errors="replace")
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.contenders", make, json.dumps(settings)],
            cwd=REPOSITORY,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Waits until the first work is done, which no measurement includes."""
        self.facts = self._read_reply()["facts"]
        self.seconds_to_ready = time.monotonic() - self._started

    def work(self, count: int) -> list[float]:
        """Lets it work `count` times, and returns the seconds of each."""
        with contextlib.suppress(BrokenPipeError):  # Then there is no reply either.
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
        return self._read_reply()["seconds"]

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._output.close()

    def _read_reply(self) -> dict:
        is_late = threading.Event()

        def give_up():
            is_late.set()
            self._process.kill()

        timer = threading.Timer(self._timeout_seconds, give_up)
        timer.start()
        line = self._process.stdout.readline()  # Empty once the process has ended.
        timer.cancel()
        if line:
            reply = json.loads(line)
            self.peak_resident_bytes = reply["peak_resident_bytes"]
            return reply
        status = self._process.wait()
        if is_late.is_set():
            raise ContenderError(f"No answer in {self._timeout_seconds:.0f} seconds.")
        self._output.seek(0)
        lines = [line.strip() for line in self._output.read().splitlines() if line.strip()]
        last = lines[-1][:300] if lines else "nothing was said"
        raise ContenderError(f"Ended with status {status}: {last}")


def timed(do: Callable[[], Any]) -> Work:
    """Returns work that times each call of `do`, which must wait for its own result."""

    def work(count: int) -> list[float]:
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            do()
            seconds.append(time.perf_counter() - start)
        return seconds

    return work


def peak_resident_bytes() -> int:
    """Returns the largest resident memory that this process has had."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # Not from getrusage: there a process starts with the peak of the one that forked it.
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    # Bytes on macOS, kilobytes elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(make: str, settings: str) -> None:
    """Makes the work, does it once, and then as often as each line of stdin says."""
    # Libraries write what they like to stdout: from now on it is stderr, and replies have the
    # pipe to themselves.
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)

        def reply(**values) -> None:
            print(json.dumps(dict(values, peak_resident_bytes=peak_resident_bytes())), file=replies)
            replies.flush()

        module, function = make.split(":")
        work, facts = getattr(importlib.import_module(module), function)(json.loads(settings))
        work(1)
        reply(facts=facts)
        for line in sys.stdin:
            reply(seconds=list(work(int(line))))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        traceback.print_exc()
        # Last, and on one line: what the table shows.
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))
