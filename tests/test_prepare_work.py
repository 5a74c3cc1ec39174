"""Tests of `pix2pix_tf.prepare.work`: many files in several processes."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import signal
import tempfile
import threading
import time
from unittest import mock

from absl.testing import parameterized
from refusals import refused

from pix2pix_tf.errors import InputError, WriteError
from pix2pix_tf.prepare import work


def square(number: int) -> tuple[int, int]:
    """Returns the square, and the process that computed it."""
    if number % 10 == 3:
        raise InputError(f"'{number}' ends in 3.")
    return number**2, os.getpid()


def fill_disk(number: int) -> None:
    if number == 70:
        raise WriteError("No room.")


def die(number: int) -> None:
    if number == 40:
        os.kill(os.getpid(), signal.SIGKILL)


def sleep(folder: str) -> None:
    pathlib.Path(folder, str(os.getpid())).touch()
    time.sleep(600)


class WorkTest(parameterized.TestCase):
    @parameterized.parameters(1, 2)
    def test_results_and_problems(self, processes):
        found = list(work.run_on_all(square, range(250), processes=processes))
        self.assertEqual(sorted(item for item, _, _ in found), list(range(250)))
        for item, result, problem in found:
            if item % 10 == 3:
                self.assertEqual((result, problem), (None, f"'{item}' ends in 3."))
            else:
                self.assertEqual((result[0], problem), (item**2, None))
        workers = {result[1] for _, result, _ in found if result}
        self.assertEqual(os.getpid() in workers, processes == 1)
        self.assertLessEqual(len(workers), processes)

    def test_few_files_are_not_worth_a_process(self):
        found = list(work.run_on_all(square, range(199), processes=8))
        self.assertEqual({result[1] for _, result, _ in found if result}, {os.getpid()})

    def test_a_result_that_cannot_be_written_ends_it(self):
        with self.assertRaisesRegex(WriteError, "No room."):
            list(work.run_on_all(fill_disk, range(250), processes=2))

    def test_a_process_that_is_killed(self):
        with refused("2 processes", "killed"):
            list(work.run_on_all(die, range(250), processes=2))

    def test_a_process_that_is_killed_before_all_is_submitted(self):
        def until_a_process_is_dead():
            yield 40
            self.wait_until(lambda: not multiprocessing.active_children())
            yield 41

        items = mock.MagicMock(__len__=lambda _: 250)
        items.__iter__.side_effect = until_a_process_is_dead
        with refused("2 processes", "killed"):
            list(work.run_on_all(die, items, processes=2))

    def test_what_workers_have_in_hand_is_not_waited_for(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        # What a script starts with "&" ignores it.
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, usual)
        found = work.run_on_all(sleep, [str(folder)] * 4, processes=2, least_per_process=1)
        alarm = threading.Timer(0.0, self.interrupt_when, [lambda: any(folder.iterdir())])
        alarm.start()
        with self.assertRaises(KeyboardInterrupt):
            list(found)  # Each takes ten minutes.
        alarm.join()
        self.assertFalse(any(_is_running(int(file.name)) for file in folder.iterdir()))

    def interrupt_when(self, condition) -> None:
        self.wait_until(condition)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def wait_until(self, condition) -> None:
        end = time.monotonic() + 120
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)


def _is_running(process: int) -> bool:
    """Returns whether a process is there and has not ended; nobody may have waited for it."""
    try:
        state = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
