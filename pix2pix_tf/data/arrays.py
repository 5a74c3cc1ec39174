"""NumPy arrays and TIFF files: pictures with any number of channels and of any real type.

A `.npy` holds `[height, width]` or `[height, width, channels]`. A TIFF holds its channels
together (chunky), in planes, or a page each; it is read with tifffile, an optional
package. Nothing is converted here: the values are those of the file, which may lie in memory.
"""

from __future__ import annotations

import importlib
import io
import itertools
import logging
import zlib
from types import ModuleType

import numpy as np

from pix2pix_tf.data import encoded, library_warnings
from pix2pix_tf.data.encoded import ImageFile
from pix2pix_tf.errors import InputError, MissingInputError

TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (".npy", *TIFF_SUFFIXES)
# Values in a file: as many as 8192 x 8192 pixels of 4 channels, 1 GiB as float32.
MAX_VALUES = 2**28
_REAL_KINDS = "uif"  # Of NumPy: unsigned, signed, floating.
# Where tifffile finds channels: beside each other, in planes, in pages (Q: of no known kind).
_CHANNEL_AXES = "SCIQ"
_DEFLATED = (8, 32946, 50013)  # The numbers that TIFF has for it.
_LZMA = 34925
_MIN_IS_BLACK, _RGB = 1, 2  # Values of TIFF's PhotometricInterpretation that mean what they say.
_ORIENTATION = 274  # TIFF's tag; 1 is upright.
_MAX_PAGES = 256  # Of a TIFF: channels, and smaller copies.


def is_array(path: ImageFile) -> bool:
    """Returns whether a file is one of those that this module reads, by its suffix."""
    return encoded.as_file(path).suffix.lower() in SUFFIXES


def inspect(path: ImageFile) -> tuple[tuple[int, int, int], np.dtype]:
    """Returns (height, width, channels) and the type of the values, without reading these.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it is damaged, too large, or holds something else than one picture.
    """
    encoded.require(path)
    shape, dtype = _attempt(_inspect_tiff if _is_tiff(path) else _inspect_npy, path)
    if dtype.kind not in _REAL_KINDS:
        raise InputError(
            f"'{path}' holds values of type {dtype}. Write them as integers or floating point "
            "numbers."
        )
    if min(shape) == 0:
        raise InputError(f"'{path}' is empty, {_text_of(shape)}. Take it out of the folder.")
    if np.prod(shape, dtype=object) > MAX_VALUES:
        raise InputError(
            f"'{path}' has {_text_of(shape)}, more than {MAX_VALUES} values, the limit of what is "
            "read. Cut it into smaller ones."
        )
    return shape, dtype


def read(path: ImageFile) -> np.ndarray:
    """Returns the values of a file, `[height, width, channels]`.

    Raises:
        MissingInputError: If there is no such file.
        InputError: As `inspect`; or if a value is NaN or infinite.
    """
    shape, _ = inspect(path)
    read_values = _read_tiff if _is_tiff(path) else _read_npy
    values = _attempt(lambda path: read_values(path).reshape(shape), path)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int(values.size - np.isfinite(values).sum())
        raise InputError(
            f"'{path}' has {count:,} values that are NaN or infinite. Replace them, or take the "
            "file out of the folder."
        )
    return values


def encode(values: np.ndarray, suffix: str) -> bytes:
    """Returns the bytes of a file.

    Args:
        values: `[height, width, channels]`.
        suffix: One of `SUFFIXES`.

    Raises:
        InputError: If it is that of a TIFF, and tifffile is not installed.
    """
    buffer = io.BytesIO()
    if suffix.lower() in TIFF_SUFFIXES:
        # One picture with its channels together, not a page for each row.
        picture = values[..., 0] if values.shape[-1] == 1 else values
        planes = {} if picture.ndim == 2 else dict(planarconfig="contig")
        _import_tifffile(f"*{suffix}").imwrite(
            buffer, picture, photometric="minisblack", compression="zlib", metadata=None, **planes
        )
    else:
        np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _is_tiff(path: ImageFile) -> bool:
    return encoded.as_file(path).suffix.lower() in TIFF_SUFFIXES


def _attempt(function, path: ImageFile):
    """Returns `function(path)`; what it raises becomes the user's error."""
    try:
        with library_warnings.ignored():  # Of headers that are odd; odd ones that matter fail.
            return function(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise MissingInputError(f"There is no file '{path}'. Check the name.") from None
    except Exception as error:  # numpy and tifffile raise nearly anything on damaged files.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"'{path}' cannot be read as an array ({reason}). Replace it, or take it out of the "
            "folder."
        ) from None


def _open_npy(path: ImageFile) -> np.ndarray:
    """Returns the array as it lies in the file, whose size numpy compares with the header."""
    if isinstance(path, encoded.EncodedFile):
        array = np.load(encoded.for_library(path), allow_pickle=False)
    else:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError("it is an archive of arrays")
    if array.ndim not in (2, 3):
        raise InputError(
            f"'{path}' has the shape {array.shape}. Write it as [height, width], or as [height, "
            "width, channels]."
        )
    return array


def _inspect_npy(path: ImageFile) -> tuple[tuple[int, int, int], np.dtype]:
    array = _open_npy(path)
    height, width, channels = (*array.shape, 1)[:3]
    return (height, width, channels), array.dtype


def _read_npy(path: ImageFile) -> np.ndarray:
    return np.array(_open_npy(path))


def _inspect_tiff(path: ImageFile) -> tuple[tuple[int, int, int], np.dtype]:
    with _open_tiff(path) as file:
        series = _check_series(path, file)
        sizes = dict(zip(series.axes, series.shape))
        channels = sizes.get(_channel_axis(series.axes), 1)
        return (sizes["Y"], sizes["X"], channels), np.dtype(series.dtype)


def _read_tiff(path: ImageFile) -> np.ndarray:
    with _open_tiff(path) as file:
        series = _check_series(path, file)
        for page in series.pages:
            _check_inflates(page, file.filehandle)
        values = series.asarray()
        axis = _channel_axis(series.axes)
        return np.moveaxis(values, series.axes.index(axis), -1) if axis else values


def _open_tiff(path: ImageFile):
    # OME-XML in a file may name others, which would be read as well, wherever they are.
    return _import_tifffile(path).TiffFile(
        encoded.for_library(path), is_ome=False, _multifile=False
    )


def _check_inflates(page, file) -> None:
    """Refuses a page whose compressed parts hold more than its picture.

    tifffile inflates all of a part before it looks at the size: kilobytes can become
    gigabytes.

    Raises:
        ValueError: If one does.
    """
    if page.compression not in _DEFLATED:
        return
    # A part is a strip, or a tile; those at the border are padded.
    limit = int(np.prod(page.chunks, dtype=object)) * page.dtype.itemsize
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        file.seek(offset)
        if len(zlib.decompressobj().decompress(file.read(count), limit + 1)) > limit:
            raise ValueError("it inflates to more than its picture")


def _channel_axis(axes: str) -> str:
    return axes.replace("Y", "").replace("X", "")


def _check_series(path: ImageFile, file):
    """Returns the first picture of a TIFF; smaller copies, such as overviews, follow it."""
    # tifffile follows the chain of pages wherever it leads, into itself for ever.
    if next(itertools.islice(file.pages, _MAX_PAGES, None), None) is not None:
        raise InputError(
            f"'{path}' holds more than {_MAX_PAGES} pages, or a page that is followed by itself. "
            "Write one picture to a file."
        )
    series = file.series[0]
    page = series.keyframe
    axes = _channel_axis(series.axes)
    if len(axes) > 1 or axes not in _CHANNEL_AXES or not {"Y", "X"} <= set(series.axes):
        raise InputError(
            f"'{path}' holds {len(file.pages)} pages of shape {page.shape}, which are not the "
            "channels of one picture. Write one picture to a file."
        )
    if page.photometric not in (_MIN_IS_BLACK, _RGB):
        raise InputError(
            f"'{path}' is a TIFF of kind {getattr(page.photometric, 'name', page.photometric)}, "
            "whose values are no brightnesses. Convert it to MINISBLACK or RGB."
        )
    if page.compression == _LZMA:
        # It has no limit to what it inflates to, and hardly anybody writes it.
        raise InputError(f"'{path}' is compressed by LZMA. Compress it by deflate, or not at all.")
    orientation = page.tags.valueof(_ORIENTATION, 1)
    if orientation != 1:
        raise InputError(
            f"'{path}' is not stored upright (its orientation is {orientation}). Rotate its pixels."
        )
    return series


def _import_tifffile(path) -> ModuleType:
    try:
        tifffile = importlib.import_module("tifffile")
    except ImportError:
        raise InputError(
            f"'{path}' is a TIFF, for which tifffile has to be installed. Run: python -m pip "
            "install tifffile"
        ) from None
    # It writes what is wrong with a file to stderr; ours is the message of the exception.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    return tifffile


def _text_of(shape: tuple[int, int, int]) -> str:
    height, width, channels = shape
    return f"{width}x{height} pixels of {channels} channel(s)"
