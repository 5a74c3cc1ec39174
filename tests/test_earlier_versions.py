"""Tests that runs and exports made by earlier versions still work.

`golden/version_0.1*.tar.xz` hold an export, a run of each stack, and an output, all written by
the first and the last commit of that version. They are never made anew: if a test fails here,
users' files have stopped working.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import shutil
import tarfile

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.inference import exported, translator
from pix2pix_tf.training import loop

_GOLDEN = pathlib.Path(__file__).parent / "golden"
_VERSIONS = ("version_0.1", "version_0.1_last")


@functools.cache
def _unpacked(version: str) -> pathlib.Path:
    folder = tiny_runs.shared_folder() / version
    with tarfile.open(_GOLDEN / f"{version}.tar.xz") as archive:
        # Python has the filter since late patches of 3.9 to 3.11, and asks for it in 3.12.
        safely = dict(filter="data") if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)
    return folder


@parameterized.parameters(*_VERSIONS)
class EarlierVersionTest(tf.test.TestCase, parameterized.TestCase):
    def test_an_export_translates_and_can_be_converted(self, version):
        folder = _unpacked(version)
        image, z, output = self.read(folder)
        model = exported.load(folder / "export")
        self.assertAllClose(model.translate_with_noise(image, z), output, rtol=0, atol=1e-6)
        # Version 0.1 stored a second form of the model for converters. It is now ignored: they
        # build the model from the weights.
        portable = exported.portable_model(folder / "export" / "1")
        self.assertAllClose(portable.translate(image, z), output, rtol=0, atol=1e-6)

    def test_a_run_translates(self, version):
        folder = _unpacked(version)
        image, z, output = self.read(folder)
        _, generator = translator.load_generator(folder / "run_keras2")
        self.assertAllClose(generator([image, z]), output, rtol=0, atol=1e-5)

    def test_a_run_is_continued(self, version):
        name = f"run_keras{keras.__version__[0]}"
        run = tiny_runs.temporary_folder(self) / "run"
        shutil.copytree(_unpacked(version) / name, run)
        config = dataclasses.replace(TrainConfig.load(run), num_steps=3)
        state = loop.train(config, run)
        self.assertEqual(int(state.step), 3)

    def read(self, folder: pathlib.Path) -> list[np.ndarray]:
        with np.load(folder / "expected.npz") as made_then:
            return [made_then[name] for name in ("image", "z", "output")]
