"""What a data set holds, without opening its files: names of pairs, sizes and times of files.

A data set is known again by them wherever it lies, and what was read of it need not be read again
while they stay the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence

from pix2pix_tf.data import layouts, records, registry

Sizes = dict[str, list[int]]  # Of the files of each pair in bytes, by its name.


@dataclasses.dataclass(frozen=True)
class Contents:
    """What some splits of a data set hold.

    Attributes:
        folder: Where it lies, absolute.
        pairs: By split. Pairs in records have no sizes of their own, so their lists are empty.
        digest: Of names, sizes and times.
    """

    folder: str
    pairs: dict[str, Sizes]
    digest: str


def find(dataset: str, splits: Sequence[str], *, data_dir: str = "") -> Contents:
    """Returns what splits of a data set hold.

    Args:
        dataset: A published name or a folder, not "demo".
        splits: Names of those.
        data_dir: See `registry.locate`.

    Raises:
        MissingInputError: If the data set or a split is not there.
        InputError: If files do not make pairs.
    """
    folder = registry.locate(dataset, data_dir)
    sizes: dict[str, Sizes] = {}
    digest = hashlib.sha256()
    for split in splits:
        sizes[split] = {}
        shards: dict[pathlib.Path, list[int]] = {}
        for pair in layouts.find_pairs(folder, split):
            if isinstance(pair, records.StoredPair):
                if pair.shard not in shards:
                    shards[pair.shard] = _size_and_time(pair.shard)
                sizes[split][pair.name], stats = [], [shards[pair.shard]]
            else:
                stats = list(map(_size_and_time, pair.files))
                sizes[split][pair.name] = [size for size, _ in stats]
            digest.update(json.dumps([split, [path.name for path in pair.files], stats]).encode())
    return Contents(str(folder.resolve()), sizes, digest.hexdigest())


def _size_and_time(path: pathlib.Path) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:  # A link to nowhere, perhaps: who reads it names it.
        return [-1, -1]
    return [found.st_size, found.st_mtime_ns]
