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
from pix2pix_tf.prepare import combine, folders, near_duplicates, work

PLAN = "split.json"
_SIDES = ("A", "B")


@dataclasses.dataclass(frozen=True)
class _TwoFolders:
    """Two folders of pairs.

    Attributes:
        sides: Of A and of B, below the input folder, with a "/" at the end: "summer/trainA/".
        subfolder: What becomes part of the names of what they hold: "summer/train/", or "".
    """

    sides: tuple[str, str]
    subfolder: str


@dataclasses.dataclass(frozen=True)
class _Item:
    """A pair, or a single image.

    Attributes:
        names: Of its one or two files, below the input folder.
        targets: Where they go, below the folder of the split.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]


def run(options) -> work.Outcome:
    """Splits `--input` as `--shares` says."""
    shares = parse_shares(options.shares)
    if not 0 <= options.hash_distance < near_duplicates.HASH_BITS // 2:
        raise InputError(
            f"hash_distance is {options.hash_distance}, but is from 0, the same picture, to "
            f"{near_duplicates.HASH_BITS // 2 - 1}; chance alone gives half of "
            f"{near_duplicates.HASH_BITS}."
        )
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    items, faults = _find(folder)
    settings = dict(shares=shares, seed=options.seed, hash_distance=options.hash_distance)
    folders.open_output(output, [folder], "split", settings)
    forms, unreadable = _hash_all(folder, items, options.processes)
    faults = [*faults, *unreadable]
    readable = [item for item in items if item in forms]
    if not readable:
        return work.Outcome("There is nothing to split.", faults)
    groups = near_duplicates.clusters(
        np.stack([forms[item] for item in readable]), hash_distance=options.hash_distance
    )
    split_of = assign(groups, shares, seed=options.seed)
    _write_plan(output, readable, split_of, groups)
    function = functools.partial(_copy, folder=folder, output=output)
    outcome = work.make_all(
        function,
        list(zip(readable, split_of)),
        name_of=lambda placed: placed[0].names[0],
        is_finished=lambda placed: folders.is_finished(
            _targets(output, *placed), [folder / name for name in placed[0].names]
        ),
        processes=1,  # The disk is what takes the time.
        faults=faults,
        what="images" if len(readable[0].names) == 1 else "pairs",
        output=output,
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
            f"shares is {text!r}, but has three numbers, of train, val and test, that sum to 1. "
            "Such as --shares=0.8,0.1,0.1."
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
    items, first = [], {}
    for item in candidates:
        name, stem = item.names[0], pathlib.PurePosixPath(item.targets[0]).stem
        if stem in first:
            problem = f"would have the same name in one folder as '{first[stem]}'. Rename it."
            faults.append(work.Fault(name, problem))
        else:
            first[stem] = name
            items.append(item)
    return items, faults


def _find_two_folders(folder: pathlib.Path) -> list[_TwoFolders]:
    """Returns the folders of A and of B in a folder and in those below it.

    Raises:
        MissingInputError: If one of the two is not there: what the other one holds would be
            taken for A|B.
    """
    result = []
    for parent, subfolders, _ in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
        below = folders.below(folder, parent)
        below = "" if below == "." else f"{below}/"
        for split in ("", *layouts.SPLITS):
            names = [f"{split}{side}" for side in _SIDES]
            there = [pathlib.Path(parent, name).is_dir() for name in names]
            if not any(there):
                continue
            if not all(there):
                found, missing = (
                    pathlib.Path(parent, names[there.index(x)]) for x in (True, False)
                )
                raise MissingInputError(
                    f"There is '{found}' but no '{missing}'. Put the partners there, with the same "
                    "names; or rename the folder if it holds no side of pairs."
                )
            sides = tuple(f"{below}{name}/" for name in names)
            result.append(_TwoFolders(sides, f"{below}{split}/" if split else below))
            subfolders[:] = [name for name in subfolders if name not in names]
    return result


def _find_pairs(
    folder: pathlib.Path, two_folders: Sequence[_TwoFolders]
) -> tuple[list[_Item], list[work.Fault]]:
    """Returns the pairs of the folders of A and B; what is in none of these is a fault."""
    items, faults = [], []
    for both in two_folders:
        found = [folders.list_below(folder / side, prefix=side) for side in both.sides]
        partners, lonely = combine.match(*found)
        faults += lonely
        items += [
            _Item(
                tuple(f"{prefix}{name}" for prefix, name in zip(both.sides, names)),
                tuple(
                    f"{side}/{_flat(both.subfolder + name)}" for side, name in zip(_SIDES, names)
                ),
            )
            for names in partners
        ]
    found = folders.list_below(folder)
    taken = tuple(side for both in two_folders for side in both.sides)
    problem = "is in neither A nor B, where the pairs are. Take it out, or split it on its own."
    faults += [work.Fault(name, problem) for name in found.names if not name.startswith(taken)]
    faults += [fault for fault in found.faults if not fault.name.startswith(taken)]
    return items, faults


def _hash_all(folder: pathlib.Path, items: list[_Item], processes: int):
    """Returns the hashes by item, and the faults of those that cannot be read."""
    forms, faults = {}, []
    function = functools.partial(_hash, folder=folder)
    for item, result, problem in work.run_on_all(function, items, processes=processes):
        if problem is None:
            forms[item] = result
        else:
            name = item.names[0]
            faults.append(work.Fault(name, work.without_path(problem, name)))
    return forms, faults


def _hash(item: _Item, *, folder: pathlib.Path) -> np.ndarray:
    """Returns the hashes of a picture, or of two side by side."""
    width = 2 * near_duplicates.SIZE // len(item.names)
    sides = [near_duplicates.shrink(_read_grey(folder / name), width=width) for name in item.names]
    return near_duplicates.hashes(np.concatenate(sides, axis=1))


def _read_grey(path: pathlib.Path) -> np.ndarray:
    """Returns a file as grey, 0 to 255: `[height, width, 1]`.

    Of an array the mean over its channels, from its own smallest value to its own largest:
    whatever its unit is, the hash leaves out what is small next to 255.
    """
    if not arrays.is_array(path):
        images.inspect_image(path)
        return images.read_pixels(path, channels=1)
    values = arrays.read(path)
    mean = np.zeros(values.shape[:2])
    for channel in np.moveaxis(values, -1, 0):
        # Halved, for the difference of the extremes to be finite.
        mean += channel.astype(np.float64) / (2 * values.shape[-1])
    low, high = mean.min(), mean.max()
    return ((mean - low) / ((high - low) or 1.0) * 255.0)[..., np.newaxis]


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


def _flat(name: str) -> str:
    """Returns the name of a file of subfolders in one folder, where training looks for it."""
    return name.replace("/", "_")


def _targets(output: pathlib.Path, item: _Item, split: str) -> list[pathlib.Path]:
    return [output / split / target for target in item.targets]


def _copy(placed: tuple[_Item, str], *, folder: pathlib.Path, output: pathlib.Path) -> None:
    for name, target in zip(placed[0].names, _targets(output, *placed)):
        folders.write_output(target, (folder / name).read_bytes(), output=output)
