"""Runs the programs of docs/extending.md, with tiny networks and two steps."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from unittest import mock

import keras
import numpy as np
import tiny_runs
import tiny_training
from absl.testing import parameterized

from pix2pix_tf import metrics, networks, objective, serving
from pix2pix_tf.export.parity import measuring, runtimes, saved_model
from pix2pix_tf.training import loop

_TEXT = (pathlib.Path(__file__).parent.parent / "docs" / "extending.md").read_text("utf-8")
_PROGRAMS = {
    re.search(r'"runs/(\w+)"', code)[1]: code
    for code in re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)
    if '"runs/' in code
}
(_RUNTIME,) = re.findall(r"```python\n([^`]*runtimes\.register\(.*?)```", _TEXT, re.DOTALL)
_TRAIN = loop.train


class ProgramsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.enter_context(mock.patch.dict(networks.GENERATORS))
        self.enter_context(mock.patch.dict(objective._MADE_BY))
        self.enter_context(mock.patch.dict(metrics.METRICS))

    def train(self, config, workdir, **arguments):
        # Without a discriminator it compiles in a third of the time.
        tiny = dict(
            base_filters=2,
            gan_loss="none",
            num_steps=14 if "profiled" in str(workdir) else 2,
            num_samples=1,
            num_evaluated=1,
            log_every=1,
        )
        if config.dataset != "demo":  # A published one; the others are pairs of a program.
            tiny.update(dataset="demo", crop_size=32, load_size=36)
        config = dataclasses.replace(config, precision="float32", **tiny)
        return _TRAIN(config, self.folder / workdir, **arguments)

    @parameterized.parameters(*_PROGRAMS)
    def test_runs(self, name):
        untrained = keras.applications.VGG16
        with (
            mock.patch.object(loop, "train", self.train),
            tiny_training.plain_convolutions(),
            mock.patch.object(  # Its weights would be downloaded.
                keras.applications, "VGG16", lambda weights, **how: untrained(weights=None, **how)
            ),
        ):
            exec(compile(_PROGRAMS[name], "docs/extending.md", "exec"), {})
        lines = (self.folder / "runs" / name / "metrics.jsonl").read_text().splitlines()
        last = json.loads(lines[-1])
        self.assertEqual(last["step"], 14 if name == "profiled" else 2)
        profiles = self.folder.glob("runs/*/tensorboard/plugins/profile/*/*.xplane.pb")
        self.assertLen(list(profiles), int(name == "profiled"))
        extra = dict(
            sharper="gradient_difference_loss", vgg="perceptual_loss", metric="held_out_worst"
        ).get(name)
        if extra:
            self.assertGreater(last[extra], 0.0)

    def test_the_runtime_gives_what_the_export_does(self):
        version, inputs = tiny_runs.shared_version(), []
        card = serving.read_model_card(version)
        for seed in (0, 1):
            image = tiny_runs.random_image(32, 32, 3, seed=seed)[np.newaxis]
            inputs.append(dict(image=image, z=tiny_runs.random_noise(1, card["noise_size"])))
        how = dict(settings=runtimes.Settings(), inputs=inputs, repeat=1, num_draws=2)
        with mock.patch.dict(runtimes._REGISTERED):
            exec(compile(_RUNTIME, "docs/extending.md", "exec"), {"__name__": "own_runtime"})
            found = measuring.measure(runtimes._REGISTERED["Loader"], version, **how)
        expected = measuring.measure(saved_model.PYTHON, version, **how)
        self.assertTrue(measuring.row(saved_model.PYTHON, version, found, expected, True))
        np.testing.assert_array_equal(np.stack(found.outputs), np.stack(expected.outputs))
