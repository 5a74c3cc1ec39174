"""The task `split`: a folder to train, val and test, where what looks alike stays together.

The input is a folder of images, A|B or single ones, with those below it; or it holds the folders
A and B, paired by name. Files are copied as they are. `split.json` says what went where, and
which pictures look alike.
"""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from pix2pix_tf.data import images, pairs
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import combine, folders, near_duplicates, work

PLAN = "split.json"
_SIDES = ("A", "B")


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
        name_of=lambda placed: placed[0][0],
        is_finished=lambda placed: folders.is_finished(
            _targets(output, *placed), [folder / name for name in placed[0]]
        ),
        processes=1,  # The disk is what takes the time.
        faults=faults,
        what="images" if len(readable[0]) == 1 else "pairs",
        output=output,
    )
    counts = ", ".join(f"{split_of.count(split)} {split}" for split in pairs.SPLITS)
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
            result[index] = pairs.SPLITS[split]
    return result


def _find(folder: pathlib.Path) -> tuple[list[tuple[str, ...]], list[work.Fault]]:
    """Returns what is to be split, each as the names of one or two files, and the faults."""
    if all((folder / side).is_dir() for side in _SIDES):
        partners, faults = combine.match(
            *(folders.find_images(folder / side, prefix=f"{side}/") for side in _SIDES)
        )
        return [(f"A/{a}", f"B/{b}") for a, b in partners], faults
    found = folders.find_images(folder)
    items, faults, names = [], list(found.faults), {}
    for name in found.names:
        flat = str(_flat(name).with_suffix(""))
        if flat in names:
            problem = f"would have the same name in one folder as '{names[flat]}'. Rename it."
            faults.append(work.Fault(name, problem))
        else:
            names[flat] = name
            items.append((name,))
    return items, faults


def _hash_all(folder: pathlib.Path, items: list[tuple[str, ...]], processes: int):
    """Returns the hashes by item, and the faults of those that cannot be read."""
    forms, faults = {}, []
    function = functools.partial(_hash, folder=folder)
    for item, result, problem in work.run_on_all(function, items, processes=processes):
        if problem is None:
            forms[item] = result
        else:
            faults.append(work.Fault(item[0], work.without_path(problem, item[0])))
    return forms, faults


def _hash(item: tuple[str, ...], *, folder: pathlib.Path) -> np.ndarray:
    """Returns the hashes of a picture, or of two side by side."""
    sides = []
    for name in item:
        images.inspect_image(folder / name)
        pixels = images.read_pixels(folder / name, channels=1)
        sides.append(near_duplicates.shrink(pixels, width=near_duplicates.SIZE // len(item)))
    return near_duplicates.hashes(np.concatenate(sides, axis=1))


def _write_plan(
    output: pathlib.Path,
    items: list[tuple[str, ...]],
    split_of: list[str],
    groups: list[list[int]],
) -> None:
    """Writes what goes where, or checks that it is what an earlier call wrote."""
    plan = {split: [] for split in pairs.SPLITS}
    for item, split in zip(items, split_of):
        plan[split].append(item[0])
    plan["look_alike"] = [
        [items[index][0] for index in group] for group in groups if len(group) > 1
    ]
    contents = (json.dumps(plan, indent=1) + "\n").encode()
    path = output / PLAN
    if path.exists() and path.read_bytes() != contents:
        raise InputError(
            f"The files of --input have changed since '{path}' was written, which would move some "
            "from one split to another. Name a new folder."
        )
    folders.write_output(path, contents)


def _flat(name: str) -> pathlib.PurePosixPath:
    """Returns the name of a file of subfolders in one folder, where training looks for it."""
    return pathlib.PurePosixPath(name.replace("/", "_"))


def _targets(output: pathlib.Path, item: tuple[str, ...], split: str) -> list[pathlib.Path]:
    if len(item) == 1:
        return [output / split / _flat(item[0])]
    return [output / split / side / _flat(name[2:]) for side, name in zip(_SIDES, item)]


def _copy(
    placed: tuple[tuple[str, ...], str], *, folder: pathlib.Path, output: pathlib.Path
) -> None:
    for name, target in zip(placed[0], _targets(output, *placed)):
        folders.write_output(target, (folder / name).read_bytes())
