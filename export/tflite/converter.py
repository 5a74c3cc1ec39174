"""From a SavedModel to a .tflite file; `conversion` runs this in a process of its own.

TensorFlow's converter ends the whole process where it meets what it does not expect.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import pickle
import tempfile
from collections.abc import Iterator

import numpy as np

from export import image_size
from export.image_size import ImageSize

SIGNATURES = ("serving_default", "with_noise")
COMPARED_IMAGES = 3  # With the SavedModel, before a file is given out.
# Of int8 files, what stays float32: the statistics and the arithmetic of normalisation,
# whose numbers span too much for 256 steps (docs/tflite.md has the errors), and the
# comparison of z with the dropout rate, which would drop other units than elsewhere.
FLOAT_OPERATORS = (
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


@dataclasses.dataclass(frozen=True)
class Job:
    """What to convert.

    Attributes:
        saved_model: A version folder.
        output: The file to write.
        quantize: One of `conversion.QUANTIZATIONS`.
        size: Size of the images that the file is made for.
        images: float32 `[count, height, width, channels]` in [-1, 1]. int8 is calibrated with
            all of them; the differences are measured on the first `COMPARED_IMAGES`.
    """

    saved_model: pathlib.Path
    output: pathlib.Path
    quantize: str
    size: ImageSize
    images: np.ndarray


def run(job: Job) -> dict[str, float]:
    """Writes the file of a job.

    Returns:
        The mean and the greatest absolute difference between the outputs of the
        SavedModel and of the file, both given the same images and the same noise.

    Raises:
        InputError: If the SavedModel cannot be loaded.
    """
    from export.tflite import graph
    from pix2pix_tf.inference import exported

    # First of all, since a conversion that ends with a damaged model may take many minutes.
    model = exported.load(job.saved_model)
    with tempfile.TemporaryDirectory(dir=job.output.parent) as folder:
        _save_with_shapes(job, model.card, folder)
        contents = _convert(folder, job, model.card)
    job.output.write_bytes(graph.simplify(contents))
    return _compare(model, job)


def _save_with_shapes(job: Job, card: dict, folder: str) -> None:
    """Saves the model again, with signatures traced for the shapes of the job.

    With sizes that are known, the converter computes the padding and the cropping
    once and for all.
    """
    import tensorflow as tf

    from pix2pix_tf.inference import exported

    model = exported.portable_model(job.saved_model)
    signatures = model.tensor_signatures(**image_size.input_specs(card, job.size))
    tf.saved_model.save(model, folder, signatures=signatures)


def _convert(folder: str, job: Job, card: dict) -> bytes:
    """Returns the contents of a .tflite file."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(SIGNATURES))
    if job.quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job.quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if job.quantize != "int8":
        return converter.convert()

    def examples():
        for image, z in _examples(job, card):
            yield "serving_default", dict(image=image)
            yield "with_noise", dict(image=image, z=z)

    converter.representative_dataset = examples
    # The one public way to keep some operators in float32.
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=list(FLOAT_OPERATORS)
        ),
    )
    return debugger.get_nondebug_quantized_model()


def _examples(job: Job, card: dict) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields images with noise, batches of one."""
    random = np.random.default_rng(0)
    noise_size = image_size.block_of(card).noise_size_of(*job.images.shape[1:3])
    for image in job.images:
        yield image[np.newaxis], random.random((1, noise_size), dtype=np.float32)


def _compare(model, job: Job) -> dict[str, float]:
    from export.tflite import litert

    file = litert.LiteRtModel(job.output)
    differences = []
    for image, z in itertools.islice(_examples(job, model.card), COMPARED_IMAGES):
        output = file.run("with_noise", image=image, z=z)["output"]
        differences.append(np.abs(output - model.translate_with_noise(image, z)))
    return dict(mean=float(np.mean(differences)), max=float(np.max(differences)))


def main(path: str) -> None:
    """Converts the pickled job of a file, and writes in its place the differences, or why not."""
    from pix2pix_tf.errors import InputError

    place = pathlib.Path(path)
    try:
        result = run(pickle.loads(place.read_bytes()))
    except InputError as error:
        result = error
    place.write_bytes(pickle.dumps(result))
