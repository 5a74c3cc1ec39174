"""The task `check`: reads all of a data set once, with the code that training reads it with.

The input is a data set with splits, in one of the layouts of `layouts.find_pairs` or in records.
What is wrong is listed, and written to `check.json` in `--output`, with what the values are and
which are probably a mistake.
"""

from __future__ import annotations

import functools
import hashlib
import json
import pathlib
from typing import NamedTuple

from pix2pix_tf import files
from pix2pix_tf.config import LAB, value_range
from pix2pix_tf.data import decoding, image_files, images, layouts, values
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, work

_NOTHING = {False: "Nothing is wrong.", True: "No file is wrong; see the notes."}
REPORT = "check.json"


class _Item(NamedTuple):
    """A pair of a split; its name is that of the file, or of A, below the input folder."""

    split: str
    name: str
    pair: layouts.Pair


class _Read(NamedTuple):
    """What was read of a pair: a digest of its contents, what its headers say, and its values."""

    digest: str
    infos: dict[str, images.ImageInfo]
    seen: values.PairLook


def run(options) -> work.Outcome:
    """Checks `--input`."""
    folder = pathlib.Path(options.input)
    decoder = _make_decoder(options)
    items, faults = _find(folder)
    if options.output:  # Before the long work, which would be lost.
        files.make_output_folder(pathlib.Path(options.output))
    function = functools.partial(_read, decoder=decoder)
    read, unreadable = work.collect(function, items, options.processes)
    images.warn_of_colours({k: v for found in read.values() for k, v in found.infos.items()})
    decoding.warn_of_turns([found.infos for found in read.values()])
    faults = sorted([*faults, *unreadable, *_find_leaks(read)], key=lambda fault: fault.name)
    splits = {
        split: _summarize([found for item, found in read.items() if item.split == split])
        for split in dict.fromkeys(item.split for item in read)
    }
    lines = [f"Read {work.count_of(len(read), 'pairs')}."]
    for split, found in splits.items():
        smallest, largest = ("x".join(map(str, found[key])) for key in ("smallest", "largest"))
        bits = " or ".join(map(str, found["bits"]))
        lines.append(f"{split}: {found['readable']} of {smallest} to {largest} pixels, {bits} bits")
    summary = values.Summary(_make_sides(options), [found.seen for found in read.values()])
    lines += summary.describe() if read else []
    words = summary.words() if read else []
    lines += [f"Note: {word}" for word in words]
    wrong = [dict(file=fault.name, problem=fault.problem) for fault in faults]
    lines.append(
        f"{work.count_of(len(wrong), 'things')} wrong." if wrong else _NOTHING[bool(words)]
    )
    if options.output:
        report = dict(input=str(folder), checked=len(items), splits=splits, wrong=wrong)
        report.update(sides=summary.facts() if read else {}, words=words)
        path = pathlib.Path(options.output) / REPORT
        files.write_atomically(path, (json.dumps(report, indent=1) + "\n").encode())
        lines.append(f"See '{path}'.")
    return work.Outcome("\n".join(lines), faults)


def _make_decoder(options) -> decoding.Decoder:
    """Returns what training would read with.

    Raises:
        InputError: If flags have no meaning, alone or together.
    """
    ranges = {name: value_range(options[name].value, name=name) for name in ("a_range", "b_range")}
    if options.color_space != LAB:
        channels = dict(a_channels=options.a_channels, b_channels=options.b_channels)
        return decoding.PairDecoder(**channels, **ranges)
    for name in ("a_channels", "b_channels", "a_range", "b_range"):
        if options[name].present:
            raise InputError(
                f"--{name} is not for --color_space=lab, which takes photos of 3 channels. Leave "
                "it out."
            )
    return decoding.PhotoDecoder(photo_side="B")


def _make_sides(options) -> list[values.Side]:
    """Returns A and B, or the one side of photos."""
    if options.color_space == LAB:
        return [values.Side("Photos", flag="", has_range=True, is_made=False)]
    # Which one the network makes is not known here; A, the input as a rule, may be grey.
    return [
        values.Side("A", flag="a_", has_range=bool(options.a_range), is_made=False),
        values.Side("B", flag="b_", has_range=bool(options.b_range), is_made=True),
    ]


def _find(folder: pathlib.Path) -> tuple[list[_Item], list[work.Fault]]:
    """Returns the pairs, and the splits that training refuses for the names of their files."""
    items, faults = [], []
    for split in layouts.find_splits(folder):
        try:
            pairs = layouts.find_pairs(folder, split)
        except InputError as error:
            faults.append(work.Fault(split, str(error)))
        else:
            items += [_Item(split, folders.below(folder, pair.files[0]), pair) for pair in pairs]
    return items, faults


def _read(item: _Item, *, decoder: decoding.Decoder) -> _Read:
    """Reads a pair as training does.

    Raises:
        InputError: If it cannot be used.
    """
    found = item.pair.read()
    infos = decoding.inspect(found, decoder)
    _, seen = decoding.read_and_look(found, decoder, decoder.dtype_of(infos))
    contents = map(image_files.read_bytes, found[decoder.which])
    digests = [hashlib.sha256(each).hexdigest() for each in contents]
    return _Read(" ".join(digests), infos, seen)


def _find_leaks(read: dict[_Item, _Read]) -> list[work.Fault]:
    """Returns the pairs that are in two splits."""
    first, faults = {}, []
    for item in sorted(read, key=lambda item: layouts.SPLITS.index(item.split)):
        other = first.setdefault(read[item].digest, item)
        if other.split != item.split:
            problem = f"is the same as '{other.name}', of another split. Take one out."
            faults.append(work.Fault(item.name, problem))
    return faults


def _summarize(found: list[_Read]) -> dict:
    """Returns what was read of a split: how many, which sizes and how deep."""
    sizes = [[x.seen.sides[0].width, x.seen.sides[0].height] for x in found]
    sizes.sort(key=lambda x: (x[0] * x[1], x))
    bits = sorted({max(info.bits for info in x.infos.values()) for x in found})
    return dict(readable=len(found), smallest=sizes[0], largest=sizes[-1], bits=bits)
