"""Tests of `python -m pix2pix_tf.evaluate` and `pix2pix_tf.evaluation.full_reference`."""

from __future__ import annotations

import json
import shutil

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from PIL import Image

from pix2pix_tf import evaluate, serving
from pix2pix_tf.inference import translator
from pix2pix_tf.training import checkpoints

_SIZE = tiny_runs.CROP_SIZE


def read_pair(path) -> tuple[np.ndarray, np.ndarray]:
    """Returns both sides of a file whose height is that of the network, in [-1, 1]."""
    pixels = np.asarray(Image.open(path)).astype(np.float32) / 127.5 - 1.0
    return pixels[:, :_SIZE], pixels[:, _SIZE:]


class EvaluateTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.data, cls.run_folder = folder / "data", folder / "run"
        random = np.random.RandomState(0)
        for split, count in dict(train=1, val=2, test=3).items():
            (cls.data / split).mkdir(parents=True)
            for number in range(count):
                pixels = random.randint(0, 256, [_SIZE, 2 * _SIZE, 3]).astype(np.uint8)
                Image.fromarray(pixels).save(cls.data / split / f"{split}_{number}.png")
        tiny_runs.write_run(cls.run_folder, dataset=str(cls.data), direction="BtoA")

    def setUp(self):
        super().setUp()
        self.output = tiny_runs.temporary_folder(self) / "out"

    def evaluate(self, *flags: str, model=None) -> command_line.Result:
        return command_line.run(
            evaluate,
            f"--model={model or self.run_folder}",
            f"--output={self.output}",
            "--feature_weights=none",
            *flags,
        )

    def read(self) -> dict:
        return json.loads((self.output / "evaluation.json").read_text(encoding="utf-8"))

    def test_measures_and_outputs_of_the_test_split(self):
        result = self.evaluate("--seed=5")
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = self.read()
        translate = translator.load(self.run_folder)
        errors = []
        for number in range(3):
            target, source = read_pair(self.data / "test" / f"test_{number}.png")  # BtoA.
            fake = translate(source, seed=5, sample=number)
            errors.append(np.abs(fake - target).mean())
            mse = np.square(fake - target).mean()
            measured = found["per_image"][f"test_{number}"]
            self.assertAllClose(measured["l1"], errors[-1], rtol=1e-4)
            self.assertAllClose(measured["psnr"], 10 * np.log10(4.0 / mse), rtol=1e-4)
            written = np.asarray(Image.open(self.output / "outputs" / f"test_{number}.png"))
            self.assertAllClose(written, np.round((fake + 1) * 127.5), atol=1)
        self.assertAllClose(found["mean"]["l1"], np.mean(errors), rtol=1e-4)
        self.assertAllClose(found["standard_error"]["l1"], np.std(errors) / 3**0.5, rtol=1e-3)
        about = {x: found[x] for x in ("split", "num_images", "seed", "direction", "step")}
        self.assertEqual(
            about, dict(split="test", num_images=3, seed=5, direction="BtoA", step=None)
        )
        self.assertRegex(result.stdout, rf"l1 +{np.mean(errors):.4f} ")
        with Image.open(self.output / "grid.png") as grid:
            self.assertEqual(grid.size, (3 * _SIZE + 2 * 4, 22 + 3 * _SIZE + 2 * 4))

    def test_a_saved_model_measures_the_same(self):
        self.assertEqual(self.evaluate().exit_code, 0)
        expected = self.read()
        exported = self.output.with_name("exported")
        serving.save_version(self.run_folder, exported)
        self.assertEqual(self.evaluate(model=exported).exit_code, 0)
        for name, measured in self.read()["per_image"].items():
            self.assertAllClose(measured, expected["per_image"][name], rtol=1e-4)

    def test_the_split_is_test_then_val_then_refused(self):
        data = self.output.with_name("data")
        for split, expected in (("val", "val"), ("train", None)):
            shutil.rmtree(data, ignore_errors=True)
            shutil.copytree(self.data / split, data / split)
            result = self.evaluate(f"--dataset={data}")
            if expected:
                self.assertEqual(result.exit_code, 0, result.stderr)
                self.assertEqual(self.read()["split"], expected)
            else:
                self.assertEqual(result.exit_code, 2)
                self.assertIn("has no split 'test'. Splits found: train.", result.stderr)

    def test_a_checkpoint(self):
        run = self.output.with_name("run")
        shutil.copytree(self.run_folder, run)
        for step, seed in ((10, 1), (20, 2)):
            folder = run / checkpoints.FOLDER / f"step_{step:08d}"
            folder.parent.mkdir(exist_ok=True)
            other = self.output.with_name(f"other_{step}")
            tiny_runs.write_run(other, seed=seed)
            folder.mkdir()
            shutil.copyfile(
                other / checkpoints.GENERATOR_WEIGHTS, folder / checkpoints.GENERATOR_WEIGHTS
            )
        measured = {}
        for asked in ("newest", "10", "20"):
            self.assertEqual(self.evaluate(f"--checkpoint={asked}", model=run).exit_code, 0)
            measured[asked] = self.read()
        self.assertEqual([measured[x]["step"] for x in ("newest", "10", "20")], [20, 10, 20])
        self.assertEqual(measured["newest"]["mean"], measured["20"]["mean"])
        self.assertNotEqual(measured["10"]["mean"], measured["20"]["mean"])
        self.assertEqual(self.evaluate("--checkpoint=15", model=run).exit_code, 2)
