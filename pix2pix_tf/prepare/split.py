"""The task `split`: a folder to train, val and test, where what looks alike stays together.

The input is a folder of images, A|B or single ones, with those below it; or it, or folders below
it, hold the folders A and B, or trainA and trainB (valA, testA), paired by name. Files are copied
as they are. `split.json` says what went where, and which pictures look alike.
"""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pix2pix_tf.data import arrays, images, layouts
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, jobs, near_duplicates, work

PLAN = "split.json"
_SIDES = ("A", "B")
# The folders of a side, and what their name says beside it.
_SIDE_FOLDERS = {
    f"{split}{side}": (side, split) for split in ("", *layouts.SPLITS) for side in "AB"
}


class _Item(NamedTuple):
    """A pair, or a single image.

    Attributes:
        name: Name of the file, or of A, below the input folder.
        names: Names of its one or two files, below the input folder.
        targets: Where they go, below the folder of the split.
    """

    name: str
    names: tuple[str, ...]
    targets: tuple[str, ...]


def run(options) -> work.Outcome:
    """Splits `--input` as `--shares` says."""
    shares = parse_shares(options.shares)
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    items, faults = _find(folder)
    settings = dict(shares=shares, seed=options.seed, hash_distance=options.hash_distance)
    folders.open_output(output, [folder], "split", settings)
    function = functools.partial(_look, folder=folder)
    looks, unreadable = work.collect(function, items, processes=options.processes)
    faults += unreadable
    readable = [item for item in items if item in looks]
    if not readable:
        return work.Outcome("There is nothing to split.", faults)
    groups = near_duplicates.clusters(
        [looks[item] for item in readable], hash_distance=options.hash_distance
    )
    split_of = assign(groups, shares, seed=options.seed)
    _write_plan(output, readable, split_of, groups)
    outcome = jobs.make_all(
        jobs.copy,
        [
            jobs.Job(
                item.name,
                tuple(folder / name for name in item.names),
                tuple(output / split / target for target in item.targets),
            )
            for item, split in zip(readable, split_of)
        ],
        output=output,
        what="images" if len(readable[0].names) == 1 else "pairs",
        faults=faults,
        processes=1,  # The disk is what takes the time.
        are_copies=True,
    )
    counts = ", ".join(f"{split_of.count(split)} {split}" for split in layouts.SPLITS)
    alike = sum(len(group) > 1 for group in groups)
    together = f"; {alike} groups look alike and were kept together" if alike else ""
    return work.Outcome(f"{outcome.summary} {counts}{together}.", outcome.faults)


def parse_shares(text: str) -> list[float]:
    """Returns the shares of train, val and test.

    Raises:
        InputError: If they are not three numbers from 0 that sum to 1.
    """
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) != 3 or not min(shares) >= 0.0 or not abs(sum(shares) - 1.0) < 1e-6:
        raise InputError(
            f"shares is {text!r}. Give three numbers, of train, val and test, that sum to 1, such "
            "as --shares=0.8,0.1,0.1."
        )
    return shares


def assign(groups: Sequence[Sequence[int]], shares: Sequence[float], *, seed: int) -> list[str]:
    """Returns the split of each picture, by its index; a group stays together.

    Large groups come first, so that the many small ones even the shares out.

    Args:
        groups: Lists of indexes, in which each index is once.
        shares: Shares of train, val and test; they sum to 1.
        seed: Decides the order.
    """
    count = sum(map(len, groups))
    order = np.random.default_rng(seed).permutation(len(groups))
    remaining = np.array(shares) * count
    result = [""] * count
    for group in sorted((groups[number] for number in order), key=len, reverse=True):
        split = int(remaining.argmax())
        remaining[split] -= len(group)
        for index in group:
            result[index] = layouts.SPLITS[split]
    return result


def _find(folder: pathlib.Path) -> tuple[list[_Item], list[work.Fault]]:
    """Returns what is to be split, and the faults."""
    names, faults = folders.find_images(folder)
    files = {}  # By what the names of A and B of a pair have in common, then by side.
    for name in names:
        side, common = _side_of(name)
        sides = files.setdefault(str(pathlib.PurePosixPath(common).with_suffix("")), {})
        if sides.setdefault(side, name) != name:
            faults.append(_same_name(name, sides[side]))
    expected = (
        ("A", "B") if any("A" in sides or "B" in sides for sides in files.values()) else ("",)
    )
    items = {}
    for common in sorted(files) if len(expected) == 2 else files:
        sides = files[common]
        is_whole = all(side in sides for side in expected)
        problem = "has no partner of the same name in A or B. Add it, or take this out."
        alone = [name for side, name in sides.items() if not (is_whole and side in expected)]
        faults += [work.Fault(name, problem) for name in alone]
        if is_whole:
            found = tuple(sides[side] for side in expected)
            # In one folder, where training looks for them: subfolders become part of the name.
            flat = common.replace("/", "_")
            targets = tuple(f"{x}/{flat}{pathlib.PurePath(sides[x]).suffix}" for x in expected)
            item = items.setdefault(flat, _Item(found[0], found, targets))
            if item.names != found:
                faults.append(_same_name(found[0], item.name))
    return list(items.values()), faults


def _same_name(name: str, other: str) -> work.Fault:
    problem = f"would have the same name in one folder as '{other}'. Rename it."
    return work.Fault(name, problem)


def _side_of(name: str) -> tuple[str, str]:
    """Returns the side that a file is on, and its name without that.

    Returns:
        "A" and "sea/train/1.png" of "sea/trainA/1.png"; "" and the name of a single image.
    """
    *parents, file = name.split("/")
    for place, part in enumerate(parents):
        if part in _SIDES:
            split, side = part[:-1], part[-1]
            parts = [*parents[:place], split, *parents[place + 1 :], file]
            return side, "/".join(filter(None, parts))
    return "", name


def _look(item: _Item, *, folder: pathlib.Path) -> near_duplicates.Look:
    """Returns what is compared of a picture, or of two side by side."""
    return near_duplicates.look_at([_read_grey(folder / name) for name in item.names])


def _read_grey(path: pathlib.Path) -> np.ndarray:
    """Returns a file as grey: uint8 `[height, width]`.

    Of an array the mean over its channels, from its own smallest value to its own largest.
    """
    if not arrays.is_array(path):
        images.inspect_image(path)
        return images.read_pixels(path, channels=1)[..., 0]
    mean = arrays.read(path).mean(axis=-1, dtype=np.float64)
    low, high = mean.min(), mean.max()
    return np.rint((mean - low) / ((high - low) or 1.0) * 255.0).astype(np.uint8)


def _write_plan(
    output: pathlib.Path, items: list[_Item], split_of: list[str], groups: list[list[int]]
) -> None:
    """Writes what goes where, or checks that it is what an earlier call wrote."""
    plan = {
        split: [item.name for item, own in zip(items, split_of) if own == split]
        for split in layouts.SPLITS
    }
    plan["look_alike"] = [
        [items[index].name for index in group] for group in groups if len(group) > 1
    ]
    contents = (json.dumps(plan, indent=1) + "\n").encode()
    path = output / PLAN
    if path.exists() and path.read_bytes() != contents:
        raise InputError(
            f"The files of --input have changed since '{path}' was written, which would move some "
            "from one split to another. Name a new folder."
        )
    folders.write_output(path, contents, output=output)
