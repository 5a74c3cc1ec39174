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
from pix2pix_tf.errors import InputError, NonFiniteLossError, first_line
from pix2pix_tf.evaluation.fcn_score import confusion, fcn, segmenter, segmenter_data
from pix2pix_tf.evaluation.fcn_score.segmenter import Segmenter
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig
from pix2pix_tf.evaluation.fcn_score.segmenter_data import Photos
from pix2pix_tf.keras_compat import ScaledOptimizer
from pix2pix_tf.optimizers import LinearDecay
from pix2pix_tf.progress import Progress
from pix2pix_tf.signals import StopRequest

TRAINING = "training.json"
BEST_METRIC = "class_iou"  # Of the validation photos; the other two favour common classes.
_CHECKPOINT = "checkpoint"
# Where things are, not what they are.
_MAY_CHANGE_ON_RESUME = ("data_dir", "class_maps", "classes")


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
        InputError: If the data cannot be used, or the folder is of another training.
        NonFiniteLossError: If a loss is not finite, naming the step.
    """
    output = pathlib.Path(output)
    files.check_no_pattern(output)
    files.make_output_folder(output)
    config = dataclasses.replace(config, precision=precision.resolve_precision(config.precision))
    dtype = precision.POLICIES[config.precision]
    latest = tf.train.latest_checkpoint(str(output / _CHECKPOINT))
    if latest:
        _check_same_settings(config, output)
    sources = {split: segmenter_data.open_split(config, split) for split in _splits(config)}
    table = _noted_classes(config, output) if latest else None
    table = table or segmenter_data.find_classes(config, sources["train"])
    photos = {x: segmenter_data.read_photos(config, table, x, sources[x]) for x in sources}
    training = photos.pop("train")

    keras.utils.set_random_seed(config.seed)
    model = fcn.build_fcn(len(table.scored), base_filters=config.base_filters, dtype=dtype)
    rate = LinearDecay(
        config.learning_rate, num_steps=config.num_steps, decay_steps=config.num_steps
    )
    optimizer = ScaledOptimizer(
        keras.optimizers.Adam(rate),
        model.trainable_variables,
        loss_scaling=dtype == precision.POLICIES["float16"],
    )
    state = tf.train.Checkpoint(
        model=model,
        optimizer=optimizer,
        step=tf.Variable(0, dtype=tf.int64, trainable=False),
        best=tf.Variable(-1.0, dtype=tf.float64, trainable=False),  # Of BEST_METRIC.
    )
    if latest:
        try:
            state.restore(latest).assert_consumed()
        except (tf.errors.OpError, AssertionError, ValueError, LookupError, RuntimeError) as error:
            raise InputError(
                f"The checkpoint '{latest}' is damaged, or of another version of Keras "
                f"({first_line(error)}). Train in another --output."
            ) from None
        print(f"Continuing '{output}' after step {int(state.step)}.", flush=True)
    else:
        noted = dict(dataclasses.asdict(config), table=dataclasses.asdict(table))
        text = json.dumps(noted, indent=1) + "\n"
        files.write_atomically(output / TRAINING, text.encode())
    print(
        f"{len(training.pixels)} photos to train, {len(photos['val'].pixels)} to validate; "
        f"learning rate {config.learning_rate:g}; {config.precision}.",
        flush=True,
    )
    manager = tf.train.CheckpointManager(state, str(output / _CHECKPOINT), max_to_keep=1)
    trained = Segmenter(model, table, crop_size=config.crop_size)

    def save() -> None:
        with files.writing(output):
            manager.save(checkpoint_number=int(state.step))

    def validate(progress: Progress) -> None:
        measured = score_photos(trained, photos["val"])
        number = int(state.step)
        is_best = measured[BEST_METRIC] > float(state.best)
        if is_best:
            state.best.assign(measured[BEST_METRIC])
            weights = keras_compat.weights_file(model)
            files.write_atomically(output / segmenter.WEIGHTS, weights)
            segmenter.write_info(output, config, table, step=number, val=measured)
        save()
        progress.say(f"step {number}, val: {score_text(measured)}{', kept' if is_best else ''}")

    step = _make_step(state, len(table.scored))
    if not _run_steps(config, state, step, training, validate=validate, save=save):
        return None
    best = segmenter.load(output)
    measured = {split: score_photos(best, found) for split, found in photos.items()}
    return segmenter.write_info(output, config, table, step=best.step, **measured)


def read_training(output: pathlib.Path) -> SegmenterConfig | None:
    """Returns the settings of the training in a folder, or None if there is none.

    Raises:
        InputError: If their file is damaged.
    """
    path = output / TRAINING
    if not path.is_file():
        return None
    try:
        return SegmenterConfig.from_saved(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"'{path}' is damaged ({error}). Train in another --output.") from None


def _noted_classes(config: SegmenterConfig, output: pathlib.Path) -> classes.ClassTable | None:
    """Returns the classes that a training began with; None if it was with an earlier version.

    Raises:
        InputError: If a file of classes is there, and has others.
    """
    saved = json.loads((output / TRAINING).read_text(encoding="utf-8")).get("table")
    if saved is None:
        return None
    table = segmenter.read_table(saved)
    if config.classes in classes.TABLES or files.is_file(pathlib.Path(config.classes)):
        if classes.read(config.classes).classes != table.classes:
            raise InputError(
                f"'{output}' was trained with other classes than '{config.classes}' has now. Use "
                "those, or another --output."
            )
    return table


def _check_same_settings(config: SegmenterConfig, output: pathlib.Path) -> None:
    """Refuses to continue a training with settings that would change what it is."""
    saved = read_training(output)
    differences = [
        f"{name} (was {getattr(saved, name, None)!r}, now {value!r})"
        for name, value in vars(config).items()
        if name not in _MAY_CHANGE_ON_RESUME and getattr(saved, name, None) != value
    ]
    if differences:
        raise InputError(
            f"'{output}' is a training with other settings: {'; '.join(differences)}. Use its "
            "settings, or another --output."
        )


def _splits(config: SegmenterConfig) -> list[str]:
    """Returns train and val; test too where there are photos, and the truth about them."""
    has_maps = not config.class_maps or (pathlib.Path(config.class_maps) / "test").is_dir()
    has_photos = pairs.find_split(config.dataset, ("test",), data_dir=config.data_dir)
    return ["train", "val", "test"] if has_maps and has_photos else ["train", "val"]


def _make_step(state: tf.train.Checkpoint, num_classes: int):
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


def _run_steps(
    config: SegmenterConfig, state: tf.train.Checkpoint, step, photos: Photos, *, validate, save
) -> bool:
    """Runs the steps that are left; returns whether all are done."""
    done = int(state.step)
    batches = segmenter_data.training_batches(photos, config, start=done * config.batch_size)
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
                save()
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
