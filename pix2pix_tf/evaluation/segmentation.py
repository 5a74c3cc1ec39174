"""The FCN-score of outputs, with that of the real pictures beside it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from pix2pix_tf.data import images
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import classes, fcn_score
from pix2pix_tf.evaluation.measure import MeasuredPair
from pix2pix_tf.evaluation.score import Score
from pix2pix_tf.evaluation.segmenter import Segmenter


class SegmentationMeasure:
    """What a segmenter recognises in outputs and in the real pictures.

    Args:
        segmenter: Trained on real pictures of the same classes.
        truth: Returns the class map of a pair, uint8 `[side, side]`, at whose size
            both pictures are judged.
        labels: Where `truth` comes from, for the record.
    """

    section = "fcn_score"

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
        matrices = [
            fcn_score.confusion_matrix(truth, one, self._segmenter.classes) for one in found
        ]
        self._matrices += matrices
        counted = matrices[0].sum()
        share = float(np.trace(matrices[0]) / counted) if counted else None
        return {"per_pixel_accuracy": share}

    def result(self) -> dict | None:
        """Returns both scores and what they rest on; None if every pixel is ignored."""
        if not self._matrices.any():
            return None
        scored = self._segmenter.classes.scored
        number, share = fcn_score.most_frequent_class(self._matrices[1])
        return dict(
            segmenter=dict(weights=self._segmenter.origin, classes=[kind.name for kind in scored]),
            labels=self._labels,
            most_frequent_class=dict(name=scored[number].name, share=share),
            outputs=fcn_score.scores(self._matrices[0]),
            ground_truth=fcn_score.scores(self._matrices[1]),
            confusion_matrix=self._matrices[0].tolist(),
        )

    def scores(self, result: dict) -> list[Score]:
        """Returns the three scores, those of the real pictures beside them."""
        return [
            Score(name, result["outputs"][name], ground_truth=result["ground_truth"][name])
            for name in fcn_score.SCORES
        ]


def prepare(
    segmenter: Segmenter,
    *,
    direction: str,
    class_maps: str,
    split: str,
    names: Sequence[str],
) -> tuple[Callable[[], SegmentationMeasure], list[str]]:
    """Returns what makes a measure, and notes on what its scores rest on.

    Args:
        segmenter: Trained on real pictures.
        direction: Of the translation, whose outputs have to be such pictures.
        class_maps: Folder of the true classes, see `fcn_score.ClassMaps`; "" to tell
            them by the colours of the inputs.
        split: Of the pairs.
        names: Of the pairs.

    Raises:
        MissingInputError: If class maps are missing.
        InputError: If the outputs are labels, not photos.
    """
    table = segmenter.classes
    if direction[-1] != table.photo_side:
        raise InputError(
            f"direction is {direction}, whose outputs are no photos: the segmenter of {table.name} "
            f"judges photos, side {table.photo_side} of a pair. Leave --segmenter out."
        )
    notes = [f"The FCN-score is of a segmenter whose weights are {segmenter.origin}."]
    if class_maps:
        maps = fcn_score.ClassMaps(pathlib.Path(class_maps), split, names, table)
        labels = "class maps"

        def truth(pair: MeasuredPair) -> np.ndarray:
            return _central_square(maps.read(pair.name))

    else:
        labels = "nearest colours of the inputs"
        notes.append(
            "Without --class_maps the true classes are told by the nearest colours of the inputs, "
            "which errs along borders where these were JPEG files."
        )

        def truth(pair: MeasuredPair) -> np.ndarray:
            return classes.nearest(images.denormalize_image(pair.source_rgb).numpy(), table)

    return lambda: SegmentationMeasure(segmenter, truth, labels=labels), notes


def _central_square(class_map: np.ndarray) -> np.ndarray:
    """Returns the part of a map that the pictures show: pairs are cropped to a square."""
    side = min(class_map.shape)
    row, column = ((length - side) // 2 for length in class_map.shape)
    return class_map[row : row + side, column : column + side]
