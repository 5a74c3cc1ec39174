"""What Pillow does with pictures: it reads the header of all, and the pixels of some formats.

PNG and JPEG are decoded by TensorFlow, as an exported model does it (`images`).
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image

from pix2pix_tf.data import image_files
from pix2pix_tf.data.image_files import ImageFile

# Pillow's names of what TensorFlow decodes; MPO is a JPEG that more pictures follow.
_BY_TENSORFLOW = ("PNG", "JPEG", "MPO")
_BY_PILLOW = ("BMP", "GIF", "WEBP", "PPM", "TGA")
# Contents decide what a file is, whatever of these it is called.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif"),
    *(".bmp", ".gif", ".webp", ".pbm", ".pgm", ".ppm", ".pnm", ".tga"),
)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_PROFILE_BYTES = 2**20  # The name of a profile stands in its beginning.
MAX_PIXELS = 2**26  # 8192 x 8192: beyond it a small file can exhaust the memory.


def open_picture(path: ImageFile, file: BinaryIO, *, has_pixels: bool = False) -> Image.Image:
    """Returns a picture whose header was read.

    Args:
        path: What messages call it.
        file: Its contents.
        has_pixels: Whether the pixels of a PNG can be had, too; of other formats they can.

    Raises:
        ValueError: If it is of another format, too large, or holds more than one picture.
    """
    beginning = file.read(len(_PNG_SIGNATURE))
    file.seek(0)
    if beginning[4:] == b"ftyp":  # Phones name such photos .jpg, too.
        raise ValueError("a HEIC or AVIF file; save it as JPEG or PNG")
    profile = b""
    if beginning == _PNG_SIGNATURE:
        file, profile = _without_text(file, has_pixels=has_pixels)
    try:
        picture = Image.open(file)
    except Image.UnidentifiedImageError:  # It has the file's place in memory in its message.
        raise ValueError("cannot identify what it is") from None
    if profile:
        picture.info["icc_profile"] = profile
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels; {MAX_PIXELS} is the limit")
    # A Targa file does not begin in a way of its own: damaged others may look like one.
    is_named = picture.format != "TGA" or str(path).lower().endswith(".tga")
    if picture.format not in (*_BY_TENSORFLOW, *_BY_PILLOW) or not is_named:
        raise ValueError(f"it is {picture.format}; PNG, JPEG, BMP, GIF, WebP, PNM, TGA are read")
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise ValueError("it is animated; save the frame that is meant as PNG")
    if picture.format == "PPM" and picture.mode == "F":
        raise ValueError("a PFM file, of fractions; save it as TIFF or .npy")
    if picture.format == "PPM" and picture.mode == "RGB" and _most_of_ppm(picture) > 255:
        raise ValueError("a PPM with 16 bits for each colour; save it as PNG with 16 bits")
    return picture


def channels_and_bits(picture: Image.Image) -> tuple[int, int]:
    """Returns how many channels `read_pixels` gives, and bits of each: 8 or 16."""
    mode = _pixel_mode(picture)
    return Image.getmodebands(mode), 16 if mode == "I" else 8


def read_pixels(path: ImageFile, contents: bytes) -> np.ndarray:
    """Returns the pixels of a file of a format that TensorFlow does not decode.

    Returns:
        uint8 or uint16 `[height, width, channels]`, 1 (grey), 3 (colour) or 4 (with alpha).

    Raises:
        InputError: If it cannot be read, naming it.
    """
    with image_files.reading(path), open_picture(path, io.BytesIO(contents)) as picture:
        mode = _pixel_mode(picture)
        pixels = np.asarray(picture if mode == picture.mode else picture.convert(mode))
    pixels = pixels.astype(np.uint16) if mode == "I" else pixels
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _without_text(file: BinaryIO, *, has_pixels: bool) -> tuple[BinaryIO, bytes]:
    """Returns a PNG without its texts and colour profile, and the beginning of the latter.

    Pillow refuses a sound picture beside which these are long.
    """
    kept, profile = io.BytesIO(), b""
    kept.write(file.read(len(_PNG_SIGNATURE)))
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind in _PNG_TEXT:
            file.seek(length + 4, io.SEEK_CUR)
        elif kind == b"iCCP":
            _, _, packed = file.read(length + 4).partition(b"\0")
            profile = _inflate_beginning(packed[1:])
        elif kind == b"IDAT" and not has_pixels:
            kept.write(start)
            break
        else:
            kept.write(start + file.read(length + 4))
    kept.seek(0)
    return kept, profile


def _inflate_beginning(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _PROFILE_BYTES)
    except zlib.error:
        return b""


def _pixel_mode(picture: Image.Image) -> str:
    """Returns Pillow's mode of the pixels that are read of a picture."""
    if picture.has_transparency_data:
        return "RGBA"
    if picture.mode in ("1", "L"):
        return "L"
    return "I" if picture.mode.startswith("I") else "RGB"


def _most_of_ppm(picture: Image.Image) -> int:
    """Returns the value that is white, where the decoder of such files is told."""
    return picture.tile[0][3][-1] if picture.tile[0][0] != "raw" else 255
