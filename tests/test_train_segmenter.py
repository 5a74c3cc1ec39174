"""Tests of `python -m pix2pix_tf.evaluation.train_segmenter` and of the training itself."""

from __future__ import annotations

import json
import subprocess
import sys
from unittest import mock

import command_line
import label_data
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_segmenter

from pix2pix_tf import signals
from pix2pix_tf.data import classes
from pix2pix_tf.evaluation import train_segmenter
from pix2pix_tf.evaluation.fcn_score import (
    confusion,
    fcn,
    segmenter,
    segmenter_data,
    segmenter_training,
)


def scored(wrong: int) -> dict:
    """Returns the scores of 30 pixels that are nearly all taken for class 0."""
    matrix = np.zeros([12, 12], np.int64)
    matrix[0, 0], matrix[1, 0], matrix[1, 1] = 20, wrong, 10 - wrong
    frequent = confusion.most_frequent_class(matrix, label_data.TABLE)
    return dict(confusion.scores(matrix), most_frequent_class=frequent)


class TrainSegmenterTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        label_data.write(cls.folder, train=8, val=2, test=3)

    def setUp(self):
        super().setUp()
        self.output = tiny_runs.temporary_folder(self) / "out"
        stub = mock.patch.object(fcn, "build_fcn", tiny_segmenter.build_stub)
        stub.start()
        self.addCleanup(stub.stop)

    def run_command(self, *flags: str) -> command_line.Result:
        return command_line.run(train_segmenter, f"--output={self.output}", *flags)

    def read_info(self) -> dict:
        return json.loads((self.output / segmenter.INFO).read_text())

    def flags(self, num_steps: int) -> list[str]:
        return [
            f"--dataset={self.folder / 'facades'}",
            f"--class_maps={self.folder / 'maps'}",
            "--crop_size=32",
            "--base_filters=2",
            "--batch_size=4",
            "--validate_every=2",
            f"--num_steps={num_steps}",
            "--precision=float32",
        ]

    def train(self, *flags: str, num_steps: int = 4) -> command_line.Result:
        return self.run_command(*self.flags(num_steps), *flags)

    def test_learns_and_says_what_it_learned(self):
        """The real network, in a process of its own."""
        command = [sys.executable, "-m", "pix2pix_tf.evaluation.train_segmenter"]
        command += [f"--output={self.output}", *self.flags(num_steps=100)]
        result = subprocess.run(
            [*command, "--validate_every=100", "--learning_rate=0.01"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        info = self.read_info()
        self.assertEqual(info["step"], 100)
        # The classes have colours of their own: better than one class everywhere.
        frequent = info["test"]["most_frequent_class"]
        self.assertGreater(info["test"]["per_pixel_accuracy"], frequent["share"] + 0.05)
        self.assertRegex(
            result.stdout, rf"test +per pixel accuracy {info['test']['per_pixel_accuracy']:.3f}"
        )
        self.assertIn(f"{frequent['name']}, the most frequent class", result.stdout)
        matrix = np.array(info["test"]["confusion_matrix"])
        self.assertEqual(matrix.sum(), 3 * 32 * 32)
        expected = confusion.scores(matrix)
        self.assertAllClose({name: info["test"][name] for name in expected}, expected)

    def test_the_best_on_val_is_kept(self):
        with mock.patch.object(
            segmenter_training, "score_photos", side_effect=[scored(9), scored(10)] * 2
        ):
            result = self.train()
        self.assertEqual(result.exit_code, 0, result.stderr)
        lines = [line for line in result.stdout.splitlines() if "val: " in line]
        self.assertEqual([line.endswith("kept") for line in lines], [True, False])
        self.assertEqual(self.read_info()["step"], 2)

    def test_goes_on_after_a_crash(self):
        with mock.patch.object(segmenter_training, "score_photos") as score:
            score.side_effect = [scored(9), MemoryError]
            with self.assertRaises(MemoryError):
                self.train()
        batches = mock.Mock(wraps=segmenter_data.training_batches)
        with mock.patch.object(segmenter_data, "training_batches", batches):
            result = self.run_command()  # The settings are those of the folder.
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("after step 2.", result.stdout)
        self.assertIn("step 4/4", result.stdout)
        self.assertEqual(batches.call_args.kwargs["start"], 2 * 4)  # Steps of four examples.

    def test_stops_when_asked_and_goes_on(self):
        def stopped(self):
            self.is_requested, self.reason = True, "SIGTERM"
            return self

        with mock.patch.object(signals.StopRequest, "__enter__", stopped):
            result = self.train()
        self.assertIn("Stopped by SIGTERM after step 1;", result.stdout)
        self.assertFalse((self.output / segmenter.INFO).exists())
        checkpoint = tf.train.latest_checkpoint(str(self.output / "checkpoint"))
        self.assertEndsWith(checkpoint, "-1")

    def test_what_has_learned_nothing_is_warned_of(self):
        for wrong, is_warned in ((10, True), (9, False)):
            info = dict(step=1, val=scored(wrong))
            with mock.patch.object(segmenter_training, "train", return_value=info):
                result = self.train()
            self.assertEqual(result.exit_code, 0, result.stderr)
            self.assertEqual("no better than the most frequent class" in result.stdout, is_warned)

    def test_other_settings_are_refused(self):
        self.train(num_steps=2)
        result = self.run_command("--learning_rate=0.5", "--seed=3")
        self.assertEqual(result.exit_code, 2)
        self.assertRegex(
            result.stderr, r"learning_rate \(was 0.001, now 0.5\); seed \(was 0, now 3\)"
        )
        path = self.output / segmenter_training.TRAINING
        path.write_text("{")
        self.assertRegex(self.run_command().stderr, "^error: .*training.json'")

    def test_classes_of_a_file_stay_those_that_it_began_with(self):
        path = self.output.with_name("kinds.json")
        kinds = classes.to_json(label_data.TABLE)
        path.write_text(json.dumps(kinds))
        own = ["--class_maps=", f"--classes={path}"]
        self.assertEqual(self.train(*own, num_steps=2).exit_code, 0)
        table = segmenter.load(self.output).classes
        self.assertEqual((table.name, table.classes), ("kinds", label_data.TABLE.classes))
        path.write_text(json.dumps(kinds[::-1]))
        self.run_command().check_refused(f"'{self.output}'", f"'{path}'")
        path.unlink()
        result = self.run_command()
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertEqual(segmenter.load(self.output).classes, table)

    def test_what_cannot_be_used_is_said_in_a_line(self):
        cases = {
            "--dataset=/data/maps": "'/data/maps'",
            "--crop_size=40": "crop_size is 40",
            f"--class_maps={self.folder}": f"'{self.folder / 'train'}/",
        }
        for flag, named in cases.items():
            result = self.train(flag)
            result.check_refused(named)

    def test_a_loss_that_is_not_finite_ends_it(self):
        result = self.train("--learning_rate=1e38")
        self.assertEqual(result.exit_code, 3, result.stdout)
        self.assertRegex(result.stderr, "^error: A loss was not finite at step")
