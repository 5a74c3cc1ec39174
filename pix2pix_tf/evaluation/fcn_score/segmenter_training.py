"""`train(config, output)`: a segmenter from photos and class maps, resumed where it stopped.

Beside what `segmenter` reads, the folder has `training.json`, the settings, and
`checkpoint/`, from which the same command resumes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import files, keras_compat, precision
from pix2pix_tf.data import classes, images, pairs
from pix2pix_tf.data.classes import ClassTable
from pix2pix_tf.errors import InputError, NonFiniteLossError, first_line
from pix2pix_tf.evaluation.fcn_score import confusion, fcn, segmenter_data
from pix2pix_tf.evaluation.fcn_score.segmenter import (
    FROM_SCRATCH,
    IMAGENET,
    WEIGHTS,
    Segmenter,
    load,
    read_info,
    write_info,
)
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig
from pix2pix_tf.evaluation.fcn_score.segmenter_data import Photos
from pix2pix_tf.keras_compat import ScaledOptimizer
from pix2pix_tf.optimizers import LinearDecay
from pix2pix_tf.progress import Progress
from pix2pix_tf.signals import StopRequest

TRAINING = "training.json"
BEST_METRIC = "class_iou"  # Of the validation photos; the other two favour common classes.
_CHECKPOINT = "checkpoint"
_LEARNING_RATES = {FROM_SCRATCH: 1e-3, IMAGENET: 1e-4}  # Where none is given.
_MAY_CHANGE_ON_RESUME = ("data_dir", "class_maps")  # Where things are, not what they are.


class _State(tf.Module):
    """What a resumed training goes on with."""

    def __init__(self, model: keras.Model, optimizer: ScaledOptimizer):
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.best = tf.Variable(-1.0, dtype=tf.float64, trainable=False)  # Of BEST_METRIC.


def train(config: SegmenterConfig, output: str | pathlib.Path) -> dict | None:
    """Trains until `config.num_steps`, or until SIGTERM or Ctrl-C.

    The weights kept are those of the best class IoU on the validation photos. Once all
    steps are done, these are scored on the test photos too, where there are.

    Args:
        config: The settings.
        output: The segmenter's folder; made if it is not there.

    Returns:
        What `segmenter.json` holds, or None if the training was stopped before its end.

    Raises:
        InputError: If the data or the weights of the body cannot be used, or the folder
            is of another training.
        NonFiniteLossError: If a loss is not finite, naming the step.
    """
    output = pathlib.Path(output)
    files.check_no_pattern(output)
    files.check_output_folder(output)
    table = classes.find(config.dataset)
    config, origin = _settle(config, output)
    dtype = precision.POLICIES[config.precision]
    # Before the photos are read, so that a wrong --body_weights is said at once.
    keras.utils.set_random_seed(config.seed)
    model, origin = _build_model(config, table, dtype, origin=origin)
    config = dataclasses.replace(
        config, learning_rate=config.learning_rate or _LEARNING_RATES[origin]
    )
    photos = {
        split: segmenter_data.read_photos(
            config.dataset,
            split,
            table,
            size=config.crop_size,
            data_dir=config.data_dir,
            class_maps=config.class_maps,
        )
        for split in ("train", "val", "test")
        if split != "test" or _has_test(config)
    }
    training = photos.pop("train")

    rate = LinearDecay(
        config.learning_rate, num_steps=config.num_steps, decay_steps=config.num_steps
    )
    optimizer = ScaledOptimizer(
        keras.optimizers.Adam(rate),
        model.trainable_variables,
        loss_scaling=dtype == precision.POLICIES["float16"],
    )
    state = _State(model, optimizer)
    files.make_output_folder(output)
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(state=state), str(output / _CHECKPOINT), max_to_keep=1
    )
    if manager.latest_checkpoint:
        _restore(manager, output)
        print(f"Continuing '{output}' after step {int(state.step)}.", flush=True)
    else:
        settings = dict(dataclasses.asdict(config), keras=keras.__version__, origin=origin)
        text = json.dumps(settings, indent=1) + "\n"
        files.write_atomically(output / TRAINING, text.encode())
    print(
        f"{len(training.names)} photos to train, {len(photos['val'].names)} to validate; body: "
        f"{origin}; learning rate {config.learning_rate:g}; {config.precision}.",
        flush=True,
    )
    step = _make_step(state, len(table.scored))
    segmenter = Segmenter(model, table, origin=origin, crop_size=config.crop_size)
    about = dict(classes=table, origin=origin, config=config)

    def validate(progress: Progress) -> None:
        measured = score_photos(segmenter, photos["val"])
        is_best = measured[BEST_METRIC] > float(state.best)
        number = int(state.step)
        if is_best:
            state.best.assign(measured[BEST_METRIC])
            files.write_atomically(output / WEIGHTS, keras_compat.weights_file(model))
            write_info(output, **about, step=number, val=measured)
        manager.save(checkpoint_number=number)
        progress.say(f"step {number}, val: {score_text(measured)}{', kept' if is_best else ''}")

    if not _run_steps(config, state, step, training, validate, manager):
        return None
    best = load(output)  # In float32.
    measured = {split: score_photos(best, found) for split, found in photos.items()}
    write_info(output, **about, step=best.step, **measured)
    return read_info(output)


def _settle(config: SegmenterConfig, output: pathlib.Path) -> tuple[SegmenterConfig, str | None]:
    """Returns `config` with its precision resolved, and the origin of what is continued.

    Checked against an earlier part of the training, whose learning rate goes on where
    none is given; the origin is None without one.
    """
    config = dataclasses.replace(config, precision=precision.resolve_precision(config.precision))
    # Without a checkpoint there is nothing to fit: the training starts anew.
    has_checkpoint = tf.train.latest_checkpoint(str(output / _CHECKPOINT)) is not None
    saved = read_training(output) if has_checkpoint else None
    if saved is None:
        return config, None
    rate = config.learning_rate or saved["learning_rate"]
    config = dataclasses.replace(config, learning_rate=rate)
    # The optimizer's state does not travel between two versions of Keras; the segmenter does.
    now = dict(dataclasses.asdict(config), keras=keras.__version__.split(".")[0])
    then = dict(saved, keras=saved["keras"].split(".")[0])
    differences = [
        f"{name} (was {then.get(name)!r}, now {value!r})"
        for name, value in now.items()
        if name not in _MAY_CHANGE_ON_RESUME and then.get(name) != value
    ]
    if differences:
        raise InputError(
            f"'{output}' is a training with other settings: {'; '.join(differences)}. Use its "
            "settings, or another --output."
        )
    return config, saved["origin"]


def read_training(output: pathlib.Path) -> dict | None:
    """Returns the settings of the training in a folder, or None if there is none.

    Raises:
        InputError: If their file is damaged.
    """
    path = pathlib.Path(output) / TRAINING
    if not path.is_file():
        return None
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if {"keras", "origin", "precision", "learning_rate"} <= saved.keys():
            return saved
    except (ValueError, AttributeError):
        pass
    raise InputError(f"'{path}' is damaged. Restore it, or train in another --output.")


def _build_model(
    config: SegmenterConfig, table: ClassTable, dtype: str, *, origin: str | None
) -> tuple[keras.Model, str]:
    """Returns a network and the origin of its body's weights.

    Args:
        config: The settings.
        table: The classes.
        dtype: Keras' policy.
        origin: Origin in a training that is continued, whose checkpoint has the weights;
            None for a new one, which starts as `config.body_weights` says.
    """

    def build(origin: str) -> tuple[keras.Model, str]:
        model = fcn.build_fcn(
            len(table.scored),
            base_filters=config.base_filters,
            batch_norm=origin == FROM_SCRATCH,
            dtype=dtype,
        )
        return model, origin

    if origin is not None:
        return build(origin)
    weights, fits = config.body_weights, config.base_filters == fcn.IMAGENET_FILTERS
    if weights == "none" or (weights == "auto" and not fits):
        return build(FROM_SCRATCH)
    if not fits:
        raise InputError(
            f"body_weights is {weights!r}, but base_filters {config.base_filters} is not the width "
            "of VGG-16. Use base_filters 64, or body_weights none."
        )
    model, _ = build(IMAGENET)
    try:
        fcn.load_imagenet_body(model, "imagenet" if weights == "auto" else weights)
    except Exception as error:  # Keras raises a bare one for what urllib refuses.
        reason = first_line(error)
        if weights != "auto":
            raise InputError(
                f"body_weights is {weights!r}, which could not be loaded ({reason}). Use imagenet, "
                "none, or a file of the weights of keras.applications' VGG16 without its top."
            ) from None
        print(f"ImageNet weights are not available ({reason}): the body starts from scratch.")
        return build(FROM_SCRATCH)
    return model, IMAGENET


def _has_test(config: SegmenterConfig) -> bool:
    """Tells whether there are test photos, and the truth about them."""
    has_photos = pairs.find_split(config.dataset, ("test",), data_dir=config.data_dir)
    has_maps = not config.class_maps or (pathlib.Path(config.class_maps) / "test").is_dir()
    return bool(has_photos) and has_maps


def _restore(manager: tf.train.CheckpointManager, output: pathlib.Path) -> None:
    try:
        manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()
    except (tf.errors.OpError, AssertionError, ValueError, LookupError, RuntimeError) as error:
        raise InputError(
            f"The checkpoint of '{output}' cannot be read ({first_line(error)}). Delete "
            f"'{output}' and train again."
        ) from None


def _make_step(state: _State, num_classes: int):
    """Returns the compiled step, `step(images, class_maps) -> loss`."""

    @tf.function
    def step(images, class_maps):
        weight = tf.cast(class_maps < num_classes, tf.float32)  # Not those that are ignored.
        with tf.GradientTape() as tape:
            logits, _ = state.model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=tf.where(class_maps < num_classes, class_maps, 0), logits=logits
            )
            loss = tf.math.divide_no_nan(tf.reduce_sum(weight * losses), tf.reduce_sum(weight))
            scaled = state.optimizer.scale_loss(loss)
        variables = state.model.trainable_variables
        state.optimizer.apply(tape.gradient(scaled, variables), variables)
        state.step.assign_add(1)
        return loss

    return step


def _run_steps(config, state, step, photos: Photos, validate, manager) -> bool:
    """Runs the steps that are left; returns whether all are done."""
    done = int(state.step)
    batches = segmenter_data.training_batches(
        photos,
        crop_size=config.crop_size,
        batch_size=config.batch_size,
        seed=config.seed,
        start=done * config.batch_size,
    )
    with StopRequest() as stop, Progress(done, config.num_steps, config.batch_size) as progress:
        for number, batch in zip(range(done + 1, config.num_steps + 1), batches):
            loss = float(step(*batch))
            if not math.isfinite(loss):
                raise NonFiniteLossError(
                    f"A loss was not finite at step {number}. Try a smaller --learning_rate, or "
                    "--precision=float32."
                )
            progress.update(number, dict(loss=loss))
            if number % config.validate_every == 0 or number == config.num_steps:
                validate(progress)
            elif stop.is_requested:
                manager.save(checkpoint_number=number)
            if stop.is_requested and number < config.num_steps:
                progress.say(
                    f"Stopped by {stop.reason} after step {number}; everything is saved. Run the "
                    "same command again to resume."
                )
                return False
    return True


def score_photos(segmenter: Segmenter, photos: Photos) -> dict:
    """Returns the scores of a segmenter on photos, as `segmenter.json` has them."""
    size = photos.class_maps.shape[1:]
    matrix = 0
    for pixels, truth in zip(photos.pixels, photos.class_maps):
        image = images.normalize_image(pixels).numpy()[np.newaxis]
        predicted = segmenter.predict(image, size=size)[0]
        matrix += confusion.confusion_matrix(truth, predicted, segmenter.classes)
    return dict(
        confusion.scores(matrix),
        most_frequent_class=confusion.most_frequent_class(matrix, segmenter.classes),
        confusion_matrix=matrix.tolist(),
    )


def score_text(measured: dict) -> str:
    """Returns the three scores as a person reads them."""
    return ", ".join(f"{name.replace('_', ' ')} {measured[name]:.3f}" for name in confusion.SCORES)
