"""Data sets of fewer training pairs, as links to the files of a whole one."""

from __future__ import annotations

import pathlib

import numpy as np

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import layouts, registry
from pix2pix_tf.errors import InputError


def folder_of(output: pathlib.Path, config: TrainConfig, num_pairs: int) -> pathlib.Path:
    """Returns the folder of a subset: its last name is the set's, by which classes are known."""
    return output / "data" / str(num_pairs) / pathlib.PurePath(config.dataset).name


def write(output: pathlib.Path, config: TrainConfig, num_pairs: int) -> None:
    """Links a data set's files into `folder_of`: all of them but those of most training pairs.

    The training pairs are spread evenly over all, in the order of their names.

    Raises:
        InputError: If it is not a folder of splits with A and B in each file, or has fewer pairs.
    """
    name = config.dataset
    published = (
        registry.find_published(name, config.data_dir) if name in registry.PUBLISHED else None
    )
    source = published or pathlib.Path(name)
    folder = folder_of(output, config, num_pairs)
    if not layouts.has_split(source, "train"):
        raise InputError(
            f"'{config.dataset}' is not a folder of splits, of which fewer pairs can be taken. "
            "Give a folder with train, and files that hold A and B side by side."
        )
    for split in ("train", "val", "test"):
        if not layouts.has_split(source, split):
            continue
        paths = list(layouts.images_by_name(source / split).values())
        if split == "train":
            if len(paths) < num_pairs:
                raise InputError(
                    f"'{source}' has {len(paths)} files of training pairs, and {num_pairs} are "
                    "asked for. Give a folder of files that hold A and B side by side, and enough."
                )
            chosen = np.linspace(0, len(paths) - 1, num_pairs).round().astype(int)
            paths = [paths[number] for number in chosen]
        (folder / split).mkdir(parents=True, exist_ok=True)
        for path in paths:
            link = folder / split / path.name
            if not link.is_symlink():
                link.symlink_to(path.resolve())
