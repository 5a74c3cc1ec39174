"""NumPy arrays and TIFF files: pictures with any number of channels and of any real type.

A `.npy` holds `[height, width]` or `[height, width, channels]`. A TIFF holds its channels
together (chunky), in planes, or a page each; it is read with tifffile, an optional
package, and with imagecodecs where its compression asks for it. Nothing is converted here: the
values are those of the file.
"""

from __future__ import annotations

import io
import itertools
import logging
import re
import zlib
from typing import BinaryIO

import numpy as np

from pix2pix_tf.config import MAX_CHANNELS
from pix2pix_tf.data import image_files
from pix2pix_tf.data.image_files import ImageFile
from pix2pix_tf.errors import InputError

TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (".npy", *TIFF_SUFFIXES)
# Values in a file: as many as 8192 x 8192 pixels of 4 channels, 1 GiB as float32.
MAX_VALUES = 2**28
# What tifffile calls channels: beside each other, in planes, in pages (Q: of an unknown kind; Z:
# as ImageJ makes a stack of images).
_CHANNEL_AXES = ("", "S", "C", "I", "Q", "Z")
_AXES = {"T": "times", "Z": "slices", "C": "channels", "S": "samples a pixel"}
# Values of TIFF's PhotometricInterpretation that mean what they say; the third in a JPEG.
_MIN_IS_BLACK, _RGB, _YCBCR = 1, 2, 6
_JPEG = 7
# None, LZW, JPEG, deflate, PackBits, deflate as it was, and Zstandard. Others can hold more
# than the header says, and fill the memory.
_DEFLATED = (8, 32946)
_COMPRESSIONS = (1, 5, _JPEG, *_DEFLATED, 32773, 50000)
# How the frame of a JPEG begins: marker, length, bits, height and width.
_JPEG_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..[\x08\x0c](..)(..)", re.S)
_ORIENTATION = 274  # TIFF's tag; 1 is upright.
_MAX_PAGES = 256  # Channels, and smaller copies.


def is_array(path: ImageFile) -> bool:
    """Returns whether a file is one of those that this module reads, by its suffix."""
    return str(path).lower().endswith(SUFFIXES)


def inspect(path: ImageFile) -> tuple[tuple[int, int, int], np.dtype]:
    """Returns (height, width, channels) and the type of the values, without reading these.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it is damaged, too large, or holds something else than one picture.
    """
    with image_files.reading(path, "an array"), image_files.open_file(path) as file:
        if _is_tiff(path):
            with _open_tiff(file, path) as tiff:
                series = _find_picture(tiff, path)
                sizes = dict(zip(series.axes, series.shape))
                shape = (sizes.pop("Y"), sizes.pop("X"), *sizes.values())
                dtype = np.dtype(series.dtype)
        else:
            is_first = np.lib.format.read_magic(file) == (1, 0)
            name = "read_array_header_1_0" if is_first else "read_array_header_2_0"
            shape, _, dtype = getattr(np.lib.format, name)(file)
        if len(shape) not in (2, 3):
            raise ValueError(f"its shape is {shape}, not [height, width, channels]")
        if dtype.kind == "b":
            raise InputError(
                f"'{path}' holds true and false (bool), not numbers. Save it with 8 bits, as 0 and "
                "255 (of an array x: 255 * x.astype('uint8'))."
            )
        if dtype.kind not in "uif":  # Of NumPy: unsigned, signed, floating.
            raise ValueError(f"its values are of type {dtype}, not numbers")
        shape = (*shape, 1)[:3]
        if shape[0] <= MAX_CHANNELS < min(shape[1:]):
            raise InputError(
                f"'{path}' is of the shape {shape}, most likely [channels, height, width]. Save it "
                "as [height, width, channels] (of an array x: numpy.moveaxis(x, 0, -1))."
            )
        if min(shape) < 1 or np.prod(shape, dtype=object) > MAX_VALUES:
            raise ValueError(f"its shape is {shape}; from 1 to {MAX_VALUES} values are read")
    return shape, dtype


def read(path: ImageFile) -> np.ndarray:
    """Returns the values of a file, `[height, width, channels]`.

    Raises:
        MissingInputError: If there is no such file.
        InputError: As `inspect`; or if a value is NaN or infinite.
    """
    shape, dtype = inspect(path)
    with image_files.reading(path, "an array"), image_files.open_file(path) as file:
        if _is_tiff(path):
            with _open_tiff(file, path) as tiff:
                series = _find_picture(tiff, path)
                axis = series.axes.replace("Y", "").replace("X", "")
                values = _decode(series, file, path)
                values = np.moveaxis(values, series.axes.index(axis), -1) if axis else values
        else:
            values = np.load(file, allow_pickle=False)
        values = values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "f" and (count := values.size - np.isfinite(values).sum()):
        raise InputError(
            f"'{path}' has {count:,} of {values.size:,} values that are NaN or infinite. Replace "
            "them, or take the file out of the folder."
        )
    return values


def encode(values: np.ndarray, suffix: str) -> bytes:
    """Returns the bytes of a file of `suffix`, one of `SUFFIXES`: `[height, width, channels]`."""
    buffer = io.BytesIO()
    if suffix.lower() in TIFF_SUFFIXES:
        # One picture with its channels together, not a page for each row.
        picture = values[..., 0] if values.shape[-1] == 1 else values
        planes = {} if picture.ndim == 2 else dict(planarconfig="contig")
        tifffile = image_files.import_for(f"*{suffix}", "tifffile", "tifffile")
        options = dict(photometric="minisblack", compression="zlib", metadata=None, **planes)
        tifffile.imwrite(buffer, picture, **options)
    else:
        np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _is_tiff(path: ImageFile) -> bool:
    return str(path).lower().endswith(TIFF_SUFFIXES)


def _open_tiff(file: BinaryIO, path: ImageFile):
    # It writes what is wrong with a file to stderr; ours is the message of the exception.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    tifffile = image_files.import_for(path, "tifffile", "tifffile")
    # OME-XML in a file may name others, which would be read as well, wherever they are.
    return tifffile.TiffFile(file, is_ome=False, _multifile=False)


def _find_picture(file, path: ImageFile):
    """Returns the first picture of a TIFF, after which smaller copies may follow."""
    # tifffile follows the chain of pages wherever it leads, into itself for ever.
    if next(itertools.islice(file.pages, _MAX_PAGES, None), None) is not None:
        raise ValueError(f"more than {_MAX_PAGES} pages, or one that is followed by itself")
    series = file.series[0]
    page, axes = series.keyframe, series.axes
    if not {"Y", "X"} <= set(axes) or axes.replace("Y", "").replace("X", "") not in _CHANNEL_AXES:
        sizes = zip(series.shape, axes)
        held = ", ".join(f"{n} {_AXES.get(axis, 'pages')}" for n, axis in sizes if axis not in "YX")
        raise InputError(
            f"'{path}' is a stack of {held}, not the channels of one picture. Save each picture "
            "as a file of its own (Fiji: Image > Stacks > Make Substack)."
        )
    kind, orientation = page.photometric, page.tags.valueof(_ORIENTATION, 1)
    is_plain = kind in (_MIN_IS_BLACK, _RGB) or (kind == _YCBCR and page.compression == _JPEG)
    if not is_plain or orientation != 1:
        raise InputError(
            f"'{path}' is a TIFF of kind {getattr(kind, 'name', kind)} with the orientation "
            f"{orientation}; MINISBLACK or RGB is read, stored upright. Save it as RGB or grey, or "
            "as PNG."
        )
    if page.compression not in _COMPRESSIONS:
        name = getattr(page.compression, "name", page.compression)
        raise InputError(
            f"'{path}' is compressed as {name}, which is not read. Save it with deflate, LZW, or "
            "without compression (gdal_translate -co COMPRESS=DEFLATE, or Fiji)."
        )
    return series


def _decode(series, file: BinaryIO, path: ImageFile) -> np.ndarray:
    if series.keyframe.compression == _JPEG:
        for page in series.pages:
            _check_jpegs(page, file)
    if series.keyframe.compression in _DEFLATED:
        for page in series.pages:
            _check_inflates(page, file)
    try:
        return series.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise InputError(
            f"'{path}' can be read where imagecodecs is installed ({error}). Run: python -m pip "
            "install imagecodecs. Or save the file without compression."
        ) from None


def _check_jpegs(page, file: BinaryIO) -> None:
    """Refuses a page whose JPEGs are far larger than it: decoded, they would fill the memory."""
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        file.seek(offset)
        for sides in _JPEG_FRAME.findall(file.read(count)):
            height, width = (int.from_bytes(side, "big") for side in sides)
            if 4 * height * width > MAX_VALUES:
                raise ValueError(f"a JPEG in it has {width}x{height} pixels")


def _check_inflates(page, file: BinaryIO) -> None:
    """Refuses a page whose parts inflate to more than its picture: they would fill the memory."""
    # A part is a strip, or a tile; those at the border are padded.
    limit = int(np.prod(page.chunks, dtype=object)) * page.dtype.itemsize
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        file.seek(offset)
        if len(zlib.decompressobj().decompress(file.read(count), limit + 1)) > limit:
            raise ValueError("it inflates to more than its picture")
