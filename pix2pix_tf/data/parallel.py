"""One function on all pairs of a data set, on several threads, with all faults listed at once."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Sequence

import tqdm.auto

from pix2pix_tf.errors import InputError, list_faults


def map_all(function, items: Sequence) -> list:
    """Returns `function` of every item, or raises one InputError that lists all faults.

    Runs on as many threads as there are cores. In a terminal a bar shows how far
    it is, where that takes more than a moment.
    """
    faults = []

    def attempt(item):
        try:
            return function(item)
        except InputError as error:
            faults.append(str(error))
            return None

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(attempt, items)
        bar = tqdm.auto.tqdm(
            results, total=len(items), unit="pair", delay=2.0, leave=False, disable=None
        )
        results = list(bar)
    if faults:
        # A damaged shard is one fault of many pairs.
        raise InputError(list_faults(faults, num_items=len(items), what="pairs"))
    return results


def inspect_all(inspect, read, items: Sequence) -> list:
    """Returns `inspect` of every item; if one has a fault, reads all, to list all faults at once.

    Args:
        inspect: Takes an item; is quick.
        read: Takes an item; finds the faults that only reading shows.
        items: Of a data set.

    Raises:
        InputError: If items have faults, listing them.
    """

    def inspect_and_read(item) -> None:
        inspect(item)
        read(item)

    try:
        return map_all(inspect, items)
    except InputError:
        map_all(inspect_and_read, items)
        raise  # A file has changed meanwhile.
