"""Contenders take turns for some rounds; their times, summed up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contenders import Contender, ContenderError


def summarize(seconds: Sequence[float]) -> dict[str, float]:
    """Returns the median, the quartiles, the 95th percentile, and the count."""
    p25, median, p75, p95 = np.percentile(np.asarray(seconds, np.float64), [25, 50, 75, 95])
    return dict(
        median=float(median), p25=float(p25), p75=float(p75), p95=float(p95), count=len(seconds)
    )


def alternate(
    contender_arguments: Sequence[dict], *, num_rounds: int, count: int, num_warmup: int = 1
) -> list[dict[str, Any]]:
    """Lets contenders take turns, and returns a result for each, in the order given.

    They are started one after the other, and only one works at a time. One that fails is
    reported, and the others go on.

    Args:
        contender_arguments: The arguments of each `Contender`.
        num_rounds: How often each has its turn. Every second round goes backwards, so
            that a contender does not always follow the same one.
        count: How often each works in a turn, timed.
        num_warmup: How often it works before that, untimed, since the caches hold the
            data of the contender before.

    Returns:
        Dicts of `name` and `settings`, and either `error`, or `facts`, `seconds` (see
        `summarize`), `seconds_to_first` (from the start of the process to the end of the
        first work) and `peak_resident_gigabytes`.
    """
    contenders: dict[str, Contender] = {}
    seconds: dict[str, list[float]] = {arguments["name"]: [] for arguments in contender_arguments}
    errors: dict[str, str] = {}

    def fail(name: str, error: ContenderError) -> None:
        say(f"  {name} failed: {error}")
        errors[name] = str(error)
        if name in contenders:
            contenders.pop(name).close()

    try:
        for arguments in contender_arguments:
            name = arguments["name"]
            say(f"  starting {name} ...")
            try:
                contenders[name] = Contender(**arguments)
                contenders[name].wait_until_ready()
            except ContenderError as error:
                fail(name, error)
        for number in range(num_rounds):
            say(f"  round {number + 1} of {num_rounds} ...")
            for name in list(contenders)[:: -1 if number % 2 else 1]:
                try:
                    seconds[name] += contenders[name].work(num_warmup + count)[num_warmup:]
                except ContenderError as error:
                    fail(name, error)
    finally:
        for contender in contenders.values():
            contender.close()

    def result(name: str, settings: dict) -> dict[str, Any]:
        if name in errors:
            return dict(name=name, settings=settings, error=errors[name])
        contender = contenders[name]
        return dict(
            name=name,
            settings=settings,
            facts=contender.facts,
            seconds=summarize(seconds[name]),
            seconds_to_first=contender.seconds_to_ready,
            peak_resident_gigabytes=contender.peak_resident_bytes / 1e9,
        )

    return [result(item["name"], item["settings"]) for item in contender_arguments]


def say(text: str) -> None:
    """Tells on stderr how far the benchmark is; stdout has the tables."""
    print(text, file=sys.stderr, flush=True)
