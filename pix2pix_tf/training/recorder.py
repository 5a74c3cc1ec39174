"""What is due after a step: metrics, samples, checkpoints."""

from __future__ import annotations

import pathlib
import time

import numpy as np
import tensorflow as tf

from pix2pix_tf import metrics, seeds
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pipeline
from pix2pix_tf.training import reports
from pix2pix_tf.training.checkpoints import CheckpointManager, read_best
from pix2pix_tf.training.progress import Progress
from pix2pix_tf.training.state import TrainState, noise_size


class NonFiniteLossError(RuntimeError):
    """A loss or a weight became NaN or infinite; the run cannot go on."""


class Recorder:
    """Writes what a run leaves, each thing at its interval.

    Args:
        config: The intervals, and what to measure.
        workdir: The run folder.
        state: What is recorded; its counters are those of the steps done so far.
        held_out: Pairs for samples and for the measure of the best checkpoint.
        manager: Saves the checkpoints.
        best_metric: Name of that measure, or "none".
        writes: False on all workers but the first: they only watch the losses.
    """

    def __init__(
        self,
        config: TrainConfig,
        workdir: pathlib.Path,
        state: TrainState,
        held_out: pipeline.PairReader,
        manager: CheckpointManager,
        *,
        best_metric: str,
        writes: bool,
    ):
        self._config = config
        self._workdir = workdir
        self._state = state
        self._held_out = held_out
        self._manager = manager
        self._best_metric = best_metric
        self._writes = writes
        self._generate = tf.function(lambda source, z: state.generator([source, z]))
        self._window: list[dict[str, tf.Tensor]] = []  # Losses since the last line.
        self._first_step = int(state.step.numpy()) + 1
        self._last_time, self._last_step = time.monotonic(), self._first_step - 1
        if writes:
            self._log = reports.MetricsLog(workdir, step=self._last_step)
            self._events = tf.summary.create_file_writer(str(workdir / "tensorboard"))
            self._samples = list(self._examples(config.num_samples))
            if self._first_step == 1:
                self._write_samples(0)  # The untrained generator, to compare with.

    def after_step(
        self, step: int, losses: dict[str, tf.Tensor], progress: Progress, *, is_last: bool
    ) -> None:
        """Writes what is due after `step`.

        Raises:
            NonFiniteLossError: At the next line of metrics or checkpoint after
                a loss, or a weight about to be saved, was not finite; nothing
                is saved then.
        """
        config = self._config
        self._window.append(losses)
        shown = None
        if step % config.log_every == 0 or step == self._first_step or is_last:
            shown = self._log_losses(step)
        progress.update(step, shown)
        paused_at = time.monotonic()
        if (step % config.sample_every == 0 or is_last) and self._writes:
            self._write_samples(step)
        if step % config.checkpoint_every == 0 or is_last:
            self._check_losses()
            self._check_weights(step)
            if self._writes:
                self._save_checkpoint(step, progress)
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

    def _log_losses(self, step: int) -> dict[str, float]:
        """Returns the means since the last line, having written them."""
        # Reading a tensor waits for the device: once a line, not once a step.
        window, self._window = self._window, []
        means = {name: float(np.mean([float(x[name]) for x in window])) for name in window[0]}
        self._check_losses()
        now = time.monotonic()
        rate = (step - self._last_step) * self._config.batch_size / (now - self._last_time)
        self._last_time, self._last_step = now, step
        if self._writes:
            rates = dict(
                images_per_second=rate,
                learning_rate=self._state.generator_optimizer.learning_rate,
            )
            self._log.write(dict(step=step, **means, **rates))
            self._write_scalars(step, {**means, **rates})
        return means

    def _write_scalars(self, step: int, values: dict[str, float]) -> None:
        with self._events.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def _write_samples(self, step: int) -> None:
        rows = [
            (example.source[0], self._translate(example, number)[0], example.target[0])
            for number, example in enumerate(self._samples)
        ]
        grid = reports.sample_grid(rows)
        reports.write_sample_grid(self._workdir, step, grid)
        with self._events.as_default(step=step):
            tf.summary.image("input | output | target", grid[np.newaxis])
        self._events.flush()
        reports.plot_losses(self._workdir, gan_loss=self._config.gan_loss)
        reports.write_page(self._workdir, self._config)

    def _save_checkpoint(self, step: int, progress: Progress) -> None:
        name = self._best_metric
        if name == "none":
            self._manager.save()
            progress.say(f"Saved step {step}.")
            return
        values = [
            float(metrics.METRICS[name](self._translate(example, number), example.target)[0])
            for number, example in enumerate(self._examples(self._config.num_evaluated))
        ]
        value = float(np.mean(values))
        self._manager.save(metric=(name, value), larger_is_better=metrics.LARGER_IS_BETTER[name])
        self._write_scalars(step, {f"held_out_{name}": value})
        best = read_best(self._workdir)
        # None while no value was finite: PSNR of a perfect picture is not.
        known = f"; best {best['value']:.4f} at step {best['step']}" if best else ""
        progress.say(
            f"Saved step {step}: {name} {value:.4f} on {len(values)} held-out pairs{known}."
        )

    def _examples(self, limit: int):
        return pipeline.evaluation_examples(
            self._held_out, crop_size=self._config.crop_size, limit=limit
        )

    def _translate(self, example: pipeline.Example, number: int) -> tf.Tensor:
        """Returns G(x, z) with the same z for pair `number` whenever it is asked."""
        seed = seeds.stream(self._config.seed, seeds.SAMPLES)
        z = tf.random.stateless_uniform([1, noise_size(self._config)], seed=[seed, number])
        return self._generate(example.source, z)
