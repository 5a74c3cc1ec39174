r"""Converts an exported SavedModel to a file for TensorFlow Lite, now LiteRT.

    python -m export.tflite --saved_model=exported/facades --output=facades.tflite \
        --quantize=float16

The file has the signatures `serving_default` (image) and `with_noise` (image and the
noise z), needs no more than LiteRT's own operators, and says about itself what the
model card says (`unzip -p facades.tflite metadata.json`). It is made for one size of
image, `crop_size` unless `--size` names another; docs/tflite.md has the measures.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import numpy as np
from absl import flags

from export import image_size, limits, tflite_conversion, tflite_metadata
from export.image_size import DYNAMIC, ImageSize
from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError

CALIBRATION_PAIRS = 100
COMPARED_IMAGES = 3  # With the SavedModel, before a file is given out.
# Some twenty times what the 256x256 model takes in int8 on two cores: it only ends what hangs.
_TIMEOUT_SECONDS = 3600
_ROOT = pathlib.Path(__file__).resolve().parent.parent


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "saved_model",
        None,
        "Exported model folder (its newest version), or one version.",
        required=True,
    )
    flags.DEFINE_string("output", None, "The .tflite file to write.", required=True)
    flags.DEFINE_enum(
        "quantize",
        "none",
        tflite_conversion.QUANTIZATIONS,
        "none: float32. float16: weights of half the size. dynamic: 8-bit weights. int8: 8-bit "
        "weights and activations, with normalisation in float32. Inputs and outputs are float32 "
        "in all of them.",
    )
    flags.DEFINE_string("size", "", image_size.FLAG_HELP)
    flags.DEFINE_string(
        "dataset", "", "Pairs to calibrate int8 with: name or folder. Empty: as in the training."
    )
    flags.DEFINE_string(
        "data_dir", "", "Folder of published sets, for int8. Empty: as in the training."
    )
    flags.DEFINE_integer(
        "calibration_pairs",
        CALIBRATION_PAIRS,
        "Training pairs to calibrate int8 with, chosen at random, always the same.",
        lower_bound=1,
    )


def main(unused_arguments: list[str]) -> None:
    """Converts what the flags name."""
    options = flags.FLAGS
    if options.quantize != "int8":
        for name in ("dataset", "data_dir", "calibration_pairs"):
            if options[name].present:
                raise InputError(
                    f"--{name} is for --quantize=int8, which is calibrated with pairs; quantize "
                    f"is {options.quantize}. Leave it out."
                )
    metadata = convert(
        pathlib.Path(options.saved_model),
        pathlib.Path(options.output),
        quantize=options.quantize,
        size=image_size.parse(options.size),
        dataset=options.dataset,
        data_dir=options.data_dir,
        calibration_pairs=options.calibration_pairs,
    )
    difference = metadata["difference"]
    print(
        f"Wrote '{options.output}', {os.path.getsize(options.output) / 1e6:.1f} MB. Outputs, in "
        f"[-1, 1], differ from the SavedModel's by {difference['mean']:.1e} on average and "
        f"{difference['max']:.1e} at most."
    )


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
        quantize: One of `tflite_conversion.QUANTIZATIONS`.
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
    images = _example_images(
        card,
        _example_size(card, size),
        quantize=quantize,
        dataset=dataset,
        data_dir=data_dir,
        count=calibration_pairs,
    )
    files.make_output_folder(output.parent)
    # Beside the output, and so on its disk: the file is renamed when it is whole.
    place = dict(dir=output.parent, prefix=f".{output.name}.")
    with files.writing(output), tempfile.TemporaryDirectory(**place) as folder:
        unfinished = pathlib.Path(folder, "model.tflite")
        job = _make_job(version, unfinished, card, size, quantize, images)
        difference = _run(job)
        limit = limits.TFLITE[quantize].mean
        if not difference["mean"] <= limit:
            raise InputError(
                f"With quantize {quantize} the outputs differ by {difference['mean']:.2g} on "
                f"average from the SavedModel's, more than the {limit:g} of a file that can be "
                "used. Quantize less, or calibrate with pairs like those of the training."
            )
        metadata = _describe(job, card, quantize, size, difference)
        tflite_metadata.append(unfinished, metadata)
        os.replace(unfinished, output)
    return metadata


def _example_size(card: dict, size: ImageSize) -> tuple[int, int]:
    """Returns (height, width) of the images that a file is tried with."""
    crop_size = card["config"]["crop_size"]
    return (crop_size, crop_size) if size in (None, DYNAMIC) else size


def _noise_size(card: dict, height: int, width: int) -> int:
    """Returns how many numbers z has for an image."""
    crop_size = card["config"]["crop_size"]
    return card["noise_size"] * -(-height // crop_size) * -(-width // crop_size)


def _example_images(
    card: dict, size: tuple[int, int], *, quantize: str, dataset: str, data_dir: str, count: int
) -> np.ndarray:
    """Returns images to try a file with, float32 `[number, height, width, channels]`.

    int8 takes `count` training images; for the others, of which the range of no
    activation has to be known, images of noise are enough.
    """
    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.data import augment, images, pipeline

    height, width = size
    config = TrainConfig.from_dict(card["config"])
    random = np.random.default_rng(0)
    if quantize != "int8":
        shape = (COMPARED_IMAGES, height, width, config.input_channels)
        return random.uniform(-1, 1, shape).astype(np.float32)
    config = dataclasses.replace(
        config, dataset=dataset or config.dataset, data_dir=data_dir or config.data_dir
    )
    try:
        reader = pipeline.open_reader(config, "train", size=max(size))
    except InputError as error:
        raise InputError(
            f"int8 is calibrated with training pairs, which are not available: {error} Or name "
            "others with --dataset."
        ) from None
    chosen = random.choice(len(reader), min(count, len(reader)), replace=False)
    sources = []
    for index in chosen:
        pair = (images.normalize_image(pixels) for pixels in reader.read(index))
        source, _ = augment.center_pair(*pair, crop_size=max(size))
        sources.append(source[:height, :width].numpy())
    return np.stack(sources)


def _make_job(
    version: pathlib.Path,
    output: pathlib.Path,
    card: dict,
    size: ImageSize,
    quantize: str,
    images: np.ndarray,
) -> tflite_conversion.Job:
    """Writes the images beside the output, and returns what the other process needs."""
    channels = card["config"]["input_channels"]
    example_noise_size = _noise_size(card, *images.shape[1:3])
    if size == DYNAMIC:
        image_shape, noise_shape = [None, None, None, channels], [None, None]
    else:
        image_shape, noise_shape = [1, *images.shape[1:]], [1, example_noise_size]
    np.save(output.with_name("images.npy"), images)
    return tflite_conversion.Job(
        saved_model=str(version.resolve()),
        output=str(output.resolve()),
        quantize=quantize,
        image_shape=image_shape,
        noise_shape=noise_shape,
        images=str(output.with_name("images.npy").resolve()),
        noise_size=example_noise_size,
        compared=COMPARED_IMAGES,
    )


def _run(job: tflite_conversion.Job) -> dict[str, float]:
    """Runs the conversion in a process of its own.

    Returns:
        The differences that it has measured.

    Raises:
        InputError: If the SavedModel cannot be loaded; or if the converter fails, with the last
            that it said, or does not end.
    """
    path = pathlib.Path(job.output).with_name("job.json")
    path.write_text(json.dumps(dataclasses.asdict(job)), encoding="utf-8")
    python_path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    try:
        finished = subprocess.run(
            [sys.executable, "-m", tflite_conversion.__name__, str(path)],
            env={**os.environ, "PYTHONPATH": python_path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"TensorFlow's converter did not end within {_TIMEOUT_SECONDS} s on "
            f"'{job.saved_model}', quantize {job.quantize}, and was stopped. Nothing was written. "
            "Try a smaller --size, another --quantize, or fewer --calibration_pairs."
        ) from None
    if finished.returncode:
        lines = [line.strip() for line in finished.stderr.splitlines() if line.strip()]
        code = finished.returncode
        ending = f"status {code}" if code > 0 else signal.Signals(-code).name
        raise InputError(
            f"TensorFlow's converter failed with {ending} on '{job.saved_model}', quantize "
            f"{job.quantize} ({lines[-1] if lines else 'it said nothing'}). Nothing was written. "
            "Try another --quantize; SIGKILL usually means that the memory was not enough."
        )
    result = json.loads(path.with_suffix(".result.json").read_text(encoding="utf-8"))
    if "refused" in result:
        raise InputError(result["refused"])
    return result


def _describe(
    job: tflite_conversion.Job,
    card: dict,
    quantize: str,
    size: ImageSize,
    difference: dict[str, float],
) -> dict:
    """Returns the metadata of a file."""
    import tensorflow as tf

    from pix2pix_tf import serving

    card = serving.published_card(card)

    def shape(sizes: list, *names: str) -> list:
        return [name if size is None else size for name, size in zip(names, sizes)]

    image_shape = shape(job.image_shape, "batch", "height", "width", "channels")
    output_shape = [*image_shape[:3], card["config"]["output_channels"]]
    image = dict(dtype="float32", shape=image_shape, range=[-1, 1])
    output = dict(dtype="float32", shape=output_shape, range=[-1, 1])
    # What the numbers stand for; older exports do not say.
    described = card["signatures"]["with_noise"]
    image["values"] = described["inputs"]["image"].get("values", "")
    output["values"] = described["outputs"]["output"].get("values", "")
    z = dict(dtype="float32", shape=shape(job.noise_shape, "batch", "noise"), range=[0, 1])
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
        noise_size=card["noise_size"] if size == DYNAMIC else job.noise_size,
        signatures=dict(
            serving_default=dict(inputs=dict(image=image), outputs=dict(output=output)),
            with_noise=dict(inputs=dict(image=image, z=z), outputs=dict(output=output)),
        ),
        difference=difference,
        tensorflow=tf.__version__,
        model_card=card,
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
