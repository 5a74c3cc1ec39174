"""Writing results whole or not at all, one process at a time; and what may be read.

What is written gets another name first, hidden and beside its final one:

    .NAME.unfinished.MACHINE.PROCESS.LETTERS

and is then renamed. A process that is killed leaves such a file or folder behind: `sweep`.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import pathlib
import secrets
import shutil
import socket
import stat
import sys
from collections.abc import Iterable, Iterator

import filelock

from pix2pix_tf.errors import InputError, MissingInputError, WriteError, first_line

_REMEDIES = {
    errno.ENOSPC: "Make room on that disk",
    errno.EDQUOT: "Make room within your quota",
    errno.EFBIG: "Raise the limit on the size of files",
    errno.EROFS: "Make that disk writable",
    errno.EACCES: "Make that folder writable",
    errno.EPERM: "Make that folder writable",
    errno.ENOENT: "Bring that folder back",
    errno.ESTALE: "Bring that folder back",
}
_TRIED_BYTES = 4096  # A block of most file systems.
_UNFINISHED = ".unfinished."
# Errors of network file systems that do not lock.
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


def make_output_folder(folder: pathlib.Path) -> None:
    """Makes a folder, and those above it, where they are not there; tries to write in it.

    Raises:
        InputError: If there is a file in its place, or it may not be made.
        WriteError: If nothing can be written in it, before hours are spent on what should be.
    """
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        is_taken = isinstance(error, (FileExistsError, NotADirectoryError))
        reason = "a file is in its place" if is_taken else error
        raise InputError(f"'{folder}' cannot be made: {reason}. Name another folder.") from None
    # As `write_atomically` writes: some file systems need files to have a name, or cannot remove
    # those that are open. A full disk may still take a name, and zeros.
    trial = _unfinished(pathlib.Path(folder), "trial")
    with writing(folder):
        try:
            _write(trial, secrets.token_bytes(_TRIED_BYTES))
        finally:
            with contextlib.suppress(OSError):
                trial.unlink()


def require_file(path: pathlib.Path) -> None:
    """Refuses what has a name but no contents: opening a pipe waits, reading a device never ends.

    Raises:
        MissingInputError: If there is nothing by that name.
        InputError: If it is a folder, a pipe, a socket or a device, or a link to one.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise MissingInputError(f"There is no file '{path}'. Check the name.") from None
    except OSError as error:  # Links in a circle, for one.
        raise InputError(f"'{path}' cannot be read ({error.strerror}). Take it out.") from None
    if not stat.S_ISREG(mode):
        raise InputError(
            f"'{path}' is not a file, but a folder, a pipe or a device. Take it out, or name "
            "another."
        )


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
    """Takes a question about a file or folder, for an InputError to say why it has no answer."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"'{path}' cannot be read ({reason}). Make it readable, or name another."
        ) from None


def list_folder(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns what is in a folder, sorted.

    Raises:
        InputError: If it cannot be listed.
    """
    with _reading(folder):
        return sorted(pathlib.Path(folder).iterdir())


def is_folder(path: pathlib.Path) -> bool:
    """Returns whether there is a folder of that name.

    Raises:
        InputError: If the system does not tell: it may not be looked for in the folder above, or
            the name is too long.
    """
    with _reading(path):
        return pathlib.Path(path).is_dir()


def is_file(path: pathlib.Path) -> bool:
    """Returns whether there is a file of that name; raises InputError as `is_folder` does."""
    with _reading(path):
        return pathlib.Path(path).is_file()


def sha256(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file's contents, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(2**20), b""):
            digest.update(part)
    return digest.hexdigest()


def check_free(output: pathlib.Path) -> None:
    """Refuses to write a folder where something else is.

    Raises:
        InputError: If there is a file, or a folder that is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(
            f"'{output}' is there already. Delete it, or name another folder with --output."
        )


def check_apart(output: pathlib.Path, inputs: Iterable[pathlib.Path]) -> None:
    """Refuses an output folder that holds inputs.

    Raises:
        InputError: If there is such an input.
    """
    if any(path.parent.resolve() == output.resolve() for path in inputs):
        raise InputError(
            f"--output is '{output}', where the inputs are: they would be overwritten. Pass "
            "another folder."
        )


def megabytes(path: pathlib.Path) -> float:
    """Returns the size of a file, or of all files below a folder, in millions of bytes."""
    paths = [path] if path.is_file() else path.rglob("*")
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


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
def locked(path: pathlib.Path, *, refusal: str) -> Iterator[None]:
    """Keeps other processes out while this one is in the block.

    The system takes the lock back when the process ends, however it ends; the file stays, and
    means nothing then. Where the file system cannot lock, nobody is kept out.

    Args:
        path: File to lock; made if it is not there.
        refusal: What to say if another process has the lock; empty: wait for it.

    Raises:
        InputError: If another process has it, and there is a refusal.
        WriteError: If the file cannot be made.
    """
    lock = filelock.FileLock(path, timeout=0 if refusal else -1)
    with writing(path):
        try:
            lock.acquire()
        except filelock.Timeout:
            raise InputError(refusal) from None
        except (OSError, NotImplementedError) as error:
            if getattr(error, "errno", errno.ENOSYS) not in _NO_LOCKS:
                raise
    try:
        yield
    finally:
        lock.release()


def _unfinished(parent: pathlib.Path, name: str) -> pathlib.Path:
    """Returns a new name for what will be `parent / name`, which `sweep` can tell from others."""
    # Most file systems allow a name 255 bytes, which this one must not exceed.
    start = os.fsencode(name)[:150].decode(errors="ignore")
    process = f"{socket.gethostname()[:50]}.{os.getpid()}.{secrets.token_hex(8)}"
    return pathlib.Path(parent) / f".{start}{_UNFINISHED}{process}"


@contextlib.contextmanager
def unfinished_folder(parent: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """Gives a folder a place to be written in, from which it is then renamed.

    It is removed if the block ends in an exception. What an earlier process was killed over is
    removed first.

    Args:
        parent: Where it will be renamed, so that a rename is enough; is there already.
        name: What it will be. Folders of one name do not get into each other's way.

    Yields:
        The path, hidden and not there yet.
    """
    sweep(parent, glob.escape(name))
    unfinished = _unfinished(parent, name)
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def remove_folder(folder: pathlib.Path) -> None:
    """Removes a folder, which is never seen half-removed: `sweep` takes what a killed one left."""
    removed = _unfinished(folder.parent, folder.name)
    os.replace(folder, removed)
    shutil.rmtree(removed)


def sweep(folder: pathlib.Path, pattern: str = "*", *, is_alone: bool = False) -> None:
    """Removes unfinished files and folders that processes have left which were killed.

    Args:
        folder: Where to look; need not be there.
        pattern: Glob pattern of the names that they should have got.
        is_alone: Whether no other process writes in the folder, since this one holds its lock:
            then all of them go. Else those of other machines stay, and of processes at work.

    Raises:
        WriteError: If one cannot be removed, and `is_alone`.
    """
    for left in pathlib.Path(folder).glob(f".{pattern}{_UNFINISHED}*"):
        if not (is_alone or _is_left_behind(left.name)):
            continue
        with writing(left) if is_alone else contextlib.suppress(OSError):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _is_left_behind(name: str) -> bool:
    """Returns whether a name is that of a process of this machine that has ended."""
    parts = name.rpartition(_UNFINISHED)[2].rsplit(".", 2)
    if len(parts) != 3 or parts[0] != socket.gethostname()[:50]:
        return False
    if os.name != "posix":
        return False  # Nobody knows; signal 0 would end it on Windows.
    try:
        os.kill(int(parts[1]), 0)
    except ProcessLookupError:
        return True
    except (ValueError, PermissionError):  # Not a number; or it belongs to another user.
        return False
    return False


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Takes what writes a file or folder, for its errors to name it and say what to do.

    Raises:
        WriteError: In place of an OSError, or an error of an operation of TensorFlow.
    """
    try:
        yield
    except InputError:  # Some of these are OSErrors too.
        raise
    except Exception as error:
        number, reason = _reason(error)
        if reason is None:
            raise
        remedy = _REMEDIES.get(number, "Make sure that it can be written")
        raise WriteError(
            f"'{path}' cannot be written: {reason}. {remedy}, then give the same command again; "
            "what was written before is untouched."
        ) from error


def _reason(error: Exception) -> tuple[int | None, str | None]:
    """Returns the number of an error of writing and what it says; None for other errors."""
    if isinstance(error, OSError):
        return error.errno, error.strerror or str(error)
    tensorflow = sys.modules.get("tensorflow")  # Nothing here needs it.
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None, None
    is_full = isinstance(error, tensorflow.errors.ResourceExhaustedError)
    # "{{node}} PATH; REASON [Op:SaveV2]", for events with more lines.
    reason = first_line(error).split("; ")[-1].split(" [Op:")[0]
    return errno.ENOSPC if is_full else None, reason


def write_atomically(path: pathlib.Path, contents: bytes) -> None:
    """Writes a file that is never seen half-written: beside it, then renamed.

    Raises:
        WriteError: If it cannot be written; a file that was there before still is.
    """
    path = pathlib.Path(path)
    temporary = _unfinished(path.parent, path.name)
    with writing(path):
        try:
            _write(temporary, contents)
            os.replace(temporary, path)
        except BaseException:
            # Gone with its folder, perhaps; the error that led here is the one to tell.
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _write(path: pathlib.Path, contents: bytes) -> None:
    """Writes a new file, and waits until the disk has it."""
    with open(path, "xb") as file:  # By the umask, which tempfile.mkstemp passes over.
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())


def sync(path: pathlib.Path) -> None:
    """Waits until the disk has a file, or says that it lacks room for it after all."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
