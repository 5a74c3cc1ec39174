"""Settings, states and batches with which a training step takes milliseconds."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
from collections.abc import Iterator
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from pix2pix_tf import networks, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.models import convolutions, layers
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import make_train_step

CROP_SIZE = 32
SETTINGS = dict(crop_size=CROP_SIZE, base_filters=2, receptive_field=16, precision="float32")
# For `python -c`: the command, with networks that compile in a third of the time.
TRAIN_PLAIN = """
import runpy, tiny_training
with tiny_training.plain_convolutions():
    runpy.run_module("pix2pix_tf.train", run_name="__main__", alter_sys=True)
"""


def make_config(**settings) -> TrainConfig:
    """Returns a tiny configuration with `settings` changed."""
    return TrainConfig(**{**SETTINGS, **settings})


def build(config: TrainConfig):
    """Returns a new state and its compiled step on one device."""
    state = TrainState(config)
    return state, make_train_step(state, config, tf.distribute.get_strategy())


def random_batch(batch_size: int = 1, *, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns (source, target) of smooth pictures, float32 in [-1, 1]."""
    coarse = np.random.RandomState(seed).uniform(-1, 1, [2, batch_size, 4, 4, 3])
    scale = CROP_SIZE // 4
    pixels = coarse.repeat(scale, axis=2).repeat(scale, axis=3).astype(np.float32)
    return tf.constant(pixels[0]), tf.constant(pixels[1])


def weights(model: keras.Model) -> list[np.ndarray]:
    """Returns copies of a network's trainable weights."""
    return [np.array(tf.convert_to_tensor(weight)) for weight in model.trainable_variables]


def optimizer_variables(optimizer) -> list[np.ndarray]:
    """Returns copies of a Keras optimizer's counters and moments."""
    variables = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    return [np.array(tf.convert_to_tensor(variable)) for variable in variables]


def write_pairs(folder: pathlib.Path, **num_pairs: int) -> pathlib.Path:
    """Writes A|B pictures into FOLDER/SPLIT and returns FOLDER.

    Args:
        folder: Made here.
        **num_pairs: How many for each split.
    """
    random = np.random.RandomState(0)
    for split, count in num_pairs.items():
        (folder / split).mkdir(parents=True)
        for number in range(count):
            pixels = random.randint(0, 256, [6, 12, 3]).astype(np.uint8).repeat(6, 0).repeat(6, 1)
            Image.fromarray(pixels).save(folder / split / f"pair_{number}.png")
    return folder


def read_folder(folder: pathlib.Path) -> dict[str, str]:
    """Returns a digest of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def saved_variables(run: pathlib.Path) -> list[np.ndarray]:
    """Returns the weights, optimizers and counters in the newest checkpoint of a run."""
    reader = tf.train.load_checkpoint(str(run_folder.list_checkpoints(run)[-1] / "state"))
    names = sorted(reader.get_variable_to_shape_map())
    return [reader.get_tensor(name) for name in names if name.endswith("VARIABLE_VALUE")]


def plain_convolutions():
    """Has networks built of Keras' own convolutions, which trace in a third of the time."""
    return mock.patch.object(convolutions, "is_cpu_alone", return_value=False)


@contextlib.contextmanager
def stub_networks(*, keeps_discriminator: bool = False) -> Iterator[None]:
    """Puts networks of two layers in the place of G and D, or of G alone.

    For tests whose subject is what is done around the networks: files, signals, locks, pages.
    They trace in a tenth of the time, and as G does, the stub depends on its noise, if it has any.
    """

    def build_generator(config, *, dtype, **unused):
        image = keras.Input([None, None, config.input_channels], name="image")
        z = keras.Input([None], name="z")
        x = keras.layers.Conv2D(4, 8, strides=8, padding="same", dtype=dtype)(image)
        if config.dropout:
            x, _ = layers.NoiseDropout(config.dropout, dtype=dtype)(x, z)
        x = keras.layers.Conv2DTranspose(config.output_channels, 8, strides=8, dtype=dtype)(x)
        output = keras.layers.Activation("tanh", dtype="float32", name="output")(x)
        return keras.Model([image, z], output, name=config.generator)

    def build_discriminator(config, *, dtype):
        channels = config.output_channels + config.input_channels * config.conditional
        pair = keras.Input([None, None, channels])
        x = keras.layers.Conv2D(1, 8, strides=8, dtype=dtype)(pair)
        return keras.Model(pair, keras.layers.Activation("linear", dtype="float32")(x))

    stubs = {} if keeps_discriminator else {"patchgan": build_discriminator}
    with mock.patch.dict(networks.GENERATORS, unet=build_generator):
        with mock.patch.dict(networks.DISCRIMINATORS, stubs):
            yield
    networks.noise_size.cache_clear()
