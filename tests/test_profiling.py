"""Tests of `pix2pix_tf.training.profiling`."""

from __future__ import annotations

import contextlib
import io
import pathlib
import types
from unittest import mock

import tensorflow as tf
import tiny_runs
import tiny_training
from absl.testing import parameterized
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from pix2pix_tf.errors import WriteError
from pix2pix_tf.training import loop, reports
from pix2pix_tf.training.profiling import Profiler


def num_profiles(workdir: pathlib.Path) -> int:
    """Returns how many profiles there are, as TensorBoard finds them, each with something in it."""
    paths = list(workdir.glob("tensorboard/plugins/profile/*/*.xplane.pb"))
    assert all(xplane_pb2.XSpace.FromString(path.read_bytes()).planes for path in paths)
    return len(paths)


class ProfilerTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.workdir = tiny_runs.temporary_folder(self) / "run"

    @parameterized.named_parameters(
        ("all_of_them", (2, 3), range(1, 6), [2, 3]),
        ("the_rest_of_a_continued_run", (2, 4), range(3, 6), [3, 4]),
        ("until_the_run_ends", (2, 9), range(1, 4), [2, 3]),
        ("none_that_are_over", (2, 3), range(4, 6), []),
    )
    def test_profiles(self, steps, run, expected):
        experimental = tf.profiler.experimental
        calls = []
        with (
            mock.patch.object(experimental, "start", lambda folder: calls.append("start")),
            mock.patch.object(experimental, "stop", lambda: calls.append("stop")),
        ):
            profiler = Profiler(self.workdir, steps, next_step=run[0])
            for number in run:
                calls.append(number)
                losses = dict(generator_loss=tf.constant(1.0))
                is_last = number == run[-1]
                profiler(types.SimpleNamespace(step=number, losses=losses, is_last=is_last))
        found = calls[calls.index("start") + 1 : calls.index("stop")] if "start" in calls else []
        self.assertEqual(found, expected)
        self.assertEqual(calls.count("start"), calls.count("stop"))
        self.assertEqual(calls.count("start"), bool(expected))

    def test_a_profile_that_cannot_be_written_is_one_line(self):
        self.workdir.touch()  # A file, in place of the folder.
        with self.assertRaisesRegex(WriteError, "tensorboard' .*no.* directory"):
            profiler = Profiler(self.workdir, (1, 1), next_step=1)
            losses = dict(generator_loss=tf.constant(1.0))
            profiler(types.SimpleNamespace(step=1, losses=losses, is_last=True))

    def test_a_run_profiles_the_steps_of_its_configuration(self):
        config = tiny_training.make_config(
            gan_loss="none", num_steps=3, num_samples=1, num_evaluated=1, profile_steps="2-2"
        )
        self.enter_context(tiny_training.stub_networks())
        self.enter_context(mock.patch.object(reports, "plot_losses"))
        with contextlib.redirect_stdout(io.StringIO()):
            loop.train(config, self.workdir)
        self.assertEqual(num_profiles(self.workdir), 1)
