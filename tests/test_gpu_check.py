"""Tests of `python -m benchmarks.gpu_check`; where a GPU is needed, the CPU stands for one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import types
from collections.abc import Iterator
from unittest import mock

import command_line
import tensorflow as tf
import tiny_runs
import tiny_training
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks.gpu_check import __main__ as command
from benchmarks.gpu_check import (
    agreement,
    checks,
    environment,
    exporting,
    idle,
    loss_scaling,
    report,
    speed,
    training,
)
from benchmarks.gpu_check.settings import Settings
from pix2pix_tf import keras_compat, serving
from pix2pix_tf.errors import InputError

_SIZES = dict(crop_size=32, base_filters=2, batch_sizes="1,2", num_steps=2, short_steps=20)
_SETTINGS = Settings(**_SIZES)
_TESTS = pathlib.Path(__file__).parent
# Prints the verdicts of a step on two CPU devices against one.
_MIRRORED = """
import tensorflow as tf, tiny_training
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from benchmarks.gpu_check import agreement, settings
with tiny_training.stub_networks():
    one = tf.distribute.get_strategy()
    small = settings.Settings(crop_size=32, base_filters=2)
    print([(c.name, c.verdict) for c in agreement.compare_mirrored(small, one)])
"""


def part(title: str, *rows: checks.Check, error: BaseException | None = None):
    """Returns what stands for the module of a part."""

    def measure(settings, folder) -> Iterator[checks.Check]:
        yield from rows
        if error is not None:
            raise error

    return types.SimpleNamespace(TITLE=title, MINUTES=1, measure=measure)


def verdicts(rows) -> dict[str, str]:
    """Returns the verdicts of checks by their names."""
    return {row.name: row.verdict for row in rows}


@contextlib.contextmanager
def gpu_in_disguise():
    """Lets the CPU pass for a GPU."""
    one_device = tf.distribute.OneDeviceStrategy
    with contextlib.ExitStack() as stack:
        details = dict(device_name="Disguise", compute_capability=(7, 5))
        for module, name, value in (
            (environment, "gpus", ["GPU"]),
            (tf.config.experimental, "get_device_details", details),
            (tf.config.experimental, "reset_memory_stats", None),
            (tf.config.experimental, "get_memory_info", dict(current=0, peak=3 * 10**9)),
        ):
            stack.enter_context(mock.patch.object(module, name, return_value=value))
        on_cpu = mock.patch.object(
            tf.distribute,
            "OneDeviceStrategy",
            side_effect=lambda device: one_device(device.replace("GPU", "CPU")),
        )
        stack.enter_context(on_cpu)
        yield


class CommandTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls) / "gpu_check"
        cls.sizes = {**_SIZES, "batch_sizes": "2", "dataset": "demo"}
        cls.flags = [f"--{name}={value}" for name, value in cls.sizes.items()]
        with tiny_training.plain_convolutions():
            cls.done = command_line.run(command, f"--output={cls.folder}", *cls.flags)
        cls.result = json.loads((cls.folder / report.JSON).read_text())

    def rows(self) -> dict[str, dict]:
        return {row["name"]: row for part in self.result["parts"] for row in part["checks"]}

    def test_everything_is_finished_and_nothing_of_a_gpu_counts_as_passed(self):
        self.assertEqual(self.done.exit_code, 0, self.done)
        self.assertContainsSubset(self.sizes, self.result["settings"])
        titles = [part.TITLE for part in command._parts()]
        self.assertEqual([part["title"] for part in self.result["parts"]], titles)
        self.assertEqual({part["state"] for part in self.result["parts"]}, {report.FINISHED})
        self.assertFalse(self.result["has_gpu"])
        self.assertIn("no GPU", self.result["verdict"])
        of_gpus = [
            row for name, row in self.rows().items() if "GPU" in name or "float16, b" in name
        ]
        self.assertLen(of_gpus, 7)
        for row in of_gpus:
            self.assertEqual((row["verdict"], row["why"]), (checks.NOT_MEASURED, "no GPU"), row)

    def test_what_a_cpu_has_is_measured(self):
        found = {name: row["verdict"] for name, row in self.rows().items()}
        self.assertNotIn(checks.FAILED, found.values())
        for name in ("steps done", "loss scale after an overflow, as a share of the one before"):
            self.assertEqual(found[name], checks.PASSED)
        rate = self.rows()["float32, batch 2: images a second on the CPU"]
        self.assertEqual(rate["verdict"], checks.RECORDED)
        self.assertGreater(rate["measured"], 0)

    def test_the_page_has_every_row_and_a_picture(self):
        page = (self.folder / report.PAGE).read_text()
        for name in self.rows():
            self.assertIn(name, page)
        self.assertIn("data:image/png;base64,", page)

    def test_a_report_is_not_overwritten(self):
        again = command_line.run(command, f"--output={self.folder}", *self.flags)
        again.check_refused(self.folder)

    def test_wrong_settings_are_refused(self):
        for values, message in (
            (dict(batch_sizes="1,x"), "batch_sizes is '1,x'"),
            (dict(short_steps=15), "short_steps is 15"),  # Which could all be skipped.
            (dict(crop_size=48), "crop_size is 48"),
        ):
            with self.assertRaisesRegex(InputError, message):
                dataclasses.replace(_SETTINGS, **values)


class PartsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def run_parts(self, *parts, has_gpu: bool = True) -> dict:
        command.run_parts(parts, _SETTINGS, self.folder, has_gpu=has_gpu)
        return json.loads((self.folder / report.JSON).read_text())

    def test_a_part_that_raises_is_reported_and_the_others_run(self):
        error = RuntimeError("out of luck\nat node 3")
        first = part("first", checks.recorded("before", 1.0), error=error)
        result = self.run_parts(first, part("second", checks.at_most("small", 1.0, 2.0)))
        self.assertEqual(result["verdict"], "failed")
        self.assertEqual([x["state"] for x in result["parts"]], [report.RAISED, report.FINISHED])
        before, failed = result["parts"][0]["checks"]
        self.assertEqual(before["measured"], 1.0)
        self.assertStartsWith(failed["why"], "RuntimeError: out of luck\nTraceback")
        self.assertEqual(result["parts"][1]["checks"][0]["verdict"], checks.PASSED)
        self.assertIn("<pre>RuntimeError: out of luck", (self.folder / report.PAGE).read_text())

    def test_a_value_beyond_its_bound_fails_and_so_does_one_that_is_not_a_number(self):
        for row, expected in (
            (checks.at_most("x", 2.0, 2.0), checks.PASSED),
            (checks.at_most("x", 2.1, 2.0), checks.FAILED),
            (checks.at_most("x", float("nan"), 2.0), checks.FAILED),
            (checks.at_least("x", 1.9, 2.0), checks.FAILED),
            (checks.at_least("x", float("-inf"), 2.0), checks.FAILED),
            (checks.equals("x", 1.0, 0.5), checks.FAILED),
        ):
            result = self.run_parts(part("part", row))
            self.assertEqual(result["parts"][0]["checks"][0]["verdict"], expected, row)
            self.assertEqual(result["verdict"], expected)

    def test_the_exit_status_tells_of_a_failure(self):
        output = f"--output={self.folder / 'new'}"
        failing = part("part", checks.at_most("x", 2.1, 2.0))
        with mock.patch.object(command, "_parts", return_value=[failing]):
            self.assertEqual(command_line.run(command, output).exit_code, 1)

    def test_what_was_measured_before_a_stop_stays(self):
        parts = [
            part("first", checks.recorded("x", 1.0)),
            part("second", checks.recorded("y", 2.0), error=KeyboardInterrupt()),
            part("third"),
        ]
        with self.assertRaises(KeyboardInterrupt):
            self.run_parts(*parts)
        result = json.loads((self.folder / report.JSON).read_text())
        states = [x["state"] for x in result["parts"]]
        self.assertEqual(states, [report.FINISHED, *[report.NOT_FINISHED] * 2])
        self.assertEqual(result["parts"][1]["checks"][0]["measured"], 2.0)
        self.assertEqual(result["verdict"], report.NOT_FINISHED)

    def test_a_run_that_was_stopped_stops_everything(self):
        state = types.SimpleNamespace(step=tf.Variable(1))
        with mock.patch.object(training.loop, "train", return_value=state):
            with self.assertRaises(KeyboardInterrupt):
                training.train(_SETTINGS.train_config(num_steps=2), self.folder)


class MeasuresTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.strategy = tf.distribute.get_strategy()

    def step(self, **settings) -> agreement.Step:
        settings = dict(precision="float32", **settings)
        return agreement.take_step(_SETTINGS.train_config(**settings), self.strategy)

    def test_a_gpu_is_held_against_the_cpu(self):
        with gpu_in_disguise(), tiny_training.stub_networks():
            found = verdicts(agreement.measure(_SETTINGS, self.folder))
        self.assertEqual(found.pop("mirrored against one device"), checks.NOT_MEASURED)
        self.assertEqual(set(found.values()), {checks.PASSED}, found)
        self.assertLen(found, 5 + 3)

    def test_a_step_that_computes_something_else_fails(self):
        with tiny_training.stub_networks():
            expected = self.step()
            other = self.step(lambda_l1=105.0)  # In place of 100.
            faster = self.step(learning_rate=3e-4)  # In place of 2e-4.
        found = verdicts(agreement.differences("x", other, expected, agreement.FLOAT32))
        self.assertEqual(found["x: losses"], checks.FAILED)
        self.assertEqual(found["x: gradient of the generator"], checks.FAILED)
        self.assertEqual(found["x: gradient of the discriminator"], checks.PASSED)
        found = verdicts(agreement.differences("x", faster, expected, agreement.FLOAT32))
        self.assertEqual(found["x: update of the discriminator"], checks.FAILED)
        lost = expected._replace(losses=dict.fromkeys(expected.losses, float("nan")))
        found = verdicts(agreement.differences("x", lost, expected, agreement.FLOAT16))
        self.assertEqual(found["x: losses"], checks.FAILED)

    def test_two_devices_are_held_against_one(self):
        paths = {"PYTHONPATH": f"{_TESTS.parent}{os.pathsep}{_TESTS}"}
        done = subprocess.run(
            [sys.executable, "-c", _MIRRORED],
            env={**os.environ, **paths, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])
        last = done.stdout.splitlines()[-1]
        self.assertEqual(last.count("mirrored on 2 devices"), 5, last)
        self.assertEqual(last.count("'passed'"), 5, last)

    def test_float16_without_loss_scaling_fails(self):
        made = keras_compat.ScaledOptimizer.__init__

        def without(self, *args, loss_scaling):
            made(self, *args, loss_scaling=False)

        with tiny_training.stub_networks():
            with mock.patch.object(keras_compat.ScaledOptimizer, "__init__", without):
                found = verdicts(loss_scaling.measure(_SETTINGS, self.folder))
        self.assertIn(checks.FAILED, found.values())

    def test_speed_and_memory_of_both_precisions(self):
        with gpu_in_disguise(), tiny_training.stub_networks():
            found = {row.name: row for row in speed.measure(_SETTINGS, self.folder)}
            rows = verdicts(environment.measure(_SETTINGS, self.folder))
        self.assertEqual(found["float16, batch 2: GB of GPU memory at the peak"].measured, 3.0)
        self.assertIn("float32, batch 1: images a second on the GPU", found)
        self.assertIn("images a second in float16, as a multiple of float32, batch 2", found)
        self.assertContainsSubset(("GPU 0", "driver and memory"), rows)

    def test_a_batch_that_the_gpu_cannot_hold_does_not_end_the_others(self):
        def measure(config, num_steps):
            if config.batch_size == 2:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return dict(float16=30.0, float32=20.0)[config.precision], 10**9

        with (
            gpu_in_disguise(),
            mock.patch.object(speed, "_measure_steps", measure),
            mock.patch.object(speed.precision, "resolve_precision", return_value="float16"),
        ):
            found = {row.name: row for row in speed.measure(_SETTINGS, self.folder)}
        self.assertEqual(found["float32, batch 2"].verdict, checks.NOT_MEASURED)
        ratio = found["images a second in float16, as a multiple of float32, batch 1"]
        self.assertEqual((ratio.measured, ratio.verdict), (1.5, checks.PASSED))

    def test_an_export_that_gives_something_else_than_the_run_fails(self):
        folder = tiny_runs.shared_run().parent
        with (
            mock.patch.object(serving, "save_version", return_value=tiny_runs.shared_version()),
            # In place of the run's own: the image as it came.
            mock.patch.object(exporting.translator, "load", return_value=lambda x, sample: x),
        ):
            found = list(verdicts(exporting.measure(_SETTINGS, folder)).values())
        self.assertEqual(found, [checks.FAILED, checks.FAILED, checks.PASSED])


class IdleTest(tf.test.TestCase):
    def space(self, **events: tuple[int, int]) -> xplane_pb2.XSpace:
        """Returns a trace of a GPU: events by name, each (start, end) in nanoseconds."""
        space = xplane_pb2.XSpace()
        space.planes.add(name="/host:CPU").lines.add(name="Stream #1").events.add(duration_ps=9)
        plane = space.planes.add(name="/device:GPU:0")
        plane.stat_metadata[7].name = "kernel_details"
        for number, (name, (start, end)) in enumerate(events.items()):
            line = plane.lines.add(name=f"Stream #{number}(Compute)", timestamp_ns=start)
            event = line.events.add(offset_ps=0, duration_ps=1000 * (end - start))
            if name.startswith("kernel"):
                event.stats.add(metadata_id=7)
        plane.lines.add(name="Steps").events.add(duration_ps=10**9)  # Not work of the device.
        return space

    def test_shares_of_the_time_by_what_the_trace_shows(self):
        # 100 ns: kernels from 10 to 40 that overlap, and from 70 to 100; copies 0 to 10, 30 to 60.
        space = self.space(
            copy_in=(0, 10), kernel_1=(10, 30), kernel_2=(20, 40), copy=(30, 60), kernel_3=(70, 100)
        )
        self.assertAllClose(idle.device_shares(space), (0.6, 0.9))
        with gpu_in_disguise(), mock.patch.object(idle, "trace", return_value=space):
            rows = list(idle.measure(_SETTINGS, pathlib.Path()))
        self.assertAllClose([row.measured for row in rows], [0.4, 0.1])

    def test_a_trace_without_kernels_is_an_error(self):
        """A trace as the profiler writes it, of a machine without a GPU."""
        with tiny_training.stub_networks():
            space = idle.trace(_SETTINGS, tiny_runs.temporary_folder(self))
        self.assertNotEmpty([line for plane in space.planes for line in plane.lines])
        for trace in (space, self.space(copy=(0, 10))):
            with self.assertRaisesRegex(LookupError, "does not show any kernel"):
                idle.device_shares(trace)
