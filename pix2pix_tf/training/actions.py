"""What a run does beside its steps: actions, called with an event after each.

An action is any callable that takes an `Event`. Those of the project write the metrics, the
samples, the checkpoints and the page, each when its event says so; `train(..., actions=[...])`
adds others behind them:

    def announce(event):
        if event.at_checkpoint:
            post(f"step {event.step}: {event.record}")
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import tensorflow as tf

from pix2pix_tf import grids, metrics, run_folder, seeds
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pipeline
from pix2pix_tf.data.classes import ClassTable
from pix2pix_tf.errors import NonFiniteLossError
from pix2pix_tf.evaluation import label_maps
from pix2pix_tf.evaluation.fcn_score import confusion
from pix2pix_tf.files import writing
from pix2pix_tf.models import generator
from pix2pix_tf.progress import Progress
from pix2pix_tf.training import reports
from pix2pix_tf.training.checkpoints import CheckpointManager, Measure
from pix2pix_tf.training.inputs import Inputs
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import Tally

# Drawing the curves takes a second, too often for a short run with many checkpoints.
_SECONDS_BETWEEN_CURVES = 60


@dataclasses.dataclass(frozen=True)
class Event:
    """A step that was done. On several machines only the first has events.

    Where `config.steps_per_call` is above 1, only the last of a call has one.

    Attributes:
        step: Its number, from 1.
        losses: What it returned, float32 scalars by name. To read one waits for the device, so
            not at each step.
        state: Networks, optimizers and counters after it.
        config: Settings of the run.
        workdir: The run folder.
        record: Where a line of metrics is due: the means of the losses since the line before,
            `images_per_second` and `learning_rate`; else None.
        at_samples: Whether a grid of samples is due.
        at_checkpoint: Whether a checkpoint is due. Actions of the caller find it, the line and
            the grid written.
        is_last: Whether no step comes after it.
        is_stopped: Whether somebody waits for the run to end.
        say: Prints a line without breaking the progress bar.
        stop: Asks the run to end after the next step, as Ctrl-C does; takes the reason.
    """

    step: int
    losses: Mapping[str, tf.Tensor]
    state: TrainState
    config: TrainConfig
    workdir: pathlib.Path
    record: dict[str, float] | None
    at_samples: bool
    at_checkpoint: bool
    is_last: bool
    is_stopped: bool
    say: Callable[[str], None]
    stop: Callable[[str], None]


Action = Callable[[Event], None]


class RunActions:
    """The actions of the project, and what they share.

    What lies in the run folder of steps that will come again is removed.

    Args:
        config: Settings of the run.
        workdir: The run folder, which this process has locked.
        state: Its counters are those of the steps done so far.
        inputs: Pairs for samples and for the measure of the best checkpoint.
        manager: Saves the checkpoints.
        classes: What outputs show, where they are label maps.

    Raises:
        WriteError: If the folder cannot be written.
    """

    def __init__(
        self,
        config: TrainConfig,
        workdir: pathlib.Path,
        state: TrainState,
        inputs: Inputs,
        manager: CheckpointManager,
        classes: ClassTable | None = None,
    ):
        height, width = config.crop_shape
        self._workdir = workdir
        self._inputs = inputs
        self._manager = manager
        self._classes = classes
        self._examples = list(inputs.examples(config.num_samples))
        self._noise_shape = [1, generator.noise_size(state.generator, height=height, width=width)]
        self._stream = seeds.stream(config.seed, seeds.SAMPLES)
        self._generate = tf.function(lambda source, z: state.published([source, z]))
        self._events_folder = workdir / run_folder.EVENTS_FOLDER
        with writing(self._events_folder):
            self._events = tf.summary.create_file_writer(str(self._events_folder))
        self._curves_due = time.perf_counter()  # The first are due at once.
        step = int(state.step.numpy())
        reports.forget_later(workdir, step=step)
        if step == 0:
            self.write_grid(0)  # The untrained generator, to compare with.
            reports.write_page(workdir, config, held_out=inputs.held_out)

    def in_order(self) -> list[Action]:
        """Returns them in the order in which they have to be called."""
        # The checkpoint after all else of a step: what a killed run goes on from lacks nothing
        # before it.
        return [
            self.measure_held_out,
            self.write_metrics,
            self.write_samples,
            self.save_checkpoint,
            self.write_page,
        ]

    def measure_held_out(self, event: Event) -> None:
        """Adds the measure of the best checkpoint to the line of metrics."""
        name = event.config.best_metric
        # On training pairs no best could be told.
        is_measured = name != metrics.NO_METRIC and self._inputs.held_out is not None
        if event.record is None or not event.at_checkpoint or event.is_stopped or not is_measured:
            return
        pairs = (
            (self._translate(example, number), example.picture_of(example.target))
            for number, example in enumerate(self._inputs.examples(event.config.num_evaluated))
        )
        metric = metrics.METRICS[name].function
        if metric is None:  # class_iou: of the pixels of all pairs, not a mean over pairs.
            table = cast(ClassTable, self._classes)  # `label_classes.find` refuses a run without.
            matrices = [label_maps.confusion_of(x[0], y[0], table) for x, y in pairs]
            value = confusion.scores(np.sum(matrices, axis=0))[name]
        else:
            value = float(np.mean([float(metric(*pair)[0]) for pair in pairs]))
        event.record[run_folder.HELD_OUT_PREFIX + name] = value

    def write_metrics(self, event: Event) -> None:
        """Writes a line of metrics, and TensorBoard's scalars."""
        if event.record is None:
            return
        # JSON does not have infinity, which PSNR of a perfect picture is.
        record = {name: value for name, value in event.record.items() if math.isfinite(value)}
        reports.append_metrics(self._workdir, record)
        scalars = {name: value for name, value in record.items() if name != "step"}
        self._write_events(event.step, tf.summary.scalar, scalars)

    def write_samples(self, event: Event) -> None:
        """Writes a grid of input, output and target."""
        if event.at_samples:
            self.write_grid(event.step)

    def write_grid(self, step: int) -> None:
        """Writes the grid of a step."""
        rows = [
            (
                example.source_picture[0],
                self._translate(example, n)[0],
                example.picture_of(example.target)[0],
            )
            for n, example in enumerate(self._examples)
        ]
        grid = grids.sample_grid(rows)
        reports.write_sample_grid(self._workdir, step, grid)
        images = {"input | output | target": grid[np.newaxis]}
        self._write_events(step, tf.summary.image, images)

    def save_checkpoint(self, event: Event) -> None:
        """Saves the state, and says how good it is."""
        if event.record is None or not event.at_checkpoint:
            return
        metric = event.config.best_metric
        measured = event.record.get(run_folder.HELD_OUT_PREFIX + metric)
        split = self._inputs.held_out
        if measured is None or split is None:
            self._manager.save()
            event.say(f"Saved step {event.step}.")
            return
        larger_is_better = metrics.METRICS[metric].better == metrics.MORE
        self._manager.save(Measure(metric, split, measured, larger_is_better))
        best = run_folder.read_best(event.workdir)
        # None while no value was finite.
        known = f"; best {best['value']:.4f} at step {best['step']}" if best else ""
        known_pairs = self._inputs.num_held_out  # None: a dataset that does not tell.
        count = min(event.config.num_evaluated, known_pairs or event.config.num_evaluated)
        event.say(
            f"Saved step {event.step}: {metric} {measured:.4f} on {count} pairs of {split}{known}."
        )

    def write_page(self, event: Event) -> None:
        """Writes the page of the run, and now and then its curves."""
        if not (event.at_checkpoint or event.at_samples):
            return
        if event.is_last or time.perf_counter() >= self._curves_due:
            reports.plot_losses(event.workdir, gan_loss=event.config.gan_loss)
            self._curves_due = time.perf_counter() + _SECONDS_BETWEEN_CURVES
        reports.write_page(event.workdir, event.config, held_out=self._inputs.held_out)

    def _translate(self, example: pipeline.Example, number: int) -> tf.Tensor:
        """Returns the output as it is shown and measured, with the same z for the same number."""
        z = tf.random.stateless_uniform(self._noise_shape, seed=[self._stream, number])
        return example.picture_of(self._generate(example.source, z))

    def _write_events(self, step: int, write: Callable[..., None], values: Mapping) -> None:
        """Writes values by their names for TensorBoard, with `tf.summary.scalar` or `.image`."""
        with writing(self._events_folder), self._events.as_default(step=step):
            for name, value in values.items():
                write(name, value)
            self._events.flush()


class ActionRunner:
    """Decides what is due after a step, and calls the actions.

    Args:
        config: The intervals.
        workdir: The run folder.
        state: Its counters are those of the steps done so far.
        actions: Called in this order; none on all machines but the first, which only watch the
            losses.
        tally: Has the losses since the last line.
        progress: Shows the losses.
        stop: Asks the run to end; takes the reason.
    """

    def __init__(
        self,
        config: TrainConfig,
        workdir: pathlib.Path,
        state: TrainState,
        actions: Sequence[Action],
        *,
        tally: Tally,
        progress: Progress,
        stop: Callable[[str], None],
    ):
        self._config = config
        self._state = state
        self._actions = actions
        self._tally = tally
        self._progress = progress
        self._make_event = functools.partial(
            Event, state=state, config=config, workdir=workdir, say=progress.say, stop=stop
        )
        self._first_step = int(state.step.numpy()) + 1
        self._last_time, self._last_step = time.perf_counter(), self._first_step - 1

    def num_steps_to_due(self, step: int) -> int:
        """Returns how many steps after `step` something is due, at most `steps_per_call`."""
        config = self._config
        if step + 1 == self._first_step:
            return 1
        intervals = (config.log_every, config.sample_every, config.checkpoint_every)
        to_due = [interval - step % interval for interval in intervals]
        return min(config.steps_per_call, config.num_steps - step, *to_due)

    def after_step(self, step: int, losses: dict[str, tf.Tensor], *, is_stopped: bool) -> None:
        """Calls the actions with the event of `step`.

        Args:
            step: Its number.
            losses: What it returned.
            is_stopped: Someone waits for the run to end: the state is saved at once, without the
                pictures and measures of a checkpoint.

        Raises:
            NonFiniteLossError: At the next line of metrics or checkpoint after a loss, or a
                weight about to be saved, was not finite; nothing is saved then.
            WriteError: If something cannot be written; the last checkpoint is whole.
        """
        config = self._config
        is_last = is_stopped or step == config.num_steps
        saves = is_last or step % config.checkpoint_every == 0
        draws = not is_stopped and (is_last or step % config.sample_every == 0)
        logs = saves or step == self._first_step or step % config.log_every == 0
        record = self._read_losses(step) if logs else None
        self._progress.update(step, record and {name: record[name] for name in losses})
        if saves or draws or logs:
            float(losses["generator_loss"])  # Waits for the step, which is not part of the pause.
        paused_at = time.perf_counter()
        if saves:
            # A loss precedes the update that spoils what is about to be saved.
            weights = self._state.generator.get_weights() + self._state.discriminator.get_weights()
            if not all(np.isfinite(weight).all() for weight in weights):
                raise _diverged(f"A weight was not finite after step {step}")
        event = self._make_event(
            step=step,
            losses=losses,
            record=record,
            at_samples=draws,
            at_checkpoint=saves,
            is_last=is_last,
            is_stopped=is_stopped,
        )
        for action in self._actions:
            action(event)
        # images_per_second is of training alone.
        self._last_time += time.perf_counter() - paused_at

    def _read_losses(self, step: int) -> dict[str, float]:
        """Returns the means since the last line, and the rates.

        Raises:
            NonFiniteLossError: If a loss was not finite.
        """
        # Reading a tensor waits for the device: once a line, not once a step.
        means = self._tally.read_means(step - self._last_step)
        bad_step = int(self._state.first_bad_step.numpy())
        if bad_step >= 0:
            raise _diverged(f"A loss was not finite at step {bad_step}")
        # Never the time of day, which jumps when a clock is set.
        now = time.perf_counter()
        rate = (step - self._last_step) * self._config.batch_size / (now - self._last_time)
        self._last_time, self._last_step = now, step
        return dict(
            step=step,
            **means,
            images_per_second=rate,
            learning_rate=self._state.generator_optimizer.learning_rate,
        )


def _diverged(what: str) -> NonFiniteLossError:
    return NonFiniteLossError(
        f"{what}. The last checkpoint before it is untouched. Try a smaller learning_rate, or "
        "precision float32."
    )
