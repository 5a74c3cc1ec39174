"""Evaluates outputs: one loop over the pairs, every measure, the files that it leaves."""

from __future__ import annotations

import json
import pathlib
import platform
import shutil

import keras
import numpy as np
import tensorflow as tf
import tqdm.auto

from pix2pix_tf import files, grids, version
from pix2pix_tf.config import LAB, PICTURE_CHANNELS
from pix2pix_tf.data import images, pipeline
from pix2pix_tf.evaluation import colour, features, label_maps, page, spectrum
from pix2pix_tf.evaluation.diversity import AcrossInputsMeasure, DrawsMeasure
from pix2pix_tf.evaluation.full_reference import FullReferenceMeasure
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair
from pix2pix_tf.evaluation.outputs import Outputs
from pix2pix_tf.evaluation.reference import Reference

RESULT_FILE = "evaluation.json"
GRID_FILE = "grid.png"
INPUTS_FOLDER, OUTPUTS_FOLDER, TARGETS_FOLDER = "inputs", "outputs", "targets"
FOLDERS = (INPUTS_FOLDER, OUTPUTS_FOLDER, TARGETS_FOLDER)
SAMPLES_FOLDER = "samples"  # Holds a folder for each draw after the first.
PLOTS = {
    "colour.png": (colour.ColourMeasure.section, colour.plot),
    "confusion.png": (label_maps.LabelMapMeasure.section, label_maps.plot),
    "spectrum.png": (spectrum.SpectrumMeasure.section, spectrum.plot),
}
_NUM_ROWS = 6  # Of the grid.


def evaluate(outputs: Outputs, reference: Reference, output: pathlib.Path) -> dict:
    """Measures, and writes `evaluation.json`, the pictures, the plots and the page.

    All of it replaces an earlier evaluation in the same folder, whose pictures may be of
    other pairs. Until everything was measured, the earlier one stays as it is.

    Args:
        outputs: Where outputs come from.
        reference: What they are compared with, and by what.
        output: Folder for the results; made if needed.

    Returns:
        What `evaluation.json` holds.

    Raises:
        InputError: If a picture cannot be read, or the folder cannot be made.
    """
    files.make_output_folder(output)  # Before it takes minutes to find out.
    folders = list(FOLDERS)
    folders += [f"{SAMPLES_FOLDER}/{draw}" for draw in range(2, outputs.num_samples + 1)]
    names = [x for x in reference.reader.names if outputs.names is None or x in outputs.names]
    in_grid = {names[i] for i in np.linspace(0, len(names) - 1, _NUM_ROWS).round().astype(int)}
    measures = make_measures(outputs, reference, num_pairs=len(names))
    rows, per_image = [], {}
    examples = pipeline.evaluation_examples(
        reference.reader, crop_size=outputs.size, only=outputs.names
    )
    bar = tqdm.auto.tqdm(examples, total=len(names), unit="image", leave=False, disable=None)
    with files.unfinished_folder(output, "pictures") as unfinished:
        for folder in folders:
            with files.writing(unfinished / folder):
                (unfinished / folder).mkdir(parents=True)
        for number, example in enumerate(bar):
            pair = MeasuredPair(
                name=example.name,
                source=example.source_picture[0].numpy(),
                draws=outputs.draws(example, number),
                target=example.target_picture[0].numpy(),
            )
            found = [one.add(pair) for one in measures]
            per_image[pair.name] = {name: value for own in found for name, value in own.items()}
            pictures = [pair.source, pair.draws[0], pair.target_pixels, *pair.draws[1:]]
            for folder, picture in zip(folders, pictures):
                path = unfinished / folder / f"{pair.name}.png"
                with files.writing(path):
                    path.write_bytes(images.encode_image(_viewed(picture), ".png"))
            if pair.name in in_grid:
                rows.append((pair.source, pair.output, pair.target))
        _replace_pictures(output, unfinished)
    result = _summarize(outputs, reference, measures, per_image)
    grid = tf.constant(grids.sample_grid(rows))
    files.write_atomically(output / GRID_FILE, images.encode_image(grid, ".png"))
    for name, (section, plot) in PLOTS.items():
        if result.get(section):
            files.write_atomically(output / name, plot(result[section]))
        else:
            (output / name).unlink(missing_ok=True)  # Of an earlier evaluation.
    # No NaN: what is not defined is null, so that every reader of JSON can read it.
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    files.write_atomically(output / RESULT_FILE, text.encode())
    page.write(output, result)
    return result


def make_measures(outputs: Outputs, reference: Reference, *, num_pairs: int) -> list[Measure]:
    """Returns what is measured, in the order of the tables."""
    measures: list[Measure] = [FullReferenceMeasure()]
    if reference.segmentation is not None:
        measures.append(reference.segmentation)
    if reference.label_maps is not None:
        measures.append(reference.label_maps)
    if reference.config.output_file_channels in PICTURE_CHANNELS:
        is_colorization = reference.config.color_space == LAB
        measures.append(colour.ColourMeasure(with_inputs=is_colorization))
        measures.append(spectrum.SpectrumMeasure())
    measures.append(AcrossInputsMeasure(num_pairs))
    if outputs.num_samples > 1:
        measures.append(DrawsMeasure(outputs.num_samples))
    if reference.features is not None:
        measures.append(features.DistributionMeasure(reference.features, seed=reference.seed))
    return measures


def _summarize(
    outputs: Outputs, reference: Reference, measures: list[Measure], per_image: dict
) -> dict:
    """Returns what `evaluation.json` holds."""
    sections: dict[str, dict | None] = {}
    scores: dict[str, dict] = {}
    for one in measures:
        sections[one.section], found = one.result()
        scores.update((score.name, score.to_dict()) for score in found)
    full_reference = sections.pop(FullReferenceMeasure.section)
    notes = [*outputs.notes, *reference.notes, *(note for one in measures for note in one.notes)]
    channels = reference.config.output_file_channels
    if channels not in PICTURE_CHANNELS:
        notes.append(
            f"Outputs have {channels} channels: colour, sharpness and the distances between the "
            "distributions are left out. The pictures here show the first channels in 8 bits; "
            "pix2pix translate writes all values."
        )
    return dict(
        dataset=reference.config.dataset,
        direction=reference.config.direction,
        split=reference.split,
        num_images=len(per_image),
        size=outputs.size,
        step=outputs.about["step"],
        seed=reference.seed,
        outputs=outputs.about,
        versions=dict(
            pix2pix_tf=version.__version__,
            tensorflow=tf.__version__,
            keras=keras.__version__,
            python=platform.python_version(),
        ),
        notes=notes,
        scores=scores,
        **(full_reference or {}),
        **sections,
        per_image=per_image,
    )


def _viewed(values: np.ndarray) -> np.ndarray:
    """Returns what a PNG shows of an image in [-1, 1], or of pixels, of any channels."""
    if np.issubdtype(values.dtype, np.floating):
        values = images.denormalize_image(values).numpy()
    return values if values.shape[-1] in PICTURE_CHANNELS else images.in_colour(values)


def _replace_pictures(output: pathlib.Path, unfinished: pathlib.Path) -> None:
    """Removes the pictures of an earlier evaluation, and moves new ones to their place."""
    if (output / RESULT_FILE).is_file():  # Else the pictures there are somebody else's.
        for folder in (*FOLDERS, f"{SAMPLES_FOLDER}/[0-9]*"):
            for path in output.glob(f"{folder}/*.png"):
                path.unlink()
    shutil.copytree(unfinished, output, dirs_exist_ok=True, copy_function=shutil.move)
    shutil.rmtree(unfinished)


def table(result: dict) -> str:
    """Returns the scores of a result as lines for a terminal."""
    step = "" if result["step"] is None else f", step {result['step']:,}"
    lines = [f"{result['num_images']} images of {result['dataset']}, {result['split']}{step}:"]
    width = max(map(len, result["scores"]))
    for name, score in result["scores"].items():
        remark = page.remark(score)
        value = f"{page.number(score['value']):>9}"
        lines.append(f"  {name:{width}} {value}" + (f"  ({remark})" if remark else ""))
    return "\n".join(lines + [f"note: {note}" for note in result["notes"]])
