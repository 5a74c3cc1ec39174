"""Tests of `pix2pix_tf.data.classes`."""

from __future__ import annotations

import dataclasses
import json
from unittest import mock

import data_folder
import numpy as np
import tensorflow as tf
import tiny_runs
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

    def test_damaged_tables(self):
        path = tiny_runs.temporary_folder(self) / "mine.json"
        good = dict(name="road", color=[1, 2, 3])
        for entries in (
            [],
            [dict(good, ignored=True)],
            [dict(good, name=3)],
            [dict(good, color=3)],
            [dict(good, color=[1, 2, 256])],
            [dict(name="road")],
            3,
        ):
            path.write_text(json.dumps(entries))
            with self.assertRaisesRegex(InputError, "mine.json"):
                classes.read(str(path))
            with self.assertRaisesRegex(InputError, "Export the run again"):
                classes.from_json("model", entries)

    def test_many_colours_are_looked_up_part_by_part(self):
        picture = np.random.RandomState(0).randint(0, 256, (300, 300, 3)).astype(np.uint8)
        table = classes.find("facades")
        whole = classes.nearest(picture, table)
        with mock.patch.object(classes, "_COLORS_AT_ONCE", 1000):
            self.assertAllEqual(classes.nearest(picture, table), whole)

    def test_tables_as_files(self):
        path = tiny_runs.temporary_folder(self) / "mine.json"
        path.write_text(json.dumps(classes.to_json(classes.find("cityscapes"))))
        self.assertEqual(classes.read(str(path)).classes, classes.find("cityscapes").classes)
        entries = json.loads(path.read_text())
        self.assertEqual(classes.from_json("x", entries).classes, classes.read(str(path)).classes)
        path.write_text(json.dumps(entries[::-1]))  # Ten that are ignored, then 19.
        table = classes.read(str(path))
        self.assertEqual((table.indexes, table.num_indexes), (tuple(range(10, 29)), 29))
        self.assertEqual(classes.find("cityscapes").num_indexes, 19)

    def test_scored_classes_need_a_colour_of_their_own(self):
        road, building, void = classes.find("cityscapes").classes[:3]
        same = dict(color=road.color)
        for kinds, is_refused in (
            ((road, dataclasses.replace(building, **same)), True),
            ((road, dataclasses.replace(void, ignored=True, **same)), True),
            ((dataclasses.replace(road, ignored=True), building), False),
            (
                (
                    building,
                    dataclasses.replace(road, ignored=True),
                    dataclasses.replace(void, ignored=True, **same),
                ),
                False,
            ),
        ):
            table = classes.ClassTable("mine", kinds)
            if is_refused:
                with self.assertRaisesRegex(InputError, "'road' and .* have the same colour"):
                    classes.check_told_apart(table)
            else:
                classes.check_told_apart(table)

    def test_nearest_colours_mostly_find_the_classes_of_facades(self):
        path = data_folder.require("facades", "test", "1.jpg")
        truth = np.asarray(Image.open(data_folder.require("facades_index", "test", "1.png")))
        labels = np.asarray(Image.open(path))[:, 256:]
        agreement = np.mean(classes.nearest(labels, classes.find("facades")) == truth)
        self.assertBetween(agreement, 0.8, 1.0)
