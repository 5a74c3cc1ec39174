"""Tests of `pix2pix_tf.evaluation.fcn_score.class_maps`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tiny_runs
from label_data import THREE_CLASSES, TRUTH
from PIL import Image

from pix2pix_tf.data import classes
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.evaluation.fcn_score.class_maps import TrueClasses


class TrueClassesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        (self.folder / "test").mkdir()
        self.write("one", TRUTH)

    def write(self, name: str, pixels: np.ndarray) -> None:
        Image.fromarray(pixels).save(self.folder / "test" / f"{name}.png")

    def read(self, name: str) -> np.ndarray:
        truth = TrueClasses(str(self.folder), "test", [name], THREE_CLASSES)
        return truth.read(name, np.zeros([8, 8, 3], np.uint8))  # Its own size does not matter.

    def test_an_index_is_the_place_in_the_list_and_a_score_is_of_those_that_count(self):
        kinds = THREE_CLASSES.classes
        table = classes.ClassTable("mixed", (kinds[3], *kinds[:3]))  # The ignored first.
        truth = TrueClasses(str(self.folder), "test", ["one"], table)
        expected = np.array([255, 0, 1], np.uint8)[np.where(TRUTH == 255, 0, TRUTH)]
        self.assertAllEqual(truth.read("one", np.zeros([8, 8, 3], np.uint8)), expected)

    def test_missing_maps_and_splits_are_named(self):
        with self.assertRaisesRegex(MissingInputError, r"2 of 3 .*two\.png'"):
            TrueClasses(str(self.folder), "test", ["one", "two", "three"], THREE_CLASSES)
        with self.assertRaisesRegex(MissingInputError, "val"):
            TrueClasses(str(self.folder), "val", ["one"], THREE_CLASSES)

    def test_label_pictures_take_the_place_of_class_maps(self):
        truth = TrueClasses("", "test", ["one"], THREE_CLASSES)
        colours = np.zeros([2, 2, 3], np.uint8)
        colours[..., 0] = [[0, 1], [2, 3]]
        for pixels in (colours, colours * np.uint16(257)):
            self.assertAllEqual(truth.read("one", pixels), [[0, 1], [2, classes.IGNORED]])

    def test_what_is_not_a_map_is_refused(self):
        """How files of indexes are read is tested by those of `prepare labels`."""
        self.write("bad", np.array([[0, 4]], np.uint8))  # 4 is not a class.
        with self.assertRaisesRegex(InputError, r"bad\.png'.*4.* are 0 to 3"):
            self.read("bad")
