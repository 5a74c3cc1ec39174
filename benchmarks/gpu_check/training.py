"""A run as a user trains it: reads pairs, logs, writes samples and a checkpoint."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.gpu_check import checks, environment, loss_scaling
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.settings import Settings
from pix2pix_tf import run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import registry
from pix2pix_tf.training import loop
from pix2pix_tf.training.actions import Action
from pix2pix_tf.training.state import TrainState

TITLE = "A run"
MINUTES = 3
RUN = "run"  # In the folder of the check.
# From so many steps on, L1 falls by more than the pairs of a tenth of them differ.
_ENOUGH_STEPS = 200


def run_config(settings: Settings, **changes) -> TrainConfig:
    """Returns the settings of a run on the pairs that are asked for, or that are here."""
    dataset = settings.dataset
    if not dataset:
        is_here = registry.find_published("facades", settings.data_dir)
        dataset = "facades" if is_here else "demo"
    published = registry.PUBLISHED.get(dataset)
    direction = published.direction if published else "AtoB"
    data = dict(dataset=dataset, data_dir=settings.data_dir, direction=direction)
    return settings.train_config(**data, **changes)


def measure(settings: Settings, folder: pathlib.Path) -> Iterator[Check]:
    """Yields how a run of `num_steps` went, by the default precision of this machine."""
    tenth = max(settings.num_steps // 10, 1)
    every = dict(log_every=tenth, sample_every=settings.num_steps)
    config = run_config(settings, num_steps=settings.num_steps, **every)
    yield checks.recorded("pairs", config.dataset)
    state = train(config, folder / RUN)
    precision = TrainConfig.load(folder / RUN).precision
    yield checks.recorded("precision", precision)
    yield checks.equals("steps done", int(state.step.numpy()), config.num_steps)
    records = run_folder.read_metrics(folder / RUN)
    # The first record is of one step, which compiles; the next, of the rest of the first tenth.
    first, last = records[min(1, len(records) - 1)], records[-1]
    ratio = last["l1_loss"] / first["l1_loss"]
    what = "L1 in the last tenth of the steps, as a share of the first tenth"
    if config.num_steps < _ENOUGH_STEPS:
        yield checks.recorded(what, ratio)
    else:
        yield checks.at_most(what, ratio, 1.0)
    rate = float(np.median([record["images_per_second"] for record in records[1:]]))
    yield checks.recorded(f"images a second on the {environment.device()}, with all of it", rate)
    what = "steps that loss scaling skipped"
    if precision == "float16":
        yield checks.at_most(what, loss_scaling.num_skipped(state), loss_scaling.MOST_SKIPPED)
    else:
        yield checks.not_measured(what, "the run was not in float16")


def train(config: TrainConfig, workdir: pathlib.Path, actions: Sequence[Action] = ()) -> TrainState:
    """Trains, and takes a run that was stopped for the user's wish to stop everything."""
    state = loop.train(config, workdir, actions=actions)
    if int(state.step.numpy()) < config.num_steps:
        raise KeyboardInterrupt
    return state
