"""Tests of `export.browser`: models in Node and Chromium, and programs that are missing or fail."""

from __future__ import annotations

import os
import shutil
from unittest import mock

import browser_tools
import numpy as np
import tensorflow as tf
import tiny_runs

from export.browser import programs
from export.errors import ModelError
from export.parity import limits
from export.tflite import conversion
from pix2pix_tf import serving
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.inference import exported


class LitertTest(tf.test.TestCase):
    """TF.js' counterparts are in test_tfjs.py."""

    def test_a_file_gives_what_the_saved_model_gives(self):
        browser_tools.chromium()
        path = tiny_runs.temporary_folder(self) / "model.tflite"
        conversion.convert(tiny_runs.shared_version(), path)
        model = tiny_runs.shared_model()
        image = tiny_runs.random_image(1, tiny_runs.CROP_SIZE, tiny_runs.CROP_SIZE, 3)
        z = tiny_runs.random_noise(1, model.noise_size)
        expected = model.translate_with_noise(image, z)
        outputs, milliseconds = programs.run_litert(
            path, "with_noise", dict(image=image, z=z), repeat=2
        )
        self.assertEqual((len(outputs), len(milliseconds)), (2, 2))
        for output in outputs:
            self.assertAllClose(output, expected, atol=limits.EXACT.max, rtol=0)
        outputs, _ = programs.run_litert(path, "serving_default", dict(image=image), repeat=2)
        self.assertNotAllClose(outputs[0], outputs[1], atol=0.01)  # Noise of its own.
        with self.assertRaisesRegex(
            ModelError, f"LiteRT.js in Chromium, '{path}': .*missing input"
        ):
            programs.run_litert(path, "with_noise", {})

    def test_a_model_without_noise(self):
        browser_tools.chromium()
        folder = tiny_runs.temporary_folder(self)
        tiny_runs.write_run(folder / "run", dropout=0.0)
        version = serving.save_version(folder / "run", folder / "exported")
        conversion.convert(version, folder / "model.tflite")
        image = tiny_runs.random_image(1, tiny_runs.CROP_SIZE, tiny_runs.CROP_SIZE, 3)
        inputs = dict(image=image, z=np.zeros([1, 0], np.float32))
        (output,), _ = programs.run_litert(folder / "model.tflite", "with_noise", inputs)
        expected = exported.load(version).translate_with_noise(**inputs)
        self.assertAllClose(output, expected, atol=limits.EXACT.max, rtol=0)


class ProgramsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        (self.folder / "with_noise").mkdir()
        self.model = self.folder / "with_noise" / "model.json"
        self.model.write_text("{}")

    def test_says_what_is_missing(self):
        with mock.patch.object(shutil, "which", return_value=None):
            with self.assertRaisesRegex(MissingInputError, "Chromium"):
                programs.find_chromium()
            with mock.patch.object(programs, "RUNNER", self.folder / "with space"):
                with self.assertRaisesRegex(MissingInputError, "Run: npm ci --prefix '.*space'$"):
                    programs.find_node()

    def program(self, script: str) -> str:
        path = self.folder / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def test_a_node_that_hangs_is_ended(self):
        hanging = self.program("exec sleep 60")
        with mock.patch.object(programs, "find_node", return_value=hanging):
            with mock.patch.object(programs, "_SECONDS", 0.2):
                with self.assertRaisesRegex(ModelError, "did not end within 0.2 s"):
                    programs.run_tfjs(self.folder, "with_noise", {}, repeat=2)

    def test_a_browser_that_dies_at_once_is_not_waited_for(self):
        browser_tools.node()
        broken = self.program("echo 'no usable sandbox' >&2; exit 7")
        with mock.patch.object(programs, "find_chromium", return_value=broken):
            with self.assertRaisesRegex(ModelError, "(?s)TF.js in Chromium.*no usable sandbox"):
                programs.run_tfjs(self.folder, "with_noise", {}, program=programs.CHROMIUM)

    def starts(self, *, uid: int) -> list[bool]:
        """Returns which starts of a browser that has no sandbox were without one, for a user."""
        browser_tools.node()
        arguments = self.folder / "arguments"
        browser = self.program(f'echo "$@" >> "{arguments}"; echo "No usable sandbox!" >&2; exit 7')
        user = self.folder / "user.js"
        user.write_text(f"process.getuid = () => {uid};")
        with mock.patch.object(programs, "find_chromium", return_value=browser):
            with mock.patch.dict(os.environ, NODE_OPTIONS=f"--require {user}"):
                with self.assertRaises(ModelError):
                    programs.run_tfjs(self.folder, "with_noise", {}, program=programs.CHROMIUM)
        return ["--no-sandbox" in line for line in arguments.read_text().splitlines()]

    def test_root_starts_chromium_without_its_sandbox(self):
        self.assertEqual(self.starts(uid=0), [True])

    def test_others_start_it_in_its_sandbox_and_without_where_that_fails(self):
        self.assertEqual(self.starts(uid=1000), [False, True])

    def test_names_the_model_that_fails(self):
        browser_tools.node()
        with self.assertRaisesRegex(ModelError, "with_noise' on cpu: .+"):
            programs.run_tfjs(self.folder, "with_noise", {}, backend="cpu")
