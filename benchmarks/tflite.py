r"""Sizes, differences and times of .tflite files, against the SavedModel they were made of.

    python -m benchmarks.tflite --saved_model=exported/facades \
        --file=none.tflite --file=float16.tflite --file=dynamic.tflite --file=int8.tflite

Runs the sources of some held-out pairs, each with a noise of its own, through the
SavedModel and through each file, and prints a table of the absolute differences of
the outputs, which are in [-1, 1], and of the median time of an image.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from pix2pix_tf import commands

_ROW = "| {:22} | {:>8} | {:>11} | {:>11} | {:>10} |"


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("saved_model", None, "Exported model, or a version.", required=True)
    flags.DEFINE_multi_string("file", None, "A .tflite file of crop_size.", required=True)
    flags.DEFINE_string("data_dir", "", "Folder of published sets. Empty: as in the training.")
    flags.DEFINE_integer("num_images", 5, "How many pairs of the test split, or of val.")
    flags.DEFINE_integer("num_rounds", 5, "How often each image is timed.")
    flags.DEFINE_integer("num_threads", 2, "CPU threads.")


def main(unused_arguments: list[str]) -> None:
    """Prints the table."""
    import tensorflow as tf

    from export import litert
    from pix2pix_tf import networks
    from pix2pix_tf.data import pairs, pipeline
    from pix2pix_tf.inference import translator

    options = flags.FLAGS
    tf.config.threading.set_intra_op_parallelism_threads(options.num_threads)
    model = translator.load(options.saved_model)
    config = dataclasses.replace(model.config, data_dir=options.data_dir or model.config.data_dir)
    split = pairs.find_split(config.dataset, ("test", "val"), data_dir=config.data_dir)
    reader = pipeline.open_reader(config, split or "test", size=config.crop_size)
    examples = pipeline.evaluation_examples(
        reader, crop_size=config.crop_size, limit=options.num_images
    )
    sources = [example.source[0].numpy() for example in examples]
    # The noise that the translator draws for (seed 0, sample).
    shape = (1, networks.noise_size(config))
    noises = [
        np.random.default_rng([0, sample]).random(shape, dtype=np.float32)
        for sample in range(len(sources))
    ]
    print(_ROW.format("file", "MB", "mean", "max", "ms"))
    print(_ROW.format("---", "---:", "---:", "---:", "---:"))

    def saved_model(sample):
        return model(sources[sample], sample=sample)

    expected, milliseconds = _run(saved_model, len(sources), options.num_rounds)
    print(_ROW.format("SavedModel", "", "", "", f"{milliseconds:.0f}"))
    for path in map(pathlib.Path, options.file):
        lite = litert.LiteRtModel(path, num_threads=options.num_threads)

        def run_file(sample, lite=lite):
            image = sources[sample][np.newaxis]
            return lite.run("with_noise", image=image, z=noises[sample])["output"][0]

        outputs, milliseconds = _run(run_file, len(sources), options.num_rounds)
        differences = np.abs(outputs - expected)
        print(
            _ROW.format(
                path.name,
                f"{os.path.getsize(path) / 1e6:.1f}",
                f"{differences.mean():.1e}",
                f"{differences.max():.1e}",
                f"{milliseconds:.0f}",
            )
        )


def _run(
    translate: Callable[[int], np.ndarray], num_samples: int, num_rounds: int
) -> tuple[np.ndarray, float]:
    """Returns the outputs of all samples, and the median time of one in milliseconds."""
    outputs = np.stack([translate(sample) for sample in range(num_samples)])
    times = []
    for sample in list(range(num_samples)) * num_rounds:
        start = time.perf_counter()
        translate(sample)
        times.append(time.perf_counter() - start)
    return outputs, float(np.median(times)) * 1e3


if __name__ == "__main__":
    define_flags()
    commands.run(main)
