"""What outputs are compared with, and by what: the pairs, and the networks that judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pipeline
from pix2pix_tf.evaluation import features, segmentation
from pix2pix_tf.evaluation import segmenter as segmenters
from pix2pix_tf.evaluation.measure import Measure
from pix2pix_tf.training import loop


@dataclasses.dataclass(frozen=True)
class Subject:
    """See `open_subject`.

    Attributes:
        reader: Pairs whose shorter side is the outputs' size.
        dataset: Its name, for the record.
        direction: Of the translation, for the record.
        split: Its name, for the record.
        seed: Of the bootstrap, and for the record of the noise.
        features: For the distances between the distributions; None to leave them out.
        segmentation: Makes a measure of the FCN-score; None to leave it out.
        notes: On what could not be measured, or how it was.
    """

    reader: pipeline.PairReader
    dataset: str
    direction: str
    split: str
    seed: int = 0
    features: features.FeatureNetwork | None = None
    segmentation: Callable[[], Measure] | None = None
    notes: Sequence[str] = ()


def open_subject(
    config: TrainConfig,
    *,
    split: str,
    size: int,
    segmenter: str = "",
    class_maps: str = "",
    feature_weights: str = "",
    seed: int = 0,
) -> Subject:
    """Opens the pairs of a split and loads the networks, once for all that is compared.

    Args:
        config: Names the data set, its folder, channels and direction.
        split: "train", "val" or "test".
        size: Of the outputs, in pixels.
        segmenter: Folder of one, for the FCN-score; "" for none.
        class_maps: Folder of true classes; "" to tell them by the inputs' colours.
        feature_weights: See `features.find`.
        seed: Of the noise and the bootstrap.

    Raises:
        InputError: If there are no such pairs, or a network cannot be loaded.
    """
    reader = loop.open_reader(config, split, size=size)
    judge = segmenters.load(segmenter) if segmenter else None
    make_measure, notes = None, []
    if judge:
        make_measure, notes = segmentation.prepare(
            judge,
            direction=config.direction,
            class_maps=class_maps,
            split=split,
            reader=reader,
        )
    network, more_notes = features.find(feature_weights, judge)
    return Subject(
        reader=reader,
        dataset=config.dataset,
        direction=config.direction,
        split=split,
        seed=seed,
        features=network,
        segmentation=make_measure,
        notes=[*notes, *more_notes],
    )
