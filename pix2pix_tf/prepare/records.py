"""The task `records`: a data set to a few large files, which training reads as the same.

The input is a data set with splits, in one of the layouts of `layouts.find_pairs`. The files go
into the records as they are, byte by byte, once they have been read as training reads them. See
`data.records` for the form. The index is written last: what is not complete is not taken for
records. The same input gives the same bytes, by however many processes.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from pix2pix_tf import files
from pix2pix_tf.data import decoding, image_files, images, layouts, pairs, records, registry
from pix2pix_tf.data.image_files import EncodedFile
from pix2pix_tf.errors import InputError, WriteError
from pix2pix_tf.prepare import folders, pair_files, work

_SHARDS_PER_PROCESS = 2  # Of fewer the other process takes longer to start than it saves.
_MEGABYTE = 10**6


class Plan(NamedTuple):
    """A shard that is to be written: its split, its name, and the pairs whose files go into it."""

    split: str
    name: str
    pairs: tuple[layouts.PairFiles, ...]


def run(options) -> work.Outcome:
    """Writes the pairs of `--input` as records."""
    folder, output = _find_dataset(options.input), pathlib.Path(options.output)
    records.import_array_record(output)
    plans = _make_plans(folder, shard_bytes=options.shard_megabytes * _MEGABYTE)
    settings = dict(shard_megabytes=options.shard_megabytes)
    folders.open_output(output, [folder], "records", settings)
    for path in (output / records.INDEX, *output.glob(f"*{records.SUFFIX}")):
        with files.writing(path):
            path.unlink(missing_ok=True)
    function = functools.partial(write_shard, folder=folder, output=output)
    written, _ = work.collect(
        function, plans, options.processes, least_per_process=_SHARDS_PER_PROCESS, unit="shard"
    )
    index, num_pairs, faults = {plan.split: {} for plan in plans}, 0, []
    for plan in plans:
        names, found = written[plan]
        index[plan.split][plan.name] = names
        num_pairs += len(names)
        faults += found
    files.write_atomically(output / records.INDEX, records.encode_index(index))
    shards, those = work.count_of(len(plans), "shards"), work.count_of(num_pairs, "pairs")
    return work.Outcome(f"Wrote {shards} with {those} to '{output}'.", faults)


def _find_dataset(name: str) -> pathlib.Path:
    """Returns the folder of a data set, which may be given by its published name."""
    if name == pairs.DEMO:
        raise InputError("The demo set is drawn as it is read: it has no files to store.")
    folder = registry.locate(name)
    if records.is_there(folder):
        raise InputError(
            f"'{folder}' holds records already. Pass the folder that they were made of, or copy it."
        )
    return folder


def _make_plans(folder: pathlib.Path, *, shard_bytes: int) -> list[Plan]:
    """Returns the shards of a data set, each of pairs that follow each other.

    A shard has at most `shard_bytes` of files, or else a single pair.
    """
    plans = []
    for split in layouts.find_splits(folder):
        groups, room = [], 0
        for pair in layouts.find_pairs(folder, split):
            # What is not there is named when it cannot be read.
            size = sum(file.stat().st_size for file in pair.files if file.is_file())
            if not groups or size > room:
                groups.append([])
                room = shard_bytes
            groups[-1].append(pair)
            room -= size
        for number, group in enumerate(groups):
            name = f"{split}-{number:05d}-of-{len(groups):05d}{records.SUFFIX}"
            plans.append(Plan(split, name, tuple(group)))
    return plans


def write_shard(
    plan: Plan, *, folder: pathlib.Path, output: pathlib.Path
) -> tuple[list[list[str]], list[work.Fault]]:
    """Writes a shard of the data set in `folder`.

    Returns:
        What the index says of it, see `records.Index`; and the pairs that were left out since they
        cannot be read.

    Raises:
        WriteError: If it cannot be written.
    """
    path = output / plan.name
    names, faults = [], []

    def contents() -> Iterator[bytes]:
        for pair in plan.pairs:
            try:
                found = _read(pair)
            except InputError as error:
                name = folders.below(folder, pair.a)
                faults.append(work.Fault(name, work.without_path(str(error), name)))
                continue
            names.append([pair.name, *(file.path.suffix for file in found)])
            yield from (file.contents for file in found)

    try:
        records.write_shard(path, contents())
    except (OSError, RuntimeError) as error:
        raise WriteError(
            f"'{path}' cannot be written ({error}). Make room or name another --output, and run "
            "the same command again."
        ) from None
    return names, faults


def _read(pair: layouts.PairFiles) -> list[EncodedFile]:
    """Returns the files of a pair; raises InputError if training could not read it."""
    if not records.is_plain_name(pair.name):  # The names of files have nothing else it refuses.
        raise InputError(f"'{pair.a}' has a backslash in its name. Rename it.")
    found = [EncodedFile(path, image_files.read_bytes(path)) for path in pair.files]
    # Whether one file is two images side by side or a photo of its own, of any width, only the
    # training says, by its color_space.
    if len(found) == 2:
        decoding.check_size(found, [images.inspect_image(file) for file in found])
    for file in found:
        pair_files.read_values(file)
    return found
