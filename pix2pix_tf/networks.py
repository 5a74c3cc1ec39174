"""The networks of a configuration, and their weights from a file."""

from __future__ import annotations

import pathlib
import warnings

import keras
import numpy as np

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError, first_line
from pix2pix_tf.models import convolutions, discriminator, generator


def build_generator(
    config: TrainConfig,
    *,
    statistics: str = "batch",
    dtype: str = "float32",
    formulation: str = convolutions.PLAIN,
) -> keras.Model:
    """Returns the configured generator with fresh weights."""
    return generator.build_generator(
        config.generator,
        crop_size=config.crop_size,
        input_channels=config.input_channels,
        output_channels=config.output_channels,
        base_filters=config.base_filters,
        norm=config.norm,
        bottleneck_norm=config.bottleneck_norm,
        dropout=config.dropout,
        statistics=statistics,
        dtype=dtype,
        formulation=formulation,
    )


def build_discriminator(
    config: TrainConfig, *, dtype: str = "float32", formulation: str = convolutions.PLAIN
) -> keras.Model:
    """Returns the configured discriminator with fresh weights."""
    seen_channels = config.output_channels + config.input_channels * config.conditional
    return discriminator.patchgan(
        receptive_field=config.receptive_field,
        input_channels=seen_channels,
        base_filters=config.base_filters,
        norm=config.norm,
        spectral_norm=config.spectral_norm,
        dtype=dtype,
        formulation=formulation,
    )


def noise_size(config: TrainConfig, *, height: int = 0, width: int = 0) -> int:
    """Returns how many numbers z has for one image; 0 means `crop_size`."""
    return generator.noise_size(
        crop_size=config.crop_size,
        base_filters=config.base_filters,
        dropout=config.dropout,
        height=height,
        width=width,
    )


def crop_noise_size(config: TrainConfig) -> int:
    """Returns how many numbers z has for one training crop, square or not."""
    height, width = config.crop_shape
    return noise_size(config, height=height, width=width)


def read_generator_weights(config: TrainConfig, path: pathlib.Path) -> list[np.ndarray]:
    """Returns the weights of a generator from its `.weights.h5`, in the order that Keras has.

    The file is of the generator as it is trained. One that serves may have other layers for
    its normalisation; both hold the same arrays in the same order.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it is damaged, or of another network.
    """
    generator = build_generator(config)
    load_weights(generator, path)
    return generator.get_weights()


def load_weights(model: keras.Model, path: pathlib.Path) -> None:
    """Loads a `.weights.h5` of either Keras.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it is damaged, or of another network.
    """
    if not path.is_file():
        raise MissingInputError(
            f"There is no '{path}'. Train until the first checkpoint, or pass another run folder. "
            "If the run is going on, it has just replaced this checkpoint: try again."
        )
    try:
        with warnings.catch_warnings():
            # Keras 3 warns of each part that does not fit, then raises.
            warnings.simplefilter("ignore", UserWarning)
            model.load_weights(str(path))
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # The last is h5py's.
        raise InputError(
            f"'{path}' does not hold the weights of this network ({first_line(error)}). Restore "
            "the file, or the config.json that belongs to it."
        ) from None
