"""Outputs that are label maps: each pixel goes to its nearest class, which is right or wrong.

Of photo to labels, the paper's section 4.6, where the outputs themselves are scored.
"""

from __future__ import annotations

import numpy as np

from pix2pix_tf import figures
from pix2pix_tf.data import classes, images
from pix2pix_tf.data.classes import ClassTable
from pix2pix_tf.data.pipeline import PairReader
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.fcn_score import confusion
from pix2pix_tf.evaluation.fcn_score.class_maps import TrueClasses
from pix2pix_tf.evaluation.measure import Measure, MeasuredPair, Score

_NUM_CHECKED = 8  # Pairs whose class maps are compared with the colours of their targets.
# Of the pixels. Facades' have 90 %; more of another order is chance, or a class of most pixels.
_LEAST_AGREEMENT = 0.5


class LabelMapMeasure(Measure):
    """Classes of outputs against the true ones.

    Args:
        table: The classes that outputs show.
        reader: The pairs.
        split: Their split.
        class_maps: Folder of the true classes, see `TrueClasses`; "" to tell them by the nearest
            colours of the targets, in the size of the outputs.

    Raises:
        MissingInputError: If class maps are missing.
        InputError: If a class map cannot be read, or they have other classes than the targets.
    """

    section = "label_maps"

    def __init__(self, table: ClassTable, reader: PairReader, *, split: str, class_maps: str = ""):
        self.table, self._reader = table, reader
        self._truth = TrueClasses(class_maps, split, reader.names, table) if class_maps else None
        if self._truth is not None:
            self._check_agreement(TrueClasses("", split, reader.names, table))
        self._matrix = np.zeros(2 * [len(table.scored)], np.int64)
        self.notes = ["Classes of outputs are told by their nearest colours."]
        if not class_maps:
            self.notes.append(
                "Without --class_maps so are those of the targets, which errs along borders where "
                "these were scaled, or JPEG files."
            )

    def _check_agreement(self, shown: TrueClasses) -> None:
        """Refuses class maps whose indexes are not those of the colours that targets show."""
        num_same, num_counted = 0, 0
        for name in self._reader.names[:_NUM_CHECKED]:
            _, target = self._reader.read_unscaled(self._reader.names.index(name))
            truth = self._truth.read(name, target)
            found = _scaled(shown.read(name, target), truth.shape)
            counts = truth != classes.IGNORED
            num_same += np.sum((found == truth)[counts])
            num_counted += counts.sum()
        if num_same < _LEAST_AGREEMENT * num_counted:
            raise InputError(
                "The class maps agree with the colours of the targets in "
                f"{num_same / num_counted:.0%} of the pixels: {self.table.name} lists the classes "
                "in another order, or others. Classes that were learned are in the order of how "
                "common they are. Name a .json file by --classes, with each class at its index in "
                "the maps."
            )

    def add(self, pair: MeasuredPair) -> dict[str, float | None]:
        """Adds a pair; returns its own share of right pixels, None if none counts."""
        if self._truth is None:
            own = confusion_of(pair.output, pair.target, self.table)
        else:
            _, target = self._reader.read_unscaled(self._reader.names.index(pair.name))
            truth = self._truth.read(pair.name, target)
            found = _scaled(nearest(pair.output, self.table), truth.shape)
            own = confusion.confusion_matrix(truth, found, self.table)
        self._matrix += own
        counted = own.sum()
        return {"per_pixel_accuracy": float(np.trace(own) / counted) if counted else None}

    def result(self) -> tuple[dict | None, list[Score]]:
        """Returns the scores, by class too; None if every pixel is ignored."""
        if not self._matrix.any():
            return None, []
        scores = confusion.scores(self._matrix)
        result = dict(
            classes=classes.to_json(self.table),
            labels="nearest colours of the targets" if self._truth is None else "class maps",
            most_frequent_class=confusion.most_frequent_class(self._matrix, self.table),
            outputs=scores,
            iou_by_class=confusion.iou_by_class(self._matrix),
            confusion_matrix=self._matrix.tolist(),
        )
        return result, [Score(name, scores[name]) for name in confusion.SCORES]


def nearest(image: np.ndarray, table: ClassTable) -> np.ndarray:
    """Returns the class map of an image in [-1, 1], uint8 `[height, width]`, scored classes only.

    Args:
        image: float32 `[height, width, channels]`.
        table: The classes.
    """
    return classes.nearest(images.shown_pixels(image), table.guesses)


def confusion_of(output: np.ndarray, target: np.ndarray, table: ClassTable) -> np.ndarray:
    """Returns the confusion matrix of an output and its target, both images in [-1, 1]."""
    truth = classes.nearest(images.shown_pixels(target), table)
    return confusion.confusion_matrix(truth, nearest(output, table), table)


def _scaled(class_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns a class map in another size, by the pixel that each lies in."""
    rows, columns = (np.arange(new) * old // new for old, new in zip(class_map.shape, shape))
    return class_map[np.ix_(rows, columns)]


def plot(result: dict) -> bytes:
    """Returns the confusion picture of `LabelMapMeasure.result` as a PNG: rows are the truth.

    Each row is the share of the pixels of a true class that went to each class; at the left the
    colours of the classes, at the right their IoU.
    """
    kinds = [kind for kind in result["classes"] if not kind["ignored"]]
    matrix = np.array(result["confusion_matrix"], np.float64)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.42 * len(kinds)
    figure = figures.new_figure(figsize=(side + 1.2, side))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            color = "white" if share > 0.5 else "black"
            text = f"{100 * share:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    names = [kind["name"] for kind in kinds]
    axes.set_xticks(range(len(kinds)), names, rotation=90)
    axes.set_yticks(range(len(kinds)), names)
    for number, (kind, iou) in enumerate(zip(kinds, result["iou_by_class"])):
        color = np.array([kind["color"]]) / 255
        axes.scatter([-1], [number], c=color, marker="s", s=100, edgecolors="grey", linewidths=0.5)
        axes.text(len(kinds) - 0.3, number, "-" if iou is None else f"{iou:.2f}", va="center")
    axes.text(len(kinds) - 0.3, -0.9, "IoU", va="center")
    axes.set_xlim(-1.5, len(kinds) - 0.5)
    axes.set_xlabel("class of the output")
    axes.set_ylabel("true class")
    axes.set_title("% of each true class", loc="left", fontsize=10)
    return figures.to_png(figure)
