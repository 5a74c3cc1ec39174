"""One function on many items: in several processes, with what fails named and the rest done."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import tqdm.auto

from pix2pix_tf.errors import InputError, WriteError, printable

# A process takes seconds to start, for TensorFlow: with fewer items than this it does not pay.
_LEAST_ITEMS = 100


class Fault(NamedTuple):
    """A file that is wrong: its name below the input folder, and the problem with what to do."""

    name: str
    problem: str


class Outcome(NamedTuple):
    """What a task has done: a sentence for the user, and what could not be used."""

    summary: str
    faults: Sequence[Fault]


def run_on_all(
    function: Callable,
    items: Sequence,
    processes: int,
    *,
    least_per_process: int = _LEAST_ITEMS,
    unit: str = "file",
) -> Iterator[tuple]:
    """Yields `(item, result, problem)` for each item, as they get done.

    One of result and problem is None: the problem is the message of an InputError.

    Args:
        function: Takes an item. It, the items and its results have to pickle.
        items: What to call it with.
        processes: How many at most; 1, and few items, are worked on in this process.
        least_per_process: Items with which a process pays.
        unit: What the progress bar counts.

    Raises:
        WriteError: As soon as one result cannot be written; the next could not be either.
        InputError: If a worker is killed, for want of memory most likely.
    """
    processes = min(processes, len(items) // least_per_process)
    if processes > 1:
        results = _run_in_processes(function, items, processes)
    else:
        results = ((item, *_attempt(function, item)) for item in items)
    bar = tqdm.auto.tqdm(total=len(items), unit=unit, delay=2.0, leave=False, disable=None)
    with bar, contextlib.closing(results):  # Workers end when the caller stops early.
        for result in results:
            bar.update()
            yield result


def collect(
    function: Callable, items: Sequence, processes: int, **options
) -> tuple[dict, list[Fault]]:
    """Returns the results of `run_on_all` by item, and the faults of the others.

    Args:
        function: See `run_on_all`.
        items: See `run_on_all`; they have a `name`, for faults.
        processes: See `run_on_all`.
        **options: See `run_on_all`.
    """
    results, faults = {}, []
    for item, result, problem in run_on_all(function, items, processes, **options):
        if problem is None:
            results[item] = result
        else:
            faults.append(Fault(item.name, without_path(problem, item.name)))
    return results, faults


def count_of(number: int, what: str) -> str:
    """Returns "1 pair" of "pairs", or "2 pairs"."""
    return f"{number} {what[:-1] if number == 1 else what}"


def without_path(problem: str, name: str) -> str:
    """Returns a message about a file without its path, if it begins with it."""
    path, found, rest = problem.partition("' ")
    return rest if found and path.startswith("'") and path.endswith(printable(name)) else problem


def _attempt(function: Callable, item) -> tuple:
    """Returns the result and the problem of one item."""
    try:
        return function(item), None
    except WriteError:
        raise
    except InputError as error:
        return None, str(error)


def _run_in_processes(function: Callable, items: Sequence, processes: int) -> Iterator[tuple]:
    pool = concurrent.futures.ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),  # TensorFlow does not survive a fork.
        initializer=_start_worker,
    )
    futures = {}
    try:
        for item in items:  # The first may have killed its process before the last is submitted.
            futures[pool.submit(_attempt, function, item)] = item
        for future in concurrent.futures.as_completed(list(futures)):
            yield (futures.pop(future), *future.result())
    except BrokenProcessPool:
        raise InputError(
            f"One of the {processes} processes was killed, most likely for want of memory. What "
            "was finished is kept: run it again with fewer --processes."
        ) from None
    finally:
        if futures:  # Stopped early. Files are written whole or not at all, so none is spoilt.
            for worker in multiprocessing.active_children():
                worker.terminate()
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Makes a new process a worker."""
    sys.dont_write_bytecode = True  # See `commands.run`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The first process ends the others.
    # One thread of TensorFlow and no GPU each: there are as many processes as cores.
    os.environ.update(
        TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", CUDA_VISIBLE_DEVICES="-1"
    )
