"""Starting a run from the weights of another model, `--init_from`."""

from __future__ import annotations

import hashlib
import pathlib
from typing import NamedTuple

import numpy as np

from pix2pix_tf import files, networks, pretrained, run_folder, serving
from pix2pix_tf.config import CONFIG_FILE, TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import exported
from pix2pix_tf.models import convolutions, layers
from pix2pix_tf.training.state import TrainState

# Settings that weights go with, beside the channels; the first are of both networks.
_OF_BOTH = ("base_filters", "norm", "unnormalized_bias")
_OF_GENERATOR = (*_OF_BOTH, "generator", "crop_size", "bottleneck_norm")
_OF_DISCRIMINATOR = (*_OF_BOTH, "discriminator", "receptive_field", "conditional", "spectral_norm")
# What weights do not need, but were trained with.
_TOLD = ("dropout", "dropout_blocks", "color_space", "input_range", "output_range")
_NONE = "It has no discriminator: that starts anew."
_CHANNELS = ("input_channels", "output_channels")


class Source(NamedTuple):
    """A model to start from.

    Attributes:
        config: How it was trained.
        step: For how many steps, if known.
        generator: Weights in the order of `keras.Model.get_weights`, with 4x4 kernels.
        discriminator: Weights of the discriminator, likewise; None where there is none that fits.
        note: What of the discriminator does not fit, or what differs, in words.
    """

    config: TrainConfig
    step: int | None
    generator: list[np.ndarray]
    discriminator: list[np.ndarray] | None
    note: str

    @property
    def digest(self) -> str:
        """What all workers of a run have to have alike."""
        digest = hashlib.sha256()
        for array in (*self.generator, *(self.discriminator or ())):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def find(config: TrainConfig) -> Source:
    """Returns the model that `config.init_from` names, if its generator fits.

    Raises:
        InputError: If there is no such model, or it does not fit, naming what differs.
    """
    folder = pretrained.find_model(config.init_from)
    if files.is_file(folder / CONFIG_FILE):
        theirs = TrainConfig.load(folder)
        _check_fits(config, theirs)
        path, step = run_folder.find_weights(folder)
        weights = networks.read_generator_weights(theirs, path)
        return Source(theirs, step, weights, *_find_discriminator(config, theirs, folder))
    if not files.is_folder(folder):
        raise MissingInputError(f"--init_from: {pretrained.NO_FOLDER.format(folder)}")
    version = serving.find_version(folder)
    card = serving.read_model_card(version)
    theirs = TrainConfig.from_dict(card["config"])
    _check_fits(config, theirs)
    return Source(theirs, card["step"], exported.read_weights(version), None, _NONE)


def start_from(state: TrainState, source: Source) -> str:
    """Gives a new state the weights of another model; returns what was done, in words.

    Optimizers and counters stay as they are. A layer for another number of channels than the
    source's keeps its first weights.

    Args:
        state: As it was made.
        source: See `find`.
    """
    config = state.config
    weights = source.generator
    if config.upsampling == layers.RESIZE:
        weights = convolutions.trained_weights(state.generator, weights)
    others = [name for name in _CHANNELS if _differs(name, config, source.config)]
    left_out = _set_weights(state.generator, weights)
    if state.average is not None:
        state.average.set_weights(state.generator.get_weights())
    known = "" if source.step is None else f", trained for {source.step:,} steps"
    lines = [f"Starts from '{config.init_from}'{known}."]
    if left_out:
        lines.append(
            f"Its {' and '.join(others)} differ, so {left_out} layers of the generator start anew."
        )
    if config.uses_gan:
        if source.discriminator is not None:
            state.discriminator.set_weights(source.discriminator)
        lines.append(source.note)
    for name in _TOLD:
        ours, theirs = getattr(config, name), getattr(source.config, name)
        if ours != theirs:
            lines.append(f"It was trained with {name} {theirs!r}; this run has {ours!r}.")
    return " ".join(lines)


def _check_fits(ours: TrainConfig, theirs: TrainConfig) -> None:
    """Refuses a model whose generator is another one, or cannot be had from its kernels."""
    names = [name for name in _OF_GENERATOR if _differs(name, ours, theirs)]
    # Sums of 3x3 kernels are 4x4 kernels, but not the other way round.
    if ours.upsampling == layers.RESIZE and theirs.upsampling != layers.RESIZE:
        names.append("upsampling")
    if not names:
        return
    parts = [f"{x} is {getattr(theirs, x)!r} there and {getattr(ours, x)!r} here" for x in names]
    pass_these = " ".join(f"--{name}={getattr(theirs, name)}" for name in names)
    raise InputError(
        f"The weights of '{ours.init_from}' do not fit: {'; '.join(parts)}. Train with "
        f"{pass_these}, or start from another model."
    )


def _find_discriminator(
    config: TrainConfig, theirs: TrainConfig, folder: pathlib.Path
) -> tuple[list[np.ndarray] | None, str]:
    """Returns the weights of a run's discriminator, if it fits, and what is to be said of it."""
    path = folder / run_folder.DISCRIMINATOR_WEIGHTS
    if not theirs.uses_gan or not path.is_file():
        return None, _NONE
    names = [name for name in (*_OF_DISCRIMINATOR, *_CHANNELS) if _differs(name, config, theirs)]
    if names:
        return None, f"The discriminator starts anew, since it differs in {', '.join(names)}."
    model = networks.build_discriminator(theirs)
    networks.load_weights(model, path)
    return model.get_weights(), "So does the discriminator."


def _differs(name: str, ours: TrainConfig, theirs: TrainConfig) -> bool:
    return getattr(ours, name) != getattr(theirs, name)


def _set_weights(model, weights: list[np.ndarray]) -> int:
    """Sets those weights that fit; returns how many layers have one that does not."""
    kept, left_out = [], 0
    iterator = iter(weights)
    for layer in model.layers:
        own = layer.get_weights()
        given = [next(iterator) for _ in own]
        fits = all(x.shape == y.shape for x, y in zip(own, given))
        left_out += not fits
        kept += given if fits else own
    model.set_weights(kept)
    return left_out
