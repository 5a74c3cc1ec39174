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
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import augment, images, pairs
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.outputs import pictures_of
from pix2pix_tf.evaluation.perceptual_study import protocol

SITE = pathlib.Path(__file__).resolve().parent / "site"
DESCRIPTION_FILE = "description.js"
PICTURES_FOLDER = "pictures"
# What python -m pix2pix_tf.evaluate puts the pictures in, below its --output.
_OUTPUTS_FOLDER = "outputs"


class Targets(NamedTuple):
    """The real pictures.

    Attributes:
        what: Where they come from, for messages.
        names: One a pair.
        read: Returns the pixels of a name, uint8 `[height, width, 3]`.
    """

    what: str
    names: Sequence[str]
    read: Callable[[str], np.ndarray]


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


def targets_of_folder(folder: pathlib.Path) -> Targets:
    """Returns the pictures of a folder as the real ones.

    Raises:
        InputError: If there are none, or two have one name.
    """
    found = pictures_of(folder)
    return Targets(f"'{folder}'", list(found), lambda name: _read_rgb(found[name]))


def targets_of_dataset(
    dataset: str, split: str, *, direction: str, data_dir: str = "", scene_size: int = 256
) -> Targets:
    """Returns the target sides of a split as the real pictures.

    Args:
        dataset: "demo", a published name, or a folder.
        split: "train", "val" or "test".
        direction: "AtoB" if B is the target, "BtoA" if A is.
        data_dir: Where published sets are kept; empty means Keras' cache.
        scene_size: Pixels of a drawn scene.

    Raises:
        InputError: If the data cannot be used.
    """
    source = pairs.open_pairs(dataset, split, data_dir=data_dir, scene_size=scene_size)
    index_of = {name: index for index, name in enumerate(source.names)}
    side = 1 if direction == "AtoB" else 0

    def read(name: str) -> np.ndarray:
        pixels = source.read(index_of[name])[side]
        return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257.0).astype(np.uint8)

    return Targets(f"{dataset}, {split}, {direction}", list(source.names), read)


def find_outputs(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns an algorithm's pictures by the names of their pairs.

    Args:
        folder: The pictures, or what `python -m pix2pix_tf.evaluate` wrote.

    Raises:
        InputError: If there are none, or two have one name.
    """
    within = pathlib.Path(folder) / _OUTPUTS_FOLDER
    return pictures_of(within if within.is_dir() else folder)


def build(
    algorithms: Mapping[str, pathlib.Path],
    targets: Targets,
    output: pathlib.Path,
    *,
    settings: Settings,
    seed: int = 0,
) -> dict:
    """Writes a study; its folder appears at once, when it is whole.

    Args:
        algorithms: Folder of the outputs of each, by name.
        targets: The real pictures, of the same names.
        output: Folder of the study; not there yet.
        settings: How a session goes.
        seed: Of the order that names the files. Sessions have seeds of their own.

    Returns:
        What the page is told of the study.

    Raises:
        InputError: If outputs and targets do not fit, there are fewer pairs than a
            session needs, or there is something in the place of `output`.
    """
    output = pathlib.Path(output)
    if output.exists():
        raise InputError(f"'{output}' is there already. Delete it, or name another folder.")
    outputs = {name: find_outputs(folder) for name, folder in algorithms.items()}
    names = _common_names(outputs, targets)
    _check_enough(names, settings)

    contents = {}  # By (algorithm, or None for the real ones; name of the pair).
    for name in names:
        contents.update(_encode_pair(name, targets, outputs))
    keys = sorted(contents, key=lambda key: (key[0] or "", key[1]))
    random.Random(seed).shuffle(keys)
    file_of = {key: f"{number:05d}.png" for number, key in enumerate(keys, start=1)}
    description = dict(
        version=protocol.VERSION,
        num_practice=settings.num_practice,
        num_trials=settings.num_trials,
        exposure_ms=settings.exposure_ms,
        pairing=settings.pairing,
        notice=settings.notice,
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


def _read_rgb(path: pathlib.Path) -> np.ndarray:
    images.inspect_image(path)  # Its refusals say what to do.
    return images.read_pixels(path, channels=3)


def _common_names(outputs: Mapping[str, Mapping[str, pathlib.Path]], targets: Targets) -> list[str]:
    """Returns the pairs that every algorithm has an output of, sorted.

    Raises:
        InputError: If an output has no target: it is of other data.
    """
    real = set(targets.names)
    for algorithm, found in outputs.items():
        strangers = sorted(found.keys() - real)
        if strangers:
            raise InputError(
                f"{len(strangers)} of the {len(found)} outputs of {algorithm!r} have no real "
                f"picture of the same name in {targets.what}, the first being '{strangers[0]}'. "
                "Name the data that the outputs were made from."
            )
    return sorted(real.intersection(*outputs.values()))


def _check_enough(names: Sequence[str], settings: Settings) -> None:
    """Refuses a session in which a picture would come twice."""
    needed = settings.num_practice + settings.num_trials
    if len(names) < needed:
        raise InputError(
            f"There are {len(names)} pairs that every algorithm has an output of, and a session "
            f"takes {needed}, each once ({settings.num_practice} for practice and "
            f"{settings.num_trials}). Translate more pictures, or pass smaller --num_practice and "
            "--num_trials."
        )
    if settings.pairing == "different" and len(names) < 2:
        raise InputError("pairing is 'different', which takes 2 pairs, and there is 1. Add more.")


def _encode_pair(
    name: str, targets: Targets, outputs: Mapping[str, Mapping[str, pathlib.Path]]
) -> dict[tuple[str | None, str], bytes]:
    """Returns the PNG files of a pair: the real picture and the fake of each algorithm."""
    pictures = {algorithm: _read_rgb(found[name]) for algorithm, found in outputs.items()}
    sizes = {algorithm: fake.shape[:2] for algorithm, fake in pictures.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{w}x{h} of {algorithm!r}" for algorithm, (h, w) in sizes.items())
        raise InputError(
            f"The outputs of '{name}' have different sizes: {listed}. Pictures of one pair are "
            "compared at one size: translate at the same size with each."
        )
    size = next(iter(sizes.values()))
    pictures[None] = _fit(targets.read(name), size, what=f"'{name}' in {targets.what}")
    return {(key, name): images.encode_image(x, ".png") for key, x in pictures.items()}


def _fit(real: np.ndarray, size: tuple[int, int], *, what: str) -> np.ndarray:
    """Returns a real picture at the size of its fake, as `python -m pix2pix_tf.evaluate` has it.

    Args:
        real: `[height, width, 3]`.
        size: Height and width of the fake, in pixels.
        what: Names the real picture, for the message.
    """
    height, width = size
    if real.shape[:2] == size:
        return real
    if height != width:
        raise InputError(
            f"{what} is {real.shape[1]}x{real.shape[0]} pixels, and its output is "
            f"{width}x{height}. Bring them to the same size; only a square output is taken for "
            "the middle of a larger picture."
        )
    scaled = augment.resize_to_cover(real, height).numpy()
    top, left = ((side - height) // 2 for side in scaled.shape[:2])
    return scaled[top : top + height, left : left + width]


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
