"""Trains and evaluates the runs of an ablation, each in a process of its own.

What is done is found on the disk, so an ablation that was stopped, or killed, goes on
where it was: a run from its newest checkpoint, an evaluation from its beginning.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.ablation.grids import Run
from pix2pix_tf import files, run_folder
from pix2pix_tf.config import CONFIG_FILE, TrainConfig, check_resumable
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import colour, runner

_ARGUMENTS_FILE = "arguments.json"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one run.

    Attributes:
        run: Its configuration as it was trained, so with `auto` resolved.
        evaluation: What its `evaluation.json` holds.
        seconds: Wall time of its training steps.
    """

    run: Run
    evaluation: dict
    seconds: float

    @property
    def scores(self) -> dict[str, float]:
        """The scores that are defined, by name; with the colour axes one by one."""
        values = {
            name: entry["value"]
            for name, entry in self.evaluation["scores"].items()
            if entry["value"] is not None
        }
        axes = self.evaluation[colour.ColourMeasure.section]["intersection"]
        return {**values, **{f"colour_{axis}": axes[axis] for axis in colour.AXES}}


class StoppedError(InputError):
    """A training was stopped by the user, who can go on later."""


def check_folder(run: Run) -> None:
    """Refuses a run folder of other settings, before hours go into the ones before it.

    Raises:
        InputError: Naming the folder and the settings that differ.
    """
    if not (run.folder / CONFIG_FILE).is_file():
        return
    saved, planned = TrainConfig.load(run.folder), run.config
    if planned.precision == "auto":  # A run keeps what it resolved to.
        planned = dataclasses.replace(planned, precision=saved.precision)
    try:
        check_resumable(saved, planned)
    except InputError as error:
        raise InputError(f"'{run.folder}': {error}") from None


def train(run: Run) -> None:
    """Trains a run to its last step, unless that is done.

    Raises:
        InputError: If the training fails; its own message is above.
        StoppedError: If it was stopped before its last step.
    """
    if steps_done(run.folder) >= run.config.num_steps:
        return
    arguments = ["-m", "pix2pix_tf.train", f"--workdir={run.folder}"]
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    for name, value in vars(run.config).items():
        if value != defaults[name]:
            arguments.append(f"--{name}={value}")
    _call(arguments, f"Training of {run.name}")
    if steps_done(run.folder) < run.config.num_steps:
        raise StoppedError(
            f"Training of {run.name} was stopped after step {steps_done(run.folder)}. Run the same "
            "command again to resume."
        )


def evaluate(run: Run, arguments: Sequence[str], *, digests: dict[str, str]) -> None:
    """Evaluates a run into its `evaluation` folder, unless that is done.

    Args:
        run: A run that is trained.
        arguments: Further flags of `pix2pix_tf.evaluate`.
        digests: Of the files behind these flags: scores by other weights are others.

    Raises:
        InputError: If the evaluation fails; its own message is above.
    """
    asked = dict(arguments=list(arguments), digests=digests, step=steps_done(run.folder))
    record = run.evaluation / _ARGUMENTS_FILE
    if record.is_file() and _read(record) == asked:
        return
    record.unlink(missing_ok=True)  # What is there is half of this and half of that from now on.
    _call(
        [
            *("-m", "pix2pix_tf.evaluate", f"--model={run.folder}"),
            *(f"--output={run.evaluation}", *arguments),
        ],
        f"Evaluation of {run.name}",
    )
    files.write_atomically(record, json.dumps(asked).encode())


def read_outcome(run: Run) -> Outcome:
    """Returns what became of a run that is evaluated."""
    trained = dataclasses.replace(run, config=TrainConfig.load(run.folder))
    evaluation = _read(run.evaluation / runner.RESULT_FILE)
    return Outcome(trained, evaluation=evaluation, seconds=training_seconds(run))


def steps_done(folder: pathlib.Path) -> int:
    """Returns the step of the newest checkpoint, 0 without any."""
    return run_folder.find_weights(folder)[1] or 0


def training_seconds(run: Run) -> float:
    """Returns the wall time of all steps of a run, without start-up and saving."""
    seconds, before = 0.0, 0
    for record in run_folder.read_metrics(run.folder):
        if "images_per_second" in record:
            num_images = (record["step"] - before) * run.config.batch_size
            seconds += num_images / record["images_per_second"]
            before = record["step"]
    return seconds


def _call(arguments: list[str], what: str) -> None:
    """Runs a command of the package; a signal to this process is passed on to it."""
    process = subprocess.Popen([sys.executable, *arguments])
    # Training saves its state when it is told to stop, and then ends with status 0.
    before = signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
    try:
        status = _wait(process)
    finally:
        signal.signal(signal.SIGTERM, before)
    if status < 0:
        raise StoppedError(
            f"{what} was stopped by {signal.Signals(-status).name}. Run the same command again."
        )
    if status:
        raise InputError(f"{what} ended with status {status}; its own message is above.")


def _wait(process: subprocess.Popen) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt as stop:
            # The terminal sent Ctrl-C to the process too, which saves and ends.
            if stop.args:  # Another signal; see `commands.run`.
                process.send_signal(stop.args[0])


def _read(path: pathlib.Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
