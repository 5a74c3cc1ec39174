"""Finding, checking and reading pairs of images: from files, records, or drawn scenes.

A pair source knows how many pairs it has, their names, and how to read number
`index` as (A, B) pixels. A and B exist only here and in `pipeline`, where the
direction of the translation is resolved.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
import tqdm.auto

from pix2pix_tf.data import augment, images, records, registry, scenes
from pix2pix_tf.data.encoded import ImageFile
from pix2pix_tf.errors import InputError, MissingInputError, list_faults

DEMO = "demo"
SPLITS = ("train", "val", "test")
# Scenes are drawn on demand from an endless series; this is how far each split
# reaches into it, and where. Far apart, so that no test scene is ever trained on.
_DEMO_SPLITS = {"train": (0, 2000), "val": (1_000_000, 100), "test": (2_000_000, 100)}
_DEMO_SEED = 0  # The data set is one for all; a run's own seed shuffles and jitters it.
_MOST_LONELY_SHOWN = 10
# Pairs would be missing without a word if these were passed over like other files.
OTHER_PICTURES = (".gif", ".webp", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".tga")


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
    scaled_to: augment.Size | None = None,
    scene_size: int = 256,
) -> PairSource:
    """Returns the pairs of one split of a data set, their headers checked.

    Args:
        dataset: "demo", a published name, or a folder: of `records`, or in one of the
            layouts of `find_pairs`.
        split: "train", "val" or "test".
        data_dir: Where published sets are kept; empty means Keras' cache.
        a_channels: What A is read as.
        b_channels: What B is read as.
        a_range: The values of A that become -1 and 1; None: all of the integer type.
        b_range: The same of B.
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
        return ScenePairs(split, size=scene_size, a_channels=a_channels, b_channels=b_channels)
    folder = registry.locate(dataset, data_dir)
    settings = dict(
        a_channels=a_channels,
        b_channels=b_channels,
        a_range=a_range,
        b_range=b_range,
        scaled_to=scaled_to,
    )
    if records.is_there(folder):
        return RecordPairs(folder, split, **settings)
    return FilePairs(find_pairs(folder, split), **settings)


def find_split(dataset: str, candidates: Sequence[str], *, data_dir: str = "") -> str | None:
    """Returns the first of the splits `candidates` that a data set has, or None."""
    if dataset == DEMO:
        return candidates[0]
    folder = registry.locate(dataset, data_dir)
    return next((split for split in candidates if has_split(folder, split)), None)


def count_pairs(dataset: str, split: str, *, data_dir: str = "") -> int:
    """Returns how many pairs a split has, or photos that stand for pairs; opens none of them.

    Raises:
        MissingInputError: If the data set or the split is not there.
        InputError: If there are records whose index cannot be used.
    """
    if dataset == DEMO:
        return _DEMO_SPLITS[split][1]
    folder = registry.locate(dataset, data_dir)
    if records.is_there(folder):
        return len(records.Records(folder, split).places)
    return len(find_pairs(folder, split))


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

    a: ImageFile
    b: ImageFile | None = None  # None: `a` holds both, A on the left.

    @property
    def name(self) -> str:
        """The pair's name: the file's, without the suffix."""
        return self.a.stem

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """The one or two of them."""
        return (self.a,) if self.b is None else (self.a, self.b)


def check_size(files: Sequence[ImageFile], infos: Sequence[images.ImageInfo]) -> None:
    """Refuses what cannot be two images of one size.

    Args:
        files: A and B, or the one that holds both; for the message.
        infos: Theirs.

    Raises:
        InputError: If A and B have different sizes, or the one file no two halves.
    """
    a = infos[0]
    if len(infos) == 1:
        if a.width % 2:
            raise InputError(
                f"'{files[0]}' is {a.width} pixels wide, which is odd. A pair has two images of "
                "the same width side by side; for images of their own, put A and B in two "
                "folders."
            )
        if a.width <= a.height:
            # Most likely one image of a pair that was never joined to its partner.
            raise InputError(
                f"'{files[0]}' is {a.width}x{a.height} pixels, too narrow for two images side "
                "by side. Join it with its partner, or put A and B in two folders."
            )
        return
    b = infos[1]
    if (a.width, a.height) != (b.width, b.height):
        raise InputError(
            f"'{files[0]}' is {a.width}x{a.height} pixels and its partner '{files[1]}' "
            f"{b.width}x{b.height}. Bring them to the same size."
        )


def check_scaled(path: ImageFile, width: int, height: int, scaled_to: augment.Size | None) -> None:
    """Refuses a strip so thin that scaling its shorter side up would fill the memory.

    Args:
        path: For the message.
        width: Pixels of the image.
        height: Pixels of the image.
        scaled_to: What it will be scaled to cover; None: nothing.

    Raises:
        InputError: If it would have more than `images.MAX_PIXELS`.
    """
    if scaled_to is None:
        return
    needed = augment.sides_of(scaled_to)
    scale = max(needed[0] / height, needed[1] / width)
    if scale > 1 and width * height * scale**2 > images.MAX_PIXELS:
        raise InputError(
            f"'{path}' has images of {width}x{height} pixels, which would have more than "
            f"{images.MAX_PIXELS} when they are scaled to cover {needed[1]}x{needed[0]}. Crop "
            "them, or take them out."
        )


class _EncodedPairs:
    """What pairs of image files have in common, wherever the files are kept.

    Args:
        a_channels: What A is read as.
        b_channels: What B is read as.
        a_range: The values of A that become -1 and 1; None: all of the integer type.
        b_range: The same of B.
        scaled_to: What pairs will be scaled to cover; None: nothing.
    """

    def __init__(
        self,
        *,
        a_channels: int,
        b_channels: int,
        a_range: tuple[float, float] | None = None,
        b_range: tuple[float, float] | None = None,
        scaled_to: augment.Size | None = None,
    ):
        self._channels = (a_channels, b_channels)
        self._ranges = (a_range, b_range)
        self._scaled_to = scaled_to
        self.dtype = tf.float32 if a_range or b_range else tf.uint8

    def _take(self, infos: Mapping[ImageFile, images.ImageInfo]) -> None:
        """Takes what the headers of all files say, to choose the type of the pixels."""
        if self.dtype == tf.uint8 and max(info.bits for info in infos.values()) == 16:
            self.dtype = tf.uint16

    def _inspect_files(self, pair: PairFiles) -> dict[ImageFile, images.ImageInfo]:
        """Returns what the headers of a pair say, having checked them."""
        infos = [images.inspect_image(file) for file in pair.files]
        self._check(pair.files, infos)
        return dict(zip(pair.files, infos))

    def _check(self, files: Sequence[ImageFile], infos: Sequence[images.ImageInfo]) -> None:
        """Refuses a pair that cannot be read as it was asked for."""
        check_size(files, infos)
        for side in (0, 1):
            # One file is read as either side.
            which = min(side, len(files) - 1)
            self._check_fits(files[which], infos[which], side)
        num_beside = 2 if len(files) == 1 else 1
        check_scaled(files[0], infos[0].width // num_beside, infos[0].height, self._scaled_to)

    def _check_fits(self, path: ImageFile, info: images.ImageInfo, side: int) -> None:
        channels = self._channels[side]
        images.check_fits(path, info, channels=channels, value_range=self._ranges[side])

    def _read_pair(self, pair: PairFiles) -> tuple[np.ndarray, np.ndarray]:
        a = self._read(pair.a, 0)
        if pair.b is not None:
            return a, self._read(pair.b, 1)
        is_alike = self._channels[0] == self._channels[1] and self._ranges[0] == self._ranges[1]
        # Grey and colour side by side share one file: it is decoded again as the other.
        b = a if is_alike else self._read(pair.a, 1)
        middle = a.shape[1] // 2
        return a[:, :middle], b[:, middle:]

    def _read(self, path: ImageFile, side: int) -> np.ndarray:
        """Returns all of a file as A (side 0) or B (side 1) is read."""
        channels, value_range = self._channels[side], self._ranges[side]
        if self.dtype == tf.float32:
            return images.read_image(path, channels=channels, value_range=value_range)
        return images.read_pixels(path, channels=channels, dtype=self.dtype)


class FilePairs(_EncodedPairs):
    """Pairs of image files.

    Every header is read at once, so that a wrong file is refused before any
    slow thing. If one is, the others are read whole, so that all are named at once.

    Args:
        files: Those of each pair.
        **settings: See `open_pairs`.

    Raises:
        InputError: If files are no images, have odd widths, differ in size or would become
            too large when they are scaled, listing them.
    """

    def __init__(self, files: Sequence[PairFiles], **settings):
        super().__init__(**settings)
        self._files = list(files)
        self.names = [pair.name for pair in self._files]
        infos: dict[ImageFile, images.ImageInfo] = {}
        for inspected in inspect_all(self._inspect_files, self._read_pair, self._files):
            infos.update(inspected)
        images.warn_of_colours(infos)
        self._take(infos)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads pair number `index`; raises InputError if a file is damaged."""
        return self._read_pair(self._files[int(index)])


class RecordPairs(_EncodedPairs):
    """Pairs of image files in records, which are what they were as files.

    The index tells the headers, so that opening reads no shard.

    Args:
        folder: Holds records.
        split: "train", "val" or "test".
        **settings: See `open_pairs`.

    Raises:
        MissingInputError: If the split is not there.
        InputError: If the index is damaged, or files do not fit the settings.
    """

    def __init__(self, folder: pathlib.Path, split: str, **settings):
        super().__init__(**settings)
        self._records = records.Records(folder, split)
        self.names = [place.entry.name for place in self._records.places]
        infos: dict[pathlib.Path, images.ImageInfo] = {}
        for inspected in run_on_all(self._inspect, self._records.places):
            infos.update(inspected)
        images.warn_of_colours(infos)
        self._take(infos)

    def _inspect(self, place: records.Place) -> dict[pathlib.Path, images.ImageInfo]:
        """Returns what the index says of the files of a pair, having checked it."""
        infos = [kind.info for kind in place.entry.kinds]
        labels = place.labels
        self._check(labels, infos)
        return dict(zip(labels, infos))

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads pair number `index`; raises InputError if its shard is damaged."""
        return self._read_pair(PairFiles(*self._records.read(int(index))))


class OnePair(_EncodedPairs):
    """One pair of image files, read as one of many is; of its colours nothing is said.

    Args:
        pair: Its files.
        **settings: See `open_pairs`.

    Attributes:
        infos: What the headers of its files say.

    Raises:
        InputError: If training would refuse it by the headers.
    """

    def __init__(self, pair: PairFiles, **settings):
        super().__init__(**settings)
        self._pair = pair
        self.infos = self._inspect_files(pair)
        self._take(self.infos)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B; raises InputError if a file is damaged."""
        return self._read_pair(self._pair)


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
        return run_on_all(inspect, items)
    except InputError:
        run_on_all(inspect_and_read, items)
        raise  # A file has changed meanwhile.


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
        # A damaged shard is one fault of many pairs.
        raise InputError(list_faults(faults, num_items=len(items), what="pairs"))
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
    """Returns whether there is a split, in records or in any of the layouts of `find_pairs`.

    Raises:
        InputError: If there are records whose index cannot be used.
    """
    if records.is_there(folder):
        return split in records.list_splits(folder)
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
        more = len(lonely) - _MOST_LONELY_SHOWN
        tail = f"; and {more} more" if more > 0 else ""
        raise MissingInputError(
            f"{'; '.join(sorted(lonely)[:_MOST_LONELY_SHOWN])}{tail}. Pairs have the same name in "
            "both folders, the suffix may differ: add the missing files or take these out."
        )
    if not a_of:
        raise MissingInputError(
            f"'{a_folder}' and '{b_folder}' hold no images. Put the pairs there."
        )
    return [PairFiles(a_of[stem], b_of[stem]) for stem in sorted(a_of)]


def _list_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the images of a folder; pictures that cannot be read are not passed over."""
    others = list_other_pictures(folder)
    if others:
        raise InputError(
            f"'{folder}' holds {len(others)} pictures of a kind that is not read, such as "
            f"'{others[0].name}'. Convert them to PNG or JPEG, or take them out."
        )
    return images.list_images(folder)


def list_other_pictures(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the pictures of a folder of kinds that are not read, by their suffix, sorted."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in OTHER_PICTURES and not path.name.startswith(".")
    )


def _check_unique(files: Sequence[pathlib.Path]) -> None:
    seen = {}
    for path in files:
        if path.stem in seen:
            raise InputError(
                f"'{seen[path.stem]}' and '{path}' have the same name but for the suffix, so "
                "which one is meant is not clear. Take one of them out."
            )
        seen[path.stem] = path
