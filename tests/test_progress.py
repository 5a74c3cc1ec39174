"""Tests of `pix2pix_tf.progress`, on a clock that the tests turn."""

from __future__ import annotations

import contextlib
import io
import sys
from unittest import mock

from absl.testing import absltest

from pix2pix_tf import progress as progress_module
from pix2pix_tf.progress import Progress

_LOSSES = {"discriminator_loss": 0.5, "generator_loss": 12.3456, "l1_loss": 0.1}


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class ProgressTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        # A module of its own: tqdm keeps the real clock.
        clock = mock.Mock(perf_counter=lambda: self.now)
        self.enter_context(mock.patch.object(progress_module, "time", clock))

    def run_steps(self, steps, *, seconds, first_step=0, num_steps=100, stderr):
        """Returns (stdout, stderr) of some steps that take `seconds` each, logged each."""
        stdout = io.StringIO()
        with (
            contextlib.redirect_stdout(stdout),
            mock.patch.object(sys, "stderr", stderr),
            Progress(first_step, num_steps, 4) as progress,
        ):
            for step in steps:
                self.now += seconds
                progress.update(step, _LOSSES)
            progress.say("A note.")
        return stdout.getvalue(), stderr.getvalue()

    def test_not_a_terminal_gets_a_line_now_and_then(self):
        stdout, stderr = self.run_steps(range(1, 25), seconds=2.0, stderr=io.StringIO())
        self.assertEqual(stderr, "")
        # The first at once, then one every 20 seconds, which is 10 steps. 4 images in 2 seconds.
        self.assertEqual(
            stdout.splitlines(),
            [
                "step 1/100: D 0.500, G 12.346, l1 0.100",
                "step 11/100: D 0.500, G 12.346, l1 0.100, 2.00 images/s, 0:02:58 left",
                "step 21/100: D 0.500, G 12.346, l1 0.100, 2.00 images/s, 0:02:38 left",
                "A note.",
            ],
        )

    def test_the_last_step_always_gets_its_line(self):
        """With the speed since the first step, which compiles."""
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            progress = Progress(50, 52, 4)
            self.now += 300.0
            progress.update(51, _LOSSES)
            self.now += 2.0
            progress.update(52, _LOSSES)
        last = stdout.getvalue().splitlines()[-1]
        self.assertStartsWith(last, "step 52/52: ")
        self.assertEndsWith(last, "2.00 images/s, 0:00:00 left")

    def test_losses_stay_until_there_are_new_ones(self):
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            progress = Progress(0, 100, 4)
            progress.update(1)
            self.assertEqual(stdout.getvalue(), "")  # Nothing before there are some.
            self.now += 30.0
            progress.update(2, {"l1_loss": 0.25})
            self.now += 30.0
            progress.update(3)
        self.assertIn("step 3/100: l1 0.250", stdout.getvalue())

    def test_a_terminal_gets_a_bar(self):
        stdout, stderr = self.run_steps(
            range(41, 44), seconds=2.0, first_step=40, stderr=Terminal()
        )
        self.assertEqual(stdout, "A note.\n")
        self.assertIn("43/100", stderr)
        self.assertIn("D 0.500, G 12.346, l1 0.100, 2.00 images/s", stderr)
