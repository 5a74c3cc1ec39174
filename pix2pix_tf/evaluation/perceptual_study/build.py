"""Putting a study together: pictures whose names tell nothing, and the page that shows them.

Every picture is written anew, as an 8-bit RGB PNG without metadata, named by its place
in one shuffled order of all, and filled up to the same number of bytes. So neither
the name, nor the kind, nor the size of a file says which picture is real. What stays
is what is in the pixels.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import random
import shutil
from collections.abc import Mapping, Sequence

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import images
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.evaluation.outputs import pictures_of
from pix2pix_tf.evaluation.perceptual_study import protocol

SITE = pathlib.Path(__file__).resolve().parent / "site"
DESCRIPTION_FILE = "description.js"
PICTURES_FOLDER = "pictures"
# What python -m pix2pix_tf.evaluate puts the pictures in, below its --output.
_OUTPUTS_FOLDER, _TARGETS_FOLDER = "outputs", "targets"
Pictures = Mapping[str, pathlib.Path]  # By the names of their pairs.


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a session goes; the defaults are the paper's.

    Raises:
        InputError: If a session would have no trials, or no time to see them.
    """

    num_practice: int = protocol.NUM_PRACTICE
    num_trials: int = protocol.NUM_TRIALS
    exposure_ms: int = protocol.EXPOSURE_MS
    pairing: str = "same"
    notice: str = ""  # Who runs the study; shown before it starts.

    def __post_init__(self):
        if self.num_practice < 0 or self.num_trials < 1:
            raise InputError(
                f"num_practice is {self.num_practice} and num_trials {self.num_trials}. A session "
                "needs at least one trial; practice may be 0."
            )
        if not 50 <= self.exposure_ms <= 60_000:
            raise InputError(
                f"A picture would be shown for {self.exposure_ms} milliseconds. Choose from 50 to "
                "60,000; the paper shows it for 1,000."
            )


def build(
    algorithms: Mapping[str, pathlib.Path],
    output: pathlib.Path,
    *,
    targets: pathlib.Path | None = None,
    settings: Settings,
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
    output = pathlib.Path(output)
    if output.exists():
        raise InputError(f"'{output}' is there already. Delete it, or name another folder.")
    fakes = {}
    for name, folder in algorithms.items():
        within = pathlib.Path(folder, _OUTPUTS_FOLDER)
        fakes[name] = pictures_of(within if within.is_dir() else folder)
    reals = _find_reals(algorithms, targets)
    names = _common_names(fakes, reals, settings)

    contents = {}  # By (algorithm, or None for the real ones; name of the pair).
    for name in names:
        contents.update(_encode_pair(name, reals, fakes))
    keys = sorted(contents, key=lambda key: (key[0] or "", key[1]))
    random.Random(seed).shuffle(keys)
    file_of = {key: f"{number:05d}.png" for number, key in enumerate(keys, start=1)}
    description = dict(
        version=protocol.VERSION,
        **dataclasses.asdict(settings),
        pairs=[dict(name=name, real=file_of[None, name]) for name in names],
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


def _find_reals(
    algorithms: Mapping[str, pathlib.Path], targets: pathlib.Path | None
) -> list[Pictures]:
    """Returns the real pictures; those of each algorithm, which have to be the same."""
    if targets:
        return [pictures_of(targets)]
    folders = [pathlib.Path(folder, _TARGETS_FOLDER) for folder in algorithms.values()]
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise MissingInputError(
            f"Which pictures are the real ones is not known: there is no '{missing[0]}'. Pass "
            "--targets, their folder, or what python -m pix2pix_tf.evaluate wrote in --algorithm."
        )
    return [pictures_of(folder) for folder in folders]


def _common_names(
    fakes: Mapping[str, Pictures], reals: Sequence[Pictures], settings: Settings
) -> list[str]:
    """Returns the pairs that every algorithm has an output of, sorted.

    Raises:
        InputError: If an output has no real picture, or a picture would come twice in a
            session.
    """
    for algorithm, found in fakes.items():
        strangers = sorted(found.keys() - reals[0].keys())
        if strangers:
            raise InputError(
                f"{len(strangers)} of the {len(found)} outputs of {algorithm!r} have no real "
                f"picture of the same name, the first being '{strangers[0]}'. Name the real "
                "pictures that the outputs imitate."
            )
    names = sorted(set(reals[0]).intersection(*fakes.values(), *reals))
    needed = settings.num_practice + settings.num_trials
    needed = max(needed, 2 if settings.pairing == "different" else 1)
    if len(names) < needed:
        raise InputError(
            f"There are {len(names)} pairs that every algorithm has an output of, and a session "
            f"takes {needed}, each once ({settings.num_practice} for practice and "
            f"{settings.num_trials}). Translate more pictures, or pass smaller --num_practice and "
            "--num_trials."
        )
    return names


def _encode_pair(
    name: str, reals: Sequence[Pictures], fakes: Mapping[str, Pictures]
) -> dict[tuple[str | None, str], bytes]:
    """Returns the PNG files of a pair: the real picture and the fake of each algorithm."""
    real, *others = (_read(found[name]) for found in reals)
    if not all(np.array_equal(real, other) for other in others):
        raise InputError(
            f"The real pictures of '{name}' are not the same for all algorithms. Evaluate them on "
            "the same data and at the same size."
        )
    pictures = {None: real, **{algorithm: _read(found[name]) for algorithm, found in fakes.items()}}
    for algorithm, picture in pictures.items():
        if picture.shape != real.shape:
            raise InputError(
                f"The output of '{name}' by {algorithm!r} is "
                f"{picture.shape[1]}x{picture.shape[0]} pixels and the real picture "
                f"{real.shape[1]}x{real.shape[0]}. Bring them to the same size."
            )
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
