"""The paper's published data sets: what they are, where they are, and how to get them.

`locate` turns what a user typed (a folder, or a name such as `facades`) into the
folder that holds the splits, and downloads a published set when it is not there
yet. A set is either complete in its final place or absent from it: download and
unpacking happen in a hidden folder beside it, which is then renamed.

Every image is a pair: A is the left half, B the right half.
"""

from __future__ import annotations

import dataclasses
import difflib
import gzip
import os
import pathlib
import shutil
import tarfile
import zlib

import keras
from absl import logging

from pix2pix_tf import errors, files
from pix2pix_tf.data import layouts, records

_HOST = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
# Not a published set, but as good an answer to "which names are there?".
_DEMO = "demo"


@dataclasses.dataclass(frozen=True)
class PublishedDataset:
    """One archive of the authors' server.

    Attributes:
        name: What the user types, and the folder's name.
        direction: `AtoB` or `BtoA`, the task of the paper, or its first one.
        num_train: Training images; of the two `edges2*` as the paper rounds them.
        download_megabytes: Approximate size of the archive, in 10^6 bytes.
        description: One line: origin, A and B.
        citation: The work to cite when results are shown.
        splits: The split folders of the archive.
        has_both_directions: Whether the paper trains the other one too.
    """

    name: str
    direction: str
    num_train: int
    download_megabytes: int
    description: str
    citation: str
    splits: tuple[str, ...] = ("train", "val")
    has_both_directions: bool = False

    @property
    def url(self) -> str:
        """A gzip-compressed tar archive with a folder per split."""
        return f"{_HOST}/{self.name}.tar.gz"


# Directions and counts: the paper's appendix and the docs/datasets.md of the authors'
# PyTorch repository. Sizes: the server's listing.
_ALL = (
    PublishedDataset(
        *("facades", "BtoA", 400, 30),
        description="CMP Facades: photo of a house front (A), its labelled parts (B).",
        citation='Tylecek and Sara, "Spatial Pattern Templates for Recognition of Objects with '
        'Regular Structure", GCPR 2013',
        splits=("train", "val", "test"),
    ),
    PublishedDataset(
        *("cityscapes", "BtoA", 2975, 103),
        description="Cityscapes: street photo (A), its labels (B). Under the licence of "
        "https://www.cityscapes-dataset.com.",
        citation='Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene '
        'Understanding", CVPR 2016',
        has_both_directions=True,
    ),
    PublishedDataset(
        *("maps", "AtoB", 1096, 250),
        description="Google Maps around New York: aerial photo (A), map (B).",
        citation='Isola et al., "Image-to-Image Translation with Conditional Adversarial '
        'Networks", CVPR 2017',
        has_both_directions=True,
    ),
    PublishedDataset(
        *("edges2shoes", "AtoB", 50_000, 2_200),
        description="UT Zappos50K: edges found by HED (A), photo of a shoe (B).",
        citation='Yu and Grauman, "Fine-Grained Visual Comparisons with Local Learning", CVPR 2014',
    ),
    PublishedDataset(
        *("edges2handbags", "AtoB", 137_000, 8_600),
        description="Amazon handbags: edges found by HED (A), photo of a handbag (B).",
        citation='Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", '
        "ECCV 2016",
    ),
    PublishedDataset(
        # The name says A to B; the paper's task is the other one, day to night.
        *("night2day", "BtoA", 17_823, 2_000),
        description="Transient Attributes: webcam view by night (A), by day (B).",
        citation='Laffont et al., "Transient Attributes for High-Level Understanding and '
        'Editing of Outdoor Scenes", SIGGRAPH 2014',
        splits=("train", "val", "test"),
    ),
)
PUBLISHED: dict[str, PublishedDataset] = {published.name: published for published in _ALL}


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
    what earlier attempts left and starts from the first byte. Processes that want
    the same set wait for the first and share its result.

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
    if not hasattr(tarfile, "data_filter"):
        raise errors.InputError(
            "This version of Python cannot unpack archives safely. Update it (3.9.17, 3.10.12 and "
            f"3.11.4 can), or unpack {published.url} to '{folder}' by hand."
        )
    files.make_output_folder(parent)
    with files.locked(parent / f".{name}.lock", refusal=""):
        if _has_split(folder, published):  # Whoever held the lock has finished it.
            return folder
        if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
            raise errors.InputError(
                f"'{folder}' exists but does not hold any of the folders "
                f"{', '.join(published.splits)}, so the data set '{name}' cannot be put there. "
                "Move it away, or pass another folder with --data_dir."
            )
        with files.unfinished_folder(parent, name) as unfinished, files.writing(folder):
            unfinished.mkdir()
            content = _unpack(_fetch(unfinished, folder, published), published)
            if hasattr(os, "sync"):  # Else a power loss may leave the new name on empty files.
                os.sync()
            if folder.is_dir():  # An empty one; Windows does not rename onto it.
                folder.rmdir()
            os.replace(content, folder)
            shutil.rmtree(unfinished)
    return folder


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


def _unpack(archive: pathlib.Path, published: PublishedDataset) -> pathlib.Path:
    """Unpacks an archive beside itself, and returns the folder that holds the splits."""
    unpacked = archive.parent / "unpacked"
    try:
        # Mode r:gz, not r: an uncompressed tar cut at a member's end would pass for whole.
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(unpacked, filter="data")
            # tarfile stops at the end mark; the CRC that vouches for the whole comes after it.
            while tar.fileobj.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise errors.InputError(
            f"{archive.name}, downloaded from {published.url}, could not be unpacked "
            f"({error or type(error).__name__}). It was deleted, so run the command again to retry "
            "it. If that does not help, check the address in a browser."
        ) from error
    # The archives hold a folder of the set's name; a bare train/ does as well.
    for content in (unpacked / published.name, unpacked):
        if _has_split(content, published):
            return content
    raise errors.InputError(
        f"{archive.name}, downloaded from {published.url}, does not hold any of the folders "
        f"{', '.join(published.splits)}. It was deleted; check the address in a browser."
    )


def _has_split(folder: pathlib.Path, published: PublishedDataset) -> bool:
    # Records of any splits, and damaged ones too: who reads them says so, where another
    # folder's data would be taken without a word.
    if records.is_there(folder):
        return True
    return any(layouts.has_split(folder, split) for split in published.splits)


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
