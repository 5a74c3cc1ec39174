"""Where pairs come from: a source knows their names, and reads number `index` as (A, B).

A and B exist only here and in `pipeline`, where the direction of the translation is resolved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from tqdm.contrib import concurrent

from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.data import decoding, images, layouts, registry, scenes, values
from pix2pix_tf.errors import InputError, MissingInputError, list_faults

DEMO = "demo"
# Scenes are drawn on demand from an endless series; this is how far each split
# reaches into it, and where. Far apart, so that no test scene is ever trained on.
_DEMO_SPLITS = {"train": (0, 2000), "val": (1_000_000, 100), "test": (2_000_000, 100)}
_DEMO_SEED = 0  # The data set is one for all; a run's own seed shuffles and jitters it.


class PairSource(Protocol):
    """Pairs that can be read by number, on several threads; any object that has these three.

    The same number always gives the same pair, else a resumed run would not be the same. What
    cannot be read is an `errors.InputError`, whose one line names it and says what to do.
    """

    @property
    def names(self) -> Sequence[str]:
        """Names of the pairs, without a suffix; unique."""

    @property
    def dtype(self) -> tf.DType:
        """Type of A and B: uint8 or uint16; or float32 for images in [-1, 1]."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B as `dtype`, `[height, width, channels]`, of the same size."""


def open_source(config: TrainConfig, split: str) -> PairSource:
    """Returns the pairs of a split as a configuration has them."""
    names = ("a", "b") if config.direction == "AtoB" else ("b", "a")
    if config.color_space == LAB:
        settings: dict[str, Any] = dict(photo_side=names[1].upper())
    else:
        channels = (config.input_channels, config.output_channels)
        limits = (config.input_limits, config.output_limits)
        settings = {f"{name}_channels": number for name, number in zip(names, channels)}
        settings.update({f"{name}_range": limit for name, limit in zip(names, limits)})
    return open_pairs(
        config.dataset,
        split,
        data_dir=config.data_dir,
        scene_size=max(config.crop_shape),
        **settings,
    )


def open_pairs(
    dataset: str, split: str, *, data_dir: str = "", scene_size: int = 256, **settings: Any
) -> PairSource:
    """Returns the pairs of one split of a data set, their headers checked.

    Args:
        dataset: "demo", a published name, or a folder: see `layouts.find_pairs`.
        split: "train", "val" or "test".
        data_dir: Where published sets are kept; empty means Keras' cache.
        scene_size: Pixels of a drawn scene; files have their own size.
        **settings: How files are read: arguments of `decoding.PhotoDecoder` if `photo_side` is
            one, for both sides to be the photo, else of `decoding.PairDecoder`.

    Raises:
        MissingInputError: If the data set or the split is not there.
        InputError: If files do not make pairs, naming them.
    """
    make = decoding.PhotoDecoder if "photo_side" in settings else decoding.PairDecoder
    decoder = make(**settings)
    if dataset == DEMO:
        return ScenePairs(split, size=scene_size, decoder=decoder)
    return FilePairs(layouts.find_pairs(registry.locate(dataset, data_dir), split), decoder)


def find_split(dataset: str, candidates: Sequence[str], *, data_dir: str = "") -> str | None:
    """Returns the first of the splits `candidates` that a data set has, or None."""
    if dataset == DEMO:
        return candidates[0]
    folder = registry.locate(dataset, data_dir)
    return next((split for split in candidates if layouts.has_split(folder, split)), None)


def count_pairs(dataset: str, split: str, *, data_dir: str = "") -> int:
    """Returns how many pairs a split has; opens none of them. Raises as `layouts.find_pairs`."""
    if dataset == DEMO:
        return _DEMO_SPLITS[split][1]
    return len(layouts.find_pairs(registry.locate(dataset, data_dir), split))


class FilePairs:
    """Pairs of image files, decoded; a `PairSource`.

    Every header is looked at at once, so that a wrong file is refused before any slow thing.

    Attributes:
        files_per_pair: 1 or 2.
        pair_file_size: (width, height) of all files in pixels, where each holds A and B side by
            side and all have one size; else None.

    Raises:
        InputError: If files cannot be used, listing them.
    """

    def __init__(self, found: Sequence[layouts.Pair], decoder: decoding.Decoder):
        self._found, self._decoder = found, decoder
        self.names = [pair.name for pair in found]
        self.dtype = decoder.dtype_of({})  # Until the headers are known.

        def inspect(pair: layouts.Pair) -> decoding.Infos:
            return decoding.inspect(pair.read(), decoder)

        try:
            inspected = map_all(inspect, found)
        except InputError:  # Listed at once with what reading finds.
            map_all(lambda pair: (inspect(pair), decoder.read(pair.read(), self.dtype)), found)
            raise
        infos = {file: info for each in inspected for file, info in each.items()}
        images.warn_of_colours(infos)
        decoding.warn_of_turns(inspected)
        self.dtype = decoder.dtype_of(infos)
        self.files_per_pair = len(found[0].files)
        sizes = {(info.width, info.height) for info in infos.values()}
        # What is one file for colorization may be a photo alone.
        are_joined = self.files_per_pair == 1 and isinstance(decoder, decoding.PairDecoder)
        self.pair_file_size = sizes.pop() if are_joined and len(sizes) == 1 else None

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads pair number `index`; raises InputError if a file, or its shard, is damaged."""
        sides = self._decoder.read(self._found[int(index)].read(), self.dtype)
        return self._decoder.scale(sides, self.dtype)

    def read_and_look(self, index: int) -> tuple[tuple[np.ndarray, np.ndarray], values.PairLook]:
        """Returns what `read` does, and what is to be known of the values before scaling."""
        files = self._found[int(index)].read()
        sides, seen = decoding.read_and_look(files, self._decoder, self.dtype)
        return self._decoder.scale(sides, self.dtype), seen


class ScenePairs:
    """The `demo` set: drawn scenes, A the label colours and B the rendering; a `PairSource`.

    Args:
        split: "train", "val" or "test".
        size: Pixels of a scene's side.
        decoder: What is asked for: pairs, or photos for both sides. None: pairs.

    Raises:
        MissingInputError: If there is no such split.
        InputError: If other channels or values are asked for than scenes have.
    """

    dtype = tf.uint8

    def __init__(self, split: str, *, size: int, decoder: decoding.Decoder | None = None):
        if split not in _DEMO_SPLITS:
            raise MissingInputError(
                f"The demo set has no split '{split}'. Use one of {', '.join(_DEMO_SPLITS)}."
            )
        self._size, self._are_photos = size, isinstance(decoder, decoding.PhotoDecoder)
        if not self._are_photos and decoder not in (None, decoding.PairDecoder()):
            raise InputError(
                "The demo set has colour images of 8 bits, 3 channels on both sides. "
                "Leave the numbers of channels at 3, and the ranges of values empty."
            )
        self._first, count = _DEMO_SPLITS[split]
        self.names = [f"scene_{self._first + number}" for number in range(count)]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws scene number `index` of the split."""
        scene = scenes.draw_scene(self._size, seed=_DEMO_SEED, index=self._first + int(index))
        return scene.photo if self._are_photos else scene.labels, scene.photo


def map_all(function: Callable, items: Sequence) -> list:
    """Returns `function` of every item, or raises one InputError that lists all faults.

    Runs on as many threads as there are cores; in a terminal a bar shows how far it is.
    """
    faults = []

    def attempt(item: Any) -> Any:
        try:
            return function(item)
        except InputError as error:
            faults.append(str(error))
            return None

    bar = dict(unit="pair", delay=2.0, leave=False, disable=None)
    results = concurrent.thread_map(attempt, items, max_workers=os.cpu_count(), **bar)
    if faults:
        raise InputError(list_faults(faults, num_items=len(items), what="pairs"))
    return results
