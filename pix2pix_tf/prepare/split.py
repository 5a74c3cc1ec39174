"""The task `split`: a folder to train, val and test, where what looks alike stays together.

The input is a folder of images, A|B or single ones, with those below it; or it, or folders below
it, hold the folders A and B, or trainA and trainB (valA, testA), paired by name. Files are copied
as they are. `split.json` says what went where, and which pictures look alike.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from pix2pix_tf.data import arrays, images, layouts
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.prepare import combine, extra, folders, jobs, near_duplicates, work

PLAN = "split.json"
_SIDES = ("A", "B")


@dataclasses.dataclass(frozen=True)
class _Item:
    """A pair, or a single image.

    Attributes:
        names: Its one or two files, below the input folder.
        targets: Where they go, below the folder of the split.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]


def run(options) -> work.Outcome:
    """Splits `--input` as `--shares` says."""
    extra.require("imagehash")
    shares = parse_shares(options.shares)
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    items, faults = _find(folder)
    settings = dict(shares=shares, seed=options.seed, hash_distance=options.hash_distance)
    folders.open_output(output, [folder], "split", settings)
    looks, unreadable = work.collect(
        functools.partial(_look, folder=folder),
        items,
        name_of=lambda item: item.names[0],
        processes=options.processes,
    )
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
            folders.Job(
                item.names[0],
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
        shares: Of train, val and test; they sum to 1.
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
    two_folders = _find_two_folders(folder)
    if two_folders:
        candidates, faults = _find_pairs(folder, two_folders)
        if not candidates and not faults:
            raise MissingInputError(f"A and B of '{folder}' hold no images. Put the pairs there.")
    else:
        found = folders.find_images(folder)
        candidates = [_Item((name,), (_flat(name),)) for name in found.names]
        faults = list(found.faults)
    items = {}
    for item in candidates:
        other = items.setdefault(pathlib.PurePosixPath(item.targets[0]).stem, item)
        if other is not item:
            problem = f"would have the same name in one folder as '{other.names[0]}'. Rename it."
            faults.append(work.Fault(item.names[0], problem))
    return list(items.values()), faults


def _find_two_folders(folder: pathlib.Path) -> list[tuple[str, str, str]]:
    """Returns the folders of A and of B in a folder and in those below it.

    Returns:
        A's and B's, below `folder`, with a "/" at the end, such as "summer/trainA/"; and what
        becomes part of the names of what they hold, such as "summer/train/".

    Raises:
        MissingInputError: If one of the two is not there: what the other one holds would be
            taken for A|B.
    """
    result = []
    for parent, subfolders, _ in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
        below = pathlib.PurePosixPath(folders.below(folder, parent))
        for split in ("", *layouts.SPLITS):
            names = [f"{split}{side}" for side in _SIDES]
            found = [name for name in names if name in subfolders]
            if len(found) == 1:
                missing = names[1 - names.index(found[0])]
                raise MissingInputError(
                    f"There is '{parent}/{found[0]}' but no '{parent}/{missing}'. Put the partners "
                    "there, with the same names; or rename the folder if it is not a side of pairs."
                )
            if found:
                a, b, start = (f"{below / name}/" for name in (*names, split))
                result.append((a, b, start.lstrip("./")))
                subfolders[:] = [name for name in subfolders if name not in names]
    return result


def _find_pairs(
    folder: pathlib.Path, two_folders: Sequence[tuple[str, str, str]]
) -> tuple[list[_Item], list[work.Fault]]:
    """Returns the pairs of the folders of A and B; what is in none of these is a fault."""
    items, faults = [], []
    for *sides, start in two_folders:
        partners, faults_of_both = combine.match(
            *(folders.list_below(folder / side, prefix=side) for side in sides)
        )
        faults += faults_of_both
        items += [
            _Item(
                tuple(f"{side}{name}" for side, name in zip(sides, names)),
                tuple(f"{side}/{_flat(start + name)}" for side, name in zip(_SIDES, names)),
            )
            for names in partners
        ]
    found = folders.list_below(folder)
    taken = tuple(side for *sides, _ in two_folders for side in sides)
    problem = "is in neither A nor B, where the pairs are. Take it out, or split it on its own."
    faults += [work.Fault(name, problem) for name in found.names if not name.startswith(taken)]
    faults += [fault for fault in found.faults if not fault.name.startswith(taken)]
    return items, faults


def _flat(name: str) -> str:
    """Returns the name of a file of subfolders in one folder, where training looks for it."""
    return name.replace("/", "_")


def _look(item: _Item, *, folder: pathlib.Path) -> near_duplicates.Look:
    """Returns what is compared of a picture, or of two side by side."""
    width = 2 * near_duplicates.SIZE // len(item.names)
    sides = [near_duplicates.shrink(_read_grey(folder / name), width=width) for name in item.names]
    return near_duplicates.look_at(np.concatenate(sides, axis=1))


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
    output: pathlib.Path,
    items: list[_Item],
    split_of: list[str],
    groups: list[list[int]],
) -> None:
    """Writes what goes where, or checks that it is what an earlier call wrote."""
    plan = {split: [] for split in layouts.SPLITS}
    for item, split in zip(items, split_of):
        plan[split].append(item.names[0])
    plan["look_alike"] = [
        [items[index].names[0] for index in group] for group in groups if len(group) > 1
    ]
    contents = (json.dumps(plan, indent=1) + "\n").encode()
    path = output / PLAN
    if path.exists() and path.read_bytes() != contents:
        raise InputError(
            f"The files of --input have changed since '{path}' was written, which would move some "
            "from one split to another. Name a new folder."
        )
    folders.write_output(path, contents, output=output)
