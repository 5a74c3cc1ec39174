"""Tests of `pix2pix_tf.data.layouts`, on folders of tiny pictures."""

from __future__ import annotations

import unicodedata

import numpy as np
from absl.testing import parameterized
from pair_folders import LEFT, RIGHT, FolderTest, aligned, picture
from refusals import refused

from pix2pix_tf.data import layouts
from pix2pix_tf.errors import MissingInputError


class FindPairsTest(FolderTest):
    @parameterized.named_parameters(
        ("split_then_side", "train/A", "train/B"),
        ("side_then_split", "A/train", "B/train"),
        ("one_word", "trainA", "trainB"),
    )
    def test_two_folders(self, a_folder, b_folder):
        for name in ("2.png", "10.png", "1.a.png"):
            self.save(f"{a_folder}/{name}", picture(LEFT))
            # The suffix may differ; what comes before it may hold dots.
            self.save(f"{b_folder}/{name[:-4]}.bmp", picture(RIGHT))
        self.save(f"{a_folder}/notes.txt", b"")
        self.save(f"{b_folder}/.hidden.png", b"")
        found = layouts.find_pairs(self.folder, "train")
        expected = [
            layouts.PairFiles(
                self.folder / a_folder / f"{name}.png", self.folder / b_folder / f"{name}.bmp"
            )
            for name in ("1.a", "10", "2")
        ]
        self.assertEqual(found, expected)
        opened = self.open()
        self.assertEqual(opened.names, ["1.a", "10", "2"])
        a, b = opened.read(1)
        self.assertAllEqual(a, np.full((4, 6, 3), LEFT))
        self.assertAllEqual(b, np.full((4, 6, 3), RIGHT))

    def test_two_folders_come_before_files_beside_them(self):
        self.save("train/1.png", aligned())
        self.save("train/A/2.png", picture())
        self.save("train/B/2.png", picture())
        self.assertEqual([pair.name for pair in layouts.find_pairs(self.folder, "train")], ["2"])

    def test_missing_split_lists_those_found(self):
        self.save("train/1.png", aligned())
        self.save("A/test/1.png", picture())
        self.save("unrelated/1.png", picture())
        expected = ("val", "val/A", "val/B", "A/val", "B/val", "valA", "valB")
        with refused(
            *(self.folder, "'val'", "train, test."),
            *(f"'{self.folder}/{x}'" for x in expected),
            kind=MissingInputError,
        ):
            layouts.find_pairs(self.folder, "val")

    def test_nothing_there(self):
        with refused(self.folder, "none", kind=MissingInputError):
            layouts.find_pairs(self.folder, "train")
        self.save("train/notes.txt", b"no picture")
        suffixes = ".png, .jpg, .jpeg, "
        with refused(self.folder / "train", suffixes, kind=MissingInputError):
            layouts.find_pairs(self.folder, "train")
        for side in "AB":
            (self.folder / f"val{side}").mkdir()
        with refused(self.folder / "valA", kind=MissingInputError):
            layouts.find_pairs(self.folder, "val")

    @parameterized.named_parameters(
        ("aligned", "train", "2.heic"),
        ("side", "train/B", "1.AVIF"),
        ("other_side", "trainA", "1.jxl"),
        ("stereo", "train", "2.MPO"),
        ("two_suffixes", "trainA", "2.nii.gz"),
        ("half_a_download", "train", "2.jpg.crdownload"),
        ("in_the_cloud", "trainB", ".2.png.icloud"),
    )
    def test_pictures_that_are_not_read_are_not_passed_over(self, folder, name):
        self.save("train/1.png" if folder == "train" else f"{folder}/1.png", aligned())
        if folder != "train":
            partner = {"A": "B", "B": "A"}[folder[-1]]
            self.save(f"{folder[:-1]}{partner}/1.png", aligned())
        self.save(f"{folder}/{name}", b"whatever it holds")
        with refused(self.folder / folder, "1 pictures", name):
            layouts.find_pairs(self.folder, "train")

    def test_accents_of_macos_are_those_of_others(self):
        for side, form in (("A", "NFC"), ("B", "NFD")):
            self.save(f"train{side}/{unicodedata.normalize(form, 'é1')}.png", picture())
        (pair,) = layouts.find_pairs(self.folder, "train")
        self.assertEqual((pair.a.parent.name, pair.b.parent.name), ("trainA", "trainB"))

    @parameterized.parameters(("A", "B"), ("B", "A"))
    def test_one_of_two_folders(self, there, missing):
        self.save(f"train{there}/1.png", picture())
        with refused(self.folder / f"train{missing}", kind=MissingInputError):
            layouts.find_pairs(self.folder, "train")

    @parameterized.named_parameters(("in_b", "A", "B"), ("in_a", "B", "A"))
    def test_missing_partner(self, complete, lacking):
        for name in ("1", "2", "3"):
            self.save(f"train/{complete}/{name}.png", picture())
        self.save(f"train/{lacking}/2.png", picture())
        there, missing = self.folder / "train" / complete, self.folder / "train" / lacking
        shown = (there / "1.png", missing, there / "3.png", missing)
        with refused(*shown, kind=MissingInputError) as caught:
            layouts.find_pairs(self.folder, "train")
        self.assertNotIn("2.png", str(caught.value))

    def test_many_missing_partners_are_counted(self):
        for number in range(25):
            self.save(f"trainA/{number}.png", b"")
        self.save("trainB/0.png", b"")
        with refused("14 more", kind=MissingInputError) as caught:
            layouts.find_pairs(self.folder, "train")
        self.assertEqual(str(caught.value).count(".png'"), 10)

    @parameterized.named_parameters(("aligned", "train"), ("a", "trainA"), ("b", "trainB"))
    def test_same_name_twice(self, where):
        for folder in ("trainA", "trainB") if where != "train" else ("train",):
            self.save(f"{folder}/1.png", aligned())
        self.save(f"{where}/1.jpg", aligned())
        with refused(self.folder / where / "1.jpg", self.folder / where / "1.png"):
            layouts.find_pairs(self.folder, "train")
