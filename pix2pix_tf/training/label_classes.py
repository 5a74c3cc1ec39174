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
    noted = _noted(config, workdir)
    if noted is not None:
        return noted
    if config.classes:
        is_told = config.classes == classes.FROM_TARGETS
        return None if is_told else _read(config.classes)
    table = None
    if config.shows_classes:
        table = classes.of_side(config.dataset, config.direction[-1])
    return _required(config, table)


def _noted(config: TrainConfig, workdir: pathlib.Path) -> classes.ClassTable | None:
    """Returns the classes that a run noted, unless others are named, or a file that is there."""
    path = workdir / run_folder.CLASSES_FILE
    if not (run_folder.list_checkpoints(workdir) and files.is_file(path)):
        return None
    is_named_anew = config.classes and config.classes != TrainConfig.load(workdir).classes
    if is_named_anew or files.is_file(pathlib.Path(config.classes)):
        return None
    return classes.read(str(path))


def _read(name: str) -> classes.ClassTable:
    table = classes.read(name)
    classes.check_told_apart(table)
    return table


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
    if table is not None and _noted(config, workdir) is not None:
        return table
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
    """Notes them in the run folder, for those who translate and evaluate.

    A best checkpoint by the class IoU of other classes is forgotten: its value is another measure.
    """
    path = workdir / run_folder.CLASSES_FILE
    if files.is_file(path):
        before = classes.read(str(path))
        colors = [[(x.color, x.ignored) for x in one.classes] for one in (before, table)]
        best = run_folder.read_best(workdir)
        if colors[0] != colors[1] and best and best["metric"] == metrics.CLASS_IOU:
            run_folder.forget_best(workdir)
            print("The classes are others now: the best checkpoint is chosen anew.", flush=True)
    text = json.dumps(classes.to_json(table), indent=1) + "\n"
    files.write_atomically(path, text.encode())
