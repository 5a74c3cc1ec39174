"""Examples to look at, of whatever a model takes: held-out pairs, files, a drawn stand-in."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

from pix2pix_tf.config import PICTURE_CHANNELS, TrainConfig
from pix2pix_tf.data import images, lab, pairs, pipeline


def held_out(config: TrainConfig, *, limit: int) -> list[pipeline.Example]:
    """Returns at most `limit` pairs of `crop_shape`, spread evenly over all of a split.

    It is the test split, which the run was not trained on, or else the validation; where there is
    neither, the training.

    Raises:
        InputError: If the data set is not there, or cannot be read.
    """
    split = pairs.find_split(config.dataset, ("test", "val"), data_dir=config.data_dir) or "train"
    reader = pipeline.open_reader(config, split, size=config.crop_shape)
    return list(pipeline.evaluation_examples(reader, crop_size=config.crop_shape, limit=limit))


def read_source(path: pathlib.Path, config: TrainConfig) -> np.ndarray:
    """Returns what the network takes of an image file, `[height, width, channels]` in [-1, 1].

    Raises:
        InputError: If the file cannot be read, naming it.
    """
    image = images.read_image(
        path, channels=config.input_file_channels, value_range=config.input_limits
    )
    return np.asarray(lab.source_of(image, config.color_space))


def of_file(path: pathlib.Path, config: TrainConfig) -> pipeline.Example:
    """Returns an image file as an example without a target, by `read_source`."""
    return _without_target(path.name, read_source(path, config), config)


def drawn(config: TrainConfig) -> pipeline.Example:
    """Returns a drawn scene as an example without a target, where no pair can be had.

    It has the `crop_shape` and the channels that the model takes: its label colours, or their
    grey; of channels that are not a picture, the same grey in each.
    """
    labels, _ = pairs.ScenePairs("test", size=max(config.crop_shape)).read(0)
    height, width = config.crop_shape
    channels = config.input_file_channels
    # By way of a file, which is read as the model takes it.
    file = images.encode_image(labels[:height, :width], ".png")
    if channels in PICTURE_CHANNELS:
        pixels = images.decode_pixels(file, channels=channels)
    else:
        pixels = tf.repeat(images.decode_pixels(file, channels=1), channels, axis=-1)
    image = images.normalize_image(pixels)
    return _without_target("scene", lab.source_of(image, config.color_space), config)


def _without_target(name: str, source, config: TrainConfig) -> pipeline.Example:
    source = tf.convert_to_tensor(source)[tf.newaxis]
    return pipeline.Example(name, source, None, config.color_space)
