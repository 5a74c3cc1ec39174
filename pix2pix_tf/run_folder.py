"""The folder of a run: what lies where, and how it is read. Training alone writes it.

config.json                             the settings, see `config`
data.json                               what is trained on, see `read_data`
classes.json                            the classes that outputs show, where these are label maps
checkpoints/step_00001000/state.*       the whole state of the run
                          generator.weights.h5, generator_last.weights.h5, info.json
checkpoints/best.json                   which checkpoint is best, and why
generator.weights.h5, discriminator.weights.h5   of the newest checkpoint
metrics.jsonl                           a JSON object a line, in the order of the steps
samples/step_00000500.png               input, output and target
losses.png, index.html                  the curves; a page of all
tensorboard/                            events
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Sequence

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError

DATA_FILE = "data.json"
CLASSES_FILE = "classes.json"  # As a file for --classes, too.
CHECKPOINTS_FOLDER = "checkpoints"
GENERATOR_WEIGHTS = "generator.weights.h5"  # Averaged over the steps, unless ema_decay is 0.
LAST_WEIGHTS = "generator_last.weights.h5"  # As the last step left them; only beside an average.
DISCRIMINATOR_WEIGHTS = "discriminator.weights.h5"
INFO = "info.json"
BEST_FILE = "best.json"
NEWEST, BEST = "newest", "best"  # What may be asked for, beside a step.
AVERAGE, LAST = WEIGHTS = "average", "last"
METRICS_FILE = "metrics.jsonl"
HELD_OUT_PREFIX = "held_out_"  # Before the name of a checkpoint's measure, in the metrics.
LOSSES_PICTURE = "losses.png"
SAMPLES_FOLDER = "samples"
PAIR_FORM = ("files_per_pair", "pair_file_size")  # What an export's card says of the data, too.
# Of data.json, where nothing is known but how the files are made up.
NO_DATA = dict(folders=[], pairs=dict(train={}), read=None, lines=[], words=[])
_DATA_KEYS = {*NO_DATA, *PAIR_FORM}
EVENTS_FOLDER = "tensorboard"
PAGE = "index.html"
_MOST_BYTES_OF_LINES = 2**16  # Of several lines of metrics, however many terms they have.


def list_checkpoints(workdir: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders of the checkpoints of a run, oldest first."""
    folders = (pathlib.Path(workdir) / CHECKPOINTS_FOLDER).glob("step_*")
    found = (path for path in folders if re.fullmatch(r"step_\d{8,}", path.name))
    return sorted(found, key=step_of)


def step_of(folder: pathlib.Path) -> int:
    """Returns the step of a checkpoint, by its folder's name: names of 9 digits sort wrongly."""
    return int(folder.name.split("_")[1])


def checkpoint_name(step: int) -> str:
    """Returns the name of a checkpoint's folder."""
    return f"step_{step:08d}"


def find_weights(
    workdir: pathlib.Path, checkpoint: str = NEWEST, *, weights: str = AVERAGE
) -> tuple[pathlib.Path, int | None]:
    """Returns the generator's weights of a checkpoint, and for how many steps they were trained.

    Args:
        workdir: The run folder. One that holds weights but no checkpoints, such
            as a copy, has a newest one of unknown step.
        checkpoint: "newest", "best", or a step.
        weights: "average", over the steps, where the run has averages; or "last".

    Raises:
        InputError: If there is no such checkpoint, naming those there are; or if the last
            weights are asked for of a copy that has averages alone.
    """
    folder, step = _find_checkpoint(workdir, checkpoint)
    last = folder / LAST_WEIGHTS
    if weights == LAST and last.is_file():
        return last, step
    if weights == LAST and TrainConfig.load(workdir).ema_decay:
        raise MissingInputError(
            f"There is no '{last}': a copy of a run has averages alone. Leave --weights out, or "
            "take the run folder itself."
        )
    return folder / GENERATOR_WEIGHTS, step


def _find_checkpoint(workdir: pathlib.Path, checkpoint: str) -> tuple[pathlib.Path, int | None]:
    """Returns the folder of a checkpoint, or the run's if it has none, and its step."""
    folders = {step_of(path): path for path in list_checkpoints(workdir)}
    if checkpoint == NEWEST:
        step = max(folders, default=None)
        folder = folders.get(step, pathlib.Path(workdir))
        return folder, step
    best = read_best(workdir)
    step = best["step"] if checkpoint == BEST and best else checkpoint
    folder = folders.get(int(step)) if str(step).isdecimal() else None
    if folder is None:
        known = ", ".join(map(str, folders)) or "none"
        raise InputError(
            f"'{workdir}' has no checkpoint {checkpoint!r}. Steps kept: {known}; best: "
            f"{best['step'] if best else 'none measured'}. Use newest, best or one of these steps."
        )
    return folder, int(step)


def read_best(workdir: pathlib.Path) -> dict | None:
    """Returns step, metric, split and value of the best checkpoint, or None if there is none."""
    path = pathlib.Path(workdir) / CHECKPOINTS_FOLDER / BEST_FILE
    try:
        best = json.loads(path.read_text(encoding="utf-8"))
        return best if {"step", "metric", "split", "value"} <= best.keys() else None
    except (OSError, ValueError, AttributeError):
        return None  # None yet, or damaged: the next measure counts as best.


def forget_best(workdir: pathlib.Path) -> None:
    """Lets the next checkpoint that is measured be the best."""
    (pathlib.Path(workdir) / CHECKPOINTS_FOLDER / BEST_FILE).unlink(missing_ok=True)


def read_data(workdir: pathlib.Path) -> dict | None:
    """Returns what a run notes of the files that it is trained on; None if nothing is known.

    folders: Where they are, absolute; then where they were before.
    pairs: By split, the sizes in bytes of the files of each pair, by its name.
    files_per_pair: 1, where A and B are side by side or each file is a photo; or 2.
    pair_file_size: [width, height] in pixels of all files, where each is A and B side by side and
        all have one size; else None.
    read: Digest of the files, and of how they are read, when all were read; None if they were not.
    lines, words: What was seen then, see `data.values`.
    """
    path = pathlib.Path(workdir) / DATA_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if found.keys() >= _DATA_KEYS and "train" in found["pairs"] else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # Of an earlier version, or damaged: everything is read again.


def read_metrics(
    workdir: pathlib.Path, *, at_most: int | None = None, having: str = ""
) -> list[dict[str, float]]:
    """Returns the records of a run's metrics; a last line that was cut short is left out.

    Args:
        workdir: The run folder.
        at_most: Records to return, from 2: evenly spread, with the first and the last. The others
            are not parsed, which takes most of the time. None: all.
        having: Records without this in them are not of interest.
    """
    lines = [line for line in _metrics_lines(workdir) if having.encode() in line]
    return [json.loads(line) for line in spread(lines, at_most)]


def read_last_metrics(workdir: pathlib.Path) -> dict[str, float] | None:
    """Returns the last record of a run's metrics, in the same time however many there are."""
    lines = _metrics_lines(workdir, end=_MOST_BYTES_OF_LINES)
    return json.loads(lines[-1]) if lines else None


def _metrics_lines(workdir: pathlib.Path, *, end: int | None = None) -> list[bytes]:
    """Returns the whole lines of the metrics, or of so many bytes at their end."""
    path = pathlib.Path(workdir) / METRICS_FILE
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        if end is not None:
            file.seek(max(path.stat().st_size - end, 0))
        lines = file.read().splitlines()
    while lines:
        try:
            json.loads(lines[-1])
            break
        except ValueError:
            lines.pop()  # Written while the machine went down: only the end can be like this.
    return lines


def spread(items: Sequence, at_most: int | None) -> Sequence:
    """Returns at most so many (from 2) of some items, evenly spread, with the first and last."""
    if at_most is None or len(items) <= at_most:
        return items
    last = len(items) - 1
    return [items[number * last // (at_most - 1)] for number in range(at_most)]


def sample_grid(workdir: str | pathlib.Path, step: int) -> pathlib.Path:
    """Returns where the grid of a step is, or will be."""
    return pathlib.Path(workdir) / SAMPLES_FOLDER / f"step_{step:08d}.png"


def list_sample_grids(workdir: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the grids of a run by their steps, the oldest first."""
    found = (pathlib.Path(workdir) / SAMPLES_FOLDER).glob("step_*.png")
    # Not the copies that a person or a file manager makes beside them.
    names = ((re.fullmatch(r"step_(\d+)", path.stem), path) for path in found)
    return dict(sorted((int(match[1]), path) for match, path in names if match))
