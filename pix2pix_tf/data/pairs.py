"""Where pairs come from: a source knows their names, and reads number `index` as (A, B).

A and B exist only here and in `pipeline`, where the direction of the translation is resolved.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
import tqdm.auto

from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.data import augment, decoding, images, layouts, registry, scenes
from pix2pix_tf.errors import InputError, MissingInputError, list_faults

DEMO = "demo"
# Scenes are drawn on demand from an endless series; this is how far each split
# reaches into it, and where. Far apart, so that no test scene is ever trained on.
_DEMO_SPLITS = {"train": (0, 2000), "val": (1_000_000, 100), "test": (2_000_000, 100)}
_DEMO_SEED = 0  # The data set is one for all; a run's own seed shuffles and jitters it.


class PairSource(Protocol):
    """Pairs that can be read by number, on several threads; any object that has these three.

        class Stripes:
            names = [f"stripes_{number}" for number in range(100)]
            dtype = tf.uint8

            def read(self, index):
                a = np.zeros([286, 286, 3], np.uint8)
                a[:, :: index + 2] = 255
                return a, 255 - a

    The same number always gives the same pair, else a resumed run would not be the same. What
    cannot be read is an `errors.InputError`, whose one line names it and says what to do.
    """

    names: Sequence[str]  # One a pair, without a suffix; unique.
    dtype: tf.DType  # Type of both: uint8 or uint16; or float32 for images in [-1, 1].

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B as `dtype`, `[height, width, channels]`, of the same size."""


def open_source(config: TrainConfig, split: str, *, size: augment.Size) -> PairSource:
    """Returns the pairs of a split as a configuration has them; see `open_pairs`.

    Args:
        config: Names the data set, its folder, channels, direction and colour space.
        split: "train", "val" or "test".
        size: What pairs will be scaled to cover: pixels, or (height, width).
    """
    settings = dict(data_dir=config.data_dir, scaled_to=size, scene_size=max(config.crop_shape))
    a_to_b = config.direction == "AtoB"
    if config.color_space == LAB:
        return open_pairs(config.dataset, split, photo_side="B" if a_to_b else "A", **settings)
    sides = [
        (config.input_channels, config.input_limits),
        (config.output_channels, config.output_limits),
    ]
    (a_channels, a_range), (b_channels, b_range) = sides if a_to_b else sides[::-1]
    return open_pairs(
        config.dataset,
        split,
        a_channels=a_channels,
        b_channels=b_channels,
        a_range=a_range,
        b_range=b_range,
        **settings,
    )


def open_pairs(
    dataset: str,
    split: str,
    *,
    data_dir: str = "",
    a_channels: int = 3,
    b_channels: int = 3,
    a_range: tuple[float, float] | None = None,
    b_range: tuple[float, float] | None = None,
    photo_side: str = "",
    scaled_to: augment.Size | None = None,
    scene_size: int = 256,
) -> PairSource:
    """Returns the pairs of one split of a data set, their headers checked.

    Args:
        dataset: "demo", a published name, or a folder: see `layouts.find_pairs`.
        split: "train", "val" or "test".
        data_dir: Where published sets are kept; empty means Keras' cache.
        a_channels: What A is read as.
        b_channels: What B is read as.
        a_range: The values of A that become -1 and 1; None: all of the integer type.
        b_range: The same of B.
        photo_side: "A" or "B": both sides are the photo, which is that side of a pair or a file of
            its own, see `decoding.PhotoDecoder`; empty: they are the pair.
        scaled_to: What pairs will be scaled to cover, pixels or (height, width), so that
            those are refused which would become too large; None: nothing.
        scene_size: Pixels of a drawn scene; files have their own size.

    Raises:
        MissingInputError: If the data set or the split is not there.
        InputError: If files do not make pairs, naming them.
    """
    if dataset == DEMO:
        if a_range or b_range:
            raise InputError(
                "The demo set has values of 8 bits. Leave input_range and output_range empty."
            )
        return ScenePairs(
            split,
            size=scene_size,
            a_channels=a_channels,
            b_channels=b_channels,
            are_photos=bool(photo_side),
        )
    found = layouts.find_pairs(registry.locate(dataset, data_dir), split)
    if photo_side:
        return FilePairs(found, decoding.PhotoDecoder(photo_side, scaled_to))
    return FilePairs(
        found, decoding.PairDecoder(a_channels, b_channels, a_range, b_range, scaled_to)
    )


def find_split(dataset: str, candidates: Sequence[str], *, data_dir: str = "") -> str | None:
    """Returns the first of the splits `candidates` that a data set has, or None."""
    if dataset == DEMO:
        return candidates[0]
    folder = registry.locate(dataset, data_dir)
    return next((split for split in candidates if layouts.has_split(folder, split)), None)


def count_pairs(dataset: str, split: str, *, data_dir: str = "") -> int:
    """Returns how many pairs a split has, or photos that stand for pairs; opens none of them.

    Raises:
        MissingInputError: If the data set or the split is not there.
        InputError: If there are records whose index cannot be used.
    """
    if dataset == DEMO:
        return _DEMO_SPLITS[split][1]
    return layouts.count_pairs(registry.locate(dataset, data_dir), split)


class FilePairs:
    """Pairs of image files, decoded; a `PairSource`.

    Every header is looked at at once, so that a wrong file is refused before any slow thing.

    Args:
        found: The files of each pair.
        decoder: Makes pixels of them.

    Raises:
        InputError: If files cannot be used, listing them.
    """

    def __init__(self, found: Sequence[layouts.Pair], decoder: decoding.Decoder):
        self._found, self._decoder = found, decoder
        self.names = [pair.name for pair in found]
        self.dtype = decoder.dtype_of({})  # Until the headers are known.
        numbers = range(len(found))
        try:
            inspected = map_all(self._inspect, numbers)
        except InputError:
            map_all(self._inspect_and_read, numbers)  # To list all faults at once.
            raise  # A file has changed meanwhile.
        infos = {file: info for each in inspected for file, info in each.items()}
        images.warn_of_colours(infos)
        self.dtype = decoder.dtype_of(infos)

    def _inspect(self, index: int) -> decoding.Infos:
        infos = self._found[index].inspect(self._decoder.which)
        self._decoder.check(infos)
        return infos

    def _inspect_and_read(self, index: int) -> None:
        self._inspect(index)
        self.read(index)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads pair number `index`; raises InputError if a file, or its shard, is damaged."""
        return self._decoder.decode(self._found[int(index)].read(), self.dtype)


class ScenePairs:
    """The `demo` set: drawn scenes, A the label colours and B the rendering; a `PairSource`.

    Args:
        split: "train", "val" or "test".
        size: Pixels of a scene's side.
        a_channels: What A is asked for as.
        b_channels: What B is asked for as.
        are_photos: Whether A is the rendering too, for colorization.

    Raises:
        MissingInputError: If there is no such split.
        InputError: If other channels are asked for than scenes have.
    """

    dtype = tf.uint8

    def __init__(
        self,
        split: str,
        *,
        size: int,
        a_channels: int = 3,
        b_channels: int = 3,
        are_photos: bool = False,
    ):
        if split not in _DEMO_SPLITS:
            raise MissingInputError(
                f"The demo set has no split '{split}'. Use one of {', '.join(_DEMO_SPLITS)}."
            )
        if (a_channels, b_channels) != (3, 3):
            raise InputError(
                f"The demo set has colour images, 3 channels on both sides, not {a_channels} and "
                f"{b_channels}. Leave input_channels and output_channels at 3."
            )
        self._size, self._are_photos = size, are_photos
        self._first, count = _DEMO_SPLITS[split]
        self.names = [f"scene_{self._first + number}" for number in range(count)]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws scene number `index` of the split."""
        scene = scenes.draw_scene(self._size, seed=_DEMO_SEED, index=self._first + int(index))
        return scene.photo if self._are_photos else scene.labels, scene.photo


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
        raise InputError(list_faults(faults, num_items=len(items), what="pairs"))
    return results
