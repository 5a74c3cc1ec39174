"""Tests of `pix2pix_tf.inference.forms`: every form of a model becomes a version."""

from __future__ import annotations

import errno
import pathlib
import shutil
import zipfile
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf import serving
from pix2pix_tf.errors import InputError, MissingInputError, WriteError
from pix2pix_tf.inference import exported, forms, translator

SIZE = tiny_runs.CROP_SIZE


class FormsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.forms = dict(run=folder / "demo", versions=folder / "demo_savedmodel")
        tiny_runs.write_run(cls.forms["run"])
        cls.forms["version"] = serving.save_version(cls.forms["run"], cls.forms["versions"])
        for form in ("run", "versions"):
            path = cls.forms[form]
            archive = shutil.make_archive(str(path), "zip", path.parent, path.name)
            cls.forms[f"{form}_zip"] = pathlib.Path(archive)
        cls.image = tiny_runs.random_image(SIZE, SIZE, 3)
        cls.expected = translator.load(cls.forms["run"])(cls.image)

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.output = self.folder / "saved model"

    @parameterized.parameters("run", "versions", "version", "run_zip", "versions_zip")
    def test_each_form_becomes_the_next_version(self, form):
        (self.output / "3").mkdir(parents=True)
        version = forms.save_version(self.forms[form], self.output)
        self.assertEqual(version, self.output / "4")
        self.assertEqual(serving.list_versions(self.output), [3, 4])
        self.assertLen(list(self.output.iterdir()), 2)  # Nothing unfinished.
        self.assertAllClose(translator.load(version)(self.image), self.expected, rtol=0, atol=1e-5)

    def test_of_several_versions_the_newest_is_taken(self):
        versions = self.folder / "versions"
        shutil.copytree(self.forms["version"], versions / "10")
        (versions / "9").mkdir()
        version = forms.save_version(versions, self.output)
        self.assertEqual(exported.load(version).card, exported.load(self.forms["version"]).card)

    def test_a_zip_without_a_folder_or_with_those_of_a_mac(self):
        archive = self.folder / "flat.zip"
        with zipfile.ZipFile(archive, "w") as content:
            for path in sorted(self.forms["run"].rglob("*")):
                content.write(path, path.relative_to(self.forms["run"]))
        self.assertTrue((forms.save_version(archive, self.output) / serving.SAVED_MODEL).is_file())
        archive = self.folder / "mac.zip"
        shutil.copy(self.forms["run_zip"], archive)
        with zipfile.ZipFile(archive, "a") as content:
            content.writestr("__MACOSX/._demo", b"")
        self.assertEqual(forms.save_version(archive, self.output).name, "2")

    def test_a_checkpoint_of_a_saved_model_is_refused(self):
        with self.assertRaisesRegex(InputError, "checkpoint is 'best', but '.*' is a SavedModel"):
            forms.save_version(self.forms["versions_zip"], self.output, checkpoint="best")
        self.assertFalse(self.output.exists())

    def test_a_checkpoint_of_a_run_is_passed_on(self):
        with self.assertRaisesRegex(InputError, "7"):
            forms.save_version(self.forms["run_zip"], self.output, checkpoint="7")

    def test_what_is_not_there(self):
        with self.assertRaisesRegex(MissingInputError, "There is no folder '.*not_here.zip'"):
            forms.save_version(self.folder / "not_here.zip", self.output)

    def test_a_folder_that_is_no_model(self):
        with self.assertRaisesRegex(InputError, "neither a run folder"):
            forms.save_version(self.folder, self.output)

    def test_a_zip_without_a_model_or_with_two(self):
        archive = self.folder / "some.zip"
        for names in (["readme.txt"], ["a/config.json", "b/config.json"], []):
            with zipfile.ZipFile(archive, "w") as content:
                for name in names:
                    content.writestr(name, "{}")
            with self.assertRaisesRegex(InputError, "'.*some.zip' holds neither a run folder"):
                forms.save_version(archive, self.output)

    def test_a_zip_that_is_cut_short_damaged_or_none(self):
        whole = self.forms["versions_zip"].read_bytes()
        with zipfile.ZipFile(self.forms["versions_zip"]) as content:
            info = max(content.infolist(), key=lambda info: info.compress_size)
        middle = info.header_offset + info.compress_size // 2
        damaged = bytearray(whole)
        damaged[middle : middle + 64] = bytes(np.bitwise_not(np.frombuffer(whole, np.uint8)))[
            middle : middle + 64
        ]
        for contents in (whole[: len(whole) // 2], bytes(damaged), b"", b"not a zip"):
            archive = self.folder / "some.zip"
            archive.write_bytes(contents)
            with self.assertRaisesRegex(InputError, "'.*some.zip' is no zip file that can be unp"):
                forms.save_version(archive, self.output)
        self.assertFalse(self.output.exists())

    @parameterized.parameters(zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    def test_a_zip_of_another_compression_that_is_damaged(self, compression):
        archive = self.folder / "some.zip"
        with zipfile.ZipFile(archive, "w", compression) as content:
            content.writestr("run/config.json", np.random.default_rng(0).bytes(2000))
        contents = bytearray(archive.read_bytes())
        contents[60:124] = bytes(64)  # Within the first file.
        archive.write_bytes(contents)
        with self.assertRaisesRegex(
            InputError, "'.*some.zip' (cannot be read|is no zip)"
        ) as caught:
            forms.save_version(archive, self.output)
        self.assertNotIsInstance(caught.exception, WriteError)

    def test_a_zip_with_a_name_that_is_no_text(self):
        archive = self.folder / "some.zip"
        with zipfile.ZipFile(archive, "w") as content:
            content.writestr("run/é.json", b"{}")
        archive.write_bytes(archive.read_bytes().replace("é".encode(), b"\xff\xff"))
        with self.assertRaisesRegex(InputError, "'.*some.zip' is no zip file that can be unpacked"):
            forms.save_version(archive, self.output)

    def test_a_zip_with_names_without_a_character(self):
        archive = self.folder / "some.zip"
        with zipfile.ZipFile(archive, "w") as content:
            content.writestr("run/config.json", b"{}")
        archive.write_bytes(archive.read_bytes().replace(b"run/", b"\0un/"))
        with self.assertRaisesRegex(InputError, "'.*some.zip' is no zip file that can be unpacked"):
            forms.save_version(archive, self.output)

    def test_a_zip_that_may_not_be_read_and_a_folder_that_may_not_be_written(self):
        archive = self.forms["run_zip"]
        refused = PermissionError(errno.EACCES, "Permission denied")
        with mock.patch.object(zipfile, "ZipFile", side_effect=refused):
            with self.assertRaisesRegex(InputError, f"'{archive}' cannot be read .Permission den"):
                forms.save_version(archive, self.output)
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(zipfile.ZipFile, "extractall", side_effect=full):
            with self.assertRaisesRegex(WriteError, "cannot be written: No space left on device"):
                forms.save_version(archive, self.output)

    def test_a_saved_model_of_another_program_is_refused(self):
        version = self.folder / "theirs"
        shutil.copytree(self.forms["version"], version)
        (version / serving.MODEL_CARD).unlink()
        with self.assertRaisesRegex(MissingInputError, "was not exported by this project"):
            forms.save_version(version, self.output)
