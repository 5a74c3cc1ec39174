"""The three scores of the FCN-score, from counted pixels.

Per-pixel accuracy, per-class accuracy and class IoU of Long, Shelhamer and Darrell
(CVPR 2015), as the paper's section 4.1 uses them. With n_ij the pixels of class i that
were taken for class j, and t_i = sum_j n_ij:

    per-pixel accuracy   sum_i n_ii / sum_i t_i
    per-class accuracy   mean_i n_ii / t_i
    class IoU            mean_i n_ii / (t_i + sum_j n_ji - n_ii)

The sums are over all pixels of all pictures, so no picture has a score of its own
in them.
"""

from __future__ import annotations

import numpy as np

from pix2pix_tf.data.classes import IGNORED, ClassTable

SCORES = ("per_pixel_accuracy", "per_class_accuracy", "class_iou")


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Returns int64 `[K, K]` for K scored classes: row the truth, column the prediction.

    Sum the matrices of several pictures.

    Args:
        truth: Class maps, integers of any shape; `IGNORED` pixels are not counted.
        predicted: The same shape, scored classes only.
        classes: The classes of both.
    """
    count = len(classes.scored)
    counted = truth != IGNORED
    truth, predicted = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    return np.bincount(count * truth + predicted, minlength=count**2).reshape(count, count)


def scores(matrix: np.ndarray) -> dict[str, float]:
    """Returns the three scores of a confusion matrix, each 0 to 1; more is better.

    A class that the truth does not have is left out of the mean accuracy, where it
    would be 0 / 0. It counts with an IoU of 0 if it was predicted anywhere, and is left
    out of that mean too if it was not. The authors' script counts both as 0; where
    every class occurs, as in the paper's sets, there is no difference.

    Args:
        matrix: Counts of `confusion_matrix`, which are not all 0.
    """
    right = np.diag(matrix).astype(np.float64)
    true, taken = matrix.sum(axis=1), matrix.sum(axis=0)
    union = true + taken - right
    return dict(
        per_pixel_accuracy=float(right.sum() / true.sum()),
        per_class_accuracy=float(np.mean(right[true > 0] / true[true > 0])),
        class_iou=float(np.mean(right[union > 0] / union[union > 0])),
    )


def iou_by_class(matrix: np.ndarray) -> list[float | None]:
    """Returns the IoU of each class; None of one that neither the truth nor the other has."""
    right = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=1) + matrix.sum(axis=0) - right
    return [float(x / y) if y else None for x, y in zip(right, union)]


def most_frequent_class(matrix: np.ndarray, classes: ClassTable) -> dict:
    """Returns the name of the commonest class of the truth and its share of the pixels.

    The share is the per-pixel accuracy of answering that class everywhere.
    """
    true = matrix.sum(axis=1)
    name = classes.scored[int(true.argmax())].name
    return dict(name=name, share=float(true.max() / true.sum()))
