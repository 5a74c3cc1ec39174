"""Tests of `pix2pix_tf.evaluation.fcn_score.segmenter_data`."""

from __future__ import annotations

import json

import label_data
import numpy as np
import tensorflow as tf
import tiny_runs
from PIL import Image
from refusals import refused

from pix2pix_tf.data import classes
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.fcn_score import segmenter_data
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig

_SIZE = label_data.SIZE


class ReadPhotosTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        label_data.write(self.folder, train=3)

    def read(self, **settings) -> segmenter_data.Photos:
        settings = {"class_maps": str(self.folder / "maps"), **settings}
        config = SegmenterConfig(dataset=str(self.folder / "facades"), crop_size=_SIZE, **settings)
        source = segmenter_data.open_split(config, "train")
        table = segmenter_data.find_classes(config, source)
        return segmenter_data.read_photos(config, table, "train", source)

    def test_photos_and_maps_belong_together(self):
        photos = self.read()
        self.assertLen(photos.pixels, 3)
        for number, name in enumerate(["train_0", "train_1", "train_2"]):
            pair = np.asarray(Image.open(self.folder / "facades" / "train" / f"{name}.png"))
            truth = np.asarray(Image.open(self.folder / "maps" / "train" / f"{name}.png"))
            self.assertAllEqual(photos.pixels[number], pair[:, :_SIZE])
            self.assertAllEqual(photos.class_maps[number], truth)
        self.assertAllEqual(self.read(class_maps="").class_maps, photos.class_maps)

    def test_the_demo_has_its_photos_on_the_other_side(self):
        config = SegmenterConfig(dataset="demo", crop_size=32)
        source = segmenter_data.open_split(config, "val")
        table = segmenter_data.find_classes(config, source)
        photos = segmenter_data.read_photos(config, table, "val", source)
        # A label picture would have 12 colours at most.
        self.assertGreater(len(np.unique(photos.pixels[0].reshape(-1, 3), axis=0)), 50)
        self.assertLess(photos.class_maps.max(), 12)

    def test_photos_are_not_taken_for_labels(self):
        """A folder of this name, but with the labels as A."""
        for path in (self.folder / "facades" / "train").iterdir():
            pair = np.asarray(Image.open(path))
            Image.fromarray(np.roll(pair, _SIZE, axis=1)).save(path)
        for settings in ({}, dict(class_maps="")):
            with self.assertRaisesRegex(InputError, "Side A .*training pairs shows the classes"):
                self.read(**settings)

    def test_classes_of_ones_own_on_either_side(self):
        """Under any name; the colours tell which side is the photo."""
        folder, path = self.folder / "mine", self.folder / "kinds.json"
        (self.folder / "facades").rename(folder)
        config = SegmenterConfig(dataset=str(folder), crop_size=_SIZE, classes=str(path))

        def find(*entries: dict) -> classes.ClassTable:
            path.write_text(json.dumps(entries))
            return segmenter_data.find_classes(config, segmenter_data.open_split(config, "train"))

        def change(make) -> None:
            for file in (folder / "train").iterdir():
                Image.fromarray(make(np.asarray(Image.open(file)))).save(file)

        own = classes.to_json(label_data.TABLE)
        for photo_side in "AB":
            # Of photos on a ground of a class's colour, less is of classes than of the labels.
            change(lambda pair: np.where((pair[..., :1] < 60) & (pair[..., 2:] < 60), 0, pair))
            table = find(*own, dict(name="ground", color=[0, 0, 0], ignored=True))
            self.assertEqual((table.photo_side, table.name), (photo_side, "kinds"))
            source = segmenter_data.open_split(config, "train")
            photos = segmenter_data.read_photos(config, table, "train", source)
            for name, photo, truth in zip(["train_0", "train_1"], *photos):
                shown = np.asarray(Image.open(self.folder / "maps" / "train" / f"{name}.png"))
                self.assertAllEqual(truth, shown)
                self.assertLess(photo[truth == 0].mean(), 60)  # Dark in photos, and only there.
            change(lambda pair: np.roll(pair, _SIZE, axis=1))
        strange = [dict(name=f"{x}", color=[255, x, 255]) for x in (0, 99)]
        with refused("Neither side", folder, path, "A by 0%", "B by 0%"):
            find(*strange)
        # Black is near to the indexes 0 to 2.
        change(lambda pair: np.where(np.arange(2 * _SIZE)[:, np.newaxis] < _SIZE, 2, pair))
        with refused("The labels", folder, "prepare labels"):
            find(dict(name="ground", color=[0, 0, 0]), *strange)

    def test_other_sizes_are_refused(self):
        path = self.folder / "maps" / "train" / "train_1.png"
        Image.fromarray(np.zeros([8, 16], np.uint8)).save(path)
        with self.assertRaisesRegex(InputError, r"train differ .*\(8, 16\) and \(32, 32\)"):
            self.read()
        path = self.folder / "facades" / "train" / "train_2.png"
        Image.fromarray(np.zeros([32, 96, 3], np.uint8)).save(path)
        with self.assertRaisesRegex(InputError, "'train_2' are 48x32"):  # A photo has to be square.
            self.read(class_maps="")


class AugmentTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        # Class 1 is a light triangle: every flip and stretch shows.
        rows, cols = np.mgrid[:64, :64]
        self.class_map = ((cols > 20) & (rows > cols)).astype(np.uint8)
        self.image = np.repeat(np.where(self.class_map, 0.5, -0.5)[..., None], 3, axis=-1)
        self.image = self.image.astype(np.float32)

    def augment(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        image, class_map = segmenter_data.augment_example(
            self.image, self.class_map, crop_size=32, seed=[0, seed]
        )
        return image.numpy(), class_map.numpy()

    def test_the_photo_and_its_map_stay_together(self):
        sides = set()
        for seed in range(20):
            image, class_map = self.augment(seed)
            # Class 1 is on the left in the photo: a flip puts it on the right.
            sides.add(class_map[:, :8].sum() < class_map[:, -8:].sum())
            self.assertEqual((image.shape, class_map.shape), ((32, 32, 3), (32, 32)))
            self.assertBetween(image.min(), -1.0, 1.0)
            self.assertBetween(image.max(), -1.0, 1.0)
            if class_map.any() and not class_map.all():
                threshold = (image.min() + image.max()) / 2
                self.assertGreater(np.mean((image[..., 0] > threshold) == class_map), 0.95)
        self.assertEqual(sides, {False, True})

    def test_batches_go_on_where_they_were(self):
        pixels = np.random.RandomState(0).randint(0, 255, [5, 32, 32, 3]).astype(np.uint8)
        photos = segmenter_data.Photos(pixels, np.zeros([5, 32, 32], np.uint8))
        config = SegmenterConfig(crop_size=32, batch_size=2, seed=3)

        def batches(start: int):
            return segmenter_data.training_batches(photos, config, start=start).take(3)

        whole, late = list(batches(0)), list(batches(4))
        self.assertAllEqual(whole[2][0], late[0][0])
        self.assertNotAllClose(whole[0][0], whole[1][0])
