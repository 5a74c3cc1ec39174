"""Checkpoints that are whole or not there, and a way back when one is damaged.

    WORKDIR/checkpoints/step_00001000/state.*               the whole TrainState
                                      generator.weights.h5  for translation and export
                                      info.json             step, versions, metric
    WORKDIR/checkpoints/best.json                           which one is best, and why
    WORKDIR/generator.weights.h5, discriminator.weights.h5  of the newest

TensorFlow checkpoints hold all that resuming needs, but do not travel between
Keras 2 and 3; the `.weights.h5` files do.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import re
import shutil

import keras
import tensorflow as tf
from absl import logging

from pix2pix_tf.errors import InputError
from pix2pix_tf.files import write_atomically
from pix2pix_tf.training.state import TrainState

FOLDER = "checkpoints"
GENERATOR_WEIGHTS = "generator.weights.h5"
DISCRIMINATOR_WEIGHTS = "discriminator.weights.h5"
INFO = "info.json"
NEWEST, BEST = "newest", "best"  # What may be asked for, beside a step.
_STATE, _BEST = "state", "best.json"
_UNFINISHED = ".unfinished_"


@dataclasses.dataclass(frozen=True)
class Measure:
    """What decides which checkpoint is best.

    Attributes:
        metric: Its name.
        split: The pairs that were measured.
        value: Their mean.
        larger_is_better: Which way it points.
    """

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
        self._folder = self._workdir / FOLDER
        self._keep = keep
        self._checkpoint = tf.train.Checkpoint(state=state)

    def save(self, measure: Measure | None = None) -> None:
        """Writes the state beside the other checkpoints, then renames it into place.

        Args:
            measure: What decides the best checkpoint, if this one was measured.
        """
        step = int(self._state.step.numpy())
        final = self._folder / _name(step)
        self._folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)  # Of a process that was killed while writing.
        unfinished = self._folder / f"{_UNFINISHED}{_name(step)}"
        unfinished.mkdir()
        self._checkpoint.write(str(unfinished / _STATE))
        self._state.generator.save_weights(str(unfinished / GENERATOR_WEIGHTS))
        info = dict(step=step, keras=keras.__version__, tensorflow=tf.__version__)
        if measure is not None:
            info.update(metric=measure.metric, split=measure.split, value=measure.value)
        (unfinished / INFO).write_text(json.dumps(info, indent=2), encoding="utf-8")
        if final.exists():
            shutil.rmtree(final)  # A damaged one that the run fell back from.
        os.replace(unfinished, final)
        for later in list_checkpoints(self._workdir):
            if later.name > final.name:
                shutil.rmtree(later)  # Damaged as well; it would count as the newest.
        best = read_best(self._workdir)
        if best is not None and best["step"] >= step:
            (self._folder / _BEST).unlink()  # It was one of those.
        self._publish_weights(final)
        if measure is not None and math.isfinite(measure.value):
            self._note_best(info, measure.larger_is_better)
        self._remove_old()

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
                if faults:
                    logging.warning("Continuing from '%s' instead.", folder)
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
            step, written_by = int(info["step"]), str(info["keras"])
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
            return (str(error) or repr(error)).splitlines()[0]
        if int(self._state.step.numpy()) != step:
            return f"it is of step {int(self._state.step.numpy())}, but {INFO} says {step}"
        return None

    def _publish_weights(self, folder: pathlib.Path) -> None:
        """Puts the newest networks into the run folder, each whole or as before."""
        generator = self._workdir / f".{GENERATOR_WEIGHTS}"
        generator.unlink(missing_ok=True)
        try:
            os.link(folder / GENERATOR_WEIGHTS, generator)  # No second copy on the disk.
        except OSError:
            shutil.copyfile(folder / GENERATOR_WEIGHTS, generator)
        os.replace(generator, self._workdir / GENERATOR_WEIGHTS)
        # The suffix has to stay: Keras takes the format from it.
        discriminator = self._workdir / f".{DISCRIMINATOR_WEIGHTS}"
        self._state.discriminator.save_weights(str(discriminator))
        os.replace(discriminator, self._workdir / DISCRIMINATOR_WEIGHTS)

    def _note_best(self, info: dict, larger_is_better: bool) -> None:
        best = read_best(self._workdir)
        # Of another measure, or of other pairs, it cannot be compared.
        if best is not None and all(best[x] == info[x] for x in ("metric", "split")):
            gain = info["value"] - best["value"]
            if (gain if larger_is_better else -gain) <= 0:
                return
        write_atomically(self._folder / _BEST, json.dumps(info, indent=2).encode())

    def _remove_old(self) -> None:
        best = read_best(self._workdir)
        kept = list_checkpoints(self._workdir)[-self._keep :]
        for folder in list_checkpoints(self._workdir):
            if folder not in kept and (best is None or folder.name != _name(best["step"])):
                shutil.rmtree(folder)


def list_checkpoints(workdir: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders of the checkpoints of a run, oldest first."""
    folders = (pathlib.Path(workdir) / FOLDER).glob("step_*")
    return sorted(path for path in folders if re.fullmatch(r"step_\d{8,}", path.name))


def find_weights(
    workdir: pathlib.Path, checkpoint: str = NEWEST
) -> tuple[pathlib.Path, int | None]:
    """Returns the generator's weights of a checkpoint, and for how many steps they were trained.

    Args:
        workdir: The run folder. One that holds weights but no checkpoints, such
            as a copy, has a newest one of unknown step.
        checkpoint: "newest", "best", or a step.

    Raises:
        InputError: If there is no such checkpoint, naming those there are.
    """
    folders = {int(path.name.split("_")[1]): path for path in list_checkpoints(workdir)}
    if checkpoint == NEWEST:
        step = max(folders, default=None)
        folder = folders.get(step, pathlib.Path(workdir))
        return folder / GENERATOR_WEIGHTS, step
    best = read_best(workdir)
    step = best["step"] if checkpoint == BEST and best else checkpoint
    folder = folders.get(int(step)) if str(step).isdecimal() else None
    if folder is None:
        known = ", ".join(map(str, folders)) or "none"
        raise InputError(
            f"'{workdir}' has no checkpoint {checkpoint!r}. Steps kept: {known}; best: "
            f"{best['step'] if best else 'none measured'}. Use newest, best or one of these steps."
        )
    return folder / GENERATOR_WEIGHTS, int(step)


def read_best(workdir: pathlib.Path) -> dict | None:
    """Returns step, metric, split and value of the best checkpoint, or None if there is none."""
    path = pathlib.Path(workdir) / FOLDER / _BEST
    try:
        best = json.loads(path.read_text(encoding="utf-8"))
        return best if {"step", "metric", "split", "value"} <= best.keys() else None
    except (OSError, ValueError, AttributeError):
        return None  # None yet, or damaged: the next measure counts as best.


def _name(step: int) -> str:
    return f"step_{step:08d}"
