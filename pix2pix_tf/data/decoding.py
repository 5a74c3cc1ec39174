"""What a training makes of the files of a pair: A and B of a pair, or both of one photo.

A decoder is given the headers of all files first, so that what cannot be used is refused before
any slow thing, and then the files of one pair at a time: it reads their values, and scales them.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Union

import numpy as np
import tensorflow as tf
from absl import logging

from pix2pix_tf.data import images, orientation, values
from pix2pix_tf.data.image_files import ImageFile
from pix2pix_tf.errors import InputError, printable

# By what messages call the files.
Infos = Mapping[str, images.ImageInfo]
_PHOTO_CHANNELS = 3
# The longer side by the shorter one: a thinner strip would fill the memory when the shorter one is
# scaled up for training.
_THINNEST = 500
# In a grey half, saved as JPEG: what colour the other half leaves in it, and how far.
_GREY_LEVELS, _BLURRED_COLUMNS = 4, 16


@dataclasses.dataclass(frozen=True)
class PairDecoder:
    """Makes A and B of the files of a pair.

    The values of a range become -1 and 1; without one, those of the integer type do.
    """

    a_channels: int = 3
    b_channels: int = 3
    a_range: tuple[float, float] | None = None
    b_range: tuple[float, float] | None = None

    which = slice(None)  # The files of a pair that are decoded.

    def check(self, infos: Infos) -> None:
        """Raises InputError if the files of a pair, with these headers, cannot be used."""
        files, found = list(infos), list(infos.values())
        check_size(files, found)
        # One file is read as either side.
        images.check_fits(files[0], found[0], channels=self.a_channels, value_range=self.a_range)
        images.check_fits(files[-1], found[-1], channels=self.b_channels, value_range=self.b_range)
        _check_strip(files[0], found[0], num_beside=2 if len(files) == 1 else 1)

    def dtype_of(self, infos: Infos) -> tf.DType:
        """Returns float32, in [-1, 1], if values have a range; else what holds all files."""
        return tf.float32 if self.a_range or self.b_range else _pixel_type(infos)

    def read(self, files: Sequence[ImageFile], dtype: tf.DType) -> tuple[np.ndarray, np.ndarray]:
        """Returns the values of A and B, not yet scaled; raises InputError if a file is damaged."""
        # What is side by side is decoded once, or again if B is to have other channels.
        as_a, as_b = (self.a_channels, self.a_range), (self.b_channels, self.b_range)
        a = _read(files[0], dtype, *as_a)
        b = a if len(files) == 1 and as_a == as_b else _read(files[-1], dtype, *as_b)
        middle = a.shape[1] // 2
        return (a, b) if len(files) == 2 else (a[:, :middle], b[:, middle:])

    def scale(self, sides: tuple[np.ndarray, np.ndarray], dtype: tf.DType):
        """Returns A and B as `dtype` from what `read` gave."""
        if dtype != tf.float32:
            return sides
        return tuple(map(images.scale_values, sides, (self.a_range, self.b_range)))


@dataclasses.dataclass(frozen=True)
class PhotoDecoder:
    """Makes both sides of a pair of its photo, for colorization.

    In a folder for each side, A and B, the photos are those of `photo_side`. Without such folders
    each image is a photo; but one whose other half is grey while that of `photo_side` is not, is
    a pair side by side, as `pix2pix prepare colorize` writes them.
    """

    photo_side: str  # "A" or "B".

    @property
    def which(self) -> slice:
        """The file of the photo."""
        return slice(-1, None) if self.photo_side == "B" else slice(1)

    def check(self, infos: Infos) -> None:
        """Raises InputError if a file with this header is not a photo."""
        ((file, info),) = infos.items()
        images.check_fits(file, info, channels=_PHOTO_CHANNELS)
        if not info.is_array and info.channels < _PHOTO_CHANNELS:
            raise _grey(file)
        _check_strip(file, info)

    def dtype_of(self, infos: Infos) -> tf.DType:
        """Returns what holds the pixels of all photos."""
        return _pixel_type(infos)

    def read(self, files: Sequence[ImageFile], dtype: tf.DType) -> tuple[np.ndarray, np.ndarray]:
        """Returns the photo of a pair twice; raises InputError if it is damaged or grey."""
        (file,) = files[self.which]
        photo = images.read_pixels(file, channels=_PHOTO_CHANNELS, dtype=dtype)
        if len(files) == 1 and photo.shape[1] % 2 == 0:
            halves = np.split(photo, 2, axis=1)
            half, other = halves[::-1] if self.photo_side == "B" else halves
            photo = half if _is_grey(other) and not _is_grey(half) else photo
        # Of most photos the first comparison is enough.
        red, green, blue = np.moveaxis(photo, -1, 0)
        if np.array_equal(red, green) and np.array_equal(green, blue):
            raise _grey(file)
        return photo, photo

    def scale(self, sides: tuple[np.ndarray, np.ndarray], dtype: tf.DType):
        """Returns the pixels as they are."""
        return sides


Decoder = Union[PairDecoder, PhotoDecoder]


def inspect(files: Sequence[ImageFile], decoder: Decoder) -> Infos:
    """Returns the headers of the files of a pair; raises InputError if they cannot be used."""
    infos = {str(file): images.inspect_image(file) for file in files[decoder.which]}
    decoder.check(infos)
    return infos


def read_and_look(
    files: Sequence[ImageFile], decoder: Decoder, dtype: tf.DType
) -> tuple[tuple[np.ndarray, np.ndarray], values.PairLook]:
    """Returns what a decoder reads of a pair, not yet scaled, and what is to be known of it."""
    sides = decoder.read(files, dtype)
    # The folder of the split too: names alone are the same in all.
    names = ["/".join(pathlib.PurePath(str(file)).parts[-3:]) for file in files[decoder.which]]
    if isinstance(decoder, PhotoDecoder):  # Both sides are the photo.
        return sides, values.look_at_pair(names, sides[:1], [None])
    return sides, values.look_at_pair(names, sides, [decoder.a_range, decoder.b_range])


def check_size(files: Sequence[ImageFile], infos: Sequence[images.ImageInfo]) -> None:
    """Refuses A and B, or one file that should hold both, which cannot be two images of a size.

    Raises:
        InputError: If the headers, `infos`, have different sizes, or the one cannot be halved.
    """
    a, b = infos[0], infos[-1]
    # A narrow one is most likely an image of a pair that was never joined to its partner.
    if len(infos) == 1 and (a.width % 2 or a.width <= a.height):
        raise InputError(
            f"'{files[0]}' is {a.width}x{a.height} pixels, which cannot be two images of the same "
            "width side by side. Join it with its partner, or put A and B in two folders."
        )
    if (a.width, a.height) != (b.width, b.height):
        remedy = "Bring them to the same size."
        if (a.width, a.height) == (b.height, b.width):
            turned = [file for file, info in zip(files, infos) if info.exif_orientation >= 5]
            reason = f", since Exif turns '{turned[0]}' alone" if len(turned) == 1 else ""
            remedy = f"One of them lies on its side{reason}. Turn it, or the other, and save it."
        raise InputError(
            f"'{files[0]}' is {a.width}x{a.height} pixels and its partner '{files[1]}' "
            f"{b.width}x{b.height}. {remedy}"
        )


def warn_of_turns(pairs: Sequence[Infos]) -> None:
    """Says how many pairs have a side that Exif turns while nothing turns the other, if any.

    Where the sizes tell, they agree: that the other was turned for good. Of a square they do not.
    """
    found = []
    for infos in pairs:
        turned = [(k, v) for k, v in infos.items() if v.exif_orientation != orientation.UPRIGHT]
        if len(infos) == 2 and len(turned) == 1:
            ((file, info),) = turned
            if info.width == info.height or info.exif_orientation < 5:
                found.append(file)
    if found:
        text = (
            "%d of %d pairs have one side that is turned as its Exif says, and another that states "
            "no turn, '%s' for one. Look whether both are the same way up."
        )
        logging.warning(text, len(found), len(pairs), printable(found[0]))


def _check_strip(file: ImageFile, info: images.ImageInfo, *, num_beside: int = 1) -> None:
    shorter, longer = sorted((info.width // num_beside, info.height))
    if longer > _THINNEST * shorter:
        raise InputError(
            f"'{file}' is {info.width}x{info.height} pixels, too thin a strip to be scaled. Crop "
            "it, or take it out."
        )


def _pixel_type(infos: Infos) -> tf.DType:
    """Returns what holds the pixels of all files: uint16 if one has 16 bits, else uint8."""
    return tf.uint16 if any(info.bits == 16 for info in infos.values()) else tf.uint8


def _read(file: ImageFile, dtype: tf.DType, channels: int, value_range) -> np.ndarray:
    if dtype == tf.float32:
        return images.read_values(file, channels=channels, value_range=value_range)
    return images.read_pixels(file, channels=channels, dtype=dtype)


def _grey(file: ImageFile) -> InputError:
    return InputError(f"'{file}' is grey, so colours cannot be learnt from it. Take it out.")


def _is_grey(half: np.ndarray) -> bool:
    """Returns whether half of an image has no colours, but next to the other half."""
    margin = min(_BLURRED_COLUMNS, (half.shape[1] - 1) // 2)
    inner = half[:, margin : half.shape[1] - margin].astype(np.int32)
    most = _GREY_LEVELS * (257 if half.dtype == np.uint16 else 1)
    return int(np.ptp(inner, axis=-1).max()) <= most
