"""Tests of `pix2pix_tf.data.classes`."""

from __future__ import annotations

import data_folder
import numpy as np
import tensorflow as tf
from PIL import Image

from pix2pix_tf.data import classes
from pix2pix_tf.errors import InputError


class ClassesTest(tf.test.TestCase):
    def test_the_tables_are_those_of_the_data_sets(self):
        facades, cityscapes = classes.find("facades"), classes.find("cityscapes")
        self.assertEqual([len(facades.scored), len(cityscapes.scored)], [12, 19])
        self.assertEqual(facades.scored[5], classes.LabelClass("sill", (112, 254, 142)))
        names = [kind.name for kind in cityscapes.scored]
        self.assertEqual([names[0], names[13], names[18]], ["road", "car", "bicycle"])
        self.assertEqual(classes.find("demo").photo_side, "B")
        for table in classes.TABLES.values():
            self.assertLen({kind.color for kind in table.classes}, len(table.classes))

    def test_a_folder_goes_by_its_last_name(self):
        self.assertEqual(classes.find("/some/where/cityscapes/").name, "cityscapes")
        with self.assertRaisesRegex(InputError, "'/data/maps'"):
            classes.find("/data/maps")

    def test_nearest_colours(self):
        table = classes.find("cityscapes")
        picture = np.array(
            [[(128, 64, 128), (120, 70, 131)], [(2, 1, 0), (110, 75, 2)], [(0, 0, 88), (0, 0, 72)]],
            np.uint8,
        )
        found = classes.nearest(picture, table)
        self.assertEqual(found.dtype, np.uint8)
        # Road, road after JPEG; unlabeled, dynamic; caravan (ignored), truck.
        self.assertAllEqual(found, [[0, 0], [255, 255], [255, 14]])

    def test_nearest_colours_mostly_find_the_classes_of_facades(self):
        path = data_folder.require("facades", "test", "1.jpg")
        truth = np.asarray(Image.open(data_folder.require("facades_index", "test", "1.png")))
        labels = np.asarray(Image.open(path))[:, 256:]
        agreement = np.mean(classes.nearest(labels, classes.find("facades")) == truth)
        self.assertBetween(agreement, 0.8, 1.0)
