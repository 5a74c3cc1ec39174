"""Tests of `pix2pix_tf.prepare.check`."""

from __future__ import annotations

import importlib.util
import json
import os
import unittest
from unittest import mock

import numpy as np
from absl.testing import parameterized
from PIL import Image
from preparing import TaskTest, aligned, files_below, photo, prepare, save
from refusals import refused

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import arrays, images, layouts, pairs, pipeline
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import check


class CheckTest(TaskTest):
    task = "check"

    def check(self, *flags: str) -> tuple[int, dict[str, str], dict]:
        """Returns the exit status, the problems by file, and the report."""
        result = self.run_task(*flags)
        report = json.loads((self.output / "check.json").read_text())
        wrong = {entry["file"]: entry["problem"] for entry in report["wrong"]}
        self.assertLen(wrong, len(report["wrong"]))
        listed = [f"error: {name}: {problem}" for name, problem in wrong.items()]
        self.assertEqual(result.stderr.splitlines()[: len(listed)], listed)
        self.assertEqual(result.stderr.count("\n"), len(listed) + bool(listed))
        return result.exit_code, wrong, report

    def assert_wrong(self, wrong: dict[str, str], **shown: str) -> None:
        """Expects exactly these files of the split train, and what is said of each."""
        expected = {f"train/{name}": part for name, part in shown.items()}
        self.assertEqual({name.partition(".")[0] for name in wrong}, expected.keys())
        for name, problem in wrong.items():
            self.assertIn(expected[name.partition(".")[0]], problem)

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

    def test_what_is_refused_before_anything_is_read(self):
        self.assert_refused(self.run_task(), self.input)
        self.assertFalse(self.output.exists())
        save(self.input / "val" / "0.png", aligned(7))
        (self.folder / "file").write_text("")
        with mock.patch.object(check.work, "run_on_all", side_effect=AssertionError):
            result = self.run_task(f"--output={self.folder / 'file'}")
        self.assert_refused(result, self.folder / "file")

    def test_without_output_nothing_is_written(self):
        save(self.input / "val" / "0.png", aligned(7))
        result = self.run_task("--output=")
        self.assert_done(result, "val", "1", "24x16", "24x16", "8", "1 pair")
        self.assertNotIn("check.json", result.stdout)
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
        self.assertIn("'train/good.png'", wrong.pop("test/other.png"))
        self.assert_wrong(
            wrong,
            loop="no file",
            missed="kind",
            narrow="16x16",
            odd="25",
            pipe="no file",
            torn="truncated",
            void="read",
        )
        self.assertEqual(
            {x: y["readable"] for x, y in report["splits"].items()}, dict(train=1, test=1)
        )

    @parameterized.parameters(".webp", ".HEIC")
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
        names = ("train/other", "val/B/2")
        self.assertEqual(sorted(wrong), [f"{name}{suffix}" for name in names])
        for problem in wrong.values():
            self.assertIn("kind", problem)
        self.assertEqual((status, report["checked"]), (1, 2))
        for split in ("train", "val"):
            with refused("1 pictures", suffix):
                layouts.find_pairs(self.input, split)

    def agrees_with_training(self, flags: list[str], **settings) -> dict[str, str]:
        """Returns what is wrong, having asserted that training refuses that and nothing else."""
        _, wrong, _ = self.check(*flags)
        config = TrainConfig(dataset=str(self.input), **settings)
        try:
            pipeline.open_reader(config, "train", size=config.load_size).read_all()
        except InputError as error:
            message = str(error)
        else:
            message = ""
        for path in (self.input / "train").rglob("*.*"):
            name = path.relative_to(self.input).as_posix()
            if "/B/" not in name:  # A pair goes by A.
                self.assertEqual(name in wrong, f"'{path}'" in message, msg=(name, wrong, message))
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
        self.assert_wrong(wrong, **{"A/beyond": "0,1"})
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
        # Of the default training's size.
        self.assertEqual(list(self.agrees_with_training([])), ["train/strip.png"])

    @parameterized.parameters(
        (("--a_range=1,0",), "a_range is '1,0'"),
        (("--color_space=lab", "--b_channels=1"), "--b_channels"),
        (("--color_space=lab", "--a_range=0,1"), "--a_range"),
    )
    def test_flags_that_make_no_sense(self, given, shown):
        save(self.input / "train" / "1.png", aligned(0))
        self.assert_refused(self.run_task(*given), shown)

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
        self.assert_wrong(wrong, grey="grey", grey_as_rgb="grey", torn="truncated")
        result = self.run_task("--color_space=lab", "--load_size=36")
        self.assert_shown(("6 images", "3 things"), result.stdout)

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
            self.assert_done(prepare("records", self.folder, f"--output={folder}"))
        with mock.patch.object(images.logging, "warning") as warning:
            result = self.run_task(f"--input={folder}")
        self.assert_done(result)
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
        self.assertEqual(status, 1)
        self.assert_wrong(wrong, **{"1": "'train/1.bmp'", "2": "read"})
        self.assertEqual(report["splits"]["train"]["readable"], 1)

    @parameterized.parameters(("train/A", "train/B"), ("A/train", "B/train"))
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
        self.assertIn(f"'{self.input / a}'", wrong[f"{b}/lonely.png"])
        self.assertRegex(wrong[f"{a}/1.png"], "24x16.*30x16")
        self.assertEqual(report["splits"]["train"]["readable"], 1)

    def test_a_folder_without_its_partner_and_an_empty_split(self):
        save(self.input / "train" / "A" / "1.png", photo())
        save(self.input / "val" / "1.png", aligned(0))
        (self.input / "test").mkdir()
        status, wrong, _ = self.check()
        self.assertEqual((status, wrong.keys()), (1, {"test", "train/A/1.png", "train/B"}))
        self.assertIn("no images", wrong["test"])
        self.assertIn(f"'{self.input / 'train' / 'B'}'", wrong["train/A/1.png"])

    def test_channels_are_those_of_the_training(self):
        save(self.input / "train" / "1.png", aligned(0))
        _, wrong, _ = self.check("--a_channels=4")
        self.assert_wrong(wrong, **{"1": "no alpha"})
        self.assertEqual(self.check("--a_channels=1")[0], 0)

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
        self.assertIn("--a_range", wrong["train/A/float.npy"])
        self.assertIn("--a_channels", wrong["train/A/twelve.npy"])
        self.assertIn("--a_channels", wrong_of_five["train/A/photo.png"])
        for problem in (*wrong.values(), *wrong_of_five.values()):
            self.assertNotRegex(problem, "(input|output)_(channels|range)")

    def test_single_images(self):
        save(self.input / "sea" / "1.png", photo())
        save(self.input / "2.png", photo(seed=1).astype(np.uint16)[..., 0])
        (self.input / "sea" / "2.webp").write_bytes(b"some")
        (self.input / "bad.png").write_bytes(b"no")
        status, wrong, report = self.check()
        self.assertEqual((status, wrong.keys()), (1, {"bad.png", "sea/2.webp"}))
        self.assertEqual(report["checked"], 3)
        self.assertEqual(
            report["splits"],
            dict(images=dict(readable=2, smallest=[24, 16], largest=[24, 16], bits=[8, 16])),
        )
