"""Run folders of tiny generators, made without training, and what is made of them.

What `shared_*` functions return is made once a process, for all tests that only need a
model. Do not write to it: copy it, or make your own. Do not take gradients through it either:
`conftest.py` forgets the registered gradients after each module, so a later test would fail.
"""

from __future__ import annotations

import atexit
import functools
import json
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

from export import cpp_session
from pix2pix_tf import networks, run_folder, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.inference import exported
from pix2pix_tf.run_folder import GENERATOR_WEIGHTS

CROP_SIZE = 32
_REGISTERED = networks.GENERATORS["unet"]


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
    network = networks.build_generator(config)
    set_weights(network, seed=seed)
    network.save_weights(str(folder / GENERATOR_WEIGHTS))
    return config


def write_data(folder: pathlib.Path, size: tuple[int, int]) -> None:
    """Writes `data.json` of a run that was trained on files of A|B of a size, (width, height)."""
    form = dict(files_per_pair=1, pair_file_size=size)
    known = dict(folders=["/data"], pairs=dict(train={}), **form, read=None, lines=[], words=[])
    (folder / run_folder.DATA_FILE).write_text(json.dumps(known))


def temporary_folder(test) -> pathlib.Path:
    """Returns a new folder that goes away after a test, or after a test class."""
    folder = tempfile.TemporaryDirectory(prefix="pix2pix_tf_")
    add = test.addClassCleanup if isinstance(test, type) else test.addCleanup
    add(folder.cleanup)
    return pathlib.Path(folder.name)


def names_in(folder: pathlib.Path) -> list[str]:
    """Returns what is in a folder, by name."""
    return sorted(path.name for path in folder.iterdir())


def read_generator(folder: pathlib.Path) -> keras.Model:
    """Returns the generator of a run as Keras has it in training."""
    generator = networks.build_generator(TrainConfig.load(folder))
    generator.load_weights(str(folder / GENERATOR_WEIGHTS))
    return generator


def _check_no_stubs() -> None:
    if networks.GENERATORS["unet"] is not _REGISTERED:
        raise RuntimeError(
            "shared_* must not be called for the first time inside stub_networks(): later tests "
            "would get the stubs. Call it before."
        )


@functools.cache
def shared_folder() -> pathlib.Path:
    """Returns a folder for what is made once a process; it goes away with the process."""
    folder = tempfile.TemporaryDirectory(prefix="pix2pix_tf_shared_")
    atexit.register(folder.cleanup)
    return pathlib.Path(folder.name)


@functools.cache
def shared_run() -> pathlib.Path:
    """Returns the run folder of `write_run` as it is without settings."""
    folder = shared_folder() / "run"
    _check_no_stubs()
    write_run(folder)
    return folder


@functools.cache
def shared_version() -> pathlib.Path:
    """Returns the exported version, number 1 of a model folder, of `shared_run`."""
    _check_no_stubs()
    return serving.save_version(shared_run(), shared_folder() / "exported")


@functools.cache
def shared_model() -> exported.ExportedModel:
    """Returns `shared_version`, loaded."""
    return exported.load(shared_version())


@functools.cache
def shared_session() -> cpp_session.CppSession:
    """Returns `shared_version` as the server's C++ code loads it."""
    return cpp_session.CppSession(shared_version())


def serving_model(folder: pathlib.Path, **options) -> serving.ServingModel:
    """Returns the generator of a run behind the signatures; options are of `ServingModel`."""
    config = TrainConfig.load(folder)
    weights = networks.read_generator_weights(config, folder / GENERATOR_WEIGHTS)
    return serving.ServingModel(config, weights, **options)


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


def operations(graph_def: tf.compat.v1.GraphDef) -> set[str]:
    """Returns the operations of a graph and of the functions that it holds."""
    nested = [node for body in graph_def.library.function for node in body.node_def]
    return {node.op for node in [*graph_def.node, *nested]}
