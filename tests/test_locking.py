"""Tests of `pix2pix_tf.training.locking`: one run at a time in a run folder."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from unittest import mock

from absl.testing import absltest

from pix2pix_tf.errors import InputError, WriteError
from pix2pix_tf.training import locking
from pix2pix_tf.training.locking import RunLock

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_HOLD = """
import pathlib, sys, time
from pix2pix_tf.training.locking import RunLock
with RunLock(pathlib.Path(sys.argv[1])) as lock:
    lock.acquire()
    print("held", flush=True)
    time.sleep(600)
"""


class RunLockTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.workdir = self.folder / "run"

    def hold(self) -> subprocess.Popen:
        """Starts a process that holds the lock."""
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(self.workdir)],
            cwd=_REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "held\n")
        return process

    def test_whoever_may_write_in_the_folder_by_the_umask_may_take_the_lock(self):
        self.addCleanup(os.umask, os.umask(0o002))
        with RunLock(self.workdir) as lock:
            lock.acquire()
        mode = (self.workdir / locking.LOCK_FILE).stat().st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o664)

    def test_a_second_process_is_refused_naming_the_first_and_a_killed_one_blocks_nobody(self):
        process = self.hold()
        with self.assertRaisesRegex(InputError, f"process {process.pid} on "):
            with RunLock(self.workdir):
                self.fail("Two have it.")
        process.send_signal(signal.SIGKILL)
        process.wait()
        with RunLock(self.workdir):
            text = (self.workdir / locking.LOCK_FILE).read_text(encoding="utf-8")
            self.assertStartsWith(text, f"process {os.getpid()} on ")

    def test_is_released_by_an_error(self):
        self.workdir.mkdir()
        with self.assertRaises(KeyError):
            with RunLock(self.workdir):
                self.assert_is_held()
                raise KeyError
        with RunLock(self.workdir):
            pass

    def assert_is_held(self) -> None:
        with self.assertRaisesRegex(InputError, f"process {os.getpid()} on "):
            RunLock(self.workdir).acquire()

    def test_other_programs_do_not_inherit_it(self):
        with RunLock(self.workdir) as lock:
            lock.acquire()
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        with RunLock(self.workdir):
            pass  # Though that one still runs.
        child.communicate(b"\n")

    def test_a_folder_that_is_not_there_is_made_only_when_asked(self):
        with RunLock(self.workdir) as lock:
            self.assertFalse(self.workdir.exists())
            lock.acquire()
            lock.acquire()
            lock.check()

    def test_a_folder_that_was_deleted_or_replaced_is_noticed(self):
        with RunLock(self.workdir) as lock:
            lock.acquire()
            shutil.rmtree(self.workdir)
            with self.assertRaisesRegex(WriteError, f"'{self.workdir}'"):
                lock.check()
            self.workdir.mkdir()
            (self.workdir / locking.LOCK_FILE).touch()
            with self.assertRaisesRegex(WriteError, f"'{self.workdir}'"):
                lock.check()

    def test_a_lock_that_was_deleted_or_replaced_alone_is_taken_again(self):
        path = self.workdir / locking.LOCK_FILE
        with RunLock(self.workdir) as lock:
            lock.acquire()
            for disturb in (path.unlink, lambda: (path.unlink(), path.touch())):
                disturb()
                lock.check()
                self.assert_is_held()
        with RunLock(self.workdir):
            pass  # Nothing is left open.

    def test_a_lock_that_another_process_took_ends_this_run(self):
        self.workdir.mkdir()
        with RunLock(self.workdir) as lock:
            (self.workdir / locking.LOCK_FILE).unlink()
            process = self.hold()
            with self.assertRaisesRegex(InputError, f"process {process.pid} on "):
                lock.check()

    def test_a_mount_that_numbers_files_anew_ends_no_run(self):
        with RunLock(self.workdir) as lock:
            lock.acquire()
            with mock.patch.object(locking.os.path, "samestat", return_value=False):
                lock.check()
            self.assert_is_held()

    def test_a_file_system_without_locks_keeps_nobody_out(self):
        fault = OSError(95, "Operation not supported")
        with mock.patch.object(locking.fcntl, "flock", side_effect=fault):
            with RunLock(self.workdir) as lock:
                lock.acquire()
                lock.check()
