r"""Kills a training run at seeded random moments, and compares its end with an undisturbed run.

    python tests/killed_runs.py --kills=20

Prints what was tried and found; the exit status is 1 if anything was lost. The training is
`python -m pix2pix_tf.train` in processes of its own, ended by SIGKILL.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tiny_training

from pix2pix_tf import run_folder

MOMENTS = ("writing a checkpoint", "after a step", "starting")
_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_TIMEOUT_SECONDS = 300
_CHECKPOINT_EVERY = 4
_UNFINISHED = ".step_*.unfinished.*"


@dataclasses.dataclass
class Report:
    """What was done to a run, and what it lost.

    Attributes:
        kills: How many, by where the run was, as what it left behind shows.
        steps: Length of the whole run.
        lost: What is missing or different, a line each.
    """

    kills: collections.Counter
    steps: int = 0
    lost: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        """Returns the lines that are printed."""
        lines = [f"killed by SIGKILL: {sum(self.kills.values())} times, on {self.steps} steps"]
        lines += [f"  {place}: {count}" for place, count in sorted(self.kills.items())]
        lines.append(f"lost: {len(self.lost)}")
        return "\n".join([*lines, *(f"  {line}" for line in self.lost)])


def check(folder: pathlib.Path, *, kills: int, seed: int) -> Report:
    """Kills a run, lets it end, and compares it with one that was left alone.

    Args:
        folder: An empty folder, for the data and both runs.
        kills: How many; the moments take turns.
        seed: Seed of the moments.
    """
    generator = random.Random(seed)
    data = tiny_training.write_pairs(folder / "data", train=5, val=2)
    killed, undisturbed = folder / "killed", folder / "undisturbed"
    report = Report(collections.Counter())
    newest = 0
    for number in range(kills):
        log = folder / f"killed_{number}.log"
        process = _start(killed, data, log, num_steps=10**6)
        try:
            _wait_for(MOMENTS[number % len(MOMENTS)], killed, process, generator)
        finally:
            process.kill()
            process.wait()
        _note_start(report, log, newest)
        newest_before, newest = newest, _newest_step(killed)
        if newest < newest_before:
            report.lost.append(f"kill {number}: checkpoint {newest_before} is gone")
        report.kills[_place(killed)] += 1

    report.steps = newest + _CHECKPOINT_EVERY + 1  # The last one is saved for being the last.
    for run in (killed, undisturbed):
        log = folder / f"{run.name}.log"
        if _start(run, data, log, num_steps=report.steps).wait(_TIMEOUT_SECONDS) != 0:
            report.lost.append(f"{run.name} did not end: {_tail(log)}")
    _note_start(report, folder / "killed.log", newest)
    if not report.lost:
        report.lost += differences(killed, undisturbed)
    return report


def _start(
    workdir: pathlib.Path, data: pathlib.Path, log: pathlib.Path, *, num_steps: int
) -> subprocess.Popen:
    settings = dict(
        tiny_training.SETTINGS,
        dataset=data,
        workdir=workdir,
        norm="none",
        deterministic=True,
        num_samples=1,
        num_steps=num_steps,
        log_every=1,
        sample_every=3,
        checkpoint_every=_CHECKPOINT_EVERY,
        keep_checkpoints=2,
    )
    with open(log, "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "pix2pix_tf.train"]
            + [f"--{name}={value}" for name, value in settings.items()],
            cwd=_REPOSITORY,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def _wait_for(
    moment: str, run: pathlib.Path, process: subprocess.Popen, generator: random.Random
) -> None:
    """Waits until a moment has come in a process."""
    if moment == "starting":
        time.sleep(generator.uniform(0, 5))
        return
    lines = _num_lines(run)
    _wait_until(lambda: _num_lines(run) != lines, process)
    if moment == "writing a checkpoint":
        folder = run / run_folder.CHECKPOINTS_FOLDER
        _wait_until(lambda: any(folder.glob(_UNFINISHED)), process)
        # Half of the time at once, else somewhere in the tens of milliseconds that it takes.
        time.sleep(max(generator.uniform(-0.03, 0.03), 0))
    else:
        time.sleep(generator.uniform(0, 2))


def _wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline or process.poll() is not None:
            raise TimeoutError("The run did not come to the moment at which it is to be killed.")
        time.sleep(0.0005)


def _place(run: pathlib.Path) -> str:
    """Returns what a killed run was doing, from what it left: no clock can tell so exactly."""
    folder = run / run_folder.CHECKPOINTS_FOLDER
    if any(folder.glob(_UNFINISHED)):
        return "in a checkpoint"
    if any(run.glob("**/.*.unfinished.*")):
        return "writing another file"
    return "anywhere else"


def _newest_step(run: pathlib.Path) -> int:
    return max((int(path.name[5:]) for path in run_folder.list_checkpoints(run)), default=0)


def _num_lines(run: pathlib.Path) -> int:
    try:
        return (run / "metrics.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def _tail(log: pathlib.Path) -> str:
    return " / ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])


def _note_start(report: Report, log: pathlib.Path, newest: int) -> None:
    """Notes if a process began elsewhere than at the newest checkpoint before it."""
    text = log.read_text(encoding="utf-8", errors="replace")
    continued = re.search(r"^Continuing '.*' after step (\d+)\.$", text, re.MULTILINE)
    if continued and int(continued[1]) != newest:
        report.lost.append(f"went on from step {continued[1]}, not from {newest}")
    if "Traceback" in text or "cannot be read" in text:
        report.lost.append(f"complaints: {_tail(log)}")


def differences(run: pathlib.Path, expected: pathlib.Path) -> list[str]:
    """Returns what two run folders do not have in common, a line each.

    Compared are all files but TensorBoard's events and the page, which have times in them.
    """
    found = []
    ignored = re.compile(r"tensorboard/|train\.lock$|index\.html$|metrics\.jsonl$|.*/state\.")
    digests = [
        {x: y for x, y in tiny_training.read_folder(folder).items() if not ignored.match(x)}
        for folder in (run, expected)
    ]
    for name in sorted({**digests[0], **digests[1]}):
        if digests[0].get(name) != digests[1].get(name):
            there = [name in names for names in digests]
            kind = "differs" if all(there) else "is too much" if there[0] else "is missing"
            found.append(f"{name} {kind}")
    metrics = [
        [{**record, "images_per_second": 0} for record in run_folder.read_metrics(folder)]
        for folder in (run, expected)
    ]
    if metrics[0] != metrics[1]:
        found.append("metrics.jsonl differs")
    for folder in run_folder.list_checkpoints(expected):
        other = run / run_folder.CHECKPOINTS_FOLDER / folder.name
        if other.is_dir() and not _same_state(other, folder):
            found.append(f"the state in {folder.name} differs")
    return found


def _same_state(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Returns whether two checkpoints hold the same weights, optimizers and counters."""
    readers = [tf.train.load_checkpoint(str(folder / "state")) for folder in (one, other)]
    names = readers[0].get_variable_to_shape_map()
    if names != readers[1].get_variable_to_shape_map():
        return False
    names = [name for name in names if name.endswith("VARIABLE_VALUE")]
    return bool(names) and all(
        np.array_equal(*(reader.get_tensor(name) for reader in readers)) for name in names
    )


def main() -> int:
    """Runs the check as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="How many times to kill the run.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the moments.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as folder:
        report = check(pathlib.Path(folder), kills=options.kills, seed=options.seed)
    print(report)
    return 1 if report.lost else 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
