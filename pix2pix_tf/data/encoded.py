"""Image files that lie in memory, having come out of a larger file.

What reads image files (`images`, `arrays`) takes them and paths alike, so that a picture
means the same wherever its bytes were kept.
"""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
from typing import Union

from pix2pix_tf import files


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

    @property
    def stem(self) -> str:
        """The name without the suffix."""
        return self.path.stem

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
    """Refuses a path that is no file; see `files.require_file`. What is in memory is one."""
    if not isinstance(file, EncodedFile):
        files.require_file(pathlib.Path(file))


def for_library(file: ImageFile) -> pathlib.Path | io.BytesIO:
    """Returns what libraries take that open a path, or else read an open file."""
    return _Opened(file) if isinstance(file, EncodedFile) else file


class _Opened(io.BytesIO):
    """A file in memory, opened; libraries that put it in a message name it."""

    def __init__(self, file: EncodedFile):
        super().__init__(file.contents)
        self._label = str(file)

    def __repr__(self) -> str:
        return repr(self._label)
