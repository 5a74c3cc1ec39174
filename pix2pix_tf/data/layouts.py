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
# Pairs would be missing without a word if these were passed over like other files.
OTHER_PICTURES = (".gif", ".webp", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".tga")


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

    def inspect(self, which: slice = slice(None)) -> dict[pathlib.Path, images.ImageInfo]:
        """Returns what the headers of these files say; see `images.inspect_image`."""
        return {path: images.inspect_image(path) for path in self.files[which]}

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
    for a_folder, b_folder in folders:
        missing = [path for path in (a_folder, b_folder) if not files.is_folder(path)]
        if not missing:
            return _match_by_name(a_folder, b_folder)
        if len(missing) == 1:
            (there,) = {a_folder, b_folder} - {*missing}
            raise MissingInputError(
                f"There is '{there}' but no '{missing[0]}'. Put the partners there, with the same "
                "names."
            )
    aligned = folder / split
    if not files.is_folder(aligned):
        found = [name for name in SPLITS if has_split(folder, name)]
        pairs_of_folders = ", or in ".join(f"'{a}' and '{b}'" for a, b in folders)
        raise MissingInputError(
            f"'{folder}' has no split '{split}'. Splits found: {', '.join(found) or 'none'}. "
            f"Expected '{aligned}' with images that hold A and B side by side; or one image a "
            f"file, paired by name, in {pairs_of_folders}."
        )
    found = _list_images(aligned)
    if not found:
        raise MissingInputError(
            f"'{aligned}' does not hold images (0 files that end in "
            f"{', '.join(images.IMAGE_SUFFIXES)}). Put the pairs there."
        )
    _check_unique(found)
    return [PairFiles(path, None) for path in found]


def two_folders(folder: pathlib.Path, split: str) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Returns where A and B of a split may be, if each has a folder of its own."""
    return [
        (folder / split / "A", folder / split / "B"),
        (folder / "A" / split, folder / "B" / split),
        (folder / f"{split}A", folder / f"{split}B"),
    ]


def count_pairs(folder: pathlib.Path, split: str) -> int:
    """Returns the number of pairs of a split; opens none of them. Raises as `find_pairs`."""
    if records.is_there(folder) and split in (counts := records.count_pairs(folder)):
        return counts[split]
    return len(find_pairs(folder, split))


def has_split(folder: pathlib.Path, split: str) -> bool:
    """Returns whether there is a split, in any of the layouts of `find_pairs`.

    Raises:
        InputError: If there are records whose index cannot be used, or a folder cannot be read.
    """
    if records.is_there(folder):
        return split in records.count_pairs(folder)
    either = [path for pair in two_folders(folder, split) for path in pair]
    return files.is_folder(folder / split) or any(files.is_folder(path) for path in either)


def _match_by_name(a_folder: pathlib.Path, b_folder: pathlib.Path) -> list[PairFiles]:
    a_files, b_files = _list_images(a_folder), _list_images(b_folder)
    _check_unique(a_files)
    _check_unique(b_files)
    a_of, b_of = ({path.stem: path for path in found} for found in (a_files, b_files))
    lonely = [f"'{a_of[stem]}' has no partner in '{b_folder}'" for stem in a_of.keys() - b_of]
    lonely += [f"'{b_of[stem]}' has no partner in '{a_folder}'" for stem in b_of.keys() - a_of]
    if lonely:
        more = len(lonely) - _MOST_LONELY_SHOWN
        tail = f"; and {more} more" if more > 0 else ""
        raise MissingInputError(
            f"{'; '.join(sorted(lonely)[:_MOST_LONELY_SHOWN])}{tail}. Pairs have the same name in "
            "both folders, the suffix may differ: add the missing files or take these out."
        )
    if not a_of:
        raise MissingInputError(
            f"'{a_folder}' and '{b_folder}' do not hold images. Put the pairs there."
        )
    return [PairFiles(a_of[stem], b_of[stem]) for stem in sorted(a_of)]


def _list_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the images of a folder; pictures that cannot be read are not passed over."""
    others = list_other_pictures(folder)
    if others:
        raise InputError(
            f"'{folder}' holds {len(others)} pictures of a kind that is not read, such as "
            f"'{others[0].name}'. Convert them to PNG or JPEG, or take them out."
        )
    return images.list_images(folder)


def list_other_pictures(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the pictures of a folder of kinds that are not read, by their suffix, sorted."""
    return [
        path
        for path in files.list_folder(folder)
        if path.suffix.lower() in OTHER_PICTURES and not path.name.startswith(".")
    ]


def _check_unique(paths: Sequence[pathlib.Path]) -> None:
    seen = {}
    for path in paths:
        if path.stem in seen:
            raise InputError(
                f"'{seen[path.stem]}' and '{path}' have the same name but for the suffix, so "
                "which one is meant is not clear. Take one of them out."
            )
        seen[path.stem] = path
