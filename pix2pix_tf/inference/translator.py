"""One way to use a trained model, whether it is a run folder or a SavedModel."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import files, pretrained, run_folder, serving
from pix2pix_tf.config import CONFIG_FILE, TrainConfig
from pix2pix_tf.data import classes, examples, images, lab
from pix2pix_tf.data.classes import ClassTable
from pix2pix_tf.data.pipeline import Example
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import exported, noise
from pix2pix_tf.models import convolutions
from pix2pix_tf.networks import Block, build_generator, load_weights, read_generator_weights

MAX_BYTES = 4 * 2**30  # For an image that is translated in one piece.
BYTES_PER_PIXEL_AND_FILTER = 5  # Measured: 310 bytes a pixel of the padded image, 64 filters.


class Translator:
    """Translates images of any size, repeatably.

    Args:
        config: How the model was trained.
        with_noise: `(image, z) -> output`, on batches of arrays.
        block: The smallest image that the model takes.
        step: Steps that the model was trained for, if known.
    """

    def __init__(
        self,
        config: TrainConfig,
        with_noise: Callable[[np.ndarray, np.ndarray], np.ndarray],
        *,
        block: Block,
        step: int | None = None,
    ):
        self.config = config
        self.block = block
        self.step = step
        self._with_noise = with_noise

    def __call__(self, image: np.ndarray, *, seed: int = 0, sample: int = 0) -> np.ndarray:
        """Returns G(x, z) for one image; z follows from `seed` and `sample`.

        The same noise serves every image of one size, so that a sequence of
        frames does not flicker.

        Args:
            image: float32 `[height, width, input_channels]` in [-1, 1].
            seed: Seed of the noise.
            sample: Number of the draw with that seed.

        Returns:
            float32 `[height, width, output_channels]` in [-1, 1].
        """
        z = noise.draw(self.block.noise_size_of(*image.shape[:2]), entropy=[seed, sample])
        return self._with_noise(image[np.newaxis], z[np.newaxis])[0]

    def check_size(self, path: pathlib.Path) -> None:
        """Refuses an image file that would take more memory than many machines have.

        Raises:
            InputError: If it does, saying what to do; or if there is no such image.
        """
        info = images.inspect_image(path)
        multiple = self.block.multiple
        num_pixels = math.prod(
            -(-size // multiple) * multiple for size in (info.height, info.width)
        )
        num_bytes = num_pixels * self.config.base_filters * BYTES_PER_PIXEL_AND_FILTER
        if num_bytes > MAX_BYTES:
            raise InputError(
                f"'{path}' has {info.width} x {info.height} pixels, which in one piece take about "
                f"{num_bytes / 1e9:.0f} GB of memory. Translate it by tiles, with the same result: "
                f"--tile={max(512, self.config.crop_size)}."
            )

    def translate_file(self, path: pathlib.Path, *, seed: int = 0, sample: int = 0) -> np.ndarray:
        """Returns the translation of an image file, in its size and `config.output_dtype`.

        With `color_space` "lab" the file is a photo, grey or not, and so is the result.

        Raises:
            InputError: If the file cannot be read, naming it.
        """
        source = examples.read_source(path, self.config)
        output = self(source, seed=seed, sample=sample)
        return self.file_values(lab.picture_of(source, output, self.config.color_space))

    def translate_pixels(self, pixels: np.ndarray, *, seed: int = 0, sample: int = 0) -> np.ndarray:
        """Returns the translation of pixels as `translate_file` returns that of their file.

        Args:
            pixels: uint8 `[height, width, input_file_channels]`.
            seed: Seed of the noise.
            sample: Number of the draw with that seed.
        """
        color_space = self.config.color_space
        source = np.asarray(lab.source_of(images.normalize_image(pixels), color_space))
        output = self(source, seed=seed, sample=sample)
        return self.file_values(lab.picture_of(source, output, color_space))

    def translate_example(self, example: Example, *, seed: int = 0, sample: int = 0) -> np.ndarray:
        """Returns the translation of an example as it is shown and measured.

        Returns:
            float32 `[height, width, output_file_channels]` in [-1, 1]; see `file_values`.
        """
        output = self(example.source[0].numpy(), seed=seed, sample=sample)
        return np.asarray(example.picture_of(output[np.newaxis])[0])

    def file_values(self, picture: np.ndarray | tf.Tensor) -> np.ndarray:
        """Returns what a file of a picture in [-1, 1] holds, as `config.output_dtype`."""
        return images.denormalize_image(
            picture,
            dtype=tf.as_dtype(self.config.output_dtype),
            value_range=self.config.output_limits,
        ).numpy()


def load(
    model: str | pathlib.Path,
    *,
    checkpoint: str = run_folder.NEWEST,
    weights: str = run_folder.AVERAGE,
) -> Translator:
    """Returns the translator of a run folder, a model folder or one of its versions.

    Args:
        model: A `--workdir` of training; or a folder of exported versions, whose
            newest is taken; or one such version; or a name of `pretrained`.
        checkpoint: Checkpoint of a run folder: "newest", "best", or a step.
        weights: Of a run folder: "average" or "last", see `run_folder.find_weights`.

    Raises:
        InputError: If it is none of these.
    """
    folder = pretrained.find_model(model)
    if not is_run_folder(folder, checkpoint, weights=weights):
        loaded = exported.load(folder)
        return Translator(
            loaded.config, loaded.translate_with_noise, block=loaded.block, step=loaded.step
        )
    config = TrainConfig.load(folder)
    path, step = run_folder.find_weights(folder, checkpoint, weights=weights)
    is_cpu = convolutions.is_cpu_alone()
    formulation = convolutions.INFERENCE if is_cpu else convolutions.PLAIN
    arrays = read_generator_weights(config, path)
    module = serving.ServingModel(config, arrays, formulation=formulation)
    translate = tf.function(module.translate, reduce_retracing=True, autograph=False)

    def with_noise(image: np.ndarray, z: np.ndarray) -> np.ndarray:
        return translate(tf.constant(image), tf.constant(z)).numpy()

    return Translator(config, with_noise, block=module.block, step=step)


def load_generator(
    model: str | pathlib.Path,
    *,
    checkpoint: str = run_folder.NEWEST,
    weights: str = run_folder.AVERAGE,
) -> tuple[TrainConfig, keras.Model]:
    """Returns a model's configuration and its generator, normalised as in training.

    Args:
        model: As of `load`.
        checkpoint: As of `load`.
        weights: As of `load`.

    Raises:
        InputError: As `load`; or if an export does not hold the weights of the network
            that its card describes.
    """
    folder = pretrained.find_model(model)
    if is_run_folder(folder, checkpoint, weights=weights):
        config = TrainConfig.load(folder)
        generator = build_generator(config)
        load_weights(generator, run_folder.find_weights(folder, checkpoint, weights=weights)[0])
        return config, generator
    version = serving.find_version(folder)
    config = TrainConfig.from_dict(serving.read_model_card(version)["config"])
    generator = build_generator(config)
    with exported.loading(version):
        generator.set_weights(exported.read_weights(version))
    return config, generator


def pair_file_size(model: str | pathlib.Path) -> tuple[int, int] | None:
    """Returns (width, height) in pixels of the files that a model was trained on.

    None unless each held A and B side by side, and all had one size; or if it is not known.

    Args:
        model: As of `load`.
    """
    folder = pretrained.find_model(model)
    if is_run_folder(folder):
        data = run_folder.read_data(folder) or {}
    else:
        data = serving.read_model_card(serving.find_version(folder))["data"]
    size = data.get("pair_file_size")
    return tuple(size) if size else None


def classes_of(model: str | pathlib.Path) -> ClassTable | None:
    """Returns the classes that a model's outputs show; None where they are not known.

    A run notes those that it found; of the published sets they are known without that.

    Args:
        model: As of `load`.

    Raises:
        InputError: As `load`; or if what the run notes of them is damaged.
    """
    folder = pretrained.find_model(model)
    if is_run_folder(folder):
        if files.is_file(folder / run_folder.CLASSES_FILE):
            return classes.read(str(folder / run_folder.CLASSES_FILE))
        config = TrainConfig.load(folder)
    else:
        card = serving.read_model_card(serving.find_version(folder))
        if "classes" in card:
            return classes.from_json(folder.name, card["classes"])
        return None
    is_published = config.dataset in classes.TABLES  # And not a folder that is called so.
    return classes.of_side(config.dataset, config.direction[-1]) if is_published else None


def is_model(folder: pathlib.Path) -> bool:
    """Returns whether a folder is a run folder, an exported version, or holds versions."""
    own = (folder / CONFIG_FILE, folder / serving.SAVED_MODEL)
    return any(files.is_file(path) for path in own) or bool(serving.list_versions(folder))


def is_run_folder(
    folder: pathlib.Path,
    checkpoint: str = run_folder.NEWEST,
    *,
    weights: str = run_folder.AVERAGE,
) -> bool:
    """Returns whether a model is a run folder; if not it is a SavedModel.

    Args:
        folder: The model.
        checkpoint: As of `load`.
        weights: As of `load`.

    Raises:
        InputError: If it is neither, or a SavedModel and a choice is asked for that only run
            folders have; or if it cannot be read.
    """
    if not files.is_folder(folder):
        raise MissingInputError(pretrained.NO_FOLDER.format(folder))
    if files.is_file(folder / CONFIG_FILE):
        return True
    if not is_model(folder):
        raise InputError(
            f"'{folder}' is neither a run folder (no {CONFIG_FILE}) nor a SavedModel (no "
            f"{serving.SAVED_MODEL} and no numbered versions). Pass one of these."
        )
    for name, value, usual in (
        ("checkpoint", checkpoint, run_folder.NEWEST),
        ("weights", weights, run_folder.AVERAGE),
    ):
        if value != usual:
            raise InputError(
                f"{name} is {value!r}, but '{folder}' is a SavedModel, which holds one only. Name "
                f"the run folder, or leave the {name} out."
            )
    return False
