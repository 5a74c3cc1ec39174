"""Writing results: whole files, and folders that a user names."""

from __future__ import annotations

import os
import pathlib
import tempfile

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
