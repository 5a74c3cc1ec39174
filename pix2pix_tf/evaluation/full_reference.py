"""Output against ground truth, image by image: L1, PSNR and SSIM."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import tensorflow as tf

from pix2pix_tf import files, metrics
from pix2pix_tf.data import images, pipeline
from pix2pix_tf.inference.translator import Translator
from pix2pix_tf.training import reports

RESULT_FILE = "evaluation.json"
OUTPUTS_FOLDER = "outputs"
GRID_FILE = "grid.png"


def evaluate_pairs(
    translate: Translator,
    reader: pipeline.PairReader,
    output: pathlib.Path,
    *,
    dataset: str,
    split: str,
    seed: int = 0,
    num_rows: int = 6,
) -> dict:
    """Translates every pair's source and measures the outputs.

    Writes `outputs/NAME.png` for each pair, `grid.png` (input | output | target for
    some) and `evaluation.json`. Images are measured as the generator gives them,
    float32 in [-1, 1], before they are rounded for the file.

    Args:
        translate: The model.
        reader: Pairs whose shorter side is the model's crop size.
        output: Folder for the results; made if needed.
        dataset: Name of the data set, for the record.
        split: Name of the split, for the record.
        seed: Of the dropout noise, which is on as in the paper; each image has its own.
        num_rows: Rows of the grid.

    Returns:
        What `evaluation.json` holds: the mean of each measure, their standard
        error, and the measures of every image.
    """
    config = translate.config
    files.make_output_folder(output / OUTPUTS_FOLDER)
    per_image, rows = {}, []
    shown = set(np.linspace(0, len(reader) - 1, num_rows).round().astype(int))
    examples = pipeline.evaluation_examples(reader, crop_size=config.crop_size)
    for number, example in enumerate(examples):
        fake = translate(example.source[0].numpy(), seed=seed, sample=number)
        per_image[example.name] = {
            name: float(measure(fake[np.newaxis], example.target)[0])
            for name, measure in metrics.METRICS.items()
        }
        pixels = images.denormalize_image(fake)
        path = output / OUTPUTS_FOLDER / f"{example.name}.png"
        files.write_atomically(path, images.encode_image(pixels, ".png"))
        if number in shown:
            rows.append((example.source[0], fake, example.target[0]))
    grid = tf.constant(reports.sample_grid(rows))
    files.write_atomically(output / GRID_FILE, images.encode_image(grid, ".png"))

    values = {name: [image[name] for image in per_image.values()] for name in metrics.METRICS}
    result = dict(
        dataset=dataset,
        direction=config.direction,
        split=split,
        num_images=len(per_image),
        step=translate.step,
        seed=seed,
        mean={name: float(np.mean(value)) for name, value in values.items()},
        standard_error={
            name: float(np.std(value) / np.sqrt(len(value))) for name, value in values.items()
        },
        per_image=per_image,
    )
    text = json.dumps(result, indent=1) + "\n"
    files.write_atomically(output / RESULT_FILE, text.encode())
    return result
