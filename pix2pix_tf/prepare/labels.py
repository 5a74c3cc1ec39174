"""The task `labels`: class maps, whose pixels are indexes, to colours or to one-hot arrays.

Colours are what label pictures show, PNG. One-hot arrays are NumPy files, uint8
`[height, width, classes]`: white, 255, in the channel of the pixel's class and 0 in the others,
so that they read as pixels do. An ignored pixel is 0 in all of them, and an ignored class has none.
"""

from __future__ import annotations

import functools
import io
import json
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from pix2pix_tf.config import MAX_CHANNELS
from pix2pix_tf.data import classes, images
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.prepare import folders, jobs, work

_SUFFIXES = {"colours": ".png", "onehot": ".npy"}
_FORM = 'Each is as {"name": "door", "color": [1, 207, 255]}, and may have "ignored": true.'


def run(options) -> work.Outcome:
    """Converts the class maps of `--input`."""
    kinds = read_classes(options.classes)
    num_scored = sum(not kind.ignored for kind in kinds)
    if options.to == "onehot" and num_scored > MAX_CHANNELS:
        raise InputError(
            f"--classes={options.classes} has {num_scored} classes, more than the "
            f"{MAX_CHANNELS} channels that a network takes. Use --to=colours."
        )
    found = folders.find_images(options.input)
    output = pathlib.Path(options.output)
    colors = [[*kind.color, kind.ignored] for kind in kinds]
    folders.open_output(output, [found.folder], "labels", dict(to=options.to, classes=colors))
    return jobs.make_all(
        functools.partial(_convert, kinds=kinds, to=options.to),
        found.jobs(lambda name: ((output / name).with_suffix(_SUFFIXES[options.to]),)),
        output=output,
        what="label pictures" if options.to == "colours" else "arrays",
        faults=found.faults,
        processes=options.processes,
        are_copies=True,
    )


def read_classes(name: str) -> tuple[classes.LabelClass, ...]:
    """Returns the classes of a data set that is known, or of a JSON file, each at its index.

    The file holds a list, in the order of the indexes, of objects with a `name`, a `color` of
    three numbers from 0 to 255, and where it does not count `"ignored": true`. Of a known data
    set the ignored classes have no index, as in the class maps of the evaluation.

    Raises:
        InputError: If it is neither, or the file is not so.
    """
    if not name.endswith(".json"):
        if name in classes.TABLES:
            return classes.TABLES[name].scored
        raise InputError(
            f"--classes is {name!r}, whose classes are not known. Give one of "
            f"{', '.join(classes.TABLES)}, or a .json file of your own."
        )
    path = pathlib.Path(name)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingInputError(f"There is no file '{path}'. Check --classes.") from None
    except (ValueError, OSError) as error:
        raise InputError(f"'{path}' cannot be read as JSON ({error}). Mend it.") from None
    if not isinstance(entries, list) or not 0 < len(entries) <= classes.IGNORED:
        raise InputError(
            f"'{path}' does not hold a list of 1 to {classes.IGNORED} classes. {_FORM}"
        )
    return tuple(_read_class(path, number, entry) for number, entry in enumerate(entries))


def _read_class(path: pathlib.Path, number: int, entry) -> classes.LabelClass:
    try:
        name, color, ignored = entry["name"], entry["color"], entry.get("ignored", False)
        red, green, blue = color
        right = all(type(x) is int and 0 <= x <= 255 for x in color) and isinstance(ignored, bool)
    except (TypeError, KeyError, ValueError, AttributeError):
        right = False
    if not right:
        raise InputError(f"Class {number} of '{path}' is {entry!r}. {_FORM}")
    return classes.LabelClass(str(name), (red, green, blue), ignored)


def _convert(job: folders.Job, *, kinds: Sequence[classes.LabelClass], to: str) -> list[bytes]:
    encode = {"colours": _encode_colors, "onehot": _encode_one_hot}[to]
    return [encode(read_indexes(job.inputs[0], len(kinds)), kinds)]


def read_indexes(path: pathlib.Path, num_classes: int) -> np.ndarray:
    """Returns a class map, uint8 `[height, width]`.

    Args:
        path: A grey PNG whose values are the indexes, or one with a palette, where the indexes
            count and not the colours.
        num_classes: Indexes are below it, or `classes.IGNORED`.

    Raises:
        InputError: If it cannot be read, is neither, or holds other indexes.
    """
    info = images.inspect_image(path)
    try:
        with Image.open(path) as picture:
            kind, mode = picture.format, picture.mode
            pixels = np.asarray(picture.convert("L") if mode == "1" else picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"'{path}' cannot be decoded ({error}). Replace it.") from None
    if kind != "PNG" or mode not in ("1", "L", "P") or info.bits != 8:
        raise InputError(
            f"'{path}' is a {kind} of mode {mode}, which holds no indexes. Class maps are grey PNG "
            "files with up to 8 bits, or have a palette."
        )
    indexes = pixels if mode == "P" else classes.stored_indexes(path, pixels)
    found = np.unique(indexes)
    wrong = found[(found >= num_classes) & (found != classes.IGNORED)]
    if wrong.size:
        shown = ", ".join(map(str, wrong[:5])) + (", ..." if wrong.size > 5 else "")
        raise InputError(
            f"'{path}' holds {shown}, but the classes are 0 to {num_classes - 1}, and "
            f"{classes.IGNORED} for what is ignored. Pass the right --classes."
        )
    return indexes


def _encode_colors(class_map: np.ndarray, kinds: Sequence[classes.LabelClass]) -> bytes:
    """Returns the label picture as a PNG; `IGNORED` has the colour of the first ignored class."""
    palette = np.zeros([classes.IGNORED + 1, 3], np.uint8)  # Black where there is no such class.
    palette[: len(kinds)] = [kind.color for kind in kinds]
    ignored = [kind.color for kind in kinds if kind.ignored]
    if ignored:
        palette[classes.IGNORED] = ignored[0]
    return images.encode_image(tf.constant(palette[class_map]), ".png")


def _encode_one_hot(class_map: np.ndarray, kinds: Sequence[classes.LabelClass]) -> bytes:
    """Returns the one-hot array as a NumPy file, with a channel a class that is not ignored."""
    indexes = [index for index, kind in enumerate(kinds) if not kind.ignored]
    one_hot = np.where(class_map[..., np.newaxis] == indexes, 255, 0).astype(np.uint8)
    file = io.BytesIO()
    np.save(file, one_hot)
    return file.getvalue()
