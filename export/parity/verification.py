"""Exports a run, takes it to every runtime, and compares. See `export.verify`, the command."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import pathlib
import platform
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from pix2pix_tf import files, pretrained, run_folder
from pix2pix_tf.errors import InputError, MissingInputError

from ..errors import ModelError
from . import limits, measuring, report, runtimes, saved_model
from .runtimes import Inputs, Run, Runtime, Settings


def verify(
    workdir: pathlib.Path,
    output: pathlib.Path,
    *,
    checkpoint: str,
    weights: str = run_folder.AVERAGE,
    num_images: int,
    repeat: int,
    num_draws: int,
    wanted: Sequence[str],
    settings: Settings,
) -> dict:
    """Exports, converts, runs and compares.

    Args:
        workdir: The run folder; or a name of `pretrained`.
        output: The folder for the results.
        checkpoint: "newest", "best", or a step.
        weights: "average" or "last", see `run_folder.find_weights`.
        num_images: How many images `with_noise` is compared on; fewer if there are no more.
        repeat: Runs of which the median time is taken.
        num_draws: Calls of `serving_default` with the first image.
        wanted: Kinds of the registered runtimes to compare.
        settings: See `runtimes.Settings`; the images to compare are of its pairs too.

    Returns:
        What `parity.json` holds.

    Raises:
        InputError: If the run cannot be exported, the images are not available, or a runtime
            is not installed.
    """
    import tensorflow as tf

    from pix2pix_tf import networks, serving
    from pix2pix_tf.config import TrainConfig

    # What is missing is said now, not after the conversions.
    compared = _installed(wanted)
    workdir = pretrained.find_model(workdir)
    config = TrainConfig.load(workdir)
    config = dataclasses.replace(
        config,
        dataset=settings.dataset or config.dataset,
        data_dir=settings.data_dir or config.data_dir,
        # Of the smallest images that a model takes, which converted files are made for.
        crop_height=0,
        crop_width=0,
    )
    chosen = dict(checkpoint=checkpoint, weights=weights)
    path, _ = run_folder.find_weights(workdir, **chosen)
    noise_size = networks.noise_size(config)
    images = _held_out_images(config, num_images)
    random = np.random.default_rng(0)
    inputs = [
        dict(image=image, z=random.random((1, noise_size), dtype=np.float32)) for image in images
    ]
    reference = keras(config)
    measure = functools.partial(
        measuring.measure, settings=settings, inputs=inputs, repeat=repeat, num_draws=num_draws
    )
    expected = measure(reference, path)
    rows = [measuring.row(reference, path, expected, expected, noise_size > 0)]
    pictures = {reference.name: expected.outputs[: report.NUM_PICTURES]}

    files.make_output_folder(output)
    with tempfile.TemporaryDirectory(prefix=".models_", dir=output) as folder:
        models = pathlib.Path(folder)
        version = serving.save_version(workdir, models / "saved_model", **chosen)
        # One after the other: together, the models of a 256x256 run take gigabytes.
        for runtime in compared:
            print(f"{runtime.name} ...", flush=True)
            path = models / runtime.file if runtime.file else version
            try:
                if runtime.convert and not path.exists():  # It appears when it is whole.
                    runtime.convert(version, path, settings)
                    gc.collect()  # The models that were compared: graphs of TensorFlow are cycles.
                measured = measure(runtime, path)
            # The model or the machine is at fault, and the other runtimes are still worth knowing.
            # All else is a defect of this program, and keeps its traceback.
            except (ModelError, InputError, tf.errors.OpError, OSError) as error:
                rows.append(dict(name=runtime.name, faults=[f"{runtime.name}: {error}"]))
                continue
            finally:
                gc.collect()
            pictures[runtime.name] = measured.outputs[: report.NUM_PICTURES]
            rows.append(measuring.row(runtime, path, measured, expected, noise_size > 0))
        card = serving.read_model_card(version)

    result = dict(
        workdir_step=card["step"],
        crop_size=card["config"]["crop_size"],
        num_images=len(inputs),
        noise_size=noise_size,
        num_draws=num_draws,
        num_threads=settings.num_threads,
        versions=card["versions"],
        python=platform.python_version(),
        runtimes=rows,
    )
    report.write(output, result, inputs, pictures)
    return result


def kinds() -> list[str]:
    """Returns what may be `wanted`."""
    return list(dict.fromkeys(runtime.kind for runtime in runtimes.registered()))


def _installed(wanted: Sequence[str]) -> list[Runtime]:
    """Returns the runtimes to compare, the SavedModel in Python first.

    Raises:
        MissingInputError: If something is not installed.
    """
    chosen = [x for x in runtimes.registered() if x.kind in wanted]
    for runtime in chosen:
        try:
            runtime.check_installed()
        except MissingInputError as error:
            raise MissingInputError(
                f"{error} Or leave {runtime.kind} out: name the others, as in --runtimes=cpp."
            ) from None
    return [saved_model.PYTHON, *chosen]


def _held_out_images(config, count: int) -> list[np.ndarray]:
    """Returns inputs, float32 in [-1, 1], `[1, crop_size, crop_size, channels]`."""
    from pix2pix_tf.data import examples

    try:
        return [example.source.numpy() for example in examples.held_out(config, limit=count)]
    except InputError as error:
        raise InputError(
            f"The images to compare with are not available: {error} Or name others with --dataset "
            "and --data_dir."
        ) from None


def keras(config) -> Runtime:
    """Returns the reference: the generator as it is trained, called with training=True."""

    @contextlib.contextmanager
    def opened(weights: pathlib.Path, settings: Settings) -> Iterator[Run]:
        import tensorflow as tf

        from pix2pix_tf import networks

        generator = networks.build_generator(config)
        networks.load_weights(generator, weights)
        call = tf.function(lambda image, z: generator([image, z], training=True))
        random = np.random.default_rng()

        def run(signature: str, inputs: Inputs) -> np.ndarray:
            z = inputs.get("z")
            if z is None:
                z = random.random((1, networks.noise_size(config)), dtype=np.float32)
            return call(tf.constant(inputs["image"]), tf.constant(z)).numpy()

        yield runtimes.timed(run)

    return Runtime("Keras, training=True", "keras", limits.EXACT, opened)
