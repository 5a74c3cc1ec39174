"""`convert`: a .tflite file from an exported SavedModel, compared before it is given out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.data import pipeline
from pix2pix_tf.errors import InputError, MissingInputError, first_line

from .. import image_size
from ..image_size import DYNAMIC, SIGNATURES, ImageSize
from ..parity import limits
from . import litert

QUANTIZATIONS = tuple(limits.TFLITE)
CALIBRATION_PAIRS = 100
_COMPARED_IMAGES = 3  # With the SavedModel, before a file is given out.
# Of int8 files, what stays float32: the statistics and the arithmetic of normalisation,
# whose numbers span too much for 256 steps (docs/tflite.md has the errors), and the
# comparison of z with the dropout rate, which would drop other units than elsewhere.
_FLOAT_OPERATORS = (
    "ADD",
    "GREATER_EQUAL",
    "MEAN",
    "MUL",
    "RESHAPE",
    "RSQRT",
    "SQUARED_DIFFERENCE",
    "STRIDED_SLICE",
    "SUB",
)


def convert(
    saved_model: str | os.PathLike,
    output: pathlib.Path,
    *,
    quantize: str = "none",
    size: ImageSize = None,
    dataset: str = "",
    data_dir: str = "",
    calibration_pairs: int = CALIBRATION_PAIRS,
    signatures: Sequence[str] = SIGNATURES,
) -> dict:
    """Writes a .tflite file, whole or not at all.

    Args:
        saved_model: See `serving.version_of`.
        output: The file; its folder is made if it is not there.
        quantize: One of `QUANTIZATIONS`.
        size: (height, width) in pixels; `DYNAMIC`; or None for the size of the training.
        dataset: Pairs to calibrate int8 with; empty means those of the training.
        data_dir: Where published sets are; empty means as in the training.
        calibration_pairs: At most so many of the training pairs.
        signatures: Some of `SIGNATURES`, `with_noise` among them; a runtime prepares each.

    Returns:
        The file's metadata.

    Raises:
        InputError: If the model or the pairs cannot be used, or the conversion fails.
        MissingInputError: As `check_converter`.
        WriteError: If it cannot be written; a file that was there before still is.
    """
    from pix2pix_tf import serving
    from pix2pix_tf.inference import exported

    output = pathlib.Path(output)
    if output.is_dir():
        raise InputError(f"'{output}' is a folder. Name the file to write in it.")
    check_converter()
    with serving.version_of(saved_model) as version:
        card = serving.read_model_card(version)
        shape = image_size.example_size(card, size)
        if quantize == "int8":
            images = _training_images(card, shape, dataset, data_dir, calibration_pairs)
        else:  # The range of no activation has to be known: noise is enough.
            channels = card["config"]["input_channels"]
            images = np.random.default_rng(0).uniform(-1, 1, (_COMPARED_IMAGES, *shape, channels))
        images = images.astype(np.float32)
        files.make_output_folder(output.parent)
        model = exported.load(version)
        # Beside the output, and so on its disk: the file is renamed when it is whole.
        place = dict(dir=output.parent, prefix=f".{output.name}.")
        with files.writing(output), tempfile.TemporaryDirectory(**place) as folder:
            unfinished = pathlib.Path(folder, "model.tflite")
            unfinished.write_bytes(
                _to_tflite(version, folder, card, quantize, size, signatures, images)
            )
            difference = _compare(model, unfinished, images)
            limit = limits.TFLITE[quantize].mean
            if not difference["mean"] <= limit:
                raise InputError(
                    f"With quantize {quantize} the outputs differ by {difference['mean']:.2g} on "
                    f"average from the SavedModel's, more than the {limit:g} of a file that can be "
                    "used. Quantize less, or calibrate with pairs like those of the training."
                )
            metadata = _describe(card, quantize, size, difference)
            with zipfile.ZipFile(unfinished, "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(litert.METADATA_FILE, json.dumps(metadata, indent=2))
            os.replace(unfinished, output)
    return metadata


def check_converter() -> None:
    """Raises MissingInputError, with what to do, where TensorFlow does not convert to TFLite."""
    import tensorflow as tf

    if not hasattr(tf, "lite"):
        raise MissingInputError(
            f"TensorFlow {tf.__version__} is without its converter to TFLite. Export the run with "
            "pix2pix export saved_model, and convert that folder in an environment of its own "
            "with TensorFlow 2.22 or older."
        )


def _training_images(
    card: dict, shape: tuple[int, int], dataset: str, data_dir: str, count: int
) -> np.ndarray:
    """Returns at most `count` training images, `[number, height, width, channels]`."""
    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.data import augment, images

    config = TrainConfig.from_dict(card["config"])
    config = dataclasses.replace(
        config, dataset=dataset or config.dataset, data_dir=data_dir or config.data_dir
    )
    height, width = shape
    try:
        reader = pipeline.open_reader(config, "train", size=max(shape))
    except InputError as error:
        raise InputError(
            f"int8 is calibrated with training pairs, which are not available: {error} Or name "
            "others with --dataset."
        ) from None
    random = np.random.default_rng(0)
    sources = []
    for index in random.choice(len(reader), min(count, len(reader)), replace=False):
        pair = (images.normalize_image(pixels) for pixels in reader.read(index))
        source, _ = augment.center_pair(*pair, crop_size=max(shape))
        sources.append(source[:height, :width].numpy())
    return np.stack(sources)


def _to_tflite(
    version: pathlib.Path,
    folder: str,
    card: dict,
    quantize: str,
    size: ImageSize,
    names: Sequence[str],
    images: np.ndarray,
) -> bytes:
    """Returns the contents of a .tflite file; `folder` is for what is needed meanwhile.

    The names are those of the signatures. The images, float32 `[count, height, width, channels]` in
    [-1, 1], calibrate int8.
    """
    import tensorflow as tf

    from pix2pix_tf.inference import exported

    from . import graph

    model = exported.portable_model(version)
    # With sizes that are known, the converter computes padding and cropping once and for all.
    functions = model.tensor_signatures(**image_size.input_specs(card, size))
    tf.saved_model.save(model, folder, signatures={name: functions[name] for name in names})
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(names))
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]

    def calibration_examples():
        for image, z in _examples(images, card):
            for name in names:
                yield name, dict(image=image, z=z) if name == "with_noise" else dict(image=image)

    try:
        with _quietly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow's own, on its way to LiteRT.
            if quantize != "int8":
                return graph.share_weights(converter.convert())
            converter.representative_dataset = calibration_examples
            # The one public way to keep some operators in float32.
            debugger = tf.lite.experimental.QuantizationDebugger(
                converter=converter,
                debug_options=tf.lite.experimental.QuantizationDebugOptions(
                    denylisted_ops=list(_FLOAT_OPERATORS)
                ),
            )
            return graph.share_weights(debugger.get_nondebug_quantized_model())
    except Exception as error:  # It has a class of its own, which is not public, and raises others.
        raise InputError(
            f"TensorFlow's converter fails on '{version}', quantize {quantize} "
            f"({first_line(error)}). Try another --quantize."
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps back the converter's statistics, thirty lines of C++, unless it fails."""
    with tempfile.TemporaryFile() as notes:
        stderr = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except Exception:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _examples(images: np.ndarray, card: dict) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields images with noise, batches of one."""
    random = np.random.default_rng(0)
    noise_size = image_size.block_of(card).noise_size_of(*images.shape[1:3])
    for image in images:
        yield image[np.newaxis], random.random((1, noise_size), dtype=np.float32)


def _compare(model, path: pathlib.Path, images: np.ndarray) -> dict[str, float]:
    """Returns the mean and the greatest difference between the outputs of a model and its file."""
    file = litert.LiteRtModel(path)
    differences = []
    for image, z in _examples(images[:_COMPARED_IMAGES], model.card):
        output = file.run("with_noise", image=image, z=z)["output"]
        differences.append(np.abs(output - model.translate_with_noise(image, z)))
    return dict(mean=float(np.mean(differences)), max=float(np.max(differences)))


def _describe(card: dict, quantize: str, size: ImageSize, difference: dict[str, float]) -> dict:
    """Returns the metadata of a file."""
    import tensorflow as tf

    from pix2pix_tf import serving

    # For a dynamic file: of each started block of the image.
    noise_size = image_size.block_of(card).noise_size
    if size != DYNAMIC:
        size = list(image_size.example_size(card, size))
        noise_size = image_size.block_of(card).noise_size_of(*size)
    card = serving.published_card(card)
    return dict(
        name=card["name"],
        description=(
            "pix2pix generator. Inputs and outputs are float32 in [-1, 1]: pixels, or what the "
            "signatures of the model card say. serving_default draws its own dropout noise at each "
            "call; with_noise takes it as z, uniform in [0, 1), and is repeatable."
        ),
        size=size,
        quantize=quantize,
        noise_size=noise_size,
        difference=difference,
        tensorflow=tf.__version__,
        model_card=card,
    )
