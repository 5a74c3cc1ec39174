"""Tests of `pix2pix_tf.training.known_data`, `pix2pix_tf.data.contents` and what they spare."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shutil
from unittest import mock

import tensorflow as tf
import tiny_runs
import tiny_training
from refusals import refused

from pix2pix_tf import run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pipeline
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.training import inputs, known_data, loop, reports


class FoundAgainTest(tf.test.TestCase):
    """A run on four pairs, as far as its data go."""

    def setUp(self):
        super().setUp()
        folder = tiny_runs.temporary_folder(self)
        self.folder, self.run_folder = folder, folder / "run"
        self.run_folder.mkdir()
        self.data = tiny_training.write_pairs(folder / "data", train=4)
        self.saved = tiny_training.make_config(dataset=str(self.data))
        self.note(self.saved)

    def note(self, config: TrainConfig) -> str:
        """Does what a run does with its data; returns what it says."""
        known = run_folder.read_data(self.run_folder)
        given = inputs.open_inputs(config, None, known_data.find(config))
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            given.read_all(known)
        path = self.run_folder / run_folder.DATA_FILE
        path.write_text(json.dumps(given.notes(known)), encoding="utf-8")
        return stdout.getvalue()

    def find_again(self, dataset: str = "") -> tuple[str, str]:
        """Returns the data set with which the run goes on, and what is said of it."""
        asked = dataclasses.replace(self.saved, dataset=dataset or self.saved.dataset)
        config, found, words = known_data.find_again(self.saved, asked, self.run_folder)
        self.assertEqual(found, known_data.find(config))
        return config.dataset, " ".join(words)

    def add(self, split: str, count: int) -> None:
        (self.data / split).mkdir(exist_ok=True)
        for number in range(count):
            copied = self.data / "train" / "pair_0.png"
            shutil.copy(copied, self.data / split / f"added_{number}.png")

    def test_one_folder_has_many_names(self):
        os.symlink(self.data, self.folder / "link")
        for name in (f"{self.data}/", f"{self.folder}/./data", f"{self.folder}/link"):
            self.assertEqual(self.find_again(name), (name, ""))
            (self.run_folder / run_folder.DATA_FILE).rename(self.folder / "kept")
            # Of an earlier version.
            self.assertEqual(self.find_again(name), (name, ""))
            self.saved = dataclasses.replace(self.saved, dataset=name)
            self.assertEqual(self.find_again(str(self.data)), (str(self.data), ""))
            (self.folder / "kept").rename(self.run_folder / run_folder.DATA_FILE)

    def test_moved_data_are_asked_for_and_go_on_where_they_are(self):
        moved = self.folder / "My Drive [2]"
        self.data.rename(moved)
        with refused(self.data, "--dataset=NEW", self.run_folder, kind=MissingInputError):
            self.find_again()
        dataset, words = self.find_again(str(moved))
        self.assertEqual(dataset, str(moved))
        self.assertIn(f"was in '{self.data}'", words)
        self.assertNotIn("bit", words)
        self.saved = dataclasses.replace(self.saved, dataset=dataset)
        self.note(self.saved)
        moved.rename(self.data)  # As on a machine where it was before.
        self.assertEqual(self.find_again()[0], str(self.data))

    def test_more_and_fewer_pairs_go_on_after_a_word(self):
        self.add("train", 5)
        (self.data / "train" / "pair_3.png").unlink()
        shutil.copy(self.data / "train" / "pair_0.png", self.data / "train" / "pair_1.png")
        with open(self.data / "train" / "pair_1.png", "ab") as file:
            file.write(b"\0")
        words = self.find_again()[1]
        self.assertIn("train has 8 pairs, before it had 4: 1 are gone, 5 are new, 1 have", words)
        self.assertIn("no longer the same to the bit", words)

    def test_a_val_that_came_later_is_told(self):
        self.add("val", 2)
        self.assertIn("val is new, with 2 pairs", self.find_again()[1])
        self.assertNotIn("bit", self.find_again()[1])

    def test_another_data_set_is_refused(self):
        other = tiny_training.write_pairs(self.folder / "other", train=6)
        for path in (other / "train").iterdir():  # The names of everybody's data sets.
            path.write_bytes(path.read_bytes() + b"\0")
        with refused("was", self.data, other, "4 of its 4", "0 by name and size"):
            self.find_again(str(other))
        for path in (other / "train").iterdir():
            path.rename(path.with_name(f"new_{path.name}"))
        with refused(f"dataset (was '{self.data}', now '{other}')", "0 of its 4"):
            self.find_again(str(other))
        shutil.rmtree(self.data)
        other.rename(self.data)
        with refused("0 of its 4", "another --workdir"):
            self.find_again()
        (self.run_folder / run_folder.DATA_FILE).write_text("{}")
        self.data.rename(other)
        self.data.mkdir()
        with refused(f"(was '{self.data}', now '{other}')"):
            self.find_again(str(other))

    def test_files_that_did_not_change_are_not_read_again(self):
        with mock.patch.object(pipeline.PairReader, "read_all", side_effect=AssertionError):
            said = self.note(self.saved)
            self.assertIn("no file has changed", said)
            self.assertIn("A (the input): 4 of 36x36", said)

    def test_what_changed_is_read_again(self):
        def is_read(**settings) -> bool:
            return "Reading all" in self.note(dataclasses.replace(self.saved, **settings))

        self.assertFalse(is_read())
        os.utime(self.data / "train" / "pair_2.png", ns=(1, 1))
        self.assertTrue(is_read())
        self.assertFalse(is_read())
        self.add("val", 1)
        self.assertTrue(is_read())
        self.assertTrue(is_read(input_channels=1))
        self.assertFalse(is_read(check_data=False))
        (self.run_folder / run_folder.DATA_FILE).write_text('{"folders": [')
        self.assertTrue(is_read())

    def test_the_form_of_the_pairs_is_noted(self):
        known = run_folder.read_data(self.run_folder)
        self.assertEqual((known["files_per_pair"], known["pair_file_size"]), (1, [72, 36]))
        for side in "AB":
            shutil.copytree(self.data / "train", self.data / f"train{side}")
        self.note(self.saved)
        known = run_folder.read_data(self.run_folder)
        self.assertEqual((known["files_per_pair"], known["pair_file_size"]), (2, None))


class MovedRunTest(tf.test.TestCase):
    def test_moved_data_go_on_to_the_bit_and_a_late_val_gives_a_best(self):
        self.enter_context(tiny_training.stub_networks())
        self.enter_context(mock.patch.object(reports, "plot_losses"))
        folder = tiny_runs.temporary_folder(self)
        data = tiny_training.write_pairs(folder / "data", train=3)

        def train(name: str, dataset, **settings) -> str:
            few = dict(gan_loss="none", num_samples=1, num_evaluated=1)
            config = tiny_training.make_config(dataset=str(dataset), **few, **settings)
            with contextlib.redirect_stdout(io.StringIO()) as stdout:
                loop.train(config, folder / name)
            return stdout.getvalue()

        train("whole", data, num_steps=4)
        train("run", data, num_steps=2)
        moved = data.rename(folder / "my data")
        self.assertIn("no file has changed", train("run", moved, num_steps=4))
        self.assertEqual(TrainConfig.load(folder / "run").dataset, str(moved))
        found, expected = (
            tiny_training.saved_variables(folder / name) for name in ("run", "whole")
        )
        self.assertEqual([x.tobytes() for x in found], [x.tobytes() for x in expected])
        self.assertIsNone(run_folder.read_best(folder / "run"))
        shutil.copytree(moved / "train", moved / "val")
        self.assertIn("val is new", train("run", moved, num_steps=5))
        self.assertEqual(run_folder.read_best(folder / "run")["step"], 5)
