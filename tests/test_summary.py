"""Tests of `pix2pix_tf.training.summary`."""

from __future__ import annotations

import pathlib
import types

import tensorflow as tf
import tiny_runs

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.training import summary


def describe(*, held_out: str | None = "val", **settings) -> list[str]:
    return summary.describe_run(
        TrainConfig(**{"precision": "bfloat16", **settings}),
        pathlib.Path("runs/x"),
        tf.distribute.get_strategy(),
        types.SimpleNamespace(num_pairs=2000, held_out=held_out, num_held_out=100),
    )


class SummaryTest(tf.test.TestCase):
    def test_data_devices_and_folder(self):
        data, devices, folder = describe(dataset="my/pairs", direction="BtoA")
        for expected in ("'my/pairs'", "BtoA", "2,000 training pairs", "100 held out (val)"):
            self.assertIn(expected, data)
        self.assertRegex(devices, r"1 x .*bfloat16")
        self.assertIn("'runs/x'", folder)

    def test_a_published_name_is_said_with_the_folder_that_was_found(self):
        folder = tiny_runs.temporary_folder(self)
        (folder / "facades" / "trainA").mkdir(parents=True)
        data = describe(dataset="facades", data_dir=str(folder))[0]
        self.assertIn(f"'facades' in '{folder.resolve() / 'facades'}'", data)
        self.assertIn("--dataset", describe()[0])  # For who forgot it, and trains on drawn scenes.

    def test_the_other_direction_than_the_papers(self):
        (note,) = describe(dataset="facades")[3:]
        self.assertRegex(note, "'facades' is BtoA.* AtoB")
        self.assertEqual(describe(dataset="facades", direction="BtoA")[3:], [])
        for direction in ("AtoB", "BtoA"):  # The paper has both.
            self.assertEqual(describe(dataset="maps", direction=direction)[3:], [])

    def test_what_is_held_out(self):
        (note,) = describe(held_out=None)[3:]
        self.assertIn("no val or test split", note)
        self.assertIn("none held out", describe(held_out=None)[0])
        (note,) = describe(held_out="test")[3:]
        self.assertIn("chosen on test", note)
        self.assertEqual(describe(held_out="test", best_metric="none")[3:], [])
