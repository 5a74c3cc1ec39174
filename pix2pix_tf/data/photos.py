"""Photos for colorization, where both sides of a pair are made of one photo.

They come alone, or as the pairs of grey and photo that `python -m pix2pix_tf.prepare colorize`
writes; of those the photo is taken, for the lightness of its grey is that of the photo but for
rounding. See `open_photos`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import augment, images, pairs, records, registry
from pix2pix_tf.data.encoded import ImageFile
from pix2pix_tf.errors import InputError

_CHANNELS = 3
# Of a grey half, saved as JPEG: what colour the other half leaves in it, and how far.
_GREY_LEVELS, _BLURRED_COLUMNS = 4, 16


def open_photos(
    dataset: str,
    split: str,
    *,
    data_dir: str = "",
    photo_side: str = "B",
    scaled_to: augment.Size | None = None,
    scene_size: int = 256,
) -> pairs.PairSource:
    """Returns the photos of one split, each as both sides of a pair; headers are checked.

    In a folder for each side, A and B, the photos are those of `photo_side`. Without such
    folders each image is a photo; but one whose other half is grey while that of `photo_side`
    is not, is a pair side by side. Records are as the files that they were made of.

    Args:
        dataset: "demo", a published name, or a folder; see `pairs.open_pairs`.
        split: "train", "val" or "test".
        data_dir: Where published sets are kept; empty means Keras' cache.
        photo_side: "A" or "B".
        scaled_to: As of `pairs.open_pairs`.
        scene_size: Pixels of a drawn scene.

    Raises:
        MissingInputError: If the data set or the split is not there.
        InputError: If files are no photos, listing them.
    """
    if dataset == pairs.DEMO:
        return _ScenePhotos(split, size=scene_size)
    folder = registry.locate(dataset, data_dir)
    settings = dict(photo_side=photo_side, scaled_to=scaled_to)
    if records.is_there(folder):
        return _PhotoRecords(folder, split, **settings)
    return _PhotoFiles(pairs.find_pairs(folder, split), **settings)


class _ScenePhotos(pairs.ScenePairs):
    """The renderings of the `demo` set."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws scene number `index` of the split."""
        _, photo = super().read(index)
        return photo, photo


class _EncodedPhotos:
    """What photos have in common, wherever their files are kept; see `open_photos`."""

    dtype = tf.uint8

    def __init__(self, *, photo_side: str, scaled_to: augment.Size | None):
        self._photo_side = photo_side
        self._scaled_to = scaled_to

    def _take(self, infos: Mapping[ImageFile, images.ImageInfo]) -> None:
        """Takes what the headers of all photos say, to choose the type of the pixels."""
        if any(info.bits == 16 for info in infos.values()):
            self.dtype = tf.uint16

    def _inspect_files(self, files: Sequence[ImageFile]) -> tuple[ImageFile, images.ImageInfo]:
        """Returns the file of the photo and what its header says, having checked it."""
        file = self._photo_of(files)
        info = images.inspect_image(file)
        self._check(file, info)
        return file, info

    def _photo_of(self, sides: Sequence):
        """Returns that of the photo, of what a pair has one of for each of its files."""
        return sides[-1 if self._photo_side == "B" else 0]

    def _check(self, file: ImageFile, info: images.ImageInfo) -> None:
        images.check_fits(file, info, channels=_CHANNELS)
        if not info.is_array and info.channels < _CHANNELS:
            raise _grey(file)
        pairs.check_scaled(file, info.width, info.height, self._scaled_to)

    def _read_photo(self, files: Sequence[ImageFile]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the photo of a pair twice, the very same array."""
        file = self._photo_of(files)
        pixels = images.read_pixels(file, channels=_CHANNELS, dtype=self.dtype)
        photo = pixels if len(files) == 2 else self._without_grey(pixels)
        # Of most photos the first comparison is enough.
        red, green, blue = np.moveaxis(photo, -1, 0)
        if np.array_equal(red, green) and np.array_equal(green, blue):
            raise _grey(file)
        return photo, photo

    def _without_grey(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the photo of a pair side by side; what is no such pair is a photo itself."""
        width = pixels.shape[1]
        if width % 2:
            return pixels
        halves = [pixels[:, : width // 2], pixels[:, width // 2 :]]
        photo, other = halves[::-1] if self._photo_side == "B" else halves
        return photo if _is_grey(other) and not _is_grey(photo) else pixels


class _PhotoFiles(_EncodedPhotos):
    """Photos in files; see `open_photos`."""

    def __init__(self, files: Sequence[pairs.PairFiles], **settings):
        super().__init__(**settings)
        self._files = [pair.files for pair in files]
        self.names = [pair.name for pair in files]
        infos = dict(pairs.inspect_all(self._inspect_files, self._read_photo, self._files))
        images.warn_of_colours(infos)
        self._take(infos)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns photo number `index` twice."""
        return self._read_photo(self._files[int(index)])


class _PhotoRecords(_EncodedPhotos):
    """Photos in records; see `open_photos`."""

    def __init__(self, folder: pathlib.Path, split: str, **settings):
        super().__init__(**settings)
        self._records = records.Records(folder, split)
        self.names = [place.entry.name for place in self._records.places]
        infos = dict(pairs.run_on_all(self._inspect, self._records.places))
        images.warn_of_colours(infos)
        self._take(infos)

    def _inspect(self, place: records.Place) -> tuple[ImageFile, images.ImageInfo]:
        label = self._photo_of(place.labels)
        info = self._photo_of(place.entry.kinds).info
        self._check(label, info)
        return label, info

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns photo number `index` twice; raises InputError if its shard is damaged."""
        return self._read_photo(self._records.read(int(index)))


class OnePhoto(_EncodedPhotos):
    """One photo, read as one of many is; of its colour profile nothing is said.

    Args:
        pair: Its file, or those of the pair that it is in.
        photo_side: As of `open_photos`.
        scaled_to: As of `open_photos`.

    Attributes:
        infos: What the header of its file says.

    Raises:
        InputError: If training would refuse it by the header.
    """

    def __init__(
        self, pair: pairs.PairFiles, *, photo_side: str, scaled_to: augment.Size | None = None
    ):
        super().__init__(photo_side=photo_side, scaled_to=scaled_to)
        self._files = pair.files
        self.infos = dict([self._inspect_files(self._files)])
        self._take(self.infos)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the photo twice; raises InputError if its file is damaged, or it is grey."""
        return self._read_photo(self._files)


def _grey(file: ImageFile) -> InputError:
    return InputError(f"'{file}' is grey, so no colours can be learnt from it. Take it out.")


def _is_grey(half: np.ndarray) -> bool:
    """Returns whether half of an image has no colours, but next to the other half."""
    margin = min(_BLURRED_COLUMNS, (half.shape[1] - 1) // 2)
    inner = half[:, margin : half.shape[1] - margin].astype(np.int32)
    most = _GREY_LEVELS * (257 if half.dtype == np.uint16 else 1)
    return int(np.ptp(inner, axis=-1).max()) <= most
