"""Tests of `pix2pix_tf.commands`: how every command ends when it is told to stop."""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable

import command_line
import tiny_runs
import tiny_training
from absl.testing import absltest, parameterized

from pix2pix_tf.errors import InputError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_TIMEOUT_SECONDS = 120
_ENDING = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def run_main(main: Callable) -> command_line.Result:
    """Runs a function as the main one of a command without flags."""
    module = types.SimpleNamespace(__name__="command", define_flags=lambda: None, main=main)
    return command_line.run(module)


class StreamsTest(absltest.TestCase):
    def test_those_that_are_closed_are_the_null_device(self):
        """As in a service, and by `>&-`; nothing that is opened later takes their place."""
        code = """
import os, sys, tqdm
from absl import logging
from pix2pix_tf import commands
def main(arguments):
    with open(sys.argv[0] + ".written", "w") as file:
        os.write(1, b"C++")
        os.write(2, b"C++")
        print("printed")
        print("an error", file=sys.stderr)
        logging.error("logged")
        list(tqdm.tqdm(range(3), disable=None))
        sys.stderr.isatty()
        file.write("alone")
commands.run(main)
"""
        path = tiny_runs.temporary_folder(self) / "command.py"
        path.write_text(code)
        shell = f"'{sys.executable}' '{path}' <&- >&- 2>&-"
        environment = dict(os.environ, PYTHONPATH=str(_REPOSITORY))
        self.assertEqual(subprocess.run(shell, shell=True, env=environment).returncode, 0)
        self.assertEqual(path.with_suffix(".py.written").read_text(), "alone")


class _SignalsTest(absltest.TestCase):
    """Signals act as usual, in these tests and in what they start."""

    def setUp(self):
        super().setUp()
        # Ignored in what a shell starts in the background, and under nohup.
        for number, usual in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGHUP, signal.SIG_DFL),
        ):
            self.addCleanup(signal.signal, number, signal.signal(number, usual))


class StopTest(_SignalsTest, parameterized.TestCase):
    @parameterized.parameters(*_ENDING)
    def test_a_signal_is_one_line_and_the_status_that_shells_give(self, number):
        before = [signal.getsignal(number) for number in _ENDING]
        cleaned = []

        def main(unused_arguments):
            try:
                os.kill(os.getpid(), number)
                time.sleep(1.0)  # Which it interrupts.
            finally:
                cleaned.append(True)

        result = run_main(main)
        self.assertEqual((result.exit_code, result.stderr), (_ENDING[number], "Stopped.\n"))
        self.assertEqual(cleaned, [True])
        self.assertEqual([signal.getsignal(number) for number in _ENDING], before)

    @parameterized.parameters(signal.SIGHUP, signal.SIGTERM)
    def test_a_hangup_after_another_signal_does_not_stop_the_cleaning(self, first):
        cleaned = []

        def main(unused_arguments):
            try:
                os.kill(os.getpid(), first)
                time.sleep(1.0)
            finally:
                os.kill(os.getpid(), signal.SIGHUP)
                time.sleep(0.01)
                cleaned.append(True)

        self.assertEqual(run_main(main).exit_code, _ENDING[first])
        self.assertEqual(cleaned, [True])

    def test_an_error_that_is_made_of_a_signal_is_the_signal(self):
        """As TensorFlow does where one comes while it looks at arguments."""

        def main(unused_arguments):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(1.0)
            except KeyboardInterrupt:
                raise TypeError("Was eager Context initialized?") from None

        result = run_main(main)
        self.assertEqual((result.exit_code, result.stderr), (143, "Stopped.\n"))

    def test_a_wrong_input_stays_one(self):
        def main(unused_arguments):
            raise InputError("There is no picture.")

        result = run_main(main)
        self.assertEqual((result.exit_code, result.stderr), (2, "error: There is no picture.\n"))

    def test_a_file_of_somebody_else_is_named(self):
        def main(unused_arguments):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "run/\n.json")

        result = run_main(main)
        result.check_refused(r"error: 'run/\n.json'")


class StoppedProcessTest(_SignalsTest):
    def test_prepare_in_a_process_of_its_own(self):
        folder = tiny_runs.temporary_folder(self)
        tiny_training.write_pairs(folder / "data", train=1)
        (source,) = (folder / "data" / "train").iterdir()
        photos, output, temporary = (folder / name for name in ("photos", "out", "temporary"))
        photos.mkdir()
        temporary.mkdir()
        for index in range(5000):
            os.link(source, photos / f"{index}.png")
        process = subprocess.Popen(
            [sys.executable, "-m", "pix2pix_tf.prepare", "colorize", "--processes=1"]
            + [f"--input={photos}", f"--output={output}"],
            cwd=_REPOSITORY,
            env={**os.environ, "TMPDIR": str(temporary)},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.kill)
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while (
            time.monotonic() < deadline and process.poll() is None and not any(output.glob("*.png"))
        ):
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        _, stderr = process.communicate(timeout=_TIMEOUT_SECONDS)
        self.assertEqual(process.returncode, 129, stderr)
        # Some versions of TensorFlow say more before.
        self.assertEqual(stderr.splitlines()[-1], "Stopped. Run the same command again to resume.")
        self.assertEqual([*temporary.iterdir()], [])
        self.assertEqual([*output.glob(".*")], [])
        self.assertLess(len([*output.glob("*.png")]), 5000)
