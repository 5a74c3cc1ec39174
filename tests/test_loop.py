"""Tests of `pix2pix_tf.training.loop`: whole runs, stopped, continued, diverged, refused.

All have networks of two layers; test_train_command.py resumes a run of real ones.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import os
import pathlib
import re
import shutil
import signal
import tempfile
import threading
import time
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf import metrics, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, NonFiniteLossError
from pix2pix_tf.run_folder import list_checkpoints, read_best
from pix2pix_tf.signals import StopRequest
from pix2pix_tf.training import loop, reports


def train(config: TrainConfig, workdir: pathlib.Path, *, before_step=None):
    """Trains in this process.

    Args:
        config: The settings.
        workdir: The run folder.
        before_step: Called with the number of each step and its batch; what it
            returns, if anything, takes the batch's place.

    Returns:
        (state, what was printed).
    """
    make_train_step = loop.make_train_step

    def make_watched_step(state, *arguments):
        train_step = make_train_step(state, *arguments)

        def step(batch):
            changed = before_step(int(state.step) + 1, batch) if before_step else None
            return train_step(batch if changed is None else changed)

        return step

    stdout = io.StringIO()
    with mock.patch.object(loop, "make_train_step", make_watched_step):
        with contextlib.redirect_stdout(stdout):
            state = loop.train(config, workdir)
    return state, stdout.getvalue()


def make_config(**settings) -> TrainConfig:
    few = dict(gan_loss="none", num_samples=2, num_evaluated=2)
    return tiny_training.make_config(**{**few, **settings})


def logged_steps(workdir: pathlib.Path) -> list[int]:
    return [record["step"] for record in run_folder.read_metrics(workdir)]


def saved_steps(workdir: pathlib.Path) -> list[int]:
    return [int(path.name[5:]) for path in list_checkpoints(workdir)]


def read_events(workdir: pathlib.Path) -> tuple[dict[tuple[int, str], float], list[int]]:
    """Returns what TensorBoard sees: scalars by step and name, and the steps with pictures."""
    scalars, pictures = {}, []
    (path,) = (workdir / "tensorboard").glob("events.*")
    for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "images":
                pictures.append(event.step)
            else:
                scalars[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    return scalars, pictures


class LoopTestCase(tf.test.TestCase, parameterized.TestCase):
    """Has a folder of its own for each test, and draws no curves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enter_context(tiny_training.stub_networks())

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.workdir = self.folder / "run"
        self.enter_context(mock.patch.object(reports, "plot_losses"))

    def assert_refused(self, config, expected, *, workdir=None):
        """Asserts that an InputError comes before networks are built; returns its text."""
        with mock.patch.object(loop, "TrainState", side_effect=AssertionError):
            with self.assertRaisesRegex(InputError, expected) as caught:
                train(config, workdir or self.workdir)
        return str(caught.exception)


class FinishedRunTest(LoopTestCase):
    """On one run of 6 steps, which a test may copy and go on with."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(cls.enter_context(tempfile.TemporaryDirectory()))
        data = tiny_training.write_pairs(cls.root / "data", train=3, val=2)
        cls.config = make_config(
            dataset=str(data),
            gan_loss="vanilla",
            direction="BtoA",
            batch_size=2,
            num_steps=6,
            log_every=2,
            sample_every=3,
            checkpoint_every=4,
            lambda_l2=1.0,
        )
        cls.finished = cls.root / "run"

        def note_events(step, batch):
            if step == 5:
                cls.early_scalars, _ = read_events(cls.finished)

        with mock.patch.object(reports, "plot_losses", wraps=reports.plot_losses) as plot:
            _, cls.printed = train(cls.config, cls.finished, before_step=note_events)
        cls.num_plots = plot.call_count

    def copy(self) -> pathlib.Path:
        return pathlib.Path(shutil.copytree(self.finished, self.workdir))

    def test_metrics_are_a_json_object_a_line(self):
        lines = (self.finished / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        self.assertEqual([record["step"] for record in records], [1, 2, 4, 6])
        for record in records:  # That of a checkpoint has its measure too.
            measured = record.pop("held_out_l1", None)
            self.assertEqual(measured is not None, record["step"] in (4, 6))
        losses = ["discriminator", "generator", "adversarial", "l1", "l2"]
        names = [f"{name}_loss" for name in losses] + ["images_per_second", "learning_rate"]
        for record in records:
            self.assertCountEqual(record, ["step", *names])
            self.assertTrue(all(math.isfinite(value) for value in record.values()))
            self.assertGreater(record["images_per_second"], 0.0)
            self.assertAllClose(record["learning_rate"], 2e-4)
            terms = record["adversarial_loss"] + 100 * record["l1_loss"] + record["l2_loss"]
            self.assertAllClose(record["generator_loss"], terms, rtol=1e-5)

    def test_the_folder_holds_what_it_should_and_the_page_shows_it(self):
        samples = [f"samples/step_{step:08d}.png" for step in (0, 3, 6)]
        networks = ["generator.weights.h5", "discriminator.weights.h5"]
        files = set(tiny_training.read_folder(self.finished))
        shown = ["losses.png", *samples]
        self.assertLessEqual(
            {"config.json", "metrics.jsonl", "index.html", *networks, *shown}, files
        )
        self.assertEqual([name for name in files if name.startswith(".")], [])
        self.assertEqual(TrainConfig.load(self.finished), self.config)
        self.assertEqual(saved_steps(self.finished), [4, 6])
        best = read_best(self.finished)
        self.assertIn(best["step"], [4, 6])
        self.assertEqual(best["metric"], "l1")
        # At the first occasion and at the end; not at each, since it takes a second.
        self.assertEqual(self.num_plots, 2)

        page = (self.finished / "index.html").read_text(encoding="utf-8")
        self.assertCountEqual(re.findall(r'(?:src|href)="([^"]*)"', page), shown)
        for link in shown:
            with Image.open(self.finished / link) as picture:
                picture.verify()
        self.assertIn("Step 6 of 6.", page)
        self.assertIn(f"{best['value']:.4f} at step {best['step']}", page)
        self.assertIn(f"pix2pix translate --model={self.finished} ", page)

    def test_samples_show_held_out_pairs_in_their_direction(self):
        with Image.open(self.finished / "samples" / "step_00000006.png") as picture:
            grid = np.asarray(picture.convert("RGB")).astype(int)
        size, gap, header = 32, 4, 22
        self.assertEqual(grid.shape, (header + 2 * size + gap, 3 * size + 2 * gap, 3))
        with Image.open(self.root / "data" / "val" / "pair_0.png") as picture:
            whole = np.asarray(picture).astype(int)
        # BtoA: the input is the right half. The middle of a flat 6x6 block survives scaling.
        for column, half in ((0, whole[:, 36:]), (2, whole[:, :36])):
            cell = grid[header : header + size, column * (size + gap) :][:, :size]
            for row, col in ((0, 0), (2, 3), (5, 5)):
                found = cell[int((row + 0.5) * size / 6), int((col + 0.5) * size / 6)]
                self.assertAllClose(found, half[row * 6 + 3, col * 6 + 3], atol=2)

    def test_tensorboard_has_the_same_numbers(self):
        found, pictures = read_events(self.finished)
        self.assertEqual(pictures, [0, 3, 6])
        for record in run_folder.read_metrics(self.finished):
            for name, value in record.items():
                if name != "step":
                    self.assertAllClose(found[record["step"], name], value)
        # On the disk at once, for who watches a run.
        self.assertIn((4, "held_out_l1"), self.early_scalars)

    def test_a_finished_run_has_nothing_to_do(self):
        workdir = self.copy()
        train(self.config, workdir)  # The page names the folder, which is another one now.
        before = tiny_training.read_folder(workdir)
        state, printed = train(self.config, workdir)
        self.assertIn("All 6 steps are done.", printed)
        self.assertEqual(int(state.step), 6)
        self.assertEqual(tiny_training.read_folder(workdir), before)

    def test_more_steps_go_on_from_the_newest_in_any_thread(self):
        workdir = self.copy()
        longer = dataclasses.replace(self.config, num_steps=9)
        results = []
        thread = threading.Thread(target=lambda: results.append(train(longer, workdir)))
        thread.start()  # Where Python allows no signal handlers.
        thread.join()
        ((state, printed),) = results
        self.assertIn(f"Continuing '{workdir}' after step 6.", printed)
        self.assertEqual((int(state.step), int(state.examples_seen)), (9, 18))
        self.assertEqual(logged_steps(workdir), [1, 2, 4, 6, 7, 8, 9])
        self.assertEqual(TrainConfig.load(workdir), longer)
        self.assertIn(9, saved_steps(workdir))

    def test_a_damaged_newest_costs_the_steps_since_the_one_before(self):
        workdir = self.copy()
        next((workdir / "checkpoints" / "step_00000006").glob("state.data*")).write_bytes(b"")
        with self.assertLogs("absl", "WARNING"):
            state, printed = train(self.config, workdir)
        self.assertIn(f"Continuing '{workdir}' after step 4.", printed)
        self.assertEqual(int(state.step), 6)
        # Step 6 is there once; a run's first step, also when continued, has a line of its own.
        self.assertEqual(logged_steps(workdir), [1, 2, 4, 5, 6])
        self.assertEqual(saved_steps(workdir), [4, 6])

    def test_auto_keeps_the_precision_that_a_run_started_with(self):
        auto = dataclasses.replace(self.config, precision="auto", num_steps=7)
        with mock.patch.object(loop, "resolve_precision", lambda name: "float16"):
            state, _ = train(auto, self.copy())
        self.assertEqual(int(state.step), 7)
        self.assertEqual(state.generator_optimizer.loss_scale, 1.0)
        self.assertEqual(TrainConfig.load(self.workdir).precision, "float32")

    def test_settings_that_do_not_fit_are_refused_before_anything_is_touched(self):
        before = tiny_training.read_folder(self.finished)
        other = dataclasses.replace(
            self.config, base_filters=4, learning_rate=0.1, num_steps=10, log_every=1
        )
        message = self.assert_refused(other, "cannot be continued", workdir=self.finished)
        self.assertIn("base_filters (was 2, now 4)", message)
        self.assertIn("learning_rate (was 0.0002, now 0.1)", message)
        for name in ("num_steps", "log_every"):  # May change.
            self.assertNotIn(name, message)
        self.assertEqual(tiny_training.read_folder(self.finished), before)


class RefusedTest(LoopTestCase):
    def test_all_that_is_wrong_with_both_splits_is_said_at_once(self):
        """A wrong header in one and damage in both: three files, in one message."""
        data = tiny_training.write_pairs(self.folder / "data", train=3, val=2)
        for name in ("train/pair_1.png", "val/pair_0.png"):
            (data / name).write_bytes((data / name).read_bytes()[:-30])
        config = make_config(dataset=str(data), num_samples=1, num_evaluated=1)

        def wrong() -> list[str]:
            return re.findall(r"'\S+/(\w+/\w+\.png)'", self.assert_refused(config, "pair_1.png"))

        self.assertEqual(wrong(), ["train/pair_1.png", "val/pair_0.png"])
        Image.new("RGB", (61, 30)).save(data / "train" / "odd.png")
        self.assertEqual(wrong(), ["train/odd.png", "train/pair_1.png", "val/pair_0.png"])
        self.assertFalse((self.workdir / "config.json").exists())

    def test_a_file_in_the_place_of_the_run_folder(self):
        self.workdir.write_text("Not a folder.", encoding="utf-8")
        self.assert_refused(make_config(), re.escape(f"'{self.workdir}'"))

    def test_a_file_that_goes_bad_during_the_run_is_named(self):
        data = tiny_training.write_pairs(self.folder / "data", train=2)

        def spoil(step, batch):
            for path in (data / "train").iterdir():
                path.write_bytes(b"")

        config = make_config(dataset=str(data), cache_megabytes=0, num_steps=50, best_metric="none")
        with self.assertRaisesRegex(InputError, r"pair_\d\.png"):
            train(config, self.workdir, before_step=spoil)


class DivergedTest(LoopTestCase):
    config = make_config(num_steps=20, log_every=50, checkpoint_every=4)

    def test_a_bad_loss_names_its_step_and_leaves_the_last_good_checkpoint(self):
        def spoil(step, batch):
            if step == 6:
                source, target = batch
                return source, target * float("nan")

        # Found at step 8, where a checkpoint is due.
        with self.assertRaisesRegex(NonFiniteLossError, r"step 6\b"):
            train(self.config, self.workdir, before_step=spoil)
        self.assertEqual(saved_steps(self.workdir), [4])
        self.assertEqual(logged_steps(self.workdir), [1, 4])
        (self.workdir / "samples" / "step_00000005.png").touch()  # Beyond what was saved.
        shorter = dataclasses.replace(self.config, num_steps=10)
        state, printed = train(shorter, self.workdir)
        self.assertIn("after step 4.", printed)
        self.assertEqual((int(state.step), int(state.first_bad_step)), (10, -1))
        self.assertTrue(all(np.isfinite(x).all() for x in tiny_training.weights(state.generator)))
        self.assertEqual(logged_steps(self.workdir), [1, 4, 5, 8, 10])
        samples = sorted(path.name for path in (self.workdir / "samples").iterdir())
        self.assertEqual(samples, ["step_00000000.png", "step_00000010.png"])

    def test_weights_that_went_bad_after_a_good_loss_are_never_saved(self):
        # The update of step 8 overflows; the loss that it follows from is still finite.
        config = dataclasses.replace(self.config, keep_checkpoints=1)

        def spoil(step, batch):
            if step == 8:
                self.state.generator_optimizer.optimizer.learning_rate = float("inf")

        make_state = loop.TrainState

        def keep_state(*arguments):
            self.state = make_state(*arguments)
            return self.state

        with mock.patch.object(loop, "TrainState", keep_state):
            with self.assertRaisesRegex(NonFiniteLossError, r"step 8\b"):
                train(config, self.workdir, before_step=spoil)
        self.assertEqual(saved_steps(self.workdir), [4])


class StoppedTest(LoopTestCase):
    config = make_config(num_steps=8, checkpoint_every=100)

    def setUp(self):
        super().setUp()
        # A script that starts the tests in the background, or nohup, has them ignore these.
        for number in (signal.SIGINT, signal.SIGHUP):
            usual = signal.signal(number, signal.default_int_handler)
            self.addCleanup(signal.signal, number, usual)

    def stop(self, number: signal.Signals, *, before: int, times: int = 1):
        """Trains, and sends this process a signal before a step; returns as `train` does."""

        def send(step, batch):
            if step == before:
                for _ in range(times):
                    os.kill(os.getpid(), number)
                    time.sleep(0.01)

        return train(self.config, self.workdir, before_step=send)

    def test_a_signal_stops_after_the_step_and_the_next_run_goes_on(self):
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        handlers = [signal.getsignal(number) for number in numbers]
        state, printed = self.stop(signal.SIGTERM, before=3)
        self.assertEqual(int(state.step), 3)
        self.assertIn("Stopped by SIGTERM after step 3; everything is saved.", printed)
        self.assertEqual(saved_steps(self.workdir), [3])
        self.assertEqual(logged_steps(self.workdir), [1, 3])
        # Whoever sent the signal may not wait for pictures and measures.
        self.assertIsNone(read_best(self.workdir))
        self.assertFalse((self.workdir / "samples" / "step_00000003.png").exists())
        self.assertEqual([signal.getsignal(number) for number in numbers], handlers)

        _, printed = self.stop(signal.SIGINT, before=5)
        self.assertIn("Stopped by Ctrl-C after step 5; everything is saved.", printed)
        state, printed = train(self.config, self.workdir)
        self.assertIn("after step 5.", printed)
        self.assertEqual(int(state.step), 8)
        self.assertEqual(logged_steps(self.workdir), [1, 3, 4, 5, 6, 8])

    def test_a_second_signal_acts_as_usual(self):
        with self.assertRaises(KeyboardInterrupt):
            self.stop(signal.SIGINT, before=2, times=2)
        self.assertEmpty(saved_steps(self.workdir))


class ActionsTest(LoopTestCase):
    """Actions of the caller, behind those of the project."""

    config = make_config(num_steps=6, log_every=2, sample_every=3, checkpoint_every=4)

    def train(self, *actions) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            loop.train(self.config, self.workdir, actions=actions)
        return stdout.getvalue()

    def test_are_called_after_each_step_when_all_that_is_due_is_written(self):
        events = []

        def note(event):
            events.append(event)
            self.assertEqual(int(event.state.step), event.step)
            self.assertEqual(event.workdir, self.workdir)
            self.assertIn("generator_loss", event.losses)
            if event.record:
                self.assertEqual(run_folder.read_metrics(self.workdir)[-1], event.record)
            if event.at_checkpoint:
                self.assertEqual(saved_steps(self.workdir)[-1], event.step)
            if event.at_samples:
                self.assertIn(event.step, run_folder.list_sample_grids(self.workdir))
            event.say(f"Done: {event.step}.")

        printed = self.train(note)
        self.assertEqual([event.step for event in events], [1, 2, 3, 4, 5, 6])
        for name, steps in (
            ("record", [1, 2, 4, 6]),
            ("at_samples", [3, 6]),
            ("at_checkpoint", [4, 6]),
            ("is_last", [6]),
            ("is_stopped", []),
        ):
            self.assertEqual([x.step for x in events if getattr(x, name)], steps, name)
        self.assertIn("held_out_l1", events[3].record)
        self.assertIn("Done: 5.\n", printed)

    def test_several_steps_a_call_give_the_same_numbers_and_stop_where_something_is_due(self):
        def train(**settings):
            """Returns the numbers of the steps with events, the lines of metrics and the state."""
            events = []
            config = dataclasses.replace(self.config, gan_loss="vanilla", num_steps=12, **settings)
            config = dataclasses.replace(config, log_every=5, sample_every=6, checkpoint_every=12)
            workdir = self.folder / str(config.steps_per_call)
            with contextlib.redirect_stdout(io.StringIO()):
                loop.train(config, workdir, actions=[events.append])
            self.assertFalse(tf.config.experimental.tensor_float_32_execution_enabled())
            return events, run_folder.read_metrics(workdir), tiny_training.saved_variables(workdir)

        tf.config.experimental.enable_tensor_float_32_execution(True)
        (each, lines, variables), (some, *others) = train(), train(steps_per_call=4)
        self.assertEqual([event.step for event in some], [1, 5, 6, 10, 12])
        for line, other in zip(lines, others[0]):
            for record in (line, other):
                del record["images_per_second"]
            self.assertEqual(line, other)
        self.assertLen(others[0], len(lines))
        for variable, other in zip(variables, others[1]):
            np.testing.assert_array_equal(variable, other)
        # The lines hold the means of all steps since the one before.
        losses = {event.step: float(event.losses["generator_loss"]) for event in each}
        means = [np.mean([losses[x] for x in steps]) for steps in ([1], range(2, 6), range(6, 11))]
        self.assertEqual([line["generator_loss"] for line in lines[:3]], means)

    def test_can_end_the_run_which_is_then_resumed(self):
        def stop(event):
            if event.step == 2:
                event.stop("lack of gain")

        # After the next step, as a signal does.
        self.assertIn("Stopped by lack of gain after step 3;", self.train(stop))
        self.assertEqual(saved_steps(self.workdir), [3])
        self.assertIn("after step 3.", self.train())
        self.assertEqual(saved_steps(self.workdir), [4, 6])  # Two are kept.

    def test_one_that_fails_ends_the_run_and_the_last_checkpoint_is_whole(self):
        def fail(event):
            if event.step == 5:
                raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            self.train(fail)
        self.assertEqual(saved_steps(self.workdir), [4])
        self.assertIn("after step 4.", self.train())


class StopRequestTest(parameterized.TestCase):
    @parameterized.parameters(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    def test_what_is_ignored_stays_so(self, number):
        # SIGINT is in what a script starts in the background, SIGHUP under nohup.
        self.addCleanup(signal.signal, number, signal.signal(number, signal.SIG_IGN))
        with StopRequest() as stop:
            os.kill(os.getpid(), number)
            self.assertFalse(stop.is_requested)
        self.assertEqual(signal.getsignal(number), signal.SIG_IGN)


class SettingsTest(LoopTestCase):
    def test_without_held_out_pairs_there_is_no_best_and_samples_are_of_training_pairs(self):
        data = tiny_training.write_pairs(self.folder / "data", train=2)
        config = make_config(dataset=str(data), num_steps=2, num_samples=5)
        _, printed = train(config, self.workdir)
        self.assertIsNone(read_best(self.workdir))
        self.assertIn("Saved step 2.\n", printed)
        self.assertEqual(saved_steps(self.workdir), [2])
        with Image.open(self.workdir / "samples" / "step_00000002.png") as picture:
            self.assertEqual(picture.height, 22 + 2 * 32 + 4)  # There are no more than two.

    def test_a_measure_that_is_not_finite_does_not_stop_the_run(self):
        data = tiny_training.write_pairs(self.folder / "data", train=2, val=1)
        config = make_config(dataset=str(data), num_steps=1, best_metric="psnr")
        infinite = metrics.METRICS["psnr"]._replace(
            function=lambda fake, target: tf.constant([float("inf")])
        )
        with mock.patch.dict(metrics.METRICS, psnr=infinite):
            _, printed = train(config, self.workdir)
        self.assertIn("Saved step 1: psnr inf on 1 pairs of val.", printed)
        self.assertNotIn("Infinity", (self.workdir / "metrics.jsonl").read_text(encoding="utf-8"))
        self.assertEqual(saved_steps(self.workdir), [1])

    @parameterized.parameters(True, False)
    def test_operations_are_deterministic_where_asked(self, deterministic):
        config = make_config(num_steps=1, num_samples=1, deterministic=deterministic)
        # Stands for the call: it could not be undone in this process.
        with mock.patch.object(tf.config.experimental, "enable_op_determinism") as enable:
            train(config, self.workdir)
        self.assertEqual(enable.called, deterministic)
