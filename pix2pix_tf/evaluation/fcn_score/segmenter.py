"""A trained segmenter: its folder, and what it makes of pictures.

    FOLDER/segmenter.json         classes, settings, step, scores
    FOLDER/segmenter.weights.h5   FCN-8s, of either Keras

`pix2pix train_segmenter` makes such a folder.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import files, networks
from pix2pix_tf.data import classes
from pix2pix_tf.data.classes import ClassTable, LabelClass
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.evaluation.fcn_score import fcn
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig

INFO = "segmenter.json"
WEIGHTS = "segmenter.weights.h5"
ORIGIN = "from scratch"  # Where the weights of all segmenters began, in the results.
_BATCH = 4  # Pictures at a time; bounds the memory, changes no result.


class Segmenter:
    """Says of each pixel which class it shows.

    Args:
        model: As `fcn.build_fcn` returns it.
        table: What its logits stand for; the classes whose indexes `predict` returns.
        crop_size: Pixels; the size it was trained at, a multiple of 32.
        step: How long it was trained; None if that is not known.
        digest: SHA-256 of the file of its weights; None if they are not from a file.
    """

    def __init__(
        self,
        model: keras.Model,
        table: ClassTable,
        *,
        crop_size: int,
        step: int | None = None,
        digest: str | None = None,
    ):
        self.classes, self.crop_size = table, crop_size
        self.step, self.digest = step, digest
        size = [crop_size, crop_size]
        picture = tf.TensorSpec([None, None, None, 3], tf.float32)

        def predict(images: tf.Tensor, map_size: tf.Tensor) -> tf.Tensor:
            logits, _ = model(_resize(images, size), training=False)
            return tf.cast(tf.argmax(_resize(logits, map_size), axis=-1), tf.uint8)

        def pool(images: tf.Tensor) -> tf.Tensor:
            _, features = model(_resize(images, size), training=False)
            return tf.reduce_mean(features, axis=[1, 2])

        # One graph for all sizes and numbers of pictures.
        self._predict = tf.function(predict, [picture, tf.TensorSpec([2], tf.int32)])
        self._pool = tf.function(pool, [picture])

    def predict(self, images: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
        """Returns the class of each pixel, uint8 `[N, *size]`: indexes of `classes.scored`.

        Pictures are resized to the size that the network was trained at, and its scores to
        `size`, before the class of the highest is taken, as in the authors' script. Give real
        photos at the resolution of the translations: they then go the same way, and lose the
        same detail, as in the paper's "ground truth" row.

        Args:
            images: float32 `[N, height, width, 3]` in [-1, 1].
            size: (height, width) of the class maps.
        """
        size = np.array(size, np.int32)
        return np.concatenate([self._predict(x, size).numpy() for x in _batches(images)])

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 `[N, 64 * base_filters]`, for distances between sets of pictures.

        The layer before the scores, averaged over the picture; `images` as in `predict`.
        """
        return np.concatenate([self._pool(x).numpy() for x in _batches(images)])


def _resize(images: tf.Tensor, size) -> tf.Tensor:
    """Bilinear, with antialiasing where it shrinks, as the authors' imresize does."""
    return tf.image.resize(images, size, method="bilinear", antialias=True)


def _batches(images: np.ndarray) -> list[np.ndarray]:
    images = np.asarray(images, np.float32)
    return [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]


def load(folder: str | pathlib.Path) -> Segmenter:
    """Returns the segmenter of a folder, in float32, whatever it was trained in.

    Raises:
        MissingInputError: If there is no such folder, or it is not a segmenter.
        InputError: If a file of it is damaged.
    """
    path, weights = pathlib.Path(folder, INFO), pathlib.Path(folder, WEIGHTS)
    if not path.is_file():
        raise MissingInputError(
            f"'{folder}' is not a segmenter: there is no {INFO}. Pass the --output of "
            "pix2pix train_segmenter, after its first validation."
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        config, step = SegmenterConfig.from_saved(info["config"]), info["step"]
        table = read_table(info["table"]) if "table" in info else None
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"'{path}' is damaged ({error!r}). Train the segmenter again.") from None
    if table is None:  # Of an earlier version, whose classes went by the name of the data set.
        table = classes.find(config.dataset)
    model = fcn.build_fcn(len(table.scored), base_filters=config.base_filters)
    networks.load_weights(model, weights)
    digest = files.sha256(weights)
    return Segmenter(model, table, crop_size=config.crop_size, step=step, digest=digest)


def read_table(saved: dict) -> ClassTable:
    """Returns the table of which `dataclasses.asdict` made this."""
    kinds = (LabelClass(**{**kind, "color": tuple(kind["color"])}) for kind in saved["classes"])
    return ClassTable(**{**saved, "classes": tuple(kinds)})


def write_info(folder: pathlib.Path, config: SegmenterConfig, table: ClassTable, **scores) -> dict:
    """Writes `segmenter.json` and returns it; `scores` are the step and what was measured."""
    info = dict(
        **scores,
        classes=[kind.name for kind in table.scored],
        table=dataclasses.asdict(table),
        config=dataclasses.asdict(config),
        versions=dict(tensorflow=tf.__version__, keras=keras.__version__),
    )
    files.write_atomically(folder / INFO, (json.dumps(info, indent=1) + "\n").encode())
    return info
