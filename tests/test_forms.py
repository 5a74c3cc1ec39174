"""Tests of `pix2pix_tf.inference.forms`: every form of a model becomes a version."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import shutil
import zipfile
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from tiny_training import read_folder

from pix2pix_tf import serving
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import forms


def pack(archive: pathlib.Path, folder: pathlib.Path, *, below: str) -> pathlib.Path:
    """Writes the files of a folder into a zip file, each name after `below`."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        for path in sorted(folder.rglob("*")):
            content.write(path, f"{below}{path.relative_to(folder)}")
    return archive


class FormsTest(tf.test.TestCase, parameterized.TestCase):
    """A version is copied as it is; of a run folder, its export is left out."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.output = self.folder / "saved model"

    @parameterized.parameters("versions", "version", "zip")
    def test_a_saved_model_becomes_the_next_version(self, form):
        version = tiny_runs.shared_version()
        model = dict(versions=version.parent, version=version)
        model["zip"] = pack(self.folder / "x.zip", version.parent, below="demo_savedmodel/")
        (self.output / "3").mkdir(parents=True)
        found = forms.save_version(model[form], self.output)
        self.assertEqual(found, self.output / "4")
        self.assertEqual(serving.list_versions(self.output), [3, 4])
        self.assertLen(list(self.output.iterdir()), 2)  # Nothing unfinished.
        self.assertEqual(read_folder(found), read_folder(version))

    @parameterized.named_parameters(
        ("folder", None), ("zip", "demo/"), ("zip_without_a_folder", ""), ("zip_of_a_mac", "demo/")
    )
    def test_a_run_is_exported(self, below):
        run = model = tiny_runs.shared_run()
        if below is not None:
            model = pack(self.folder / "run.zip", run, below=below)
        if "mac" in self.id():
            with zipfile.ZipFile(model, "a") as content:
                content.writestr("__MACOSX/._demo", b"")
        given = []

        def export(workdir, output, *, checkpoint):
            given.append((read_folder(workdir), output, checkpoint))

        with mock.patch.object(serving, "save_version", export):
            forms.save_version(model, self.output, checkpoint="7")
        self.assertEqual(given, [(read_folder(run), self.output, "7")])

    def refuse(self, model: pathlib.Path, error: type, part: str, **options):
        with self.assertRaisesRegex(error, re.escape(part)) as caught:
            forms.save_version(model, self.output, **options)
        self.assertIs(type(caught.exception), error)

    def test_what_is_refused(self):
        version = tiny_runs.shared_version()
        self.refuse(version, InputError, "'best'", checkpoint="best")
        missing = self.folder / "not_here.zip"
        self.refuse(missing, MissingInputError, f"'{missing}'")
        self.refuse(self.folder, InputError, f"'{self.folder}'")
        theirs = self.folder / "theirs"  # A SavedModel of another program.
        shutil.copytree(version, theirs)
        (theirs / serving.MODEL_CARD).unlink()
        self.refuse(theirs, MissingInputError, f"'{theirs}'")
        self.assertFalse(self.output.exists())

    def test_a_zip_without_a_model_or_with_two(self):
        archive = self.folder / "some.zip"
        for names in (["readme.txt"], ["a/config.json", "b/config.json"], []):
            with zipfile.ZipFile(archive, "w") as content:
                for name in names:
                    content.writestr(name, "{}")
            self.refuse(archive, InputError, f"'{archive}'")

    def test_a_zip_that_is_damaged(self):
        archive = self.folder / "some.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
            content.writestr("run/é.json", np.random.default_rng(0).bytes(2000))
        whole = archive.read_bytes()
        damaged = bytearray(whole)
        damaged[60:124] = bytes(64)  # Within the first file.
        # Names that are none: not UTF-8, and of no characters.
        names = [whole.replace("é".encode(), b"\xff\xff"), whole.replace(b"run/", b"\0un/")]
        for contents in (whole[: len(whole) // 2], bytes(damaged), b"", b"not a zip", *names):
            archive.write_bytes(contents)
            self.refuse(archive, InputError, f"'{archive}'")
        self.assertFalse(self.output.exists())

    def test_a_zip_that_may_not_be_read_and_a_disk_that_is_full(self):
        archive = pack(self.folder / "run.zip", tiny_runs.shared_run(), below="run/")
        for number, place in ((errno.EACCES, ""), (errno.ENOSPC, ".extractall")):
            fault = OSError(number, os.strerror(number))
            with mock.patch(f"zipfile.ZipFile{place}", side_effect=fault):
                with self.assertRaisesRegex(InputError, f"'{archive}' .*{os.strerror(number)}"):
                    forms.save_version(archive, self.output)
