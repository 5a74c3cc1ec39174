"""Tests of `python -m pix2pix_tf.evaluate` and of how its parts go together."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import command_line
import measured_pairs
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_segmenter
import tiny_training
from PIL import Image

from pix2pix_tf import evaluate, metrics, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import colour, runner
from pix2pix_tf.inference import noise, translator

_SIZE = tiny_runs.CROP_SIZE


def write_pairs(folder: pathlib.Path, **splits: int) -> pathlib.Path:
    """Writes `FOLDER/SPLIT/SPLIT_NUMBER.png` and returns FOLDER."""
    for split, count in splits.items():
        (folder / split).mkdir(parents=True)
        for number in range(count):
            pixels = measured_pairs.random_pixels(_SIZE, 2 * _SIZE, 3, seed=number)
            Image.fromarray(pixels).save(folder / split / f"{split}_{number}.png")
    return folder


def read(output: pathlib.Path) -> dict:
    return json.loads((output / runner.RESULT_FILE).read_text(encoding="utf-8"))


def load_fake(
    model, *, checkpoint: str = "newest", weights: str = "average"
) -> measured_pairs.FakeTranslator:
    step = None if checkpoint == "newest" else int(checkpoint)
    return measured_pairs.FakeTranslator(TrainConfig.load(pathlib.Path(model)), step=step)


class ModelTest(tf.test.TestCase):
    """A checkpoint of a run, evaluated once by the real command."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.data = write_pairs(folder / "data", train=1, val=2, test=3)
        cls.run_folder, cls.output = folder / "run", folder / "out"
        tiny_runs.write_run(cls.run_folder, dataset=str(cls.data), seed=1)
        checkpoint = cls.run_folder / run_folder.CHECKPOINTS_FOLDER / "step_00000020"
        checkpoint.mkdir(parents=True)
        shutil.copy(tiny_runs.shared_run() / run_folder.GENERATOR_WEIGHTS, checkpoint)
        command = [sys.executable, "-m", "pix2pix_tf.evaluate", f"--model={cls.run_folder}"]
        flags = ["--checkpoint=20", "--seed=5", "--samples=3", "--feature_weights=none"]
        result = subprocess.run(
            [*command, f"--output={cls.output}", *flags], capture_output=True, text=True
        )
        if result.returncode:
            raise AssertionError(result.stderr)
        cls.stdout, cls.found = result.stdout, read(cls.output)

    def picture(self, *parts: str) -> np.ndarray:
        return np.asarray(Image.open(self.output.joinpath(*parts))).astype(float)

    def test_measures_and_outputs_of_the_test_split(self):
        generator = tiny_runs.read_generator(tiny_runs.shared_run())
        block = translator.load(self.run_folder).block
        errors = []
        for number in range(3):
            pixels = np.asarray(Image.open(self.data / "test" / f"test_{number}.png"))
            pixels = pixels.astype(np.float32) / 127.5 - 1.0
            source, target = pixels[:, :_SIZE], pixels[:, _SIZE:]
            z = noise.draw(block.noise_size_of(_SIZE, _SIZE), entropy=[5, number])
            fake = generator([source[np.newaxis], z[np.newaxis]])[0].numpy()
            fake = np.round((fake + 1) * 127.5) / 127.5 - 1  # As written: in 8 bits.
            errors.append(np.abs(fake - target).mean())
            mse = np.square(fake - target).mean()
            measured = self.found["per_image"][f"test_{number}"]
            self.assertAllClose(measured["l1"], errors[-1], rtol=1e-4)
            self.assertAllClose(measured["psnr"], 10 * np.log10(4.0 / mse), rtol=1e-4)
            for folder, expected in dict(inputs=source, outputs=fake, targets=target).items():
                written = self.picture(folder, f"test_{number}.png")
                self.assertAllClose(written, np.round((expected + 1) * 127.5), atol=1)
        self.assertAllClose(self.found["mean"]["l1"], np.mean(errors), rtol=1e-4)
        self.assertAllClose(
            self.found["standard_error"]["l1"], np.std(errors, ddof=1) / 3**0.5, rtol=1e-3
        )
        self.assertRegex(self.stdout, rf"l1 +{np.mean(errors):.4f} ")

    def test_says_what_was_measured_and_how(self):
        found = self.found
        about = dict(split="test", num_images=3, seed=5, direction="AtoB", step=20)
        self.assertContainsSubset(about, found)
        self.assertEqual(found["outputs"], dict(kind="model", name="run", step=20))
        self.assertCountEqual(found["versions"], ["pix2pix_tf", "tensorflow", "keras", "python"])
        # 32 pixels are enough for two scales of the five.
        self.assertEqual((found["size"], found["ms_ssim_scales"]), (_SIZE, 2))
        self.assertIn("2 of the 5 scales of ms_ssim", self.stdout)
        for name in ("colour.png", "spectrum.png"):
            self.assertGreater(self.picture(name).shape[1], 500)
        grid_shape = self.picture("grid.png").shape
        self.assertEqual(grid_shape, (22 + 3 * _SIZE + 2 * 4, 3 * _SIZE + 2 * 4, 3))

    def test_samples(self):
        self.assertEqual(self.found["draws"]["num_samples"], 3)
        folders = ("outputs", "samples/2", "samples/3")
        first, second, third = (self.picture(folder, "test_1.png") for folder in folders)
        pairs = [(first, second), (first, third), (second, third)]
        expected = np.mean([np.abs(x - y).mean() for x, y in pairs]) / 127.5
        self.assertGreater(expected, 0)
        self.assertAllClose(self.found["per_image"]["test_1"]["draws_l1"], expected)


class FakeModelTestCase(tf.test.TestCase):
    """For folders, splits and refusals: spares the loading of a model and the plots."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.data = write_pairs(folder / "data", train=1, val=2, test=3)
        cls.run_folder = folder / "run"
        cls.run_folder.mkdir()
        config = TrainConfig(crop_size=_SIZE, dataset=str(cls.data), direction="BtoA")
        config.save(cls.run_folder)

    def setUp(self):
        super().setUp()
        self.output = tiny_runs.temporary_folder(self) / "out"
        plots = {name: (section, lambda result: b"") for name, (section, _) in runner.PLOTS.items()}
        for patch in (
            mock.patch.object(translator, "load", load_fake),
            mock.patch.dict(runner.PLOTS, plots),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def run_command(self, *flags: str, exit_code: int = 0) -> command_line.Result:
        result = command_line.run(
            evaluate, f"--output={self.output}", "--feature_weights=none", *flags
        )
        self.assertEqual(result.exit_code, exit_code, result.stderr)
        return result

    def evaluate(self, *flags: str, exit_code: int = 0) -> command_line.Result:
        return self.run_command(f"--model={self.run_folder}", *flags, exit_code=exit_code)

    def evaluate_folder(self, folder, *flags: str, exit_code: int = 0) -> command_line.Result:
        common = (f"--outputs={folder}", f"--dataset={self.data}", "--direction=BtoA")
        return self.run_command(*common, *flags, exit_code=exit_code)


class EvaluateTest(FakeModelTestCase):
    def test_the_split_is_test_then_val_then_refused(self):
        data = self.output.with_name("data")
        shutil.copytree(self.data / "val", data / "val")
        self.evaluate(f"--dataset={data}")
        self.assertEqual(read(self.output)["split"], "val")
        (data / "val").rename(data / "train")
        result = self.evaluate(f"--dataset={data}", exit_code=2)
        self.assertRegex(result.stderr, "'test'.*: train")

    def test_a_model_and_the_files_that_it_wrote_have_the_same_scores(self):
        self.evaluate()
        of_model = read(self.output)
        outputs = self.output.rename(self.output.with_name("first")) / "outputs"
        self.evaluate_folder(outputs)
        of_files = read(self.output)
        for same in ("scores", "per_image", "colour", "sharpness", "across_inputs", "mean"):
            self.assertEqual(of_files[same], of_model[same])
        self.assertEqual(of_files["outputs"]["kind"], "folder")
        self.assertEqual((of_files["direction"], of_files["step"]), ("BtoA", None))

    def test_a_folder_of_the_targets_is_perfect(self):
        folder = tiny_runs.temporary_folder(self)
        for path in (self.data / "test").iterdir():
            with Image.open(path) as both:
                both.crop((0, 0, _SIZE, _SIZE)).save(folder / path.name)
        result = self.evaluate_folder(folder)
        found = read(self.output)
        scores = {name: score["value"] for name, score in found["scores"].items()}
        self.assertIsNone(scores.pop("psnr"))  # Infinite, which JSON does not have.
        self.assertEqual(scores.pop("l1"), 0.0)
        self.assertAllClose(
            scores.pop("across_inputs_l1"), found["scores"]["across_inputs_l1"]["ground_truth"]
        )
        self.assertEqual(set(scores), {"ssim", "ms_ssim", "colour_intersection", "sharpness"})
        self.assertAllClose(list(scores.values()), [1.0] * 4, atol=1e-5)
        self.assertRegex(result.stdout, r"psnr +none")

    def test_pairs_without_a_picture_are_left_out_and_named(self):
        folder = tiny_runs.temporary_folder(self)
        for name in ("test_1.png", "stranger.png"):
            Image.fromarray(np.zeros([_SIZE, _SIZE, 3], np.uint8)).save(folder / name)
        result = self.evaluate_folder(folder)
        found = read(self.output)
        self.assertEqual(list(found["per_image"]), ["test_1"])
        self.assertEqual(found["outputs"]["missing"], ["test_0", "test_2"])
        self.assertIsNone(found["across_inputs"])
        self.assertIsNone(found["standard_error"]["l1"])  # Of one picture nobody knows.
        self.assertNotIn("standard error", result.stdout)
        for text in (result.stdout, (self.output / "index.html").read_text()):
            self.assertIn("2 of 3 pairs", text)
            self.assertIn("stranger.png", text)

    def test_pairs_of_drawn_scenes_have_the_size_of_the_pictures(self):
        folder = tiny_runs.temporary_folder(self)
        Image.fromarray(np.zeros([64, 64, 3], np.uint8)).save(folder / "scene_2000000.png")
        self.evaluate_folder(folder, "--dataset=demo", "--direction=AtoB")
        found = read(self.output)
        self.assertEqual((found["size"], found["num_images"]), (64, 1))

    def test_pictures_of_an_earlier_evaluation_are_replaced(self):
        def pictures() -> list[str]:
            return sorted(
                str(path.relative_to(self.output)) for path in self.output.glob("**/*.png")
            )

        mine = self.output / "inputs" / "mine.png"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"mine")
        self.evaluate("--samples=3")
        (self.output / "confusion.png").touch()  # As of an evaluation of label maps.
        self.assertEqual(mine.read_bytes(), b"mine")  # No evaluation wrote it.
        self.assertIn("samples/3/test_0.png", pictures())
        (self.output / "outputs" / "notes.txt").write_text("mine")
        before = tiny_training.read_folder(self.output)
        with mock.patch.object(colour.ColourMeasure, "add", side_effect=InputError("x")):
            self.evaluate("--split=val", exit_code=2)
        self.assertEqual(tiny_training.read_folder(self.output), before)
        self.evaluate("--split=val")
        expected = [f"{x}/val_{i}.png" for x in ("inputs", "outputs", "targets") for i in (0, 1)]
        plots = runner.PLOTS.keys() - {"confusion.png"}  # Which is of label maps.
        self.assertEqual(pictures(), sorted([*expected, *plots, runner.GRID_FILE]))
        self.assertTrue((self.output / "outputs" / "notes.txt").exists())
        self.assertEmpty([x for x in self.output.iterdir() if x.name.startswith(".")])

    def test_the_segmenter_judges_outputs_and_photos(self):
        folder = tiny_segmenter.write_segmenter(self.output.with_name("segmenter"))
        maps = tiny_runs.temporary_folder(self)
        (maps / "test").mkdir()
        for number in range(3):
            class_map = Image.fromarray(np.full([_SIZE, _SIZE], 2 * number, np.uint8))
            class_map.save(maps / "test" / f"test_{number}.png")
        result = self.evaluate(f"--segmenter={folder}", f"--class_maps={maps}")
        found = read(self.output)
        self.assertEqual(found["fcn_score"]["labels"], "class maps")
        counted = np.sum(found["fcn_score"]["confusion_matrix"], axis=1)
        self.assertAllEqual(counted, [_SIZE**2 if kind in (0, 2, 4) else 0 for kind in range(12)])
        self.assertBetween(found["scores"]["class_iou"]["value"], 0.0, 1.0)
        self.assertIsNotNone(found["scores"]["class_iou"]["ground_truth"])
        self.assertEqual(found["distribution"]["feature_network"], "the segmenter")
        self.assertEqual(found["distribution"]["num_outputs"], 3)
        self.assertIn("segmenter_kernel_distance", found["scores"])
        self.assertIn("from scratch", result.stdout)

    def test_flags_that_do_not_go_together_are_refused(self):
        folder = ["--model=", "--dataset=x"]
        cases = [  # What is given, and what the message names.
            (["--model="], "--model"),
            ([f"--outputs={self.data}"], "--outputs"),
            (["--direction=AtoB"], "--direction"),
            (["--class_maps=x"], "--class_maps"),
            ([*folder, "--outputs=x", "--samples=2"], "--samples"),
            ([*folder, "--outputs=x", "--checkpoint=best"], "--checkpoint"),
            (["--model=", "--outputs=x"], "--dataset"),
        ]
        for name in ("inputs", "samples/2"):
            cases.append(([*folder, f"--outputs={self.output}/{name}"], f"{self.output}/{name}"))
        for flags, named in cases:
            with self.subTest(flags):
                result = self.evaluate(*flags, exit_code=2)
                self.assertStartsWith(result.stderr, "error: ")
                self.assertIn(named, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
        self.assertFalse(self.output.exists())


def largest_error(fake: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.abs(fake - target), axis=[1, 2, 3])


class RegisteredMetricTest(FakeModelTestCase):
    """A metric that is added from outside the package: one function and one call."""

    def setUp(self):
        super().setUp()
        self.enter_context(mock.patch.dict(metrics.METRICS))
        metrics.register(
            "largest_error",
            metrics.Metric(metrics.LESS, "largest difference, 0 to 2", largest_error),
        )

    def test_evaluate_reports_it(self):
        result = self.evaluate()
        found = read(self.output)
        values = [own["largest_error"] for own in found["per_image"].values()]
        score = found["scores"]["largest_error"]
        self.assertAllClose(score["value"], np.mean(values))
        self.assertEqual(score["better"], "less")
        page = (self.output / "index.html").read_text(encoding="utf-8")
        self.assertIn("largest difference, 0 to 2; less is better", page)
        self.assertIn('<option value="largest_error">', page)
        self.assertRegex(result.stdout, r"largest_error +\d\.\d{4}")
