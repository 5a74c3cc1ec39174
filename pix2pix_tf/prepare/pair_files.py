"""Pairs: made of photos, and written as PNG, so that nothing is lost, as training reads them."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pix2pix_tf.config import PICTURE_CHANNELS
from pix2pix_tf.data import arrays, augment, images
from pix2pix_tf.data.image_files import ImageFile
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, work


def make_pairs(
    options, task: str, make_source: Callable, *settings: str, **recorded: str
) -> work.Outcome:
    """Makes a pair of each photo of `--input`: A made by `make_source`, B the photo.

    Args:
        options: The flags; those that all tasks from photos take are read here.
        task: Its name.
        make_source: `(photo, name, **settings) -> A`, on pixels; a function that pickles.
        *settings: Names of the flags that it takes.
        **recorded: What else decides the outputs, and is not a flag.
    """
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    size, layout = options.size, options.layout
    values = {name: options[name].value for name in settings}
    names, faults = folders.find_images(folder)
    folders.open_output(
        output, [folder], task, dict(size=size, layout=layout, **values, **recorded)
    )
    make_source = functools.partial(make_source, **values)
    make = functools.partial(_make_pair, make_source=make_source, size=size, layout=layout)
    jobs = [
        folders.Job(name, (folder / name,), output_paths(output, name, layout)) for name in names
    ]
    what = "images" if layout == "inputs" else "pairs"
    return folders.make_all(make, jobs, options, what=what, faults=faults)


def _make_pair(job: folders.Job, *, make_source: Callable, size: int, layout: str) -> list[bytes]:
    """Returns the contents of the files of a pair."""
    photo = read(job.inputs[0], channels=3)
    height, width = photo.shape[:2]
    if size:  # On the shorter side, as training scales.
        if height * width * (size / min(height, width)) ** 2 > images.MAX_PIXELS:
            raise InputError(
                f"is {width}x{height} pixels: with a shorter side of {size} it would have more "
                f"than {images.MAX_PIXELS}. Crop it, or pass a smaller --size."
            )
        photo = augment.resize_to_cover(tf.constant(photo), size).numpy()
    return encode_pair(make_source(photo, job.name), photo, layout)


def output_paths(output: pathlib.Path, name: str, layout: str) -> tuple[pathlib.Path, ...]:
    """Returns the files of a pair.

    Args:
        output: Folder of the task.
        name: Name of the input below its folder, whose subfolders are kept: "train/1.jpg".
        layout: "folders": A/NAME.png and B/NAME.png; else NAME.png.
    """
    path = pathlib.Path(output, name).with_suffix(".png")
    if layout == "folders":
        return tuple(path.parent / side / path.name for side in ("A", "B"))
    return (path,)


def encode_pair(a: np.ndarray, b: np.ndarray, layout: str) -> list[bytes]:
    """Returns the contents of the files of a pair.

    Args:
        a: Pixels `[height, width, channels]`, uint8 or uint16.
        b: As `a`; the channels and the type may differ.
        layout: "pairs": A|B side by side; "folders": A and B; "inputs": A alone.

    Raises:
        InputError: If training would not read it in this layout.
    """
    pictures = [a, b] if layout == "folders" else [a] if layout == "inputs" else [join(a, b)]
    return [images.encode_image(tf.constant(pixels), ".png") for pixels in pictures]


def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns A|B, with the channels and the depth of the side that has more.

    Grey is repeated, colour gets opaque alpha, 8 bits become 16 by times 257: read back with
    its own channels and depth, each side is what it was.

    Raises:
        InputError: If the sides have different sizes, or training would not take the pair.
    """
    (a_height, a_width), (height, width) = a.shape[:2], b.shape[:2]
    if (a_height, a_width) != (height, width):
        raise InputError(
            f"is {a_width}x{a_height} pixels and its partner {width}x{height}. Bring them to the "
            "same size."
        )
    if 2 * width <= height or 2 * width * height > images.MAX_PIXELS:
        raise InputError(
            f"is {width}x{height} pixels: side by side, two such images would be too narrow to be "
            f"taken for a pair, or have more than {images.MAX_PIXELS} pixels. Crop it, or use "
            "--layout=folders."
        )
    channels = max(a.shape[-1], b.shape[-1])
    dtype = np.promote_types(a.dtype, b.dtype)
    return np.concatenate([_widen(side, channels, dtype) for side in (a, b)], axis=1)


def _widen(pixels: np.ndarray, channels: int, dtype: np.dtype) -> np.ndarray:
    if pixels.dtype != dtype:
        pixels = pixels.astype(dtype) * 257
    if pixels.shape[-1] == 1 and channels > 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    if pixels.shape[-1] == 3 and channels == 4:
        opaque = np.full([*pixels.shape[:2], 1], np.iinfo(dtype).max, dtype)
        pixels = np.concatenate([pixels, opaque], axis=-1)
    return pixels


def read_values(path: ImageFile) -> np.ndarray:
    """Returns the values of a file: `read`, but arrays may be of any channels and type."""
    return arrays.read(path) if arrays.is_array(path) else read(path)


def read(path: ImageFile, *, channels: int | None = None) -> np.ndarray:
    """Returns the pixels of a file as training decodes them, in the depth that it has.

    Args:
        path: The file.
        channels: 1, 3 or 4; None for what it has, where grey with alpha counts as 4.

    Raises:
        InputError: If it cannot be read, or is an array that a picture cannot hold.
    """
    info = images.inspect_image(path)
    taken = [channels] if channels else PICTURE_CHANNELS
    if info.is_array and not (info.channels in taken and info.has_full_range):
        raise InputError(
            f"'{path}' has {info.channels} channel(s) of {info.bits} bits. The task takes "
            f"{' or '.join(map(str, taken))} channels of 8 or 16 bits, unsigned. Convert it, or "
            "take it out (combine --layout=folders takes all)."
        )
    dtype = tf.uint16 if info.bits == 16 else tf.uint8
    if channels is None:
        channels = 4 if info.channels == 2 else info.channels
    return images.read_pixels(path, channels=channels, dtype=dtype)
