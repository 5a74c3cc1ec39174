"""The SavedModel of the run, on the GPU, against the run on the CPU: same image, same noise."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from benchmarks.gpu_check import checks, environment, training
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.settings import Settings
from export.parity import limits
from pix2pix_tf import serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import examples
from pix2pix_tf.inference import exported, noise, translator

TITLE = "Export of the run"
MINUTES = 1.5
_NUM_IMAGES = 4


def measure(settings: Settings, folder: pathlib.Path) -> Iterator[Check]:
    """Yields how far the outputs are apart, held to the limits of `export.verify`."""
    tf.config.experimental.enable_tensor_float_32_execution(False)  # The limits are of float32.
    run = folder / training.RUN
    name = environment.device()
    version = serving.save_version(run, folder / "saved_model", device=name.lower())
    model = exported.load(version)
    images = [
        example.source[0].numpy()
        for example in examples.held_out(TrainConfig.load(run), limit=_NUM_IMAGES)
    ]
    with tf.device("/CPU:0"):
        translate = translator.load(run)
        expected = np.stack([translate(image, sample=n) for n, image in enumerate(images)])
    found = []
    for number, image in enumerate(images):
        z = noise.draw(model.noise_size, entropy=[0, number])  # As `Translator` draws it.
        found += [model.translate_with_noise(image[np.newaxis], z[np.newaxis])[0]]
    differences = np.abs(np.stack(found) - expected)
    what = f"SavedModel on the {name} against the run on the CPU"
    yield checks.at_most(f"{what}: mean", float(differences.mean()), limits.EXACT.mean)
    yield checks.at_most(f"{what}: largest", float(differences.max()), limits.EXACT.max)
    draws = {model.translate(images[0][np.newaxis]).tobytes() for _ in range(2)}
    yield checks.equals("different outputs of two calls of serving_default", len(draws), 2)
