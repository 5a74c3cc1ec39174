"""Converts a SavedModel to a .tflite file, in a process of its own.

    python -m export.tflite_conversion JOB.json

TensorFlow's converter ends the whole process where it meets what it does not
expect, so `export.tflite` runs it here. The job has the fields of `Job`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator

import numpy as np

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
SIGNATURES = ("serving_default", "with_noise")
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
        quantize: One of `QUANTIZATIONS`.
        image_shape: `[batch, height, width, channels]`, None for any size.
        noise_shape: `[batch, units]`, likewise.
        images: A .npy file, float32 `[count, height, width, channels]` in [-1, 1]. int8 is
            calibrated with all of them; the differences are measured on the first `compared`.
        noise_size: Numbers that z has for one of these.
        compared: On how many images the differences are measured.
        seed: Of the noise that goes with them.
    """

    saved_model: str
    output: str
    quantize: str
    image_shape: list[int | None]
    noise_shape: list[int | None]
    images: str
    noise_size: int
    compared: int
    seed: int = 0


def convert(job: Job) -> dict[str, float]:
    """Writes the file of a job.

    Returns:
        The mean and the greatest absolute difference between the outputs of the
        SavedModel and of the file, both given the same images and the same noise.

    Raises:
        InputError: If the SavedModel cannot be loaded.
        RuntimeError: If the file needs operators that LiteRT does not have.
    """
    from export import tflite_graph
    from pix2pix_tf.inference import exported

    # First of all, since a conversion that ends with a damaged model may take many minutes.
    model = exported.load(job.saved_model)
    with tempfile.TemporaryDirectory(dir=pathlib.Path(job.output).parent) as folder:
        _save_with_shapes(job, folder)
        contents = _convert(folder, job)
    custom = tflite_graph.custom_operators(contents)
    if custom:
        raise RuntimeError(
            f"The graph has operators that LiteRT does not have: {', '.join(custom)}."
        )
    pathlib.Path(job.output).write_bytes(tflite_graph.simplify(contents))
    return _compare(model, job)


def _save_with_shapes(job: Job, folder: str) -> None:
    """Saves the model again, with signatures traced for the shapes of the job.

    With sizes that are known, the converter computes the padding and the cropping
    once and for all.
    """
    import tensorflow as tf

    from pix2pix_tf.inference import exported

    model = exported.portable_model(pathlib.Path(job.saved_model))
    signatures = model.tensor_signatures(
        image=tf.TensorSpec(job.image_shape, tf.float32, name="image"),
        z=tf.TensorSpec(job.noise_shape, tf.float32, name="z"),
    )
    tf.saved_model.save(model, folder, signatures=signatures)


def _convert(folder: str, job: Job) -> bytes:
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
        for image, z in _examples(job):
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


def _examples(job: Job) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields images with noise, batches of one."""
    random = np.random.default_rng(job.seed)
    for image in np.load(job.images, mmap_mode="r"):
        z = random.random((1, job.noise_size), dtype=np.float32)
        yield np.array(image)[np.newaxis], z


def _compare(model, job: Job) -> dict[str, float]:
    from export import litert

    file = litert.LiteRtModel(job.output)
    differences = []
    for image, z in itertools.islice(_examples(job), job.compared):
        output = file.run("with_noise", image=image, z=z)["output"]
        differences.append(np.abs(output - model.translate_with_noise(image, z)))
    return dict(mean=float(np.mean(differences)), max=float(np.max(differences)))


def main(path: str) -> None:
    """Converts the job of a file, and writes beside it the differences, or why it cannot be."""
    from pix2pix_tf.errors import InputError

    job = Job(**json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    try:
        result = convert(job)
    except InputError as error:
        result = dict(refused=str(error))
    pathlib.Path(path).with_suffix(".result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(sys.argv[1])
