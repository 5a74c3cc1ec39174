"""The task `records`: a data set to a few large files, which training reads as the same.

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

from pix2pix_tf import files
from pix2pix_tf.data import decoding, images, layouts, pairs, records, registry
from pix2pix_tf.data.image_files import EncodedFile
from pix2pix_tf.errors import InputError, MissingInputError, WriteError
from pix2pix_tf.prepare import folders, pair_files, work

# Pairs for a process to read, below which it takes longer to start than it saves.
_PAIRS_PER_PROCESS = 100
_MEGABYTE = 10**6


@dataclasses.dataclass(frozen=True)
class Plan:
    """A shard that is to be written.

    Attributes:
        split: The split of its pairs.
        file: Its name.
        pairs: Whose files go into it, in this order.
    """

    split: str
    file: str
    pairs: tuple[layouts.PairFiles, ...]


def run(options) -> work.Outcome:
    """Writes the pairs of `--input` as records."""
    folder, output = _find_dataset(options.input), pathlib.Path(options.output)
    settings = dict(shard_megabytes=options.shard_megabytes)
    plans = _make_plans(folder, shard_bytes=options.shard_megabytes * _MEGABYTE)
    folders.open_output(output, [folder], "records", settings)
    num_pairs = {plan: len(plan.pairs) for plan in plans if _is_finished(output, plan)}
    num_there = len(num_pairs)
    remaining = [plan for plan in plans if plan not in num_pairs]
    if remaining:  # From here on, what was complete may be no more.
        _write_index(output, {}, is_complete=False)
    faults = []
    for plan, (count, found), _ in work.run_on_all(
        functools.partial(write_shard, folder=folder, output=output),
        remaining,
        processes=min(
            options.processes,
            max(sum(len(plan.pairs) for plan in remaining) // _PAIRS_PER_PROCESS, 1),
        ),
        least_per_process=1,
        unit="shard",
    ):
        num_pairs[plan] = count
        faults += found
    _write_index(output, {plan: num_pairs[plan] for plan in plans}, is_complete=True)
    for path in output.glob(f"*{records.SUFFIX}"):  # Of another number of them, from before.
        if path.name not in {plan.file for plan in plans}:
            path.unlink()
    num_written = sum(num_pairs[plan] for plan in remaining)
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
        raise InputError("The demo set is drawn as it is read: it has no files to store.")
    folder = pathlib.Path(name)
    if not files.is_folder(folder):
        folder = registry.locate(name)
    if records.is_there(folder):
        raise InputError(
            f"'{folder}' holds records already. Pass the folder that they were made of, or copy it."
        )
    return folder


def _make_plans(folder: pathlib.Path, *, shard_bytes: int) -> list[Plan]:
    """Returns the shards of a data set, each of pairs that follow each other.

    Args:
        folder: Folder of the data set.
        shard_bytes: Bytes of the files in a shard, at most; one pair may have more.

    Raises:
        InputError: If there are no pairs, or it is not clear which they are.
    """
    splits = [split for split in layouts.SPLITS if layouts.has_split(folder, split)]
    plans = []
    for split in splits or layouts.SPLITS[:1]:  # Of none, the first is missed, with what to do.
        groups, room = [], 0
        for pair in layouts.find_pairs(folder, split):
            # What is not there is named when it cannot be read.
            size = sum(file.stat().st_size for file in pair.files if file.is_file())
            if not groups or size > room:
                groups.append([])
                room = shard_bytes
            groups[-1].append(pair)
            room -= size
        plans += [
            Plan(split, records.shard_name(split, number, len(groups)), tuple(group))
            for number, group in enumerate(groups)
        ]
    return plans


def _is_finished(output: pathlib.Path, plan: Plan) -> bool:
    """Returns whether a shard is there, whole and newer than its files."""
    shard = output / plan.file
    sources = [file for pair in plan.pairs for file in pair.files]
    if not records.is_there(output) or not folders.is_finished([shard], sources):
        return False
    expected = [(pair.name, tuple(file.suffix for file in pair.files)) for pair in plan.pairs]
    try:
        found = [(pair.name, pair.suffixes) for pair in records.read_shard(shard)]
        records.verify(shard)
    except InputError:  # Damaged, since it was written.
        return False
    return found == expected


def _write_index(output: pathlib.Path, num_pairs: dict[Plan, int], *, is_complete: bool) -> None:
    splits = {}
    for plan, count in num_pairs.items():
        splits.setdefault(plan.split, {})[plan.file] = count
    contents = records.encode_index(splits, is_complete=is_complete)
    folders.write_output(output / records.INDEX, contents, output=output)


def write_shard(
    plan: Plan, *, folder: pathlib.Path, output: pathlib.Path
) -> tuple[int, list[work.Fault]]:
    """Writes a shard, whole or not at all.

    Args:
        plan: Which, and of what.
        folder: Folder of the data set, for the names in faults.
        output: Folder of the shard.

    Returns:
        The number of its pairs, and the pairs that were left out since they cannot be read.

    Raises:
        OutputError: If it cannot be written.
    """
    path = output / plan.file
    faults = []
    try:
        with files.unfinished_folder(output, plan.file) as unfinished:
            unfinished.mkdir()
            temporary = unfinished / plan.file
            writer = records.ShardWriter(temporary)
            for pair in plan.pairs:
                try:
                    found, infos = _read(pair)
                except InputError as error:
                    name = folders.below(folder, pair.a)
                    faults.append(work.Fault(name, work.without_path(str(error), name)))
                    continue
                writer.write(pair.name, found, infos)
            num_pairs = writer.close()
            files.sync(temporary)
            os.replace(temporary, path)
            unfinished.rmdir()
    except (OSError, RuntimeError) as error:
        raise WriteError(
            f"'{path}' cannot be written ({error}). What was finished is kept: make room or name "
            "another --output, and run the same command again."
        ) from None
    return num_pairs, faults


def _read(pair: layouts.PairFiles) -> tuple[list[EncodedFile], list[images.ImageInfo]]:
    """Returns the files of a pair, each read once, and what their headers say.

    Raises:
        InputError: If training could not read it, with any settings.
    """
    if not records.is_plain_name(pair.name):  # The names of files have nothing else it refuses.
        raise InputError(
            f"'{pair.a}' has a backslash in its name, which records refuse. Rename it."
        )
    found = []
    for path in pair.files:
        if not path.is_file():
            raise MissingInputError(f"'{path}' {folders.NO_FILE}")
        try:
            found.append(EncodedFile(path, path.read_bytes()))
        except OSError as error:
            raise InputError(f"'{path}' cannot be read ({error.strerror}). Replace it.") from None
    infos = [images.inspect_image(file) for file in found]
    # Whether one file is two images side by side or a photo of its own, of any width, only the
    # training says, by its color_space. From the index it refuses what cannot be, on opening.
    if len(found) == 2:
        decoding.check_size(found, infos)
    for file in found:
        pair_files.read_values(file)
    return found, infos
