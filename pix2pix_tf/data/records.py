"""Pairs of image files in TFRecord files, the shards, with one index beside them.

    FOLDER/train-00000-of-00002.tfrecord    a tf.train.Example a pair, in the order of the pairs
    FOLDER/records.json                     the index: what is in each shard, where, and its SHA-256

An Example has `name`, and of each file of the pair its bytes as they were (`a`, `b`) and its
suffix (`a_suffix`, `b_suffix`). A pair whose sides are in one file, side by side, has no `b`.

The index is written by `python -m pix2pix_tf.prepare tfrecord`. It tells enough of every
file to check the settings of a run without reading a shard. What it tells is not believed:
a shard is compared with its checksum before anything of it is used, and a file with what
was said of it before it is decoded.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import struct
import threading
from collections.abc import Iterable, Sequence

import tensorflow as tf
from google.protobuf.message import DecodeError

from pix2pix_tf import files
from pix2pix_tf.data import images
from pix2pix_tf.data.encoded import EncodedFile
from pix2pix_tf.data.images import ImageInfo
from pix2pix_tf.errors import InputError, MissingInputError

INDEX = "records.json"
VERSION = 1
_FORMAT = "pix2pix_tf records"
_SHARD_NAME = re.compile(r"(?P<split>train|val|test)-\d{5,}-of-\d{5,}\.tfrecord")
# Around the data of a record: its length and that one's checksum; then its own.
_HEAD_BYTES, _TAIL_BYTES = 12, 4
_SIDES = ("a", "b")
_AGAIN = "Write the records again, with python -m pix2pix_tf.prepare tfrecord."
_MEND = (
    "Restore it; or give the command that wrote it, python -m pix2pix_tf.prepare tfrecord, again: "
    "it writes what is missing or damaged."
)
_REPLACE_INDEX = (
    f"Restore both; or delete {INDEX} and give the command that wrote them, python -m "
    "pix2pix_tf.prepare tfrecord, again: it then writes all of them."
)
# What an index of another form than ours gives.
_DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)


@dataclasses.dataclass(frozen=True)
class Kind:
    """What many files have in common.

    Attributes:
        suffix: With its dot; tells arrays from pictures.
        info: What the header says.
    """

    suffix: str
    info: ImageInfo


@dataclasses.dataclass(frozen=True)
class Entry:
    """A pair as the index has it.

    Attributes:
        name: Of the pair; a file's name without its suffix.
        offset: Where its record begins in the shard, in bytes.
        kinds: Of its two files, A and B; or of the one that holds both.
    """

    name: str
    offset: int
    kinds: tuple[Kind, ...]


@dataclasses.dataclass(frozen=True)
class Values:
    """What the values of some files are, in the files' own units.

    Attributes:
        channels: Numbers of channels that there are, sorted.
        types: Names of their NumPy types, sorted.
        range: The smallest and the largest value.
    """

    channels: tuple[int, ...]
    types: tuple[str, ...]
    range: tuple[float, float]

    def joined(self, other: Values) -> Values:
        """Returns the values of these files and of others."""
        return Values(
            tuple(sorted({*self.channels, *other.channels})),
            tuple(sorted({*self.types, *other.types})),
            (min(self.range[0], other.range[0]), max(self.range[1], other.range[1])),
        )


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file as the index has it.

    Attributes:
        file: Its name.
        num_bytes: Its size.
        sha256: Of its contents, in hexadecimal.
        entries: Its pairs, in their order.
        values: Of the files, by the sides that these hold: "A|B", or "A" and "B".
    """

    file: str
    num_bytes: int
    sha256: str
    entries: tuple[Entry, ...]
    values: dict[str, Values]

    @property
    def split(self) -> str:
        """The split that its pairs are of."""
        return _SHARD_NAME.fullmatch(self.file)["split"]


def shard_name(split: str, number: int, count: int) -> str:
    """Returns the name of shard `number`, from 0, of the `count` of a split."""
    return f"{split}-{number:05d}-of-{count:05d}.tfrecord"


def is_shard_name(name: str) -> bool:
    """Returns whether a file has the name of a shard."""
    return bool(_SHARD_NAME.fullmatch(name))


def encode_pair(name: str, pair_files: Sequence[EncodedFile]) -> bytes:
    """Returns the data of a record; the same for the same pair on every machine.

    Args:
        name: Of the pair.
        pair_files: A and B, or the one that holds both.
    """
    values = {"name": name.encode("utf-8", "surrogateescape")}
    for side, file in zip(_SIDES, pair_files):
        values[side] = file.contents
        values[f"{side}_suffix"] = file.suffix.encode()
    # One by one: the order in which protobuf writes a map is left to its version.
    features = b"".join(_encode_feature(name, values[name]) for name in sorted(values))
    return b"\x0a" + _encode_length(len(features)) + features  # Field 1 of an Example.


def _encode_feature(name: str, value: bytes) -> bytes:
    """Returns the message `Features` with one of them; several in a row are one message."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Features(feature={name: feature}).SerializeToString()


def _encode_length(length: int) -> bytes:
    """Returns a number in protobuf's form: seven bits a byte, the last ones first."""
    encoded = bytearray()
    while length > 0x7F:
        encoded.append(0x80 | length & 0x7F)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def framed_size(data: bytes) -> int:
    """Returns the bytes that a record takes in its file."""
    return _HEAD_BYTES + len(data) + _TAIL_BYTES


def encode_index(shards: Iterable[Shard], *, is_complete: bool) -> bytes:
    """Returns the contents of the index.

    Args:
        shards: In their order; those that are finished.
        is_complete: Whether these are all.
    """
    splits = {}
    for shard in shards:
        split = splits.setdefault(shard.split, dict(num_pairs=0, values={}, shards=[]))
        split["num_pairs"] += len(shard.entries)
        for sides, values in shard.values.items():
            before = split["values"].get(sides)
            split["values"][sides] = before.joined(values) if before else values
        split["shards"].append(_json_of_shard(shard))
    for split in splits.values():
        split["values"] = _json_of_values(split["values"])
    index = dict(format=_FORMAT, version=VERSION, complete=is_complete, splits=splits)
    return (json.dumps(index) + "\n").encode()


def _json_of_shard(shard: Shard) -> dict:
    # Each kind once: in most sets all files are of one, and there may be 100,000 pairs.
    kinds = list(dict.fromkeys(kind for entry in shard.entries for kind in entry.kinds))
    number_of = {kind: number for number, kind in enumerate(kinds)}
    return dict(
        file=shard.file,
        num_bytes=shard.num_bytes,
        sha256=shard.sha256,
        num_pairs=len(shard.entries),
        values=_json_of_values(shard.values),
        kinds=[dict(suffix=kind.suffix, **dataclasses.asdict(kind.info)) for kind in kinds],
        # The name, the offset, and the numbers of the files' kinds.
        pairs=[
            [entry.name, entry.offset, *(number_of[kind] for kind in entry.kinds)]
            for entry in shard.entries
        ],
    )


def _json_of_values(values: dict[str, Values]) -> dict[str, dict]:
    return {sides: dataclasses.asdict(each) for sides, each in values.items()}


def is_there(folder: pathlib.Path) -> bool:
    """Returns whether a folder holds records."""
    return files.is_file(pathlib.Path(folder) / INDEX)


def read_index(folder: pathlib.Path, *, must_be_complete: bool = True) -> list[Shard]:
    """Returns the shards of a folder, as its index has them.

    Args:
        folder: Holds an index.
        must_be_complete: Whether to refuse records of which some are not written yet.

    Raises:
        InputError: If the index is damaged, of another version or not complete; or if a
            name in it could lead out of a folder.
    """
    path = pathlib.Path(folder) / INDEX
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"'{path}' cannot be read ({error.strerror}). Make it readable, or restore it."
        ) from None
    try:
        index = json.loads(contents)
        if index["format"] != _FORMAT:
            raise ValueError(f"its format is {index['format']!r}")
        version = index["version"]
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    if version != VERSION:
        raise InputError(f"'{path}' is of version {version!r}, not {VERSION}. {_AGAIN}")
    try:
        shards = [
            _parse_shard(split, shard)
            for split, contents in index["splits"].items()
            for shard in contents["shards"]
        ]
        _check_unique(shards)
        is_complete = index["complete"]
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    if must_be_complete and is_complete is not True:
        raise InputError(
            f"'{path}' is not complete: what wrote it was stopped. Give the same command, python "
            "-m pix2pix_tf.prepare tfrecord, again: it resumes there."
        )
    return shards


def _damaged(path: pathlib.Path, error: Exception) -> InputError:
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return InputError(f"'{path}' is damaged ({kind}{' '.join(str(error).split())}). {_AGAIN}")


def _parse_shard(split: str, contents: dict) -> Shard:
    """Returns a shard of the index; raises one of `_DAMAGE` if it is none."""
    file = contents["file"]
    match = _SHARD_NAME.fullmatch(file)
    if not match or match["split"] != split:
        raise ValueError(f"{file!r} is not the name of a shard of the split {split!r}")
    kinds = []
    for kind in contents["kinds"]:
        kind = dict(kind)
        suffix = str(kind.pop("suffix"))
        kinds.append(Kind(suffix, _check_types(ImageInfo(**kind))))
    entries = []
    num_bytes = _natural(contents["num_bytes"])
    for name, offset, *numbers in contents["pairs"]:
        _check_name(name)
        if len(numbers) not in (1, 2):
            raise ValueError(f"{name!r} has {len(numbers)} files")
        after = entries[-1].offset if entries else -1
        if not after < _natural(offset) < num_bytes:
            raise ValueError(f"{name!r} cannot begin at byte {offset} of {file!r}")
        chosen = tuple(kinds[_natural(number)] for number in numbers)
        entries.append(Entry(name, offset, chosen))
    values = {
        sides: Values(tuple(each["channels"]), tuple(each["types"]), tuple(each["range"]))
        for sides, each in contents["values"].items()
    }
    return Shard(file, num_bytes, str(contents["sha256"]), tuple(entries), values)


def _natural(value) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no whole number from 0")
    return value


def _check_types(info: ImageInfo) -> ImageInfo:
    """Returns what a header says, if it is numbers where these belong, and such as can be."""
    example = ImageInfo(width=1, height=1, channels=1, bits=8)
    for field in dataclasses.fields(ImageInfo):
        value = getattr(info, field.name)
        if type(value) is not type(getattr(example, field.name)):
            raise ValueError(f"{field.name} is {value!r}")
        if type(value) is int and value < 1:
            raise ValueError(f"{field.name} is {value}, less than 1")
    return info


def is_pair_name(name: str) -> bool:
    """Returns whether a name cannot lead out of the folder in which outputs are named after pairs.

    On any system: records are read on others than they were written on.
    """
    return name not in ("", ".", "..") and not any(character in name for character in "/\\\0")


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not is_pair_name(name):
        raise ValueError(f"{name!r} is no name of a pair")


def _check_unique(shards: Sequence[Shard]) -> None:
    seen = set()
    for shard in shards:
        for name in [shard.file, *(f"{shard.split}/{entry.name}" for entry in shard.entries)]:
            if name in seen:
                raise ValueError(f"{name!r} is there twice")
            seen.add(name)


def list_splits(folder: pathlib.Path) -> list[str]:
    """Returns the splits that have pairs, of the records in a folder that holds some.

    Raises:
        InputError: As `read_index`.
    """
    return _splits_of(read_index(folder))


def _splits_of(shards: Iterable[Shard]) -> list[str]:
    # Where none of its pairs could be read, a split has a shard, but an empty one.
    return list(dict.fromkeys(shard.split for shard in shards if shard.entries))


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a pair is; says of it what the index says.

    Attributes:
        entry: The pair.
        path: Of its shard.
        num_bytes: Of the record, with what frames it.
    """

    entry: Entry
    path: pathlib.Path
    num_bytes: int

    @property
    def labels(self) -> list[pathlib.Path]:
        """What messages call the files of the pair."""
        sides = ("A", "B") if len(self.entry.kinds) == 2 else ("",)
        return [
            self.path / side / f"{self.entry.name}{kind.suffix}"
            for side, kind in zip(sides, self.entry.kinds)
        ]


def places(folder: pathlib.Path, shard: Shard) -> list[Place]:
    """Returns where the pairs of a shard are."""
    path = pathlib.Path(folder) / shard.file
    ends = [entry.offset for entry in shard.entries[1:]] + [shard.num_bytes]
    return [Place(entry, path, end - entry.offset) for entry, end in zip(shard.entries, ends)]


def read_pair(place: Place) -> list[EncodedFile]:
    """Returns the files of a pair: A and B, or the one that holds both.

    Raises:
        InputError: If there is no such pair in that place. That its bytes are those that
            were written, `verify` tells.
    """
    entry = place.entry
    try:
        with open(place.path, "rb") as file:
            file.seek(entry.offset)
            record = file.read(place.num_bytes)
        (length,) = struct.unpack_from("<Q", record)
        if length != place.num_bytes - _HEAD_BYTES - _TAIL_BYTES:
            raise ValueError("another length")
        data = memoryview(record)[_HEAD_BYTES:-_TAIL_BYTES]
        feature = tf.train.Example.FromString(data.tobytes()).features.feature
        (name,) = feature["name"].bytes_list.value
        if name != entry.name.encode("utf-8", "surrogateescape"):
            raise ValueError("another name")
        found = []
        for side, label in zip(_SIDES, place.labels):
            (contents,) = feature[side].bytes_list.value
            found.append(EncodedFile(label, contents))
    except (OSError, struct.error, DecodeError, ValueError) as error:
        raise InputError(
            f"'{place.path}' does not hold the pair '{entry.name}' at byte {entry.offset} "
            f"({error}). {_REPLACE_INDEX}"
        ) from None
    for file, kind in zip(found, entry.kinds):
        # Else a small file could be decoded to gigabytes, under the name of another.
        if images.inspect_image(file) != kind.info:
            raise InputError(f"'{file}' is not what {INDEX} says of it. {_REPLACE_INDEX}")
    return found


def verify(folder: pathlib.Path, shard: Shard) -> None:
    """Reads a shard and compares it with its checksum.

    Raises:
        MissingInputError: If it is not there.
        InputError: If it has other bytes than were written.
    """
    path = pathlib.Path(folder) / shard.file
    if not path.is_file():
        raise MissingInputError(f"There is no '{path}'. {_MEND}")
    try:
        size = path.stat().st_size
        if size != shard.num_bytes:
            raise InputError(f"'{path}' has {size:,} bytes instead of {shard.num_bytes:,}. {_MEND}")
        if files.sha256(path) != shard.sha256:
            raise InputError(f"'{path}' is damaged: its SHA-256 is not that in {INDEX}. {_MEND}")
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). {_MEND}") from None


class Records:
    """The pairs of one split, each read by its number; a `stores.Store`.

    The index tells the headers, so that opening reads no shard. A shard is verified before
    the first of its pairs is given out, once.

    Args:
        folder: Holds records.
        split: "train", "val" or "test".

    Attributes:
        places: Where the pairs are, in their order.
        names: Those of the pairs.

    Raises:
        MissingInputError: If the split is not there or has no pairs.
        InputError: As `read_index`.
    """

    is_read_for_faults = False  # To verify all shards takes long.

    def __init__(self, folder: pathlib.Path, split: str):
        self._folder = pathlib.Path(folder)
        shards = read_index(self._folder)
        self._shards = {self._folder / shard.file: shard for shard in shards}
        self.places = [
            place
            for shard in shards
            if shard.split == split
            for place in places(self._folder, shard)
        ]
        if not self.places:
            there = ", ".join(_splits_of(shards)) or "none"
            raise MissingInputError(
                f"'{self._folder}' has no records of the split '{split}'. Splits found: {there}."
            )
        self.names = [place.entry.name for place in self.places]
        self._lock = threading.Lock()
        self._problems: dict[pathlib.Path, str | None] = {}  # By the shards that were verified.

    def inspect(self, index: int, which: slice) -> dict[pathlib.Path, ImageInfo]:
        """Returns what the index says of these files of pair number `index`."""
        place = self.places[index]
        kinds = place.entry.kinds[which]
        return {label: kind.info for label, kind in zip(place.labels[which], kinds)}

    def read(self, index: int) -> list[EncodedFile]:
        """Returns the files of pair number `index`; see `read_pair`.

        Raises:
            InputError: If its shard is damaged.
        """
        place = self.places[index]
        with self._lock:  # Pairs are read on several threads: the others wait.
            if place.path not in self._problems:
                self._problems[place.path] = self._find_problem(self._shards[place.path])
            problem = self._problems[place.path]
        if problem is not None:
            raise InputError(problem)
        return read_pair(place)

    def _find_problem(self, shard: Shard) -> str | None:
        try:
            verify(self._folder, shard)
        except InputError as error:
            return str(error)
        return None
