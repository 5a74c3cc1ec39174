"""The task `labels`: class maps, whose pixels are indexes, to colours or to one-hot arrays.

Colours are what label pictures show, PNG. One-hot arrays are NumPy files, uint8
`[height, width, classes]`: white, 255, in the channel of the pixel's class and 0 in the others,
so that they read as pixels do. An ignored pixel is 0 in all of them, and an ignored class has none.
"""

from __future__ import annotations

import functools
import pathlib

import numpy as np

from pix2pix_tf.data import classes, images, index_maps
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, work


def run(options) -> work.Outcome:
    """Converts the class maps of `--input`."""
    table = classes.read(options.classes)
    folder, output = pathlib.Path(options.input), pathlib.Path(options.output)
    names, faults = folders.find_images(folder)
    colors = [[*kind.color, kind.ignored] for kind in table.classes]
    folders.open_output(output, [folder], "labels", dict(to=options.to, classes=colors))
    suffix, what = {"colours": (".png", "label pictures"), "onehot": (".npy", "arrays")}[options.to]
    outputs = [(output / name).with_suffix(suffix) for name in names]
    jobs = [folders.Job(x, (folder / x,), (path,)) for x, path in zip(names, outputs)]
    convert = functools.partial(_convert, table=table, suffix=suffix)
    return folders.make_all(convert, jobs, options, what=what, faults=faults, are_copies=True)


def _convert(job: folders.Job, *, table: classes.ClassTable, suffix: str) -> list[bytes]:
    indexes = index_maps.read(job.inputs[0], table.num_indexes)
    if suffix == ".npy":
        one_hot = np.where(indexes[..., np.newaxis] == table.indexes, 255, 0).astype(np.uint8)
        return [images.encode_image(one_hot, suffix)]
    ignored = next((kind.color for kind in table.classes if kind.ignored), None)
    if ignored is None and (indexes == classes.IGNORED).any():
        raise InputError(
            f"'{job.inputs[0]}' holds {classes.IGNORED}, for what is ignored, and no class of "
            f"{table.name} is ignored, so no colour means that. Name a .json file by --classes, "
            'whose last class is as {"name": "void", "color": [0, 0, 0], "ignored": true}.'
        )
    palette = np.zeros([classes.IGNORED + 1, 3], np.uint8)
    palette[: len(table.classes)] = [kind.color for kind in table.classes]
    palette[classes.IGNORED] = ignored or (0, 0, 0)
    return [images.encode_image(palette[indexes], suffix)]
