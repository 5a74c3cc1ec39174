"""Which files of a data set's folder are the pairs of a split; see `find_pairs`."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Union

from absl import logging

from pix2pix_tf import files
from pix2pix_tf.data import arrays, images, nearby, picture_folders, records
from pix2pix_tf.errors import InputError, MissingInputError, printable

SPLITS = ("train", "val", "test")
_MOST_LONELY_SHOWN = 10
_SUFFIXES = ", ".join(images.IMAGE_SUFFIXES)
_UNUSED = (
    "Training reads the splits train, val and test, each in one form, and goes into no other "
    "folders; pix2pix prepare split makes one data set of all that lies in a folder."
)
_MOST_SHOWN_OF_ALL = 2  # Where most of them have no partner.


@dataclasses.dataclass(frozen=True)
class PairFiles:
    """The file, or the two files, of a pair. Aligned pairs have A and B side by side."""

    a: pathlib.Path
    b: pathlib.Path | None = None  # None: `a` holds both, A on the left.

    @property
    def name(self) -> str:
        """The pair's name: the file's, without the suffix."""
        return unicodedata.normalize("NFC", self.a.stem)

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
    sides = _sides(folder, split)
    if len(sides) == 2:
        found = _match_by_name(*sides, output=nearby.beside(folder, f"_pairs/{split}"))
    elif sides:
        try:
            found = [PairFiles(path) for path in images_by_name(*sides).values()]
        except MissingInputError:
            if not (hint := _nearby(folder, split)):
                raise
            raise MissingInputError(f"'{sides[0]}' does not hold images. {hint}") from None
    else:
        raise _no_split(folder, split)
    if len(sides) == 1 and (apart := nearby.sides_in_one(*sides)):
        _tell(f"Each file of '{sides[0]}' is read as a pair A|B. {apart}")
    used = [side for each in SPLITS for side in _sides(folder, each)]
    unused = picture_folders.find_unused(folder, used)
    remedy = nearby.renames([x for x in unused if x.parent == folder], SPLITS) or _UNUSED
    _tell(picture_folders.describe_unused(folder, unused, remedy))
    return found


@functools.cache
def _tell(text: str) -> None:
    """Says what is not used, once, however many splits are read."""
    if text:
        logging.warning("%s", printable(text))


def _nearby(folder: pathlib.Path, split: str) -> str:
    """Returns what there is instead of a split, and what to do; empty if nothing is."""
    has_others = any(has_split(folder, name) for name in SPLITS if name != split)
    sides_of = functools.partial(_sides, split=split)
    return nearby.describe(folder, split, sides_of, has_others=has_others)


def _no_split(folder: pathlib.Path, split: str) -> MissingInputError:
    """Returns the error of a split that is not there, with what lies nearby."""
    found = ", ".join(name for name in SPLITS if has_split(folder, name)) or "none"
    hint = _nearby(folder, split)
    if not hint:
        aligned = folder / split
        folders = ", or in ".join(f"'{a}' and '{b}'" for a, b in two_folders(folder, split))
        hint = (
            f"{nearby.list_names(folder)} Expected '{aligned}' with images that hold A and B side "
            f"by side; or one image a file, paired by name, in {folders}."
        )
    return MissingInputError(f"'{folder}' has no split '{split}'. Splits found: {found}. {hint}")


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


def _sides(folder: pathlib.Path, split: str) -> tuple[pathlib.Path, ...]:
    """Returns the folders of A and B of a split, or the one of both; none if it is not there."""
    for sides in two_folders(folder, split):
        if any(map(files.is_folder, sides)):
            return sides
    return (folder / split,) if files.is_folder(folder / split) else ()


def has_split(folder: pathlib.Path, split: str) -> bool:
    """Returns whether there is a split, in any of the layouts of `find_pairs`."""
    if records.is_there(folder):
        return split in records.find_splits(folder)
    return bool(_sides(folder, split))


def _match_by_name(
    a_folder: pathlib.Path, b_folder: pathlib.Path, *, output: str
) -> list[PairFiles]:
    a_of, b_of = images_by_name(a_folder), images_by_name(b_folder)
    lonely = [
        f"'{mine[name]}' has no partner in '{other}'"
        for mine, others, other in ((a_of, b_of, b_folder), (b_of, a_of, a_folder))
        for name in mine.keys() - others
    ]
    if lonely:
        raise MissingInputError(_lonely(sorted(lonely), a_of, b_of, output))
    return [PairFiles(a_of[name], b_of[name]) for name in sorted(a_of)]


def _lonely(
    lonely: Sequence[str],
    a_of: Mapping[str, pathlib.Path],
    b_of: Mapping[str, pathlib.Path],
    output: str,
) -> str:
    """Returns what is said of files without a partner, and of what their names differ by."""
    told, pattern = nearby.differences_of_names(a_of, b_of)
    most_shown = _MOST_SHOWN_OF_ALL if told else _MOST_LONELY_SHOWN
    more = len(lonely) - most_shown
    text = "; ".join(lonely[:most_shown]) + (f"; and {more} more" if more > 0 else "")
    if not told:
        return (
            f"{text}. Pairs have the same name in both folders, the suffix may differ: add the "
            "missing files or take these out."
        )
    sides = [next(iter(side.values())) for side in (a_of, b_of)]
    layout = "folders" if any(map(arrays.is_array, sides)) else ""
    command = nearby.combine(
        *(path.parent for path in sides), output, layout=layout, ignored=pattern
    )
    return f"{text}. {told}: {command} makes pairs of them."


def images_by_name(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the images of a folder by their names without the suffix, in the order of files.

    Raises:
        MissingInputError: If there are none, or no such folder.
        InputError: If two have one name, or a picture is of a kind that cannot be read.
    """
    if not files.is_folder(folder):
        raise MissingInputError(
            f"There is no folder '{folder}', where images are expected. "
            f"{nearby.list_names(folder.parent)}"
        )
    paths = images.list_images(folder, picture_folders.PICTURE_SUFFIXES)
    if others := [x for x in paths if x.name.lower().endswith(images.OTHER_SUFFIXES)]:
        raise InputError(
            f"'{folder}' holds {len(others)} pictures of a kind that is not read, such as "
            f"'{others[0].name}'. Convert them to PNG or JPEG, or take them out."
        )
    unfinished = [x for x in files.list_folder(folder) if picture_folders.is_unfinished(x.name)]
    if unfinished:
        raise InputError(
            f"'{folder}' holds {len(unfinished)} pictures whose download is not complete, such as "
            f"'{unfinished[0].name}'. Download them, or take them out."
        )
    found = {}
    for path in paths:
        # macOS writes "é" in other bytes than other systems do.
        name = unicodedata.normalize("NFC", path.stem)
        if name in found:
            apart = nearby.sides_in_one(folder) or "Take one of them out."
            raise InputError(
                f"'{found[name]}' and '{path}' have the same name but for the suffix, so "
                f"which one is meant is not clear. {apart}"
            )
        found[name] = path
    if not found:
        unused = picture_folders.find_unused(folder, [folder])
        raise MissingInputError(
            f"'{folder}' does not hold images (files that end in {_SUFFIXES}). "
            + (picture_folders.describe_unused(folder, unused) or nearby.list_names(folder))
        )
    return found
