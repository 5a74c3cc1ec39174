"""Writing results: whole files, and folders that a user names."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import tempfile
from collections.abc import Iterator

from pix2pix_tf.errors import InputError


def make_output_folder(folder: pathlib.Path) -> None:
    """Makes a folder, and those above it, where they are not there.

    Raises:
        InputError: If there is a file in its place, or it may not be made.
    """
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(
            f"'{folder}' cannot be made: a file is in its place. Name another folder."
        ) from None
    except OSError as error:
        raise InputError(f"'{folder}' cannot be made ({error}). Name another folder.") from None


def sha256(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file's contents, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(2**20), b""):
            digest.update(part)
    return digest.hexdigest()


def check_no_pattern(folder: pathlib.Path) -> None:
    """Refuses a folder whose variables TensorFlow would write, but not find again.

    Raises:
        InputError: If the path reads as a pattern of several.
    """
    found = [character for character in "*?[" if character in str(folder)]
    if found:
        raise InputError(
            f"'{folder}' has a {found[0]} in its path, which TensorFlow takes for a pattern when "
            "it looks for the variables. Name another folder."
        )


@contextlib.contextmanager
def unfinished_folder(parent: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """Gives a folder a place to be written in, from which it is then renamed.

    What an earlier process of this machine was killed over is removed, as is this one if it
    ends in an exception.

    Args:
        parent: Where it will be renamed, so that a rename is enough; is there already.
        name: What it will be. Folders of one name do not get into each other's way.

    Yields:
        The path, hidden and not there yet.
    """
    # With the machine's name: a process of another one, in a shared folder, may be at work.
    prefix = f".{name}.unfinished.{socket.gethostname()}."
    for left in pathlib.Path(parent).iterdir():
        process = left.name[len(prefix) :]
        if not left.name.startswith(prefix) or not process.isdecimal():
            continue
        # In containers a later process often has the number of an earlier one.
        if int(process) == os.getpid() or not _is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    unfinished = pathlib.Path(parent) / f"{prefix}{os.getpid()}"
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _is_alive(process: int) -> bool:
    """Returns whether a process of that number may be running."""
    if os.name != "posix":
        return True  # Nobody knows; signal 0 would end it on Windows.
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # Of another user.
        return True
    return True


def write_atomically(path: pathlib.Path, contents: bytes) -> None:
    """Writes a file that is never seen half-written: beside it, then renamed."""
    path = pathlib.Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private.
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
