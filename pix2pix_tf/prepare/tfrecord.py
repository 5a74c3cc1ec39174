"""The task `tfrecord`: a data set to sharded TFRecord files, which training reads as the same.

The input is a data set with splits, in one of the layouts of `layouts.find_pairs`. The files go
into the records as they are, byte by byte, once they have been read as training reads them. See
`data.records` for the form. What the shards hold follows from the files alone, so that the same
input gives the same bytes, by however many processes and after however many stops.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pix2pix_tf import files
from pix2pix_tf.data import images, layouts, pairs, records, registry
from pix2pix_tf.data.encoded import EncodedFile
from pix2pix_tf.errors import InputError, MissingInputError, WriteError
from pix2pix_tf.prepare import folders, pair_files, work

# Pairs for a process to read, below which it takes longer to start than it saves.
_PAIRS_PER_PROCESS = 100
_MEGABYTE = 10**6


@dataclasses.dataclass(frozen=True)
class Plan:
    """A shard that is to be written.

    Attributes:
        file: Its name.
        pairs: Whose files go into it, in this order.
    """

    file: str
    pairs: tuple[layouts.PairFiles, ...]


def run(options) -> work.Outcome:
    """Writes the pairs of `--input` as records."""
    folder, output = _find_dataset(options.input), pathlib.Path(options.output)
    settings = dict(shard_megabytes=options.shard_megabytes)
    plans = make_plans(folder, shard_bytes=options.shard_megabytes * _MEGABYTE)
    folders.open_output(output, [folder], "tfrecord", settings)
    shards = _find_finished(output, plans)
    num_there = len(shards)
    remaining = [plan for plan in plans if plan.file not in shards]

    def write_index(*, is_complete: bool) -> None:
        finished = [shards[plan.file] for plan in plans if plan.file in shards]
        contents = records.encode_index(finished, is_complete=is_complete)
        folders.write_output(output / records.INDEX, contents, output=output)

    if remaining:  # From here on, what was complete may be no more.
        write_index(is_complete=False)
    faults = []
    num_pairs = sum(len(plan.pairs) for plan in remaining)
    function = functools.partial(write_shard, folder=folder, output=output)
    for plan, (shard, found), _ in work.run_on_all(
        function,
        remaining,
        processes=min(options.processes, max(num_pairs // _PAIRS_PER_PROCESS, 1)),
        least_per_process=1,
        unit="shard",
    ):
        shards[plan.file] = shard
        faults += found
        write_index(is_complete=False)
    write_index(is_complete=True)
    _remove_others(output, shards)
    num_written = sum(len(shards[plan.file].entries) for plan in remaining)
    written = (
        f"{work.count_of(len(remaining), 'shards')} with {work.count_of(num_written, 'pairs')}"
    )
    return work.Outcome(f"Wrote {written} to '{output}'{work.already_there(num_there)}.", faults)


def _find_dataset(name: str) -> pathlib.Path:
    """Returns the folder of a data set, which may be given by its published name.

    Raises:
        InputError: If there is none, or it is of records itself.
    """
    if name == pairs.DEMO:
        raise InputError("The demo set is drawn as it is read: there are no files of it to store.")
    folder = pathlib.Path(name)
    if not files.is_folder(folder):
        folder = registry.locate(name)
    if records.is_there(folder):
        raise InputError(
            f"'{folder}' holds records already. Pass the folder that they were made of, or copy it."
        )
    return folder


def make_plans(folder: pathlib.Path, *, shard_bytes: int) -> list[Plan]:
    """Returns the shards of a data set, each of pairs that follow each other.

    Args:
        folder: Of the data set.
        shard_bytes: Of the files in a shard, at most; one pair may have more.

    Raises:
        InputError: If there are no pairs, or it is not clear which they are.
    """
    splits = [split for split in layouts.SPLITS if layouts.has_split(folder, split)]
    plans = []
    for split in splits or layouts.SPLITS[:1]:  # Of none, the first is missed, with what to do.
        groups, room = [], 0
        for pair in layouts.find_pairs(folder, split):
            size = sum(_size(file) for file in pair.files)
            if not groups or size > room:
                groups.append([])
                room = shard_bytes
            groups[-1].append(pair)
            room -= size
        plans += [
            Plan(records.shard_name(split, number, len(groups)), tuple(group))
            for number, group in enumerate(groups)
        ]
    return plans


def _size(path: pathlib.Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # Named when it cannot be read.
        return 0


def _find_finished(output: pathlib.Path, plans: Sequence[Plan]) -> dict[str, records.Shard]:
    """Returns the shards that need not be written, by their names."""
    if not records.is_there(output):
        return {}
    try:
        there = records.read_index(output, must_be_complete=False)
    except InputError:  # Damaged: nothing is known of what there is.
        return {}
    there = {shard.file: shard for shard in there}
    return {
        plan.file: there[plan.file]
        for plan in plans
        if plan.file in there and _is_finished(output, plan, there[plan.file])
    }


def _is_finished(output: pathlib.Path, plan: Plan, shard: records.Shard) -> bool:
    expected = [(pair.name, *(file.suffix for file in pair.files)) for pair in plan.pairs]
    found = [(entry.name, *(kind.suffix for kind in entry.kinds)) for entry in shard.entries]
    sources = [file for pair in plan.pairs for file in pair.files]
    if found != expected or not folders.is_finished([output / plan.file], sources):
        return False
    try:
        records.verify(output, shard)
    except InputError:  # Damaged, since it was written.
        return False
    return True


def write_shard(
    plan: Plan, *, folder: pathlib.Path, output: pathlib.Path
) -> tuple[records.Shard, list[work.Fault]]:
    """Writes a shard, whole or not at all.

    Args:
        plan: Which, and of what.
        folder: Of the data set, for the names in faults.
        output: Of the shard.

    Returns:
        The shard, and the pairs that were left out since they cannot be read.

    Raises:
        WriteError: If it cannot be written.
    """
    path = output / plan.file
    entries, faults, values, offset = [], [], {}, 0
    try:
        with files.unfinished_folder(output, "shard") as unfinished:
            unfinished.mkdir()
            temporary = unfinished / plan.file
            # As bytes: a folder's name need not be Unicode.
            with tf.io.TFRecordWriter(os.fsencode(temporary)) as writer:
                for pair in plan.pairs:
                    try:
                        kinds, encoded, found = _read(pair)
                    except InputError as error:
                        name = folders.below(folder, pair.a)
                        faults.append(work.Fault(name, work.without_path(str(error), name)))
                        continue
                    data = records.encode_pair(pair.name, encoded)
                    writer.write(data)
                    entries.append(records.Entry(pair.name, offset, kinds))
                    offset += records.framed_size(data)
                    for side, each in found.items():
                        values[side] = values[side].joined(each) if side in values else each
            files.sync(temporary)
            digest = files.sha256(temporary)
            os.replace(temporary, path)
            unfinished.rmdir()
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "message", None) or error
        raise WriteError(
            f"'{path}' cannot be written ({reason}). What was finished is kept: make room or name "
            "another --output, and run the same command again."
        ) from None
    return records.Shard(plan.file, offset, digest, tuple(entries), values), faults


def _read(
    pair: layouts.PairFiles,
) -> tuple[tuple[records.Kind, ...], list[EncodedFile], dict[str, records.Values]]:
    """Returns the files of a pair, what the index says of them, and their values by side.

    Raises:
        InputError: If training could not read it, with any settings.
    """
    if not records.is_pair_name(pair.name):  # The names of files have nothing else it refuses.
        raise InputError(
            f"'{pair.a}' has a backslash in its name, which records refuse. Rename it."
        )
    encoded = [_read_file(path) for path in pair.files]
    infos = [images.inspect_image(file) for file in encoded]
    # Whether one file is two images side by side or a photo of its own, of any width, only the
    # training says, by its color_space. From the index it refuses what cannot be, on opening.
    if len(encoded) == 2:
        pairs.check_size(encoded, infos)
    kinds = tuple(records.Kind(file.suffix, info) for file, info in zip(encoded, infos))
    sides = ("A", "B") if len(encoded) == 2 else ("A|B",)
    values = {side: _values(pair_files.read_values(file)) for side, file in zip(sides, encoded)}
    return kinds, encoded, values


def _read_file(path: pathlib.Path) -> EncodedFile:
    """Returns a file, read once: what is checked is what will be stored."""
    if not path.is_file():
        raise MissingInputError(f"'{path}' {folders.NO_FILE}")
    try:
        return EncodedFile(path, path.read_bytes())
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). Replace it.") from None


def _values(decoded: np.ndarray) -> records.Values:
    extremes = (decoded.min().item(), decoded.max().item())
    return records.Values((decoded.shape[-1],), (decoded.dtype.name,), extremes)


def _remove_others(output: pathlib.Path, shards: dict[str, records.Shard]) -> None:
    """Removes the shards of another number of them, from before the input had changed."""
    for path in output.iterdir():
        if records.is_shard_name(path.name) and path.name not in shards:
            path.unlink()
