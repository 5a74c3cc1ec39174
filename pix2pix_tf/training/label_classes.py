"""The classes that the outputs of a run show, where they are label maps."""

from __future__ import annotations

import json
import pathlib

from pix2pix_tf import files, metrics, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import classes, label_targets
from pix2pix_tf.errors import InputError
from pix2pix_tf.training.inputs import Inputs, ReaderInputs


def find(config: TrainConfig, workdir: pathlib.Path, given: Inputs) -> classes.ClassTable | None:
    """Returns the classes, named by `config.classes` or known by the data set; None: no labels.

    Learned ones that the run folder has already are taken from there, where somebody may have
    given them names.

    Raises:
        InputError: If there is no such table, the targets are not label maps, or best_metric needs
            classes and there are none.
    """
    if config.classes == classes.FROM_TARGETS:
        if files.is_file(workdir / run_folder.CLASSES_FILE):
            return classes.read(str(workdir / run_folder.CLASSES_FILE))
        if not isinstance(given, ReaderInputs):
            raise InputError(
                f"classes is {config.classes}, but pairs that a tf.data.Dataset gives are not read "
                "twice. Name a data set, or a .json file."
            )
        return label_targets.learn(given.training)
    if config.classes:
        return classes.read(config.classes)
    table = classes.of_side(config.dataset, config.direction[-1])
    if table is None and config.best_metric == metrics.CLASS_IOU:
        raise InputError(
            f"best_metric is {config.best_metric}, but the classes that outputs show are not "
            f"known. Name them by --classes: {', '.join(classes.TABLES)}, a .json file, or "
            f"'{classes.FROM_TARGETS}', to learn them from the training targets."
        )
    return table


def write(workdir: pathlib.Path, table: classes.ClassTable) -> None:
    """Notes them in the run folder, for those who translate and evaluate."""
    text = json.dumps(classes.to_json(table), indent=1) + "\n"
    files.write_atomically(workdir / run_folder.CLASSES_FILE, text.encode())
