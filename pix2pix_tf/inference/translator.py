"""One way to use a trained model, whether it is a run folder or a SavedModel."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pix2pix_tf import serving
from pix2pix_tf.config import CONFIG_FILE, TrainConfig
from pix2pix_tf.data import images
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import exported
from pix2pix_tf.models import convolutions
from pix2pix_tf.training import checkpoints
from pix2pix_tf.training.state import noise_size


class Translator:
    """Translates images of any size, repeatably.

    Args:
        config: How the model was trained.
        with_noise: `(image, z) -> output`, on batches of arrays.
        step: Steps that the model was trained for, if known.
    """

    def __init__(
        self,
        config: TrainConfig,
        with_noise: Callable[[np.ndarray, np.ndarray], np.ndarray],
        *,
        step: int | None = None,
    ):
        self.config = config
        self.step = step
        self._with_noise = with_noise

    def __call__(self, image: np.ndarray, *, seed: int = 0, sample: int = 0) -> np.ndarray:
        """Returns G(x, z) for one image; z follows from `seed` and `sample`.

        The same noise serves every image of one size, so that a sequence of
        frames does not flicker.

        Args:
            image: float32 `[height, width, input_channels]` in [-1, 1].
            seed: Of the noise.
            sample: Which draw of that seed.

        Returns:
            float32 `[height, width, output_channels]` in [-1, 1].
        """
        z = draw_noise(self.config, *image.shape[:2], entropy=[seed, sample])[np.newaxis]
        return self._with_noise(image[np.newaxis], z)[0]

    def translate_file(self, path: pathlib.Path, *, seed: int = 0, sample: int = 0) -> np.ndarray:
        """Returns the translation of an image file, as uint8 pixels of its size.

        Raises:
            InputError: If the file cannot be read, naming it.
        """
        pixels = images.read_pixels(path, channels=self.config.input_channels, dtype=tf.uint16)
        image = images.normalize_image(pixels).numpy()
        return images.denormalize_image(self(image, seed=seed, sample=sample)).numpy()


def draw_noise(config: TrainConfig, height: int, width: int, *, entropy: list[int]) -> np.ndarray:
    """Returns z for one image; the same `entropy` gives the same numbers on every machine.

    Args:
        config: Of the model.
        height: Pixels of the image.
        width: Pixels of the image.
        entropy: Integers from 0; another list, other numbers.

    Returns:
        float32 `[noise_size]` in [0, 1), as many as the padded image takes.
    """
    height, width = (-(-size // config.crop_size) * config.crop_size for size in (height, width))
    size = noise_size(config, height=height, width=width)
    return np.random.default_rng(entropy).random(size, dtype=np.float32)


def load(model: str | pathlib.Path, *, checkpoint: str = checkpoints.NEWEST) -> Translator:
    """Returns the translator of a run folder, a model folder or one of its versions.

    Args:
        model: A `--workdir` of training; or a folder of exported versions, whose
            newest is taken; or one such version.
        checkpoint: Of a run folder: "newest", "best", or a step.

    Raises:
        InputError: If it is none of these.
    """
    folder = pathlib.Path(model)
    if not folder.is_dir():
        raise MissingInputError(
            f"There is no folder '{folder}'. Pass a run folder or an exported SavedModel."
        )
    if (folder / CONFIG_FILE).is_file():
        config = TrainConfig.load(folder)
        weights, step = checkpoints.find_weights(folder, checkpoint)
        is_cpu = convolutions.is_cpu_alone()
        formulation = convolutions.INFERENCE if is_cpu else convolutions.PLAIN
        module = serving.ServingModel(config, weights, formulation=formulation)
        translate = tf.function(module.translate, reduce_retracing=True)

        def with_noise(image: np.ndarray, z: np.ndarray) -> np.ndarray:
            return translate(tf.constant(image), tf.constant(z)).numpy()

        return Translator(config, with_noise, step=step)
    if not (folder / serving.SAVED_MODEL).is_file() and not serving.list_versions(folder):
        raise InputError(
            f"'{folder}' is neither a run folder (no {CONFIG_FILE}) nor a SavedModel (no "
            f"{serving.SAVED_MODEL} and no numbered versions). Pass one of these."
        )
    if checkpoint != checkpoints.NEWEST:
        raise InputError(
            f"checkpoint is {checkpoint!r}, but '{folder}' is a SavedModel, which holds one only. "
            "Name the run folder, or leave the checkpoint out."
        )
    model = exported.load(folder)
    return Translator(model.config, model.translate_with_noise, step=model.step)
