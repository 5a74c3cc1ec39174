"""Photos for colorization, where both sides of a pair are made of one photo.

They come alone, or as the pairs of grey and photo that `python -m pix2pix_tf.prepare colorize`
writes; of those the photo is taken, for the lightness of its grey is that of the photo but for
rounding. See `open_photos`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import augment, images, pairs, registry, stores
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
    decoder = PhotoDecoder(photo_side, scaled_to)
    return stores.EncodedPairs(stores.open_store(folder, split), decoder)


class _ScenePhotos(pairs.ScenePairs):
    """The renderings of the `demo` set."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws scene number `index` of the split."""
        _, photo = super().read(index)
        return photo, photo


@dataclasses.dataclass(frozen=True)
class PhotoDecoder:
    """Makes both sides of a pair of its photo; a `stores.Decoder`.

    Attributes:
        photo_side: As of `open_photos`.
        scaled_to: As of `open_photos`.
    """

    photo_side: str
    scaled_to: augment.Size | None = None

    @property
    def which(self) -> slice:
        """The file of the photo."""
        return slice(-1, None) if self.photo_side == "B" else slice(1)

    def check(self, infos: stores.Infos) -> None:
        """Refuses what is no photo, by its header."""
        ((file, info),) = infos.items()
        images.check_fits(file, info, channels=_CHANNELS)
        if not info.is_array and info.channels < _CHANNELS:
            raise _grey(file)
        pairs.check_scaled(file, info.width, info.height, self.scaled_to)

    def dtype_of(self, infos: stores.Infos) -> tf.DType:
        """Returns what holds the pixels of all photos."""
        return stores.pixel_type(infos)

    def decode(self, files: Sequence[ImageFile], dtype: tf.DType) -> tuple[np.ndarray, np.ndarray]:
        """Returns the photo of a pair twice, the very same array.

        Raises:
            InputError: If its file is damaged, or it is grey.
        """
        (file,) = files[self.which]
        pixels = images.read_pixels(file, channels=_CHANNELS, dtype=dtype)
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
        photo, other = halves[::-1] if self.photo_side == "B" else halves
        return photo if _is_grey(other) and not _is_grey(photo) else pixels


def _grey(file: ImageFile) -> InputError:
    return InputError(f"'{file}' is grey, so no colours can be learnt from it. Take it out.")


def _is_grey(half: np.ndarray) -> bool:
    """Returns whether half of an image has no colours, but next to the other half."""
    margin = min(_BLURRED_COLUMNS, (half.shape[1] - 1) // 2)
    inner = half[:, margin : half.shape[1] - margin].astype(np.int32)
    most = _GREY_LEVELS * (257 if half.dtype == np.uint16 else 1)
    return int(np.ptp(inner, axis=-1).max()) <= most
