"""Typed access to an exported SavedModel, by its three signatures."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pix2pix_tf import files, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, first_line
from pix2pix_tf.models import convolutions
from pix2pix_tf.networks import Block


class ExportedModel:
    """A version of an exported model; see `load`.

    Attributes:
        card: Its model card, as a dict.
        config: How it was trained.
        step: Steps that it was trained for, if known.
        noise_size: Length of z for one image of `config.crop_size`.
        block: The smallest image that it takes.
    """

    def __init__(self, loaded: Any, card: dict):
        # Kept, since a signature does not keep the object alive whose variables it reads.
        self._loaded = loaded
        self._signatures = loaded.signatures
        self.card = card
        self.config = TrainConfig.from_dict(card["config"])
        self.step: int | None = card["step"]
        self.noise_size: int = card["noise_size"]
        self.block = Block.of_card(card)

    def translate(self, image: np.ndarray | tf.Tensor) -> np.ndarray:
        """Returns translations of a batch, each with noise of its own (`serving_default`).

        Args:
            image: float32 `[batch, height, width, input_channels]` in [-1, 1].

        Returns:
            float32 `[batch, height, width, output_channels]` in [-1, 1].
        """
        return self._signatures["serving_default"](image=tf.constant(image))["output"].numpy()

    def translate_with_noise(
        self, image: np.ndarray | tf.Tensor, z: np.ndarray | tf.Tensor
    ) -> np.ndarray:
        """Returns the translations that `image` and `z` determine (`with_noise`).

        Args:
            image: As for `translate`.
            z: float32 in [0, 1), `[batch, noise_size]`; `noise_size` times the number of crops
                that cover the image, if it is larger than one.

        Returns:
            As `translate`.
        """
        with_noise = self._signatures["with_noise"]
        return with_noise(image=tf.constant(image), z=tf.constant(z))["output"].numpy()

    def translate_encoded(self, image_bytes: Sequence[bytes]) -> list[bytes]:
        """Returns PNG files of the sizes of PNG and JPEG files (`encoded`).

        Raises:
            InputError: If the model has no such signature.
            tf.errors.InvalidArgumentError: If one cannot be decoded, or is too
                large, saying which.
        """
        if "encoded" not in self.card["signatures"]:
            raise InputError(
                f"{serving.why_not_encoded(self.config)}. So there is no signature 'encoded'; use "
                "translate, with arrays."
            )
        contents = tf.constant(list(image_bytes), tf.string)
        return list(self._signatures["encoded"](image_bytes=contents)["image_bytes"].numpy())


def read_weights(version: pathlib.Path) -> list[np.ndarray]:
    """Returns the generator's weights of a version, in the order that Keras has.

    Args:
        version: A version folder; its graph is not loaded.

    Raises:
        InputError: If they cannot be read.
    """
    with loading(version):
        reader = tf.train.load_checkpoint(str(version / serving.VARIABLES))
        names = reader.get_variable_to_shape_map()
        weights: list[np.ndarray] = []
        while (name := serving.VARIABLE_NAME.format(len(weights))) in names:
            weights.append(reader.get_tensor(name))
    if not weights:
        raise InputError(
            f"'{version}' does not hold the weights of each layer, so it was not exported by this "
            "project. Export the run again, or pass the run folder."
        )
    return weights


def portable_model(version: pathlib.Path) -> serving.ServingModel:
    """Returns the model of a version in the operations that converters know.

    The graph of an export is made for the CPU or GPU of a server; phones and browsers have
    convolutions of their own, which a converter has to recognise. So the model is built
    again, from the card and the weights: an argument of `ServingModel` that changes outputs
    has to be in the card (`serving.model_card_of`) and be passed here. Two are not passed:
    `dropout`, since `config` in the card holds 0 where it was switched off; and `max_pixels`,
    since the signatures that take tensors have no limit.

    Args:
        version: A version folder; its card and its weights are read, its graph is not.

    Raises:
        MissingInputError: If it has no model card.
        InputError: If the card or the weights cannot be read, or do not fit together.
    """
    card = serving.read_model_card(version)
    weights = read_weights(version)
    with loading(version):
        return serving.ServingModel(
            TrainConfig.from_dict(card["config"]),
            weights,
            statistics=card.get("statistics", "image"),
            formulation=convolutions.PORTABLE,
        )


def load(folder: str | pathlib.Path) -> ExportedModel:
    """Loads an exported model.

    Args:
        folder: A folder of versions, whose newest is taken, or one version.

    Raises:
        MissingInputError: If there is no such folder, or no model card.
        InputError: If it cannot be loaded, or lacks a signature.
    """
    version = serving.find_version(pathlib.Path(folder))
    card = serving.read_model_card(version)
    with loading(version):
        loaded = tf.saved_model.load(str(version))
        for signature in card["signatures"]:
            loaded.signatures[signature]
    return ExportedModel(loaded, card)


@contextlib.contextmanager
def loading(version: pathlib.Path) -> Iterator[None]:
    """Turns the errors of its block into an InputError that names the version.

    Raises:
        InputError: In place of what TensorFlow raises for damaged files; one that the block
            raises itself is passed on.
    """
    files.check_no_pattern(version)
    try:
        yield
    except InputError:
        raise
    except (
        OSError,
        ValueError,
        LookupError,
        tf.errors.OpError,
        AssertionError,  # The variables belong to another network.
        RuntimeError,  # The graph has an unknown operation.
    ) as error:
        raise InputError(
            f"'{version}' cannot be loaded as a SavedModel ({first_line(error)}). Export the run "
            "again."
        ) from None
