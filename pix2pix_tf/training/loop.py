"""`train(config, workdir)`: the whole of a run, resumed where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import keras
import tensorflow as tf

from pix2pix_tf import files, metrics, run_folder
from pix2pix_tf.config import TrainConfig, check_resumable
from pix2pix_tf.data import contents
from pix2pix_tf.errors import InputError, first_line
from pix2pix_tf.precision import resolve_precision
from pix2pix_tf.progress import Progress
from pix2pix_tf.run_folder import list_checkpoints, step_of
from pix2pix_tf.signals import StopRequest
from pix2pix_tf.training import (
    distribution,
    initial_weights,
    inputs,
    known_data,
    label_classes,
    reports,
)
from pix2pix_tf.training.actions import Action, ActionRunner, RunActions
from pix2pix_tf.training.checkpoints import CheckpointManager
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import Tally, make_train_step, make_train_steps
from pix2pix_tf.training.summary import describe_run

LOCK_FILE = "train.lock"


class WorkerLostError(RuntimeError):
    """Another worker is gone; the run can go on from its newest checkpoint, in a new process."""


def train(
    config: TrainConfig,
    workdir: str | pathlib.Path,
    *,
    pairs: inputs.Pairs | Mapping[str, inputs.Pairs] | None = None,
    actions: Sequence[Action] = (),
) -> TrainState:
    """Trains until `config.num_steps`, or until SIGTERM, SIGHUP or Ctrl-C, and returns the state.

    A run folder that holds an earlier part of the same run is continued from its
    newest checkpoint. What is written, and when, follows from `config`; see
    `run_folder` for the files.

    Args:
        config: The settings. What is wrong with them or with the data is said
            before networks are built.
        workdir: The run folder; made if it is not there.
        pairs: Pairs in place of `config.dataset`: any object with the protocol `PairSource`, whose
            A becomes the input unless `config.direction` says otherwise; or a `tf.data.Dataset` of
            (source, target), not batched, float32 `[height, width, channels]` in [-1, 1] and of
            `config.crop_shape`, jittered and shuffled already. A run on a Dataset that is resumed
            begins it anew, so is not the same to the bit. To measure progress on pairs that are
            not trained on, a dict of these by split: "train", and "val" or "test".
        actions: Called after each step with an `Event`, behind those of the project; see
            `training.actions`.

    Raises:
        InputError: If the data cannot be used, the folder holds another run, or another
            process trains in it.
        WriteError: If something cannot be written; the last checkpoint is whole.
        NonFiniteLossError: If a loss or a weight is not finite, naming the step;
            the last checkpoint before it is left as it was.
        WorkerLostError: If another worker ended in the middle of the run.
    """
    workdir = pathlib.Path(workdir)
    metrics.check_best_metric(config.best_metric)
    files.check_no_pattern(workdir)
    # First: a strategy over machines must come before anything asks for devices.
    strategy = distribution.build_strategy(config.strategy)
    with contextlib.ExitStack() as stack:
        with _together(strategy), distribution.agreed(strategy) as facts:
            if distribution.is_chief(strategy):
                files.make_output_folder(workdir)
                refusal = (
                    f"'{workdir}' is being trained in by another process. Wait until it ends, stop "
                    "it, or name another --workdir."
                )
                stack.enter_context(files.locked(workdir / LOCK_FILE, refusal=refusal))
            config, given = _prepare(config, workdir, strategy, pairs)
            facts.update(_facts(config, workdir, given))
        return _train(config, workdir, strategy, given, actions)


def _prepare(
    config: TrainConfig,
    workdir: pathlib.Path,
    strategy: tf.distribute.Strategy,
    pairs: inputs.Pairs | Mapping[str, inputs.Pairs] | None,
) -> tuple[TrainConfig, inputs.Inputs]:
    """Returns the settings with "auto" resolved, and the pairs, having checked both."""
    if pairs is not None:
        config = dataclasses.replace(config, dataset=inputs.GIVEN)
    config, found = _settle(config, workdir)
    label_classes.known(config, workdir)  # Refused now, and not after all pairs were read.
    if config.deterministic:
        keras.utils.set_random_seed(config.seed)  # Asked for by the next line.
        tf.config.experimental.enable_op_determinism()
    if config.precision == "float32":
        # TF32 is another: GPUs since Ampere would round the factors of products to 11 bits.
        tf.config.experimental.enable_tensor_float_32_execution(False)
    _check_devices(config, strategy)
    return config, inputs.open_inputs(config, pairs, found)


def _facts(config: TrainConfig, workdir: pathlib.Path, given: inputs.Inputs) -> dict:
    """Returns what all workers have to have alike."""
    settings = dataclasses.asdict(config)
    for name in (
        "dataset",
        "data_dir",
        "classes",
        "cache_megabytes",
    ):  # May lie, and fit, elsewhere on each.
        del settings[name]
    return dict(
        settings,
        training_pairs=given.num_pairs,
        held_out_pairs=given.num_held_out if given.held_out else 0,
        held_out_split=given.held_out,
        newest_checkpoint=max(map(step_of, list_checkpoints(workdir)), default=None),
    )


def _train(
    config: TrainConfig,
    workdir: pathlib.Path,
    strategy: tf.distribute.Strategy,
    given: inputs.Inputs,
    actions: Sequence[Action],
) -> TrainState:
    """Does the work of `train`; the first machine, which writes, has locked the folder."""
    writes = distribution.is_chief(strategy)
    source = None
    if config.init_from and not list_checkpoints(workdir):
        with _together(strategy), distribution.agreed(strategy) as facts:
            source = initial_weights.find(config)
            facts.update(init_from=source.digest)
    for line in describe_run(config, workdir, strategy, given):
        print(line, flush=True)
    with _together(strategy), distribution.agreed(strategy):
        known = run_folder.read_data(workdir)
        given.read_all(known)
        table = label_classes.find(config, workdir, given)

    if writes:
        files.sweep(workdir, is_alone=True)
    with _together(strategy), distribution.agreed(strategy) as facts:
        state = TrainState(config, strategy)
        manager = CheckpointManager(state, workdir, keep=config.keep_checkpoints)
        with strategy.scope():
            restored = manager.restore_newest()
        facts.update(step=restored)  # One may have found the newest damaged.
        if source is not None:
            print(initial_weights.start_from(state, source), flush=True)
    if restored is not None:
        if writes:
            manager.finish()
        print(f"Continuing '{workdir}' after step {restored}.", flush=True)
        if restored >= config.num_steps:
            if writes:  # Killed before it, perhaps.
                reports.plot_losses(workdir, gan_loss=config.gan_loss)
                reports.write_page(workdir, config, held_out=given.held_out)
            print(f"All {config.num_steps} steps are done. Pass a larger --num_steps for more.")
            return state
    called = []
    if writes:
        config.save(workdir)
        notes = given.notes(known)
        if notes is not None:
            files.write_atomically(workdir / run_folder.DATA_FILE, json.dumps(notes).encode())
        if table is not None:
            label_classes.write(workdir, table)
        called = [*RunActions(config, workdir, state, given, manager, table).in_order(), *actions]
    try:
        _run_steps(config, workdir, state, strategy, given, called)
    except tf.errors.OpError as error:
        cause = given.cause_of(error)
        if cause is None:
            raise
        raise cause from None
    print(f"Open '{workdir / run_folder.PAGE}' for the curves and the samples.", flush=True)
    return state


def _settle(
    config: TrainConfig, workdir: pathlib.Path
) -> tuple[TrainConfig, contents.Contents | None]:
    """Returns `config` as it is trained with, checked against an earlier part of the run.

    And what its data set holds; None if that has no files. "auto" is resolved: a run keeps the
    precision it started with, since continued on another kind of device "auto" would mean another
    one, and with it another optimizer state.
    """
    # Without a checkpoint there is nothing to fit: the run starts anew.
    saved = TrainConfig.load(workdir) if list_checkpoints(workdir) else None
    if saved is None and (workdir / run_folder.GENERATOR_WEIGHTS).exists():
        raise InputError(
            f"'{workdir}' holds weights, but no checkpoint to go on from: training would replace "
            f"them. Name another --workdir, and start from these with --init_from={workdir}."
        )
    precision = resolve_precision(config.precision)
    if saved is not None and config.precision == "auto":
        precision = saved.precision
    config = dataclasses.replace(config, precision=precision)
    if saved is None:
        return config, known_data.find(config)
    config, found, notes = known_data.find_again(saved, config, workdir)
    check_resumable(dataclasses.replace(saved, dataset=config.dataset), config)
    for note in notes:
        print(note, flush=True)
    return config, found


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
    workdir: pathlib.Path,
    state: TrainState,
    strategy: tf.distribute.Strategy,
    given: inputs.Inputs,
    actions: Sequence[Action],
) -> None:
    """Runs the steps that are left; `actions` do what is due after each."""
    steps_done, examples_seen = int(state.step.numpy()), int(state.examples_seen.numpy())

    def make_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
        batch_size = context.get_per_replica_batch_size(config.batch_size)
        shard = (context.input_pipeline_id, context.num_input_pipelines)
        return given.batches(batch_size, start=examples_seen, shard=shard)

    batches = iter(strategy.distribute_datasets_from_function(make_dataset))
    tally = Tally(config)
    train_step = make_train_step(state, config, strategy, tally)
    train_steps = make_train_steps(train_step)
    is_alone = distribution.num_workers(strategy) == 1
    with (
        StopRequest() as stop,
        Progress(steps_done, config.num_steps, config.batch_size) as progress,
    ):
        runner = ActionRunner(
            config, workdir, state, actions, tally=tally, progress=progress, stop=stop.request
        )
        step = steps_done
        while step < config.num_steps:
            count = runner.num_steps_to_due(step)
            try:
                with _together(strategy):
                    if stop.is_requested:
                        tally.wish.assign(1.0)
                    # The only compiled call.
                    if config.steps_per_call == 1:
                        losses = train_step(next(batches))
                    else:
                        losses = train_steps(batches, tf.constant(count))
                    # A machine that went on alone would wait for the others for ever.
                    wishes = stop.is_requested if is_alone else tally.wishes.numpy() > 0
            except WorkerLostError as error:
                if not stop.is_requested:
                    raise
                progress.say(f"Stopped by {stop.reason}. {error} The newest checkpoint stays.")
                return
            step += count
            is_stopped = bool(wishes) and step < config.num_steps
            runner.after_step(step, losses, is_stopped=is_stopped)
            if is_stopped:
                break
        with _together(strategy):
            distribution.share(strategy, "")  # All leave together: the first may still be writing.
        if is_stopped:
            progress.say(
                f"Stopped by {stop.reason or 'another worker'} after step {step}; everything is "
                "saved. Run the same command again to resume."
            )


def _check_devices(config: TrainConfig, strategy: tf.distribute.Strategy) -> None:
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
    if config.jit_compile and replicas > 1:
        raise InputError(
            f"jit_compile is on, but XLA compiles for one device, and strategy {config.strategy} "
            f"has {replicas}. Leave it out, or use --strategy=default."
        )
