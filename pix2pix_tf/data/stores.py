"""Encoded pairs: where their files are kept, and what is made of them.

A store has the files of each pair, and a decoder makes pixels of those of one; any store goes
with any decoder.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import images, layouts, parallel, records
from pix2pix_tf.data.encoded import ImageFile

# By what messages call the files.
Infos = Mapping[ImageFile, images.ImageInfo]


class Store(Protocol):
    """The files of pairs, by number: A and B, or the one that holds both."""

    names: Sequence[str]  # One a pair, without a suffix; unique.
    is_read_for_faults: bool  # Whether to read all if some are refused, to name all faults at once.

    def inspect(self, index: int, which: slice) -> Infos:
        """Returns what the headers of these files of a pair say."""

    def read(self, index: int) -> Sequence[ImageFile]:
        """Returns all files of a pair."""


class Decoder(Protocol):
    """What a training makes of the files of a pair."""

    which: slice  # Those of the files that are decoded.

    def check(self, infos: Infos) -> None:
        """Raises InputError if files with these headers cannot be used."""

    def dtype_of(self, infos: Infos) -> tf.DType:
        """Returns the type of the pixels, given the headers of all files."""

    def decode(self, files: Sequence[ImageFile], dtype: tf.DType) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B; raises InputError if a file is damaged."""


def pixel_type(infos: Infos) -> tf.DType:
    """Returns what holds the pixels of all files: uint16 if one has 16 bits, else uint8."""
    return tf.uint16 if any(info.bits == 16 for info in infos.values()) else tf.uint8


class FileStore:
    """Pairs of files in folders.

    Args:
        pairs: Those of each pair.
    """

    is_read_for_faults = True

    def __init__(self, pairs: Sequence[layouts.PairFiles]):
        self._pairs = list(pairs)
        self.names = [pair.name for pair in self._pairs]

    def inspect(self, index: int, which: slice) -> Infos:
        """Returns what the headers of these files of a pair say; see `images.inspect_image`."""
        return {file: images.inspect_image(file) for file in self._pairs[index].files[which]}

    def read(self, index: int) -> Sequence[ImageFile]:
        """Returns all files of a pair."""
        return self._pairs[index].files


def open_store(folder: pathlib.Path, split: str) -> Store:
    """Returns the files of a split, from records or in one of the layouts of `find_pairs`.

    Raises:
        MissingInputError: If there is no such split.
        InputError: If it is not clear which the pairs are, or an index is damaged.
    """
    if records.is_there(folder):
        return records.Records(folder, split)
    return FileStore(layouts.find_pairs(folder, split))


class EncodedPairs:
    """The pairs of a store, decoded; a `pairs.PairSource`.

    Every header is looked at at once, so that a wrong file is refused before any slow thing.

    Args:
        store: Has the files.
        decoder: Makes pixels of them.

    Raises:
        InputError: If files cannot be used, listing them.
    """

    def __init__(self, store: Store, decoder: Decoder):
        self._store, self._decoder = store, decoder
        self.names = store.names
        self.dtype = decoder.dtype_of({})  # Until the headers are known.
        numbers = range(len(self.names))
        if store.is_read_for_faults:
            inspected = parallel.inspect_all(self._inspect, self.read, numbers)
        else:
            inspected = parallel.map_all(self._inspect, numbers)
        infos = {file: info for each in inspected for file, info in each.items()}
        images.warn_of_colours(infos)
        self.dtype = decoder.dtype_of(infos)

    def _inspect(self, index: int) -> Infos:
        infos = self._store.inspect(index, self._decoder.which)
        self._decoder.check(infos)
        return infos

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads pair number `index`; raises InputError if a file, or its shard, is damaged."""
        return self._decoder.decode(self._store.read(int(index)), self.dtype)
