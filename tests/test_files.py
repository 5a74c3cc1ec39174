"""Tests of `pix2pix_tf.files`."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
from unittest import mock

import file_faults
from absl.testing import absltest, parameterized
from refusals import refused

from pix2pix_tf import files, serving, translate
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images, layouts, registry
from pix2pix_tf.errors import InputError, MissingInputError, WriteError
from pix2pix_tf.evaluation import outputs
from pix2pix_tf.inference import forms, translator

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


class WriteAtomicallyTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.path = self.folder / "picture.png"

    def names(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]

    @parameterized.parameters((0o077, 0o600), (0o022, 0o644), (0o002, 0o664))
    def test_the_umask_says_who_may_read_and_write(self, umask, expected):
        self.addCleanup(os.umask, os.umask(umask))
        modes = []

        def note(descriptor: int) -> None:  # Before it is whole it is as private.
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

        with mock.patch.object(files.os, "fsync", side_effect=note):
            files.write_atomically(self.path, b"contents")
        modes.append(stat.S_IMODE(self.path.stat().st_mode))
        self.assertEqual(modes, [expected] * 2)

    @parameterized.named_parameters(
        ("no_space", "fsync", OSError("No space left on device")),
        ("interrupted", "replace", KeyboardInterrupt()),
    )
    def test_failure_keeps_the_old_file(self, function, error):
        self.path.write_bytes(b"old")
        with mock.patch.object(files.os, function, side_effect=error):
            with self.assertRaises(type(error)):
                files.write_atomically(self.path, b"new")
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(self.names(), ["picture.png"])

    def test_the_name_appears_only_when_the_file_is_whole(self):
        seen = []

        def look(descriptor: int) -> None:
            seen.extend(self.names())
            self.assertEqual(os.fstat(descriptor).st_size, len(b"contents"))

        with mock.patch.object(files.os, "fsync", side_effect=look):
            files.write_atomically(self.path, b"contents")
        self.assertEqual(self.path.read_bytes(), b"contents")
        self.assertEqual(self.names(), ["picture.png"])
        self.assertLen(seen, 1)
        # Beside it, so that the renaming stays on one disk; hidden, so that nothing lists it.
        self.assertStartsWith(seen[0], ".picture.png.")

    def test_names_as_long_as_they_can_be(self):
        for name in ("l" * 251 + ".png", "ä" * 125 + ".png"):  # 255 and 254 bytes.
            files.write_atomically(self.folder / name, b"contents")
            self.assertEqual(self.names(), [name])
            (self.folder / name).unlink()


class RequireFileTest(parameterized.TestCase):
    def test_what_may_be_opened(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        path = folder / "a.png"
        path.touch()
        (folder / "link.png").symlink_to("a.png")
        files.require_file(path)
        files.require_file(folder / "link.png")
        os.mkfifo(folder / "pipe.png")
        (folder / "zeros.png").symlink_to("/dev/zero")
        (folder / "loop.png").symlink_to("loop.png")
        for name in ("pipe.png", "zeros.png", "loop.png", ""):
            with self.subTest(name), self.assertRaises(InputError) as raised:
                files.require_file(folder / name)
            self.assertIn(f"'{folder / name}' ", str(raised.exception))
        (folder / "nothing.png").symlink_to("nowhere.png")
        for name in ("nothing.png", "none.png"):
            with self.assertRaises(MissingInputError):
                files.require_file(folder / name)


_LOOK_INTO = {
    "images": images.list_images,
    "inputs": translate.find_inputs,
    "versions": serving.list_versions,
    "model": lambda folder: translator.is_run_folder(folder, "newest"),
    "settings": TrainConfig.load,
    "splits": lambda folder: layouts.has_split(folder, "train"),
    "published_set": lambda folder: registry.locate("facades", folder),
}
_LOCATE = {
    "model": lambda folder: translator.is_run_folder(folder, "newest"),
    "settings": TrainConfig.load,
    "model_to_export": lambda folder: forms.save_version(folder, folder.parent / "out"),
    "version": serving.find_version,
    "inputs": translate.find_inputs,
    "outputs": lambda folder: outputs.FolderOutputs(folder, pairs=["1"]),
}


class ReadingFoldersTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory())) / "in"
        self.folder.mkdir()

    def test_answers(self):
        (self.folder / "b").mkdir()
        (self.folder / "a").touch()
        names = {path.name: path for path in files.list_folder(self.folder)}
        self.assertEqual(list(names), ["a", "b"])
        self.assertEqual([files.is_folder(path) for path in names.values()], [False, True])
        self.assertEqual([files.is_file(path) for path in names.values()], [True, False])
        for path in (self.folder / "c", self.folder / "a" / "c"):
            self.assertFalse(files.is_folder(path) or files.is_file(path))

    @parameterized.named_parameters(_LOOK_INTO.items())
    def test_that_may_not_be_read(self, function):
        with file_faults.unreadable(self.folder):
            with refused(f"'{self.folder}", "cannot be read (Permission denied)"):
                function(self.folder)

    @parameterized.named_parameters(_LOCATE.items())
    def test_names_that_are_too_long(self, function):
        path = self.folder.parent / ("l" * 300)
        with refused(f"'{path}", "cannot be read (File name too long)"):
            function(path)


_HOLD = """
import pathlib, sys, time
from pix2pix_tf import files
with files.locked(pathlib.Path(sys.argv[1]), refusal="It is held."):
    print("held", flush=True)
    time.sleep(600)
"""


class LockedTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory())) / "lock"

    def lock(self):
        return files.locked(self.path, refusal="It is held.")

    def assert_is_held(self) -> None:
        with self.assertRaisesRegex(InputError, "^It is held.$"), self.lock():
            self.fail("Two have it.")

    def test_a_second_process_is_refused_and_a_killed_one_blocks_nobody(self):
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(self.path)], cwd=_REPOSITORY, stdout=subprocess.PIPE
        )
        with process:
            self.assertEqual(process.stdout.readline(), b"held\n")
            self.assert_is_held()
            process.kill()
        with self.lock():
            self.assert_is_held()

    def test_is_released_by_an_error(self):
        with self.assertRaises(KeyError), self.lock():
            raise KeyError
        with self.lock():
            pass

    def test_other_programs_do_not_inherit_it(self):
        with self.lock():
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        with self.lock():
            pass  # Though that one still runs.
        child.communicate(b"\n")

    def test_whoever_may_write_in_the_folder_by_the_umask_may_take_it(self):
        self.addCleanup(os.umask, os.umask(0o002))
        with self.lock():
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o664)

    def test_a_file_system_without_locks_keeps_nobody_out(self):
        for number in (errno.ENOLCK, errno.EOPNOTSUPP):
            fault = OSError(number, os.strerror(number))
            with mock.patch("fcntl.flock", side_effect=fault), self.lock():
                pass


class UnfinishedFolderTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def test_is_hidden_and_failure_leaves_nothing(self):
        with self.assertRaises(KeyboardInterrupt):
            with files.unfinished_folder(self.folder, "site") as unfinished:
                unfinished.mkdir()
                (unfinished / "half").touch()
                self.assertStartsWith(unfinished.name, ".")
                self.assertEqual(self.names(), [unfinished.name])
                raise KeyboardInterrupt
        self.assertEmpty(self.names())

    def test_what_a_killed_process_has_left_is_removed(self):
        program = (
            "import os, pathlib, signal\n"
            "from pix2pix_tf import files\n"
            f"with files.unfinished_folder(pathlib.Path({str(self.folder)!r}), 'site') as folder:\n"
            "    folder.mkdir()\n"
            "    (folder / 'half').touch()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        subprocess.run([sys.executable, "-c", program], check=False, cwd=_REPOSITORY)
        (left,) = self.names()
        with files.unfinished_folder(self.folder, "other"):
            self.assertEqual(self.names(), [left])  # Of another command, perhaps.
        with files.unfinished_folder(self.folder, "site"):
            self.assertEmpty(self.names())

    def test_what_somebody_may_be_writing_is_left_alone(self):
        with files.unfinished_folder(self.folder, "site") as unfinished:
            pass
        start, _, letters = unfinished.name.rsplit(".", 2)
        no_process = 2**22 + 1  # None has such a number.
        for name in (
            unfinished.name,  # Of this process.
            f"{start}.{os.getppid()}.{letters}",
            f".site.unfinished.another-host.{no_process}.{letters}",
            f"{start}.notes.{letters}",
        ):
            (self.folder / name).mkdir()
        before = self.names()
        (self.folder / f"{start}.{no_process}.{letters}").mkdir()
        with files.unfinished_folder(self.folder, "site"):
            self.assertEqual(self.names(), before)
        # Whoever holds a lock is alone.
        files.sweep(self.folder, is_alone=True)
        self.assertEmpty(self.names())


class FoldersTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

    def test_makes_folders_above_and_accepts_those_there(self):
        for _ in range(2):
            files.make_output_folder(self.folder / "a" / "b")
        self.assertTrue((self.folder / "a" / "b").is_dir())

    @parameterized.parameters("file", "file/below")
    def test_a_file_in_its_place_is_refused(self, name):
        (self.folder / "file").write_bytes(b"")
        with self.assertRaisesRegex(InputError, f"{name}' cannot be made: a file is in its"):
            files.make_output_folder(self.folder / name)

    def test_a_folder_that_cannot_be_written_in_is_found(self):
        with file_faults.files_limited_to(0):
            with self.assertRaisesRegex(WriteError, f"'{self.folder}' .*File too large"):
                files.make_output_folder(self.folder)
        fault = OSError(errno.EROFS, os.strerror(errno.EROFS))  # Only once it is on the disk.
        with mock.patch.object(os, "fsync", side_effect=fault):
            with self.assertRaisesRegex(WriteError, f"'{self.folder}' .*Read-only"):
                files.make_output_folder(self.folder)
        self.assertEmpty(list(self.folder.iterdir()))

    @parameterized.parameters("a*b", "a?", "run[1]")
    def test_a_path_that_reads_as_a_pattern_is_refused(self, name):
        with self.assertRaisesRegex(InputError, re.escape(name)):
            files.check_no_pattern(self.folder / name)
        files.check_no_pattern(self.folder)
