"""The paper's published data sets: what they are, where they are, and how to get them.

`locate` turns what a user typed (a folder, or a name such as `facades`) into the
folder that holds the splits, and downloads a published set when it is not there
yet. A set is either complete in its final place or absent from it: download and
unpacking happen in a hidden temporary folder beside it, on the same disk, and
one rename publishes the result.

Every image is a pair: A is the left half, B the right half.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import pathlib
import posixpath
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO

import keras
from absl import logging

from pix2pix_tf import errors, files
from pix2pix_tf.data import layouts, records

try:
    import fcntl
except ImportError:  # Windows: no lock, so left-over folders are not swept there.
    fcntl = None

_HOST = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"

# Not a published set, but as good an answer to "which names are there?".
_DEMO = "demo"


@dataclasses.dataclass(frozen=True)
class PublishedDataset:
    """One archive of the authors' server.

    Attributes:
        name: What the user types, and the folder's name.
        url: A gzip-compressed tar archive with a folder per split.
        direction: `AtoB` or `BtoA`, the task of the paper, or its first one.
        splits: The split folders of the archive.
        num_train: Training images. The two `edges2*` counts are the paper's
            rounded ones, the others exact.
        download_megabytes: Approximate size of the archive, in 10^6 bytes.
        description: One line: origin, A and B.
        citation: The work to cite when results are shown.
        has_both_directions: Whether the paper trains the other one too.
        sha256: Hexadecimal digest of the archive, or None where the authors
            publish none; the archive's own CRC is then the only check.
    """

    name: str
    url: str
    direction: str
    splits: tuple[str, ...]
    num_train: int
    download_megabytes: int
    description: str
    citation: str
    has_both_directions: bool = False
    sha256: str | None = None


# Directions and counts: the paper's appendix and the docs/datasets.md of the authors'
# PyTorch repository. Sizes: the server's listing.
PUBLISHED: dict[str, PublishedDataset] = {
    dataset.name: dataset
    for dataset in (
        PublishedDataset(
            name="facades",
            url=f"{_HOST}/facades.tar.gz",
            direction="BtoA",
            splits=("train", "val", "test"),
            num_train=400,
            download_megabytes=30,
            description="CMP Facades: photo of a house front (A), its labelled parts (B).",
            citation=(
                'Tylecek and Sara, "Spatial Pattern Templates for Recognition of Objects '
                'with Regular Structure", GCPR 2013'
            ),
        ),
        PublishedDataset(
            name="cityscapes",
            url=f"{_HOST}/cityscapes.tar.gz",
            direction="BtoA",
            has_both_directions=True,
            splits=("train", "val"),
            num_train=2975,
            download_megabytes=103,
            description=(
                "Cityscapes: street photo (A), its labels (B). Under the licence of "
                "https://www.cityscapes-dataset.com."
            ),
            citation=(
                'Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene '
                'Understanding", CVPR 2016'
            ),
        ),
        PublishedDataset(
            name="maps",
            url=f"{_HOST}/maps.tar.gz",
            direction="AtoB",
            has_both_directions=True,
            splits=("train", "val"),
            num_train=1096,
            download_megabytes=250,
            description="Google Maps around New York: aerial photo (A), map (B).",
            citation=(
                'Isola et al., "Image-to-Image Translation with Conditional Adversarial '
                'Networks", CVPR 2017'
            ),
        ),
        PublishedDataset(
            name="edges2shoes",
            url=f"{_HOST}/edges2shoes.tar.gz",
            direction="AtoB",
            splits=("train", "val"),
            num_train=50_000,
            download_megabytes=2_200,
            description="UT Zappos50K: edges found by HED (A), photo of a shoe (B).",
            citation=(
                'Yu and Grauman, "Fine-Grained Visual Comparisons with Local Learning", CVPR 2014'
            ),
        ),
        PublishedDataset(
            name="edges2handbags",
            url=f"{_HOST}/edges2handbags.tar.gz",
            direction="AtoB",
            splits=("train", "val"),
            num_train=137_000,
            download_megabytes=8_600,
            description="Amazon handbags: edges found by HED (A), photo of a handbag (B).",
            citation=(
                'Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", '
                "ECCV 2016"
            ),
        ),
        PublishedDataset(
            name="night2day",
            url=f"{_HOST}/night2day.tar.gz",
            # The name says A to B; the paper's task is the other one, day to night.
            direction="BtoA",
            splits=("train", "val", "test"),
            num_train=17_823,
            download_megabytes=2_000,
            description="Transient Attributes: webcam view by night (A), by day (B).",
            citation=(
                'Laffont et al., "Transient Attributes for High-Level Understanding and '
                'Editing of Outdoor Scenes", SIGGRAPH 2014'
            ),
        ),
    )
}


def locate(dataset: str | os.PathLike, data_dir: str | os.PathLike = "") -> pathlib.Path:
    """Returns the folder that holds the splits of `dataset`, downloading it if need be.

    A bare published name (`facades`, no path separator) is looked for as
    `data_dir/facades`, then as `./facades`, in both cases only if a split is
    inside (in any layout of `layouts.find_pairs`, or records), so that an unrelated
    folder called `maps` does no harm; then it is downloaded to `data_dir/facades`.
    Anything else is a path, returned as given whatever it contains.

    Args:
        dataset: A folder, or a key of `PUBLISHED`.
        data_dir: Where published sets live. Empty means the Keras cache,
            `~/.keras/datasets`, or `$KERAS_HOME/datasets`.

    Raises:
        MissingInputError: If `dataset` is neither a folder nor a published name.
        InputError: If it is a file, cannot be looked for, or the download fails (see `download`).
    """
    dataset = os.fspath(dataset)
    if dataset in PUBLISHED:
        return find_published(dataset, data_dir) or download(dataset, data_dir)
    folder = _expand(dataset)
    if dataset and files.is_folder(folder):  # pathlib reads an empty name as the working directory.
        return folder
    if dataset and folder.exists():
        raise errors.InputError(
            f"The data set '{dataset}' is a file, not a folder. Pass the folder that holds the "
            f"splits (such as train/), or one of: {_names()}."
        )
    raise errors.MissingInputError(_unknown(dataset))


def find_published(name: str, data_dir: str | os.PathLike = "") -> pathlib.Path | None:
    """Returns the folder of a published set that is here already, else None; see `locate`."""
    for folder in (_resolve_data_dir(data_dir) / name, pathlib.Path(name)):
        if _has_split(folder, PUBLISHED[name]):
            return folder
    return None


def download(name: str, data_dir: str | os.PathLike) -> pathlib.Path:
    """Downloads a published set to `data_dir/name` and returns that folder.

    Does nothing if the folder already holds a split. After an interruption of
    any kind (Ctrl-C, `kill -9`, power loss), running it again is safe: it sweeps
    what earlier attempts left and starts from the first byte. Continuing in the
    middle of a file is not attempted: `keras.utils.get_file` cannot, and takes a
    file cut short for a complete one, so each attempt has a folder of its own.

    Processes that want the same set wait for the first and share its result.
    Where the file system has no locks each downloads its own copy, and the first
    to finish publishes it.

    Args:
        name: A key of `PUBLISHED`.
        data_dir: As in `locate`. Created if missing.

    Raises:
        MissingInputError: If `name` is not published.
        InputError: If `data_dir` cannot be written, `data_dir/name` is in the
            way, the download fails, or the archive is damaged or unsafe.
    """
    if name not in PUBLISHED:
        raise errors.MissingInputError(_unknown(name))
    published = PUBLISHED[name]
    parent = _resolve_data_dir(data_dir)
    folder = parent / name
    if _has_split(folder, published):
        return folder
    try:
        _check_free(folder, published)  # Before the gigabytes, not after.
        parent.mkdir(parents=True, exist_ok=True)
        with _lock(parent / f".{name}.lock") as locked:
            if _has_split(folder, published):  # Whoever held the lock has finished it.
                return folder
            if locked:  # Then no live process owns any of these.
                for leftover in parent.glob(f".{name}-*.part"):
                    shutil.rmtree(leftover, ignore_errors=True)
            temporary = tempfile.mkdtemp(prefix=f".{name}-", suffix=".part", dir=parent)
            try:
                _download_into(pathlib.Path(temporary), folder, published)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise errors.InputError(
            f"Cannot store the data set '{name}' in '{parent}' ({error}). Pass a folder that can "
            "be written, with enough free space, with --data_dir."
        ) from error
    return folder


def _download_into(
    temporary: pathlib.Path, folder: pathlib.Path, published: PublishedDataset
) -> None:
    """Downloads and unpacks in `temporary`, then moves the result to `folder`."""
    archive = _fetch(temporary, folder, published)
    unpacked = temporary / "unpacked"
    try:
        _unpack(archive, unpacked, published)
    # zlib.error: a damaged block. OSError: no gzip data (BadGzipFile), or a full disk.
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise errors.InputError(
            f"{archive.name}, downloaded from {published.url}, could not be unpacked "
            f"({error or type(error).__name__}). It was deleted, so run the command again to retry "
            f"it. If that does not help, check the free space and the address in a browser."
        ) from error
    # The archives hold a folder of the set's name; a bare train/ does as well.
    candidates = (unpacked / published.name, unpacked)
    content = next((path for path in candidates if _has_split(path, published)), None)
    if content is None:
        raise errors.InputError(
            f"{archive.name}, downloaded from {published.url}, holds none of the folders "
            f"{', '.join(published.splits)}. It was deleted; check the address in a browser."
        )
    if hasattr(os, "sync"):  # Else a power loss may leave the new name on empty files.
        os.sync()
    _publish(content, folder, published)


def _publish(content: pathlib.Path, folder: pathlib.Path, published: PublishedDataset) -> None:
    """Renames `content` to `folder`, unless another process was first."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()  # Windows does not rename onto an empty folder; POSIX would.
    try:
        os.replace(content, folder)
    except OSError:
        if not _has_split(folder, published):
            _check_free(folder, published)
            raise


def _fetch(
    temporary: pathlib.Path, folder: pathlib.Path, published: PublishedDataset
) -> pathlib.Path:
    """Returns the downloaded archive, a file in `temporary`."""
    logging.info("Downloading %s, about %d MB.", published.name, published.download_megabytes)
    try:
        return pathlib.Path(
            keras.utils.get_file(
                fname=f"{published.name}.tar.gz",
                origin=published.url,
                file_hash=published.sha256,
                hash_algorithm="sha256" if published.sha256 else "auto",
                cache_dir=str(temporary),
                cache_subdir="",
            )
        )
    except Exception as error:  # get_file raises a bare Exception for what urllib refuses.
        raise errors.InputError(
            f"Could not download the data set '{published.name}' from {published.url} ({error}). "
            f"Run the command again, or put the images there by hand: "
            f"{folder / published.splits[0] / '*.jpg'}, and likewise "
            f"{', '.join(published.splits[1:])}."
        ) from error


def _unpack(archive: pathlib.Path, folder: pathlib.Path, published: PublishedDataset) -> None:
    """Unpacks a gzip-compressed tar archive into the new folder `folder`.

    Only plain files and folders are created, with this process's owner and
    permissions: what `tarfile`'s filter "data" guards against cannot happen on
    Pythons without it either. As no link ever reaches the disk, looking at names
    is enough to know where a member goes. A link to a file unpacked before it
    becomes a copy.
    """
    folder.mkdir()
    # Mode r:gz, not r: an uncompressed tar cut at a member's end would pass for whole.
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            danger = _danger(member, folder)
            if danger:
                raise errors.InputError(
                    f"{archive.name}, downloaded from {published.url}, has the unsafe member "
                    f"'{member.name}': {danger}. Nothing was kept. Do not trust this address."
                )
            path = folder / member.name
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.isfile():
                with tar.extractfile(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
            else:
                shutil.copyfile(folder / _linked_name(member), path)
        # tarfile stops at the end mark; the CRC that vouches for the whole comes after it.
        while tar.fileobj.read(1 << 20):
            pass


def _danger(member: tarfile.TarInfo, folder: pathlib.Path) -> str:
    """Returns why `member` must not be unpacked in `folder`, or an empty string."""
    if _leaves(member.name):
        return "its name leads outside the folder"
    if member.isfile() or member.isdir():
        return ""
    if not (member.issym() or member.islnk()):
        return "it is neither a file nor a folder"
    linked = _linked_name(member)
    if _leaves(linked) or not (folder / linked).is_file():
        return f"it links to '{member.linkname}', which is no file unpacked before it"
    return ""


def _linked_name(member: tarfile.TarInfo) -> str:
    # A symbolic link counts from the folder it is in, a hard link from the root.
    base = posixpath.dirname(member.name) if member.issym() else ""
    return posixpath.normpath(posixpath.join(base, member.linkname))


def _leaves(name: str) -> bool:
    """Tells whether a relative name could lead out of its folder, on any system."""
    path = pathlib.PureWindowsPath(name)  # Splits at both slashes, and knows drives.
    return bool(path.drive or path.root) or ".." in path.parts


def _has_split(folder: pathlib.Path, published: PublishedDataset) -> bool:
    # Records of any splits, and damaged ones too: who reads them says so, where another
    # folder's data would be taken without a word.
    if records.is_there(folder):
        return True
    return any(layouts.has_split(folder, split) for split in published.splits)


def _check_free(folder: pathlib.Path, published: PublishedDataset) -> None:
    """Refuses to put a set where something else is."""
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    if _has_split(folder, published):  # Another process has put it there meanwhile.
        return
    raise errors.InputError(
        f"'{folder}' exists but holds none of the folders {', '.join(published.splits)}, so the "
        f"data set '{published.name}' cannot be put there. Move it away, or pass another folder "
        "with --data_dir."
    )


@contextlib.contextmanager
def _lock(path: pathlib.Path) -> Iterator[bool]:
    """Holds a lock on `path`, waiting for it; False where the system cannot lock.

    The system releases it when the process ends, however it ends. The empty
    file stays: deleting it would let two processes lock two files of one name.
    """
    try:
        file = path.open("w")
    except OSError:  # The folder cannot be written: the next step says it better.
        yield False
        return
    with file:
        yield _acquire(file)


def _acquire(file: IO[str]) -> bool:
    if fcntl is None:
        return False
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.warning("Waiting for another process that downloads (lock: %s).", file.name)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # Some network file systems have no locks.
        return False
    return True


def _resolve_data_dir(data_dir: str | os.PathLike) -> pathlib.Path:
    if os.fspath(data_dir):
        return _expand(data_dir)
    # Read here: get_file of Keras 2 ignores the variable, Keras 3 reads it at import.
    keras_home = os.environ.get("KERAS_HOME") or "~/.keras"
    return _expand(keras_home) / "datasets"


def _expand(path: str | os.PathLike) -> pathlib.Path:
    # Not Path.expanduser, which raises RuntimeError where `~name` is no user.
    return pathlib.Path(os.path.expanduser(path))


def _names() -> str:
    return ", ".join([*PUBLISHED, _DEMO])


def _unknown(dataset: str) -> str:
    """Returns the message for something that is neither a folder nor a name."""
    close = difflib.get_close_matches(
        os.path.basename(dataset.rstrip("/\\")).lower(), [*PUBLISHED, _DEMO], n=1
    )
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return (
        f"No data set '{dataset}': there is no such folder, and it is not a published name.{hint} "
        f"Pass a folder that holds the splits (such as train/), or one of: {_names()}."
    )
