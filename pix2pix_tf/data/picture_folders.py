"""What lies in folders of pictures beside those that are read: litter, or to be told.

A picture that is passed over without a word is missing from a training that looks sound. Only what
systems leave behind by themselves, and no user means, is no word worth.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Collection

from pix2pix_tf.data import images

PICTURE_SUFFIXES = (*images.IMAGE_SUFFIXES, *images.OTHER_SUFFIXES)
# Of macOS and Windows, beside hidden files.
_LITTER = ("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini")
# Of browsers, of programs that synchronise, and of iCloud, which hides the file.
_UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".icloud")
# Folders, in small letters, that no picture is meant to be read from.
_SET_ASIDE = {
    "@eadir": "small copies that a NAS keeps",
    **dict.fromkeys(("#recycle", "@recycle", "$recycle.bin"), "deleted ones"),
    **dict.fromkeys(("#snapshot", "@recently-snapshot"), "earlier states that a NAS keeps"),
}
_MOST_SHOWN = 5
# How far down pictures are looked for: in folders of pictures, and in those beside them, which
# may be the runs and the tools of a project.
_LEVELS_BELOW, _LEVELS_BESIDE = 3, 1


def is_litter(name: str) -> bool:
    """Returns whether a file or folder is one that systems leave, of which nothing is said."""
    return name.startswith(".") or name.lower() in _LITTER


def is_unfinished(name: str) -> bool:
    """Returns whether a file is a picture that has not been downloaded, or not yet wholly."""
    stem, suffix = os.path.splitext(name.lower())
    return suffix in _UNFINISHED and stem.endswith(PICTURE_SUFFIXES)


def is_set_aside(name: str) -> bool:
    """Returns whether a folder holds small copies or deleted pictures, such as "@eaDir"."""
    return name.lower() in _SET_ASIDE


def is_picture(name: str) -> bool:
    """Returns whether a file's name is that of a picture, of a kind that is read or not."""
    return name.lower().endswith(PICTURE_SUFFIXES) and not is_litter(name)


def count_pictures(folder: str | os.PathLike, *, levels: int = 0) -> int:
    """Returns how many pictures a folder holds, and those down to some levels below it."""
    count = 0
    for path, is_folder in _scan(folder):
        if not is_folder:
            count += is_picture(os.path.basename(path))
        elif levels:
            count += count_pictures(path, levels=levels - 1)
    return count


def list_subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders in a folder, sorted, but for litter; none if it cannot be listed."""
    return [pathlib.Path(path) for path, is_folder in _scan(folder) if is_folder]


def find_unused(folder: pathlib.Path, used: Collection[pathlib.Path]) -> dict[pathlib.Path, int]:
    """Returns how many pictures lie around those that are read, by their folder.

    Args:
        folder: Where pictures are looked for.
        used: The folders, it or below it, of which the pictures are read, but not those of
            folders in them.
    """
    are_read = set(map(_identity, used))
    lead_there = {_identity(parent) for path in used for parent in path.parents}
    found, visited = {}, set()

    def visit(path: pathlib.Path) -> None:
        identity = _identity(path)
        if identity in visited:  # By a link.
            return
        visited.add(identity)
        is_read = identity in are_read
        if not is_read and (count := count_pictures(path)):
            found[path] = count
        levels = _LEVELS_BELOW if is_read else _LEVELS_BESIDE
        for child in list_subfolders(path):
            if _identity(child) in are_read | lead_there:
                visit(child)
            elif count := count_pictures(child, levels=levels):
                found[child] = count

    visit(folder)
    return found


def describe_unused(folder: pathlib.Path, found: dict[pathlib.Path, int], remedy: str = "") -> str:
    """Returns a line that tells what is not used; empty if all is.

    Args:
        folder: Where pictures are looked for.
        found: How many there are by their folder; see `find_unused`.
        remedy: What to do, said unless all of them are set aside by their folders' names.
    """
    if not found:
        return ""
    shown = []
    for path, count in [*found.items()][:_MOST_SHOWN]:
        what = f"{count:,} picture{'s' * (count != 1)}"
        if reason := _SET_ASIDE.get(path.name.lower()):
            what += f", {reason}"
        shown.append(
            f"{what} beside its folders"
            if path == folder
            else f"'{path.relative_to(folder)}' ({what})"
        )
    more = len(found) - _MOST_SHOWN
    tail = f" and {more} more folders" if more > 0 else ""
    is_meant = any(not is_set_aside(path.name) for path in found)
    return f"Not used of '{folder}': {', '.join(shown)}{tail}." + is_meant * f" {remedy}".rstrip()


def _scan(folder: str | os.PathLike) -> list[tuple[str, bool]]:
    """Returns what is in a folder, but for litter: paths, sorted, and whether it is a folder.

    Nothing if it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((x.path, _is_folder(x)) for x in entries if not is_litter(x.name))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link to itself.
        return False


def _identity(path: pathlib.Path) -> tuple[int, int] | None:
    """Returns what is the same for all names of a folder: links, and other capitals."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
