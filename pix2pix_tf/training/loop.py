"""`train(config, workdir)`: the whole of a run, resumed where it stopped."""

from __future__ import annotations

import pathlib
import signal
import threading
import time
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import metrics
from pix2pix_tf.config import CONFIG_FILE, TrainConfig, check_resumable
from pix2pix_tf.data import pairs, pipeline
from pix2pix_tf.errors import InputError
from pix2pix_tf.training import distribution, reports
from pix2pix_tf.training.checkpoints import CheckpointManager, read_best
from pix2pix_tf.training.progress import Progress
from pix2pix_tf.training.state import TrainState, noise_size
from pix2pix_tf.training.step import make_train_step

_HELD_OUT_SPLITS = ("val", "test")


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite; the run cannot go on."""


def train(config: TrainConfig, workdir: str | pathlib.Path) -> TrainState:
    """Trains until `config.num_steps`, or until SIGTERM or Ctrl-C, and returns the state.

    A run folder that holds an earlier part of the same run is continued from its
    newest checkpoint. What is written, and when, follows from `config`; see
    `checkpoints` and `reports` for the files.

    Args:
        config: The settings. What is wrong with them or with the data is said
            before networks are built.
        workdir: The run folder; made if it is not there.

    Raises:
        InputError: If the data cannot be used, or the folder holds another run.
        NonFiniteLossError: If a loss is not finite, naming the step; the last
            checkpoint before it is left as it was.
    """
    workdir = pathlib.Path(workdir)
    if (workdir / CONFIG_FILE).is_file():
        check_resumable(TrainConfig.load(workdir), config)
    if config.deterministic:
        keras.utils.set_random_seed(config.seed)  # Asked for by the next line.
        tf.config.experimental.enable_op_determinism()
    strategy = distribution.build_strategy(config.strategy)
    _check_batch(config, strategy)

    training_reader = open_reader(config, "train", size=config.load_size)
    if config.dataset != pairs.DEMO:
        print(f"Reading {len(training_reader)} pairs of '{config.dataset}' ...", flush=True)
        training_reader.read_all()
    held_out = pairs.find_split(config.dataset, _HELD_OUT_SPLITS, data_dir=config.data_dir)
    held_out_reader = open_reader(config, held_out or "train", size=config.crop_size)

    with strategy.scope():
        state = TrainState(config)
    workdir.mkdir(parents=True, exist_ok=True)
    manager = CheckpointManager(state, workdir, keep=config.keep_checkpoints)
    restored = manager.restore_newest()
    if restored is not None:
        print(f"Continuing '{workdir}' after step {restored}.", flush=True)
    if distribution.is_chief(strategy):
        config.save(workdir)

    writer = _Writer(config, workdir, state, held_out_reader, manager, has_held_out=bool(held_out))
    writer.is_silent = not distribution.is_chief(strategy)
    batches = _distributed_batches(config, training_reader, strategy, int(state.examples_seen))
    try:
        _run_steps(config, state, make_train_step(state, config, strategy), batches, writer)
    except tf.errors.OpError:
        if training_reader.error is not None:  # A file went bad during the run.
            raise training_reader.error from None
        raise
    return state


def _run_steps(
    config: TrainConfig, state: TrainState, train_step, batches: Iterator, writer: _Writer
) -> None:
    """Runs the steps that are left; `writer` does what is due after each."""
    first_step = int(state.step)
    if first_step >= config.num_steps:
        print(f"All {config.num_steps} steps are done. Give a larger num_steps to go on.")
        return
    with (
        _StopRequest() as stop,
        Progress(first_step, config.num_steps, config.batch_size) as progress,
    ):
        writer.start(first_step)
        for step in range(first_step + 1, config.num_steps + 1):
            losses = train_step(next(batches))  # The only compiled call.
            is_last = step == config.num_steps or stop.is_requested
            writer.after_step(step, losses, progress, is_last=is_last)
            if stop.is_requested and step < config.num_steps:
                progress.say(
                    f"Stopped by {stop.reason} after step {step}; everything is saved. The same "
                    "command goes on from here."
                )
                return


def open_reader(config: TrainConfig, split: str, *, size: int) -> pipeline.PairReader:
    """Returns the pairs of one split as the configuration has them.

    Args:
        config: Names the data set, its folder, channels and direction.
        split: "train", "val" or "test".
        size: Pixels of the shorter side.
    """
    a_channels, b_channels = config.input_channels, config.output_channels
    if config.direction == "BtoA":
        a_channels, b_channels = b_channels, a_channels
    source = pairs.open_pairs(
        config.dataset,
        split,
        data_dir=config.data_dir,
        a_channels=a_channels,
        b_channels=b_channels,
        scene_size=config.crop_size,
    )
    return pipeline.PairReader(
        source, size=size, direction=config.direction, cache_megabytes=config.cache_megabytes
    )


def _check_batch(config: TrainConfig, strategy: tf.distribute.Strategy) -> None:
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise InputError(
            f"batch_size is {config.batch_size}, which {replicas} devices cannot share evenly. "
            f"Use a multiple of {replicas}."
        )


def _distributed_batches(
    config: TrainConfig,
    reader: pipeline.PairReader,
    strategy: tf.distribute.Strategy,
    start: int,
) -> Iterator:
    """Returns an iterator over what `train_step` takes, from example number `start` on."""
    index, count = distribution.shard_of_worker(strategy)

    def make_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return pipeline.training_batches(
            reader,
            batch_size=context.get_per_replica_batch_size(config.batch_size),
            crop_size=config.crop_size,
            input_channels=config.input_channels,
            output_channels=config.output_channels,
            mirror=config.mirror,
            seed=config.seed,
            start=start,
            shard=(index, count),
        )

    return iter(strategy.distribute_datasets_from_function(make_dataset))


class _Writer:
    """Does after each step what is due: metrics, samples, checkpoints."""

    def __init__(
        self,
        config: TrainConfig,
        workdir: pathlib.Path,
        state: TrainState,
        held_out_reader: pipeline.PairReader,
        manager: CheckpointManager,
        *,
        has_held_out: bool,
    ):
        self.is_silent = False
        self._config = config
        self._workdir = workdir
        self._state = state
        self._reader = held_out_reader
        self._manager = manager
        self._measures_best = has_held_out and config.best_metric != "none"
        self._generate = tf.function(lambda source, z: state.generator([source, z]))
        self._window: list[dict[str, tf.Tensor]] = []
        self._samples: list[pipeline.Example] = []

    def start(self, step: int) -> None:
        """Opens the files and, in a new run, shows the untrained generator."""
        self._last_time, self._last_step = time.monotonic(), step
        if self.is_silent:
            return
        self._log = reports.MetricsLog(self._workdir, step=step)
        self._events = tf.summary.create_file_writer(str(self._workdir / "tensorboard"))
        examples = pipeline.evaluation_examples(
            self._reader, crop_size=self._config.crop_size, limit=self._config.num_samples
        )
        self._samples = list(examples)
        if step == 0:
            self._write_samples(0)

    def after_step(self, step: int, losses, progress: Progress, *, is_last: bool) -> None:
        """Writes what is due after `step`; raises NonFiniteLossError."""
        config = self._config
        self._window.append(losses)
        is_first = step == self._last_step + 1 and len(self._window) == 1 and step == 1
        shown = None
        if step % config.log_every == 0 or is_last or is_first:
            shown = self._log_losses(step)
        progress.update(step, shown)
        paused_at = time.monotonic()
        if (step % config.sample_every == 0 or is_last) and not self.is_silent:
            self._write_samples(step)
        if step % config.checkpoint_every == 0 or is_last:
            self._check_finite()
            if not self.is_silent:
                self._save_checkpoint(step, progress)
        self._last_time += time.monotonic() - paused_at  # images_per_second is of training alone.

    def _check_finite(self) -> None:
        bad_step = int(self._state.first_bad_step)
        if bad_step >= 0:
            raise NonFiniteLossError(
                f"A loss was not finite at step {bad_step}. The last checkpoint before it is "
                "untouched. Try a smaller learning_rate, or precision float32."
            )

    def _log_losses(self, step: int) -> dict[str, float]:
        """Returns the means since the last line, having written them."""
        window, self._window = self._window, []
        means = {name: float(np.mean([float(x[name]) for x in window])) for name in window[0]}
        self._check_finite()
        now = time.monotonic()
        rate = (step - self._last_step) * self._config.batch_size / (now - self._last_time)
        self._last_time, self._last_step = now, step
        if self.is_silent:
            return means
        record = dict(
            step=step,
            **means,
            images_per_second=rate,
            learning_rate=self._state.generator_optimizer.learning_rate,
        )
        self._log.write(record)
        with self._events.as_default(step=step):
            for name, value in record.items():
                if name != "step":
                    tf.summary.scalar(name, value)
        return means

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

    def _translate(self, example: pipeline.Example, number: int) -> tf.Tensor:
        """Returns G(x, z) with the same z for pair `number` whenever it is asked."""
        seed = [self._config.seed, number]
        z = tf.random.stateless_uniform([1, noise_size(self._config)], seed=seed)
        return self._generate(example.source, z)

    def _save_checkpoint(self, step: int, progress: Progress) -> None:
        name = self._config.best_metric
        if not self._measures_best:
            self._manager.save()
            return
        examples = pipeline.evaluation_examples(
            self._reader, crop_size=self._config.crop_size, limit=self._config.num_evaluated
        )
        values = [
            float(metrics.METRICS[name](self._translate(example, number), example.target)[0])
            for number, example in enumerate(examples)
        ]
        value = float(np.mean(values))
        self._manager.save(metric=(name, value), larger_is_better=metrics.LARGER_IS_BETTER[name])
        with self._events.as_default(step=step):
            tf.summary.scalar(f"held_out_{name}", value)
        best = read_best(self._workdir)
        progress.say(
            f"Saved step {step}: {name} {value:.4f} on {len(values)} held-out pairs; best "
            f"{best['value']:.4f} at step {best['step']}."
        )


class _StopRequest:
    """Turns the first SIGTERM or Ctrl-C into a request; a second one acts as usual."""

    def __init__(self):
        self.is_requested = False
        self.reason = ""
        self._previous = {}

    def __enter__(self) -> _StopRequest:
        # Python allows handlers in the main thread only; elsewhere nothing changes.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *unused):
        self._restore()

    def _request(self, number, unused_frame):
        self.is_requested = True
        self.reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._restore()

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
