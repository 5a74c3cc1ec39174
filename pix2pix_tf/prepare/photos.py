"""What the tasks from photos share: each becomes a pair of something made of it, and itself."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from pix2pix_tf.data import augment, images
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, pair_files, work


def make_pairs(options, task: str, make_source: Callable, *, settings: Mapping) -> work.Outcome:
    """Makes a pair of each photo of `--input`: A made by `make_source`, B the photo.

    Args:
        options: The flags; those that all tasks from photos take are read here.
        task: Its name.
        make_source: `(photo, name) -> A`, on pixels; a function that pickles.
        settings: What decides A, besides the photo; values that JSON has.
    """
    found = folders.find_images(options.input)
    output = pathlib.Path(options.output)
    settings = {"size": options.size, "layout": options.layout, **settings}
    folders.open_output(output, [found.folder], task, settings)
    function = functools.partial(
        _make_pair,
        folder=found.folder,
        output=output,
        make_source=make_source,
        size=options.size,
        layout=options.layout,
    )
    return work.make_all(
        function,
        found.names,
        name_of=str,
        is_finished=lambda name: folders.is_finished(
            pair_files.output_paths(output, name, options.layout), [found.folder / name]
        ),
        processes=options.processes,
        faults=found.faults,
        what="images" if options.layout == "inputs" else "pairs",
        output=output,
    )


def _make_pair(
    name: str,
    *,
    folder: pathlib.Path,
    output: pathlib.Path,
    make_source: Callable,
    size: int,
    layout: str,
) -> list[pathlib.Path]:
    """Writes a pair; returns the photo's file if its colour profile is lost."""
    photo = pair_files.read(folder / name, channels=3)
    if size:
        photo = _resize(photo, size)
    pair_files.write_pair(output, name, make_source(photo, name), photo, layout=layout)
    return pair_files.with_other_colours([folder / name])


def _resize(photo: np.ndarray, size: int) -> np.ndarray:
    """Returns the photo as training scales it, with `size` pixels on its shorter side."""
    height, width = photo.shape[:2]
    if height * width * (size / min(height, width)) ** 2 > images.MAX_PIXELS:
        raise InputError(
            f"is {width}x{height} pixels: with a shorter side of {size} it would have more than "
            f"{images.MAX_PIXELS}. Crop it, or pass a smaller --size."
        )
    return augment.resize_to_cover(tf.constant(photo), size).numpy()
