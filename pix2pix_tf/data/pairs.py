"""Checking and reading pairs of images: from files, records, or drawn scenes.

A pair source knows how many pairs it has, their names, and how to read number
`index` as (A, B) pixels. A and B exist only here and in `pipeline`, where the
direction of the translation is resolved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import augment, images, layouts, registry, scenes, stores
from pix2pix_tf.data.encoded import ImageFile
from pix2pix_tf.errors import InputError, MissingInputError

DEMO = "demo"
# Scenes are drawn on demand from an endless series; this is how far each split
# reaches into it, and where. Far apart, so that no test scene is ever trained on.
_DEMO_SPLITS = {"train": (0, 2000), "val": (1_000_000, 100), "test": (2_000_000, 100)}
_DEMO_SEED = 0  # The data set is one for all; a run's own seed shuffles and jitters it.


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
        dataset: "demo", a published name, or a folder: see `stores.open_store`.
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
    decoder = PairDecoder(
        a_channels=a_channels,
        b_channels=b_channels,
        a_range=a_range,
        b_range=b_range,
        scaled_to=scaled_to,
    )
    return stores.EncodedPairs(stores.open_store(folder, split), decoder)


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
    folder = registry.locate(dataset, data_dir)
    return len(stores.open_store(folder, split).names)


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


@dataclasses.dataclass(frozen=True)
class PairDecoder:
    """Makes A and B of the files of a pair; a `stores.Decoder`.

    Attributes:
        a_channels: What A is read as.
        b_channels: What B is read as.
        a_range: The values of A that become -1 and 1; None: all of the integer type.
        b_range: The same of B.
        scaled_to: What pairs will be scaled to cover; None: nothing.
    """

    a_channels: int
    b_channels: int
    a_range: tuple[float, float] | None = None
    b_range: tuple[float, float] | None = None
    scaled_to: augment.Size | None = None

    which = slice(None)

    def check(self, infos: stores.Infos) -> None:
        """Refuses a pair that cannot be read as it was asked for; see `open_pairs`."""
        files, found = list(infos), list(infos.values())
        check_size(files, found)
        # One file is read as either side.
        images.check_fits(files[0], found[0], channels=self.a_channels, value_range=self.a_range)
        images.check_fits(files[-1], found[-1], channels=self.b_channels, value_range=self.b_range)
        num_beside = 2 if len(files) == 1 else 1
        check_scaled(files[0], found[0].width // num_beside, found[0].height, self.scaled_to)

    def dtype_of(self, infos: stores.Infos) -> tf.DType:
        """Returns float32, in [-1, 1], if values have a range; else what holds all files."""
        return tf.float32 if self.a_range or self.b_range else stores.pixel_type(infos)

    def decode(self, files: Sequence[ImageFile], dtype: tf.DType) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B; raises InputError if a file is damaged."""
        a = _read(files[0], dtype, self.a_channels, self.a_range)
        # Grey and colour side by side share one file: it is decoded again as the other.
        is_alike = (self.a_channels, self.a_range) == (self.b_channels, self.b_range)
        if len(files) == 1 and is_alike:
            b = a
        else:
            b = _read(files[-1], dtype, self.b_channels, self.b_range)
        if len(files) == 2:
            return a, b
        middle = a.shape[1] // 2
        return a[:, :middle], b[:, middle:]


def _read(path: ImageFile, dtype: tf.DType, channels: int, value_range) -> np.ndarray:
    """Returns all of a file."""
    if dtype == tf.float32:
        return images.read_image(path, channels=channels, value_range=value_range)
    return images.read_pixels(path, channels=channels, dtype=dtype)
