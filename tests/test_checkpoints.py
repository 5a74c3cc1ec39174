"""Tests of `pix2pix_tf.training.checkpoints`: what is saved, and what a damaged one does."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shutil
import tempfile
from unittest import mock

import file_faults
import keras
import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import parameterized

from pix2pix_tf import files, keras_compat
from pix2pix_tf.errors import InputError, WriteError
from pix2pix_tf.training import checkpoints
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


def expected_variables(state: TrainState) -> list[tf.Variable]:
    """Returns the variables that must be among them, by name."""
    found = [state.step, state.examples_seen, state.seed, state.first_bad_step]
    for network in (state.generator, state.discriminator):
        found += keras_compat.tf_variables(network)
    for scaled in (state.generator_optimizer, state.discriminator_optimizer):
        for optimizer in (scaled.optimizer, scaled.optimizer.inner_optimizer):
            variables = optimizer.variables
            for variable in variables() if callable(variables) else variables:
                found.append(variable.value if keras_compat.IS_KERAS_3 else variable)
    return found


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
    """Has one state for all tests, and a new run folder for each."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
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
        return [int(path.name[5:]) for path in checkpoints.list_checkpoints(self.workdir)]

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


class SaveTest(CheckpointTestCase):
    def test_a_new_object_gets_every_variable(self):
        state = TrainState(_CONFIG)
        variables = all_variables(state)
        self.assertLessEqual(set(map(id, expected_variables(state))), set(map(id, variables)))
        weights = state.generator.trainable_variables + state.discriminator.trainable_variables
        self.assertGreaterEqual(len(variables), 3 * len(weights) + 4)
        fill(state, seed=1)
        state.step.assign(7)
        CheckpointManager(state, self.workdir, keep=1).save()
        other = TrainState(_CONFIG)
        fill(other, seed=2)
        self.assertEqual(CheckpointManager(other, self.workdir, keep=1).restore_newest(), 7)
        for found, wanted in zip(values(other), values(state)):
            self.assertAllEqual(found, wanted)
        for found, wanted in (
            (other.generator_optimizer, state.generator_optimizer),
            (other.discriminator_optimizer, state.discriminator_optimizer),
        ):
            self.assertEqual(found.loss_scale, wanted.loss_scale)
            self.assertNotEqual(found.loss_scale, 2.0**15)  # A new optimizer's.
        entries = [
            name
            for name, _ in tf.train.list_variables(str(self.folder(7) / "state"))
            if name.endswith("VARIABLE_VALUE")
        ]
        self.assertLen(entries, len(variables))

    def test_a_new_run_has_nothing_to_restore(self):
        self.assertIsNone(self.manager().restore_newest())
        self.assertEmpty(list(self.workdir.iterdir()))

    def test_the_newest_are_kept(self):
        self.save(10, 20, 30, 40, keep=2)
        self.assertEqual(self.steps(), [30, 40])
        self.assert_restores(40)

    def test_the_order_is_that_of_the_steps_not_of_their_names(self):
        self.save(99_999_998, 99_999_999, 100_000_000, keep=2)
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
        best = checkpoints.read_best(self.workdir)
        self.assertEqual((best["step"], best["metric"], best["value"]), (20, "l1", metrics[20]))

    def test_another_metric_starts_anew(self):
        self.save(10, metrics={10: 0.1})
        self.state.step.assign(20)
        self.manager().save(Measure("psnr", "val", 0.01, larger_is_better=True))
        self.assertEqual(checkpoints.read_best(self.workdir)["step"], 20)

    def test_other_pairs_start_anew(self):
        self.save(10, metrics={10: 0.1}, split="test")
        self.save(20, metrics={20: 0.2}, split="val")
        best = checkpoints.read_best(self.workdir)
        self.assertEqual((best["step"], best["split"]), (20, "val"))

    @parameterized.named_parameters(("cut", "{"), ("of_another_kind", "[]"), ("without", "{}"))
    def test_a_damaged_note_of_the_best_stops_nothing(self, text):
        self.save(10, metrics={10: 0.1})
        (self.workdir / "checkpoints" / "best.json").write_text(text, encoding="utf-8")
        self.assertIsNone(checkpoints.read_best(self.workdir))
        self.save(20, metrics={20: 0.5})
        self.assertEqual(checkpoints.read_best(self.workdir)["step"], 20)

    def test_run_folder_has_the_newest_networks(self):
        self.save(10, 20)
        digests = tiny_training.read_folder(self.workdir)
        of_step = {
            step: digests[f"checkpoints/step_{step:08d}/generator.weights.h5"] for step in (10, 20)
        }
        self.assertEqual(digests["generator.weights.h5"], of_step[20])
        self.assertNotEqual(digests["generator.weights.h5"], of_step[10])
        wanted = {
            name: getattr(self.state, name).get_weights() for name in ("generator", "discriminator")
        }
        fill(self.state, seed=3)
        for name, weights in wanted.items():
            model = getattr(self.state, name)
            model.load_weights(str(self.workdir / f"{name}.weights.h5"))
            for found, weight in zip(model.get_weights(), weights):
                self.assertAllEqual(found, weight)
        left = [path.name for path in self.workdir.iterdir() if path.name.startswith(".")]
        self.assertEmpty(left)

    def test_info_says_what_wrote_it(self):
        self.save(10, metrics={10: 0.25})
        info = json.loads((self.folder(10) / "info.json").read_text(encoding="utf-8"))
        expected = dict(
            step=10,
            keras=keras.__version__,
            tensorflow=tf.__version__,
            metric="l1",
            split="val",
            value=0.25,
            larger_is_better=False,
        )
        self.assertEqual(info, expected)

    def test_a_death_while_writing_leaves_the_old_ones(self):
        self.save(10)
        before = tiny_training.read_folder(self.workdir)
        with mock.patch.object(keras_compat, "weights_file", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                self.save(20)
        after = tiny_training.read_folder(self.workdir)
        self.assertLessEqual(before.items(), after.items())
        self.assertEqual(self.steps(), [10])
        self.assert_restores(10)
        # What the dead process left is cleared away by the next.
        unfinished = self.workdir / "checkpoints" / ".unfinished_step_00000020"
        self.assertTrue(unfinished.is_dir())
        self.save(30)
        self.assertFalse(unfinished.exists())
        self.assertEqual(self.steps(), [10, 30])


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
            for folder in checkpoints.list_checkpoints(self.workdir):
                self.assertLen(list(folder.iterdir()), 4, folder)  # None of them is a part.
            fill(self.state, seed=99)
            step = self.manager(keep=1).restore_newest()
            self.manager(keep=1).finish()
            seen.append((step, self.saved_files()))
            left = [path for path in self.workdir.rglob(".*") if path.is_dir()]
            self.assertEmpty(left)
        self.save(30, keep=1, metrics=metrics)
        expected = {20: old, 30: self.saved_files()}
        self.assertEqual(self.steps(), [30])
        self.assertEqual(checkpoints.read_best(self.workdir)["step"], 30)
        for step, found in seen:
            self.assertEqual(found, expected[step], f"after step {step}")
        # A good many of both, or it was not `save` that was killed.
        self.assertGreater(sum(step == 20 for step, _ in seen), 4)
        self.assertGreater(sum(step == 30 for step, _ in seen), 8)

    def test_finish_has_nothing_to_do_after_a_whole_save(self):
        self.save(10, 20, metrics={10: 0.3, 20: 0.5})
        before = tiny_training.read_folder(self.workdir)
        times = [path.stat().st_mtime_ns for path in sorted(self.workdir.rglob("*"))]
        self.manager().restore_newest()
        with mock.patch.object(files, "sha256") as sha256:
            self.manager().finish()
        sha256.assert_not_called()  # The weights of a large network are one file by two names.
        self.assertEqual(tiny_training.read_folder(self.workdir), before)
        # Not even written again: the folder may be read-only by now.
        after = [path.stat().st_mtime_ns for path in sorted(self.workdir.rglob("*"))]
        self.assertEqual(after, times)


class FullDiskTest(CheckpointTestCase):
    def setUp(self):
        super().setUp()
        self.disk = self.workdir / "disk"
        self.disk.mkdir()
        self.workdir = self.disk / "run"

    def assert_fails_and_keeps(self, step: int, pattern: str) -> None:
        """Asserts that `save` fails with one line, and that the checkpoint of step 20 is whole."""
        with self.assertRaisesRegex(WriteError, pattern) as caught:
            self.save(step)
        self.assertNotIn("\n", str(caught.exception))
        self.assertEmpty(list(self.workdir.rglob(".unfinished*")))  # Its room is free again.
        self.assertEqual(self.steps()[-1], 20)
        self.assert_restores(20)

    def test_no_room_for_a_part_of_it(self):
        with file_faults.small_disk(self.disk, 4) as is_mounted:
            if not is_mounted:
                self.skipTest("This process may not mount a disk.")
            self.workdir.mkdir()
            self.save(10, 20)
            size = sum(path.stat().st_size for path in self.folder(20).iterdir())
            for share in (0, 0.2, 0.5, 0.7, 0.9):
                file_faults.fill(self.disk, leave=int(share * size))
                self.assert_fails_and_keeps(30, "step_00000030' cannot be written: No space left")
            (self.disk / "filling").unlink()
            self.save(30)
            self.assert_restores(30)

    @parameterized.parameters(10, 1_000, 20_000, 100_000)
    def test_a_limit_on_the_size_of_files(self, size):
        # What any user may have: the system refuses to write, whoever asks.
        self.workdir.mkdir()
        self.save(10, 20)
        with file_faults.files_limited_to(size):
            self.assert_fails_and_keeps(30, "step_00000030' cannot be written: .*File too large")
        self.save(30)
        self.assert_restores(30)

    def test_no_room_at_any_operation(self):
        self.workdir.mkdir()
        number, steps = 0, []
        self.save(10, 20, keep=1)
        self.keep_copy()
        while True:
            number += 1
            self.put_copy_back()
            with file_faults.fail_at(number, self.workdir) as operations:
                try:
                    self.save(30, keep=1)
                    failed = False
                except WriteError as error:
                    failed = True
                    self.assertIn("No space left on device. Make room on that disk", str(error))
            if operations.count < number:
                break
            steps.append((self.manager().restore_newest(), failed))
            self.manager(keep=1).finish()
            self.assertEqual(self.steps(), [steps[-1][0]])
        self.assertFalse(failed)
        self.assertContainsSubset({(20, True), (30, True)}, set(steps))
        # A folder that is there already need not be made, nor a link where a copy will do.
        self.assertLessEqual(steps.count((30, False)), 2)


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


_DAMAGES = (
    ("cut_data", cut_data),
    ("flipped_data", flip_data),
    ("no_data", lambda folder: next(folder.glob("state.data*")).unlink()),
    ("no_index", lambda folder: (folder / "state.index").unlink()),
    ("no_info", lambda folder: (folder / "info.json").unlink()),
    ("garbage_info", write_info("\x00{")),
    ("empty_info", write_info("")),
    ("info_is_a_list", write_info("[]")),
    ("info_is_null", write_info("null")),
    ("info_without_a_step", write_info(json.dumps(dict(keras=keras.__version__)))),
    ("info_of_a_word", write_info(json.dumps(dict(keras=keras.__version__, step="ten")))),
    ("info_of_another_step", write_info(json.dumps(dict(keras=keras.__version__, step=21)))),
)


class FindWeightsTest(CheckpointTestCase):
    def test_newest_best_and_a_step(self):
        self.save(10, 20, 30, metrics={10: 0.2, 20: 0.3, 30: 0.4})
        for asked, step in (("newest", 30), ("best", 10), ("20", 20), ("30", 30)):
            path, found = checkpoints.find_weights(self.workdir, asked)
            self.assertEqual(path, self.folder(step) / checkpoints.GENERATOR_WEIGHTS)
            self.assertEqual(found, step)
            self.assertTrue(path.is_file())

    def test_a_copy_without_checkpoints_has_a_newest_of_unknown_step(self):
        path, step = checkpoints.find_weights(self.workdir)
        self.assertEqual((path, step), (self.workdir / checkpoints.GENERATOR_WEIGHTS, None))

    def test_other_folders_beside_them_are_passed_over(self):
        self.save(10)
        for name in ("step_old", "step_00000020_copy"):
            (self.workdir / "checkpoints" / name).mkdir()
        self.assertEqual(checkpoints.find_weights(self.workdir)[1], 10)

    @parameterized.parameters("best", "15", "newst", "-1", "")
    def test_what_is_not_there_is_refused_naming_what_is(self, asked):
        self.save(10, 20)
        with self.assertRaisesRegex(
            InputError, f"no checkpoint '{asked}'. Steps kept: 10, 20; best: none measured. Use"
        ):
            checkpoints.find_weights(self.workdir, asked)


class DamageTest(CheckpointTestCase):
    def setUp(self):
        super().setUp()
        self.save(10, 20)

    @parameterized.named_parameters(*_DAMAGES)
    def test_the_one_before_is_taken_and_it_is_said(self, damage):
        damage(self.folder(20))
        with self.assertLogs("absl", "WARNING") as logs:
            self.assert_restores(10)
        text = "\n".join(logs.output)
        self.assertIn(f"Checkpoint '{self.folder(20)}' cannot be read", text)
        self.assertIn(f"Continuing from '{self.folder(10)}' instead.", text)

    def test_nothing_is_said_of_whole_ones(self):
        with self.assertNoLogs("absl", "WARNING"):
            self.assert_restores(20)

    def test_all_damaged_is_an_error_that_names_each(self):
        cut_data(self.folder(10))
        (self.folder(20) / "info.json").unlink()
        with self.assertLogs("absl", "WARNING"):
            with self.assertRaisesRegex(InputError, "No checkpoint of") as caught:
                self.manager().restore_newest()
        message = str(caught.exception)
        self.assertIn(str(self.folder(10)), message)
        self.assertIn(f"'{self.folder(20)}': info.json is missing or damaged", message)
        self.assertIn("start again in another --workdir", message)

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
        self.assertEqual(checkpoints.read_best(self.workdir)["step"], 20)
        self.assert_restores(20)

    def test_a_damaged_one_is_replaced_when_its_step_comes_again(self):
        cut_data(self.folder(20))
        self.save(20)
        self.assert_restores(20)

    def test_a_damaged_best_is_best_no_more(self):
        self.save(10, 20, metrics={10: 0.3, 20: 0.2})
        self.save(15, metrics={15: 0.4})  # Fell back to 10; step 20 is gone.
        self.assertEqual(checkpoints.read_best(self.workdir)["step"], 15)
        self.save(20, metrics={20: 0.35})
        best = checkpoints.read_best(self.workdir)
        self.assertEqual((best["step"], best["value"]), (20, 0.35))
        self.save(20)  # Came again, and was stopped before it was measured.
        self.assertIsNone(checkpoints.read_best(self.workdir))

    def test_that_of_the_other_keras_is_refused(self):
        other = "2.15.0" if keras_compat.IS_KERAS_3 else "3.15.0"
        write_info(json.dumps(dict(step=20, keras=other)))(self.folder(20))
        before = values(self.state)
        expected = (
            f"'{self.folder(20)}' was written with Keras {other}, and this is Keras "
            f"{keras.__version__}: the optimizers' state does not travel between them. Go on with "
            f"Keras {other}."
        )
        with self.assertRaisesRegex(InputError, re.escape(expected)):
            self.manager().restore_newest()
        for found, wanted in zip(values(self.state), before):
            self.assertAllEqual(found, wanted)

    def assert_not_taken(self, state: TrainState) -> None:
        with self.assertLogs("absl", "WARNING"):
            with self.assertRaisesRegex(InputError, "No checkpoint of"):
                CheckpointManager(state, self.workdir, keep=1).restore_newest()

    @parameterized.named_parameters(
        ("filters", dict(base_filters=3)),
        ("norm", dict(norm="none")),
        ("precision", dict(precision="float32")),
    )
    def test_that_of_another_network_is_not_taken(self, settings):
        self.assert_not_taken(TrainState(dataclasses.replace(_CONFIG, **settings)))

    def test_one_that_lacks_something_or_has_too_much_is_not_taken(self):
        state = TrainState(_CONFIG)
        state.another = tf.Variable(0)
        self.assert_not_taken(state)
        state = TrainState(_CONFIG)
        del state.examples_seen
        self.assert_not_taken(state)
