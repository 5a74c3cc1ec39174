"""Tests of `pix2pix_tf.data.nearby`; what it says to do is done."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import shutil
import subprocess

import command_line
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf.data import layouts, nearby
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.prepare import __main__ as prepare

_COMMAND = re.compile(r"pix2pix prepare (.*?)(?= makes| divides)")
_MOVES = re.compile(r"Rename: (.*)")
_PARTED = re.compile(r"of a pair: (.*)")
_LOOP = re.compile(r"makes them: (.*)")


class _FolderTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self) / "my data"
        self.folder.mkdir()

    def save(self, *names: str, size=(12, 4)) -> None:
        for number, name in enumerate(names):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = (37 * number % 256, 91 * number % 256, 5)
            Image.new("RGB", size, shade).save(path)

    def message(self, given: str = "", split: str = "train") -> str:
        with self.assertRaises(MissingInputError) as caught:
            layouts.find_pairs(self.folder / given, split)
        self.assertLen(str(caught.exception).splitlines(), 1)
        return str(caught.exception)

    def do(self, message: str) -> None:
        """Does what a message says."""
        for moves in (x for each in (_MOVES, _LOOP, _PARTED) for x in each.findall(message)):
            subprocess.run(["bash", "-c", moves], check=True)
        for text in _COMMAND.findall(message):
            result = command_line.run(prepare, *shlex.split(text), takes_arguments=True)
            self.assertEqual((result.exit_code, result.stderr), (0, ""), text)

    def names(self, ending: str = "", split: str = "train") -> list[str]:
        folder = self.folder.with_name(self.folder.name + ending)
        return [pair.name for pair in layouts.find_pairs(folder, split)]


class DescribeTest(_FolderTest):
    @parameterized.named_parameters(
        ("underscores", ("train_A/1.png", "train_B/1.png", "val/2.png"), "'train_A', 'train_B'"),
        ("a_capital", ("Train/1.png", "Validation/2.png"), "'Train', 'Validation'"),
    )
    def test_other_spellings_are_renamed(self, names, shown):
        self.save(*names)
        message = self.message()
        self.assertIn(shown, message)
        self.do(message)
        self.assertEqual(self.names(), ["1"])
        self.assertEqual(self.names(split="val"), ["2"])

    def test_names_that_are_taken_are_not_given_again(self):
        self.save("Train/1.png", "training/1.png")
        self.assertNotIn("mv ", self.message())

    @parameterized.named_parameters(
        ("in_a_split", ("train/images/1.png", "train/masks/1.png"), "_pairs"),
        ("above_splits", ("images/train/1.png", "labels/train/1.png"), "_pairs"),
        ("two_folders", ("photos/1.png", "sketches/1.png"), "_split"),
        ("a_and_b", ("A/1.png", "B/1.png"), "_split"),
        ("no_folders", ("1.png",), "_split"),
    )
    def test_the_command_that_makes_pairs(self, names, ending):
        self.save(*names)
        self.do(self.message())
        self.assertEqual(self.names(ending), ["1"])

    def test_all_splits_of_two_folders_are_joined_at_once(self):
        self.save(
            "images/train/1.png", "images/val/2.png", "labels/train/1.png", "labels/val/2.png"
        )
        self.do(self.message())
        self.assertEqual(self.names("_pairs", "val"), ["2"])

    def test_scenes_below_the_splits_of_two_folders(self):
        self.save("labels/train/sea/1.png", "photos/train/sea/1.png")
        self.do(self.message())
        self.assertEqual(self.names("_split"), ["train_sea_1"])

    def test_two_data_sets_are_no_sides(self):
        self.save(*(f"{x}/train/{y}/1.png" for x in ("day", "night") for y in "AB"))
        self.assertIn("--dataset=", self.message())

    def test_more_than_two_folders_are_listed(self):
        self.save("train/depth/1.png", "train/photos/1.png", "train/masks/1.png")
        message = self.message()
        for name in ("depth", "masks", "photos"):
            self.assertIn(f"'{self.folder}/train/{name}'", message)

    @parameterized.parameters("set/train/1.png", "set/set/train/1.png", "set/trainA/1.png")
    def test_a_data_set_further_down(self, name):
        self.save(name)
        place = (self.folder / name).parent.parent
        self.assertIn(f"--dataset={shlex.quote(str(place))}", self.message())

    @parameterized.parameters("train", "trainA", "A/train")
    def test_a_data_set_further_up(self, given):
        self.save(f"{given}/1.png")
        self.assertIn(f"--dataset={shlex.quote(str(self.folder))}", self.message(given))

    def test_a_folder_beside_a_split_is_no_part_of_it(self):
        self.save("train/1.png", "photos/2.png")
        message = self.message("photos")
        self.assertNotIn("--dataset=", message)
        self.assertIn("1 picture lies", message)

    def test_an_archive_is_to_be_unpacked(self):
        (self.folder / "data.zip").touch()
        self.assertIn("is a file, not a folder", self.message("data.zip"))

    def test_relative_names_stay_so(self):
        self.save("train/1.png")
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)
        with self.assertRaisesRegex(MissingInputError, "--dataset=[.]$"):
            layouts.find_pairs(pathlib.Path("train"), "train")
        shutil.rmtree("train")
        self.save("1.png")
        with self.assertRaisesRegex(MissingInputError, re.escape(f"'{self.folder}_split'")):
            layouts.find_pairs(pathlib.Path("."), "train")

    def test_backslashes_in_names(self):
        self.save(
            "train\\A\\1.png", "train\\B\\1.png", "train\\A\\it's 2.png", "train\\B\\it's 2.png"
        )
        self.do(self.message())
        self.assertEqual(self.names(), ["1", "it's 2"])

    def test_pictures_one_folder_down_without_splits(self):
        self.save("base/1.jpg", "base/1.png")
        message = self.message()
        self.assertIn("split --input=", message)
        self.assertIn("base'/A ", message)

    def test_of_many_folders_those_that_begin_like_the_split(self):
        self.save("test_in/3.png", "train_in/1.png", "train_out/1.png")
        self.do(self.message())
        self.assertEqual(self.names("_pairs"), ["1"])

    def test_else_it_says_what_is_there(self):
        self.save("scans/one/two/1.png")
        (self.folder / "notes.txt").touch()
        (self.folder / ".DS_Store").touch()
        self.assertIn(f"'{self.folder}' holds 'notes.txt', 'scans'. ", self.message())

    @parameterized.named_parameters(
        ("suffixes", "1.jpg", "1.png"),
        ("an_ending", "1.png", "1_mask.png"),
        ("two_endings", "1_A.jpg", "1_B.jpg"),
    )
    def test_two_sides_in_one_folder_without_splits(self, *names):
        self.save(*names, *(name.replace("1", "2") for name in names))
        message = self.message()
        (moves,) = _PARTED.findall(message)
        self.do(f"of a pair: {moves}")
        self.assertEqual(
            sorted(x.relative_to(self.folder).as_posix() for x in self.folder.rglob("*.*")),
            [f"{side}/{x.replace('1', n)}" for side, x in zip("AB", names) for n in "12"],
        )

    def test_two_sides_in_the_folder_of_a_split(self):
        self.save("train/1.jpg", "train/1.png", "train/2.jpg", "train/2.png")
        with self.assertRaisesRegex(InputError, "A and B of a pair") as caught:
            layouts.find_pairs(self.folder, "train")
        self.do(str(caught.exception))
        self.assertEqual(self.names(), ["1", "2"])

    def test_two_sides_by_an_ending_in_the_folder_of_a_split(self):
        """Of which each could be a pair A|B, and is read as one."""
        self.save("train/1_left.png", "train/1_right.png", "train/2_left.png", "train/2_right.png")
        with self.assertLogs("absl", "WARNING") as logged:
            self.assertLen(self.names(), 4)
        self.do(logged.records[0].getMessage())
        self.do(self.message())  # What the names of the two folders differ by.
        self.assertEqual(self.names("_pairs"), ["1_left", "2_left"])

    @parameterized.parameters(("1.png", "2.png", "3_A.png"), ("1.jpg", "1.png", "2.jpg"))
    def test_what_has_no_partner_is_not_two_sides(self, *names):
        self.save(*names)
        self.assertEqual(nearby.sides_in_one(self.folder), "")

    def test_another_split_keeps_the_folder_from_being_taken_for_another(self):
        self.save("train/1.png", "extra/1.png", "more/1.png")
        message = self.message(split="val")
        self.assertIn("Splits found: train.", message)
        self.assertNotIn("prepare", message)


class DifferencesOfNamesTest(_FolderTest):
    @parameterized.named_parameters(
        ("zeros", "{}", "{:04}", "leading zeros"),
        ("ending", "{}", "{}_mask", "ending '_mask'"),
        ("two_endings", "{}_A", "{}_B", "ending '_A' and the names of B have the ending '_B'"),
        ("digits_in_an_ending", "{}", "{}_v2", "'_v2'"),
        ("a_dot", "{}", "{}.seg", "'.seg'"),
        ("no_separator", "{}", "{}gt", "'gt'"),
        ("beginnings", "img{}", "gt{}", "beginning 'img' and"),
        ("beginning_and_zeros", "img_{}", "mask_{:05}", "zeros, and the names of A"),
        ("ending_and_zeros", "{}", "{:03}_mask", "'_mask', and"),
        ("all", "img_{}", "{:03}_mask", "zeros, and"),
    )
    def test_what_they_differ_by_and_the_command(self, a, b, shown):
        for number in range(9, 12):
            self.save(f"trainA/{a.format(number)}.png", f"trainB/{b.format(number)}.png")
        message = self.message()
        self.assertIn(shown, message)
        self.do(message)
        self.assertCountEqual(self.names("_pairs"), [a.format(x) for x in range(9, 12)])

    def test_words_are_not_cut(self):
        told, pattern = nearby.differences_of_names(["cat_A", "bat_A"], ["cat_B", "bat_B"])
        self.assertEqual(pattern, "_A$|_B$")
        self.assertIn("'_A'", told)

    @parameterized.named_parameters(
        ("a_missing_partner", ["1", "2", "3"], ["1", "3"]),
        ("other_things", ["cat", "dog"], ["house", "tree"]),
        ("one_thing_each", ["cat"], ["house"]),
        ("names_that_would_be_equal", ["1", "01"], ["001", "0001"]),
        ("nothing", [], []),
    )
    def test_nothing_is_said(self, a, b):
        self.assertEqual(nearby.differences_of_names(a, b), ("", ""))

    def test_arrays_are_left_as_they_are(self):
        for side, name in (("A", "1"), ("B", "1_mask")):
            (self.folder / f"train{side}").mkdir()
            (self.folder / f"train{side}" / f"{name}.npy").touch()
        self.assertIn("--layout=folders --ignore_in_names='_mask$'", self.message())

    def test_a_folder_that_is_not_there_is_told_with_those_that_are(self):
        self.save("trainA/1.png", "train b/1.png")
        with self.assertRaisesRegex(InputError, "trainB'.*'train b', 'trainA'"):
            layouts.find_pairs(self.folder, "train")
