"""Tests of `pix2pix_tf.training.checkpoints`: what is saved, and what a damaged one does."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shutil
import tempfile

import file_faults
import keras
import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import parameterized

from pix2pix_tf import keras_compat, run_folder
from pix2pix_tf.errors import InputError, WriteError
from pix2pix_tf.training.checkpoints import CheckpointManager, Measure
from pix2pix_tf.training.state import TrainState

_CONFIG = tiny_training.make_config(precision="float16", decay_steps=10, num_steps=100)


def all_variables(state: TrainState) -> list[tf.Variable]:
    """Returns every variable that TensorFlow finds by walking through a state."""
    found = tf.train.TrackableView(state).descendants()
    if keras_compat.IS_KERAS_3:  # Whose variables wrap TensorFlow's.
        found = [item.value if isinstance(item, keras.Variable) else item for item in found]
    found = [item for item in found if isinstance(item, tf.Variable)]
    return list({id(variable): variable for variable in found}.values())


def fill(state: TrainState, *, seed: int) -> None:
    """Gives every variable another value."""
    random = np.random.RandomState(seed)
    for variable in all_variables(state):
        if variable.dtype == tf.bool:
            continue
        value = random.randint(1, 1000, variable.shape)
        variable.assign(tf.cast(value, variable.dtype))


def values(state: TrainState) -> list[np.ndarray]:
    return [variable.numpy() for variable in all_variables(state)]


class CheckpointTestCase(tf.test.TestCase, parameterized.TestCase):
    """Has one state, of networks of two layers, for all tests; a new run folder for each."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enter_context(tiny_training.stub_networks())
        cls.state = TrainState(_CONFIG)

    def setUp(self):
        super().setUp()
        self.workdir = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

    def manager(self, *, keep=2) -> CheckpointManager:
        return CheckpointManager(self.state, self.workdir, keep=keep)

    def save(self, *steps, keep=2, metrics=None, larger_is_better=False, split="val"):
        """Saves steps, with all variables holding values that follow from the step."""
        for step in steps:
            fill(self.state, seed=step)
            self.state.step.assign(step)
            measure = Measure("l1", split, metrics[step], larger_is_better) if metrics else None
            self.manager(keep=keep).save(measure)

    def keep_copy(self) -> None:
        """Keeps the run folder as it is, for `put_copy_back`."""
        self.copy = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory())) / "run"
        shutil.copytree(self.workdir, self.copy)

    def put_copy_back(self) -> None:
        shutil.rmtree(self.workdir)
        shutil.copytree(self.copy, self.workdir)

    def steps(self) -> list[int]:
        """Returns the steps of the checkpoints that are there."""
        return [int(path.name[5:]) for path in run_folder.list_checkpoints(self.workdir)]

    def folder(self, step: int) -> pathlib.Path:
        return self.workdir / "checkpoints" / f"step_{step:08d}"

    def assert_restores(self, step: int) -> None:
        """Restores the newest, and finds the values of `save(step)`."""
        fill(self.state, seed=step)
        self.state.step.assign(step)
        expected = values(self.state)
        fill(self.state, seed=99)
        self.assertEqual(self.manager().restore_newest(), step)
        for found, wanted in zip(values(self.state), expected):
            self.assertAllEqual(found, wanted)


class WholeStateTest(tf.test.TestCase):
    """On networks with all that they may have: statistics, vectors of spectral norm, scales."""

    def test_a_new_object_gets_every_variable(self):
        workdir = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.enter_context(tiny_training.plain_convolutions())
        config = dataclasses.replace(_CONFIG, spectral_norm=True)
        state = TrainState(config)
        variables = all_variables(state)
        weights = state.generator.trainable_variables + state.discriminator.trainable_variables
        self.assertGreaterEqual(len(variables), 3 * len(weights) + 4)
        fill(state, seed=1)
        state.step.assign(7)
        CheckpointManager(state, workdir, keep=1).save()
        other = TrainState(config)
        fill(other, seed=2)
        self.assertEqual(CheckpointManager(other, workdir, keep=1).restore_newest(), 7)
        for found, wanted in zip(values(other), values(state)):
            self.assertAllEqual(found, wanted)
        for found, wanted in (
            (other.generator_optimizer, state.generator_optimizer),
            (other.discriminator_optimizer, state.discriminator_optimizer),
        ):
            self.assertEqual(found.loss_scale, wanted.loss_scale)
            self.assertNotEqual(found.loss_scale, 2.0**15)  # A new optimizer's.
        path = workdir / "checkpoints" / "step_00000007" / "state"
        names = [name for name, _ in tf.train.list_variables(str(path))]
        entries = [name for name in names if name.endswith("VARIABLE_VALUE")]
        self.assertLen(entries, len(variables))


class SaveTest(CheckpointTestCase):
    def test_the_order_is_that_of_the_steps_not_of_their_names(self):
        self.save(99_999_998, 99_999_999, 100_000_000, keep=2)  # The newest are kept.
        self.assertEqual(self.steps(), [99_999_999, 100_000_000])
        self.assert_restores(100_000_000)
        # A damaged one that is later goes.
        self.save(99_999_999)
        self.assertEqual(self.steps(), [99_999_999])

    @parameterized.named_parameters(
        ("smaller", False, {10: 0.5, 20: 0.2, 30: 0.4, 40: 0.3}),
        ("larger", True, {10: 0.5, 20: 0.9, 30: 0.4, 40: 0.3}),
        ("a_tie_stays_with_the_first", False, {10: 0.5, 20: 0.2, 30: 0.2, 40: 0.3}),
        ("nan_is_never_best", True, {10: 0.5, 20: 0.9, 30: float("nan"), 40: 0.3}),
    )
    def test_the_best_is_kept_beside_the_newest(self, larger_is_better, metrics):
        self.save(*metrics, keep=1, metrics=metrics, larger_is_better=larger_is_better)
        self.assertEqual(self.steps(), [20, 40])
        best = run_folder.read_best(self.workdir)
        self.assertEqual((best["step"], best["metric"], best["value"]), (20, "l1", metrics[20]))

    def test_another_metric_and_other_pairs_start_anew(self):
        self.save(10, metrics={10: 0.1}, split="test")
        self.save(20, metrics={20: 0.2}, split="val")
        best = run_folder.read_best(self.workdir)
        self.assertEqual((best["step"], best["split"]), (20, "val"))
        self.state.step.assign(30)
        self.manager().save(Measure("psnr", "val", 0.01, larger_is_better=True))
        self.assertEqual(run_folder.read_best(self.workdir)["step"], 30)

    @parameterized.named_parameters(("cut", "{"), ("of_another_kind", "[]"), ("without", "{}"))
    def test_a_damaged_note_of_the_best_stops_nothing(self, text):
        self.save(10, metrics={10: 0.1})
        (self.workdir / "checkpoints" / "best.json").write_text(text, encoding="utf-8")
        self.assertIsNone(run_folder.read_best(self.workdir))
        self.save(20, metrics={20: 0.5})
        self.assertEqual(run_folder.read_best(self.workdir)["step"], 20)

    def test_run_folder_has_the_newest_networks(self):
        self.save(10, 20)
        last = run_folder.find_weights(self.workdir, weights=run_folder.LAST)[0]
        models = [
            (self.workdir / "generator.weights.h5", self.state.average),
            (self.workdir / "discriminator.weights.h5", self.state.discriminator),
            (last, self.state.generator),
        ]
        wanted = [(path, model, model.get_weights()) for path, model in models]
        fill(self.state, seed=3)
        for path, model, weights in wanted:
            model.load_weights(str(path))
            for found, weight in zip(model.get_weights(), weights):
                self.assertAllEqual(found, weight)
        left = [path.name for path in self.workdir.iterdir() if path.name.startswith(".")]
        self.assertEmpty(left)

    def test_without_averages_there_is_one_file_of_the_generator(self):
        config = dataclasses.replace(_CONFIG, ema_decay=0.0)
        config.save(self.workdir)
        state = TrainState(config)
        CheckpointManager(state, self.workdir, keep=1).save()
        paths = [run_folder.find_weights(self.workdir, weights=x)[0] for x in run_folder.WEIGHTS]
        self.assertEqual(paths[0], paths[1])
        self.assertNotIn("generator_last.weights.h5", "".join(os.listdir(paths[0].parent)))


class KilledTest(CheckpointTestCase):
    """Ends `save` at each of its operations on files; SIGKILL itself has test_killed_runs.py."""

    def saved_files(self) -> dict[str, str]:
        """Returns digests of what a reader of the run folder can see."""
        found = tiny_training.read_folder(self.workdir)
        return {name: digest for name, digest in found.items() if "/." not in f"/{name}"}

    def test_what_a_killed_save_leaves_is_the_old_state_or_the_new_one(self):
        metrics = {10: 0.3, 20: 0.5, 30: 0.2}  # Step 30 becomes the best, and 10 and 20 go.
        seen, number = [], 0
        self.save(10, 20, keep=1, metrics=metrics)
        old = self.saved_files()
        self.keep_copy()
        while True:
            number += 1
            self.put_copy_back()
            with file_faults.kill_at(number, self.workdir) as operations:
                try:
                    self.save(30, keep=1, metrics=metrics)
                except file_faults.KilledError:
                    pass
            if operations.count < number:
                break  # It came to its end.
            for folder in run_folder.list_checkpoints(self.workdir):
                self.assertLen(list(folder.iterdir()), 5, folder)  # None of them is a part.
            fill(self.state, seed=99)
            step = self.manager(keep=1).restore_newest()
            self.manager(keep=1).finish()
            seen.append((step, self.saved_files()))
            left = [path for path in self.workdir.rglob(".*") if path.is_dir()]
            self.assertEmpty(left)
        self.save(30, keep=1, metrics=metrics)
        expected = {20: old, 30: self.saved_files()}
        self.assertEqual(self.steps(), [30])
        self.assertEqual(run_folder.read_best(self.workdir)["step"], 30)
        for step, found in seen:
            self.assertEqual(found, expected[step], f"after step {step}")
        # A good many of both, or it was not `save` that was killed.
        self.assertGreater(sum(step == 20 for step, _ in seen), 4)
        self.assertGreater(sum(step == 30 for step, _ in seen), 8)


class FullDiskTest(CheckpointTestCase):
    def assert_fails_and_keeps(self, reason: str) -> None:
        """Asserts that `save` fails with one line, and that the checkpoint of step 20 is whole."""
        with self.assertRaisesRegex(WriteError, f"step_00000030' .*{reason}") as caught:
            self.save(30)
        self.assertNotIn("\n", str(caught.exception))
        self.assertEmpty(list(self.workdir.rglob("*.unfinished*")))  # Its room is free again.
        self.assertEqual(self.steps()[-1], 20)
        self.assert_restores(20)

    @parameterized.parameters(10, 20_000)
    def test_a_limit_on_the_size_of_files(self, size):
        # What any user may have: the system refuses to write, whoever asks.
        self.save(10, 20)
        with file_faults.files_limited_to(size):
            self.assert_fails_and_keeps("File too large")
        self.save(30)
        self.assert_restores(30)


def cut_data(folder: pathlib.Path) -> None:
    path = next(folder.glob("state.data*"))
    path.write_bytes(path.read_bytes()[:-200])


def flip_data(folder: pathlib.Path) -> None:
    path = next(folder.glob("state.data*"))
    data = bytearray(path.read_bytes())
    for position in range(len(data) // 3, len(data) // 3 + 64):
        data[position] ^= 0xFF
    path.write_bytes(bytes(data))


def write_info(text: str):
    return lambda folder: (folder / "info.json").write_text(text, encoding="utf-8")


_DAMAGES = dict(
    cut_data=cut_data,
    flipped_data=flip_data,
    no_index=lambda folder: (folder / "state.index").unlink(),
    no_info=lambda folder: (folder / "info.json").unlink(),
    info_is_a_list=write_info("[]"),
    info_without_its_keras=write_info(json.dumps(dict(step=20))),
)


class FindWeightsTest(CheckpointTestCase):
    def test_newest_best_and_a_step(self):
        self.save(10, 20, 30, metrics={10: 0.2, 20: 0.3, 30: 0.4})
        for asked, step in (("newest", 30), ("best", 10), ("20", 20), ("30", 30)):
            path, found = run_folder.find_weights(self.workdir, asked)
            self.assertEqual(path, self.folder(step) / run_folder.GENERATOR_WEIGHTS)
            self.assertEqual(found, step)
            self.assertTrue(path.is_file())

    def test_what_is_not_there_is_refused_naming_what_is(self):
        self.save(10, 20)
        for name in ("step_old", "step_00000015_copy"):  # Are passed over.
            (self.workdir / "checkpoints" / name).mkdir()
        for asked in ("best", "15", "newst", "-1", ""):
            with self.subTest(asked):
                with self.assertRaisesRegex(InputError, f"'{asked}'.* 10, 20; best: none"):
                    run_folder.find_weights(self.workdir, asked)


class DamageTest(CheckpointTestCase):
    def setUp(self):
        super().setUp()
        self.save(10, 20)

    def test_the_one_before_is_taken_and_it_is_said(self):
        self.keep_copy()
        for name, damage in _DAMAGES.items():
            with self.subTest(name):
                self.put_copy_back()
                damage(self.folder(20))
                with self.assertLogs("absl", "WARNING") as logs:
                    self.assert_restores(10)
                self.assertIn(f"'{self.folder(20)}'", "\n".join(logs.output))

    def test_all_damaged_is_an_error_that_names_each(self):
        cut_data(self.folder(10))
        (self.folder(20) / "info.json").unlink()
        with self.assertLogs("absl", "WARNING"):
            with self.assertRaises(InputError) as caught:
                self.manager().restore_newest()
        for step in (10, 20):
            self.assertIn(f"'{self.folder(step)}'", str(caught.exception))

    def test_a_damaged_one_never_counts_as_the_newest(self):
        cut_data(self.folder(20))
        with self.assertLogs("absl", "WARNING"):
            self.assertEqual(self.manager().restore_newest(), 10)
        self.save(15, keep=1)  # Stopped before the step of the damaged one came again.
        self.assertEqual(self.steps(), [15])
        self.assert_restores(15)

    def test_nothing_is_removed_before_the_next_is_saved(self):
        self.save(10, 20, metrics={10: 0.3, 20: 0.2})
        whole = tiny_training.read_folder(self.workdir)
        path = next(self.folder(20).glob("state.data*"))
        hidden = path.with_name("hidden")
        path.rename(hidden)  # As a drive of the network that does not answer.
        with self.assertLogs("absl", "WARNING"):
            self.assertEqual(self.manager(keep=1).restore_newest(), 10)
        self.manager(keep=1).finish()
        hidden.rename(path)
        self.assertEqual(tiny_training.read_folder(self.workdir), whole)
        self.assertEqual(run_folder.read_best(self.workdir)["step"], 20)
        self.assert_restores(20)

    def test_a_damaged_best_is_best_no_more(self):
        self.save(10, 20, metrics={10: 0.3, 20: 0.2})
        self.save(15, metrics={15: 0.4})  # Fell back to 10; step 20 is gone.
        self.assertEqual(run_folder.read_best(self.workdir)["step"], 15)
        self.save(20, metrics={20: 0.35})
        best = run_folder.read_best(self.workdir)
        self.assertEqual((best["step"], best["value"]), (20, 0.35))
        self.save(20)  # Came again, and was stopped before it was measured.
        self.assertIsNone(run_folder.read_best(self.workdir))

    def test_that_of_the_other_keras_is_refused(self):
        other = "2.15.0" if keras_compat.IS_KERAS_3 else "3.15.0"
        write_info(json.dumps(dict(step=20, keras=other)))(self.folder(20))
        before = values(self.state)
        expected = f"'{self.folder(20)}'.* Keras {other}.* Keras {keras.__version__}"
        with self.assertRaisesRegex(InputError, expected):
            self.manager().restore_newest()
        for found, wanted in zip(values(self.state), before):
            self.assertAllEqual(found, wanted)

    def test_that_of_another_network_is_not_taken(self):
        lacking, superfluous = TrainState(_CONFIG), TrainState(_CONFIG)
        lacking.another = tf.Variable(0)
        del superfluous.examples_seen
        others = dict(
            shapes=TrainState(dataclasses.replace(_CONFIG, input_channels=4)),
            precision=TrainState(dataclasses.replace(_CONFIG, precision="float32")),
            lacking=lacking,
            superfluous=superfluous,
        )
        for name, state in others.items():
            with self.subTest(name), self.assertLogs("absl", "WARNING"):
                with self.assertRaisesRegex(InputError, re.escape(str(self.folder(10)))):
                    CheckpointManager(state, self.workdir, keep=1).restore_newest()
