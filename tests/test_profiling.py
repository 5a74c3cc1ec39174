"""Tests of `pix2pix_tf.training.profiling`."""

from __future__ import annotations

import contextlib
import io
import pathlib
from unittest import mock

import file_faults
import tensorflow as tf
import tiny_runs
import tiny_training
from absl.testing import parameterized
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from pix2pix_tf.errors import WriteError
from pix2pix_tf.training import loop, reports
from pix2pix_tf.training.profiling import Profiler


def profiled_steps(workdir: pathlib.Path) -> list[int]:
    """Returns the numbers of the steps in the profiles of a run, as TensorBoard finds them."""
    steps = []
    for path in workdir.glob("tensorboard/plugins/profile/*/*.xplane.pb"):
        for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
            names = {key: stat.name for key, stat in plane.stat_metadata.items()}
            steps += [
                stat.int64_value
                for line in plane.lines
                for event in line.events
                for stat in event.stats
                if names[stat.metadata_id] == "step_num"
                and plane.event_metadata[event.metadata_id].name == "train"
            ]
    return sorted(steps)


class ProfilerTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.workdir = tiny_runs.temporary_folder(self) / "run"

    @parameterized.named_parameters(
        ("all_of_them", (2, 3), range(1, 6), True, [2, 3]),
        ("the_rest_of_a_continued_run", (2, 4), range(3, 6), True, [3, 4]),
        ("until_the_run_ends", (2, 9), range(1, 4), True, [2, 3]),
        ("none_that_are_over", (2, 3), range(4, 6), True, []),
        ("none_are_asked_for", None, range(1, 4), True, []),
        ("none_by_another_worker", (1, 2), range(1, 4), False, []),
    )
    def test_profiles(self, steps, run, writes, expected):
        with Profiler(self.workdir, steps, writes=writes) as profiler:
            for number in run:
                with profiler.step(number):
                    tf.constant(1.0) + 1.0
        self.assertEqual(profiled_steps(self.workdir), expected)
        self.assertEqual(self.workdir.exists(), bool(expected))

    def test_a_profile_that_cannot_be_written_is_one_line(self):
        self.workdir.touch()  # A file, in place of the folder.
        with self.assertRaisesRegex(WriteError, "tensorboard' .*no.* directory"):
            with Profiler(self.workdir, (1, 1), writes=True) as profiler, profiler.step(1):
                tf.constant(1.0) + 1.0

    def test_a_disk_without_room(self):
        self.workdir.mkdir()
        with file_faults.small_disk(self.workdir, 1) as is_mounted:
            if not is_mounted:
                self.skipTest("This process may not mount a disk.")
            with self.assertRaisesRegex(WriteError, "No space left on device"):
                with Profiler(self.workdir / "run", (1, 1), writes=True) as profiler:
                    with profiler.step(1):
                        tf.constant(1.0) + 1.0
                    file_faults.fill(self.workdir, leave=0)

    def test_a_run_profiles_the_steps_of_its_configuration(self):
        config = tiny_training.make_config(
            gan_loss="none", num_steps=3, num_samples=1, num_evaluated=1, profile_steps="2-2"
        )
        self.enter_context(tiny_training.stub_networks())
        self.enter_context(mock.patch.object(reports, "plot_losses"))
        with contextlib.redirect_stdout(io.StringIO()):
            loop.train(config, self.workdir)
        self.assertEqual(profiled_steps(self.workdir), [2])
