"""The FCN-score of outputs, with that of the real pictures beside it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np

from pix2pix_tf.data import classes, images
from pix2pix_tf.data.pipeline import PairReader
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.fcn_score import confusion
from pix2pix_tf.evaluation.fcn_score.class_maps import ClassMaps
from pix2pix_tf.evaluation.fcn_score.segmenter import Segmenter
from pix2pix_tf.evaluation.measure import MeasuredPair, Score


class SegmentationMeasure:
    """What a segmenter recognises in outputs and in the real pictures.

    Args:
        segmenter: Trained on real pictures of the same classes.
        truth: Returns the class map of a pair, uint8 `[height, width]`, of the view that
            its pictures show; both are judged at its size.
        labels: Where `truth` comes from, for the record.
    """

    section = "fcn_score"
    names = confusion.SCORES

    def __init__(
        self, segmenter: Segmenter, truth: Callable[[MeasuredPair], np.ndarray], *, labels: str
    ):
        self._segmenter = segmenter
        self._truth = truth
        self._labels = labels
        count = len(segmenter.classes.scored)
        self._matrices = np.zeros([2, count, count], np.int64)  # Outputs, real pictures.

    def add(self, pair: MeasuredPair) -> dict[str, float | None]:
        """Adds a pair; returns its own share of right pixels, None if none counts."""
        truth = self._truth(pair)
        both = np.stack([pair.output_rgb, pair.target_rgb])
        found = self._segmenter.predict(both, size=truth.shape)
        own = [confusion.confusion_matrix(truth, one, self._segmenter.classes) for one in found]
        self._matrices += own
        counted = own[0].sum()
        return {"per_pixel_accuracy": float(np.trace(own[0]) / counted) if counted else None}

    def result(self) -> dict | None:
        """Returns both scores and what they rest on; None if every pixel is ignored."""
        if not self._matrices.any():
            return None
        classes = self._segmenter.classes
        outputs, photos = self._matrices
        return dict(
            segmenter=dict(
                weights=self._segmenter.origin,
                step=self._segmenter.step,
                weights_sha256=self._segmenter.digest,
                classes=[kind.name for kind in classes.scored],
            ),
            labels=self._labels,
            most_frequent_class=confusion.most_frequent_class(photos, classes),
            outputs=confusion.scores(outputs),
            ground_truth=confusion.scores(photos),
            confusion_matrix=outputs.tolist(),
        )

    def scores(self, result: dict) -> list[Score]:
        """Returns the three scores, those of the real pictures beside them."""
        return [
            Score(name, result["outputs"][name], ground_truth=result["ground_truth"][name])
            for name in self.names
        ]


def prepare(
    segmenter: Segmenter,
    *,
    direction: str,
    class_maps: str,
    split: str,
    reader: PairReader,
) -> tuple[Callable[[], SegmentationMeasure], list[str]]:
    """Returns what makes a measure, and notes on what its scores rest on.

    Args:
        segmenter: Trained on real pictures.
        direction: Direction of the translation, whose outputs have to be such pictures.
        class_maps: Folder of the true classes, see `ClassMaps`; "" to tell
            them by the colours of the inputs.
        split: The split of the pairs.
        reader: The pairs; the truth is found at the resolution of their files.

    Raises:
        MissingInputError: If class maps are missing.
        InputError: If the outputs are labels, not photos.
    """
    table = segmenter.classes
    if direction[-1] != table.photo_side:
        raise InputError(
            f"direction is {direction}, whose outputs are not photos: the segmenter of "
            f"{table.name} judges photos, side {table.photo_side} of a pair. Leave --segmenter out."
        )
    notes = [f"The FCN-score is of a segmenter whose weights are {segmenter.origin}."]
    number_of = {name: number for number, name in enumerate(reader.names)}
    maps = None
    if class_maps:
        maps = ClassMaps(pathlib.Path(class_maps), split, reader.names, table)
    else:
        notes.append(
            "Without --class_maps the true classes are told by the nearest colours of the inputs, "
            "before these are scaled, which errs along borders where they were JPEG files."
        )

    def truth(pair: MeasuredPair) -> np.ndarray:
        source, _ = reader.read_unscaled(number_of[pair.name])
        height, width = source.shape[:2]
        if height != width:
            raise InputError(
                f"The pictures of pair '{pair.name}' are {width}x{height} pixels. The FCN-score "
                "needs square ones, as the paper's are: scale both to a square."
            )
        if maps:
            # Of any shape: the paper's Cityscapes are views of 2:1 that were squeezed.
            return maps.read(pair.name)
        pixels = images.denormalize_image(images.normalize_image(source))  # From 16 bits, too.
        return classes.nearest(images.in_colour(pixels.numpy()), table)

    labels = "class maps" if maps else "nearest colours of the inputs"
    return lambda: SegmentationMeasure(segmenter, truth, labels=labels), notes
