"""Trained generators that come with the package, for those who have not trained one yet.

    houses      drawn houses from label maps: 256x256, 16 filters, float16 weights

Each is a run folder as `pix2pix export compact` writes it. Its name goes wherever a run folder
does: `--model=houses`, `--workdir=houses` of the exports, `translator.load("houses")`.
"""

from __future__ import annotations

import os
import pathlib

from pix2pix_tf import files

HOUSES = "houses"
NAMES = (HOUSES,)
NO_FOLDER = (
    "There is no folder '{}'. Pass a run folder, an exported SavedModel, or the name of a trained "
    f"model of the package: {', '.join(NAMES)}."
)
_HERE = pathlib.Path(__file__).resolve().parent


def find_model(model: str | os.PathLike) -> pathlib.Path:
    """Returns the folder of a model: of the package if it is one of `NAMES`, else the path itself.

    A folder of that name in the working folder goes first, as it may be a run of one's own.
    """
    path = pathlib.Path(model)
    if os.fspath(model) in NAMES and not files.is_folder(path):
        return _HERE / path
    return path
