"""What lies where pairs were looked for in vain, and the command that makes pairs of it.

Most data are there, one folder or one letter off. Nothing here is read as pairs: which side is A,
and which files belong together, is for their owner to say. But the message says it for them.
"""

from __future__ import annotations

import os
import pathlib
import re
import shlex
from collections.abc import Callable, Collection, Sequence

from pix2pix_tf import files
from pix2pix_tf.data import images

_MOST_NAMED = 6
_MOST_LOOKED_INTO = 50  # Folders.
_SEPARATORS = str.maketrans("", "", "_- .")
# Other names of the splits; "test" is not "val", which is looked at during the training.
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def describe(folder: pathlib.Path, split: str, has_split: Callable[[pathlib.Path], bool]) -> str:
    """Returns what lies in or around a folder without a split, with what to do.

    Args:
        folder: Where the split was looked for.
        split: Its name.
        has_split: Whether another folder has it, in one of the known layouts.
    """
    if not files.is_folder(folder):
        return ""
    here = [path for path in files.list_folder(folder) if not path.name.startswith(".")]
    folders = [path for path in here if files.is_folder(path)][:_MOST_LOOKED_INTO]
    pictures = [path for path in here if path.suffix.lower() in images.IMAGE_SUFFIXES]
    return (
        _backslashes(here)
        or _other_spelling(folders, split)
        or _two_sides(folder, folders, split)
        or _elsewhere(folder, folders, has_split)
        or _no_splits(folder, pictures)
        or _all_there_is(here)
    )


def _backslashes(here: Sequence[pathlib.Path]) -> str:
    names = [path.name for path in here if "\\" in path.name]
    if not names:
        return ""
    return (
        f"{len(names)} names in it hold a backslash, such as '{names[0]}': an archive made on "
        "Windows was unpacked without making folders of them. Unpack it with 7-Zip, or move the "
        "files into these folders."
    )


def _other_spelling(folders: Sequence[pathlib.Path], split: str) -> str:
    """Says which folders are named as the split's would be, but for case, "_" and the like."""
    ends = {"": "", "a": "A", "b": "B"}
    wanted = {name + end: split + ends[end] for name in _SPLIT_NAMES[split] for end in ends}
    found = {path.name: wanted.get(_plain(path.name)) for path in folders}
    renamed = {name: new for name, new in found.items() if new and new != name}
    if not renamed:
        return ""
    return (
        f"It has {_join(renamed)}: rename {'them' if len(renamed) > 1 else 'it'} to "
        f"{_join(dict.fromkeys(renamed.values()))}."
    )


def _plain(name: str) -> str:
    return name.lower().translate(_SEPARATORS)


def _two_sides(folder: pathlib.Path, folders: Sequence[pathlib.Path], split: str) -> str:
    """Names two folders of pictures that may be the sides: SPLIT/X, X/SPLIT, or X alone."""
    inside = folder / split
    below = files.list_folder(inside) if files.is_folder(inside) else []
    for paths, output, then in (
        (below, f"{folder}_pairs/{split}", ""),
        ([path / split for path in folders], f"{folder}_pairs/{split}", ""),
        (folders, f"{folder}_pairs", ", and prepare split then divides them"),
    ):
        sides = [path for path in paths if _has_pictures(path)]
        if len(sides) == 2:
            a, b = sides
            return (
                f"It has pictures in '{a}' and '{b}'. If these are the two sides, python -m "
                f"pix2pix_tf.prepare combine --input={_quoted(a)} --input_b={_quoted(b)} "
                f"--output={_quoted(output)} makes pairs A|B of them{then}."
            )
    return ""


def _has_pictures(folder: pathlib.Path) -> bool:
    return files.is_folder(folder) and any(
        path.suffix.lower() in images.IMAGE_SUFFIXES for path in files.list_folder(folder)
    )


def _elsewhere(
    folder: pathlib.Path,
    folders: Sequence[pathlib.Path],
    has_split: Callable[[pathlib.Path], bool],
) -> str:
    """Says which folder below, or above, has the split."""
    below = [path for parent in folders for path in (parent, *files.list_folder(parent))]
    found = [path for path in below[:_MOST_LOOKED_INTO] if files.is_folder(path)]
    found = [path for path in found if has_split(path)]
    above = folder.absolute().parent
    if len(found) == 1:
        return f"'{found[0]}' has it: pass that folder."
    if not found and has_split(above):
        shown = folder.parent if folder.parent.name else above
        return f"'{shown}' has it: pass that folder."
    return ""


def _no_splits(folder: pathlib.Path, pictures: Sequence[pathlib.Path]) -> str:
    if not pictures:
        return ""
    count = "1 image lies" if len(pictures) == 1 else f"{len(pictures):,} images lie"
    return (
        f"{count} in it, not in a folder for each split: if they are pairs A|B, python -m "
        f"pix2pix_tf.prepare split --input={_quoted(folder)} --output={_quoted(f'{folder}_split')} "
        "divides them."
    )


def _all_there_is(here: Sequence[pathlib.Path]) -> str:
    if not here:
        return "It is empty."
    more = f" and {len(here) - _MOST_NAMED} more" if len(here) > _MOST_NAMED else ""
    return f"It has {_join(path.name for path in here[:_MOST_NAMED])}{more}."


def differences_of_names(a: Collection[str], b: Collection[str]) -> str:
    """Returns what the names of two sides differ by, with the command that pairs them.

    Args:
        a: Names of A, without suffix.
        b: Of B.

    Returns:
        A sentence; empty if the names have nothing in common that would pair most of them.
    """
    num_alike = len(set(a) & set(b))
    for pattern, told in (*_endings(a, b), ("^0+", "They differ by leading zeros")):
        stripped = [{re.sub(pattern, "", name) for name in names} for names in (a, b)]
        are_unique = all(len(x) == len(names) for x, names in zip(stripped, (a, b)))
        num_paired = len(stripped[0] & stripped[1])
        if are_unique and num_paired > num_alike and 2 * num_paired > max(map(len, stripped)):
            return (
                f"{told}: python -m pix2pix_tf.prepare combine --ignore_in_names='{pattern}' makes "
                "pairs of them."
            )
    return ""


def _endings(a: Collection[str], b: Collection[str]):
    """Yields patterns of what all names of a side begin or end with, and how to say it."""
    for flip, begins in ((-1, "end"), (1, "begin")):
        common = [
            os.path.commonprefix([name[::flip] for name in names])[::flip] for names in (a, b)
        ]
        # Digits belong to the numbers.
        common = [re.sub(r"^\d+|\d+$", "", text) for text in common]
        told = [f"those of {side} {begins} in '{x}'" for side, x in zip("AB", common) if x]
        if told:
            form = "{}$" if flip == -1 else "^{}"
            patterns = [form.format(re.escape(text)) for text in common if text]
            yield "|".join(patterns), f"Of the names, {' and '.join(told)}"


def _join(names) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _quoted(path) -> str:
    return shlex.quote(str(path))
