"""The paper's tasks: what each was trained on, for how long and how, as settings of a run.

The settings are those of the paper's appendix 6.2, as other publications quote it. `unverified`
names those that could not be verified: look them up before you rely on them. Nothing here needs
TensorFlow.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any

from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.errors import InputError

HELP = "help"  # In place of a name: prints them all.


@dataclasses.dataclass(frozen=True)
class Preset:
    """A task of the paper.

    Attributes:
        task: From what to what.
        data: What the paper trained on.
        num_train: Its training pairs.
        epochs: How often each was seen.
        batch_size: Images a step.
        jitter: Whether images are scaled to 286/256 and cropped at random.
        mirror: Whether half of the pairs are flipped.
        unverified: Those of the four before that could not be verified.
        dataset: Of `registry.PUBLISHED`; empty where the authors publish none.
        direction: Of those sets, and of what `python -m pix2pix_tf.prepare` writes.
        color_space: See `TrainConfig`.
        prepare: How pairs for it are made of one's own pictures.
    """

    task: str
    data: str
    num_train: int
    epochs: int
    batch_size: int
    jitter: bool
    mirror: bool
    unverified: tuple[str, ...] = ()
    dataset: str = ""
    direction: str = "AtoB"
    color_space: str = "rgb"
    prepare: str = ""


PRESETS: dict[str, Preset] = {
    "facades": Preset(
        task="labels to facade",
        data="CMP Facades, 400",
        num_train=400,
        epochs=200,
        batch_size=1,
        jitter=True,
        mirror=True,
        dataset="facades",
        direction="BtoA",
    ),
    "cityscapes": Preset(
        task="labels to street scene",
        data="Cityscapes, 2975",
        num_train=2975,
        epochs=200,
        batch_size=1,
        jitter=True,
        mirror=True,
        dataset="cityscapes",
        direction="BtoA",
    ),
    "cityscapes_to_labels": Preset(
        task="street scene to labels",
        data="Cityscapes, 2975",
        num_train=2975,
        epochs=200,
        batch_size=1,
        jitter=True,
        mirror=True,
        unverified=("epochs", "batch", "jitter", "mirror"),  # Taken from the other direction.
        dataset="cityscapes",
    ),
    "aerial2map": Preset(
        task="aerial photo to map",
        data="Google Maps around New York City, 1096",
        num_train=1096,
        epochs=200,
        batch_size=1,
        jitter=True,
        mirror=True,
        dataset="maps",
    ),
    "map2aerial": Preset(
        task="map to aerial photo",
        data="Google Maps around New York City, 1096",
        num_train=1096,
        epochs=200,
        batch_size=1,
        jitter=True,
        mirror=True,
        dataset="maps",
        direction="BtoA",
    ),
    "colorization": Preset(
        task="grey photo to colour photo, from L to a and b",
        data="ImageNet, 1.2 million",
        num_train=1_200_000,
        epochs=6,
        batch_size=4,
        jitter=False,
        mirror=True,
        unverified=("epochs", "jitter", "mirror"),
        color_space=LAB,
        prepare="a folder of photos as they are, or of prepare colorize",
    ),
    "edges2shoes": Preset(
        task="edges to shoe",
        data="UT Zappos50K, edges by HED, 50,000",
        num_train=50_000,
        epochs=15,
        batch_size=4,
        jitter=False,
        mirror=False,
        unverified=("epochs", "jitter", "mirror"),
        dataset="edges2shoes",
        prepare="prepare edges",
    ),
    "edges2handbags": Preset(
        task="edges to handbag",
        data="Amazon handbags of iGAN, edges by HED, 137,000",
        num_train=137_000,
        epochs=15,
        batch_size=4,
        jitter=False,
        mirror=False,
        unverified=("epochs", "jitter", "mirror"),
        dataset="edges2handbags",
        prepare="prepare edges",
    ),
    "day2night": Preset(
        task="day to night",
        data="Transient Attributes, 91 webcams, 17,823",
        num_train=17_823,
        epochs=17,
        batch_size=4,
        jitter=True,
        mirror=True,
        unverified=("epochs", "jitter", "mirror"),
        dataset="night2day",
        direction="BtoA",
    ),
    "thermal2color": Preset(
        task="thermal picture to colour photo",
        data="KAIST multispectral pedestrians, sets 00 to 05, 36,609",
        num_train=36_609,
        epochs=10,
        batch_size=4,
        jitter=True,
        mirror=True,
        unverified=("epochs", "jitter", "mirror"),
        prepare="prepare combine, thermal pictures as A",
    ),
    "inpainting": Preset(
        task="photo with missing pixels to whole photo",
        data="Paris StreetView, 14,900",
        num_train=14_900,
        epochs=25,
        batch_size=4,
        jitter=True,
        mirror=True,
        unverified=("epochs", "jitter", "mirror"),
        prepare="prepare inpaint",
    ),
}


def find(name: str) -> Preset:
    """Returns a preset.

    Raises:
        InputError: If there is none of that name, listing those there are.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise InputError(
        f"There is no preset '{name}'.{hint} Use one of {', '.join(PRESETS)}; --preset={HELP} says "
        "what they are."
    )


def settings(name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a preset, but for those that are given.

    The steps are those of the paper's own number of pairs; see `num_steps`.

    Args:
        name: Of the preset.
        known: Settings that are given, or of the run that goes on, by the name of the field.

    Raises:
        InputError: If there is no such preset; or if its pictures are not published and no
            other data set is given.
    """
    preset = find(name)
    if not preset.dataset and "dataset" not in known:
        raise InputError(
            f"The pictures of preset {name} ({preset.data}) are not published as a set. Pass "
            f"--dataset with a folder of yours: {preset.prepare}. See docs/tasks.md."
        )
    values = dict(
        dataset=preset.dataset,
        direction=preset.direction,
        color_space=preset.color_space,
        batch_size=preset.batch_size,
        mirror=preset.mirror,
    )
    if not preset.jitter:
        # No larger than the crop, so that it has but one place.
        values["load_size"] = known.get("crop_size", TrainConfig.crop_size)
    values["num_steps"] = num_steps(
        name, preset.num_train, known.get("batch_size", preset.batch_size)
    )
    return {field: value for field, value in values.items() if field not in known}


def num_steps(name: str, num_pairs: int, batch_size: int) -> int:
    """Returns in how many steps a preset's epochs are done, rounded up."""
    return math.ceil(find(name).epochs * num_pairs / batch_size)


def describe() -> str:
    """Returns all presets with their settings and sources, each a paragraph."""
    return "\n\n".join(_describe(name, preset) for name, preset in PRESETS.items())


def _describe(name: str, preset: Preset) -> str:
    where = f"--dataset={preset.dataset}, {preset.direction}" if preset.dataset else "not published"
    jitter = "jitter" if preset.jitter else "no jitter"
    mirror = "mirroring" if preset.mirror else "no mirroring"
    source = "the paper's appendix 6.2, as others quote it"
    if preset.unverified:
        source += f"; not verified: {', '.join(preset.unverified)}"
    lines = [
        f"{name}: {preset.task}",
        f"  paper's data: {preset.data} ({where})",
        f"  settings:     {preset.epochs} epochs, batch {preset.batch_size}, {jitter}, {mirror}",
        f"  source:       {source}",
    ]
    if preset.prepare:
        lines.append(f"  your data:    {preset.prepare}")
    return "\n".join(lines)
