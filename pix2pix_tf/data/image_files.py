"""What images are read from: a file of its own, or one that came out of a larger file.

What reads image files (`images`, `arrays`) takes both alike, so that a picture means the same
wherever its bytes were kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import os
import pathlib
from collections.abc import Iterator
from types import ModuleType
from typing import BinaryIO, Union

from pix2pix_tf import files
from pix2pix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class EncodedFile:
    """The bytes of an image file that was read already."""

    path: pathlib.PurePath  # What messages call it; the suffix tells arrays from pictures.
    contents: bytes = dataclasses.field(repr=False)

    def __str__(self) -> str:
        """Returns what messages call it."""
        return str(self.path)


ImageFile = Union[str, "os.PathLike[str]", EncodedFile]


def open_file(file: ImageFile) -> BinaryIO:
    """Returns the file, opened for reading; raises InputError as `files.require_file` does."""
    if isinstance(file, EncodedFile):
        return io.BytesIO(file.contents)
    files.require_file(pathlib.Path(file))
    return open(file, "rb")


def read_bytes(file: ImageFile) -> bytes:
    """Returns the contents of a file; raises InputError if it is not there or cannot be read."""
    with reading(file), open_file(file) as opened:
        return opened.read()


@contextlib.contextmanager
def reading(file: ImageFile, kind: str = "an image") -> Iterator[None]:
    """Makes an InputError of nearly anything, as libraries raise it on damaged files."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"'{file}' cannot be read as {kind} ({reason}). Replace it, or take it out of the "
            "folder."
        ) from None


def import_for(file: ImageFile, module: str, package: str) -> ModuleType:
    """Returns a module that only some files need; raises InputError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"'{file}' can be read and written where {package} is installed. Run: python -m pip "
            f"install {package}"
        ) from None
