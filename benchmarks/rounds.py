"""Contenders take turns for some rounds; what they took, summed up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contenders import Contender, ContenderError


def summarize(seconds: Sequence[float]) -> dict[str, float]:
    """Returns median, quartiles, 5th and 95th percentile, extremes and count."""
    values = np.asarray(seconds, dtype=np.float64)
    p5, p25, p50, p75, p95 = np.percentile(values, [5, 25, 50, 75, 95])
    return dict(
        median=float(p50),
        p5=float(p5),
        p25=float(p25),
        p75=float(p75),
        p95=float(p95),
        minimum=float(values.min()),
        maximum=float(values.max()),
        count=len(values),
    )


def start(contender_arguments: Sequence[dict]) -> tuple[list[Contender], list[dict]]:
    """Starts contenders one after the other, so that no two compute at once.

    Args:
        contender_arguments: Of `Contender`, each.

    Returns:
        Those that are ready, and a result for each that failed.
    """
    ready, failed = [], []
    for arguments in contender_arguments:
        say(f"  starting {arguments['name']} ...")
        contender = None
        try:
            contender = Contender(**arguments)
            ready.append(contender.wait_until_ready())
        except ContenderError as error:
            if contender is not None:
                contender.close()
            failed.append(failure(arguments["name"], arguments["settings"], error))
    return ready, failed


def alternate(
    contender_arguments: Sequence[dict], *, num_rounds: int, count: int, num_warmup: int = 1
) -> list[dict[str, Any]]:
    """Lets contenders take turns, and returns a result for each, in the order given.

    Args:
        contender_arguments: Of `Contender`, each.
        num_rounds: How often each has its turn. Odd rounds go backwards, so that
            none is always next to the same neighbour.
        count: How often each works in a turn, timed.
        num_warmup: How often it works before, in each turn, untimed: the caches
            hold what the contender before left.
    """
    ready, results = start(contender_arguments)
    seconds: dict[str, list[float]] = {contender.name: [] for contender in ready}
    try:
        for number in range(num_rounds):
            say(f"  round {number + 1} of {num_rounds} ...")
            for contender in list(ready) if number % 2 == 0 else list(reversed(ready)):
                try:
                    contender.ask(num_warmup + count)
                    seconds[contender.name] += contender.answer()[num_warmup:]
                except ContenderError as error:
                    ready.remove(contender)
                    contender.close()
                    results.append(failure(contender.name, contender.settings, error))
        results += [success(contender, seconds[contender.name]) for contender in ready]
    finally:
        for contender in ready:
            contender.close()
    order = [arguments["name"] for arguments in contender_arguments]
    return sorted(results, key=lambda result: order.index(result["name"]))


def success(contender: Contender, seconds: Sequence[float]) -> dict[str, Any]:
    """Returns what is reported of a contender that did its work."""
    return dict(
        name=contender.name,
        settings=contender.settings,
        facts=contender.facts,
        seconds=summarize(seconds),
        seconds_to_first=contender.seconds_to_ready,
        peak_resident_gigabytes=contender.peak_resident_bytes / 1e9,
    )


def failure(name: str, settings: dict, error: Exception) -> dict[str, Any]:
    """Returns what is reported of one that did not."""
    say(f"  {name} failed: {error}")
    return dict(name=name, settings=settings, error=str(error))


def say(text: str) -> None:
    """Tells on stderr how far the benchmark is; stdout has the tables."""
    print(text, file=sys.stderr, flush=True)
