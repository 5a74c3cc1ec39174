"""Putting a site together: the model, the runtime that computes it, samples and the page."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

from pix2pix_tf import files, pretrained, run_folder, serving
from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.data import examples, images, registry
from pix2pix_tf.data.pipeline import Example
from pix2pix_tf.errors import InputError

from . import palette
from .runtimes import DEFAULT, RUNTIMES
from .serve import DESCRIPTION

STATIC = pathlib.Path(__file__).resolve().parent / "site"
NUM_SAMPLES = 8
_PAGE = "index.html"
_CARD = "model_card.json"  # index.html links to it.


def assemble(
    workdir: pathlib.Path,
    output: pathlib.Path,
    *,
    checkpoint: str = run_folder.NEWEST,
    weights: str = run_folder.AVERAGE,
    runtime: str = DEFAULT,
    quantize: str = "float16",
    data_dir: str = "",
) -> pathlib.Path:
    """Writes the drawing page of a run's model; it appears at once, when it is whole.

    Args:
        workdir: The run folder; or a name of `pretrained`.
        output: The folder of the site.
        checkpoint: "newest", "best", or a step.
        weights: "average" or "last", see `run_folder.find_weights`.
        runtime: One of `RUNTIMES`.
        quantize: One of the runtime's.
        data_dir: Where published sets are; empty means as in the training.

    Returns:
        `output`.

    Raises:
        InputError: If `workdir` is not a run folder, the runtime is not installed, or there is
            something in the place of `output`.
        WriteError: If it cannot be written; nothing is left of it then.
    """
    given, output = pathlib.Path(workdir), pathlib.Path(output)
    workdir = pretrained.find_model(given)
    config = TrainConfig.load(workdir)
    # A run is best known by what it was trained on, a model of the package by its own name.
    name = given.name if workdir != given else pathlib.PurePath(config.dataset).name
    reason = serving.why_not_encoded(config)
    if config.color_space == LAB:
        reason = f"'{workdir}' was trained with color_space lab"
    if reason:
        raise InputError(
            f"{reason}. The page does not convert such images; use export saved_model or "
            "export tfjs instead."
        )
    chosen = RUNTIMES[runtime]
    chosen.check(quantize)
    files.check_free(output)
    files.make_output_folder(output.parent)
    with (
        tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as passing,
        files.writing(output),
        files.unfinished_folder(output.parent, output.name) as unfinished,
    ):
        version = serving.save_version(
            workdir, pathlib.Path(passing), checkpoint=checkpoint, weights=weights
        )
        card = serving.published_card(serving.read_model_card(version))
        shutil.copytree(STATIC, unfinished / "code")
        chosen.copy(unfinished / "code")
        code = _named_by_contents(unfinished / "code")
        page = (unfinished / code / _PAGE).read_text(encoding="utf-8")
        (unfinished / code / _PAGE).unlink()
        (unfinished / _PAGE).write_text(page.replace("CODE/", f"{code}/"), encoding="utf-8")
        model = chosen.write(version, unfinished / "model", quantize)
        (unfinished / _CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")
        model_folder = _named_by_contents(unfinished / "model")
        if data_dir:
            config = dataclasses.replace(config, data_dir=data_dir)
        samples, origin = _read_samples(config)
        _write_samples(unfinished / "samples", samples)
        description = dict(
            title=f"pix2pix {name}",
            **_describe(config, card, samples, origin, f"{model_folder}/{model}"),
        )
        (unfinished / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
        os.replace(unfinished, output)
    return output


def _named_by_contents(folder: pathlib.Path) -> str:
    """Renames a folder after what its files hold; returns the new name.

    A browser may keep files of an older build, which must not mix with those of a new one.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.read_bytes())
    name = f"{folder.name}-{digest.hexdigest()[:12]}"
    folder.rename(folder.with_name(name))
    return name


def _read_samples(config: TrainConfig) -> tuple[list[Example], str]:
    """Returns examples for the gallery, and what they are, in words.

    They are of the run's data set where it is at hand; else drawn scenes, for a model whose
    labels they have; else none.
    """
    name = config.dataset
    # Nothing is downloaded for samples.
    if name not in registry.PUBLISHED or registry.find_published(name, config.data_dir):
        try:
            return examples.held_out(config, limit=NUM_SAMPLES), "Pairs of the data set"
        except InputError:  # Moved or changed since the training.
            pass
    if not palette.has_scene_labels(config):
        return [], ""
    scenes = dataclasses.replace(config, dataset="demo", direction="AtoB")  # A has the labels.
    found = examples.held_out(scenes, limit=NUM_SAMPLES)
    return found, "Drawn scenes, not of the set it was trained on"


def _write_samples(folder: pathlib.Path, samples: list[Example]) -> None:
    folder.mkdir()
    for number, sample in enumerate(samples, start=1):
        for kind, image in (("input", sample.source), ("target", sample.target)):
            pixels = images.denormalize_image(image[0])
            (folder / f"{number}_{kind}.png").write_bytes(images.encode_image(pixels, ".png"))


def _describe(
    config: TrainConfig, card: dict, samples: list[Example], origin: str, model_url: str
) -> dict:
    """Returns what site.json tells the page of the model, but for its title."""
    inputs = [images.shown_pixels(sample.source[0]) for sample in samples]
    brushes = palette.choose(config, inputs)
    is_pen = len(brushes) == 2  # Line art: paper and pen.
    is_drawn = bool(palette.of_dataset(config)) or palette.are_drawn(inputs)
    if samples or is_drawn:
        what = f"Draw {'edges' if is_pen else 'labels'}"
    else:  # Of photos, most likely; there is nothing to tell what to draw with.
        what = "Open a photo, or what else the model was trained on"
    step = "" if card["step"] is None else f", trained for {card['step']:,} steps"
    return dict(
        subtitle=f"{what}; the model makes a picture as you go.",
        facts=(
            f"{config.generator} with {config.base_filters} filters at {config.crop_size}x"
            f"{config.crop_size} pixels, {config.direction}{step}."
        ),
        gallery=f"{origin}. Choose one to start from it." if samples else "",
        mode="pen" if is_pen else "classes",
        camera=not is_drawn,
        palette=[dataclasses.asdict(brush) for brush in brushes],
        samples=[
            {kind: f"samples/{number}_{kind}.png" for kind in ("input", "target")}
            for number in range(1, len(samples) + 1)
        ],
        model=dict(
            url=model_url,
            size=config.crop_size,
            inputChannels=config.input_channels,
            outputChannels=config.output_channels,
            noiseSize=card["noise_size"],
        ),
    )
