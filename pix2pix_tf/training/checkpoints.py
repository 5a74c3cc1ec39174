"""Checkpoints that are whole or not there, and a way back when one is damaged.

`run_folder` says what lies where; a checkpoint's info.json has its step, versions and metric.
TensorFlow checkpoints hold all that resuming needs, but do not travel between
Keras 2 and 3; the `.weights.h5` files do.
"""

from __future__ import annotations

import dataclasses
import filecmp
import json
import math
import os
import pathlib

import keras
import tensorflow as tf
from absl import logging

from pix2pix_tf import files, keras_compat, networks, run_folder
from pix2pix_tf.errors import InputError, first_line
from pix2pix_tf.files import write_atomically, writing
from pix2pix_tf.run_folder import (
    DISCRIMINATOR_WEIGHTS,
    GENERATOR_WEIGHTS,
    INFO,
    list_checkpoints,
    read_best,
    step_of,
)
from pix2pix_tf.training.state import TrainState

_STATE = "state"


@dataclasses.dataclass(frozen=True)
class Measure:
    """What decides which checkpoint is best: the mean of a metric over the pairs of a split."""

    metric: str
    split: str
    value: float
    larger_is_better: bool


class CheckpointManager:
    """Saves and restores the state of a run.

    Args:
        state: What is saved, and restored into.
        workdir: The run folder.
        keep: How many of the newest to keep; the best is kept beside them.
    """

    def __init__(self, state: TrainState, workdir: pathlib.Path, *, keep: int):
        self._state = state
        self._workdir = pathlib.Path(workdir)
        self._folder = self._workdir / run_folder.CHECKPOINTS_FOLDER
        self._keep = keep
        self._checkpoint = tf.train.Checkpoint(state=state)

    def save(self, measure: Measure | None = None) -> None:
        """Writes the state beside the other checkpoints, then renames it into place.

        Args:
            measure: What decides the best checkpoint, if this one was measured.

        Raises:
            WriteError: If it cannot be written; those before are untouched.
        """
        step = int(self._state.step.numpy())
        final = self._folder / run_folder.checkpoint_name(step)
        info = dict(step=step, keras=keras.__version__, tensorflow=tf.__version__)
        if measure is not None:
            info.update(dataclasses.asdict(measure))
        with writing(final):
            self._folder.mkdir(exist_ok=True)
            files.sweep(self._folder, is_alone=True)
            # If it fails it goes, since the room that it takes is needed.
            with files.unfinished_folder(self._folder, final.name) as unfinished:
                unfinished.mkdir()
                self._checkpoint.write(str(unfinished / _STATE))
                for name, generator in self._generators().items():
                    weights = networks.generator_file(self._state.config, generator)
                    (unfinished / name).write_bytes(weights)
                (unfinished / INFO).write_text(json.dumps(info, indent=2), encoding="utf-8")
                for path in unfinished.iterdir():
                    files.sync(path)
                if final.exists():
                    files.remove_folder(final)  # A damaged one that the run fell back from.
                os.replace(unfinished, final)
            best = read_best(self._workdir)
            if best is not None and best["step"] >= step:
                (self._folder / run_folder.BEST_FILE).unlink()  # It was a damaged one.
            for later in list_checkpoints(self._workdir):
                if step_of(later) > step:
                    files.remove_folder(later)  # A damaged one; it would count as the newest.
            self._complete(info)

    def finish(self) -> None:
        """Does what a process that was killed in `save` has left to do, after `restore_newest`.

        Where that fell back from a newer checkpoint, nothing is done or removed before the next
        `save`: what cannot be read today, on a drive of the network, may be whole tomorrow.

        Raises:
            WriteError: If it cannot be written.
        """
        step = int(self._state.step.numpy())
        folder = self._folder / run_folder.checkpoint_name(step)
        if list_checkpoints(self._workdir)[-1] != folder:
            return
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        with writing(folder):
            files.sweep(self._folder, is_alone=True)
            self._complete(info)

    def restore_newest(self) -> int | None:
        """Restores the newest checkpoint that is whole.

        Returns:
            Its step, or None if there is no checkpoint.

        Raises:
            InputError: If every checkpoint is damaged, or they are of the other Keras.
        """
        folders = list_checkpoints(self._workdir)
        faults = []
        for folder in reversed(folders):
            fault = self._restore(folder)
            if fault is None:
                return int(self._state.step.numpy())
            faults.append(f"'{folder}': {fault}")
            logging.warning("Checkpoint '%s' cannot be read (%s).", folder, fault)
        if faults:
            raise InputError(
                f"No checkpoint of '{self._workdir}' can be read: {'; '.join(faults)}. Restore one "
                "from a copy, or start again in another --workdir."
            )
        return None

    def _restore(self, folder: pathlib.Path) -> str | None:
        """Restores one checkpoint; returns what is wrong with it, or None."""
        try:
            info = json.loads((folder / INFO).read_text(encoding="utf-8"))
            written_by = info["keras"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{INFO} is missing or damaged: {error}"
        if written_by.split(".")[0] != keras.__version__.split(".")[0]:
            raise InputError(
                f"'{folder}' was written with Keras {written_by}, and this is Keras "
                f"{keras.__version__}: the optimizers' state does not travel between them. Go on "
                f"with Keras {written_by}. Translating and exporting work with both."
            )
        try:
            # Every variable must come from the checkpoint, and all of it be used.
            self._checkpoint.read(str(folder / _STATE)).assert_consumed()
        except (
            *(tf.errors.OpError, AssertionError, ValueError),
            *(LookupError, RuntimeError),  # What TensorFlow's reader makes of some damages.
        ) as error:
            return first_line(error)
        return None

    def _complete(self, info: dict) -> None:
        """Notes, removes and publishes what follows from a new checkpoint, described by `info`."""
        if "larger_is_better" in info and math.isfinite(info["value"]):
            self._note_best(info)
        best = read_best(self._workdir)
        folders = list_checkpoints(self._workdir)
        for folder in folders[: -self._keep]:
            if best is None or step_of(folder) != best["step"]:
                files.remove_folder(folder)
        # The newest networks, each whole or as before. The generator's come last: where they are
        # there, both are.
        weights, published = (x / GENERATOR_WEIGHTS for x in (folders[-1], self._workdir))
        if not (published.is_file() and filecmp.cmp(weights, published, shallow=False)):
            discriminator = keras_compat.weights_file(self._state.discriminator)
            write_atomically(self._workdir / DISCRIMINATOR_WEIGHTS, discriminator)
            write_atomically(published, weights.read_bytes())

    def _generators(self) -> dict[str, keras.Model]:
        """Returns the generators that a checkpoint publishes, by the names of their files."""
        state = self._state
        last = {} if state.average is None else {run_folder.LAST_WEIGHTS: state.generator}
        return {GENERATOR_WEIGHTS: state.published, **last}

    def _note_best(self, info: dict) -> None:
        best = read_best(self._workdir)
        # Values of another measure, or of other pairs, cannot be compared.
        if best is not None and all(best[x] == info[x] for x in ("metric", "split")):
            gain = info["value"] - best["value"]
            if (gain if info["larger_is_better"] else -gain) <= 0:
                return
        write_atomically(self._folder / run_folder.BEST_FILE, json.dumps(info, indent=2).encode())
