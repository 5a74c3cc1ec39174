"""The serving signatures: the generator as a SavedModel that keeps training-mode behaviour.

Dropout stays on and normalisation takes the statistics of what it is given, as
the paper runs its test; no variable is written. See `signatures` for the three
ways in, and `save_version` for what a model folder holds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import files, keras_compat, pretrained, run_folder, version, warmup
from pix2pix_tf.config import CONFIG_FILE, LAB, MAX_SERVED_PIXELS, TrainConfig
from pix2pix_tf.data import augment, classes, images, lab, untrusted
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.models import convolutions
from pix2pix_tf.networks import block_of, build_generator, read_generator_weights

MODEL_CARD = "assets.extra/model_card.json"
SAVED_MODEL = "saved_model.pb"
# Where the variables of a version are, and the name that each has there, by its number.
VARIABLES = "variables/variables"
VARIABLE_NAME = "_tracked/{}/.ATTRIBUTES/VARIABLE_VALUE"
# What the convolutions of an export are made of, by the device of the server.
_FORMULATIONS = dict(cpu=convolutions.INFERENCE, gpu=convolutions.PLAIN)
_ALL_VALUES = "all of an unsigned integer type"  # What [-1, 1] stands for, unless it is stated.


class ServingModel(tf.Module):
    """A trained generator behind the three signatures.

    Args:
        config: Settings of the run.
        weights: Arrays of the generator, in the order of `keras.Model.get_weights`.
        statistics: "image": what else is in a batch changes nothing. "batch": the
            paper's rule to the letter.
        dropout: False switches the noise off, for video; z is then empty.
        max_pixels: Limit for an encoded image, padded; larger ones are refused.
        formulation: How convolutions are computed, see `models.convolutions`. `INFERENCE` is for
            CPUs, `PLAIN` for GPUs; converters need `PORTABLE`.

    Raises:
        InputError: If `max_pixels` is less than one crop.
    """

    def __init__(
        self,
        config: TrainConfig,
        weights: Sequence[np.ndarray],
        *,
        statistics: str = "image",
        dropout: bool = True,
        max_pixels: int = MAX_SERVED_PIXELS,
        formulation: str = convolutions.INFERENCE,
    ):
        super().__init__()
        if max_pixels < config.crop_size**2:
            raise InputError(
                f"max_pixels is {max_pixels}, less than the {config.crop_size**2} of an image of "
                f"crop_size {config.crop_size}. Use that many or more."
            )
        if not dropout:
            config = dataclasses.replace(config, dropout=0.0)
        self.config = config
        self.statistics = statistics
        self.max_pixels = max_pixels
        generator = build_generator(config, statistics=statistics, formulation=formulation)
        self.block = block_of(config, generator)
        self.noise_size = self.block.noise_size_of(config.crop_size, config.crop_size)
        generator.set_weights(weights)
        image = tf.TensorSpec([None, None, None, config.input_channels], tf.float32, name="image")
        z = tf.TensorSpec([None, None], tf.float32, name="z")
        # One trace, for any size, which all signatures call: a SavedModel holds the network once.
        generate = tf.function(
            lambda image, z: generator([image, z]), input_signature=[image, z], autograph=False
        )
        # In a function of Python, which is not tracked: with Keras 3 every weight would be
        # saved twice.
        self._generate = lambda image, z: generate(image, z)
        self._specs = dict(image=image, z=z)
        # Tracked here, because Keras 3 hides them from loaders outside Python.
        self._tracked = keras_compat.tf_variables(generator)

    def translate(self, image: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Returns G(x, z) for images of any size, padded by reflection and cropped back.

        Shapes:
            image: `[batch, height, width, input_channels]`, float32 in [-1, 1].
            z: `[batch, noise_size]` for the padded size, float32 in [0, 1).

        Raises:
            tf.errors.InvalidArgumentError: If they have other shapes, or no pixels; for z
                it says which shape it has to have.
        """
        # A server feeds tensors of any shape, whatever the signature says, and a convolution
        # that is given rank 3 aborts the process.
        image = tf.ensure_shape(image, [None, None, None, self.config.input_channels])
        z = tf.ensure_shape(z, [None, None])
        has_pixels = tf.debugging.assert_positive(
            tf.reduce_prod(tf.shape(image)), message="image is empty: batch, height or width is 0"
        )
        with tf.control_dependencies([has_pixels]):
            image = tf.identity(image)
        # Short noise fails by itself, somewhere inside; of long noise the rest would be ignored.
        fits = tf.debugging.Assert(
            tf.reduce_all(tf.equal(tf.shape(z), self._noise_shape(image))),
            ["z has shape", tf.shape(z), "but the image takes", self._noise_shape(image)],
        )
        with tf.control_dependencies([fits]):
            z = tf.identity(z)
        padded = augment.pad_to_multiple(image, self.block.multiple)
        output = self._generate(padded, z)
        return output[:, : tf.shape(image)[1], : tf.shape(image)[2]]

    def draw_noise(self, image: tf.Tensor) -> tf.Tensor:
        """Returns a new z for `image` at each call, whatever seeds the program has set."""
        # The plain op, since TFLite and TF.js have it; seeds 0, 0 mean "none", whereas
        # tf.random.uniform would freeze the global seed into the graph.
        return tf.raw_ops.RandomUniform(
            shape=self._noise_shape(image), dtype=tf.float32, seed=0, seed2=0
        )

    def _noise_shape(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the shape that z has for a batch of images, int32 `[2]`."""
        shape = tf.shape(image)
        # How many blocks fill the padded image: noise grows with the area.
        multiple = self.block.multiple
        num_blocks = tf.reduce_prod((shape[1:3] + multiple - 1) // multiple)
        return tf.stack([shape[0], num_blocks * self.block.noise_size])

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the signatures by name, traced for any batch and size.

        serving_default: `image` to `output`, with noise of its own at each call.
        with_noise: `image` and `z` to `output`, determined by its inputs.
        encoded: PNG or JPEG bytes to PNG bytes, `image_bytes`, each of any size; only
            where such files hold the model's channels and values. With `color_space` "lab"
            of a photo, grey or not, to a photo, where the others take L and give a and b.
        """
        image_bytes = tf.TensorSpec([None], tf.string, name="image_bytes")

        def encoded(image_bytes):
            # One by one: the pictures of a batch differ in size.
            indices = tf.range(tf.size(image_bytes))
            translated = tf.map_fn(
                lambda x: self._translate_encoded(*x),
                (image_bytes, indices),
                fn_output_signature=tf.string,
                parallel_iterations=1,  # Else ten images are held in memory at once.
            )
            return {"image_bytes": translated}

        traced = self.tensor_signatures(**self._specs)
        if self.config.has_encoded_signature:
            function = tf.function(encoded, autograph=False)
            traced["encoded"] = function.get_concrete_function(image_bytes)
        return traced

    def tensor_signatures(
        self, *, image: tf.TensorSpec, z: tf.TensorSpec
    ) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the signatures that take tensors, traced for tensors of the given shapes.

        Args:
            image: `[batch, height, width, input_channels]`; the first three may be
                None, for any size.
            z: `[batch, units]`, likewise.
        """

        def serving_default(*, image):
            return {"output": self.translate(image, self.draw_noise(image))}

        def with_noise(*, image, z):
            return {"output": self.translate(image, z)}

        return {
            function.__name__: tf.function(function, autograph=False).get_concrete_function(**specs)
            for function, specs in (
                (serving_default, dict(image=image)),
                (with_noise, dict(image=image, z=z)),
            )
        }

    def _translate_encoded(self, contents: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        pixels = untrusted.decode_checked(
            contents,
            index,
            channels=self.config.input_file_channels,
            multiple=self.block.multiple,
            max_pixels=self.max_pixels,
        )
        color_space = self.config.color_space
        image = lab.source_of(images.normalize_image(pixels), color_space)[tf.newaxis]
        output = self.translate(image, self.draw_noise(image))
        pixels = images.denormalize_image(
            lab.picture_of(image, output, color_space)[0],
            dtype=tf.as_dtype(self.config.output_dtype),
            value_range=self.config.output_limits,
        )
        return tf.io.encode_png(pixels)


def why_not_encoded(config: TrainConfig) -> str:
    """Returns why a model has no signature `encoded`, in words; empty if it has."""
    if config.has_encoded_signature:
        return ""
    text = (
        f"The model takes {config.input_channels} channel(s) and makes {config.output_channels} of "
        f"type {config.output_dtype}"
    )
    if config.input_range:
        text += f", from values of {config.input_range}"
    return text + ": PNG and JPEG files hold 1, 3 or 4 channels of whole numbers in all their range"


def save_version(
    workdir: pathlib.Path,
    output: pathlib.Path,
    *,
    checkpoint: str = run_folder.NEWEST,
    weights: str = run_folder.AVERAGE,
    statistics: str = "image",
    dropout: bool = True,
    max_pixels: int = MAX_SERVED_PIXELS,
    device: str = "cpu",
) -> pathlib.Path:
    """Exports the generator of a run as the next version below `output`.

    The version folder (`1`, `2`, ...) is written beside the others and then
    renamed, so a server that watches `output` never sees half of it.

    Args:
        workdir: The run folder; or a name of `pretrained`.
        output: The model folder; made if it is not there.
        checkpoint: "newest", "best", or a step.
        weights: "average" or "last", see `run_folder.find_weights`.
        statistics: See `ServingModel`.
        dropout: See `ServingModel`.
        max_pixels: See `ServingModel`.
        device: "cpu" or "gpu": what the graph is fast on. It computes the same on either.

    Returns:
        The new version's folder.

    Raises:
        InputError: If `workdir` is not a run folder, or has no weights yet; or if
            `output` is a file, or a name that TensorFlow cannot read from.
        WriteError: If it cannot be written; nothing is left of it then.
    """
    workdir, output = pretrained.find_model(workdir), pathlib.Path(output)
    files.check_no_pattern(output)
    config = TrainConfig.load(workdir)
    path, step = run_folder.find_weights(workdir, checkpoint, weights=weights)
    model = ServingModel(
        config,
        read_generator_weights(config, path),
        statistics=statistics,
        dropout=dropout,
        max_pixels=max_pixels,
        formulation=_FORMULATIONS[device],
    )
    card_of_graph = {**model_card_of(model, workdir, step, weights=weights), "device": device}
    model_card = json.dumps(card_of_graph, indent=2)
    files.make_output_folder(output)
    with files.writing(output), files.unfinished_folder(output, "version") as unfinished:
        tf.saved_model.save(model, str(unfinished), signatures=model.signatures())
        card = unfinished / MODEL_CARD
        card.parent.mkdir()
        card.write_text(model_card, encoding="utf-8")
        warmup.write_requests(unfinished / warmup.REQUESTS, config, noise_size=model.noise_size)
        return place_version(unfinished, output)


def place_version(finished: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """Renames a folder, which lies in `output`, to its next version, and returns that."""
    # Counted now, since another export may have ended meanwhile.
    final = output / str(max(list_versions(output), default=0) + 1)
    os.replace(finished, final)
    return final


def list_versions(folder: pathlib.Path) -> list[int]:
    """Returns the versions in a model folder, oldest first."""
    numbers = [int(path.name) for path in files.list_folder(folder) if path.name.isdecimal()]
    return sorted(number for number in numbers if files.is_folder(folder / str(number)))


def find_version(folder: pathlib.Path) -> pathlib.Path:
    """Returns the newest version of a model folder; a version is its own.

    Raises:
        MissingInputError: If there is no such folder.
        InputError: If it does not hold a SavedModel.
    """
    if not files.is_folder(folder):
        raise MissingInputError(
            f"There is no folder '{folder}'. Pass the --output of pix2pix export saved_model."
        )
    if files.is_file(folder / SAVED_MODEL):
        return folder
    versions = list_versions(folder)
    if not versions:
        raise InputError(
            f"'{folder}' is not a SavedModel: it has no {SAVED_MODEL} and no numbered versions. "
            "Pass the --output of pix2pix export saved_model."
        )
    return folder / str(versions[-1])


@contextlib.contextmanager
def version_of(model: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives the version folder of a model; that of a run folder is exported for the while.

    Args:
        model: A model folder, whose newest version is taken; one version; a run folder; or a name
            of `pretrained`.

    Raises:
        InputError: As `find_version`; or as `save_version`.
    """
    folder = pretrained.find_model(model)
    if not files.is_folder(folder):
        raise MissingInputError(pretrained.NO_FOLDER.format(folder))
    if not files.is_file(folder / CONFIG_FILE):
        yield find_version(folder)
        return
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as passing:
        yield save_version(folder, pathlib.Path(passing))


def read_model_card(version_folder: pathlib.Path) -> dict:
    """Returns the model card of an exported version.

    Raises:
        MissingInputError: If there is none.
        InputError: If it is damaged.
    """
    path = version_folder / MODEL_CARD
    if not path.is_file():
        raise MissingInputError(
            f"'{version_folder}' has no {MODEL_CARD}, so it was not exported by this project. "
            "Export it with pix2pix export saved_model."
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        missing = {"config", "step", "noise_size"} - card.keys()
    except (ValueError, AttributeError) as error:
        raise InputError(f"'{path}' is not a model card ({error}). Export the run again.") from None
    if missing:
        raise InputError(
            f"'{path}' is not a model card: it lacks {', '.join(sorted(missing))}. Export the run "
            "again."
        )
    return card


def published_card(card: dict) -> dict:
    """Returns a model card for files that others get: folders of this machine are left out."""
    names = ("dataset", "init_from", "classes")
    named = {name: pathlib.PurePath(card["config"].get(name, "")).name for name in names}
    config, dataset = {**card["config"], **named, "data_dir": ""}, named["dataset"]
    return {
        **card,
        "name": f"pix2pix {dataset} {config['direction']}",
        "config": config,
        "data": {**card["data"], "dataset": dataset},
    }


def _classes_of(workdir: pathlib.Path) -> dict:
    """Returns the classes that a run's outputs show, for its card, if it has any."""
    path = workdir / run_folder.CLASSES_FILE
    if not files.is_file(path):
        return {}
    return dict(classes=classes.to_json(classes.read(str(path))))


def model_card_of(
    model: ServingModel,
    workdir: pathlib.Path,
    step: int | None,
    *,
    weights: str = run_folder.AVERAGE,
) -> dict:
    """Returns what a user of the model has to know, without the code that trained it.

    Args:
        model: The model.
        workdir: The run folder that it is of.
        step: Steps that it was trained for, if known.
        weights: Which of the run were asked for.
    """
    config = model.config
    known = run_folder.read_data(workdir) or {}
    records = run_folder.read_metrics(workdir)
    if step is not None:
        # The run may have gone on since the checkpoint; these are not of its weights.
        records = [record for record in records if record["step"] <= step]
    shape = ["batch", "height", "width"]
    image = dict(dtype="float32", shape=[*shape, config.input_channels], range=[-1, 1])
    output = dict(dtype="float32", shape=[*shape, config.output_channels], range=[-1, 1])
    # An image takes as many numbers for each of its blocks.
    blocks = " * ".join(f"ceil({side} / {model.block.multiple})" for side in ("height", "width"))
    z = dict(dtype="float32", shape=["batch", f"{model.block.noise_size} * {blocks}"], range=[0, 1])
    taken, given = dict(dtype="string", shape=["batch"]), dict(dtype="string", shape=["batch"])
    if config.color_space == LAB:
        image["values"] = "CIE L* of sRGB with D65, as L* / 50 - 1"
        output["values"] = f"CIE a* and b*, as a* / {lab.AB_SCALE:g} and b* / {lab.AB_SCALE:g}"
        taken["values"] = "a PNG or JPEG photo, grey or in colours; its L* is taken"
        given["values"] = "a colour PNG of that L*; colours beyond sRGB are clipped"
    else:
        image["values"] = config.input_range or _ALL_VALUES
        output["values"] = config.output_range or _ALL_VALUES
    signatures = dict(
        serving_default=dict(inputs=dict(image=image), outputs=dict(output=output)),
        with_noise=dict(inputs=dict(image=image, z=z), outputs=dict(output=output)),
    )
    if config.has_encoded_signature:
        signatures["encoded"] = dict(
            inputs=dict(image_bytes=taken), outputs=dict(image_bytes=given)
        )
    return dict(
        name=f"pix2pix {config.dataset} {config.direction}",
        paper="https://arxiv.org/abs/1611.07004",
        config=dataclasses.asdict(config),
        step=step,
        weights=weights if config.ema_decay else run_folder.LAST,
        data=dict(
            dataset=config.dataset,
            direction=config.direction,
            **{name: known[name] for name in run_folder.PAIR_FORM if known},
        ),
        metrics=records[-1] if records else {},
        best=run_folder.read_best(workdir),
        **_classes_of(workdir),
        versions=dict(
            pix2pix_tf=version.__version__, tensorflow=tf.__version__, keras=keras.__version__
        ),
        statistics=model.statistics,
        dropout=config.dropout,
        noise_size=model.noise_size,
        multiple=model.block.multiple,
        max_pixels=model.max_pixels,
        signatures=signatures,
    )
