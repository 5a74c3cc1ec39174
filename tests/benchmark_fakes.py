"""Contenders that do next to nothing, for the tests of the benchmarks; no library is imported."""

from __future__ import annotations

import importlib
import os
import sys
import time


def steady(settings: dict):
    """Takes `settings["seconds"]`, each number once around; the first is the warm-up's."""
    times = iter(settings["seconds"] * 1000)
    print("not an answer", flush=True)
    os.write(1, b"nor this\n")
    return lambda count: [next(times) for _ in range(count)], {}


def unable(settings: dict):
    """Cannot be made."""
    raise ValueError("no such\nlayer")


def dying(settings: dict):
    """Works once, then ends in the middle of its first turn."""
    turns = []

    def work(count):
        turns.append(count)
        if len(turns) > 1:
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(9)
        return [1.0] * count

    return work, {}


def silent(settings: dict):
    """Never gets ready."""
    time.sleep(60)


class InProcess:
    """Stands for `contenders.Contender`, without a process."""

    log: list[tuple[str, int]] = []  # The name and the count of each work.

    def __init__(self, name, python, make, settings, **unused):
        self.name, self.settings = name, settings
        self.seconds_to_ready, self.peak_resident_bytes = 1.0, 10**9
        self._make = make

    def wait_until_ready(self):
        module, function = self._make.split(":")
        self._work, self.facts = getattr(importlib.import_module(module), function)(self.settings)
        self.work(1)

    def work(self, count):
        self.log.append((self.name, count))
        return self._work(count)

    def close(self):
        pass
