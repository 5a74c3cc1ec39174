"""Tests that runs and exports made by version 0.1 still work.

`golden/version_0.1.tar.xz` holds an export, a run of each stack, and an output, all written by
that version. It is never made anew: if a test fails here, users' files have stopped working.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import tarfile

import keras
import numpy as np
import tensorflow as tf
import tiny_runs

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.inference import exported, translator
from pix2pix_tf.training import loop

_ARCHIVE = pathlib.Path(__file__).parent / "golden" / "version_0.1.tar.xz"


class Version01Test(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        with tarfile.open(_ARCHIVE) as archive:
            # Python has the filter since late patches of 3.9 to 3.11, and asks for it in 3.12.
            safely = dict(filter="data") if hasattr(tarfile, "data_filter") else {}
            archive.extractall(cls.folder, **safely)
        with np.load(cls.folder / "expected.npz") as made_then:
            cls.image, cls.z, cls.output = (made_then[x] for x in ("image", "z", "output"))

    def test_an_export_translates_and_can_be_converted(self):
        model = exported.load(self.folder / "export")
        found = model.translate_with_noise(self.image, self.z)
        self.assertAllClose(found, self.output, rtol=0, atol=1e-6)
        # Version 0.1 stored a second form of the model for converters. It is now ignored: they
        # build the model from the weights.
        portable = exported.portable_model(self.folder / "export" / "1")
        found = portable.translate(self.image, self.z)
        self.assertAllClose(found, self.output, rtol=0, atol=1e-6)

    def test_a_run_translates(self):
        _, generator = translator.load_generator(self.folder / "run_keras2")
        self.assertAllClose(generator([self.image, self.z]), self.output, rtol=0, atol=1e-5)

    def test_a_run_is_continued(self):
        name = f"run_keras{keras.__version__[0]}"
        run = shutil.copytree(self.folder / name, self.folder / f"{name}_continued")
        config = dataclasses.replace(TrainConfig.load(run), num_steps=3)
        state = loop.train(config, run)
        self.assertEqual(int(state.step), 3)
