"""The task `split`: a folder to train, val and test, where what looks alike stays together.

The input is a folder of images, A|B or single ones, with those below it; or it, or folders below
it, hold the folders A and B, or trainA and trainB (valA, testA), paired by name. Files are copied
as they are. `split.json` says what went where, and which pictures look alike.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import arrays, images, layouts, nearby
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, near_duplicates, work

PLAN = "split.json"
_SIDES = [f"{split}{side}" for split in ("", *layouts.SPLITS) for side in "AB"]  # Of folders.
_SAME_NAME = "would have the same name in one folder as '{}'. Rename it."
_ALONE = "has no partner of the same name in A or B. Add it, or take this out."


def run(options) -> work.Outcome:
    """Splits `--input` as `--shares` says."""
    shares = parse_shares(options.shares)
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    pictures, faults = _find(folder)
    settings = dict(shares=shares, seed=options.seed, hash_distance=options.hash_distance)
    folders.open_output(output, [folder], "split", settings)
    looks, unreadable = work.collect(_look, pictures, options.processes)
    faults += unreadable
    readable = [picture for picture in pictures if picture in looks]
    if not readable:
        return work.Outcome("There is nothing to split.", faults)
    groups = near_duplicates.clusters(
        [looks[picture] for picture in readable], hash_distance=options.hash_distance
    )
    split_of = assign(groups, shares, seed=options.seed)
    _write_plan(output, [picture.name for picture in readable], split_of, groups)
    jobs = [
        picture._replace(outputs=tuple(output / split / path for path in picture.outputs))
        for picture, split in zip(readable, split_of)
    ]
    what = "images" if len(readable[0].inputs) == 1 else "pairs"
    outcome = folders.make_all(
        folders.copy, jobs, options, what=what, faults=faults, are_copies=True
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


def _find(folder: pathlib.Path) -> tuple[list[folders.Job], list[work.Fault]]:
    """Returns what is to be split, a pair or a single image each, and the faults.

    Outputs are below the folder of a split. There, where training looks for them, subfolders
    become part of the name.
    """
    names, faults = folders.find_images(folder)
    found = {}  # By what the names of A and B of a pair have in common, then by side.
    for name in names:
        side, common = _side_of(name)
        sides = found.setdefault(str(pathlib.PurePosixPath(common).with_suffix("")), {})
        if sides.setdefault(side, name) != name:
            faults.append(work.Fault(name, _SAME_NAME.format(sides[side])))
    are_pairs = any("A" in sides or "B" in sides for sides in found.values())
    expected = ("A", "B") if are_pairs else ("",)
    _check_names(folder, found)
    jobs = {}
    for common in sorted(found) if are_pairs else found:
        sides, target = found[common], common.replace("/", "_")
        is_whole = all(side in sides for side in expected)
        alone = [name for side, name in sides.items() if not is_whole or side not in expected]
        faults += [work.Fault(name, _ALONE) for name in alone]
        if is_whole and target in jobs:
            faults.append(work.Fault(sides[expected[0]], _SAME_NAME.format(jobs[target].name)))
        elif is_whole:
            inputs = tuple(folder / sides[side] for side in expected)
            outputs = (pathlib.Path(x, target + path.suffix) for x, path in zip(expected, inputs))
            jobs[target] = folders.Job(sides[expected[0]], inputs, tuple(outputs))
    return list(jobs.values()), faults


def _check_names(folder: pathlib.Path, found: dict[str, dict[str, str]]) -> None:
    """Raises InputError if A and B are two folders whose names would pair, but for a part of them.

    Args:
        folder: That of the task.
        found: Names of files, by what those of a pair have in common, then by side.
    """
    names = {side: [x for x, sides in found.items() if side in sides] for side in "AB"}
    told, pattern = nearby.differences_of_names(*names.values())
    if told:
        a, b = (folder / found[names[side][0]][side] for side in "AB")
        command = nearby.combine(
            *(a.parent, b.parent, nearby.beside(folder, "_pairs")), ignored=pattern
        )
        raise InputError(f"{told}: {command} makes pairs of them, which can then be split.")


def _side_of(name: str) -> tuple[str, str]:
    """Returns the side that a file is on, and its name without that.

    Returns:
        "A" and "sea/train/1.png" of "sea/trainA/1.png"; "" and the name of a single image.
    """
    *parents, file = name.split("/")
    for place, part in enumerate(parents):
        if part in _SIDES:
            parts = [*parents[:place], part[:-1], *parents[place + 1 :], file]
            return part[-1], "/".join(filter(None, parts))
    return "", name


def _look(picture: folders.Job) -> near_duplicates.Look:
    """Returns what is compared of a picture, or of two side by side."""
    return near_duplicates.look_at([_read_grey(path) for path in picture.inputs])


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
    output: pathlib.Path, names: list[str], split_of: list[str], groups: list[list[int]]
) -> None:
    """Writes what goes where, or checks that it is what an earlier call wrote."""
    plan = {
        split: [name for name, own in zip(names, split_of) if own == split]
        for split in layouts.SPLITS
    }
    plan["look_alike"] = [[names[index] for index in group] for group in groups if len(group) > 1]
    contents = (json.dumps(plan, indent=1) + "\n").encode()
    path = output / PLAN
    if path.exists() and path.read_bytes() != contents:
        raise InputError(
            f"The files of --input have changed since '{path}' was written, which would move some "
            "from one split to another. Name a new folder."
        )
    files.write_atomically(path, contents)
