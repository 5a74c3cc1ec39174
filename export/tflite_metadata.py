"""What a .tflite file says about itself: JSON in a zip archive behind the model.

That is how the format carries associated files: readers of the model do not look
beyond its end, and readers of archives begin there. So any zip tool shows the
metadata (`unzip -p FILE metadata.json`), also on a phone.
"""

from __future__ import annotations

import json
import pathlib
import zipfile

from pix2pix_tf.errors import InputError, MissingInputError

METADATA_FILE = "metadata.json"


def append(path: pathlib.Path, metadata: dict) -> None:
    """Adds the metadata to a model file that has none."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(METADATA_FILE, json.dumps(metadata, indent=2))


def read(path: pathlib.Path) -> dict:
    """Returns the metadata of a model file.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it has no metadata.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(METADATA_FILE))
    except FileNotFoundError:
        raise MissingInputError(f"There is no file '{path}'. Check the name.") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(
            f"'{path}' has no {METADATA_FILE} ({error}): it was not written by this project, or "
            "is damaged. Convert the model again with python -m export.tflite."
        ) from None
