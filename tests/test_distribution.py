"""Tests of `pix2pix_tf.training.distribution`, and of steps on two devices."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tiny_training
from absl.testing import parameterized

from pix2pix_tf import commands
from pix2pix_tf.errors import InputError
from pix2pix_tf.run_folder import list_checkpoints
from pix2pix_tf.training import distribution

_SCRIPT = pathlib.Path(__file__).with_name("mirrored_script.py")
_PATHS = {"PYTHONPATH": f"{_SCRIPT.parent.parent}{os.pathsep}{_SCRIPT.parent}"}
_TIMEOUT_SECONDS = 240


def worker(task_type: str, task_id: int, **num_tasks: int):
    """Returns what stands for the strategy of one process of a cluster."""
    cluster = {job: [f"{job}{i}:1" for i in range(count)] for job, count in num_tasks.items()}
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=task_type, task_id=task_id
    )
    return types.SimpleNamespace(cluster_resolver=resolver)


def free_ports(count: int) -> list[int]:
    """Returns ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("localhost", 0))
        return [free.getsockname()[1] for free in sockets]


class StrategyTest(tf.test.TestCase, parameterized.TestCase):
    def test_multiworker_needs_its_addresses(self):
        for value in (None, ""):
            with mock.patch.dict(os.environ):
                os.environ.pop("TF_CONFIG", None)
                if value is not None:
                    os.environ["TF_CONFIG"] = value
                with self.assertRaisesRegex(InputError, "TF_CONFIG"):
                    distribution.build_strategy("multiworker")

    def test_a_worker_that_waits_for_others_ends_at_a_signal(self):
        """Waiting in C++, where no handler of Python's would run."""
        self.enter_context(mock.patch.dict(os.environ, TF_CONFIG="{}"))
        usual = signal.signal(signal.SIGHUP, signal.default_int_handler)  # nohup ignores it.
        self.addCleanup(signal.signal, signal.SIGHUP, usual)
        seen = []
        with mock.patch.object(
            tf.distribute,
            "MultiWorkerMirroredStrategy",
            lambda: seen.append(signal.getsignal(signal.SIGHUP)),
        ):
            distribution.build_strategy("multiworker")
        self.assertEqual(seen, [signal.SIG_DFL])
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.default_int_handler)

    @parameterized.named_parameters(
        ("first_worker", worker("worker", 0, worker=2), True),
        ("second_worker", worker("worker", 1, worker=2), False),
        ("chief", worker("chief", 0, chief=1, worker=2), True),
        ("first_worker_beside_a_chief", worker("worker", 0, chief=1, worker=2), False),
    )
    def test_one_process_writes(self, strategy, is_chief):
        self.assertEqual(distribution.is_chief(strategy), is_chief)


class MultiworkerTest(tf.test.TestCase, parameterized.TestCase):
    """Two processes on this machine, that train together."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.workdir = self.folder / "run"
        self.workers = [f"localhost:{port}" for port in free_ports(2)]

    def start(self, index: int, *command: str, **settings) -> subprocess.Popen:
        """Starts a worker, whose output is appended to a file; see `output`."""
        task = dict(cluster=dict(worker=self.workers), task=dict(type="worker", index=index))
        settings = {
            **tiny_training.SETTINGS,
            **dict(strategy="multiworker", workdir=self.workdir, batch_size=2, num_steps=10**6),
            **dict(num_samples=1, best_metric="none", norm="none"),
            **settings,
        }
        with open(self.folder / f"worker_{index}.txt", "ab") as output:
            process = subprocess.Popen(
                [sys.executable, *(command or ["-m", "pix2pix_tf.train"])]
                + [f"--{name}={value}" for name, value in settings.items()],
                cwd=_SCRIPT.parent.parent,
                env={**os.environ, **_PATHS, "TF_CONFIG": json.dumps(task)},
                stdout=output,
                stderr=output,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def output(self, index: int) -> str:
        """Returns what worker `index` has said so far."""
        return (self.folder / f"worker_{index}.txt").read_text(errors="replace")

    def wait_until(self, is_so, processes) -> None:
        """Waits until `is_so()`; fails if a process ends before, or it takes too long."""
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while not is_so():
            ended = any(process.poll() is not None for process in processes)
            if ended or time.monotonic() > deadline:
                self.fail(f"{self.output(0)[-4000:]}\n---\n{self.output(1)[-4000:]}")
            time.sleep(0.05)

    def stop(self, processes) -> list[int]:
        """Signals the worker that does not write; returns the steps that each stopped after."""
        processes[1].send_signal(signal.SIGTERM)
        statuses = [process.wait(timeout=_TIMEOUT_SECONDS) for process in processes]
        self.assertEqual(statuses, [0, 0], (self.output(0)[-4000:], self.output(1)[-4000:]))
        reasons = ("another worker", "SIGTERM")
        return [
            int(re.search(rf"Stopped by {reason} after step (\d+);", self.output(index))[1])
            for index, reason in enumerate(reasons)
        ]

    def test_a_signal_to_one_stops_both_after_the_same_step(self):
        processes = [
            self.start(index, "-c", tiny_training.TRAIN_PLAIN, gan_loss="none")
            for index in range(2)
        ]
        metrics = self.workdir / "metrics.jsonl"
        self.wait_until(lambda: metrics.is_file() and metrics.stat().st_size, processes)
        steps = self.stop(processes)
        for index in range(2):
            self.assertIn("Devices: 2 x ", self.output(index))
        self.assertEqual(steps[0], steps[1])
        (saved,) = list_checkpoints(self.workdir)
        self.assertEqual(saved.name, f"step_{steps[0]:08d}")

    def test_workers_that_do_not_agree_are_all_refused(self):
        """The second has another folder, where no earlier part of the run is, and another seed."""
        config = tiny_training.make_config(norm="none", batch_size=2)
        (self.workdir / "checkpoints" / "step_00000002").mkdir(parents=True)
        config.save(self.workdir)
        other = dict(workdir=self.folder / "elsewhere", seed=5)
        processes = [self.start(0), self.start(1, **other)]
        for index, process in enumerate(processes):
            status = process.wait(timeout=_TIMEOUT_SECONDS)
            output = self.output(index)
            self.assertEqual(status, commands.EXIT_INPUT_ERROR, output[-4000:])
            (message,) = [line for line in output.splitlines() if line.startswith("error: ")]
            self.assertIn("seed (0 on worker 0, 5 on worker 1)", message)
            self.assertIn("newest_checkpoint (2 on worker 0, None on worker 1)", message)
        self.assertFalse((self.folder / "elsewhere").exists())

    @pytest.mark.slow
    def test_a_killed_worker_ends_the_other_and_both_go_on_when_started_again(self):
        settings = dict(checkpoint_every=20, log_every=10)

        def newest() -> int:
            return max((int(x.name[5:]) for x in list_checkpoints(self.workdir)), default=0)

        processes = [self.start(index, **settings) for index in range(2)]
        self.wait_until(lambda: newest() >= 20, processes)
        processes[1].kill()
        self.assertEqual(processes[0].wait(timeout=_TIMEOUT_SECONDS), commands.EXIT_WORKER_LOST)
        self.assertIn("Another worker is gone (", self.output(0))
        saved = newest()
        processes = [self.start(index, **settings) for index in range(2)]
        self.wait_until(lambda: newest() > saved, processes)
        steps = self.stop(processes)

        self.assertEqual(steps[0], steps[1])
        returned = [
            [int(x) for x in re.findall(r"Continuing .* after step (\d+)\.", self.output(index))]
            for index in range(2)
        ]
        # Each once, both after the same step, which is that of the newest checkpoint.
        self.assertEqual(returned[0], returned[1])
        (step,) = returned[0]
        self.assertEqual(step, saved)
        self.assertGreater(steps[0], step)
        lines = (self.workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        logged = [json.loads(line)["step"] for line in lines]
        self.assertEqual(logged, sorted(set(logged)))
        self.assertContainsSubset(range(10, steps[0] + 1, 10), logged)


class AgreementTest(tf.test.TestCase):
    """With what other workers say in place of them."""

    def meet(self, *others: dict, error: InputError | None = None, **facts) -> None:
        """Enters the block as worker 0."""

        def share(strategy, text):
            return [text, *map(json.dumps, others)]

        with mock.patch.object(distribution, "share", share):
            with distribution.agreed(None) as known:
                known.update(facts)
                if error:
                    raise error

    def test_values_that_differ_are_named_and_where(self):
        self.meet(dict(facts=dict(step=2)), step=2)
        same, other = (dict(facts=dict(step=2, pairs=pairs, folder="a")) for pairs in (400, 399))
        with self.assertRaises(InputError) as caught:
            self.meet(same, other, step=2, pairs=400, folder="a")
        self.assertIn("agree: pairs (400 on worker 0, 399 on worker 2). ", str(caught.exception))

    def test_a_refusal_of_one_is_one_of_all(self):
        with self.assertRaisesRegex(InputError, r"^Worker 1 .* go on: 2 pairs .* says more\.$"):
            self.meet(dict(refusal="2 pairs cannot be used:\none\nother"), step=2)
        with self.assertRaisesRegex(InputError, "^mine$"):
            self.meet(dict(refusal="no folder"), error=InputError("mine"))


class LostWorkerTest(tf.test.TestCase):
    def test_only_of_several_and_only_some_errors(self):
        def is_lost(kind, num_workers):
            error = kind(None, None, "why")
            return distribution.is_lost_worker(worker("worker", 0, worker=num_workers), error)

        self.assertTrue(is_lost(tf.errors.UnavailableError, 2))
        self.assertFalse(is_lost(tf.errors.UnavailableError, 1))
        self.assertFalse(is_lost(tf.errors.ResourceExhaustedError, 2))


class MirroredTest(tf.test.TestCase, parameterized.TestCase):
    """On the output of one process with two CPU devices."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run(
                [sys.executable, str(_SCRIPT), os.path.join(folder, "run")],
                env={**os.environ, **_PATHS, "TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
                timeout=600,
            )
        if result.returncode:
            raise AssertionError(f"{_SCRIPT.name} failed:\n{result.stderr[-4000:]}")
        cls.found = json.loads(result.stdout.splitlines()[-1])

    @parameterized.parameters(
        ("mirrored", "one_device"), ("in_parts_of_stubs", "one_device_of_stubs")
    )
    def test_the_update_is_that_of_one_device_on_the_joined_batch(self, name, reference):
        mirrored, one_device = self.found[name], self.found[reference]
        for losses, expected in zip(mirrored["losses"], one_device["losses"]):
            self.assertAllClose(losses, expected, rtol=1e-5)
        for weight, expected in zip(mirrored["weights"], one_device["weights"]):
            self.assertAllClose(weight, expected, rtol=0, atol=1e-5)
        self.assertNotEmpty(one_device["moments"])
        for moment, expected in zip(mirrored["moments"], one_device["moments"]):
            self.assertAllClose(moment, expected, rtol=1e-3, atol=1e-6)
        for name in ("step", "examples_seen", "traces"):
            self.assertEqual(mirrored[name], one_device[name])
        self.assertEqual((mirrored["step"], mirrored["examples_seen"]), (2, 8))
        self.assertTrue(mirrored["counters_are_on_the_host"])
        self.assertAllClose(mirrored["learning_rate"], 1e-3)

    def test_an_overflow_on_any_replica_skips_the_step_on_all(self):
        found = self.found["overflow"]
        self.assertTrue(found["loss_is_finite"])  # Else another guard would have seen it.
        self.assertFalse(found["moved"])
        self.assertEqual(found["scale_ratio"], 0.5)

    @parameterized.parameters("float16_batch_norm", "float16_in_parts")
    def test_batch_normalisation_and_loss_scaling_train_and_replicas_stay_alike(self, name):
        # Each device takes the statistics of its own share, so the update is another.
        found = self.found[name]
        self.assertTrue(found["learns"])
        self.assertEqual(found["replicas_differ_by"], 0.0)
        self.assertTrue(all(np.isfinite(x) for x in found["losses"][-1].values()))
        self.assertEqual(found["loss_scale"], 2.0**15)

    def test_a_run_goes_on_with_other_devices_and_refuses_a_batch_that_cannot_be_shared(self):
        self.assertEqual(self.found["trained"]["steps"], [3, 6])
        self.assertRegex(self.found["trained"]["refusal"], "batch_size is 3.* 2 ")
        self.assertFalse(self.found["trained"]["odd_was_started"])
