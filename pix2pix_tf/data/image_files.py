"""What images are read from: a file of its own, or one that came out of a larger file.

What reads image files (`images`, `arrays`) takes both alike, so that a picture means the same
wherever its bytes were kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import threading
import warnings
from collections.abc import Iterator
from typing import BinaryIO, Union

from pix2pix_tf import files
from pix2pix_tf.errors import InputError, MissingInputError

_lock = threading.Lock()
_readers = 0  # Threads within `reading`.
_filters = contextlib.ExitStack()  # Gives back the filters of warnings that the first found.


@dataclasses.dataclass(frozen=True)
class EncodedFile:
    """The bytes of an image file; has the attributes of `pathlib.Path` that reading needs.

    Attributes:
        path: What messages call it, as if the file that it came from were a folder; the
            suffix tells arrays from pictures.
        contents: All of it.
    """

    path: pathlib.PurePath
    contents: bytes = dataclasses.field(repr=False)

    @property
    def suffix(self) -> str:
        """The end of the name, with its dot."""
        return self.path.suffix

    def read_bytes(self) -> bytes:
        """Returns the contents."""
        return self.contents

    def __str__(self) -> str:
        """Returns what messages call it."""
        return str(self.path)


ImageFile = Union[pathlib.Path, EncodedFile]


def as_file(path: str | os.PathLike | EncodedFile) -> ImageFile:
    """Returns a path as a `pathlib.Path`; a file in memory as it is."""
    return path if isinstance(path, EncodedFile) else pathlib.Path(path)


def require(file: str | os.PathLike | EncodedFile) -> None:
    """Refuses a path that is not a file; see `files.require_file`."""
    if not isinstance(file, EncodedFile):
        files.require_file(pathlib.Path(file))


def open_file(file: str | os.PathLike | EncodedFile) -> BinaryIO:
    """Returns the file, opened for reading."""
    return io.BytesIO(file.contents) if isinstance(file, EncodedFile) else open(file, "rb")


@contextlib.contextmanager
def reading(file: ImageFile, kind: str) -> Iterator[None]:
    """Takes the libraries that read a file, for what they raise to become the user's error.

    Their warnings are switched off: odd headers that matter fail. They stay so for the whole
    process until the last thread has left, since of two `warnings.catch_warnings` that overlap the
    one that ends last would give back the filters of the other.

    Args:
        file: For the message.
        kind: What it is read as, for the message: "an image".

    Raises:
        InputError: In place of nearly anything, as libraries raise it on damaged files.
    """
    global _readers
    with _lock:
        if not _readers:
            _filters.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _readers += 1
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise MissingInputError(f"There is no file '{file}'. Check the name.") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"'{file}' cannot be read as {kind} ({reason}). Replace it, or take it out of the "
            "folder."
        ) from None
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                _filters.close()
