"""Putting a study together: pictures whose names tell nothing, and the page that shows them.

Every picture is written anew, as an 8-bit RGB PNG without metadata, named by its place
in one shuffled order of all, and filled up to the same number of bytes. So neither
the name, nor the kind, nor the size of a file says which picture is real. What stays
is what is in the pixels.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import random
import shutil
from collections.abc import Mapping

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import images
from pix2pix_tf.data.layouts import images_by_name
from pix2pix_tf.errors import InputError, printable
from pix2pix_tf.evaluation.perceptual_study import protocol

SITE = pathlib.Path(__file__).resolve().parent / "site"
DESCRIPTION_FILE = "description.js"
PICTURES_FOLDER = "pictures"
# What pix2pix evaluate puts the pictures in, below its --output.
_OUTPUTS_FOLDER, _TARGETS_FOLDER = "outputs", "targets"
_REAL = ""  # In place of an algorithm's name.
Pictures = Mapping[str, pathlib.Path]  # By the names of their pairs.


def build(
    algorithms: Mapping[str, pathlib.Path],
    output: pathlib.Path,
    *,
    targets: pathlib.Path | None = None,
    settings: protocol.Settings,
    seed: int = 0,
) -> dict:
    """Writes a study; its folder appears at once, when it is whole.

    Args:
        algorithms: Folder of each, by name: the outputs, or what evaluate wrote.
        output: Folder of the study; not there yet.
        targets: Folder of the real pictures, of the same names; None for those that
            evaluate wrote beside the outputs.
        settings: How a session goes.
        seed: Seed of the order that names the files. Sessions have seeds of their own.

    Returns:
        What the page is told of the study.

    Raises:
        InputError: If outputs and real pictures do not fit, there are fewer pairs than a
            session needs, or there is something in the place of `output`.
    """
    if output.exists():
        raise InputError(f"'{output}' is there already. Delete it, or name another folder.")
    fakes, reals = {}, {}
    for name, folder in algorithms.items():
        within = pathlib.Path(folder, _OUTPUTS_FOLDER)
        fakes[name] = images_by_name(within if within.is_dir() else folder)
        reals[name] = images_by_name(targets or pathlib.Path(folder, _TARGETS_FOLDER))
        if not fakes[name].keys() <= reals[name].keys():
            stranger = min(fakes[name].keys() - reals[name].keys())
            raise InputError(
                f"'{stranger}', an output of {name!r}, does not have a real picture of the same "
                "name. Name the real pictures that the outputs imitate with --targets."
            )
    names = sorted(set.intersection(*map(set, fakes.values())))
    needed = max(settings.num_practice + settings.num_trials, 2)
    if len(names) < needed:
        raise InputError(
            f"There are {len(names)} pairs that every algorithm has an output of, and a session "
            f"takes {needed}, each once. Translate more pictures, or pass smaller --num_practice "
            "and --num_trials."
        )

    contents = {}  # By (algorithm, or _REAL; name of the pair).
    for name in names:
        contents.update(_encode_pair(name, reals, fakes))
    keys = sorted(contents)
    random.Random(seed).shuffle(keys)
    file_of = {key: f"{number:05d}.png" for number, key in enumerate(keys, start=1)}
    description = dict(
        version=protocol.VERSION,
        num_practice=settings.num_practice,
        num_trials=settings.num_trials,
        exposure_ms=round(1000 * settings.exposure),
        pairing=settings.pairing,
        notice=settings.notice,
        pairs=[dict(name=printable(name), real=file_of[_REAL, name]) for name in names],
        algorithms=[
            dict(name=algorithm, fakes=[file_of[algorithm, name] for name in names])
            for algorithm in algorithms
        ],
    )
    digest = hashlib.sha256(json.dumps(description).encode())
    for key in keys:
        digest.update(contents[key])
    # Answers name it, so that those to other pictures are not counted with them.
    description["study"] = digest.hexdigest()[:16]
    _write(output, description, {file_of[key]: contents[key] for key in keys})
    return description


def _encode_pair(
    name: str, reals: Mapping[str, Pictures], fakes: Mapping[str, Pictures]
) -> dict[tuple[str, str], bytes]:
    """Returns the PNG files of a pair: the real picture and the fake of each algorithm."""
    real, *others = (_read(found[name]) for found in reals.values())
    if not all(np.array_equal(real, other) for other in others):
        raise InputError(
            f"The real pictures of '{name}' are not the same for all algorithms. Evaluate them on "
            "the same data and at the same size."
        )
    pictures = {algorithm: _read(found[name]) for algorithm, found in fakes.items()}
    for algorithm, picture in pictures.items():
        if picture.shape != real.shape:
            raise InputError(
                f"The output of '{name}' by {algorithm!r} is "
                f"{picture.shape[1]}x{picture.shape[0]} pixels and the real picture "
                f"{real.shape[1]}x{real.shape[0]}. Bring them to the same size."
            )
    pictures[_REAL] = real
    return {(key, name): images.encode_image(x, ".png") for key, x in pictures.items()}


def _read(path: pathlib.Path) -> np.ndarray:
    images.inspect_image(path)  # Its refusals say what to do.
    return images.read_pixels(path, channels=3)


def _write(output: pathlib.Path, description: dict, contents: Mapping[str, bytes]) -> None:
    """Writes the folder beside its place, then renames it."""
    files.make_output_folder(output.parent)
    # A blurred picture makes a smaller file. Decoders stop at the end of the image, so that
    # zeros behind it change nothing but the size.
    num_bytes = max(map(len, contents.values()))
    with files.writing(output), files.unfinished_folder(output.parent, output.name) as unfinished:
        shutil.copytree(SITE, unfinished)
        (unfinished / PICTURES_FOLDER).mkdir()
        for name, png in contents.items():
            (unfinished / PICTURES_FOLDER / name).write_bytes(png.ljust(num_bytes, b"\0"))
        # A script, since a page that is opened as a file may not read other files.
        text = f"'use strict';\nconst DESCRIPTION = {json.dumps(description, indent=1)};\n"
        (unfinished / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
        unfinished.rename(output)
