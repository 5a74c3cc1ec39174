"""The task `split`: a folder to train, val and test, where what looks alike stays together.

The input is a folder of images, A|B or single ones, with those below it; or it, or folders below
it, hold the folders A and B, or trainA and trainB (valA, testA), paired by name. Files are copied
as they are. `split.json` says what went where, and which pictures look alike. Frames of a film or
tiles of a scene, which need not look alike, are kept together by what `--group_by` finds in names.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import arrays, images, layouts, nearby
from pix2pix_tf.errors import InputError, printable
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
    if options.group_by:
        settings["group_by"] = options.group_by
        label_of = find_labels([picture.name for picture in pictures], options.group_by)
    folders.open_output(output, [folder], "split", settings)
    looks, unreadable = work.collect(_look, pictures, options.processes)
    faults += unreadable
    readable = [picture for picture in pictures if picture in looks]
    if not readable:
        return work.Outcome("There is nothing to split.", faults)
    looks = [looks[picture] for picture in readable]
    groups = alike = near_duplicates.clusters(looks, hash_distance=options.hash_distance)
    if options.group_by:
        # A name in which nothing is found is a group of its own.
        labels = [label_of[picture.name] or picture for picture in readable]
        groups = near_duplicates.join(alike, near_duplicates.group_by(labels))
    split_of = assign(groups, shares, seed=options.seed)
    _write_plan(output, [picture.name for picture in readable], split_of, alike)
    jobs = [
        picture._replace(outputs=tuple(output / split / path for path in picture.outputs))
        for picture, split in zip(readable, split_of)
    ]
    what = "images" if len(readable[0].inputs) == 1 else "pairs"
    outcome = folders.make_all(
        folders.copy, jobs, options, what=what, faults=faults, are_copies=True
    )
    counts = ", ".join(f"{split_of.count(split)} {split}" for split in layouts.SPLITS)
    summary = f"{outcome.summary} {counts}"
    if sizes := [len(group) for group in alike if len(group) > 1]:
        number = work.count_of(len(sizes), "groups")
        summary += f"; {number} of up to {max(sizes)} that look alike were kept together"
    if options.group_by:
        summary += _say_found(label_of)
    empty = [x for x, share in zip(layouts.SPLITS, shares) if share and x not in split_of]
    if empty:
        summary += (
            f".\n{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty: what looks alike"
            f"{' or has the same --group_by' if options.group_by else ''} stays together, and the "
            f"{work.count_of(len(readable), what)} make {work.count_of(len(groups), 'groups')}. "
            f"Add others; or, if these only seem alike, lower --hash_distance="
            f"{options.hash_distance}, and name a new --output"
        )
    return work.Outcome(f"{summary}.", outcome.faults)


def find_labels(names: Sequence[str], pattern: str) -> dict[str, str | None]:
    """Returns what a regular expression finds in each name, None where that is nothing.

    Args:
        names: Paths below the input folder; what says A or B is left out of the search.
        pattern: Its first group counts if it has one, else all that it finds.

    Raises:
        InputError: If it is not one, finds nothing in any name, or the same in all.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"--group_by is {pattern!r}, which is not a regular expression ({error}). Give one, "
            "such as scene[0-9]+."
        ) from None
    matches = {name: compiled.search(_side_of(name)[1]) for name in names}
    labels = {name: x and x[min(1, compiled.groups)] or None for name, x in matches.items()}
    found = set(labels.values())
    if len(names) > 1 and len(found) == 1:
        (label,) = found
        what = "nothing" if label is None else repr(label)
        raise InputError(
            f"--group_by is {pattern!r}, which finds {what} in each of the {len(names)} names, "
            f"such as '{names[0]}'. Give what is the same in the names of a group and differs "
            "between groups, such as scene[0-9]+."
        )
    return labels


def _say_found(label_of: dict[str, str | None]) -> str:
    """Returns what of a summary is about `find_labels`."""
    groups = set(filter(None, label_of.values()))
    text = f"; --group_by finds {work.count_of(len(groups), 'groups')}"
    if missing := [name for name, label in label_of.items() if not label]:
        example = printable(missing[0])
        text += f", and nothing in {work.count_of(len(missing), 'names')}, such as '{example}'"
    return text


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

    Large groups come first, so that the many small ones even the shares out. The last ones are
    for splits that would be empty.

    Args:
        groups: Lists of indexes, in which each index is once.
        shares: Shares of train, val and test; they sum to 1.
        seed: Decides the order.
    """
    count = sum(map(len, groups))
    order = np.random.default_rng(seed).permutation(len(groups))
    remaining = np.array(shares) * count
    result = [""] * count
    is_empty = remaining > 0
    for place, number in enumerate(sorted(order, key=lambda x: -len(groups[x]))):
        group = groups[number]
        are_due = len(groups) - place <= is_empty.sum()
        split = int(np.where(is_empty | (not are_due), remaining, -np.inf).argmax())
        is_empty[split] = False
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
