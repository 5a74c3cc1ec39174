"""What lies where pairs were looked for in vain, and the command that makes pairs of it.

Most data are there, one folder or one letter off. Nothing here is read as pairs: which side is A,
and which files belong together, is for their owner to say. But the message says it for them.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
import pathlib
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence

from pix2pix_tf import files
from pix2pix_tf.data import arrays, images, picture_folders

_PREPARE = "pix2pix prepare"
_MOST_NAMED = 6
_MOST_LOOKED_INTO = 50  # Folders.
_SEPARATORS = "_ .-"  # As in brackets of a regular expression.
# Other names of the splits; "test" is not "val", which is looked at during the training.
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "eval", "dev"),
    "test": ("test", "testing"),
}
_ENDING = re.compile("[_.-][A-Za-z]+$")  # With nothing that a shell reads otherwise.
_LEADING_ZEROS = r"(?<!\d)0+(?=\d)"

Sides = Callable[[pathlib.Path], Sequence[pathlib.Path]]


def describe(folder: pathlib.Path, split: str, sides_of: Sides, *, has_others: bool = False) -> str:
    """Returns what lies in or around a folder without a split, with what to do.

    Args:
        folder: Where the split was looked for.
        split: Its name.
        sides_of: Returns the folders of the split in a data set, none if it has not got it.
        has_others: Whether the folder has other splits, and is the right one then.

    Returns:
        A sentence or two; empty if nothing is there that looks like pairs.
    """
    if not files.is_folder(folder):
        return ""
    folders = picture_folders.list_subfolders(folder)[:_MOST_LOOKED_INTO]
    there = _backslashes(folder) or renames(folders, [split]) or _in_split(folder, split)
    if there or has_others:
        return there
    return (
        _above(folder, sides_of)
        or _two_sides(folder, folders, split, sides_of)
        or _below(folders, split, sides_of)
        or _no_splits(folder)
        or "".join(map(_no_splits, _with_pictures(folders)))  # Of one, else they are two sides.
    )


def list_names(folder: pathlib.Path) -> str:
    """Returns a sentence that lists what is in a folder."""
    if files.is_file(folder):
        return f"'{folder}' is a file, not a folder: if it is an archive, unpack it and pass that."
    if not files.is_folder(folder):
        return f"There is no folder '{folder}'."
    here = _list(folder)
    more = f" and {len(here) - _MOST_NAMED} more" if len(here) > _MOST_NAMED else ""
    return f"'{folder}' holds {_join(path.name for path in here[:_MOST_NAMED]) or 'nothing'}{more}."


def _list(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in files.list_folder(folder) if not picture_folders.is_litter(path.name)]


def _backslashes(folder: pathlib.Path) -> str:
    names = [path.name for path in _list(folder) if "\\" in path.name]
    if not names:
        return ""
    return (
        f"{len(names)} names in it hold a backslash, such as '{names[0]}': an archive made on "
        "Windows was unpacked without making folders of them. In bash, this makes them: (cd "
        f'{_quoted(folder)} && for x in *\\\\*; do mkdir -p "$(dirname "${{x//\\\\//}}")" && '
        'mv "$x" "${x//\\\\//}"; done)'
    )


def renames(folders: Sequence[pathlib.Path], splits: Collection[str]) -> str:
    """Returns which folders are named as those of splits would be, but for case, "_" and the like.

    Args:
        folders: Those of a data set.
        splits: Of one of these there has to be a folder; else nothing is said.
    """
    wanted = {
        name + side.lower(): own + side
        for own, names in _SPLIT_NAMES.items()
        for name in names
        for side in ("", "A", "B")
    }
    renamed = {path: wanted.get(_plain(path.name)) for path in folders}
    targets = [*renamed.values()]
    renamed = {
        path: new
        for path, new in renamed.items()
        if new and targets.count(new) == 1 and not files.is_folder(path.with_name(new))
    }
    if not any(new.startswith(tuple(splits)) for new in renamed.values()):
        return ""
    commands = (f"mv {_quoted(old)} {_quoted(old.with_name(new))}" for old, new in renamed.items())
    return f"It has {_join(path.name for path in renamed)}. Rename: {' && '.join(commands)}"


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", _SEPARATORS))


def _in_split(folder: pathlib.Path, split: str) -> str:
    """Names folders of pictures in that of the split, which may be the sides."""
    inside = folder / split
    found = _with_pictures(picture_folders.list_subfolders(inside))
    output = beside(folder, f"_pairs/{split}")
    return _joined(found, found, output, "; other splits likewise") if len(found) > 1 else ""


def _two_sides(
    folder: pathlib.Path, folders: Sequence[pathlib.Path], split: str, sides_of: Sides
) -> str:
    """Names folders that may be the sides: of splits, or without them."""
    output = beside(folder, "_pairs")
    then = f"{_PREPARE} split --input={{}} --output={_quoted(beside(folder, '_split'))}"
    above = {
        path: below[0]
        for path in folders
        if (below := _with_pictures(_named(split, picture_folders.list_subfolders(path)), levels=1))
        and len(sides_of(path)) < 2  # Else it is a data set of its own.
    }
    if len(above) > 1:  # All their splits at once.
        is_deeper = not all(map(picture_folders.count_pictures, above.values()))
        anew = f", then {then.format(_quoted(output))} divides them anew, without folders in splits"
        return _joined([*above.values()], [*above], output, anew * is_deeper)
    without = _with_pictures(folders)
    if len(without) < 2:
        return ""
    of_split = [path for path in without if path.name.lower().startswith(split)]
    if len(of_split) == 2:
        return _joined(of_split, of_split, f"{output}/{split}", "; other splits likewise")
    if [path.name for path in without] == ["A", "B"]:
        return f"It has A and B, but no splits: {then.format(_quoted(folder))} divides them."
    return _joined(without, without, output, f", then {then.format(_quoted(output))} divides them")


def _named(split: str, paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    return [path for path in paths if _plain(path.name) in _SPLIT_NAMES[split]]


def _with_pictures(paths: Sequence[pathlib.Path], *, levels: int = 0) -> list[pathlib.Path]:
    return [path for path in paths if picture_folders.count_pictures(path, levels=levels)]


def _joined(
    found: Sequence[pathlib.Path], sides: Sequence[pathlib.Path], output: str, then: str = ""
) -> str:
    """Says where pictures were found, and the command that joins the first two of the sides."""
    which = "these" if len(found) == 2 else "two of them, say the first,"
    a, b = sides[:2]
    is_array = any(
        arrays.is_array(path) for side in found[:2] for path in images.list_images(side)[:1]
    )
    return (
        f"It has pictures in {_join(found[:_MOST_NAMED])}. If {which} are the two sides, "
        f"{combine(a, b, output, layout='folders' if is_array else '')} makes pairs of them{then}."
    )


def combine(a, b, output, *, layout: str = "", ignored: str = "") -> str:
    """Returns the command that makes pairs of two folders."""
    given = dict(input=a, input_b=b, output=output, layout=layout, ignore_in_names=ignored)
    options = (f"--{name}={_quoted(value)}" for name, value in given.items() if str(value))
    return f"{_PREPARE} combine {' '.join(options)}"


def beside(folder: pathlib.Path, ending: str) -> str:
    """Returns a path beside a folder, for what is made of it."""
    return f"{folder if folder.name.strip('.') else folder.resolve()}{ending}"


def _above(folder: pathlib.Path, sides_of: Sides) -> str:
    """Says which folder above has the split, if this one is part of it."""
    place = folder.absolute()
    for parent in reversed(place.parents[:2]):  # What is above A and B, not A.
        if any(place in (side, *side.parents) for side in sides_of(parent)):
            shown = os.path.relpath(parent) if not folder.is_absolute() else parent
            return f"'{shown}' has it, of which this is a part: pass --dataset={_quoted(shown)}"
    return ""


def _below(folders: Sequence[pathlib.Path], split: str, sides_of: Sides) -> str:
    """Says which folders below have the split."""
    below = [path for parent in folders for path in picture_folders.list_subfolders(parent)]
    found = [path for path in (*folders, *below[:_MOST_LOOKED_INTO]) if sides_of(path)]
    if not found:
        return ""
    return (
        f"{_join(found[:_MOST_NAMED])} {'have' if len(found) > 1 else 'has'} it: pass "
        f"--dataset={_quoted(found[0])}"
    )


def _no_splits(folder: pathlib.Path) -> str:
    count = picture_folders.count_pictures(folder)
    if not count:
        return ""
    found = f"{'1 picture lies' if count == 1 else f'{count:,} pictures lie'} in '{folder}'"
    text = (
        f"{found}, but no folder for each split: if they are pairs A|B, {_PREPARE} split "
        f"--input={_quoted(folder)} --output={_quoted(beside(folder, '_split'))} divides them. "
    )
    return (text + sides_in_one(folder)).rstrip()


def sides_in_one(folder: pathlib.Path) -> str:
    """Returns how to part two sides that lie in one folder, told by suffix or ending of the name.

    Empty if not every picture has a partner so.
    """
    paths = [x for x in _list(folder) if picture_folders.is_picture(x.name) and files.is_file(x)]
    suffixes = sorted({path.suffix for path in paths})
    found = {match[0] for path in paths if (match := _ENDING.search(path.stem))}
    endings = sorted(found, reverse=True)[:_MOST_NAMED]  # "_B" is B's.
    patterns = [f"*{suffixes[-1]}"] if len(suffixes) == 2 else []
    for pattern in (*patterns, *(f"*{ending}.*" for ending in endings)):
        b = [path for path in paths if fnmatch.fnmatchcase(path.name, pattern)]
        a = sorted({*paths}.difference(b))
        stems = [{path.stem for path in side} for side in (a, b)]
        if not len(a) == len(b) == len(stems[0]) == len(stems[1]):
            continue
        if stems[0] == stems[1] or differences_of_names(*stems)[0]:
            shown = _quoted(folder)
            others = " ".join(f"{shown}/*{x}" for x in sorted({path.suffix for path in a}))
            return (
                f"If '{a[0].name}' and '{b[0].name}' are A and B of a pair: mkdir -p {shown}/A "
                f"{shown}/B && mv {shown}/{pattern} {shown}/B && mv {others} {shown}/A"
            )
    return ""


def differences_of_names(a: Collection[str], b: Collection[str]) -> tuple[str, str]:
    """Returns what the names of two sides differ by, and the pattern that pairs them.

    Args:
        a: Names of A, without suffix; with "/" after those of folders.
        b: Of B.

    Returns:
        A sentence, and the regular expression of what to take out of the names. Both are
        empty if that would not pair most of them.
    """
    num_alike = len(set(a) & set(b))
    if num_alike == len(a) == len(b):
        return "", ""
    for told, pattern in _patterns(a, b):
        stripped = [{without(pattern, name) for name in names} for names in (a, b)]
        are_unique = all(len(x) == len(names) for x, names in zip(stripped, (a, b)))
        are_unique &= not any(name.endswith("/") or not name for x in stripped for name in x)
        num_paired = len(stripped[0] & stripped[1])
        if are_unique and num_paired > num_alike and 2 * num_paired > max(map(len, stripped)):
            return told, pattern
    return "", ""


def without(pattern: str, name: str) -> str:
    """Returns a name, its folders as they are, without what matches a regular expression.

    An empty one matches nothing that could be taken out.
    """
    folders, separator, last = name.rpartition("/")
    return folders + separator + re.sub(pattern, "", last)


def _patterns(a: Collection[str], b: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yields what names may differ by, and the pattern of it; the simplest first."""
    lasts = [[name.rpartition("/")[2] for name in names] for names in (a, b)]
    zeros = ("they differ by leading zeros", _LEADING_ZEROS)
    ends = _shared(lasts, flip=-1, told="ending", form="{}$", digits=r"^\d+")
    begins = _shared(lasts, flip=1, told="beginning", form="^{}", digits=r"\d+$")
    reasons = [each for each in (ends, zeros, begins) if each[1]]
    for number in range(1, len(reasons) + 1):
        for some in itertools.combinations(reasons, number):
            told, patterns = zip(*some)
            text = ", and ".join(told)
            yield text[:1].upper() + text[1:], "|".join(patterns)


def _shared(lasts, *, flip: int, told: str, form: str, digits: str) -> tuple[str, str]:
    """Returns what all names of a side end or begin with, told and as a pattern."""
    common = [os.path.commonprefix([name[::flip] for name in names])[::flip] for names in lasts]
    # Digits belong to the numbers, and the letters before a separator to the words.
    common = [re.sub(digits, "", text) for text in common]
    word, separator = f"[^{_SEPARATORS}]*", f"[{_SEPARATORS}]"
    edge = f"^{word}(?={separator})" if flip == -1 else f"(?<={separator}){word}$"
    common = [re.sub(edge, "", text) for text in common]
    sides = [f"the names of {side} have the {told} '{x}'" for side, x in zip("AB", common) if x]
    pattern = "|".join(form.format(re.escape(text)) for text in common if text)
    return " and ".join(sides), pattern


def _join(names) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _quoted(path) -> str:
    return shlex.quote(str(path))
