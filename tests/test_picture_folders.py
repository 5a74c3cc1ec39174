"""Tests of `pix2pix_tf.data.picture_folders`: what is not used is counted, litter is not."""

from __future__ import annotations

import contextlib
import io
import os
from unittest import mock

import tiny_runs
from absl.testing import parameterized

from pix2pix_tf import translate
from pix2pix_tf.data import images, layouts, picture_folders
from pix2pix_tf.errors import InputError

LITTER = (
    *("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", ".ipynb_checkpoints/1.png"),
    *("__MACOSX/1.png", "__MACOSX/._1.png"),
)


class PictureFoldersTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self) / "data"
        self.folder.mkdir()

    def save(self, *names: str) -> None:
        for name in names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).touch()

    def describe(self, *used: str, remedy: str = "") -> str:
        found = picture_folders.find_unused(self.folder, [self.folder / name for name in used])
        return picture_folders.describe_unused(self.folder, found, remedy)

    def test_nothing_is_said_where_all_is_used(self):
        self.save("trainA/1.png", "trainB/1.png", "notes/1.txt", "trainA/list.txt", "labels.csv")
        self.assertEqual(self.describe("trainA", "trainB"), "")
        self.assertEqual(self.describe("trainA", "trainB", "valA", "valB"), "")

    def test_nothing_is_said_of_litter(self):
        for folder in ("train", "val"):
            self.save(*(f"{folder}/{name}" for name in ("1.png", *LITTER)))
        self.save(*LITTER)
        self.assertEqual(self.describe("train", "val"), "")

    def test_folders_below_and_beside_are_counted_with_what_to_do(self):
        self.save("train/1.png", "train/a/b/c/1.PNG", "train/a/2.heic", "valid/A/1.png", "0.jpg")
        self.assertEqual(
            self.describe("train", remedy="Move them."),
            f"Not used of '{self.folder}': 1 picture beside its folders, 'train/a' (2 pictures), "
            "'valid' (1 picture). Move them.",
        )

    def test_runs_beside_the_data_are_not_data(self):
        self.save("train/1.png", "runs/first/samples/step_1.png")
        self.assertEqual(self.describe("train"), "")

    @parameterized.parameters("@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "#snapshot")
    def test_what_a_nas_keeps_is_told_for_what_it_is(self, name):
        self.save("train/1.png", f"train/{name}/1.png/THUMB.jpg")
        text = self.describe("train", remedy="Move them.")
        self.assertRegex(text, f"'train/{name.replace('$', '[$]')}' \\(1 picture, [a-z ]+")
        self.assertNotIn("Move", text)

    def test_many_folders_are_not_all_listed(self):
        self.save("1.png", *(f"scene_{number}/1.png" for number in range(8)))
        text = self.describe(".")
        self.assertEqual(text.count("scene_"), 5)
        self.assertIn(" and 3 more folders.", text)

    def test_a_folder_of_two_names_is_used_by_either(self):
        self.save("photos/1.png", "trainA/1.png")
        (self.folder / "trainB").symlink_to(self.folder / "photos")
        (self.folder / "trainA" / "around").symlink_to(self.folder)
        (self.folder / "itself").symlink_to(self.folder / "itself")
        self.assertEqual(self.describe("trainA", "trainB"), "")

    def test_a_folder_that_cannot_be_listed(self):
        self.save("train/1.png", "train/closed/1.png")
        os.chmod(self.folder / "train" / "closed", 0)
        self.addCleanup(os.chmod, self.folder / "train" / "closed", 0o700)
        count = 1 if os.access(self.folder / "train" / "closed", os.R_OK) else 0  # By root.
        self.assertEqual("closed" in self.describe("train"), bool(count))

    @parameterized.parameters(*images.IMAGE_SUFFIXES, *images.OTHER_SUFFIXES)
    def test_both_lists_are_of_pictures(self, suffix):
        self.assertTrue(picture_folders.is_picture(f"1{suffix.upper()}"))
        self.assertFalse(picture_folders.is_picture(f"._1{suffix}"))
        self.assertFalse(picture_folders.is_picture(f"1{suffix}.txt"))

    def test_pairs_tell_it_once(self):
        self.save("train/1.png", "val/2.png", "valid/3.png", "trainA/4.png")
        self.save("trainB/4.png", "A/test/5.png", "B/test/5.png", "A/spare/6.png")
        with self.assertLogs("absl", "WARNING") as logged:
            for split in (*layouts.SPLITS, "train"):
                layouts.find_pairs(self.folder, split)
        (line,) = logged.output
        for text in (
            "'A/spare' (1 picture)",
            "'train' (1 picture)",
            "'valid' (1 picture)",
            "split",
        ):
            self.assertIn(text, line)
        for used in ("trainA", "'val'", "A/test"):
            self.assertNotIn(used, line)

    def test_another_name_of_a_split_is_to_be_renamed(self):
        self.save("train/1.png", "eval/2.png")
        with self.assertLogs("absl", "WARNING") as logged:
            layouts.find_pairs(self.folder, "train")
        self.assertIn(f"mv {self.folder}/eval {self.folder}/val", logged.output[0])

    def test_translate_tells_it_too(self):
        self.save("a.png", "sub/b.png", "@eaDir/a.png/small.png", *LITTER)
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            self.assertEqual(translate.find_inputs(self.folder), [self.folder / "a.png"])
        self.assertEqual(
            stdout.getvalue(),
            f"Not used of '{self.folder}': '@eaDir' (1 picture, small copies that a NAS keeps), "
            "'sub' (1 picture).\n",
        )
        (self.folder / "a.png").unlink()
        with self.assertRaisesRegex(InputError, "does not hold images.*'sub' [(]1 picture[)]"):
            translate.find_inputs(self.folder)

    def test_published_forms_are_silent(self):
        self.save(*(f"{split}/1.jpg" for split in layouts.SPLITS))
        with mock.patch.object(layouts.logging, "warning") as warning:
            layouts.find_pairs(self.folder, "test")
        warning.assert_not_called()
