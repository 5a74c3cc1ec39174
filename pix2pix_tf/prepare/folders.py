"""Folders of a task: which files there are to work on, and what an output folder was made by."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterable

from pix2pix_tf import files
from pix2pix_tf.data import images, layouts
from pix2pix_tf.errors import InputError, MissingInputError, WriteError
from pix2pix_tf.prepare.work import Fault

RECORD = "prepare.json"  # In an output folder: the task and its settings.
# A pipe, which would be waited for; a link to nothing, or to itself.
NO_FILE = "is no file, or a link to none. Take it out."
_OTHER_KIND = "is of a kind that is not read. Convert it to PNG, or take it out."


@dataclasses.dataclass(frozen=True)
class Job:
    """What is made together.

    Attributes:
        name: What messages call it: the first input, below its folder.
        inputs: Files that are read.
        outputs: Files that are written.
    """

    name: str
    inputs: tuple[pathlib.Path, ...]
    outputs: tuple[pathlib.Path, ...]


@dataclasses.dataclass(frozen=True)
class Found:
    """The image files below a folder.

    Attributes:
        folder: The folder.
        names: Paths below it, with "/" between their parts, sorted.
        faults: What has an image's name but is none, is of a kind that is not read, or is not
            clear.
        prefix: What comes before names in faults.
    """

    folder: pathlib.Path
    names: list[str]
    faults: list[Fault]
    prefix: str = ""

    def jobs(self, outputs_of: Callable[[str], tuple[pathlib.Path, ...]]) -> list[Job]:
        """Returns a job a file, given what is made of one of that name."""
        return [Job(name, (self.folder / name,), outputs_of(name)) for name in self.names]


def find_images(folder: str | pathlib.Path, *, prefix: str = "") -> Found:
    """Returns the image files of a folder and of those below it; see `list_below`.

    Raises:
        InputError: If there is no such folder, or no image in it.
    """
    folder = pathlib.Path(folder)
    if not files.is_folder(folder):
        raise MissingInputError(f"There is no folder '{folder}'. Pass a folder of images.")
    found = list_below(folder, prefix=prefix)
    if not found.names and not found.faults:
        raise MissingInputError(
            f"'{folder}' holds no images (0 files that end in {', '.join(images.IMAGE_SUFFIXES)})."
        )
    return found


def list_below(folder: pathlib.Path, *, prefix: str = "", recursive: bool = True) -> Found:
    """Returns the image files of a folder and, unless told not to, of those below it.

    Hidden files and folders are passed over, and links to folders are not followed, for
    they may go in circles. Two files that differ in nothing but their suffix would have
    one output: the second is a fault. So are pictures of kinds that are not read, which
    would be missed; other files are passed over.

    Args:
        folder: Is there.
        prefix: What comes before names in faults.
        recursive: Whether to go into subfolders.
    """
    faults, names, seen = [], [], {}

    def unreadable(error: OSError) -> None:
        where = pathlib.PurePosixPath(prefix + below(folder, error.filename))
        faults.append(Fault(str(where), f"cannot be listed ({error.strerror})."))

    for parent, subfolders, contents in os.walk(folder, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if recursive and name[0] != ".")
        for base in sorted(contents):
            path = pathlib.Path(parent, base)
            suffix = path.suffix.lower()
            is_other = suffix in layouts.OTHER_PICTURES
            if base.startswith(".") or not (is_other or suffix in images.IMAGE_SUFFIXES):
                continue
            name, stem = below(folder, path), path.with_suffix("")
            if is_other:
                faults.append(Fault(prefix + name, _OTHER_KIND))
            elif not files.is_file(path):
                faults.append(Fault(prefix + name, NO_FILE))
            elif stem in seen:
                problem = (
                    f"has the same name as '{prefix}{seen[stem]}' but for the suffix, so which "
                    "one is meant is not clear. Rename it, or take it out."
                )
                faults.append(Fault(prefix + name, problem))
            else:
                seen[stem] = name
                names.append(name)
    return Found(folder, sorted(names), faults, prefix)


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
    if not (output / RECORD).exists():  # Else all may be done, in a folder that is read-only now.
        files.make_output_folder(output)
    _check_or_write_record(
        output, {"task": task, "inputs": [str(folder) for folder in inputs], **settings}
    )
    for parent, subfolders, _ in os.walk(output):  # What commands left that were killed.
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files.sweep(pathlib.Path(parent))


def _check_or_write_record(output: pathlib.Path, settings: dict) -> None:
    record = output / RECORD
    if not record.exists():
        if any(not path.name.startswith(".") for path in output.iterdir()):
            raise InputError(
                f"'{output}' holds files that this command did not write. Name a new folder."
            )
        files.write_atomically(record, (json.dumps(settings, indent=1) + "\n").encode())
        return
    try:
        there = json.loads(record.read_text())
        differences = [
            f"{name} was {there.get(name)!r} and now is {value!r}"
            for name, value in settings.items()
            if there.get(name) != value
        ]
    except (ValueError, AttributeError, OSError) as error:
        raise InputError(f"'{record}' cannot be read ({error}). Name a new folder.") from None
    if differences:
        raise InputError(
            f"'{output}' was made otherwise: {'; '.join(differences)}. Name a new folder, or "
            "delete that one."
        )


def is_finished(outputs: Iterable[pathlib.Path], inputs: Iterable[pathlib.Path]) -> bool:
    """Returns whether all outputs are there and none is older than an input."""
    try:
        oldest = min(path.stat().st_mtime_ns for path in outputs)
        return oldest >= max(path.stat().st_mtime_ns for path in inputs)
    except OSError:
        return False


def write_output(path: pathlib.Path, contents: bytes, *, output: pathlib.Path) -> None:
    """Writes a file whole or not at all.

    Args:
        path: The file; folders between `output` and it are made.
        contents: Its contents.
        output: Folder of the task, which is there.

    Raises:
        WriteError: If it cannot be written, since the disk is full for example, or the folder
            of the task was removed meanwhile.
    """
    if not (output / RECORD).is_file():  # It would be made again, without what was in it.
        raise WriteError(
            f"'{output}' was removed while this command wrote there, and with it results. Delete "
            "what may be left of it, then give the same command again."
        )
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, contents)
