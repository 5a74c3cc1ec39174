"""Photos for colorization, where both sides of a pair are made of one photo.

They come alone, or as the pairs of grey and photo that `python -m pix2pix_tf.prepare colorize`
writes; of those the photo is taken, for the lightness of its grey is that of the photo but for
rounding. See `open_photos`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import images, pairs, registry
from pix2pix_tf.errors import InputError

_CHANNELS = 3
# Of a grey half, saved as JPEG: what colour the other half leaves in it, and how far.
_GREY_LEVELS, _BLURRED_COLUMNS = 4, 16


def open_photos(
    dataset: str, split: str, *, data_dir: str = "", photo_side: str = "B", scene_size: int = 256
) -> pairs.PairSource:
    """Returns the photos of one split, each as both sides of a pair; headers are checked.

    In a folder for each side, A and B, the photos are those of `photo_side`. Without such
    folders each image is a photo; but one whose other half is grey while that of `photo_side`
    is not, is a pair side by side.

    Args:
        dataset: "demo", a published name, or a folder; see `pairs.find_pairs`.
        split: "train", "val" or "test".
        data_dir: Where published sets are kept; empty means Keras' cache.
        photo_side: "A" or "B".
        scene_size: Pixels of a drawn scene.

    Raises:
        MissingInputError: If the data set or the split is not there.
        InputError: If files are no photos, listing them.
    """
    if dataset == pairs.DEMO:
        return _ScenePhotos(split, size=scene_size)
    return _PhotoFiles(_find(dataset, split, data_dir), photo_side=photo_side)


def _find(dataset: str, split: str, data_dir: str) -> Sequence[pairs.PairFiles]:
    return pairs.find_pairs(registry.locate(dataset, data_dir), split)


class _ScenePhotos(pairs.ScenePairs):
    """The renderings of the `demo` set."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws scene number `index` of the split."""
        _, photo = super().read(index)
        return photo, photo


class _PhotoFiles:
    """Photos of files; see `open_photos`."""

    def __init__(self, files: Sequence[pairs.PairFiles], *, photo_side: str):
        self._photo_side = photo_side
        self._files = list(files)
        self.names = [pair.name for pair in self._files]
        infos = dict(pairs.run_on_all(self._inspect, self._files))
        images.warn_of_colours(infos)
        is_deep = any(info.bits == 16 for info in infos.values())
        self.dtype = tf.uint16 if is_deep else tf.uint8

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns photo number `index` twice, the very same array."""
        pair = self._files[int(index)]
        pixels = images.read_pixels(self._path(pair), channels=_CHANNELS, dtype=self.dtype)
        photo = pixels if pair.b is not None else self._without_grey(pixels)
        return photo, photo

    def _path(self, pair: pairs.PairFiles) -> pathlib.Path:
        return pair.b if pair.b is not None and self._photo_side == "B" else pair.a

    def _inspect(self, pair: pairs.PairFiles) -> tuple[pathlib.Path, images.ImageInfo]:
        path = self._path(pair)
        info = images.inspect_image(path)
        images.check_fits(path, info, channels=_CHANNELS)
        if not info.is_array and info.channels < _CHANNELS:
            raise InputError(f"'{path}' is grey, so no colours can be learnt from it. Take it out.")
        return path, info

    def _without_grey(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the photo of a pair side by side; what is no such pair is a photo itself."""
        width = pixels.shape[1]
        if width % 2:
            return pixels
        halves = [pixels[:, : width // 2], pixels[:, width // 2 :]]
        photo, other = halves[::-1] if self._photo_side == "B" else halves
        return photo if _is_grey(other) and not _is_grey(photo) else pixels


def _is_grey(half: np.ndarray) -> bool:
    """Returns whether half of an image has no colours, but next to the other half."""
    margin = min(_BLURRED_COLUMNS, (half.shape[1] - 1) // 2)
    inner = half[:, margin : half.shape[1] - margin].astype(np.int32)
    most = _GREY_LEVELS * (257 if half.dtype == np.uint16 else 1)
    return int(np.ptp(inner, axis=-1).max()) <= most
