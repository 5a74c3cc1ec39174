"""Folders of a task: the images to work on, what made an output folder, and what it lacks yet."""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from absl import logging

from pix2pix_tf import files
from pix2pix_tf.data import images, picture_folders
from pix2pix_tf.errors import InputError, MissingInputError, printable
from pix2pix_tf.prepare import work
from pix2pix_tf.prepare.work import Fault

RECORD = "prepare.json"  # In an output folder: the task and its settings.


class Job(NamedTuple):
    """Files that are made together of others; its name is the first input, below its folder."""

    name: str
    inputs: tuple[pathlib.Path, ...]
    outputs: tuple[pathlib.Path, ...]


def find_images(folder: pathlib.Path, *, prefix: str = "") -> tuple[list[str], list[Fault]]:
    """Returns the image files of a folder and of those below it.

    What systems leave behind is passed over, and a folder that links lead to again is read once.
    Folders of a NAS, with small copies or deleted pictures, are not gone into, which is said. Two
    files that differ only in their suffix would have one output: the second is a fault. So are
    pictures of kinds that are not read, which would be missed; other files are passed over.

    Args:
        folder: The folder.
        prefix: What comes before names in faults.

    Returns:
        Paths below the folder, with "/" between their parts, sorted; and the faults.

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    if not files.is_folder(folder):
        raise MissingInputError(f"There is no folder '{folder}'. Pass a folder of images.")
    faults, names, visited, set_aside = [], {}, set(), {}

    def unreadable(error: OSError) -> None:
        faults.append(
            Fault(prefix + below(folder, error.filename), f"cannot be listed ({error.strerror}).")
        )

    for parent, subfolders, contents in os.walk(folder, onerror=unreadable, followlinks=True):
        if (real := os.path.realpath(parent)) in visited:
            subfolders.clear()
            continue
        visited.add(real)
        for path in (pathlib.Path(parent, name) for name in sorted(subfolders)):
            if picture_folders.is_set_aside(path.name):
                set_aside[path] = picture_folders.count_pictures(path, levels=1)
        subfolders[:] = sorted(filter(_is_gone_into, subfolders))
        for path in (pathlib.Path(parent, name) for name in sorted(contents)):
            if picture_folders.is_unfinished(path.name):
                problem = (
                    "is a picture whose download is not complete. Download it, or take it out."
                )
                faults.append(Fault(prefix + below(folder, path), problem))
                continue
            if picture_folders.is_litter(path.name):
                continue
            name, suffix = below(folder, path), path.suffix.lower()
            same = names.get(path.with_suffix(""))
            if path.name.lower().endswith(images.OTHER_SUFFIXES):
                problem = "is of a kind that is not read. Convert it to PNG, or take it out."
            elif suffix not in images.IMAGE_SUFFIXES:
                continue
            elif same:
                problem = f"has the same name as '{prefix}{same}' but for the suffix. Rename it."
            else:
                names[path.with_suffix("")] = name
                continue
            faults.append(Fault(prefix + name, problem))
    if text := picture_folders.describe_unused(folder, set_aside):
        logging.warning("%s", printable(text))
    if not names and not faults:
        suffixes = ", ".join(images.IMAGE_SUFFIXES)
        raise MissingInputError(f"'{folder}' does not hold images (files that end in {suffixes}).")
    return sorted(names.values()), faults


def _is_gone_into(name: str) -> bool:
    return not (picture_folders.is_litter(name) or picture_folders.is_set_aside(name))


def below(folder: pathlib.Path, path: str | pathlib.Path) -> str:
    """Returns a path from a folder that it is in, with "/" between its parts."""
    return pathlib.Path(path).relative_to(folder).as_posix()


def open_output(output: pathlib.Path, inputs: Iterable[pathlib.Path], task: str, settings) -> None:
    """Makes the output folder of a task, or checks that the same task made it.

    Args:
        output: The folder.
        inputs: Folders that the task reads, which it must not be in.
        task: The task's name.
        settings: What decides the outputs; values that JSON has.

    Raises:
        InputError: If it lies in an input folder, holds other things, or was made by another
            task, from other files or with other settings.
    """
    inputs = [pathlib.Path(folder).resolve() for folder in inputs]
    for folder in inputs:
        if folder in (output.resolve(), *output.resolve().parents):
            raise InputError(
                f"--output is '{output}', which is in the input folder '{folder}': what is "
                "written there would be read as input. Name another folder."
            )
    record = output / RECORD
    settings = {"task": task, "inputs": list(map(str, inputs)), **settings}
    contents = (json.dumps(settings, indent=1) + "\n").encode()
    if record.exists():
        there = record.read_bytes()
        if there != contents:
            made_by, now = (" ".join(x.decode(errors="replace").split()) for x in (there, contents))
            raise InputError(
                f"'{output}' was made otherwise: by {made_by}, now {now}. Name a new folder, or "
                "delete that one."
            )
    else:
        files.make_output_folder(output)
        if any(not path.name.startswith(".") for path in output.iterdir()):
            raise InputError(
                f"'{output}' holds files that this command did not write. Name a new folder."
            )
        files.write_atomically(record, contents)
    for parent, subfolders, _ in os.walk(output):  # What commands left that were killed.
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files.sweep(pathlib.Path(parent))


def make_all(
    make: Callable[[Job], Sequence[bytes]],
    jobs: Sequence[Job],
    options,
    *,
    what: str,
    faults: Sequence[Fault],
    are_copies: bool = False,
) -> work.Outcome:
    """Makes the outputs that are not there, or are older than an input.

    Args:
        make: Returns the contents of the outputs of a job; a function that pickles.
        jobs: All jobs.
        options: The flags.
        what: What is made, for the summary: "pairs".
        faults: Faults that were found before.
        are_copies: Whether outputs keep the colour profiles of their inputs, or need none.
    """
    remaining = [job for job in jobs if not _is_finished(job)]
    done, problems = work.collect(functools.partial(_make, make=make), remaining, options.processes)
    if not are_copies:
        images.warn_of_colours({k: v for infos in done.values() for k, v in infos.items()})
    summary = f"Wrote {work.count_of(len(done), what)} to '{options.output}'"
    if there := len(jobs) - len(remaining):
        summary += f"; {there} {'was' if there == 1 else 'were'} already there"
    return work.Outcome(f"{summary}.", [*faults, *problems])


def _is_finished(job: Job) -> bool:
    try:
        oldest = min(path.stat().st_mtime_ns for path in job.outputs)
        return oldest >= max(path.stat().st_mtime_ns for path in job.inputs)
    except OSError:
        return False


def _make(job: Job, *, make: Callable) -> dict[pathlib.Path, images.ImageInfo]:
    """Makes the outputs of a job; returns what the headers of its inputs say."""
    for path, contents in zip(job.outputs, make(job)):
        with files.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, contents)
    return {path: images.inspect_image(path) for path in job.inputs}


def copy(job: Job) -> list[bytes]:
    """Returns the inputs as they are."""
    return [path.read_bytes() for path in job.inputs]
