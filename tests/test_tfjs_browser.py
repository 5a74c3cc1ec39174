"""Tests of `export.tfjs_browser`: a converted model in headless Chromium."""

from __future__ import annotations

import pathlib
import time
from unittest import mock

import browser_tools
import numpy as np
import tensorflow as tf
import tiny_runs

from export import tfjs_browser, tfjs_model
from pix2pix_tf import serving
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.inference import exported


class BrowserTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        browser_tools.chromium()
        browser_tools.node()
        folder = tiny_runs.temporary_folder(cls)
        tiny_runs.write_run(folder / "run")
        version = serving.save_version(folder / "run", folder / "saved_model")
        cls.model = exported.load(version)
        cls.folder = tfjs_model.convert(version, folder / "tfjs")
        cls.image = tiny_runs.random_image(1, 32, 32, 3)

    def test_equals_the_saved_model_run_by_run(self):
        z = tiny_runs.random_noise(1, self.model.noise_size)
        inputs = dict(image=self.image, z=z)
        outputs, milliseconds = tfjs_browser.run(self.folder, "with_noise", inputs, repeat=2)
        expected = self.model.translate_with_noise(self.image, z)
        self.assertEqual(outputs.shape, (2, 1, 32, 32, 3))
        for output in outputs:
            self.assertAllClose(output, expected, atol=1e-4)
        self.assertLen(milliseconds, 2)

    def test_draws_noise_of_its_own(self):
        inputs = dict(image=self.image)
        outputs, _ = tfjs_browser.run(self.folder, "serving_default", inputs, repeat=2)
        self.assertGreater(np.abs(outputs[0] - outputs[1]).max(), 1e-3)

    def test_what_goes_wrong_is_said(self):
        with self.assertRaisesRegex(MissingInputError, "has no signature 'nothing'"):
            tfjs_browser.run(self.folder, "nothing", {})
        with self.assertRaisesRegex(tfjs_browser.BrowserError, "TF.js in Chromium: .*image"):
            tfjs_browser.run(self.folder, "serving_default", {})


class FailingBrowserTest(tf.test.TestCase):
    """Programs in the place of Chromium that do not do what it does."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        (self.folder / "with_noise").mkdir()
        (self.folder / "with_noise" / "model.json").touch()

    def assert_fails(self, script: str, message: str) -> None:
        program = self.folder / "chromium"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with mock.patch.object(tfjs_browser, "find_chromium", return_value=str(program)):
            with mock.patch.object(tfjs_browser.tfjs_node, "find_node"):
                started = time.monotonic()
                with self.assertRaisesRegex(tfjs_browser.BrowserError, message):
                    tfjs_browser.run(self.folder, "with_noise", {})
        self.assertLess(time.monotonic() - started, 30)

    def test_one_that_dies_at_once_is_not_waited_for(self):
        self.assert_fails(
            "seq 9 >&2; echo 'no usable sandbox' >&2; exit 7",
            r"Chromium ended with status 7. It said last: 6 \| 7 \| 8 \| 9 \| no usable sandbox$",
        )
        self.assert_fails("kill -ABRT $$", "Chromium ended with SIGABRT. It said nothing.$")

    def test_one_that_hangs_is_ended_with_what_it_has_started(self):
        note = self.folder / "child"
        with mock.patch.object(tfjs_browser, "_TIMEOUT_SECONDS", 1):
            self.assert_fails(
                f"echo 'on my way' >&2; sleep 60 & echo $! > {note}; wait",
                "did not answer in 1 s. It said last: on my way",
            )
        stat = pathlib.Path("/proc", note.read_text().strip(), "stat")
        # Gone, or a zombie that nobody has asked for yet.
        self.assertTrue(not stat.exists() or stat.read_text().split(")")[1].split()[0] == "Z")
