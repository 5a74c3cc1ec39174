"""Which files of a data set's folder are the pairs of a split; see `find_pairs`."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Union

from pix2pix_tf import files
from pix2pix_tf.data import images, records
from pix2pix_tf.errors import InputError, MissingInputError

SPLITS = ("train", "val", "test")
_MOST_LONELY_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class PairFiles:
    """The file, or the two files, of a pair. Aligned pairs have A and B side by side."""

    a: pathlib.Path
    b: pathlib.Path | None = None  # None: `a` holds both, A on the left.

    @property
    def name(self) -> str:
        """The pair's name: the file's, without the suffix."""
        return self.a.stem

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """The one or two of them."""
        return (self.a,) if self.b is None else (self.a, self.b)

    def read(self) -> tuple[pathlib.Path, ...]:
        """Returns what `images` and `arrays` read."""
        return self.files


Pair = Union[PairFiles, records.StoredPair]


def find_pairs(folder: pathlib.Path, split: str) -> Sequence[Pair]:
    """Returns the pairs of a split; those of files are sorted by name.

    Layouts, in this order:
        FOLDER/records.json                     records: see `records`
        FOLDER/SPLIT/A/, FOLDER/SPLIT/B/        paired by name, without the suffix
        FOLDER/A/SPLIT/, FOLDER/B/SPLIT/        the same
        FOLDER/SPLITA/, FOLDER/SPLITB/          the same (trainA, trainB)
        FOLDER/SPLIT/*.jpg                      A|B side by side in each file

    Raises:
        MissingInputError: If there is no such split, naming those there are; if
            it is empty; if a file has no partner.
        InputError: If a folder cannot be read, two files have one name, or records are damaged.
    """
    folder = pathlib.Path(folder)
    if records.is_there(folder):
        return records.find_pairs(folder, split)
    folders = two_folders(folder, split)
    for sides in folders:
        if any(map(files.is_folder, sides)):
            return _match_by_name(*sides)
    aligned = folder / split
    if not files.is_folder(aligned):
        found = ", ".join(name for name in SPLITS if has_split(folder, name)) or "none"
        pairs_of_folders = ", or in ".join(f"'{a}' and '{b}'" for a, b in folders)
        raise MissingInputError(
            f"'{folder}' has no split '{split}'. Splits found: {found}. Expected '{aligned}' with "
            "images that hold A and B side by side; or one image a file, paired by name, in "
            f"{pairs_of_folders}."
        )
    return [PairFiles(path) for path in images_by_name(aligned).values()]


def find_splits(folder: pathlib.Path) -> list[str]:
    """Returns the splits that are there; raises MissingInputError if there are none."""
    splits = [split for split in SPLITS if has_split(folder, split)]
    if not splits:
        find_pairs(folder, SPLITS[0])  # Says what is expected there.
    return splits


def two_folders(folder: pathlib.Path, split: str) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Returns where A and B of a split may be, if each has a folder of its own."""
    return [
        (folder / split / "A", folder / split / "B"),
        (folder / "A" / split, folder / "B" / split),
        (folder / f"{split}A", folder / f"{split}B"),
    ]


def has_split(folder: pathlib.Path, split: str) -> bool:
    """Returns whether there is a split, in any of the layouts of `find_pairs`."""
    if records.is_there(folder):
        return split in records.find_splits(folder)
    either = [path for pair in two_folders(folder, split) for path in pair]
    return any(files.is_folder(path) for path in (folder / split, *either))


def _match_by_name(a_folder: pathlib.Path, b_folder: pathlib.Path) -> list[PairFiles]:
    a_of, b_of = images_by_name(a_folder), images_by_name(b_folder)
    lonely = [f"'{a_of[name]}' has no partner in '{b_folder}'" for name in a_of.keys() - b_of]
    lonely += [f"'{b_of[name]}' has no partner in '{a_folder}'" for name in b_of.keys() - a_of]
    if lonely:
        more = len(lonely) - _MOST_LONELY_SHOWN
        tail = f"; and {more} more" if more > 0 else ""
        raise MissingInputError(
            f"{'; '.join(sorted(lonely)[:_MOST_LONELY_SHOWN])}{tail}. Pairs have the same name in "
            "both folders, the suffix may differ: add the missing files or take these out."
        )
    return [PairFiles(a_of[name], b_of[name]) for name in sorted(a_of)]


def images_by_name(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the images of a folder by their names without the suffix, in the order of files.

    Raises:
        MissingInputError: If there are none, or no such folder.
        InputError: If two have one name, or a picture is of a kind that cannot be read.
    """
    found = {}
    if files.is_folder(folder):
        if others := images.list_images(folder, images.OTHER_SUFFIXES):
            raise InputError(
                f"'{folder}' holds {len(others)} pictures of a kind that is not read, such as "
                f"'{others[0].name}'. Convert them to PNG or JPEG, or take them out."
            )
        for path in images.list_images(folder):
            if path.stem in found:
                raise InputError(
                    f"'{found[path.stem]}' and '{path}' have the same name but for the suffix, so "
                    "which one is meant is not clear. Take one of them out."
                )
            found[path.stem] = path
    if not found:
        raise MissingInputError(
            f"There is no folder '{folder}', or it does not hold images (files that end in "
            f"{', '.join(images.IMAGE_SUFFIXES)}). Put those of the pairs there."
        )
    return found
