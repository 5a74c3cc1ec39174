"""Knowing the data set of a run again: by what it holds, not by the text of its path."""

from __future__ import annotations

import dataclasses
import os
import pathlib

from pix2pix_tf import run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import contents, pairs, registry
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.training import inputs

_WITHOUT_FILES = (pairs.DEMO, inputs.GIVEN)


def find(config: TrainConfig) -> contents.Contents | None:
    """Returns what the configured data set holds: training pairs, and those held out, if any.

    None where it has no files: scenes that are drawn, and pairs that a program gives.
    """
    if config.dataset in _WITHOUT_FILES:
        return None
    place = dict(data_dir=config.data_dir)
    held_out = pairs.find_split(config.dataset, inputs.HELD_OUT_SPLITS, **place)
    return contents.find(config.dataset, ["train", *([held_out] if held_out else [])], **place)


def find_again(
    saved: TrainConfig, asked: TrainConfig, workdir: pathlib.Path
) -> tuple[TrainConfig, contents.Contents | None, list[str]]:
    """Finds the data set of a run that goes on.

    Args:
        saved: Settings of the run.
        asked: Those that it goes on with.
        workdir: The run folder.

    Returns:
        `asked`, with the place where the data set was found; what it holds; and lines on what is
        different from before.

    Raises:
        MissingInputError: If it is not there, saying how to tell where it is.
        InputError: If it is another data set.
    """
    known = run_folder.read_data(workdir)
    if saved.dataset in _WITHOUT_FILES or asked.dataset in _WITHOUT_FILES:
        if saved.dataset != asked.dataset:
            raise _refusal(saved, asked)
        return asked, None, []
    if asked.dataset == saved.dataset and not _has_training_pairs(asked):
        # The path is of another working folder, perhaps; or the data are where they were before.
        places = known["folders"] if known else [os.path.abspath(saved.dataset)]
        moved = (dataclasses.replace(asked, dataset=place) for place in places)
        there = next(filter(_has_training_pairs, moved), None)
        if there is None:
            raise MissingInputError(
                f"The data set of this run, '{saved.dataset}', is not there any more: there are "
                f"no training pairs in '{places[0]}'. Say where they are now: --dataset=NEW "
                f"--workdir='{workdir}'"
            )
        asked = there
    found = find(asked)
    if known is None:  # Of an earlier version, which did not note what it was trained on.
        if found.folder != _folder_of(saved):
            raise _refusal(saved, asked)
        return asked, found, []
    is_moved = found.folder != known["folders"][0]
    before, now = known["pairs"]["train"], found.pairs["train"]
    enough = min(len(before), len(now)) / 2
    same = before.keys() & now.keys()
    alike = same - _changed(before, now)
    if len(same) < enough or is_moved and len(alike) < enough:
        raise _refusal(
            saved,
            asked,
            f", which has {len(same)} of its {len(before)} training pairs by name, {len(alike)} by "
            "name and size",
        )
    words = [f"Note: the data set was in '{known['folders'][0]}' before."] if is_moved else []
    for split, sizes in found.pairs.items():
        words += _differences(split, known["pairs"].get(split), sizes)
    return asked, found, words


def _has_training_pairs(config: TrainConfig) -> bool:
    try:
        return pairs.find_split(config.dataset, ["train"], data_dir=config.data_dir) is not None
    except MissingInputError:
        return False


def _folder_of(config: TrainConfig) -> str:
    folder = pathlib.Path(os.path.expanduser(config.dataset))
    if config.dataset in registry.PUBLISHED:
        folder = registry.find_published(config.dataset, config.data_dir) or folder
    return str(folder.resolve())


def _refusal(saved: TrainConfig, asked: TrainConfig, difference: str = "") -> InputError:
    return InputError(
        f"This run cannot be continued with other data: dataset (was '{saved.dataset}', now "
        f"'{asked.dataset}'){difference}. Name the data set of the run, or another --workdir for a "
        "new run."
    )


def _changed(before: contents.Sizes, now: contents.Sizes) -> set[str]:
    """Returns the pairs of both whose files have other sizes; in records these are not known."""
    return {
        name
        for name in before.keys() & now.keys()
        if before[name] and now[name] and before[name] != now[name]
    }


def _differences(split: str, before: contents.Sizes | None, now: contents.Sizes) -> list[str]:
    if before is None:
        return [f"Note: {split} is new, with {len(now)} pairs to measure the run on from here on."]
    gone, added = len(before.keys() - now.keys()), len(now.keys() - before.keys())
    changed = len(_changed(before, now))
    if list(before) == list(now) and not changed:  # In this order too.
        return []
    text = (
        f"Note: {split} has {len(now)} pairs, before it had {len(before)}: {gone} are gone, "
        f"{added} are new, {changed} have changed."
    )
    if split == "train":
        text += (
            " The order of the pairs is another one, so the run is no longer the same to the bit."
        )
    else:
        text += " Measures of before are of other pairs."
    return [text]
