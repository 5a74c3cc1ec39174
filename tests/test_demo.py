"""Tests of `python -m pix2pix_tf.demo`: the whole pipeline, with tiny networks."""

from __future__ import annotations

import dataclasses
import re
import shutil
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_training
from PIL import Image

from pix2pix_tf import demo
from pix2pix_tf.inference import translator
from pix2pix_tf.training import reports

_CONFIG = dataclasses.replace(
    demo.CONFIG, **tiny_training.SETTINGS, load_size=36, num_samples=1, num_evaluated=1
)


class DemoTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enter_context(tiny_training.stub_networks())
        cls.enter_context(mock.patch.object(reports, "plot_losses"))  # Takes a second.
        cls.output = tiny_runs.temporary_folder(cls) / "demo"
        with mock.patch.object(demo, "CONFIG", _CONFIG):
            cls.result = cls.run_demo(cls.output)

    @staticmethod
    def run_demo(output) -> command_line.Result:
        return command_line.run(demo, f"--output={output}", "--num_steps=2")

    def test_the_page_shows_what_the_exported_model_makes(self):
        self.assertEqual(self.result.exit_code, 0, self.result.stderr)
        self.assertIn(f"Open '{self.output / 'index.html'}'", self.result.stdout)
        page = (self.output / "index.html").read_text(encoding="utf-8")
        links = re.findall(r'(?:src|href)="([^"]*)"', page)
        self.assertLen(links, 1 + 6 * 4)  # The run's page; scenes with labels, 2 draws, true.
        for link in links:
            self.assertTrue((self.output / link).is_file(), link)
        self.assertIn("2 steps and exported, on", page)
        exported = translator.load(self.output / "saved_model")
        labels, first, second = (
            np.asarray(Image.open(path))
            for path in sorted((self.output / "pictures").glob("scene_2000000_[ls]*"))
        )
        expected = exported(2.0 * labels.astype(np.float32) / 255 - 1.0)
        self.assertAllClose(first, np.round((expected + 1) * 127.5), atol=1)
        self.assertGreater(np.abs(first.astype(int) - second).max(), 0)

    def test_a_second_call_says_where_the_first_one_is(self):
        before = tiny_training.read_folder(self.output)
        result = self.run_demo(self.output)
        self.assertEqual(result.exit_code, 0)
        self.assertIn(f"'{self.output / 'index.html'}'", result.stdout)
        self.assertEqual(tiny_training.read_folder(self.output), before)

    def test_more_steps_go_on(self):
        output = tiny_runs.temporary_folder(self) / "demo"
        shutil.copytree(self.output, output)
        with mock.patch.object(demo, "CONFIG", _CONFIG):
            result = command_line.run(demo, f"--output={output}", "--num_steps=3")
        self.assertEqual(result.exit_code, 0, result.stderr)
        page = " ".join((output / "index.html").read_text(encoding="utf-8").split())
        self.assertIn("3 steps and exported, on", page)
        self.assertIn("<code>saved_model/2</code>", page)
