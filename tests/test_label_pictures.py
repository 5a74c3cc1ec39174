"""Tests of `pix2pix_tf.data.label_pictures`."""

from __future__ import annotations

import data_folder
import numpy as np
import tensorflow as tf
from PIL import Image

from pix2pix_tf.data import classes, label_pictures, scenes
from pix2pix_tf.errors import InputError


def shows(pictures: list[np.ndarray], table: classes.ClassTable) -> bool:
    """Returns whether pictures show classes."""
    test = label_pictures.LabelTest(table)
    for picture in pictures:
        test.add(picture)
    return test.shows_classes


class LabelPicturesTest(tf.test.TestCase):
    def assert_facades(self, table: classes.ClassTable):
        """The twelve, up to the rounding of a JPEG."""
        found = sorted(kind.color for kind in table.classes)
        expected = sorted(kind.color for kind in classes.FACADES)
        self.assertLen(found, len(expected))
        self.assertAllClose(found, expected, atol=4)

    def test_classes_are_learned_from_label_pictures(self):
        pictures = [scenes.draw_scene(128, seed=0, index=index).labels for index in range(30)]
        self.assert_facades(label_pictures.learn(pictures))
        # The rings and blurs of JPEG are no classes.
        files = [tf.io.encode_jpeg(picture, quality=75) for picture in pictures]
        # Thin parts are nowhere even, and missed.
        found = label_pictures.learn([tf.io.decode_jpeg(file).numpy() for file in files]).classes
        self.assertGreater(len(found), 8)
        known = np.array([kind.color for kind in classes.FACADES])
        for kind in found:
            self.assertLess(np.abs(known - kind.color).max(axis=1).min(), 10)

    def test_classes_are_learned_from_facades(self):
        paths = sorted(data_folder.require("facades", "train").glob("*.jpg"))[:50]
        self.assert_facades(
            label_pictures.learn([np.asarray(Image.open(x))[:, 256:] for x in paths])
        )
        with self.assertRaisesRegex(InputError, "do not look like label maps"):
            label_pictures.learn([np.asarray(Image.open(x))[:, :256] for x in paths[:10]])

    def test_photos_have_no_classes(self):
        scene = [scenes.draw_scene(64, seed=0, index=index).photo for index in range(10)]
        noise = [np.random.RandomState(0).randint(0, 256, (16, 16, 3)).astype(np.uint8)]
        white = np.full([64, 64, 3], 255, np.uint8)
        white[:30] = np.arange(64)[:, np.newaxis] * 3  # A ramp on white paper.
        for pictures in (scene, noise, [white], [np.full([9, 9, 3], 99, np.uint8)]):
            with self.assertRaisesRegex(InputError, "do not look like label maps.*json"):
                label_pictures.learn(pictures)

    def test_indexes_are_not_colours(self):
        pictures = [np.arange(9, dtype=np.uint8).repeat(27).reshape(9, 9, 3)]
        grey = pictures[0].copy()
        grey[0] = classes.IGNORED  # As VOC and the train ids of Cityscapes have it.
        for indexes in (pictures, [grey], [np.full([9, 9, 3], classes.IGNORED, np.uint8), grey]):
            with self.assertRaisesRegex(InputError, "prepare labels"):
                label_pictures.learn(indexes)
        mask = np.zeros([9, 9, 3], np.uint8)
        mask[:, 5:] = 255
        black = np.zeros([9, 9, 3], np.uint8)
        self.assertLen(label_pictures.learn([black, mask]).classes, 2)
        red = np.full([9, 9, 3], 40, np.uint8)
        red[:5] = (255, 0, 0)
        self.assertLen(label_pictures.learn([red]).classes, 2)

    def test_pictures_that_show_the_classes_of_a_table(self):
        scene = [scenes.draw_scene(128, seed=0, index=index) for index in range(5)]
        files = [tf.io.encode_jpeg(x.labels, quality=75) for x in scene]
        labels = [tf.io.decode_jpeg(file).numpy() for file in files]
        photos = [x.photo for x in scene]
        facades, cityscapes = classes.find("facades"), classes.find("cityscapes")
        self.assertTrue(shows(labels, facades))
        self.assertFalse(shows(photos, facades))
        self.assertFalse(shows(photos, cityscapes))
        self.assertIs(label_pictures.recognise([x.labels for x in scene]), facades)
        self.assertIsNone(label_pictures.recognise(photos))
        for color in ((255, 0, 0), (0, 64, 255), (70, 130, 180)):  # Also of a known set, by chance.
            picture = np.zeros([60, 60, 3], np.uint8)
            picture[20:] = color
            self.assertIsNone(label_pictures.recognise([picture]))
            picture[50:] = (160, 32, 240)
            self.assertIsNone(label_pictures.recognise([picture]))

    def test_indexes_are_not_the_colours_of_a_table(self):
        def holds_indexes(levels, table=None) -> bool:
            test = label_pictures.LabelTest(table)
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
