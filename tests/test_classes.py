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

from pix2pix_tf.data import classes, scenes
from pix2pix_tf.errors import InputError


def shows(pictures: list[np.ndarray], table: classes.ClassTable) -> bool:
    """Returns whether pictures show classes."""
    test = classes.LabelTest(table)
    for picture in pictures:
        test.add(picture)
    return test.shows_classes


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

    def assert_facades(self, table: classes.ClassTable):
        """The twelve, up to the rounding of a JPEG."""
        found = sorted(kind.color for kind in table.classes)
        expected = sorted(kind.color for kind in classes.FACADES)
        self.assertLen(found, len(expected))
        self.assertAllClose(found, expected, atol=4)

    def test_classes_are_learned_from_label_pictures(self):
        pictures = [scenes.draw_scene(128, seed=0, index=index).labels for index in range(30)]
        self.assert_facades(classes.learn(pictures))
        # The rings and blurs of JPEG are no classes.
        files = [tf.io.encode_jpeg(picture, quality=75) for picture in pictures]
        # Thin parts are nowhere even, and missed.
        found = classes.learn([tf.io.decode_jpeg(file).numpy() for file in files]).classes
        self.assertGreater(len(found), 8)
        known = np.array([kind.color for kind in classes.FACADES])
        for kind in found:
            self.assertLess(np.abs(known - kind.color).max(axis=1).min(), 10)

    def test_classes_are_learned_from_facades(self):
        paths = sorted(data_folder.require("facades", "train").glob("*.jpg"))[:50]
        self.assert_facades(classes.learn([np.asarray(Image.open(x))[:, 256:] for x in paths]))
        with self.assertRaisesRegex(InputError, "do not look like label maps"):
            classes.learn([np.asarray(Image.open(x))[:, :256] for x in paths[:10]])

    def test_photos_have_no_classes(self):
        scene = [scenes.draw_scene(64, seed=0, index=index).photo for index in range(10)]
        noise = [np.random.RandomState(0).randint(0, 256, (16, 16, 3)).astype(np.uint8)]
        white = np.full([64, 64, 3], 255, np.uint8)
        white[:30] = np.arange(64)[:, np.newaxis] * 3  # A ramp on white paper.
        for pictures in (scene, noise, [white], [np.full([9, 9, 3], 99, np.uint8)]):
            with self.assertRaisesRegex(InputError, "do not look like label maps.*json"):
                classes.learn(pictures)

    def test_indexes_are_not_colours(self):
        pictures = [np.arange(9, dtype=np.uint8).repeat(27).reshape(9, 9, 3)]
        grey = pictures[0].copy()
        grey[0] = classes.IGNORED  # As VOC and the train ids of Cityscapes have it.
        for indexes in (pictures, [grey], [np.full([9, 9, 3], classes.IGNORED, np.uint8), grey]):
            with self.assertRaisesRegex(InputError, "prepare labels"):
                classes.learn(indexes)
        mask = np.zeros([9, 9, 3], np.uint8)
        mask[:, 5:] = 255
        black = np.zeros([9, 9, 3], np.uint8)
        self.assertLen(classes.learn([black, mask]).classes, 2)
        red = np.full([9, 9, 3], 40, np.uint8)
        red[:5] = (255, 0, 0)
        self.assertLen(classes.learn([red]).classes, 2)

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

    def test_pictures_that_show_the_classes_of_a_table(self):
        scene = [scenes.draw_scene(128, seed=0, index=index) for index in range(5)]
        files = [tf.io.encode_jpeg(x.labels, quality=75) for x in scene]
        labels = [tf.io.decode_jpeg(file).numpy() for file in files]
        photos = [x.photo for x in scene]
        facades, cityscapes = classes.find("facades"), classes.find("cityscapes")
        self.assertTrue(shows(labels, facades))
        self.assertFalse(shows(photos, facades))
        self.assertFalse(shows(photos, cityscapes))
        self.assertIs(classes.recognise([x.labels for x in scene]), facades)
        self.assertIsNone(classes.recognise(photos))
        for color in ((255, 0, 0), (0, 64, 255), (70, 130, 180)):  # Also of a known set, by chance.
            picture = np.zeros([60, 60, 3], np.uint8)
            picture[20:] = color
            self.assertIsNone(classes.recognise([picture]))
            picture[50:] = (160, 32, 240)
            self.assertIsNone(classes.recognise([picture]))

    def test_indexes_are_not_the_colours_of_a_table(self):
        def holds_indexes(levels, table=None) -> bool:
            test = classes.LabelTest(table)
            test.add(np.repeat(np.array(levels, np.uint8).reshape(-1, 1, 1), 3, axis=2))
            return test.holds_indexes

        self.assertTrue(holds_indexes([0, 1, 2]))
        self.assertTrue(holds_indexes([0, 1, 255]))
        self.assertFalse(holds_indexes([0, 255]))
        self.assertFalse(holds_indexes([0]))
        greys = classes.ClassTable(
            "greys", tuple(classes.LabelClass(str(x), (x, x, x)) for x in (0, 30, 60))
        )
        self.assertFalse(holds_indexes([0, 30, 60], greys))
        self.assertFalse(holds_indexes([0, 0, 0], greys))
        self.assertTrue(holds_indexes([0, 1, 2], greys))

    def test_photos_do_not_show_the_classes_of_any_table(self):
        paths = sorted(data_folder.require("facades", "train").glob("*.jpg"))[:20]
        pairs = [np.asarray(Image.open(path)) for path in paths]
        for table in classes.TABLES.values():
            self.assertFalse(shows([pair[:, :256] for pair in pairs], table))
            is_own = table.classes == classes.FACADES
            self.assertEqual(shows([pair[:, 256:] for pair in pairs], table), is_own)

    def test_nearest_colours_mostly_find_the_classes_of_facades(self):
        path = data_folder.require("facades", "test", "1.jpg")
        truth = np.asarray(Image.open(data_folder.require("facades_index", "test", "1.png")))
        labels = np.asarray(Image.open(path))[:, 256:]
        agreement = np.mean(classes.nearest(labels, classes.find("facades")) == truth)
        self.assertBetween(agreement, 0.8, 1.0)
