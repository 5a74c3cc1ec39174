"""The paper's tasks as settings of a run: on what each was trained, for how long and how.

One more, `OWN`, is for pairs of one's own, with a decoder that leaves no grid. The tasks have the
settings of the paper's appendix 6.2, as other publications quote it; docs/tasks.md marks those that
could not be verified. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.errors import InputError

OWN = "own"
HELP = "help"  # In place of a name: prints them all.


class Preset(NamedTuple):
    """A task.

    Attributes:
        task: From what to what.
        num_train: Training pairs of the paper; of `OWN`, those of its facades.
        epochs: How often each was seen.
        batch_size: Images a step.
        jitter: Whether images are scaled to 286/256 and cropped at random.
        mirror: Whether half of the pairs are flipped.
        dataset: Name in `registry.PUBLISHED`; empty where the authors publish none.
        direction: For those sets, and for what `pix2pix prepare` writes.
        color_space: See `TrainConfig`.
        upsampling: See `TrainConfig`.
        prepare: How pairs for it are made of one's own pictures.
    """

    task: str
    num_train: int
    epochs: int = 200
    batch_size: int = 1
    jitter: bool = True
    mirror: bool = True
    dataset: str = ""
    direction: str = "AtoB"
    color_space: str = "rgb"
    upsampling: str = TrainConfig.upsampling
    prepare: str = ""


_EDGES: dict[str, Any] = dict(
    epochs=15, batch_size=4, jitter=False, mirror=False, prepare="prepare edges"
)
PRESETS: dict[str, Preset] = {
    # docs/results.md has its pictures and measures.
    OWN: Preset(
        "your pairs, with a decoder that leaves no grid (not the paper's)",
        400,
        upsampling="resize",
        prepare="docs/training.md shows the forms",
    ),
    "facades": Preset("labels to facade", 400, dataset="facades", direction="BtoA"),
    "cityscapes": Preset("labels to street scene", 2975, dataset="cityscapes", direction="BtoA"),
    "cityscapes_to_labels": Preset("street scene to labels", 2975, dataset="cityscapes"),
    "aerial2map": Preset("aerial photo to map", 1096, dataset="maps"),
    "map2aerial": Preset("map to aerial photo", 1096, dataset="maps", direction="BtoA"),
    "colorization": Preset(
        "grey photo to colour photo, from L to a and b",
        1_200_000,
        epochs=6,
        batch_size=4,
        jitter=False,
        color_space=LAB,
        prepare="a folder of photos as they are, or of prepare colorize",
    ),
    "edges2shoes": Preset("edges to shoe", 50_000, dataset="edges2shoes", **_EDGES),
    "edges2handbags": Preset("edges to handbag", 137_000, dataset="edges2handbags", **_EDGES),
    "day2night": Preset(
        "day to night", 17_823, epochs=17, batch_size=4, dataset="night2day", direction="BtoA"
    ),
    "thermal2color": Preset(
        "thermal picture to colour photo",
        36_609,
        epochs=10,
        batch_size=4,
        prepare="prepare combine, thermal pictures as A",
    ),
    "inpainting": Preset(
        "photo with missing pixels to whole photo",
        14_900,
        epochs=25,
        batch_size=4,
        prepare="prepare inpaint",
    ),
}


def settings(name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a preset, but for those that are given.

    The steps are those of the paper's own number of pairs; see `num_steps`.

    Args:
        name: Name of the preset.
        known: Settings that are given, or of the run that goes on, by the name of the field.

    Raises:
        InputError: If its pictures are not published and no other data set is given.
    """
    preset = PRESETS[name]
    if not preset.dataset and "dataset" not in known:
        raise InputError(
            f"Preset {name} goes without a published set. Pass --dataset with a folder of yours: "
            f"{preset.prepare}. See docs/tasks.md."
        )
    same_names = ("dataset", "direction", "color_space", "upsampling", "batch_size", "mirror")
    values = {field: getattr(preset, field) for field in same_names}
    if not preset.jitter:
        # No larger than the crop, so that it has but one place.
        values["load_size"] = known.get("crop_size", TrainConfig.crop_size)
    batch_size = known.get("batch_size", preset.batch_size)
    values["num_steps"] = num_steps(name, preset.num_train, batch_size)
    return {field: value for field, value in values.items() if field not in known}


def num_steps(name: str, num_pairs: int, batch_size: int) -> int:
    """Returns in how many steps a preset's epochs are done, rounded up."""
    return math.ceil(PRESETS[name].epochs * num_pairs / batch_size)


def describe() -> str:
    """Returns all presets with their settings, each a line; docs/tasks.md has the sources."""
    lines = []
    for name, preset in PRESETS.items():
        data = preset.dataset or f"your pictures: {preset.prepare}"
        jitter = "jitter" if preset.jitter else "no jitter"
        mirror = "mirroring" if preset.mirror else "no mirroring"
        lines.append(
            f"{name}: {preset.task} ({data}; {preset.direction}, {preset.epochs} epochs, batch "
            f"{preset.batch_size}, {preset.upsampling} decoder, {jitter}, {mirror})"
        )
    return "\n".join(lines)
