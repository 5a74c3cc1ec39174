"""Run folders of tiny generators, made without training."""

from __future__ import annotations

import pathlib
import tempfile

import keras
import numpy as np

from pix2pix_tf import networks
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.training.checkpoints import GENERATOR_WEIGHTS

CROP_SIZE = 32


def write_run(folder: pathlib.Path, *, seed: int = 0, **settings) -> TrainConfig:
    """Writes `config.json` and `generator.weights.h5` into a new folder.

    Args:
        folder: Made here.
        seed: Of the weights.
        **settings: Fields of the configuration, beside small ones.
    """
    config = TrainConfig(**{"crop_size": CROP_SIZE, "base_filters": 2, **settings})
    folder.mkdir(parents=True)
    config.save(folder)
    generator = networks.build_generator(config)
    set_weights(generator, seed=seed)
    generator.save_weights(str(folder / GENERATOR_WEIGHTS))
    return config


def temporary_folder(test) -> pathlib.Path:
    """Returns a new folder that goes away after a test, or after a test class."""
    folder = tempfile.TemporaryDirectory(prefix="pix2pix_tf_")
    add = test.addClassCleanup if isinstance(test, type) else test.addCleanup
    add(folder.cleanup)
    return pathlib.Path(folder.name)


def read_generator(folder: pathlib.Path) -> keras.Model:
    """Returns the generator of a run as Keras has it in training."""
    generator = networks.build_generator(TrainConfig.load(folder))
    generator.load_weights(str(folder / GENERATOR_WEIGHTS))
    return generator


def set_weights(model: keras.Model, *, seed: int) -> None:
    """Gives a model weights with which its output fills the range, as a trained one's does.

    They are multiples of 1/64, which compress well.
    """
    random = np.random.RandomState(seed)
    values = []
    for weight in model.get_weights():
        is_kernel = weight.ndim == 4
        value = random.normal(0.0 if is_kernel else 0.5, 0.25, weight.shape)
        values.append((np.round(64 * value) / 64).astype(np.float32))
    model.set_weights(values)


def random_image(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns float32 in [-1, 1]."""
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def random_noise(*shape: int, seed: int = 1) -> np.ndarray:
    """Returns float32 in [0, 1)."""
    steps = np.random.RandomState(seed).randint(0, 2**20, shape)
    return (steps / 2**20).astype(np.float32)  # In so many bits it does not round up to 1.
