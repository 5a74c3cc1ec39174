"""Tests of `pix2pix_tf.evaluation.fcn_score`, against matrices counted by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tiny_runs
from PIL import Image
from preparing import save_shallow

from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.evaluation import fcn_score
from pix2pix_tf.evaluation.classes import IGNORED, ClassTable, LabelClass

_TABLE = ClassTable(
    "three",
    (
        LabelClass("sky", (0, 0, 0)),
        LabelClass("wall", (1, 0, 0)),
        LabelClass("door", (2, 0, 0)),
        LabelClass("nothing", (3, 0, 0), ignored=True),
    ),
)
_TRUTH = np.array([[0, 0, 0, 1], [1, 2, IGNORED, IGNORED]], np.uint8)
_PREDICTED = np.array([[0, 0, 1, 1], [2, 2, 0, 2]], np.uint8)
_MATRIX = np.array([[2, 1, 0], [0, 1, 1], [0, 0, 1]])


class ConfusionMatrixTest(tf.test.TestCase):
    def test_counted_by_hand(self):
        found = fcn_score.confusion_matrix(_TRUTH, _PREDICTED, _TABLE)
        self.assertAllEqual(found, _MATRIX)  # Rows: the truth. Ignored pixels are not in it.
        self.assertEqual(found.dtype, np.int64)

    def test_pictures_add_up(self):
        parts = [
            fcn_score.confusion_matrix(truth, predicted, _TABLE)
            for truth, predicted in zip(_TRUTH, _PREDICTED)
        ]
        self.assertAllEqual(sum(parts), _MATRIX)

    def test_refuses_what_is_no_class_map(self):
        with self.assertRaisesRegex(ValueError, r"\(2, 4\), predicted of \(1, 4\)"):
            fcn_score.confusion_matrix(_TRUTH, _PREDICTED[:1], _TABLE)
        with self.assertRaisesRegex(ValueError, "truth has values beyond the 3 classes"):
            fcn_score.confusion_matrix(_TRUTH + 1, _PREDICTED, _TABLE)
        with self.assertRaisesRegex(ValueError, "predicted has values beyond"):
            fcn_score.confusion_matrix(_TRUTH, _PREDICTED.astype(int) - 1, _TABLE)


class ScoresTest(tf.test.TestCase):
    def test_computed_by_hand(self):
        self.assertAllClose(
            fcn_score.scores(_MATRIX),
            dict(
                per_pixel_accuracy=4 / 6,
                per_class_accuracy=(2 / 3 + 1 / 2 + 1) / 3,
                class_iou=(2 / (3 + 2 - 2) + 1 / (2 + 2 - 1) + 1 / (1 + 2 - 1)) / 3,
            ),
        )

    def test_a_matrix_that_is_not_symmetric(self):
        # 10 of 12, 1 of 4 and 5 of 5.
        matrix = np.array([[10, 0, 2], [3, 1, 0], [0, 0, 5]])
        self.assertAllClose(
            fcn_score.scores(matrix),
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
            fcn_score.scores(matrix),
            dict(per_pixel_accuracy=3 / 4, per_class_accuracy=3 / 4, class_iou=(3 / 4 + 0) / 2),
        )

    def test_nothing_counted_is_refused(self):
        with self.assertRaisesRegex(ValueError, "every one of the truth is ignored"):
            fcn_score.scores(np.zeros([3, 3], np.int64))

    def test_most_frequent_class(self):
        matrix = np.array([[1, 1, 0], [0, 2, 3], [4, 0, 0]])  # 2, 5 and 4 pixels.
        self.assertEqual(fcn_score.most_frequent_class(matrix), (1, 5 / 11))


class ClassMapsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        (self.folder / "test").mkdir()
        self.write("one", _TRUTH)

    def write(self, name: str, pixels: np.ndarray) -> None:
        Image.fromarray(pixels).save(self.folder / "test" / f"{name}.png")

    def read(self, name: str, **options) -> np.ndarray:
        return fcn_score.ClassMaps(self.folder, "test", [name], _TABLE).read(name, **options)

    def test_reads_indexes(self):
        self.assertAllEqual(self.read("one", size=(2, 4)), _TRUTH)

    def test_indexes_of_few_bits(self):
        """Decoded as a picture, 1 of 1 bit is 255, which is ignored."""
        for bits in (1, 2, 4):
            indexes = np.array([[0, 1], [min(2**bits - 1, 2), 0]], np.uint8)
            save_shallow(self.folder / "test" / "few.png", indexes, bits=bits)
            self.assertAllEqual(self.read("few"), indexes)

    def test_missing_maps_and_splits_are_named(self):
        with self.assertRaisesRegex(MissingInputError, r"2 of 3 pictures.*two\.png', '.*three"):
            fcn_score.ClassMaps(self.folder, "test", ["one", "two", "three"], _TABLE)
        with self.assertRaisesRegex(MissingInputError, "no folder '.*val' of class maps"):
            fcn_score.ClassMaps(self.folder, "val", ["one"], _TABLE)

    def test_another_size_is_refused(self):
        with self.assertRaisesRegex(InputError, r"one\.png' is 4x2 pixels, but 8x4 are needed"):
            self.read("one", size=(4, 8))

    def test_values_that_are_no_class_are_refused(self):
        self.write("bad", np.array([[0, 3]], np.uint8))
        with self.assertRaisesRegex(InputError, r"bad\.png' holds the value 3.* are 0 to 2"):
            self.read("bad")

    def test_colours_are_refused(self):
        self.write("color", np.zeros([2, 2, 3], np.uint8))
        with self.assertRaisesRegex(InputError, r"color\.png' is no class map: it has 3 channels"):
            self.read("color")
        Image.fromarray(np.zeros([2, 2], np.uint16)).save(self.folder / "test" / "deep.png")
        with self.assertRaisesRegex(InputError, r"deep\.png' is no class map.* of 16 bits"):
            self.read("deep")
