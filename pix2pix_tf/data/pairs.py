"""Finding, checking and reading pairs of images: from files, or drawn scenes.

A pair source knows how many pairs it has, their names, and how to read number
`index` as (A, B) pixels. A and B exist only here and in `pipeline`, where the
direction of the translation is resolved.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
import tqdm.auto

from pix2pix_tf.data import images, registry, scenes
from pix2pix_tf.errors import InputError, MissingInputError

DEMO = "demo"
SPLITS = ("train", "val", "test")
# Scenes are drawn on demand from an endless series; this is how far each split
# reaches into it, and where. Far apart, so that no test scene is ever trained on.
_DEMO_SPLITS = {"train": (0, 2000), "val": (1_000_000, 100), "test": (2_000_000, 100)}
_DEMO_SEED = 0  # The data set is one for all; a run's own seed shuffles and jitters it.
_MOST_FAULTS_SHOWN = 10
# Pairs would be missing without a word if these were passed over like other files.
_OTHER_PICTURES = (".gif", ".webp", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".tga")


class PairSource(Protocol):
    """Pairs that can be read by number."""

    names: Sequence[str]  # One a pair, without a suffix; unique.
    dtype: tf.DType  # Of the pixels: uint8 or uint16; or float32 for images in [-1, 1].

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B as `dtype`, `[height, width, channels]`, of the same size."""


def open_pairs(
    dataset: str,
    split: str,
    *,
    data_dir: str = "",
    a_channels: int = 3,
    b_channels: int = 3,
    a_range: tuple[float, float] | None = None,
    b_range: tuple[float, float] | None = None,
    scene_size: int = 256,
) -> PairSource:
    """Returns the pairs of one split of a data set, their headers checked.

    Args:
        dataset: "demo", a published name, or a folder; see `find_pairs` for its layout.
        split: "train", "val" or "test".
        data_dir: Where published sets are kept; empty means Keras' cache.
        a_channels: What A is read as.
        b_channels: What B is read as.
        a_range: The values of A that become -1 and 1; None: all of the integer type.
        b_range: The same of B.
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
        return ScenePairs(split, size=scene_size, a_channels=a_channels, b_channels=b_channels)
    folder = registry.locate(dataset, data_dir)
    return FilePairs(
        find_pairs(folder, split),
        a_channels=a_channels,
        b_channels=b_channels,
        a_range=a_range,
        b_range=b_range,
    )


def find_split(dataset: str, candidates: Sequence[str], *, data_dir: str = "") -> str | None:
    """Returns the first of the splits `candidates` that a data set has, or None."""
    if dataset == DEMO:
        return candidates[0]
    folder = registry.locate(dataset, data_dir)
    return next((split for split in candidates if has_split(folder, split)), None)


def count_pairs(dataset: str, split: str, *, data_dir: str = "") -> int:
    """Returns how many pairs a split has, or photos that stand for pairs; opens no file.

    Raises:
        MissingInputError: If the data set or the split is not there.
    """
    if dataset == DEMO:
        return _DEMO_SPLITS[split][1]
    return len(find_pairs(registry.locate(dataset, data_dir), split))


class ScenePairs:
    """The `demo` set: drawn scenes, A the label colours and B the rendering."""

    dtype = tf.uint8

    def __init__(self, split: str, *, size: int, a_channels: int = 3, b_channels: int = 3):
        if split not in _DEMO_SPLITS:
            raise MissingInputError(
                f"The demo set has no split '{split}'. Use one of {', '.join(_DEMO_SPLITS)}."
            )
        if (a_channels, b_channels) != (3, 3):
            raise InputError(
                f"The demo set has colour images, 3 channels on both sides, not {a_channels} and "
                f"{b_channels}. Leave input_channels and output_channels at 3."
            )
        self._size = size
        self._first, count = _DEMO_SPLITS[split]
        self.names = [f"scene_{self._first + number}" for number in range(count)]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws scene number `index` of the split."""
        scene = scenes.draw_scene(self._size, seed=_DEMO_SEED, index=self._first + int(index))
        return scene.labels, scene.photo


@dataclasses.dataclass(frozen=True)
class PairFiles:
    """The file, or the two files, of a pair. Aligned pairs have A and B side by side."""

    a: pathlib.Path
    b: pathlib.Path | None  # None: `a` holds both, A on the left.

    @property
    def name(self) -> str:
        """The pair's name: the file's, without the suffix."""
        return self.a.stem


class FilePairs:
    """Pairs of image files.

    Every header is read at once, so that a wrong file is refused before any
    slow thing.

    Raises:
        InputError: If files are no images, have odd widths or differ in size,
            listing them.
    """

    def __init__(
        self,
        files: Sequence[PairFiles],
        *,
        a_channels: int,
        b_channels: int,
        a_range: tuple[float, float] | None = None,
        b_range: tuple[float, float] | None = None,
    ):
        self._files = list(files)
        self._channels = (a_channels, b_channels)
        self._ranges = (a_range, b_range)
        self.names = [pair.name for pair in self._files]
        infos: dict[pathlib.Path, images.ImageInfo] = {}
        for inspected in run_on_all(self._inspect, self._files):
            infos.update(inspected)
        images.warn_of_colours(infos)
        if a_range or b_range:
            self.dtype = tf.float32
        else:
            self.dtype = tf.uint16 if max(info.bits for info in infos.values()) == 16 else tf.uint8

    def _inspect(self, pair: PairFiles) -> dict[pathlib.Path, images.ImageInfo]:
        """Returns what the headers of a pair say, having checked them."""
        a = images.inspect_image(pair.a)
        if pair.b is None:
            if a.width % 2:
                raise InputError(
                    f"'{pair.a}' is {a.width} pixels wide, which is odd. A pair has two images of "
                    "the same width side by side; for images of their own, put A and B in two "
                    "folders."
                )
            if a.width <= a.height:
                # Most likely one image of a pair that was never joined to its partner.
                raise InputError(
                    f"'{pair.a}' is {a.width}x{a.height} pixels, too narrow for two images side "
                    "by side. Join it with its partner, or put A and B in two folders."
                )
            for side in (0, 1):
                self._check_fits(pair.a, a, side)
            return {pair.a: a}
        b = images.inspect_image(pair.b)
        if (a.width, a.height) != (b.width, b.height):
            raise InputError(
                f"'{pair.a}' is {a.width}x{a.height} pixels and its partner '{pair.b}' "
                f"{b.width}x{b.height}. Bring them to the same size."
            )
        self._check_fits(pair.a, a, 0)
        self._check_fits(pair.b, b, 1)
        return {pair.a: a, pair.b: b}

    def _check_fits(self, path: pathlib.Path, info: images.ImageInfo, side: int) -> None:
        channels = self._channels[side]
        images.check_fits(path, info, channels=channels, value_range=self._ranges[side])
        if not info.is_array and channels == 4 and info.channels in (1, 3):
            raise InputError(
                f"'{path}' has {info.channels} channel(s), no alpha, but 4 channels were asked "
                "for. Set input_channels or output_channels to what the files have, 1 or 3."
            )

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads pair number `index`; raises InputError if a file is damaged."""
        pair = self._files[int(index)]
        a = self._read(pair.a, 0)
        if pair.b is not None:
            return a, self._read(pair.b, 1)
        is_alike = self._channels[0] == self._channels[1] and self._ranges[0] == self._ranges[1]
        # Grey and colour side by side share one file: it is decoded again as the other.
        b = a if is_alike else self._read(pair.a, 1)
        middle = a.shape[1] // 2
        return a[:, :middle], b[:, middle:]

    def _read(self, path: pathlib.Path, side: int) -> np.ndarray:
        """Returns all of a file as A (side 0) or B (side 1) is read."""
        channels, value_range = self._channels[side], self._ranges[side]
        if self.dtype == tf.float32:
            return images.read_image(path, channels=channels, value_range=value_range)
        return images.read_pixels(path, channels=channels, dtype=self.dtype)


def run_on_all(function, items: Sequence) -> list:
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
        faults.sort()
        more = len(faults) - _MOST_FAULTS_SHOWN
        tail = f"\n... and {more} more." if more > 0 else ""
        head = f"{len(faults)} of {len(items)} pairs cannot be used:\n" if len(faults) > 1 else ""
        raise InputError(head + "\n".join(faults[:_MOST_FAULTS_SHOWN]) + tail)
    return results


def find_pairs(folder: pathlib.Path, split: str) -> list[PairFiles]:
    """Returns the pairs of a split, sorted by name.

    Layouts, in this order:
        FOLDER/SPLIT/A/, FOLDER/SPLIT/B/        paired by name, without the suffix
        FOLDER/A/SPLIT/, FOLDER/B/SPLIT/        the same
        FOLDER/SPLITA/, FOLDER/SPLITB/          the same (trainA, trainB)
        FOLDER/SPLIT/*.jpg                      A|B side by side in each file

    Raises:
        MissingInputError: If there is no such split, naming those there are; if
            it is empty; if a file has no partner.
    """
    folder = pathlib.Path(folder)
    folders = two_folders(folder, split)
    for a_folder, b_folder in folders:
        if a_folder.is_dir() and b_folder.is_dir():
            return _match_by_name(a_folder, b_folder)
        if a_folder.is_dir() or b_folder.is_dir():
            there, missing = sorted((a_folder, b_folder), key=lambda path: not path.is_dir())
            raise MissingInputError(
                f"There is '{there}' but no '{missing}'. Put the partners there, with the same "
                "names."
            )
    aligned = folder / split
    if not aligned.is_dir():
        found = [name for name in SPLITS if has_split(folder, name)]
        pairs_of_folders = ", or in ".join(f"'{a}' and '{b}'" for a, b in folders)
        raise MissingInputError(
            f"'{folder}' has no split '{split}'. Splits found: {', '.join(found) or 'none'}. "
            f"Expected '{aligned}' with images that hold A and B side by side; or one image a "
            f"file, paired by name, in {pairs_of_folders}."
        )
    files = _list_images(aligned)
    if not files:
        raise MissingInputError(
            f"'{aligned}' holds no images (0 files that end in "
            f"{', '.join(images.IMAGE_SUFFIXES)}). Put the pairs there."
        )
    _check_unique(files)
    return [PairFiles(path, None) for path in files]


def two_folders(folder: pathlib.Path, split: str) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Returns where A and B of a split may be, if each has a folder of its own."""
    return [
        (folder / split / "A", folder / split / "B"),
        (folder / "A" / split, folder / "B" / split),
        (folder / f"{split}A", folder / f"{split}B"),
    ]


def has_split(folder: pathlib.Path, split: str) -> bool:
    """Returns whether there is a folder for a split, in any of the layouts."""
    either = [path for pair in two_folders(folder, split) for path in pair]
    return (folder / split).is_dir() or any(path.is_dir() for path in either)


def _match_by_name(a_folder: pathlib.Path, b_folder: pathlib.Path) -> list[PairFiles]:
    a_files, b_files = _list_images(a_folder), _list_images(b_folder)
    _check_unique(a_files)
    _check_unique(b_files)
    a_of, b_of = ({path.stem: path for path in files} for files in (a_files, b_files))
    lonely = [f"'{a_of[stem]}' has no partner in '{b_folder}'" for stem in a_of.keys() - b_of]
    lonely += [f"'{b_of[stem]}' has no partner in '{a_folder}'" for stem in b_of.keys() - a_of]
    if lonely:
        more = len(lonely) - _MOST_FAULTS_SHOWN
        tail = f"; and {more} more" if more > 0 else ""
        raise MissingInputError(
            f"{'; '.join(sorted(lonely)[:_MOST_FAULTS_SHOWN])}{tail}. Pairs have the same name in "
            "both folders, the suffix may differ: add the missing files or take these out."
        )
    if not a_of:
        raise MissingInputError(
            f"'{a_folder}' and '{b_folder}' hold no images. Put the pairs there."
        )
    return [PairFiles(a_of[stem], b_of[stem]) for stem in sorted(a_of)]


def _list_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the images of a folder; pictures that cannot be read are not passed over."""
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in _OTHER_PICTURES and not path.name.startswith(".")
    )
    if others:
        raise InputError(
            f"'{folder}' holds {len(others)} pictures of a kind that is not read, such as "
            f"'{others[0]}'. Convert them to PNG or JPEG, or take them out."
        )
    return images.list_images(folder)


def _check_unique(files: Sequence[pathlib.Path]) -> None:
    seen = {}
    for path in files:
        if path.stem in seen:
            raise InputError(
                f"'{seen[path.stem]}' and '{path}' have the same name but for the suffix, so "
                "which one is meant is not clear. Take one of them out."
            )
        seen[path.stem] = path
