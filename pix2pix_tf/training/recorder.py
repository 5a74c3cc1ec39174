"""What is due after a step: metrics, samples, checkpoints."""

from __future__ import annotations

import math
import pathlib
import time

import numpy as np
import tensorflow as tf

from pix2pix_tf import grids, metrics, run_folder, seeds
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pipeline
from pix2pix_tf.errors import NonFiniteLossError
from pix2pix_tf.files import writing
from pix2pix_tf.networks import crop_noise_size
from pix2pix_tf.progress import Progress
from pix2pix_tf.run_folder import read_best
from pix2pix_tf.training import reports
from pix2pix_tf.training.checkpoints import CheckpointManager, Measure
from pix2pix_tf.training.locking import RunLock
from pix2pix_tf.training.state import TrainState

# Drawing the curves takes a second, of which a short run with many checkpoints had too many.
_SECONDS_BETWEEN_CURVES = 60
_SHORTEST_SECONDS = 1e-9  # A clock that stood still makes no infinite rate, which JSON has not.


class Recorder:
    """Writes what a run leaves, each thing at its interval.

    Args:
        config: The intervals, and what to measure.
        workdir: The run folder.
        state: What is recorded; its counters are those of the steps done so far.
        reader: Pairs for samples and for the measure of the best checkpoint.
        manager: Saves the checkpoints.
        held_out: The split that `reader` reads, or None where there is none but
            that of the training, by which no best can be told.
        lock: Held by the process that writes; None on all workers but the first, which
            only watch the losses.
    """

    def __init__(
        self,
        config: TrainConfig,
        workdir: pathlib.Path,
        state: TrainState,
        reader: pipeline.PairReader,
        manager: CheckpointManager,
        *,
        held_out: str | None,
        lock: RunLock | None,
    ):
        self._config = config
        self._workdir = workdir
        self._state = state
        self._reader = reader
        self._manager = manager
        self._held_out = held_out
        self._best_metric = config.best_metric if held_out else "none"
        self._lock = lock
        self._generate = tf.function(lambda source, z: state.generator([source, z]))
        self._window: list[dict[str, tf.Tensor]] = []  # Losses since the last line.
        self._first_step = int(state.step.numpy()) + 1
        self._last_time, self._last_step = time.monotonic(), self._first_step - 1
        self._curves_due = time.monotonic()  # The first are due at once.
        if lock:
            self._log = reports.MetricsLog(workdir, step=self._last_step)
            reports.remove_later_samples(workdir, step=self._last_step)
            self._events_folder = workdir / "tensorboard"
            with writing(self._events_folder):
                self._events = tf.summary.create_file_writer(str(self._events_folder))
            self._samples = list(self._examples(config.num_samples))
            if self._first_step == 1:
                self._write_samples(0)  # The untrained generator, to compare with.
                self._write_page(draws_curves=False)  # No metrics yet.

    def after_step(
        self, step: int, losses: dict[str, tf.Tensor], progress: Progress, *, is_stopped: bool
    ) -> None:
        """Writes what is due after `step`.

        Args:
            step: Its number.
            losses: What it returned.
            progress: Shows the losses, and says what was saved.
            is_stopped: Someone waits for the run to end: the state is saved at
                once, without the pictures and measures of a checkpoint.

        Raises:
            NonFiniteLossError: At the next line of metrics or checkpoint after
                a loss, or a weight about to be saved, was not finite; nothing
                is saved then.
            WriteError: If something cannot be written; the last checkpoint is whole.
        """
        config = self._config
        self._window.append(losses)
        is_last = step == config.num_steps
        saves = is_last or is_stopped or step % config.checkpoint_every == 0
        draws = is_last or (step % config.sample_every == 0 and not is_stopped)
        logs = saves or step == self._first_step or step % config.log_every == 0
        record = self._read_losses(step) if logs else None
        progress.update(step, record and {x: record[x] for x in losses})
        if not (saves or draws or logs):
            return
        float(losses["generator_loss"])  # Waits for the step, which is no part of the pause.
        paused_at = time.monotonic()
        if saves:
            self._check_weights(step)
        if self._lock:
            self._lock.check()
            measured = self._measure() if saves and not is_stopped else None
            if logs:
                self._log_record(step, record, measured)
            if draws:
                self._write_samples(step)
            # After all else of the step: what a killed run goes on from lacks nothing before it.
            if saves:
                self._save_checkpoint(step, measured, progress)
            if saves or draws:
                is_due = time.monotonic() >= self._curves_due
                self._write_page(draws_curves=is_due or is_last or is_stopped)
        self._last_time += time.monotonic() - paused_at  # images_per_second is of training alone.

    def _check_losses(self) -> None:
        bad_step = int(self._state.first_bad_step.numpy())
        if bad_step >= 0:
            raise NonFiniteLossError(
                f"A loss was not finite at step {bad_step}. The last checkpoint before it is "
                "untouched. Try a smaller learning_rate, or precision float32."
            )

    def _check_weights(self, step: int) -> None:
        """Looks at what is about to be saved: a loss precedes the update that spoils it."""
        weights = self._state.generator.get_weights() + self._state.discriminator.get_weights()
        if not all(np.isfinite(weight).all() for weight in weights):
            raise NonFiniteLossError(
                f"A weight was not finite after step {step}. The last checkpoint before it is "
                "untouched. Try a smaller learning_rate, or precision float32."
            )

    def _read_losses(self, step: int) -> dict[str, float]:
        """Returns the means since the last line, and the rates.

        Raises:
            NonFiniteLossError: If a loss was not finite.
        """
        # Reading a tensor waits for the device: once a line, not once a step.
        window, self._window = self._window, []
        means = {name: float(np.mean([float(x[name]) for x in window])) for name in window[0]}
        self._check_losses()
        now = time.monotonic()  # Never the time of day, which jumps when a clock is set.
        seconds = max(now - self._last_time, _SHORTEST_SECONDS)
        rate = (step - self._last_step) * self._config.batch_size / seconds
        self._last_time, self._last_step = now, step
        return dict(
            step=step,
            **means,
            images_per_second=rate,
            learning_rate=self._state.generator_optimizer.learning_rate,
        )

    def _log_record(self, step: int, record: dict, measured: float | None) -> None:
        """Writes a line of metrics, with the measure of the checkpoint if there is one."""
        if measured is not None and math.isfinite(measured):  # JSON has no infinity.
            record[run_folder.HELD_OUT_PREFIX + self._best_metric] = measured
        self._log.write(record)
        with writing(self._events_folder), self._events.as_default(step=step):
            for name, value in record.items():
                if name != "step":
                    tf.summary.scalar(name, value)
            self._events.flush()

    def _write_samples(self, step: int) -> None:
        rows = [
            (
                example.source_picture[0],
                example.picture_of(self._translate(example, number))[0],
                example.target_picture[0],
            )
            for number, example in enumerate(self._samples)
        ]
        grid = grids.sample_grid(rows)
        reports.write_sample_grid(self._workdir, step, grid)
        with writing(self._events_folder), self._events.as_default(step=step):
            tf.summary.image("input | output | target", grid[np.newaxis])
            self._events.flush()

    def _write_page(self, *, draws_curves: bool) -> None:
        write_page(self._config, self._workdir, held_out=self._held_out, draws_curves=draws_curves)
        if draws_curves:
            self._curves_due = time.monotonic() + _SECONDS_BETWEEN_CURVES

    def _measure(self) -> float | None:
        """Returns the mean of the best checkpoint's measure, or None if there is no such."""
        if self._best_metric == "none":
            return None
        measure = metrics.METRICS[self._best_metric].function
        values = [
            float(
                measure(
                    example.picture_of(self._translate(example, number)), example.target_picture
                )[0]
            )
            for number, example in enumerate(self._examples(self._config.num_evaluated))
        ]
        return float(np.mean(values))

    def _save_checkpoint(self, step: int, measured: float | None, progress: Progress) -> None:
        name = self._best_metric
        if measured is None:
            self._manager.save()
            progress.say(f"Saved step {step}.")
            return
        larger_is_better = metrics.METRICS[name].better == metrics.MORE
        measure = Measure(name, self._held_out, measured, larger_is_better)
        self._manager.save(measure)
        best = read_best(self._workdir)
        # None while no value was finite: PSNR of a perfect picture is not.
        known = f"; best {best['value']:.4f} at step {best['step']}" if best else ""
        count = min(self._config.num_evaluated, len(self._reader))
        progress.say(
            f"Saved step {step}: {name} {measured:.4f} on {count} pairs of {self._held_out}{known}."
        )

    def _examples(self, limit: int):
        return pipeline.evaluation_examples(
            self._reader, crop_size=self._config.crop_shape, limit=limit
        )

    def _translate(self, example: pipeline.Example, number: int) -> tf.Tensor:
        """Returns G(x, z) with the same z for pair `number` whenever it is asked."""
        seed = seeds.stream(self._config.seed, seeds.SAMPLES)
        z = tf.random.stateless_uniform([1, crop_noise_size(self._config)], seed=[seed, number])
        return self._generate(example.source, z)


def write_page(
    config: TrainConfig, workdir: pathlib.Path, *, held_out: str | None, draws_curves: bool = True
) -> None:
    """Writes the page of a run, and its curves, from what is in its folder."""
    if draws_curves:
        reports.plot_losses(workdir, gan_loss=config.gan_loss)
    reports.write_page(workdir, config, best=read_best(workdir), held_out=held_out)
