"""Pairs of image files in a few large files, the shards, in the format ArrayRecord.

    FOLDER/train-00000-of-00002.array_record    a record a file, in the order of the pairs
    FOLDER/records.json                         the index

The index says which pairs each shard of each split has: the name, and the suffix of its one or two
files. ArrayRecord (package `array_record`, optional) gives access to a record by its number, and
checks what it reads. `pix2pix prepare records` writes all this.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import pathlib
from collections.abc import Iterable
from types import ModuleType

from pix2pix_tf import files
from pix2pix_tf.data import image_files
from pix2pix_tf.data.image_files import EncodedFile
from pix2pix_tf.errors import InputError, MissingInputError

INDEX = "records.json"
SUFFIX = ".array_record"
_FORMAT = dict(format="pix2pix_tf records", version=3)
_MEND = "Restore it, or write the records anew: pix2pix prepare records"
_WRITER_OPTIONS = "group_size:1,uncompressed"  # Each record for itself; pictures are compressed.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"  # As ArrayRecord says for any order.
_MOST_OPEN = 256  # Shards; most systems allow a process 1,024 files.

# By split and shard: of each pair the name, then the suffix of its one file, or of A and B.
Index = dict[str, dict[str, list[list[str]]]]


@dataclasses.dataclass(frozen=True)
class StoredPair:
    """A pair in a shard; has the attributes of `layouts.PairFiles`."""

    shard: pathlib.Path
    name: str
    first: int  # Number of the record of its first file.
    suffixes: tuple[str, ...]  # Those of its two files, A and B; or of the one that holds both.

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """What messages call the files."""
        sides = ("A", "B") if len(self.suffixes) == 2 else ("",)
        return tuple(
            self.shard / side / f"{self.name}{suffix}" for side, suffix in zip(sides, self.suffixes)
        )

    def read(self) -> list[EncodedFile]:
        """Returns the files of the pair; raises InputError if they, or the shard, are damaged."""
        files.require_file(self.shard)
        reader = _open(self.shard, os.stat(self.shard).st_mtime_ns)
        try:
            if not reader.num_records():  # As ArrayRecord has it for what it does not know.
                raise ValueError("it is not an ArrayRecord file")
            found = reader.read([self.first + number for number in range(len(self.suffixes))])
        except (RuntimeError, IndexError, ValueError) as error:
            reason = " ".join(str(error).split())[:150]
            raise InputError(
                f"'{self.shard}' is truncated or damaged ({reason}). {_MEND}"
            ) from None
        return [EncodedFile(*file) for file in zip(self.files, found)]


def is_there(folder: pathlib.Path) -> bool:
    """Returns whether a folder holds records."""
    return files.is_file(pathlib.Path(folder) / INDEX)


def find_splits(folder: pathlib.Path) -> list[str]:
    """Returns the splits that have pairs; raises InputError as `find_pairs`."""
    return [split for split, shards in _read_index(folder).items() if any(shards.values())]


def find_pairs(folder: pathlib.Path, split: str) -> list[StoredPair]:
    """Returns the pairs of a split of the records in a folder.

    Raises:
        MissingInputError: If the split is not there or has no pairs, or a shard is not there.
        InputError: If the index is damaged or of an earlier version.
    """
    found = []
    for shard_name, pairs in _read_index(folder).get(split, {}).items():
        shard, first = pathlib.Path(folder) / shard_name, 0
        if not files.is_file(shard):
            raise MissingInputError(f"There is no '{shard}'. {_MEND}")
        for name, *suffixes in pairs:
            found.append(StoredPair(shard, name, first, tuple(suffixes)))
            first += len(suffixes)
    if not found:
        there = ", ".join(find_splits(folder)) or "none"
        raise MissingInputError(
            f"'{folder}' has no records of the split '{split}'. Splits found: {there}."
        )
    return found


def is_plain_name(name: str) -> bool:
    """Returns whether a name cannot lead out of a folder, on any system.

    Outputs are named after pairs, and records are read on other systems than they were written on.
    """
    return name not in ("", ".", "..") and not any(character in name for character in "/\\\0")


def encode_index(index: Index) -> bytes:
    """Returns the contents of `INDEX`."""
    return (json.dumps(dict(_FORMAT, splits=index)) + "\n").encode()


def _read_index(folder: pathlib.Path) -> Index:
    path = pathlib.Path(folder) / INDEX
    try:
        index = json.loads(path.read_bytes())
        if {key: index[key] for key in _FORMAT} != _FORMAT:
            raise ValueError("of another version, or another program")
        for shards in index["splits"].values():
            for name, *suffixes in itertools.chain.from_iterable(shards.values()):
                names = [name + suffix for suffix in ("", *suffixes)]
                if len(names) not in (2, 3) or not all(map(is_plain_name, names)):
                    raise ValueError(f"{name!r} is not a pair of files")
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). {_MEND}") from None
    # What JSON of another form than ours gives.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:150]
        raise InputError(f"'{path}' is not an index of records ({reason}). {_MEND}") from None
    return index["splits"]


def write_shard(path: pathlib.Path, contents: Iterable[bytes]) -> None:
    """Writes a shard of these records; raises OSError or RuntimeError if that cannot be done."""
    # As bytes: a folder's name need not be Unicode.
    writer = import_array_record(path).ArrayRecordWriter(os.fsencode(path), _WRITER_OPTIONS)
    for each in contents:
        writer.write(each)
    writer.close()
    files.sync(path)


@functools.lru_cache(maxsize=_MOST_OPEN)
def _open(shard: pathlib.Path, time: int):
    """Returns a reader of a shard as it was at that time, for any number of threads."""
    return import_array_record(shard).ArrayRecordReader(os.fsencode(shard), _READER_OPTIONS)


def import_array_record(path: pathlib.Path) -> ModuleType:
    """Returns the module; raises InputError if it is not installed, which `path` needs."""
    return image_files.import_for(path, "array_record.python.array_record_module", "array_record")
