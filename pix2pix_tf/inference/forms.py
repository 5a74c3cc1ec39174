"""A model in any form that it is kept in or was sent in, as a version of a SavedModel."""

from __future__ import annotations

import lzma
import pathlib
import shutil
import tempfile
import zipfile
import zlib

from pix2pix_tf import files, run_folder, serving
from pix2pix_tf.errors import InputError, first_line
from pix2pix_tf.inference import translator

_ADDED_BY_MACOS = "__MACOSX"


def save_version(
    model: str | pathlib.Path,
    output: str | pathlib.Path,
    *,
    checkpoint: str = run_folder.NEWEST,
) -> pathlib.Path:
    """Saves a model as the next version in a model folder; what is there stays.

    Args:
        model: A run folder, which is exported; a folder of exported versions, whose newest
            is copied; one such version; or a zip file with one of these.
        output: The model folder; made if needed.
        checkpoint: Checkpoint of a run folder: "newest", "best", or a step.

    Returns:
        The new version's folder.

    Raises:
        MissingInputError: If there is no such file or folder.
        InputError: If it is none of these; or a SavedModel, and a checkpoint is asked for.
        WriteError: If the disk is full, or a folder cannot be written.
    """
    model, output = pathlib.Path(model), pathlib.Path(output)
    if not files.is_file(model):
        return _save_folder(model, output, checkpoint)
    with tempfile.TemporaryDirectory() as unpacked:
        _unpack(model, unpacked)
        folder = _find_model(pathlib.Path(unpacked))
        if folder is None:
            raise InputError(
                f"'{model}' holds neither a run folder nor an exported SavedModel. Zip one of them."
            )
        return _save_folder(folder, output, checkpoint)


def _save_folder(folder: pathlib.Path, output: pathlib.Path, checkpoint: str) -> pathlib.Path:
    if translator.is_run_folder(folder, checkpoint):
        return serving.save_version(folder, output, checkpoint=checkpoint)
    version = serving.find_version(folder)
    serving.read_model_card(version)  # Refuses what another program exported.
    files.check_no_pattern(output)
    files.make_output_folder(output)
    with files.writing(output), files.unfinished_folder(output, "version") as unfinished:
        shutil.copytree(version, unfinished)
        return serving.place_version(unfinished, output)


def _unpack(archive: pathlib.Path, folder: str) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder)
    except (
        # What zipfile and its decompressors raise of damaged files, beside OSError.
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
        *(NotImplementedError, RuntimeError, ValueError, IndexError, OSError),
    ) as error:
        reason = error.strerror if isinstance(error, OSError) else first_line(error)
        raise InputError(
            f"'{archive}' cannot be unpacked ({reason}). Make sure that it is a whole "
            "zip file of a run folder or an exported SavedModel, and that the disk has room."
        ) from None


def _find_model(folder: pathlib.Path) -> pathlib.Path | None:
    """Returns the one model in a folder, however deep it lies; None if there is none."""
    while not translator.is_model(folder):
        inner = [x for x in folder.iterdir() if x.is_dir() and x.name != _ADDED_BY_MACOS]
        if len(inner) != 1:
            return None
        (folder,) = inner
    return folder
