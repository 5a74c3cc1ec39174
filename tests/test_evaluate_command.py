"""Tests of `python -m pix2pix_tf.evaluate` and of how its parts go together."""

from __future__ import annotations

import hashlib
import json
import shutil
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_segmenter
from PIL import Image

from pix2pix_tf import evaluate, serving, translate
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import features, runner
from pix2pix_tf.evaluation.fcn_score import segmenter
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

    def test_a_folder_that_cannot_be_made_is_refused_first(self):
        self.output.touch()
        result = self.evaluate(model=self.output.parent / "no run")
        self.assertEqual(result.exit_code, 2)
        self.assertStartsWith(result.stderr, f"error: '{self.output}' cannot be made: a file is")

    def test_measures_and_outputs_of_the_test_split(self):
        result = self.evaluate("--seed=5")
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = self.read()
        translate = translator.load(self.run_folder)
        errors = []
        for number in range(3):
            target, source = read_pair(self.data / "test" / f"test_{number}.png")  # BtoA.
            # As written: in 8 bits.
            fake = np.round((translate(source, seed=5, sample=number) + 1) * 127.5) / 127.5 - 1
            errors.append(np.abs(fake - target).mean())
            mse = np.square(fake - target).mean()
            measured = found["per_image"][f"test_{number}"]
            self.assertAllClose(measured["l1"], errors[-1], rtol=1e-4)
            self.assertAllClose(measured["psnr"], 10 * np.log10(4.0 / mse), rtol=1e-4)
            written = np.asarray(Image.open(self.output / "outputs" / f"test_{number}.png"))
            self.assertAllClose(written, np.round((fake + 1) * 127.5), atol=1)
        self.assertAllClose(found["mean"]["l1"], np.mean(errors), rtol=1e-4)
        self.assertAllClose(
            found["standard_error"]["l1"], np.std(errors, ddof=1) / 3**0.5, rtol=1e-3
        )
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

    def evaluate_folder(self, folder, *flags: str) -> command_line.Result:
        return command_line.run(
            evaluate,
            f"--outputs={folder}",
            f"--output={self.output}",
            f"--dataset={self.data}",
            "--direction=BtoA",
            "--feature_weights=none",
            *flags,
        )

    def test_a_model_and_the_files_that_it_wrote_have_the_same_scores(self):
        self.assertEqual(self.evaluate().exit_code, 0)
        of_model = self.read()
        outputs = self.output.rename(self.output.with_name("first")) / "outputs"
        result = self.evaluate_folder(outputs)
        self.assertEqual(result.exit_code, 0, result.stderr)
        of_files = self.read()
        for same in ("scores", "per_image", "colour", "sharpness", "across_inputs", "mean"):
            self.assertEqual(of_files[same], of_model[same])
        self.assertEqual(of_files["outputs"]["kind"], "folder")
        self.assertEqual((of_files["direction"], of_files["step"]), ("BtoA", None))

    def test_a_folder_of_the_targets_is_perfect(self):
        folder = tiny_runs.temporary_folder(self)
        for number in range(3):
            name = f"test_{number}.png"
            with Image.open(self.data / "test" / name) as both:
                both.crop((0, 0, _SIZE, _SIZE)).save(folder / name)
        result = self.evaluate_folder(folder)
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = self.read()
        scores = {name: score["value"] for name, score in found["scores"].items()}
        self.assertIsNone(scores.pop("psnr"))  # Infinite, which JSON does not have.
        self.assertEqual(scores.pop("l1"), 0.0)
        self.assertAllClose(
            scores.pop("across_inputs_l1"), found["scores"]["across_inputs_l1"]["ground_truth"]
        )
        self.assertEqual(set(scores), {"ssim", "ms_ssim", "colour_intersection", "sharpness"})
        self.assertAllClose(list(scores.values()), [1.0] * 4, atol=1e-5)
        self.assertRegex(result.stdout, r"psnr +none")

    def test_a_model_of_12_bits_and_the_files_that_it_wrote(self):
        folder = tiny_runs.temporary_folder(self)
        random = np.random.RandomState(0)
        for side, most, dtype in (("A", 256, np.uint8), ("B", 4096, np.uint16)):
            (folder / "data" / "test" / side).mkdir(parents=True)
            for number in range(2):
                values = random.randint(0, most, [_SIZE, _SIZE, 3]).astype(dtype)
                path = folder / "data" / "test" / side / f"{number}.png"
                path.write_bytes(tf.io.encode_png(values).numpy())
        run = folder / "run"
        data = str(folder / "data")
        # Without noise, since the draws of the two commands are not the same.
        tiny_runs.write_run(run, dataset=data, output_range="0,4095", dropout=0.0)
        result = command_line.run(
            *(translate, f"--model={run}", f"--input={data}/test/A", f"--output={folder}/out")
        )
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertEqual(self.evaluate(model=run).exit_code, 0)
        of_model = self.read()["mean"]
        common = (f"--dataset={data}", "--direction=AtoB")
        result = self.evaluate_folder(f"{folder}/out", *common, "--outputs_range=0,4095")
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertNotIn("16 bits", result.stdout)
        self.assertAllClose(self.read()["mean"], of_model, rtol=1e-3, atol=1e-3)
        self.assertGreater(of_model["l1"], 0.3)
        result = self.evaluate_folder(f"{folder}/out", *common)
        self.assertIn("note: 2 of 2 pictures have 16 bits", result.stdout)
        self.assertLess(self.read()["mean"]["l1"], 0.1)  # Of values that are nearly black.

    def test_pairs_that_are_arrays_need_the_model(self):
        folder = tiny_runs.temporary_folder(self)
        for side in "AB":
            (folder / "test" / side).mkdir(parents=True)
            np.save(folder / "test" / side / "a.npy", np.zeros([_SIZE, _SIZE, 5], np.uint16))
        result = self.evaluate_folder(folder, f"--dataset={folder}")
        self.assertEqual(result.exit_code, 2)
        (line,) = result.stderr.splitlines()
        self.assertRegex(line, "^error: '.*a.npy' is an array, .* Give --model, which says the ch")

    def test_pairs_without_a_picture_are_left_out_and_named(self):
        folder = tiny_runs.temporary_folder(self)
        for name in ("test_1.png", "stranger.png"):
            Image.fromarray(np.zeros([_SIZE, _SIZE, 3], np.uint8)).save(folder / name)
        result = self.evaluate_folder(folder)
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = self.read()
        self.assertEqual(list(found["per_image"]), ["test_1"])
        self.assertEqual(found["outputs"]["missing"], ["test_0", "test_2"])
        self.assertIsNone(found["across_inputs"])
        self.assertIsNone(found["standard_error"]["l1"])  # Of one picture nobody knows.
        self.assertNotIn("standard error", result.stdout)
        self.assertIn("note: 2 of 3 pairs have no picture and are left out: ", result.stdout)
        self.assertIn("'stranger.png'", result.stdout)
        self.assertIn("2 of 3 pairs have no picture", (self.output / "index.html").read_text())

    def test_pairs_of_drawn_scenes_have_the_size_of_the_pictures(self):
        folder = tiny_runs.temporary_folder(self)
        Image.fromarray(np.zeros([64, 64, 3], np.uint8)).save(folder / "scene_2000000.png")
        result = self.evaluate_folder(folder, "--dataset=demo", "--direction=AtoB")
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertEqual((self.read()["size"], self.read()["num_images"]), (64, 1))

    def test_samples(self):
        result = self.evaluate("--samples=3")
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = self.read()
        self.assertEqual(found["draws"]["num_samples"], 3)
        draws = []
        for folder in ("outputs", "samples/2", "samples/3"):
            with Image.open(self.output / folder / "test_1.png") as picture:
                draws.append(np.asarray(picture).astype(float))
        pairs = [(0, 1), (0, 2), (1, 2)]
        expected = np.mean([np.abs(draws[i] - draws[j]).mean() for i, j in pairs]) / 127.5
        self.assertGreater(expected, 0)
        self.assertAllClose(found["per_image"]["test_1"]["draws_l1"], expected)
        page = (self.output / "index.html").read_text(encoding="utf-8")
        self.assertIn('src="samples/3/test_1.png"', page)

    def test_pictures_of_an_earlier_evaluation_are_replaced(self):
        def pictures() -> list[str]:
            return sorted(
                str(path.relative_to(self.output)) for path in self.output.glob("**/*.png")
            )

        self.assertEqual(self.evaluate("--samples=3").exit_code, 0)
        self.assertIn("samples/3/test_0.png", pictures())
        (self.output / "outputs" / "notes.txt").write_text("mine")
        before = (self.output / "outputs" / "test_0.png").read_bytes()
        with mock.patch.object(runner, "measure", side_effect=InputError("x")):
            self.assertEqual(self.evaluate("--split=val").exit_code, 2)
        self.assertIn("samples/3/test_0.png", pictures())
        self.assertEqual((self.output / "outputs" / "test_0.png").read_bytes(), before)
        self.assertEqual(self.evaluate("--split=val").exit_code, 0)
        expected = [f"{x}/val_{i}.png" for x in ("inputs", "outputs", "targets") for i in (0, 1)]
        self.assertEqual(pictures(), sorted([*expected, *runner.PLOTS, runner.GRID_FILE]))
        self.assertFalse((self.output / "samples" / "3").exists())
        self.assertTrue((self.output / "outputs" / "notes.txt").exists())
        self.assertEmpty([x for x in self.output.iterdir() if x.name.startswith(".")])

    def test_pictures_that_no_evaluation_wrote_are_left_alone(self):
        mine = self.output / "inputs" / "mine.png"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"mine")
        self.assertEqual(self.evaluate().exit_code, 0)
        self.assertEqual(mine.read_bytes(), b"mine")

    def test_says_what_was_measured_and_how(self):
        result = self.evaluate("--seed=2")
        found = self.read()
        self.assertEqual(found["outputs"], dict(kind="model", name="run", step=None))
        self.assertCountEqual(found["versions"], ["pix2pix_tf", "tensorflow", "keras", "python"])
        # 32 pixels are enough for two scales of the five.
        self.assertEqual((found["size"], found["ms_ssim_scales"]), (_SIZE, 2))
        self.assertIn("note: Images of this size have 2 of the 5 scales of ms_ssim.", result.stdout)
        self.assertEqual(found["scores"]["l1"]["value"], found["mean"]["l1"])
        self.assertEqual(found["scores"]["sharpness"]["better"], "near 1")
        for name in ("colour.png", "spectrum.png"):
            with Image.open(self.output / name) as picture:
                self.assertGreater(picture.width, 500)

    def test_the_segmenter_judges_outputs_and_photos(self):
        folder = tiny_segmenter.write_segmenter(self.output.with_name("segmenter"))
        result = self.evaluate(f"--segmenter={folder}")
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = self.read()
        self.assertEqual(found["fcn_score"]["labels"], "nearest colours of the inputs")
        self.assertBetween(found["scores"]["class_iou"]["value"], 0.0, 1.0)
        self.assertIsNotNone(found["scores"]["class_iou"]["ground_truth"])
        self.assertEqual(found["distribution"]["feature_network"], "the segmenter")
        self.assertEqual(found["distribution"]["num_outputs"], 3)
        digest = hashlib.sha256((folder / segmenter.WEIGHTS).read_bytes()).hexdigest()
        self.assertEqual(found["fcn_score"]["segmenter"]["step"], 40)
        self.assertEqual(found["fcn_score"]["segmenter"]["weights_sha256"], digest)
        self.assertEqual(found["distribution"]["weights_sha256"], digest)
        self.assertIn("segmenter_kernel_distance", found["scores"])
        self.assertIn("whose weights are from scratch", result.stdout)
        maps = tiny_runs.temporary_folder(self)
        result = self.evaluate(f"--segmenter={folder}", f"--class_maps={maps}")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("of class maps", result.stderr)

    def test_fid_comes_with_its_note(self):
        network = mock.Mock(origin="ImageNet", digest=None, frechet_name="fid", kernel_name="kid")
        network.name = "Inception"
        network.features = lambda pictures: pictures.mean(axis=(1, 2))
        with mock.patch.object(features, "find", return_value=(network, [])):
            result = self.evaluate()
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("note: FID and KID are of 3 outputs and 3 targets, by Incep", result.stdout)

    def test_flags_that_do_not_go_together_are_refused(self):
        cases = {
            "Give either --model, a run folder": ["--model="],
            "Give either --model": [f"--outputs={self.data}"],
            "--direction is of --outputs": ["--direction=AtoB"],
            "--outputs_suffix is of --outputs": ["--outputs_suffix=_x"],
            "--outputs_range is of --outputs": ["--outputs_range=0,4095"],
            "--color_space is of --outputs": ["--color_space=lab"],
            "--class_maps is for the FCN-score": ["--class_maps=x"],
            "--metric is what --checkpoints=all": ["--metric=psnr"],
            "Give one of the flags": ["--checkpoints=all", "--checkpoint=best"],
            "--samples is of a model": ["--model=", "--outputs=x", "--samples=2"],
            "--checkpoint is of a model": ["--model=", "--outputs=x", "--checkpoint=best"],
            "--outputs needs --dataset": ["--model=", "--outputs=x"],
            "--metric=class_iou needs --segmenter": ["--checkpoints=all", "--metric=class_iou"],
            "--metric=segmenter_kernel_distance needs --segmenter": [
                *("--checkpoints=all", "--metric=segmenter_kernel_distance"),
            ],
        }
        for folder in ("inputs", "outputs", "targets", "samples/2"):
            cases[f"{folder}' is where --output would write"] = [
                *("--model=", "--dataset=x"),
                f"--outputs={self.output}/{folder}",
            ]
        for message, flags in cases.items():
            with self.subTest(message):
                result = self.evaluate(*flags)
                self.assertEqual(result.exit_code, 2)
                self.assertStartsWith(result.stderr, "error: ")
                self.assertIn(message, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
        self.assertFalse(self.output.exists())


class CheckpointsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        folder = tiny_runs.temporary_folder(self)
        self.run_folder, self.output = folder / "run", folder / "out"
        for split in ("val", "test"):
            path = folder / "data" / split
            path.mkdir(parents=True)
            for number in range(2):
                pixels = np.random.RandomState(number).randint(0, 256, [_SIZE, 2 * _SIZE, 3])
                Image.fromarray(pixels.astype(np.uint8)).save(path / f"{split}_{number}.png")
        tiny_runs.write_run(self.run_folder, dataset=str(folder / "data"))
        for step in (10, 20, 30):
            tiny_runs.write_run(folder / f"of_{step}", seed=step)
            path = self.run_folder / checkpoints.FOLDER / f"step_{step:08d}"
            path.mkdir(parents=True)
            shutil.copy(folder / f"of_{step}" / checkpoints.GENERATOR_WEIGHTS, path)

    def evaluate(self, *flags: str) -> command_line.Result:
        return command_line.run(
            evaluate,
            f"--model={self.run_folder}",
            f"--output={self.output}",
            "--feature_weights=none",
            *flags,
        )

    def read(self, name: str) -> dict:
        return json.loads((self.output / name).read_text(encoding="utf-8"))

    def test_all_are_scored_and_the_best_is_evaluated(self):
        result = self.evaluate("--checkpoints=all", "--metric=psnr")
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = self.read("checkpoints.json")
        self.assertEqual(list(found["scores"]), ["10", "20", "30"])
        values = {int(step): x["psnr"]["value"] for step, x in found["scores"].items()}
        self.assertEqual(found["best_step"], max(values, key=values.get))
        # Choosing on test would make test no fair measure of what was chosen.
        self.assertEqual((found["split"], found["num_images"]), ("val", 2))
        of_best = self.read("evaluation.json")
        self.assertEqual(of_best["step"], found["best_step"])
        self.assertEqual(of_best["scores"], found["scores"][str(found["best_step"])])
        self.assertRegex(result.stdout, rf"\n +{found['best_step']} .* best\n")
        self.assertIn(f"Best by psnr: step {found['best_step']}.", result.stdout)

    def test_the_best_by_a_score_of_which_less_is_better(self):
        self.assertEqual(self.evaluate("--checkpoints=all").exit_code, 0)
        found = self.read("checkpoints.json")
        values = {int(step): x["l1"]["value"] for step, x in found["scores"].items()}
        self.assertEqual((found["metric"], found["best_step"]), ("l1", min(values, key=values.get)))

    def test_a_score_that_is_not_measured_is_refused(self):
        # Before anything was measured, which would be for nothing.
        result = self.evaluate("--checkpoints=all", "--metric=class_iou")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertIn("--metric=class_iou needs --segmenter", result.stderr)
        result = self.evaluate("--checkpoints=all", "--metric=kid")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertIn("'kid', which is not measured here", result.stderr)
        result = self.evaluate("--checkpoints=all", "--metric=draws_l1")
        self.assertEqual(result.exit_code, 2)

    def test_a_run_without_checkpoints_is_refused(self):
        shutil.rmtree(self.run_folder / checkpoints.FOLDER)
        result = self.evaluate("--checkpoints=all")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("has no checkpoints", result.stderr)


if __name__ == "__main__":
    tf.test.main()
