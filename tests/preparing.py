"""Runs `python -m pix2pix_tf.prepare` in this process, on pictures made here."""

from __future__ import annotations

import pathlib
import struct
import zlib

import command_line
import numpy as np
from PIL import Image

from pix2pix_tf.prepare import __main__ as command


def prepare(task: str, folder: pathlib.Path, *flags: str) -> command_line.Result:
    """Runs a task on `folder/in`, with results in `folder/out`, in one process."""
    paths = [f"--input={folder / 'in'}", f"--output={folder / 'out'}"]
    return command_line.run(command, task, *paths, "--processes=1", *flags, takes_arguments=True)


def photo(*, width: int = 24, height: int = 16, seed: int = 0) -> np.ndarray:
    """Returns a picture that changes slowly, in colours: uint8 `[height, width, 3]`."""
    coarse = np.random.default_rng(seed).integers(0, 256, [4, 4, 3], dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))


def save(path: pathlib.Path, pixels: np.ndarray, **settings) -> pathlib.Path:
    """Writes an image file, and the folders above it; settings are of Pillow's `save`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)
    return path


def save_shallow(path: pathlib.Path, indexes: np.ndarray, *, bits: int) -> pathlib.Path:
    """Writes a grey PNG of 1, 2 or 4 bits, which Pillow only reads; and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = indexes.shape
    places = indexes[..., np.newaxis] >> np.arange(bits - 1, -1, -1) & 1
    rows = np.packbits(places.reshape(height, width * bits).astype(bool), axis=1)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    scanlines = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = ((b"IHDR", header), (b"IDAT", scanlines), (b"IEND", b""))
    encoded = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(encoded))
    return path


def files_below(folder: pathlib.Path) -> list[str]:
    """Returns the files of a folder and those below it, hidden ones too."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def read(path: pathlib.Path) -> np.ndarray:
    """Returns an image file as Pillow reads it."""
    with Image.open(path) as picture:
        return np.asarray(picture)
