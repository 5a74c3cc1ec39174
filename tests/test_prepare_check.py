"""Tests of `pix2pix_tf.prepare.check`."""

from __future__ import annotations

import importlib.util
import json
import os
import unittest
from unittest import mock

import data_folder
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image
from preparing import files_below, photo, prepare, save

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import arrays, images, layouts, pairs, readers, stores
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import check


def aligned(seed: int, **size: int) -> np.ndarray:
    """Returns two pictures side by side."""
    return np.concatenate([photo(seed=seed, **size), photo(seed=seed + 1000, **size)], axis=1)


class CheckTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input = self.folder / "in"

    def check(self, *flags: str) -> tuple[int, dict[str, str], dict]:
        """Returns the exit status, the problems by file, and the report."""
        result = prepare("check", self.folder, *flags)
        report = json.loads((self.folder / "out" / "check.json").read_text())
        wrong = {entry["file"]: entry["problem"] for entry in report["wrong"]}
        self.assertLen(wrong, len(report["wrong"]))
        listed = [f"error: {name}: {problem}" for name, problem in wrong.items()]
        count = [f"{len(wrong)} could not be used."] if wrong else []
        self.assertEqual(result.stderr.splitlines(), [*listed, *count])
        return result.exit_code, wrong, report

    def test_nothing_wrong(self):
        for number in range(3):
            save(self.input / "train" / f"{number}.png", aligned(number, width=20 + number))
        save(self.input / "test" / "0.png", aligned(7))
        (self.input / "README.txt").write_text("")
        status, wrong, report = self.check()
        self.assertEqual((status, wrong), (0, {}))
        self.assertEqual(report["checked"], 4)
        self.assertEqual(
            report["splits"],
            dict(
                train=dict(readable=3, smallest=[20, 16], largest=[22, 16], bits=[8]),
                test=dict(readable=1, smallest=[24, 16], largest=[24, 16], bits=[8]),
            ),
        )

    def test_the_table(self):
        save(self.input / "val" / "0.png", aligned(7))
        result = prepare("check", self.folder)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "          readable      smallest       largest    bits",
                "val              1         24x16         24x16       8",
                f"Read 1 pair. Nothing is wrong. See '{self.folder / 'out' / 'check.json'}'.",
            ],
        )

    def test_an_output_that_cannot_be_made_is_refused_before_anything_is_read(self):
        save(self.input / "val" / "0.png", aligned(7))
        (self.folder / "file").write_text("")
        with mock.patch.object(check.work, "run_on_all", side_effect=AssertionError):
            result = prepare("check", self.folder, f"--output={self.folder / 'file'}")
        self.assertEqual(
            (result.exit_code, result.stderr),
            (
                2,
                f"error: '{self.folder / 'file'}' cannot be made: a file is in its place. Name "
                "another folder.\n",
            ),
        )

    def test_without_input_no_output_is_made(self):
        self.assertEqual(prepare("check", self.folder).exit_code, 2)
        self.assertFalse((self.folder / "out").exists())

    def test_without_output_nothing_is_written(self):
        save(self.input / "val" / "0.png", aligned(7))
        result = prepare("check", self.folder, "--output=")
        self.assertEqual(result.exit_code, 0)
        self.assertEndsWith(result.stdout, "Read 1 pair. Nothing is wrong.\n")
        self.assertEqual(files_below(self.folder), ["in/val/0.png"])

    def test_all_that_is_wrong_with_side_by_side_pairs(self):
        train = self.input / "train"
        save(train / "good.png", aligned(0))
        save(train / "odd.png", photo(width=25))
        save(train / "narrow.png", photo(width=16, height=16))
        whole = save(train / "torn.png", aligned(1)).read_bytes()
        (train / "torn.png").write_bytes(whole[:-60])
        (train / "void.jpg").write_bytes(b"")
        (train / "loop.png").symlink_to(train / "loop.png")
        os.mkfifo(train / "pipe.png")
        save(self.input / "test" / "other.png", aligned(0))
        Image.fromarray(aligned(2)).save(train / "missed.webp")
        status, wrong, report = self.check()
        self.assertEqual(status, 1)
        starts = {
            "test/other.png": "is the same as 'train/good.png': what is measured must not",
            "train/loop.png": "is no file, or a link to none.",
            "train/missed.webp": "is of a kind that is not read.",
            "train/narrow.png": "is 16x16 pixels, too narrow",
            "train/odd.png": "is 25 pixels wide, which is odd.",
            "train/pipe.png": "is no file, or a link to none.",
            "train/torn.png": "cannot be decoded: it is truncated",
            "train/void.jpg": "cannot be read as an image",
        }
        self.assertEqual(wrong.keys(), starts.keys())
        for name, start in starts.items():
            self.assertStartsWith(wrong[name], start)
        self.assertEqual(
            {x: y["readable"] for x, y in report["splits"].items()}, dict(train=1, test=1)
        )

    @parameterized.parameters(".webp", ".gif", ".ppm", ".HEIC", ".jxl")
    def test_pictures_of_other_kinds(self, suffix):
        """Training refuses the split over one; it is named once, and the rest is read."""
        train = self.input / "train"
        save(train / "good.png", aligned(0))
        (train / f"other{suffix}").write_bytes(b"some")
        save(self.input / "val" / "A" / "1.png", photo(seed=1))
        save(self.input / "val" / "B" / "1.png", photo(seed=2))
        (self.input / "val" / "B" / f"2{suffix}").write_bytes(b"some")
        # Where training does not look.
        save(self.input / "notes" / "1.png", photo())
        (self.input / "notes" / f"1{suffix}").write_bytes(b"some")
        status, wrong, report = self.check()
        problem = "is of a kind that is not read. Convert it to PNG, or take it out."
        self.assertEqual(wrong, {f"train/other{suffix}": problem, f"val/B/2{suffix}": problem})
        self.assertEqual((status, report["checked"]), (1, 2))
        for split in ("train", "val"):
            with self.assertRaisesRegex(InputError, "1 pictures of a kind that is not read"):
                layouts.find_pairs(self.input, split)

    def test_other_kinds_among_single_images(self):
        save(self.input / "sea" / "1.png", photo())
        (self.input / "sea" / "2.webp").write_bytes(b"some")
        _, wrong, _ = self.check()
        problem = "is of a kind that is not read. Convert it to PNG, or take it out."
        self.assertEqual(wrong, {"sea/2.webp": problem})

    def test_one_thing_is_wrong(self):
        save(self.input / "val" / "odd.png", photo(width=25))
        self.assertIn("1 thing is wrong.", prepare("check", self.folder).stdout)

    def agrees_with_training(self, flags: list[str], **settings) -> dict[str, str]:
        """Returns what is wrong, having asserted that training refuses that and nothing else."""
        _, wrong, _ = self.check(*flags)
        config = TrainConfig(dataset=str(self.input), **settings)
        try:
            readers.open_reader(config, "train", size=config.load_size).read_all()
        except InputError as error:
            refused = str(error)
        else:
            refused = ""
        for path in (self.input / "train").rglob("*.*"):
            name = path.relative_to(self.input).as_posix()
            if "/B/" not in name:  # A pair goes by A.
                self.assertEqual(name in wrong, f"'{path}'" in refused, msg=(name, wrong, refused))
        return wrong

    @unittest.skipUnless(importlib.util.find_spec("tifffile"), "tifffile is not installed")
    def test_values_in_a_range(self):
        random = np.random.default_rng(0)
        for name, high in (("1", 1.0), ("2", 1.0), ("beyond", 99.0)):
            for side, suffix in (("A", ".tif"), ("B", ".png")):
                path = self.input / "train" / side / f"{name}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                values = random.uniform(0, high, [16, 24, 5]).astype(np.float32)
                if side == "A":
                    path.write_bytes(arrays.encode(values, suffix))
                else:
                    save(path, photo(seed=len(name)))
        settings = dict(input_channels=5, crop_size=32)
        flags = ["--a_channels=5", "--load_size=36"]
        wrong = self.agrees_with_training(
            [*flags, "--a_range=0,1", "--b_range=0,255"],
            **dict(settings, input_range="0,1", output_range="0,255"),
        )
        self.assertEqual(list(wrong), ["train/A/beyond.tif"])
        self.assertIn("of its values beyond the stated range 0,1", wrong["train/A/beyond.tif"])
        self.assertLen(self.agrees_with_training(flags, **settings), 3)

    @parameterized.parameters(32, 64)
    def test_a_thin_strip(self, crop_size):
        """Which is refused by the size that it would be scaled to."""
        save(self.input / "train" / "good.png", aligned(0))
        strip = np.random.default_rng(0).integers(0, 256, [1, 2 * 15_000, 3], np.uint8)
        save(self.input / "train" / "strip.png", strip)
        config = TrainConfig(crop_size=crop_size)
        wrong = self.agrees_with_training([f"--load_size={config.load_size}"], crop_size=crop_size)
        self.assertEqual(list(wrong), ["train/strip.png"] if crop_size == 64 else [])

    def test_a_thin_strip_for_the_default_training(self):
        save(self.input / "train" / "strip.png", np.zeros([1, 2000, 3], np.uint8))
        wrong = self.agrees_with_training([])
        self.assertEqual(list(wrong), ["train/strip.png"])

    @parameterized.parameters(
        (("--a_range=1,0",), "a_range is '1,0'. Give the lowest and the highest value with a"),
        (("--color_space=lab", "--b_channels=1"), "--b_channels is not for --color_space=lab"),
        (("--color_space=lab", "--a_range=0,1"), "--a_range is not for --color_space=lab"),
    )
    def test_flags_that_make_no_sense(self, given, start):
        save(self.input / "train" / "1.png", aligned(0))
        result = prepare("check", self.folder, *given)
        self.assertEqual(result.exit_code, 2)
        self.assertStartsWith(result.stderr, f"error: {start}")

    def test_photos_for_colorization(self):
        train = self.input / "train"
        save(train / "odd.png", photo(width=25))
        save(train / "upright.jpg", photo(width=10, height=30, seed=1))
        save(train / "pair.png", aligned(2))
        save(train / "grey.png", photo(seed=3)[..., 0])
        save(train / "grey_as_rgb.png", np.repeat(photo(seed=4)[..., :1], 3, axis=-1))
        whole = save(train / "torn.png", photo(seed=5)).read_bytes()
        (train / "torn.png").write_bytes(whole[:-60])
        wrong = self.agrees_with_training(
            ["--color_space=lab", "--load_size=36"], color_space="lab", crop_size=32
        )
        grey = "is grey, so no colours can be learnt from it. Take it out."
        self.assertEqual(wrong.keys(), {f"train/{x}.png" for x in ("grey", "grey_as_rgb", "torn")})
        self.assertEqual((wrong["train/grey.png"], wrong["train/grey_as_rgb.png"]), (grey, grey))
        result = prepare("check", self.folder, "--color_space=lab", "--load_size=36")
        self.assertIn("Read 6 images. 3 things are wrong.", result.stdout)

    @parameterized.parameters(False, True)
    def test_colour_profiles_are_said_once(self, as_records):
        for number in range(3):
            for side in "AB":
                pixels = photo(seed=10 * number + (side == "A"))
                path = self.input / "train" / side / f"{number}.png"
                save(path, pixels, icc_profile=b"Display P3" if number else b"sRGB")
        folder = self.input
        if as_records:
            folder = self.folder / "records"
            result = prepare("tfrecord", self.folder, f"--output={folder}")
            self.assertEqual(result.exit_code, 0, result)
        with mock.patch.object(images.logging, "warning") as warning:
            result = prepare("check", self.folder, f"--input={folder}")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(warning.call_count, 1)
        self.assertEqual(warning.call_args.args[1:3], (4, 6))
        with mock.patch.object(images.logging, "warning") as warning:
            pairs.open_pairs(str(folder), "train")
        self.assertEqual(warning.call_count, 1)

    def test_names_that_are_not_clear(self):
        """Training refuses the whole split; the rest of it is read all the same."""
        train = self.input / "train"
        save(train / "1.png", aligned(0))
        save(train / "1.bmp", aligned(1))
        (train / "2.png").write_bytes(b"no")
        status, wrong, report = self.check()
        self.assertEqual((status, wrong.keys()), (1, {"train/1.png", "train/2.png"}))
        self.assertStartsWith(wrong["train/1.png"], "has the same name as 'train/1.bmp' but for")
        self.assertEqual(report["splits"]["train"]["readable"], 1)

    @parameterized.parameters(("train/A", "train/B"), ("A/train", "B/train"), ("trainA", "trainB"))
    def test_all_that_is_wrong_with_two_folders(self, a, b):
        for number in range(14):  # More than training lists.
            save(self.input / a / f"{number}.png", photo(seed=number))
        save(self.input / b / "0.bmp", photo(seed=50))
        save(self.input / b / "1.png", photo(width=30))
        save(self.input / b / "lonely.png", photo())
        save(self.input / b / "below" / "unseen.png", photo())  # Training does not look there.
        status, wrong, report = self.check()
        self.assertEqual(status, 1)
        alone = {f"{a}/{number}.png" for number in range(2, 14)}
        self.assertEqual(wrong.keys(), alone | {f"{a}/1.png", f"{b}/lonely.png"})
        self.assertEqual(
            wrong[f"{b}/lonely.png"],
            f"has no partner in '{self.input / a}'. Add it, or take this out.",
        )
        self.assertIn("is 24x16 pixels and its partner", wrong[f"{a}/1.png"])
        self.assertEqual(report["splits"]["train"]["readable"], 1)

    def test_a_folder_without_its_partner(self):
        save(self.input / "train" / "A" / "1.png", photo())
        save(self.input / "val" / "1.png", aligned(0))
        status, wrong, _ = self.check()
        self.assertEqual((status, wrong.keys()), (1, {"train"}))
        self.assertStartsWith(wrong["train"], f"There is '{self.input / 'train' / 'A'}' but no ")

    def test_an_empty_split(self):
        (self.input / "train").mkdir(parents=True)
        status, wrong, _ = self.check()
        self.assertEqual(status, 1)
        self.assertStartsWith(wrong["train"], f"'{self.input / 'train'}' holds no images")

    def test_what_training_refuses_is_wrong_and_nothing_else(self):
        """The two read with the same code, so they agree on every file."""
        random = np.random.default_rng(0)
        whole = images.encode_image(tf.constant(aligned(0)), ".png")
        jpeg = images.encode_image(tf.constant(aligned(1)), ".jpg")
        train = self.input / "train"
        train.mkdir(parents=True)
        for number in range(40):
            contents, suffix = ((whole, "png"), (jpeg, "jpg"))[number % 2]
            damaged = bytearray(contents)
            for place in random.integers(0, len(damaged), 1 + number // 10):
                damaged[place] ^= 1 << random.integers(8)
            (train / f"{number}.{suffix}").write_bytes(damaged)
        _, wrong, _ = self.check()
        refused = set()
        for pair in layouts.find_pairs(self.input, "train"):
            try:
                stores.EncodedPairs(
                    stores.FileStore([pair]), pairs.PairDecoder(a_channels=3, b_channels=3)
                ).read(0)
            except InputError:
                refused.add(f"train/{pair.a.name}")
        self.assertEqual(wrong.keys(), refused)
        self.assertBetween(len(refused), 5, 35)

    def test_channels_are_those_of_the_training(self):
        save(self.input / "train" / "1.png", aligned(0))
        _, wrong, _ = self.check("--a_channels=4")
        self.assertIn("no alpha, but 4 channels", wrong["train/1.png"])
        status, _, _ = self.check("--a_channels=1")
        self.assertEqual(status, 0)

    def test_flags_that_are_named_are_its_own(self):
        """Those of training, whose code finds what is wrong, have other names."""
        train = self.input / "train"
        for side in "AB":
            (train / side).mkdir(parents=True)
            np.save(train / side / "float.npy", np.zeros([8, 8, 3], np.float32))
            np.save(train / side / "twelve.npy", np.zeros([8, 8, 12], np.uint8))
            save(train / side / "photo.png", photo())
        _, wrong, _ = self.check()
        _, wrong_of_five, _ = self.check("--a_channels=5")
        self.assertEqual(wrong.keys(), {"train/A/float.npy", "train/A/twelve.npy"})
        self.assertIn("range with --a_range or --b_range, such", wrong["train/A/float.npy"])
        self.assertIn("set --a_channels or --b_channels to", wrong["train/A/twelve.npy"])
        self.assertIn("set --a_channels and --b_channels to", wrong_of_five["train/A/photo.png"])
        for problem in (*wrong.values(), *wrong_of_five.values()):
            self.assertNotRegex(problem, "(input|output)_(channels|range)")

    def test_single_images(self):
        save(self.input / "sea" / "1.png", photo())
        save(self.input / "2.png", photo(seed=1).astype(np.uint16)[..., 0])
        (self.input / "bad.png").write_bytes(b"no")
        status, wrong, report = self.check()
        self.assertEqual((status, wrong.keys()), (1, {"bad.png"}))
        self.assertEqual(report["checked"], 3)
        self.assertEqual(
            report["splits"],
            dict(images=dict(readable=2, smallest=[24, 16], largest=[24, 16], bits=[8, 16])),
        )

    def test_no_folder(self):
        result = prepare("check", self.folder)
        self.assertEqual(result.exit_code, 2)
        self.assertEqual(
            result.stderr, f"error: There is no folder '{self.input}'. Pass a folder of images.\n"
        )

    def test_a_folder_by_the_name_of_a_published_set_is_that_folder(self):
        save(self.folder / "facades" / "train" / "1.png", aligned(0))
        here = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, here)
        with mock.patch.object(pairs.registry, "download", side_effect=AssertionError):
            result = prepare("check", self.folder, "--input=facades")
        self.assertEqual(result.exit_code, 0, result)

    def test_real_pairs(self):
        folder = data_folder.require("facades", "val")
        self.input.mkdir()
        (self.input / "val").symlink_to(folder)
        self.assertEqual(self.check()[0], 0)
