"""`train(config, workdir)`: the whole of a run, resumed where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from pix2pix_tf import files, run_folder
from pix2pix_tf.config import TrainConfig, check_resumable, first_and_last_step
from pix2pix_tf.data import pairs, pipeline
from pix2pix_tf.data.pipeline import open_reader
from pix2pix_tf.errors import InputError, first_line, join_lines
from pix2pix_tf.precision import resolve_precision
from pix2pix_tf.progress import Progress
from pix2pix_tf.run_folder import list_checkpoints
from pix2pix_tf.signals import StopRequest
from pix2pix_tf.training import distribution
from pix2pix_tf.training.checkpoints import CheckpointManager
from pix2pix_tf.training.locking import RunLock
from pix2pix_tf.training.profiling import Profiler
from pix2pix_tf.training.recorder import Recorder, write_page
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import make_train_step
from pix2pix_tf.training.summary import describe_run

_HELD_OUT_SPLITS = ("val", "test")


class WorkerLostError(RuntimeError):
    """Another worker is gone; the run can go on from its newest checkpoint, in a new process."""


def train(config: TrainConfig, workdir: str | pathlib.Path) -> TrainState:
    """Trains until `config.num_steps`, or until SIGTERM, SIGHUP or Ctrl-C, and returns the state.

    A run folder that holds an earlier part of the same run is continued from its
    newest checkpoint. What is written, and when, follows from `config`; see
    `checkpoints` and `reports` for the files.

    Args:
        config: The settings. What is wrong with them or with the data is said
            before networks are built.
        workdir: The run folder; made if it is not there.

    Raises:
        InputError: If the data cannot be used, the folder holds another run, or another
            process trains in it.
        WriteError: If something cannot be written; the last checkpoint is whole.
        NonFiniteLossError: If a loss or a weight is not finite, naming the step;
            the last checkpoint before it is left as it was.
        WorkerLostError: If another worker ended in the middle of the run.
    """
    workdir = pathlib.Path(workdir)
    files.check_no_pattern(workdir)
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"'{workdir}' is not a folder. Name another --workdir; it is made if new.")
    # First: a strategy over machines must come before anything asks for devices.
    strategy = distribution.build_strategy(config.strategy)
    if not distribution.is_chief(strategy):
        return _train(config, workdir, strategy, lock=None)
    with RunLock(workdir) as lock:
        return _train(config, workdir, strategy, lock=lock)


def _train(
    config: TrainConfig,
    workdir: pathlib.Path,
    strategy: tf.distribute.Strategy,
    *,
    lock: RunLock | None,
) -> TrainState:
    """Does the work of `train`; without a lock, writes nothing."""
    config = _settle(config, workdir)
    if config.deterministic:
        keras.utils.set_random_seed(config.seed)  # Asked for by the next line.
        tf.config.experimental.enable_op_determinism()
    _check_batch(config, strategy)

    held_out = pairs.find_split(config.dataset, _HELD_OUT_SPLITS, data_dir=config.data_dir)
    training_reader, held_out_reader = _open_readers(config, held_out)
    for line in describe_run(
        config,
        workdir,
        strategy,
        num_pairs=len(training_reader),
        held_out=held_out,
        num_held_out=len(held_out_reader),
    ):
        print(line, flush=True)
    if config.dataset != pairs.DEMO:
        print("Reading all pairs once ...", flush=True)
        readers = [training_reader, *([held_out_reader] if held_out else [])]
        _do_all([reader.read_all for reader in readers])

    if lock:
        lock.acquire()
        files.sweep(workdir, is_alone=True)
    with strategy.scope(), _together(strategy):
        state = TrainState(config)
        manager = CheckpointManager(state, workdir, keep=config.keep_checkpoints)
        restored = manager.restore_newest()
    if restored is not None:
        if lock:
            manager.finish()
        print(f"Continuing '{workdir}' after step {restored}.", flush=True)
    if restored is not None and restored >= config.num_steps:
        if lock:
            write_page(config, workdir, held_out=held_out)  # Killed before it, perhaps.
        print(f"All {config.num_steps} steps are done. Pass a larger --num_steps to train further.")
        return state
    if lock:
        config.save(workdir)

    recorder = Recorder(
        config,
        workdir,
        state,
        held_out_reader,
        manager,
        held_out=held_out,
        lock=lock,
    )
    batches = _distributed_batches(
        config, training_reader, strategy, int(state.examples_seen.numpy())
    )
    try:
        train_step = make_train_step(state, config, strategy)
        agree = distribution.make_agreement(strategy)
        profiled = first_and_last_step(config.profile_steps)
        with Profiler(workdir, profiled, writes=lock is not None) as profiler:
            _run_steps(config, state, strategy, train_step, batches, recorder, agree, profiler)
    except tf.errors.OpError:
        if training_reader.error is not None:  # A file went bad during the run.
            raise training_reader.error from None
        raise
    print(f"Open '{workdir / run_folder.PAGE}' for the curves and the samples.", flush=True)
    return state


def _settle(config: TrainConfig, workdir: pathlib.Path) -> TrainConfig:
    """Returns `config` with "auto" resolved, having checked it against an earlier part of the run.

    A run keeps the precision it started with: continued on another kind of
    device, "auto" would mean another one, and with it another optimizer state.
    """
    # Without a checkpoint there is nothing to fit: the run starts anew.
    saved = TrainConfig.load(workdir) if list_checkpoints(workdir) else None
    precision = resolve_precision(config.precision)
    if saved is not None and config.precision == "auto":
        precision = saved.precision
    config = dataclasses.replace(config, precision=precision)
    if saved is not None:
        check_resumable(saved, config)
    return config


@contextlib.contextmanager
def _together(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Tells that another worker is gone, where what all do together fails for it."""
    try:
        yield
    except tf.errors.OpError as error:
        if not distribution.is_lost_worker(strategy, error):
            raise
        raise WorkerLostError(f"Another worker is gone ({first_line(error)}).") from error


def _run_steps(
    config: TrainConfig,
    state: TrainState,
    strategy: tf.distribute.Strategy,
    train_step,
    batches: Iterator,
    recorder: Recorder,
    agree: Callable[[bool], bool],
    profiler: Profiler,
) -> None:
    """Runs the steps that are left; `recorder` does what is due after each."""
    steps_done = int(state.step.numpy())
    with (
        StopRequest() as stop,
        Progress(steps_done, config.num_steps, config.batch_size) as progress,
    ):
        for step in range(steps_done + 1, config.num_steps + 1):
            try:
                with _together(strategy):
                    with profiler.step(step):
                        losses = train_step(next(batches))  # The only compiled call.
                    # A machine that went on alone would wait for the others for ever.
                    is_stopped = agree(stop.is_requested) and step < config.num_steps
            except WorkerLostError as error:
                if not stop.is_requested:
                    raise
                progress.say(f"Stopped by {stop.reason}. {error} The newest checkpoint stays.")
                return
            recorder.after_step(step, losses, progress, is_stopped=is_stopped)
            if is_stopped:
                break
        with _together(strategy):
            agree(False)  # All leave together: the first worker may still be writing.
        if is_stopped:
            progress.say(
                f"Stopped by {stop.reason or 'another worker'} after step {step}; everything is "
                "saved. Run the same command again to resume."
            )


def _open_readers(
    config: TrainConfig, held_out: str | None
) -> tuple[pipeline.PairReader, pipeline.PairReader]:
    """Returns the pairs for training, and those for samples and measures.

    Raises:
        InputError: If there are none; or if some cannot be used, naming those of both splits.
    """

    def open_training() -> pipeline.PairReader:
        return open_reader(
            config, "train", size=config.load_shape, cache_megabytes=config.cache_megabytes
        )

    def open_held_out() -> pipeline.PairReader:
        return open_reader(config, held_out or "train", size=config.crop_shape)

    try:
        return open_training(), open_held_out()
    except InputError:
        # All that is wrong is said at once, and not only the first kind of it.
        openings = [open_training, *([open_held_out] if held_out else [])]
        _do_all([lambda opening=opening: opening().read_all() for opening in openings])
        raise


def _do_all(functions: Sequence[Callable[[], None]]) -> None:
    """Calls each function; if several raise an InputError, raises one that says all."""
    faults = []
    for function in functions:
        try:
            function()
        except InputError as error:
            faults.append(error)
    if len(faults) > 1:
        raise InputError(join_lines(fault.message for fault in faults))
    if faults:
        raise faults[0]


def _check_batch(config: TrainConfig, strategy: tf.distribute.Strategy) -> None:
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise InputError(
            f"batch_size is {config.batch_size}, which {replicas} devices cannot share evenly. "
            f"Use a multiple of {replicas}."
        )
    per_replica = config.batch_size // replicas
    if per_replica % config.accumulate:
        raise InputError(
            f"accumulate is {config.accumulate}, but a device's batch of {per_replica} does not "
            f"split into so many equal parts. Use a divisor of {per_replica}."
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
            crop_size=config.crop_shape,
            input_channels=config.input_channels,
            output_channels=config.output_channels,
            mirror=config.mirror,
            seed=config.seed,
            start=start,
            shard=(index, count),
        )

    return iter(strategy.distribute_datasets_from_function(make_dataset))
