"""Folders of tiny segmenters, made without training, and a network that traces in no time."""

from __future__ import annotations

import pathlib

import keras

from pix2pix_tf.data import classes
from pix2pix_tf.evaluation.fcn_score import fcn, segmenter
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig


def write_segmenter(folder: pathlib.Path) -> pathlib.Path:
    """Writes a segmenter of facades with random weights into a new folder, and returns it."""
    config = SegmenterConfig(crop_size=32, base_filters=1)
    table = classes.find("facades")
    keras.utils.set_random_seed(0)
    model = fcn.build_fcn(len(table.scored), base_filters=config.base_filters)
    folder.mkdir(parents=True)
    model.save_weights(str(folder / segmenter.WEIGHTS))
    segmenter.write_info(folder, config, table, step=40)
    return folder


def build_stub(num_classes: int, *, base_filters: int, dtype: str = "float32") -> keras.Model:
    """Stands in for `fcn.build_fcn` where folders, settings and signals are the subject.

    It tells classes by the colour of a pixel alone.
    """
    image = keras.Input([None, None, 3])
    x = keras.layers.BatchNormalization(name="norm", dtype=dtype)(image)
    logits = keras.layers.Conv2D(num_classes, 1, dtype="float32")(x)
    features = keras.layers.AveragePooling2D(32, dtype="float32")(x)
    return keras.Model(image, [logits, features])
