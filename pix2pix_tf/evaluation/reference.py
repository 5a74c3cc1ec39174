"""What outputs are compared with, and by what: the pairs, and the networks that judge."""

from __future__ import annotations

from pix2pix_tf.config import LAB, PICTURE_CHANNELS, TrainConfig
from pix2pix_tf.data import augment, pipeline
from pix2pix_tf.data.classes import ClassTable
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import features
from pix2pix_tf.evaluation.fcn_score import segmenter as segmenters
from pix2pix_tf.evaluation.fcn_score.segmentation_measure import SegmentationMeasure
from pix2pix_tf.evaluation.label_maps import LabelMapMeasure


class Reference:
    """The pairs of a split, opened, and the networks, loaded.

    Args:
        config: Names the data set, its folder, channels and direction.
        split: "train", "val" or "test".
        size: Pixels of the outputs; (height, width) if they are not square.
        segmenter: Folder of one, for the FCN-score; "" for none.
        class_maps: Folder of true classes; "" to tell them by the colours of the labels.
        classes: Classes that outputs show, where these are label maps; else None.
        feature_weights: See `features.find`.
        seed: Seed of the bootstrap, and for the record of the noise.

    Attributes:
        reader: Pairs that cover the outputs' size.
        segmentation: Measures the FCN-score, once; None to leave it out.
        label_maps: Measures the classes of outputs, once; None to leave it out.
        features: For the distances between the distributions; None to leave them out.
        notes: On what is not to be had.

    Raises:
        InputError: If there are no such pairs, a network cannot be loaded, or cannot
            judge outputs of this size and channels.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        split: str,
        size: augment.Size,
        segmenter: str = "",
        class_maps: str = "",
        classes: ClassTable | None = None,
        feature_weights: str = "",
        seed: int = 0,
    ):
        self.config, self.split, self.seed = config, split, seed
        height, width = augment.sides_of(size)
        is_picture = config.output_file_channels in PICTURE_CHANNELS
        has_truth = class_maps or config.color_space != LAB
        if segmenter and not (is_picture and height == width and has_truth):
            raise InputError(
                "The FCN-score is of square pictures of 1, 3 or 4 channels, and of colorization, "
                "whose inputs do not show classes, with --class_maps alone. Leave --segmenter out."
            )
        self.reader = pipeline.open_reader(config, split, size=size)
        self.segmentation, self.label_maps, self.features = None, None, None
        self.notes: list[str] = []
        if classes is not None and class_maps and height != width:
            raise InputError(
                f"--class_maps are of square pictures, and outputs have {width}x{height} pixels. "
                "Leave --class_maps out: classes are then told by the colours of the targets."
            )
        if classes is not None and is_picture:  # Of other channels, none is a colour.
            self.label_maps = LabelMapMeasure(
                classes, self.reader, split=split, class_maps=class_maps
            )
        judge = None
        if segmenter:
            judge = segmenters.load(segmenter)
            self.segmentation = SegmentationMeasure(
                judge, self.reader, direction=config.direction, split=split, class_maps=class_maps
            )
        if is_picture:
            self.features, self.notes = features.find(feature_weights, judge)
