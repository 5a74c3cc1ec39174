"""The task `check`: reads all of a data set once, with the code that training reads it with.

The input is a data set with splits, in one of the layouts of `layouts.find_pairs` or in records,
or else a folder of images with those below it. What is wrong is a table, and `check.json` in
`--output`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import pathlib
import re
from collections.abc import Sequence

from pix2pix_tf import files
from pix2pix_tf.config import LAB, value_range
from pix2pix_tf.data import decoding, image_files, images, layouts, records
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import combine, folders, pair_files, work

REPORT = "check.json"
_SINGLE = ""  # In place of a split's name: images that are not in pairs.
# In messages of training; they are a_ and b_ here.
_FLAGS_OF_TRAINING = re.compile("(?:--)?(input|output)_(?=channels|range)")


@dataclasses.dataclass(frozen=True)
class _Item:
    """A pair of a split, or a single image.

    Attributes:
        split: Its name, or `_SINGLE`.
        name: Of the file, or of A, below the input folder.
        source: The files, or where in records they are.
    """

    split: str
    name: str
    source: layouts.Pair


@dataclasses.dataclass(frozen=True)
class _Read:
    """What was read of it."""

    width: int
    height: int
    digest: str  # Of the files' contents.
    infos: dict[str, images.ImageInfo]  # What the headers of the files say, by their names.

    @property
    def bits(self) -> int:
        """Of the deepest file."""
        return max(info.bits for info in self.infos.values())


def run(options) -> work.Outcome:
    """Checks `--input`."""
    folder = pathlib.Path(options.input)
    settings = _settings(options)
    items, faults = _find(folder)
    if options.output:  # Before the long work, which would be lost.
        files.make_output_folder(pathlib.Path(options.output))
    function = functools.partial(_read, color_space=options.color_space, settings=settings)
    read, unreadable = work.collect(
        function, items, name_of=lambda item: item.name, processes=options.processes
    )
    faults += [work.Fault(fault.name, _with_own_flags(fault.problem)) for fault in unreadable]
    images.warn_of_colours({k: v for found in read.values() for k, v in found.infos.items()})
    faults += _find_leaks([(item, read[item]) for item in items if item in read])
    faults.sort(key=lambda fault: fault.name)
    report = dict(
        input=str(folder),
        checked=len(items),
        splits=_summarize(read),
        wrong=[dict(file=fault.name, problem=fault.problem) for fault in faults],
    )
    where = ""
    if options.output:
        path = pathlib.Path(options.output) / REPORT
        files.write_atomically(path, (json.dumps(report, indent=1) + "\n").encode())
        where = f" See '{path}'."
    are_single = options.color_space == LAB or any(item.split == _SINGLE for item in items)
    what = work.count_of(len(items), "images" if are_single else "pairs")
    verb = "is" if len(faults) == 1 else "are"
    things = f"{work.count_of(len(faults), 'things')} {verb} wrong."
    verdict = things if faults else "Nothing is wrong."
    return work.Outcome(f"{_table(report['splits'])}\nRead {what}. {verdict}{where}", faults)


def _settings(options) -> dict:
    """Returns how training would read: arguments of `PairDecoder`, or of `PhotoDecoder`.

    Raises:
        InputError: If flags have no meaning, alone or together.
    """
    ranges = {name: value_range(options[name].value, name=name) for name in ("a_range", "b_range")}
    if options.color_space != LAB:
        channels = dict(a_channels=options.a_channels, b_channels=options.b_channels)
        return dict(scaled_to=options.load_size, **channels, **ranges)
    for name in ("a_channels", "b_channels", "a_range", "b_range"):
        if options[name].present:
            raise InputError(
                f"--{name} is not for --color_space=lab, which takes photos of 3 channels. Leave "
                "it out."
            )
    return dict(scaled_to=options.load_size, photo_side="B")


def _find(folder: pathlib.Path) -> tuple[list[_Item], list[work.Fault]]:
    """Returns what there is to read, and what is wrong before anything is read."""
    splits = [split for split in layouts.SPLITS if layouts.has_split(folder, split)]
    if not splits:
        found = folders.find_images(folder)
        items = [_Item(_SINGLE, name, layouts.PairFiles(folder / name)) for name in found.names]
        return items, list(found.faults)
    items, faults = [], []
    for split in splits:
        pairs_of_split, found = _find_pairs(folder, split)
        if not pairs_of_split and not found:
            found = [work.Fault(split, "holds no images. Put pairs there, or remove it.")]
        items += [
            _Item(split, folders.below(folder, pair.files[0]), pair) for pair in pairs_of_split
        ]
        faults += found
    return items, faults


def _find_pairs(
    folder: pathlib.Path, split: str
) -> tuple[Sequence[layouts.Pair], list[work.Fault]]:
    """Returns the pairs of a split, and why training refuses others, or all.

    Training stops at the first thing that is wrong with the names; here all are found.
    """
    if records.is_there(folder):
        try:
            return records.find_pairs(folder, split), []
        except InputError as error:
            return [], [work.Fault(split, str(error))]

    def list_files(path: pathlib.Path) -> folders.Found:
        prefix = folders.below(folder, path) + "/"
        return folders.list_below(path, prefix=prefix, recursive=False)

    for sides in layouts.two_folders(folder, split):
        if any(map(files.is_folder, sides)):
            partners, faults = combine.match(*map(list_files, sides))
            return [layouts.PairFiles(sides[0] / a, sides[1] / b) for a, b in partners], faults
    found = list_files(folder / split)
    return [layouts.PairFiles(found.folder / name) for name in found.names], found.faults


def _read(item: _Item, *, color_space: str, settings: dict) -> _Read:
    """Reads a pair or an image as training does.

    Args:
        item: What to read.
        color_space: That of the training; photos are read for "lab".
        settings: Arguments of `decoding.PairDecoder`, or of `decoding.PhotoDecoder`.

    Raises:
        InputError: If it cannot be used.
    """
    if isinstance(item.source, layouts.PairFiles):
        for file in item.source.files:
            image_files.require(file)
    found = item.source.read()
    if color_space == LAB or item.split != _SINGLE:
        make_decoder = decoding.PhotoDecoder if color_space == LAB else decoding.PairDecoder
        decoder = make_decoder(**settings)
        infos = item.source.inspect(decoder.which)
        decoder.check(infos)
        a, _ = decoder.decode(found, decoder.dtype_of(infos))
    else:
        infos = item.source.inspect()
        a = pair_files.read_values(found[0])
    digest = " ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in found)
    named = {str(path): info for path, info in infos.items()}
    return _Read(a.shape[1], a.shape[0], digest, named)


def _with_own_flags(problem: str) -> str:
    return _FLAGS_OF_TRAINING.sub(
        lambda flag: {"input": "--a_", "output": "--b_"}[flag[1]], problem
    )


def _find_leaks(read: list[tuple[_Item, _Read]]) -> list[work.Fault]:
    """Returns the pairs that are in two splits."""
    first, faults = {}, []
    for item, found in read:
        other = first.setdefault(found.digest, item)
        if other.split != item.split:
            problem = (
                f"is the same as '{other.name}': what is measured must not be trained on. Take one "
                "out."
            )
            faults.append(work.Fault(item.name, problem))
    return faults


def _summarize(read: dict[_Item, _Read]) -> dict[str, dict]:
    """Returns what was read of each split: how many, which sizes and how deep."""
    summary = {}
    for split in (*layouts.SPLITS, _SINGLE):
        found = [result for item, result in read.items() if item.split == split]
        if found:
            found.sort(key=lambda each: (each.width * each.height, each.width))
            summary[split or "images"] = dict(
                readable=len(found),
                smallest=[found[0].width, found[0].height],
                largest=[found[-1].width, found[-1].height],
                bits=sorted({each.bits for each in found}),
            )
    return summary


def _table(splits: dict[str, dict]) -> str:
    """Returns the summary of the splits as text."""
    lines = [f"{'':8}{'readable':>10}{'smallest':>14}{'largest':>14}{'bits':>8}"]
    for name, split in splits.items():
        smallest, largest = ("x".join(map(str, split[key])) for key in ("smallest", "largest"))
        bits = ",".join(map(str, split["bits"]))
        lines.append(f"{name:8}{split['readable']:>10}{smallest:>14}{largest:>14}{bits:>8}")
    return "\n".join(lines)
