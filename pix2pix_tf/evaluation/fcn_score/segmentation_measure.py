"""The FCN-score of outputs, with that of the real pictures beside it."""

from __future__ import annotations

import numpy as np

from pix2pix_tf.data.pipeline import PairReader
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.fcn_score import confusion
from pix2pix_tf.evaluation.fcn_score.class_maps import TrueClasses
from pix2pix_tf.evaluation.fcn_score.segmenter import ORIGIN, Segmenter
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair, Score


class SegmentationMeasure(Measure):
    """What a segmenter recognises in outputs and in the real pictures.

    Args:
        segmenter: Trained on real pictures of the same classes.
        reader: The pairs; the truth is found at the resolution of their files.
        direction: Direction of the translation, whose outputs have to be photos.
        split: The split of the pairs.
        class_maps: Folder of the true classes, see `TrueClasses`.

    Raises:
        InputError: If class maps are missing, or the outputs are labels, not photos.
    """

    section = "fcn_score"

    def __init__(
        self,
        segmenter: Segmenter,
        reader: PairReader,
        *,
        direction: str,
        split: str,
        class_maps: str = "",
    ):
        table = segmenter.classes
        if direction[-1] != table.photo_side:
            raise InputError(
                f"direction is {direction}, whose outputs are not photos: the segmenter of "
                f"{table.name} judges side {table.photo_side} of a pair. Leave --segmenter out."
            )
        self._segmenter, self._reader = segmenter, reader
        self._labels = "class maps" if class_maps else "nearest colours of the inputs"
        self._truth = TrueClasses(class_maps, split, reader.names, table)
        self._matrices = np.zeros([2, *2 * [len(table.scored)]], np.int64)  # Outputs, photos.
        self.notes = [f"The FCN-score is of a segmenter whose weights are {ORIGIN}."]
        if not class_maps:
            self.notes.append(
                "Without --class_maps the true classes are told by the nearest colours of the "
                "inputs, before these are scaled, which errs along borders where they were JPEG "
                "files."
            )

    def add(self, pair: MeasuredPair) -> dict[str, float | None]:
        """Adds a pair; returns its own share of right pixels, None if none counts."""
        source, _ = self._reader.read_unscaled(self._reader.names.index(pair.name))
        truth = self._truth.read(pair.name, source)
        found = self._segmenter.predict(np.stack(pair.both_in_colour), size=truth.shape)
        own = [confusion.confusion_matrix(truth, one, self._segmenter.classes) for one in found]
        self._matrices += own
        counted = own[0].sum()
        return {"per_pixel_accuracy": float(np.trace(own[0]) / counted) if counted else None}

    def result(self) -> tuple[dict | None, list[Score]]:
        """Returns both scores and what they rest on; None if every pixel is ignored."""
        if not self._matrices.any():
            return None, []
        table = self._segmenter.classes
        outputs, photos = map(confusion.scores, self._matrices)
        result = dict(
            segmenter=dict(
                weights=ORIGIN,
                step=self._segmenter.step,
                weights_sha256=self._segmenter.digest,
                classes=[kind.name for kind in table.scored],
            ),
            labels=self._labels,
            most_frequent_class=confusion.most_frequent_class(self._matrices[1], table),
            outputs=outputs,
            ground_truth=photos,
            confusion_matrix=self._matrices[0].tolist(),
        )
        return result, [Score(x, outputs[x], ground_truth=photos[x]) for x in confusion.SCORES]
