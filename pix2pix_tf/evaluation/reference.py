"""What outputs are compared with, and by what: the pairs, and the networks that judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pix2pix_tf.config import LAB, PICTURE_CHANNELS, TrainConfig
from pix2pix_tf.data import augment, pipeline
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import features
from pix2pix_tf.evaluation.fcn_score import segmenter as segmenters
from pix2pix_tf.evaluation.fcn_score.segmentation_measure import SegmentationMeasure


@dataclasses.dataclass(frozen=True)
class Reference:
    """See `open_reference`.

    Attributes:
        config: Names the data set, its channels and direction.
        reader: Pairs that cover the outputs' size.
        split: Name of the split, for the record.
        seed: Seed of the bootstrap, and for the record of the noise.
        features: For the distances between the distributions; None to leave them out.
        segmentation: Measures the FCN-score, once; None to leave it out.
        notes: On what could not be measured, or how it was.
    """

    config: TrainConfig
    reader: pipeline.PairReader
    split: str
    seed: int = 0
    features: features.FeatureNetwork | None = None
    segmentation: SegmentationMeasure | None = None
    notes: Sequence[str] = ()


def open_reference(
    config: TrainConfig,
    *,
    split: str,
    size: augment.Size,
    segmenter: str = "",
    class_maps: str = "",
    feature_weights: str = "",
    seed: int = 0,
) -> Reference:
    """Opens the pairs of a split and loads the networks.

    Args:
        config: Names the data set, its folder, channels and direction.
        split: "train", "val" or "test".
        size: Pixels of the outputs; (height, width) if they are not square.
        segmenter: Folder of one, for the FCN-score; "" for none.
        class_maps: Folder of true classes; "" to tell them by the inputs' colours.
        feature_weights: See `features.find`.
        seed: Seed of the noise and the bootstrap.

    Raises:
        InputError: If there are no such pairs, a network cannot be loaded, or cannot
            judge outputs of this size and channels.
    """
    is_picture = config.output_file_channels in PICTURE_CHANNELS
    has_truth = class_maps or config.color_space != LAB
    if segmenter and not (is_picture and isinstance(size, int) and has_truth):
        raise InputError(
            "The FCN-score is of square pictures of 1, 3 or 4 channels, and of colorization, whose "
            "inputs do not show classes, with --class_maps alone. Leave --segmenter out."
        )
    reader = pipeline.open_reader(config, split, size=size)
    judge, segmentation, network, notes = None, None, None, []
    if segmenter:
        judge = segmenters.load(segmenter)
        segmentation = SegmentationMeasure(
            judge, reader, direction=config.direction, split=split, class_maps=class_maps
        )
        notes += segmentation.notes
    if is_picture:
        network, more_notes = features.find(feature_weights, judge)
        notes += more_notes
    return Reference(config, reader, split, seed, network, segmentation, notes)
