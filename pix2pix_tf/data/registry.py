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
import platform
import shutil
import tarfile
import zlib

import keras
from absl import logging

from pix2pix_tf import files
from pix2pix_tf.config import UNKNOWN_DATASET
from pix2pix_tf.data import layouts, records
from pix2pix_tf.errors import InputError, MissingInputError

_HOST = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"


@dataclasses.dataclass(frozen=True)
class PublishedDataset:
    """One archive of the authors' server, a gzip-compressed tar with a folder per split."""

    name: str  # What the user types, and the folder's name.
    direction: str  # `AtoB` or `BtoA`, the task of the paper, or its first one.
    download_megabytes: int  # About.
    description: str  # One line: origin, A and B.
    citation: str  # The work to cite when results are shown.
    splits: tuple[str, ...] = ("train", "val")
    has_both_directions: bool = False  # Whether the paper trains the other one too.

    @property
    def url(self) -> str:
        """Where the archive is."""
        return f"{_HOST}/{self.name}.tar.gz"


# Directions: the paper's appendix and the docs/datasets.md of the authors'
# PyTorch repository. Sizes: the server's listing.
_ALL = (
    PublishedDataset(
        *("facades", "BtoA", 30),
        description="CMP Facades: photo of a house front (A), its labelled parts (B).",
        citation='Tylecek and Sara, "Spatial Pattern Templates for Recognition of Objects with '
        'Regular Structure", GCPR 2013',
        splits=("train", "val", "test"),
    ),
    PublishedDataset(
        *("cityscapes", "BtoA", 103),
        description="Cityscapes: street photo (A), its labels (B). Under the licence of "
        "https://www.cityscapes-dataset.com.",
        citation='Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene '
        'Understanding", CVPR 2016',
        has_both_directions=True,
    ),
    PublishedDataset(
        *("maps", "AtoB", 250),
        description="Google Maps around New York: aerial photo (A), map (B).",
        citation='Isola et al., "Image-to-Image Translation with Conditional Adversarial '
        'Networks", CVPR 2017',
        has_both_directions=True,
    ),
    PublishedDataset(
        *("edges2shoes", "AtoB", 2_200),
        description="UT Zappos50K: edges found by HED (A), photo of a shoe (B).",
        citation='Yu and Grauman, "Fine-Grained Visual Comparisons with Local Learning", CVPR 2014',
    ),
    PublishedDataset(
        *("edges2handbags", "AtoB", 8_600),
        description="Amazon handbags: edges found by HED (A), photo of a handbag (B).",
        citation='Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", '
        "ECCV 2016",
    ),
    PublishedDataset(
        # The name says A to B; the paper's task is the other one, day to night.
        *("night2day", "BtoA", 2_000),
        description="Transient Attributes: webcam view by night (A), by day (B).",
        citation='Laffont et al., "Transient Attributes for High-Level Understanding and '
        'Editing of Outdoor Scenes", SIGGRAPH 2014',
        splits=("train", "val", "test"),
    ),
)
PUBLISHED: dict[str, PublishedDataset] = {published.name: published for published in _ALL}


def locate(dataset: str | os.PathLike, data_dir: str | os.PathLike = "") -> pathlib.Path:
    """Returns the folder that holds the splits of `dataset`, downloading it if need be.

    A bare published name (`facades`, no path separator) is looked for as `data_dir/facades`,
    then as `./facades`, in both cases only if a split is inside; then it is downloaded to
    `data_dir/facades`. Anything else is a path, returned as given whatever it contains.

    Args:
        dataset: A folder, or a key of `PUBLISHED`.
        data_dir: Where published sets live. Empty means the Keras cache,
            `~/.keras/datasets`, or `$KERAS_HOME/datasets`.

    Raises:
        MissingInputError: If `dataset` is neither a folder nor a published name.
        InputError: If it cannot be looked for, or be downloaded: `data_dir` cannot be written,
            something is in the way, the server does not answer, the archive is damaged or unsafe.
    """
    dataset = os.fspath(dataset)
    if dataset in PUBLISHED:
        return find_published(dataset, data_dir) or _download(PUBLISHED[dataset], data_dir)
    # Not Path.expanduser, which raises RuntimeError where `~name` is no user.
    folder = pathlib.Path(os.path.expanduser(dataset))
    if dataset and files.is_folder(folder):  # pathlib reads an empty name as the working directory.
        return folder
    if dataset == UNKNOWN_DATASET:
        raise MissingInputError(
            "What this model was trained on is not known here: it comes from elsewhere. Name pairs "
            "for it with --dataset."
        )
    names = [*PUBLISHED, "demo"]
    close = difflib.get_close_matches(folder.name.lower(), names, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    if dataset and files.is_file(folder):
        hint = " It is a file: if it is an archive, unpack it and pass the folder."
    raise MissingInputError(
        f"No data set '{dataset}': it is neither a folder nor a published name.{hint} Pass a "
        f"folder that holds the splits (such as train/), or one of: {', '.join(names)}."
    )


def find_published(name: str, data_dir: str | os.PathLike = "") -> pathlib.Path | None:
    """Returns the folder of a published set that is here already, else None; see `locate`."""
    candidates = (_cache(data_dir) / name, pathlib.Path(name))
    return next((folder for folder in candidates if _has_split(folder, PUBLISHED[name])), None)


def _cache(data_dir: str | os.PathLike) -> pathlib.Path:
    # Read here: get_file of Keras 2 ignores the variable, Keras 3 reads it at import.
    keras_home = os.environ.get("KERAS_HOME") or "~/.keras"
    return pathlib.Path(os.path.expanduser(data_dir or f"{keras_home}/datasets"))


def _has_split(folder: pathlib.Path, published: PublishedDataset) -> bool:
    # Records of any splits, and damaged ones too: who reads them says so, where another
    # folder's data would be taken without a word.
    if records.is_there(folder):
        return True
    return any(layouts.has_split(folder, split) for split in published.splits)


def _download(published: PublishedDataset, data_dir: str | os.PathLike) -> pathlib.Path:
    """Downloads a published set to a folder of its name in `data_dir`, and returns that folder.

    After an interruption of any kind, running it again is safe. Processes that want the same set
    wait for the first and share its result.
    """
    if not hasattr(tarfile, "data_filter"):  # Python has it from 3.9.17, 3.10.12 and 3.11.4 on.
        raise InputError(
            f"Python {platform.python_version()} cannot unpack downloaded archives safely. Use a "
            f"later one, or unpack {published.url} yourself and pass the folder."
        )
    parent = _cache(data_dir)
    folder = parent / published.name
    files.make_output_folder(parent)
    with files.locked(parent / f".{published.name}.lock", refusal=""):
        if _has_split(folder, published):  # Whoever held the lock has finished it.
            return folder
        if os.path.lexists(folder):
            raise InputError(
                f"'{folder}' is in the way of the data set '{published.name}': it does not hold "
                f"any of the folders {', '.join(published.splits)}. Move it away, or pass another "
                "folder with --data_dir."
            )
        with files.unfinished_folder(parent, published.name) as unfinished, files.writing(folder):
            unfinished.mkdir()
            os.replace(_unpack(_fetch(unfinished, published), published), folder)
            shutil.rmtree(unfinished)
    return folder


def _fetch(temporary: pathlib.Path, published: PublishedDataset) -> pathlib.Path:
    """Returns the downloaded archive, a file in `temporary`."""
    logging.info("Downloading %s, about %d MB.", published.name, published.download_megabytes)
    folder = temporary.parent / published.name
    name, cache = f"{published.name}.tar.gz", dict(cache_dir=str(temporary), cache_subdir="")
    try:
        return pathlib.Path(keras.utils.get_file(fname=name, origin=published.url, **cache))
    except Exception as error:  # get_file raises a bare Exception for what urllib refuses.
        raise InputError(
            f"Could not download the data set '{published.name}' from {published.url} ({error}). "
            "Run the command again, or put the images there by hand: "
            f"{folder / published.splits[0] / '*.jpg'}, and the other splits likewise."
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
        # The archives hold a folder of the set's name; a bare train/ does as well.
        for folder in (unpacked / published.name, unpacked):
            if _has_split(folder, published):
                return folder
        raise tarfile.TarError(f"no folders {', '.join(published.splits)} in it")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{archive.name}, downloaded from {published.url}, is not the data set ({error}). It "
            "was deleted: run the command again, or check the address in a browser."
        ) from error
