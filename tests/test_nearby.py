import pathlib
import tempfile
import unittest

from PIL import Image

from pix2pix_tf.data import layouts, nearby


class DescribeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def describe(self, *paths, given=""):
        for path in paths:
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 2)).save(self.folder / path, "PNG")
        return nearby.describe(
            self.folder / given, "train", lambda folder: layouts.has_split(folder, "train")
        )

    def test_other_spellings_are_named_with_what_they_have_to_be(self):
        text = self.describe("train_A/1.png", "train_B/1.png", "val/1.png")

        self.assertIn("rename them to 'trainA', 'trainB'", text)
        self.assertNotIn("'val'", text)

    def test_a_capital_is_another_spelling(self):
        self.assertIn("'Train': rename it to 'train'", self.describe("Train/1.png"))

    def test_two_folders_of_a_split_are_given_the_command_that_joins_them(self):
        text = self.describe("train/images/1.png", "train/masks/1.png")

        self.assertIn(f"--input={self.folder}/train/images", text)
        self.assertIn(f"--input_b={self.folder}/train/masks", text)

    def test_splits_in_two_folders_are_given_it_too(self):
        text = self.describe("images/train/1.png", "labels/train/1.png", "images/val/1.png")

        self.assertIn(f"--input_b={self.folder}/labels/train", text)

    def test_two_folders_without_splits_have_to_be_divided_as_well(self):
        text = self.describe("photos/1.png", "sketches/1.png")

        self.assertIn("combine", text)
        self.assertIn("split", text)

    def test_a_data_set_further_down_is_named(self):
        self.assertIn("/set/set' has it", self.describe("set/set/train/1.png"))

    def test_a_data_set_further_up_is_named(self):
        text = self.describe("train/1.png", given="train")

        self.assertIn(f"'{self.folder}' has it", text)

    def test_backslashes_in_names_are_told(self):
        self.assertIn("backslash", self.describe("train\\A\\1.png"))

    def test_pictures_without_splits_are_counted(self):
        text = self.describe("1.png", "2.png")

        self.assertIn("2 images", text)
        self.assertIn("prepare split", text)

    def test_else_it_says_what_is_there(self):
        self.assertIn("'notes'", self.describe("notes/1.txt"))


class DifferencesOfNamesTest(unittest.TestCase):
    def test_zeros_endings_and_beginnings_are_found(self):
        numbers = [str(number) for number in range(1, 24)]
        for a, b, pattern in (
            (numbers, [x.zfill(4) for x in numbers], "^0+"),
            (numbers, [f"{x}_mask" for x in numbers], "_mask$"),
            ([f"{x}_A" for x in numbers], [f"{x}_B" for x in numbers], "_A$|_B$"),
            ([f"img{x}" for x in numbers], [f"gt{x}" for x in numbers], "^img|^gt"),
        ):
            with self.subTest(pattern):
                self.assertIn(f"'{pattern}'", nearby.differences_of_names(a, b))

    def test_a_missing_partner_is_no_difference_of_names(self):
        self.assertEqual(nearby.differences_of_names(["1", "2", "3"], ["1", "3"]), "")

    def test_names_of_other_things_have_nothing_in_common(self):
        self.assertEqual(nearby.differences_of_names(["cat", "dog"], ["house", "tree"]), "")

    def test_what_would_make_names_equal_is_not_taken_out(self):
        self.assertEqual(nearby.differences_of_names(["1", "01"], ["001", "0001"]), "")
