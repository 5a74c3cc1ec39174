"""Tests of `pix2pix_tf.prepare.check`."""

from __future__ import annotations

import json
import os
from unittest import mock

import numpy as np
from absl.testing import parameterized
from preparing import TaskTest, aligned, files_below, photo, save

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images, pipeline
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
        self.assert_done(result, "val", "1", "24x16", "24x16", "8")
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
        status, wrong, report = self.check()
        self.assertEqual(status, 1)
        self.assertIn("'train/good.png'", wrong.pop("test/other.png"))
        self.assert_wrong(
            wrong,
            loop="read",
            narrow="16x16",
            odd="25",
            pipe="file",
            torn="truncated",
            void="read",
        )
        self.assertEqual(
            {x: y["readable"] for x, y in report["splits"].items()}, dict(train=1, test=1)
        )

    def test_splits_that_training_refuses_for_their_names(self):
        """Each is named once, and the others are read."""
        save(self.input / "train" / "good.png", aligned(0))
        (self.input / "train" / "other.heic").write_bytes(b"some")
        save(self.input / "val" / "A" / "1.png", photo())
        (self.input / "test").mkdir()
        save(self.input / "testA" / "1.png", photo(seed=1))
        save(self.input / "testB" / "1.bmp", photo(seed=2))
        status, wrong, report = self.check()
        self.assertEqual((status, wrong.keys(), report["checked"]), (1, {"train", "val"}, 1))
        self.assertIn("other.heic", wrong["train"])
        self.assertIn(f"'{self.input / 'val' / 'B'}'", wrong["val"])

    def test_what_has_no_splits(self):
        self.save("1.png")
        self.assert_refused(self.run_task(), self.input, "train")

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

    def test_values_in_a_range(self):
        random = np.random.default_rng(0)
        (self.input / "train" / "A").mkdir(parents=True)
        for name, high in (("1", 1.0), ("2", 1.0), ("beyond", 99.0)):
            values = random.uniform(0, high, [16, 24, 5]).astype(np.float32)
            np.save(self.input / "train" / "A" / f"{name}.npy", values)
            save(self.input / "train" / "B" / f"{name}.png", photo(seed=len(name)))
        settings = dict(input_channels=5, crop_size=32)
        flags = ["--a_channels=5"]
        wrong = self.agrees_with_training(
            [*flags, "--a_range=0,1", "--b_range=0,255"],
            **dict(settings, input_range="0,1", output_range="0,255"),
        )
        self.assert_wrong(wrong, **{"A/beyond": "0,1"})
        self.assertLen(self.agrees_with_training(flags, **settings), 3)

    def test_values_without_a_range_are_told_the_flag_of_this_task(self):
        for side in "AB":
            (self.input / f"train{side}").mkdir(parents=True)
            np.save(self.input / f"train{side}" / "1.npy", np.ones((9, 9, 3), "f4"))
        _, wrong, _ = self.check()
        self.assertIn("--a_range", wrong["trainA/1.npy"])

    def test_values_that_can_hardly_be_meant(self):
        for number in range(4):
            save(self.input / "train" / "A" / f"{number}.png", photo(seed=number))
            save(self.input / "train" / "B" / f"{number}.png", photo(seed=number)[..., 0] % 5)
        status, wrong, report = self.check()
        self.assertEqual((status, wrong), (0, {}))
        (word,) = report["words"]
        self.assertStartsWith(word, "B: no value exceeds 4 of 255")
        self.assertEqual(report["sides"]["B"]["few_values"], [0, 1, 2, 3, 4])
        self.assertEqual(report["sides"]["A"]["largest"], [24, 16])
        heights = photo().astype(np.float32)
        heights[:5] = -9999  # Which scaling clips.
        (self.input / "train" / "A" / "0.png").unlink()
        np.save(self.input / "train" / "A" / "0.npy", heights)
        (word,) = self.check("--a_range=0,255", "--b_range=0,4")[2]["words"]
        self.assertStartsWith(word, "A: the value -9999, in 'train/A/0.npy'")

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
        flags = ["--color_space=lab"]
        wrong = self.agrees_with_training(flags, color_space="lab", crop_size=32)
        self.assert_wrong(wrong, grey="grey", grey_as_rgb="grey", torn="truncated")
        result = self.run_task(*flags)
        self.assert_shown(("3 things",), result.stdout)

    def test_colour_profiles_are_said_once(self):
        for number in range(3):
            for side in "AB":
                pixels = photo(seed=10 * number + (side == "A"))
                path = self.input / "train" / side / f"{number}.png"
                save(path, pixels, icc_profile=b"Display P3" if number else b"sRGB")
        with mock.patch.object(images.logging, "warning") as warning:
            self.assert_done(self.run_task())
        self.assertEqual([call.args[1:3] for call in warning.call_args_list], [(4, 6)])
