"""Tests of `pix2pix_tf.data.pairs`, on folders of tiny pictures."""

from __future__ import annotations

import io
from unittest import mock

import data_folder
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from pair_folders import LEFT, RIGHT, FolderTest, aligned, picture
from PIL import Image
from refusals import refused

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import decoding, pairs, pipeline, scenes
from pix2pix_tf.errors import MissingInputError


class FindSplitTest(FolderTest):
    def test_first_candidate_there_is(self):
        self.save("train/1.png", aligned())
        self.save("testA/1.png", picture())
        self.save("B/test/1.png", picture())
        dataset = str(self.folder)
        self.assertEqual(pairs.find_split(dataset, ["val", "test", "train"]), "test")
        self.assertEqual(pairs.find_split(dataset, ["train", "test"]), "train")
        self.assertIsNone(pairs.find_split(dataset, ["val"]))


class FilePairsTest(FolderTest):
    def test_aligned_halves(self):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 14, 3), dtype=np.uint8)
        self.save("train/1.png", Image.fromarray(pixels))
        a, b = self.open().read(0)
        self.assertAllEqual(a, pixels[:, :7])
        self.assertAllEqual(b, pixels[:, 7:])

    def test_real_pairs_have_the_photo_on_the_left(self):
        photo, labels = pairs.open_pairs(str(data_folder.require("facades")), "val").read(0)
        self.assertEqual(photo.shape, (256, 256, 3))
        self.assertEqual(labels.shape, (256, 256, 3))
        # Labels are saturated everywhere, photos of houses nowhere.
        saturation = [np.ptp(side.astype(int), axis=-1).mean() for side in (photo, labels)]
        self.assertLess(saturation[0], 100)
        self.assertGreater(saturation[1], 180)

    @parameterized.named_parameters(("aligned", True), ("two_folders", False))
    def test_grey_and_color_mixed(self, side_by_side):
        if side_by_side:
            self.save("train/1.png", aligned())
        else:
            self.save("trainA/1.png", picture(LEFT))
            self.save("trainB/1.png", picture(RIGHT))
        # 0.299 red + 0.587 green + 0.114 blue = 84.25 and 100.79.
        a, b = self.open(a_channels=1, b_channels=3).read(0)
        self.assertAllEqual(a, np.full((4, 6, 1), 84))
        self.assertAllEqual(b, np.full((4, 6, 3), RIGHT))
        a, b = self.open(a_channels=3, b_channels=1).read(0)
        self.assertAllEqual(a, np.full((4, 6, 3), LEFT))
        self.assertAllEqual(b, np.full((4, 6, 1), 101))

    def test_alpha_on_one_side(self):
        half_clear = Image.new("RGBA", (6, 4), (0, 0, 0, 51))  # Over white: 255 - 51.
        self.save("trainA/1.png", half_clear)
        self.save("trainB/1.png", picture())
        a, b = self.open(a_channels=4, b_channels=3).read(0)
        self.assertAllEqual(a, np.full((4, 6, 4), (0, 0, 0, 51)))
        self.assertAllEqual(b, np.full((4, 6, 3), LEFT))
        a, _ = self.open(a_channels=3, b_channels=3).read(0)
        self.assertAllEqual(a, np.full((4, 6, 3), 204))

    def test_one_16_bit_file_makes_all_16_bit(self):
        deep = np.array([[0, 1000], [65535, 257]], np.uint16)
        self.save("trainA/1.png", picture(width=2, height=2))
        self.save("trainB/1.png", picture(width=2, height=2))
        self.save("trainA/2.png", picture(width=2, height=2))
        self.save("trainB/2.png", Image.fromarray(deep))
        opened = self.open(b_channels=1)
        self.assertEqual(opened.dtype, tf.uint16)
        a, b = opened.read(1)
        self.assertEqual((a.dtype, b.dtype), (np.uint16, np.uint16))
        self.assertAllEqual(a, np.full((2, 2, 3), LEFT) * 257)
        self.assertAllEqual(b[..., 0], deep)

    @parameterized.parameters((9, 4), (8, 8), (8, 10))
    def test_refuses_a_single_image_as_a_pair(self, width, height):
        path = self.save("train/1.png", picture(width=width, height=height))
        with refused(path, width):
            self.open()

    def test_refuses_different_sizes(self):
        a = self.save("trainA/1.png", picture(width=6, height=4))
        b = self.save("trainB/1.png", picture(width=4, height=6))
        with refused(a, "6x4", b, "4x6"):
            self.open()

    @parameterized.parameters((2, 3, 2), (3, 0, 0), (7, 3, 7), (2, 5, 2))
    def test_refuses_channels_that_files_do_not_have(self, a_channels, b_channels, named):
        path = self.save("train/1.png", aligned())
        with refused(path, f"{named} were asked for", "input_channels"):
            self.open(a_channels=a_channels, b_channels=b_channels)

    @parameterized.parameters((4, 3, "A", "RGB"), (3, 4, "B", "RGB"), (4, 4, "A", "L"))
    def test_refuses_four_channels_without_alpha(self, a_channels, b_channels, side, mode):
        for name in "AB":
            self.save(f"train{name}/1.png", picture(mode=mode if name == side else "RGBA"))
        path = self.folder / f"train{side}" / "1.png"
        with refused(path, f"{len(mode)} channel(s)", "4 were", "input_channels"):
            self.open(a_channels=a_channels, b_channels=b_channels)

    def test_a_side_that_exif_alone_turns(self):
        for name, size, orientation in (("1", (6, 4), 6), ("2", (6, 4), 3), ("3", (5, 5), 6)):
            exif = Image.Exif()
            exif[0x0112] = orientation
            for side, options in (("A", dict(exif=exif)), ("B", {})):
                file = io.BytesIO()
                Image.new("RGB", size).save(file, "JPEG", **options)
                self.save(f"train{side}/{name}.jpg", file.getvalue())
        with refused("trainA/1.jpg", "4x6", "6x4", "side", "Exif", "trainA/1.jpg"):
            self.open()
        (self.folder / "trainA" / "1.jpg").write_bytes(
            (self.folder / "trainB" / "1.jpg").read_bytes()
        )
        with mock.patch.object(decoding.logging, "warning") as warning:
            self.open()
        text, *values = warning.call_args.args
        self.assertEqual(values, [2, 3, str(self.folder / "trainA" / "2.jpg")])

    def test_lists_every_wrong_file(self):
        """What reading finds is listed with what the headers say."""
        for name in "12345":
            path = self.save(f"train/{name}.png", aligned(width=40, height=30))
        path.write_bytes(path.read_bytes()[:-30])
        odd = self.save("train/2.png", picture(width=9))
        text = self.save("train/4.png", b"not a picture")
        with refused("3 of 5 pairs", odd, text, path) as caught:
            self.open()
        self.assertLen(str(caught.value).split("\n"), 4)

    @parameterized.parameters((500, 1, True), (501, 1, False), (1, 501, False))
    def test_strips_that_scaling_would_blow_up(self, width, height, is_taken):
        for side in "AB":
            self.save(f"train{side}/1.png", picture(width=width, height=height))
        if is_taken:
            self.assertEqual(self.open().names, ["1"])
        else:
            with refused(f"{width}x{height}"):
                self.open()

    def test_truncated_files_are_found_by_reading_all(self):
        truncated = ("1", "4")
        for name in "12345":
            path = self.save(f"train/{name}.jpg", aligned(width=40, height=30))
            if name in truncated:
                path.write_bytes(path.read_bytes()[:-100])
        # The headers are whole, so nothing is noticed yet.
        reader = pipeline.PairReader(TrainConfig(), self.open(), size=30)
        paths = [f"'{self.folder}/train/{name}.jpg'" for name in truncated]
        with refused("2 of 5 pairs", *paths) as caught:
            reader.read_all()
        self.assertLen(str(caught.value).split("\n"), 3)


class ScenePairsTest(tf.test.TestCase, parameterized.TestCase):
    def test_open(self):
        opened = pairs.open_pairs("demo", "val", scene_size=32)
        self.assertEqual(opened.dtype, tf.uint8)
        labels, photo = opened.read(3)
        scene = scenes.draw_scene(32, seed=0, index=int(opened.names[3].removeprefix("scene_")))
        self.assertAllEqual(labels, scene.labels)
        self.assertAllEqual(photo, scene.photo)

    def test_no_two_splits_share_a_scene(self):
        drawn = []
        with mock.patch.object(pairs.scenes, "draw_scene") as draw_scene:
            for split in ("train", "val", "test"):
                opened = pairs.open_pairs("demo", split)
                for index in range(len(opened.names)):
                    opened.read(index)
                calls = [call.kwargs for call in draw_scene.call_args_list]
                # One seed for all, so that different numbers are different scenes.
                self.assertEqual({call["seed"] for call in calls}, {0})
                drawn.append([call["index"] for call in calls])
                draw_scene.reset_mock()
        self.assertEqual([len(indexes) for indexes in drawn], [2000, 100, 100])
        self.assertLen(set(sum(drawn, [])), 2200)

    def test_refuses_an_unknown_split_and_other_channels(self):
        with refused("'trian'", "train, val, test", kind=MissingInputError):
            pairs.open_pairs("demo", "trian")
        for settings in (dict(a_channels=1), dict(b_range=(0, 1))):
            with refused("3 channels"):
                pairs.open_pairs("demo", "train", **settings)
