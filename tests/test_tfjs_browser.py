"""Tests of `export.tfjs_browser`: a converted model in headless Chromium."""

from __future__ import annotations

import browser_tools
import numpy as np
import tensorflow as tf
import tiny_runs

from export import tfjs_browser, tfjs_model
from pix2pix_tf import serving
from pix2pix_tf.errors import InputError
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
        with self.assertRaisesRegex(InputError, "has no signature 'nothing'"):
            tfjs_browser.run(self.folder, "nothing", {})
        with self.assertRaisesRegex(tfjs_browser.BrowserError, "TF.js in Chromium: .*image"):
            tfjs_browser.run(self.folder, "serving_default", {})
