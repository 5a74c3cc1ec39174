"""The classes that the outputs of a run show, where they are label maps."""

from __future__ import annotations

import json
import pathlib

from pix2pix_tf import files, metrics, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import classes, label_targets
from pix2pix_tf.errors import InputError
from pix2pix_tf.training.inputs import Inputs, ReaderInputs


def known(config: TrainConfig, workdir: pathlib.Path) -> classes.ClassTable | None:
    """Returns the classes, named by `config.classes` or known by the data set.

    None if the targets have to tell them, or are not label maps. A run that goes on has those that
    it noted, to which somebody may have given names, unless others are named now.

    Raises:
        InputError: If there is no such table, or best_metric needs classes and there are none.
    """
    noted = workdir / run_folder.CLASSES_FILE
    if run_folder.list_checkpoints(workdir) and files.is_file(noted):
        if config.classes in ("", TrainConfig.load(workdir).classes):
            return classes.read(str(noted))
    if config.classes:
        is_told = config.classes == classes.FROM_TARGETS
        return None if is_told else classes.read(config.classes)
    table = None
    if config.shows_classes:
        table = classes.of_side(config.dataset, config.direction[-1])
    return _required(config, table)


def _required(config: TrainConfig, table: classes.ClassTable | None) -> classes.ClassTable | None:
    """Returns the classes; refuses that there are none, where best_metric needs them."""
    if table is None and config.best_metric == metrics.CLASS_IOU:
        raise InputError(
            f"best_metric is {config.best_metric}, but the classes that outputs show are not "
            f"known. Name them by --classes: {', '.join(classes.TABLES)}, a .json file, or "
            f"'{classes.FROM_TARGETS}', to learn them from the training targets."
        )
    return table


def find(config: TrainConfig, workdir: pathlib.Path, given: Inputs) -> classes.ClassTable | None:
    """Returns the classes that outputs show, of the targets if they are not known otherwise.

    None if outputs are not label maps.

    Raises:
        InputError: As `known`, or if the targets are not label maps, or of other classes.
    """
    table = known(config, workdir)
    if table is not None and isinstance(given, ReaderInputs):
        table = label_targets.checked(given.training, table, is_guess=not config.classes)
        return _required(config, table)
    if table is None and config.classes == classes.FROM_TARGETS:
        if not isinstance(given, ReaderInputs):
            raise InputError(
                f"classes is {config.classes}, but pairs that a tf.data.Dataset gives are not read "
                "twice. Name a data set, or a .json file."
            )
        table = label_targets.learn(given.training)
        print(
            f"The targets show {len(table.classes)} classes, of these colours: "
            f"{', '.join(str(kind.color) for kind in table.classes)}. Is one missing, or too many? "
            f"Write them into a .json file, as '{workdir / run_folder.CLASSES_FILE}' "
            "will be, and name that by --classes.",
            flush=True,
        )
    return table


def write(workdir: pathlib.Path, table: classes.ClassTable) -> None:
    """Notes them in the run folder, for those who translate and evaluate."""
    text = json.dumps(classes.to_json(table), indent=1) + "\n"
    files.write_atomically(workdir / run_folder.CLASSES_FILE, text.encode())
