"""`convert`: a .tflite file from an exported SavedModel, compared before it is given out."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

from export import image_size
from export.image_size import DYNAMIC, ImageSize
from export.parity import limits
from export.tflite import converter, litert
from pix2pix_tf import files
from pix2pix_tf.data import pipeline
from pix2pix_tf.errors import InputError

QUANTIZATIONS = tuple(limits.TFLITE)
CALIBRATION_PAIRS = 100
_PROGRAM = f"import sys; from {converter.__name__} import main; main(sys.argv[1])"


def convert(
    saved_model: pathlib.Path,
    output: pathlib.Path,
    *,
    quantize: str = "none",
    size: ImageSize = None,
    dataset: str = "",
    data_dir: str = "",
    calibration_pairs: int = CALIBRATION_PAIRS,
) -> dict:
    """Writes a .tflite file, whole or not at all.

    Args:
        saved_model: A model folder, whose newest version is taken, or one version.
        output: The file; its folder is made if it is not there.
        quantize: One of `QUANTIZATIONS`.
        size: (height, width) in pixels; `DYNAMIC`; or None for the size of the training.
        dataset: Pairs to calibrate int8 with; empty means those of the training.
        data_dir: Where published sets are; empty means as in the training.
        calibration_pairs: At most so many of the training pairs.

    Returns:
        The file's metadata.

    Raises:
        InputError: If the model or the pairs cannot be used, or the conversion fails.
        WriteError: If it cannot be written; a file that was there before still is.
    """
    from pix2pix_tf import serving

    version = serving.find_version(pathlib.Path(saved_model))
    card = serving.read_model_card(version)
    files.check_no_pattern(version)
    output = pathlib.Path(output)
    if output.is_dir():
        raise InputError(f"'{output}' is a folder. Name the file to write in it.")
    shape = image_size.example_size(card, size)
    if quantize == "int8":
        images = _training_images(card, shape, dataset, data_dir, calibration_pairs)
    else:  # The range of no activation has to be known: noise is enough.
        number, channels = converter.COMPARED_IMAGES, card["config"]["input_channels"]
        images = np.random.default_rng(0).uniform(-1, 1, (number, *shape, channels))
    files.make_output_folder(output.parent)
    # Beside the output, and so on its disk: the file is renamed when it is whole.
    place = dict(dir=output.parent, prefix=f".{output.name}.")
    with files.writing(output), tempfile.TemporaryDirectory(**place) as folder:
        unfinished = pathlib.Path(folder, "model.tflite").resolve()
        job = converter.Job(
            version.resolve(), unfinished, quantize, size, images.astype(np.float32)
        )
        difference = _run(job)
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


def _run(job: converter.Job) -> dict[str, float]:
    """Runs the conversion in a process of its own.

    Returns:
        The differences that it has measured.

    Raises:
        InputError: If the SavedModel cannot be loaded; or if the converter fails, with the last
            that it said.
    """
    path = job.output.with_name("job.pickle")
    path.write_bytes(pickle.dumps(job))
    # The modules are where this process has found them.
    modules = os.pathsep.join(filter(None, sys.path))
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(path)],
        env={**os.environ, "PYTHONPATH": modules, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if finished.returncode:
        lines = [line.strip() for line in finished.stderr.splitlines() if line.strip()]
        code = finished.returncode
        ending = f"status {code}" if code > 0 else signal.Signals(-code).name
        raise InputError(
            f"TensorFlow's converter failed with {ending} on '{job.saved_model}', quantize "
            f"{job.quantize} ({lines[-1] if lines else 'it said nothing'}). Nothing was written. "
            "Try another --quantize; SIGKILL usually means that the memory was not enough."
        )
    result = pickle.loads(path.read_bytes())
    if isinstance(result, InputError):
        raise result
    return result


def _describe(card: dict, quantize: str, size: ImageSize, difference: dict[str, float]) -> dict:
    """Returns the metadata of a file."""
    import tensorflow as tf

    from pix2pix_tf import serving

    def shape(sizes: list, *names: str) -> list:
        return [name if size is None else size for name, size in zip(names, sizes)]

    def tensor(shape: list, limits: list[int], **more: str) -> dict:
        return dict(dtype="float32", shape=shape, range=limits, **more)

    shapes = image_size.input_shapes(card, size)
    image_shape = shape(shapes["image"], "batch", "height", "width", "channels")
    output_shape = [*image_shape[:3], card["config"]["output_channels"]]
    # What the numbers stand for; older exports do not say.
    described = card["signatures"]["with_noise"]
    values = [described["inputs"]["image"], described["outputs"]["output"]]
    image, output = (
        tensor(shape, [-1, 1], values=about.get("values", ""))
        for shape, about in zip((image_shape, output_shape), values)
    )
    z = tensor(shape(shapes["z"], "batch", "noise"), [0, 1])
    card = serving.published_card(card)
    return dict(
        name=card["name"],
        description=(
            "pix2pix generator. Inputs and outputs are float32 in [-1, 1]: pixels, or what "
            "values says. "
            "serving_default draws its own dropout noise at each call; with_noise takes it as z, "
            "uniform in [0, 1), and is repeatable."
        ),
        size=DYNAMIC if size == DYNAMIC else image_shape[1:3],
        quantize=quantize,
        # For a dynamic file: of each started crop_size x crop_size tile of the image.
        noise_size=card["noise_size"] if size == DYNAMIC else shapes["z"][1],
        signatures=dict(
            serving_default=dict(inputs=dict(image=image), outputs=dict(output=output)),
            with_noise=dict(inputs=dict(image=image, z=z), outputs=dict(output=output)),
        ),
        difference=difference,
        tensorflow=tf.__version__,
        model_card=card,
    )
