"""Trains and evaluates the runs of an ablation, each in a process of its own.

What is done is found on the disk, so an ablation that was stopped, or killed, goes on
where it was: a run from its newest checkpoint, an evaluation from its beginning.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys

from benchmarks import grid_pattern
from benchmarks.ablation.grids import Run
from pix2pix_tf import files, run_folder, signals
from pix2pix_tf.config import CONFIG_FILE, TrainConfig, check_resumable
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import colour, runner

_ARGUMENTS_FILE = "arguments.json"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one run, with one kind of its weights."""

    run: Run  # With the configuration as it was trained, so with `auto` resolved.
    weights: str  # "average" or "last".
    evaluation: dict  # The contents of `evaluation.json`.
    seconds: float  # Wall time of the training steps, without start-up and saving.
    grid: float  # See `grid_pattern.mean_over_pictures`.

    @property
    def scores(self) -> dict[str, float]:
        """The scores that are defined, by name; with the colour axes one by one."""
        values = {
            name: entry["value"]
            for name, entry in self.evaluation["scores"].items()
            if entry["value"] is not None
        }
        axes = self.evaluation[colour.ColourMeasure.section]["intersection"]
        values["grid"] = self.grid
        return {**values, **{f"colour_{axis}": axes[axis] for axis in colour.AXES}}


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
        InputError: If the training fails, or was stopped before its last step.
    """
    if steps_done(run) >= run.config.num_steps:
        return
    defaults = vars(TrainConfig())
    settings = {name: x for name, x in vars(run.config).items() if x != defaults[name]}
    _call("pix2pix_tf.train", dict(workdir=run.folder, **settings), run)
    if steps_done(run) < run.config.num_steps:
        raise InputError(
            f"Training of {run.name} was stopped after step {steps_done(run)}. Run the same "
            "command again to resume."
        )


def evaluate(run: Run, weights: str, settings: dict[str, str]) -> None:
    """Evaluates a run that is trained into its folder for that, unless that is done.

    Args:
        run: The run.
        weights: Which of it, "average" or "last".
        settings: Further flags of `pix2pix_tf.evaluate`.

    Raises:
        InputError: If the evaluation fails; its own message is above.
    """
    asked = dict(settings, step=steps_done(run))
    record = run.evaluation(weights) / _ARGUMENTS_FILE
    if record.is_file() and json.loads(record.read_text(encoding="utf-8")) == asked:
        return
    record.unlink(missing_ok=True)  # From now on the folder is half of this, half of that.
    flags = dict(model=run.folder, weights=weights, output=run.evaluation(weights), **settings)
    _call("pix2pix_tf.evaluate", flags, run)
    files.write_atomically(record, json.dumps(asked).encode())


def read_outcome(run: Run, weights: str) -> Outcome:
    """Returns what became of a run whose weights, "average" or "last", are evaluated."""
    folder = run.evaluation(weights)
    trained = dataclasses.replace(run, config=TrainConfig.load(run.folder))
    text = (folder / runner.RESULT_FILE).read_text(encoding="utf-8")
    seconds, before = 0.0, 0
    for record in run_folder.read_metrics(run.folder):
        if "images_per_second" in record:
            num_images = (record["step"] - before) * run.config.batch_size
            seconds += num_images / record["images_per_second"]
            before = record["step"]
    grid = grid_pattern.mean_over_pictures(folder / runner.OUTPUTS_FOLDER)
    return Outcome(trained, weights, json.loads(text), seconds=seconds, grid=grid)


def steps_done(run: Run) -> int:
    """Returns the step of a run's newest checkpoint, 0 without any."""
    return run_folder.find_weights(run.folder)[1] or 0


def _call(module: str, settings: dict, run: Run) -> None:
    """Runs a command of the package, to its end even if this process gets a signal.

    Training saves its state when it is told to stop, and then ends with status 0.

    Raises:
        InputError: If it fails.
    """
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])

    def pass_on(number, unused_frame):
        if number != signal.SIGINT:  # Which a terminal sends to the other process too.
            process.send_signal(number)

    with signals.handled(pass_on):
        status = process.wait()
    if status:
        raise InputError(
            f"{module} of {run.name} ended with status {status}; its own message is above."
        )
