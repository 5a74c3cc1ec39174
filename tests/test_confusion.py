"""Tests of `pix2pix_tf.evaluation.fcn_score.confusion`, against matrices counted by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from label_data import THREE_CLASSES, TRUTH

from pix2pix_tf.evaluation.fcn_score import confusion

_PREDICTED = np.array([[0, 0, 1, 1], [2, 2, 0, 2]], np.uint8)
_MATRIX = np.array([[2, 1, 0], [0, 1, 1], [0, 0, 1]])


class ConfusionMatrixTest(tf.test.TestCase):
    def test_counted_by_hand(self):
        found = confusion.confusion_matrix(TRUTH, _PREDICTED, THREE_CLASSES)
        self.assertAllEqual(found, _MATRIX)  # Rows: the truth. Ignored pixels are not in it.
        self.assertEqual(found.dtype, np.int64)


class ScoresTest(tf.test.TestCase):
    def test_a_matrix_that_is_not_symmetric(self):
        # 10 of 12, 1 of 4 and 5 of 5.
        matrix = np.array([[10, 0, 2], [3, 1, 0], [0, 0, 5]])
        self.assertAllClose(
            confusion.scores(matrix),
            dict(
                per_pixel_accuracy=16 / 21,
                per_class_accuracy=(10 / 12 + 1 / 4 + 1) / 3,
                class_iou=(10 / 15 + 1 / 4 + 5 / 7) / 3,
            ),
        )

    def test_classes_that_the_truth_lacks(self):
        # Class 2 is nowhere; class 1 was predicted once but is not there.
        matrix = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
        self.assertAllClose(
            confusion.scores(matrix),
            dict(per_pixel_accuracy=3 / 4, per_class_accuracy=3 / 4, class_iou=(3 / 4 + 0) / 2),
        )
