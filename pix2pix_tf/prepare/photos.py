"""What the tasks from photos share: each becomes a pair of something made of it, and itself."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable

import tensorflow as tf

from pix2pix_tf.data import augment, images
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, jobs, pair_files, work


def make_pairs(
    options, task: str, make_source: Callable, *settings: str, **recorded: str
) -> work.Outcome:
    """Makes a pair of each photo of `--input`: A made by `make_source`, B the photo.

    Args:
        options: The flags; those that all tasks from photos take are read here.
        task: Its name.
        make_source: `(photo, name, **settings) -> A`, on pixels; a function that pickles.
        *settings: Names of the flags that it takes.
        **recorded: What else decides the outputs, and is no flag.
    """
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    size, layout = options.size, options.layout
    values = {name: options[name].value for name in settings}
    names, faults = folders.find_images(folder)
    folders.open_output(
        output, [folder], task, dict(size=size, layout=layout, **values, **recorded)
    )
    make_source = functools.partial(make_source, **values)
    return jobs.make_all(
        functools.partial(_make_pair, make_source=make_source, size=size, layout=layout),
        [
            jobs.Job(name, (folder / name,), pair_files.output_paths(output, name, layout))
            for name in names
        ],
        output=output,
        what="images" if layout == "inputs" else "pairs",
        faults=faults,
        processes=options.processes,
    )


def _make_pair(job: jobs.Job, *, make_source: Callable, size: int, layout: str) -> list[bytes]:
    """Returns the contents of the files of a pair."""
    photo = pair_files.read(job.inputs[0], channels=3)
    height, width = photo.shape[:2]
    if size:  # On the shorter side, as training scales.
        if height * width * (size / min(height, width)) ** 2 > images.MAX_PIXELS:
            raise InputError(
                f"is {width}x{height} pixels: with a shorter side of {size} it would have more "
                f"than {images.MAX_PIXELS}. Crop it, or pass a smaller --size."
            )
        photo = augment.resize_to_cover(tf.constant(photo), size).numpy()
    return pair_files.encode_pair(make_source(photo, job.name), photo, layout)
