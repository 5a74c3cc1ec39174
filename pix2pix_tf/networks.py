"""The networks of a configuration, by the names that they are registered under.

A generator or discriminator of one's own is a function and a registration:

    def build(config, *, statistics, dtype):  # -> keras.Model of (image, z)
        ...

    networks.GENERATORS["mine"] = build
    train(TrainConfig(generator="mine", ...), "runs/mine")

docs/extending.md has a whole example. What else has to be known of a network is asked of it:
the noise that it takes is that of its `layers.NoiseDropout`; `model.multiple` is what the sides of
an image are padded to multiples of (crop_size if it does not say); only a model that has
`mirrored_with_skips` can be translated by tiles (see `inference.stages`).
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import warnings
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from pix2pix_tf import keras_compat
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError, first_line
from pix2pix_tf.models import convolutions, discriminator, generator, layers


def _paper_generator(config: TrainConfig, *, statistics: str, dtype: str) -> keras.Model:
    return generator.build_generator(
        config.generator,
        crop_size=config.crop_size,
        input_channels=config.input_channels,
        output_channels=config.output_channels,
        base_filters=config.base_filters,
        norm=config.norm,
        bottleneck_norm=config.bottleneck_norm,
        dropout=config.dropout,
        dropout_blocks=config.dropout_block_numbers,
        unnormalized_bias=config.unnormalized_bias,
        upsampling=config.upsampling,
        statistics=statistics,
        dtype=dtype,
    )


def _patchgan(config: TrainConfig, *, dtype: str) -> keras.Model:
    return discriminator.patchgan(
        receptive_field=config.receptive_field,
        input_channels=config.output_channels + config.input_channels * config.conditional,
        base_filters=config.base_filters,
        norm=config.norm,
        pixel_bias=config.unnormalized_bias,
        spectral_norm=config.spectral_norm,
        dtype=dtype,
    )


GENERATORS: dict[str, Callable[..., keras.Model]] = {
    "unet": _paper_generator,
    "encoder_decoder": _paper_generator,
}
"""By the name in `TrainConfig.generator`: takes the configuration, `statistics` and `dtype` (see
`models.generator.build_generator`), and returns a model of (image, z)."""
DISCRIMINATORS: dict[str, Callable[..., keras.Model]] = {"patchgan": _patchgan}
"""By the name in `TrainConfig.discriminator`: takes the configuration and `dtype`, and returns a
model from what D sees, source and image joined along the channels or the image alone, to logits."""


def build_generator(
    config: TrainConfig,
    *,
    statistics: str = "batch",
    dtype: str = "float32",
    formulation: str = convolutions.PLAIN,
    is_trained: bool = False,
) -> keras.Model:
    """Returns the configured generator with fresh weights.

    Args:
        config: Settings of the run.
        statistics: See `models.layers.StatisticsNormalization`.
        dtype: Keras dtype policy name.
        formulation: See `models.convolutions.set_formulation`.
        is_trained: Whether it is to be trained. All others have 4x4 kernels whatever
            `config.upsampling` says, see `serving_weights`.

    Raises:
        InputError: If no generator of that name is registered.
    """
    build = _find(GENERATORS, "generator", config.generator)
    if not is_trained:
        config = dataclasses.replace(config, upsampling=layers.TRANSPOSED)
    model = build(config, statistics=statistics, dtype=dtype)
    convolutions.set_formulation(model, formulation, size=(config.crop_size, config.crop_size))
    return model


def build_discriminator(
    config: TrainConfig, *, dtype: str = "float32", formulation: str = convolutions.PLAIN
) -> keras.Model:
    """Returns the configured discriminator with fresh weights.

    Raises:
        InputError: If no discriminator of that name is registered.
    """
    build = _find(DISCRIMINATORS, "discriminator", config.discriminator)
    model = build(config, dtype=dtype)
    convolutions.set_formulation(model, formulation)
    return model


def _find(registered: dict[str, Callable], setting: str, name: str) -> Callable:
    if name not in registered:
        raise InputError(
            f"{setting} is {name!r}. Use one of {', '.join(registered)}; one of your own has to be "
            "registered by the program that runs (docs/extending.md)."
        )
    return registered[name]


class Block(NamedTuple):
    """The smallest image that a generator takes; others are padded to multiples of it.

    Attributes:
        multiple: Pixels of its sides.
        noise_size: Numbers of z that it takes.
    """

    multiple: int
    noise_size: int

    @classmethod
    def of_card(cls, card: dict) -> Block:
        """Returns that of an exported model, whose card has the noise of an image of crop_size."""
        crop_size = card["config"]["crop_size"]
        # Cards of version 0.1 do not have it: its generators all took multiples of crop_size.
        multiple = card.get("multiple", crop_size)
        return cls(multiple, card["noise_size"] // (-(-crop_size // multiple)) ** 2)

    def noise_size_of(self, height: int, width: int) -> int:
        """Returns how many numbers of z an image takes, padded: as many as its blocks do."""
        return self.noise_size * -(-height // self.multiple) * -(-width // self.multiple)


def block_of(config: TrainConfig, model: keras.Model) -> Block:
    """Returns what a generator says of the images that it takes."""
    multiple = getattr(model, "multiple", config.crop_size)
    return Block(multiple, generator.noise_size(model, height=multiple, width=multiple))


@functools.lru_cache(maxsize=8)
def noise_size(config: TrainConfig) -> int:
    """Returns how many numbers z has for one square crop of a configuration's generator.

    Builds the generator to ask it; where it is at hand, `block_of` does.
    """
    block = block_of(config, build_generator(config))
    return block.noise_size_of(config.crop_size, config.crop_size)


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


def generator_file(config: TrainConfig, generator: keras.Model) -> bytes:
    """Returns the `.weights.h5` of a generator that was trained: of one that serves.

    Args:
        config: Settings of the run.
        generator: Built with `is_trained`.
    """
    if config.upsampling != layers.TRANSPOSED:
        weights = convolutions.serving_weights(generator)
        generator = build_generator(config)
        generator.set_weights(weights)
    return keras_compat.weights_file(generator)


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
