"""Pairs of image files in a few large files, the shards, in the format ArrayRecord.

    FOLDER/train-00000-of-00002.array_record    a record a file, in the order of the pairs
    FOLDER/records.json                         which shards there are

The last record of a shard is its index, in JSON: of each pair the name, and of its one or two files
the suffix and what the header says. So the settings of a run are checked without decoding a file.
ArrayRecord (package `array_record`, optional) gives access to a record by its number, and checks
what it reads. `python -m pix2pix_tf.prepare records` writes all this.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Sequence
from types import ModuleType

from pix2pix_tf import files
from pix2pix_tf.data import images
from pix2pix_tf.data.image_files import EncodedFile
from pix2pix_tf.data.images import ImageInfo
from pix2pix_tf.errors import InputError, MissingInputError

INDEX = "records.json"
SUFFIX = ".array_record"
VERSION = 2
_FORMAT = "pix2pix_tf records"
_COMMAND = "python -m pix2pix_tf.prepare records"
_MEND = f"Restore it, or give the command that wrote it, {_COMMAND}, again."
_WRITER_OPTIONS = "group_size:1,uncompressed"  # Each record for itself; pictures are compressed.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"  # As ArrayRecord says for any order.
_MOST_OPEN = 256  # Shards; most systems allow a process 1,024 files.
# What JSON of another form than ours gives.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclasses.dataclass(frozen=True)
class StoredPair:
    """A pair in a shard; has the attributes of `layouts.PairFiles`.

    Attributes:
        shard: Where it is.
        name: Name of the pair; that of a file without its suffix.
        first: Number of the record of its first file.
        suffixes: Those of its two files, A and B; or of the one that holds both.
        infos: What the headers of these files say.
    """

    shard: pathlib.Path
    name: str
    first: int
    suffixes: tuple[str, ...]
    infos: tuple[ImageInfo, ...]

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """What messages call the files."""
        sides = ("A", "B") if len(self.suffixes) == 2 else ("",)
        return tuple(
            self.shard / side / f"{self.name}{suffix}" for side, suffix in zip(sides, self.suffixes)
        )

    def inspect(self, which: slice = slice(None)) -> dict[pathlib.Path, ImageInfo]:
        """Returns what the index says of these files of the pair."""
        return dict(zip(self.files[which], self.infos[which]))

    def read(self) -> list[EncodedFile]:
        """Returns the files of the pair.

        Raises:
            InputError: If they are damaged, or are not what the index says of them.
        """
        found = []
        for number, (path, info) in enumerate(self.inspect().items(), self.first):
            file = EncodedFile(path, _read_records(self.shard, [number])[0])
            # Else a small file could be decoded to gigabytes, under the name of another.
            if images.inspect_image(file) != info:
                raise InputError(f"'{file}' is not what the index of its shard says. {_MEND}")
            found.append(file)
        return found


def shard_name(split: str, number: int, count: int) -> str:
    """Returns the name of shard `number`, from 0, of the `count` of a split."""
    return f"{split}-{number:05d}-of-{count:05d}{SUFFIX}"


class ShardWriter:
    """Writes the pairs of a shard; to be closed at the end.

    Args:
        path: Where; a file that is there already is replaced.

    Raises:
        InputError: If ArrayRecord is not installed.
    """

    def __init__(self, path: pathlib.Path):
        # As bytes: a folder's name need not be Unicode.
        self._writer = _array_record(path).ArrayRecordWriter(os.fsencode(path), _WRITER_OPTIONS)
        self._index = []

    def write(self, name: str, found: Sequence[EncodedFile], infos: Sequence[ImageInfo]) -> None:
        """Adds a pair: its name, its one or two files, and what their headers say.

        Raises:
            RuntimeError: If it cannot be written, as of ArrayRecord.
        """
        for file in found:
            self._writer.write(file.contents)
        described = [[file.suffix, dataclasses.asdict(info)] for file, info in zip(found, infos)]
        self._index.append([name, *described])

    def close(self) -> int:
        """Ends the shard with its index; returns the number of pairs. Raises as `write`."""
        self._writer.write(json.dumps(self._index).encode())
        self._writer.close()
        return len(self._index)


def encode_index(shards: dict[str, dict[str, int]], *, is_complete: bool) -> bytes:
    """Returns the contents of `INDEX`.

    Args:
        shards: By the splits: the names of their shards, with the number of pairs in each.
        is_complete: Whether all of them are written.
    """
    index = dict(format=_FORMAT, version=VERSION, complete=is_complete, splits=shards)
    return (json.dumps(index, indent=1) + "\n").encode()


def is_there(folder: pathlib.Path) -> bool:
    """Returns whether a folder holds records."""
    return files.is_file(pathlib.Path(folder) / INDEX)


def count_pairs(folder: pathlib.Path) -> dict[str, int]:
    """Returns the splits that have pairs, and how many, of the records in a folder.

    Raises:
        InputError: If the list of the shards is damaged, of an earlier version or not complete.
    """
    counts = {split: sum(shards.values()) for split, shards in _read_index(folder).items()}
    # Where none of its pairs could be read, a split has a shard, but an empty one.
    return {split: count for split, count in counts.items() if count}


def find_pairs(folder: pathlib.Path, split: str) -> list[StoredPair]:
    """Returns the pairs of a split of the records in a folder.

    Raises:
        MissingInputError: If the split is not there or has no pairs, or a shard is not there.
        InputError: As `count_pairs`; or if a shard is damaged.
    """
    there = count_pairs(folder)
    if split not in there:
        raise MissingInputError(
            f"'{folder}' has no records of the split '{split}'. Splits found: "
            f"{', '.join(there) or 'none'}."
        )
    shards = _read_index(folder)[split]
    found = [pair for name in shards for pair in read_shard(pathlib.Path(folder) / name)]
    names = {pair.name for pair in found}
    if len(names) < len(found):
        raise InputError(f"'{folder}' has two pairs of one name in '{split}'. {_MEND}")
    return found


def _read_index(folder: pathlib.Path) -> dict[str, dict[str, int]]:
    """Returns the number of pairs by shards, by splits."""
    path = pathlib.Path(folder) / INDEX
    try:
        index = json.loads(path.read_bytes())
        if index["format"] != _FORMAT:
            raise ValueError(f"its format is {index['format']!r}")
        version, is_complete, splits = index["version"], index["complete"], index["splits"]
        if version == VERSION:
            for split, shards in splits.items():
                for name, count in shards.items():
                    is_name = name.startswith(f"{split}-") and name.endswith(SUFFIX)
                    if not is_name or not is_plain_name(name) or type(count) is not int:
                        raise ValueError(f"{name!r} is not a shard of the split {split!r}")
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). {_MEND}") from None
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    if version != VERSION:
        raise InputError(
            f"'{path}' was written by another version of this program. Write the records anew, to "
            f"another folder, by {_COMMAND}."
        )
    if is_complete is not True:
        raise InputError(
            f"'{path}' is not complete: what wrote it was stopped. Give the same command, "
            f"{_COMMAND}, again: it resumes there."
        )
    return splits


def is_plain_name(name: str) -> bool:
    """Returns whether a name cannot lead out of a folder, on any system.

    Outputs are named after pairs, and records are read on other systems than they were written on.
    """
    return name not in ("", ".", "..") and not any(character in name for character in "/\\\0")


def read_shard(shard: pathlib.Path) -> list[StoredPair]:
    """Returns the pairs of a shard, by its index.

    Raises:
        MissingInputError: If there is no such shard.
        InputError: If it is damaged.
    """
    if not shard.is_file():
        raise MissingInputError(f"There is no '{shard}'. {_MEND}")
    num_records = _open(shard).num_records()
    if not num_records:  # As ArrayRecord has it for what it does not know.
        raise _damaged(shard, "it is not an ArrayRecord file")
    (contents,) = _read_records(shard, [num_records - 1])
    found, first = [], 0
    try:
        for name, *described in json.loads(contents):
            if len(described) not in (1, 2) or not is_plain_name(name):
                raise ValueError(f"{name!r} is not a pair of files")
            suffixes = tuple(str(suffix) for suffix, _ in described)
            infos = tuple(_checked(ImageInfo(**info)) for _, info in described)
            found.append(StoredPair(shard, name, first, suffixes, infos))
            first += len(described)
        if first != num_records - 1:
            raise ValueError(f"{num_records} records, of which {first} are files of pairs")
    except _DAMAGE as error:
        raise _damaged(shard, error) from None
    return found


def _checked(info: ImageInfo) -> ImageInfo:
    """Returns what a header says, if it is numbers where these belong, and such as can be."""
    example = ImageInfo(width=1, height=1, channels=1, bits=8)
    for name, value in dataclasses.asdict(info).items():
        kind = type(getattr(example, name))
        if type(value) is not kind or kind is int and value < 1:
            raise ValueError(f"{name} is {value!r}")
    return info


def verify(shard: pathlib.Path) -> None:
    """Reads all of a shard; raises InputError if it is damaged."""
    _read_records(shard, None)


def _read_records(shard: pathlib.Path, numbers: list[int] | None) -> list[bytes]:
    """Returns the records of these numbers, or all."""
    reader = _open(shard)
    try:
        return reader.read_all() if numbers is None else reader.read(numbers)
    except (RuntimeError, IndexError, ValueError) as error:
        raise _damaged(shard, error) from None


def _damaged(path: pathlib.Path, reason: Exception | str) -> InputError:
    kind = type(reason).__name__ + ": " if isinstance(reason, (KeyError, TypeError)) else ""
    text = kind + " ".join(str(reason).split())[:150]
    return InputError(f"'{path}' is truncated or damaged ({text}). {_MEND}")


def _open(shard: pathlib.Path):
    """Returns a reader of a shard as it is now, for any number of threads."""
    try:
        status = os.stat(shard)
    except OSError as error:
        raise InputError(f"'{shard}' cannot be read ({error.strerror}). {_MEND}") from None
    return _open_version(shard, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=_MOST_OPEN)
def _open_version(shard: pathlib.Path, time: int, size: int):
    return _array_record(shard).ArrayRecordReader(os.fsencode(shard), _READER_OPTIONS)


def _array_record(path: pathlib.Path) -> ModuleType:
    try:
        from array_record.python import array_record_module
    except ImportError:
        raise InputError(
            f"'{path}' is a file of records, for which array_record has to be installed. Run: "
            "python -m pip install array_record"
        ) from None
    return array_record_module
