"""Writing results: whole files, and folders that a user names; and what may be read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pathlib
import secrets
import shutil
import socket
import stat
from collections.abc import Callable, Iterator

from pix2pix_tf.errors import InputError, MissingInputError, WriteError

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
# Between the name of a file and random letters, in the name it has while it is written.
_UNFINISHED = ".unfinished."


def make_folder(folder: pathlib.Path) -> None:
    """Makes a folder, and those above it, where they are not there.

    Raises:
        InputError: If there is a file in its place, or it may not be made.
    """
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise _in_its_place(folder) from None
    except OSError as error:
        raise _not_made(folder, error) from None


def make_output_folder(folder: pathlib.Path) -> None:
    """Makes a folder as `make_folder` does, and tries to write in it.

    Raises:
        InputError: If there is a file in its place, or it may not be made.
        WriteError: If nothing can be written in it, before hours are spent on what should be.
    """
    make_folder(folder)
    # As `write_atomically` writes: some file systems have no files without a name, or cannot remove
    # those that are open. A full disk may still take a name, and zeros.
    trial = pathlib.Path(folder) / f".trial{_UNFINISHED}{secrets.token_hex(8)}"
    with writing(folder):
        try:
            with open(trial, "xb") as file:
                file.write(secrets.token_bytes(_TRIED_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            with contextlib.suppress(OSError):
                trial.unlink()


def check_output_folder(folder: pathlib.Path) -> None:
    """Refuses, before long work, a folder that could not be made or written in; makes none.

    Raises:
        InputError: If there is a file, or a link that leads nowhere, in its place or above it; or
            it cannot be made there.
        WriteError: If this user may not write there.
    """
    try:
        place = pathlib.Path(folder).absolute()
        while not place.exists() and not place.is_symlink():
            place = place.parent
    except OSError as error:
        raise _not_made(folder, error) from None
    if not place.is_dir():
        raise _in_its_place(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        raise WriteError(
            f"'{folder}' cannot be written: you may not write in '{place}'. Change its "
            "permissions, or name another folder."
        )


def _in_its_place(folder: pathlib.Path) -> InputError:
    return InputError(f"'{folder}' cannot be made: a file is in its place. Name another folder.")


def _not_made(folder: pathlib.Path, error: OSError) -> InputError:
    return InputError(f"'{folder}' cannot be made ({error}). Name another folder.")


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
            f"'{path}' is no file, but a folder, a pipe or a device. Take it out, or name a file."
        )


def list_folder(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns what is in a folder, sorted.

    Raises:
        InputError: If it cannot be listed.
    """
    try:
        return sorted(pathlib.Path(folder).iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from None


def is_folder(path: pathlib.Path) -> bool:
    """Returns whether there is a folder of that name.

    Raises:
        InputError: If the system does not tell: it may not be looked for in the folder above, or
            no name can be that long.
    """
    return _look_up(pathlib.Path(path), pathlib.Path.is_dir)


def is_file(path: pathlib.Path) -> bool:
    """Returns whether there is a file of that name; raises InputError as `is_folder` does."""
    return _look_up(pathlib.Path(path), pathlib.Path.is_file)


def _look_up(path: pathlib.Path, question: Callable[[pathlib.Path], bool]) -> bool:
    try:
        return question(path)
    except OSError as error:
        if error.errno != errno.EACCES:
            raise _unreadable(path, error) from None
        # Then it is a folder above that denies it, whether or not there is such a thing in it.
        where_links_lead = pathlib.Path(os.path.realpath(path))
        above = [*reversed(path.absolute().parents), *reversed(where_links_lead.parents)]
        closed = next((x for x in above if not os.access(x, os.X_OK)), path.parent)
        raise InputError(
            f"'{closed}' cannot be entered ({error.strerror}). Permit it (chmod +x), or name "
            "another folder."
        ) from None


def _unreadable(path: pathlib.Path, error: OSError) -> InputError:
    reason = error.strerror or error
    return InputError(f"'{path}' cannot be read ({reason}). Make it readable, or name another.")


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
        if int(process) == os.getpid() or not is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    unfinished = pathlib.Path(parent) / f"{prefix}{os.getpid()}"
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def is_alive(process: int) -> bool:
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


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Takes what writes a file or folder, for its errors to name it and say what to do.

    Raises:
        WriteError: In place of an OSError.
    """
    try:
        yield
    except InputError:  # Of which some are OSErrors.
        raise
    except OSError as error:
        remedy = _REMEDIES.get(error.errno, "Make sure that it can be written")
        raise WriteError(
            f"'{path}' cannot be written: {error.strerror or error}. {remedy}, then give the same "
            "command again; what was written before is untouched."
        ) from error


def write_atomically(path: pathlib.Path, contents: bytes) -> None:
    """Writes a file that is never seen half-written: beside it, then renamed.

    Raises:
        WriteError: If it cannot be written; a file that was there before still is.
    """
    path = pathlib.Path(path)
    # Most file systems allow a name 255 bytes, which this one must not exceed.
    start = os.fsencode(path.name)[:200].decode(errors="ignore")
    temporary = path.parent / f".{start}{_UNFINISHED}{secrets.token_hex(8)}"
    with writing(path):
        try:
            # By the umask, which tempfile.mkstemp passes over.
            with open(temporary, "xb") as file:
                file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            # Gone with its folder, perhaps; the error that led here is the one to tell.
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def remove_unfinished(folder: pathlib.Path, pattern: str) -> None:
    """Removes what processes that were killed in `write_atomically` have left.

    Args:
        folder: Where to look; need not be there.
        pattern: Of the names of the files, which nobody else may be writing.
    """
    for path in pathlib.Path(folder).glob(f".{pattern}{_UNFINISHED}*"):
        if path.is_file():  # Not one of `unfinished_folder`.
            with writing(path):
                path.unlink()


def sync(path: pathlib.Path) -> None:
    """Waits until the disk has a file, or says that it has no room for it after all."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
