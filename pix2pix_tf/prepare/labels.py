"""The task `labels`: class maps, whose pixels are indexes, to colours or to one-hot arrays.

Colours are what label pictures show, PNG. One-hot arrays are NumPy files, uint8
`[height, width, classes]`: white, 255, in the channel of the pixel's class and 0 in the others,
so that they read as pixels do. An ignored pixel is 0 in all of them, and an ignored class has none.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from pix2pix_tf.data import classes, image_files, images, picture_files
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, work


def run(options) -> work.Outcome:
    """Converts the class maps of `--input`."""
    kinds = read_classes(options.classes)
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    names, faults = folders.find_images(folder)
    colors = [[*kind.color, kind.ignored] for kind in kinds]
    folders.open_output(output, [folder], "labels", dict(to=options.to, classes=colors))
    suffix, what = {"colours": (".png", "label pictures"), "onehot": (".npy", "arrays")}[options.to]
    outputs = [(output / name).with_suffix(suffix) for name in names]
    jobs = [folders.Job(x, (folder / x,), (path,)) for x, path in zip(names, outputs)]
    convert = functools.partial(_convert, kinds=kinds, suffix=suffix)
    return folders.make_all(convert, jobs, options, what=what, faults=faults, are_copies=True)


def read_classes(name: str) -> tuple[classes.LabelClass, ...]:
    """Returns the classes of a data set that is known, or of a JSON file, each at its index.

    Of a known data set the ignored classes have no index, as in the class maps of the evaluation.

    Raises:
        InputError: If it is neither, or the file is not so.
    """
    if name in classes.TABLES:
        return classes.TABLES[name].scored
    return classes.read_file(pathlib.Path(name))


def _convert(job: folders.Job, *, kinds: Sequence[classes.LabelClass], suffix: str) -> list[bytes]:
    indexes = read_indexes(job.inputs[0], len(kinds))
    if suffix == ".npy":
        scored = [index for index, kind in enumerate(kinds) if not kind.ignored]
        one_hot = np.where(indexes[..., np.newaxis] == scored, 255, 0).astype(np.uint8)
        return [images.encode_image(one_hot, suffix)]
    palette = np.zeros([classes.IGNORED + 1, 3], np.uint8)
    palette[: len(kinds)] = [kind.color for kind in kinds]
    palette[classes.IGNORED] = next((kind.color for kind in kinds if kind.ignored), (0, 0, 0))
    return [images.encode_image(palette[indexes], suffix)]


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
    with image_files.reading(path, "a class map"), image_files.open_file(path) as file:
        picture = picture_files.open_picture(path, file, has_pixels=True)
        kind, mode = picture.format, picture.mode
        pixels = np.asarray(picture.convert("L") if mode == "1" else picture)
    if kind != "PNG" or mode not in ("1", "L", "P") or info.bits > 8:
        raise InputError(
            f"'{path}' is a {kind} of mode {mode}, which does not hold indexes. Class maps are "
            "grey PNG files with up to 8 bits, or have a palette."
        )
    indexes = pixels if mode == "P" else classes.stored_indexes(pixels, bits=info.bits)
    found = np.unique(indexes)
    wrong = found[(found >= num_classes) & (found != classes.IGNORED)]
    if wrong.size:
        raise InputError(
            f"'{path}' holds {', '.join(map(str, wrong[:5]))}, but the classes are 0 to "
            f"{num_classes - 1}, and {classes.IGNORED} for what is ignored. Pass the right "
            "--classes."
        )
    return indexes
