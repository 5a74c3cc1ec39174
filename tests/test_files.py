"""Tests of `pix2pix_tf.files`."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from pix2pix_tf import files
from pix2pix_tf.data import images
from pix2pix_tf.errors import InputError, MissingInputError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


class WriteAtomicallyTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.path = self.folder / "picture.png"

    def names(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]

    def test_writes_and_leaves_nothing_beside(self):
        files.write_atomically(self.path, b"first")
        files.write_atomically(self.path, b"second, longer")
        self.assertEqual(self.path.read_bytes(), b"second, longer")
        self.assertEqual(self.names(), ["picture.png"])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o644)

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
        with mock.patch.object(files.os, "fsync", side_effect=lambda _: seen.extend(self.names())):
            files.write_atomically(self.path, b"contents")
        self.assertLen(seen, 1)
        # Beside it, so that the renaming stays on one disk; hidden, so that nothing lists it.
        self.assertStartsWith(seen[0], ".picture.png.")
        self.assertEqual(images.list_images(self.folder), [self.path])

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


class UnfinishedFolderTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def test_is_hidden_and_renamed(self):
        with files.unfinished_folder(self.folder, "site") as unfinished:
            unfinished.mkdir()
            self.assertStartsWith(unfinished.name, ".")
            self.assertEqual(self.names(), [unfinished.name])
            unfinished.rename(self.folder / "site")
        self.assertEqual(self.names(), ["site"])

    def test_failure_leaves_nothing(self):
        with self.assertRaises(KeyboardInterrupt):
            with files.unfinished_folder(self.folder, "site") as unfinished:
                unfinished.mkdir()
                (unfinished / "half").touch()
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
        prefix = unfinished.name.removesuffix(str(os.getpid()))
        elsewhere = f".site.unfinished.another-host.{2**22 + 1}"  # No process has that number.
        for name in (f"{prefix}{os.getppid()}", elsewhere, f"{prefix}notes"):
            (self.folder / name).mkdir()
        before = self.names()
        (self.folder / unfinished.name).mkdir()  # Of an earlier process with this number.
        with files.unfinished_folder(self.folder, "site"):
            self.assertEqual(self.names(), before)


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
        with self.assertRaisesRegex(InputError, "a file is in its place. Name another folder"):
            files.make_output_folder(self.folder / name)

    def test_a_folder_that_may_not_be_made_is_refused(self):
        with mock.patch.object(pathlib.Path, "mkdir", side_effect=PermissionError("not yours")):
            with self.assertRaisesRegex(InputError, r"cannot be made \(not yours\)"):
                files.make_output_folder(self.folder / "new")

    @parameterized.parameters("a*b", "a?", "run[1]")
    def test_a_path_that_reads_as_a_pattern_is_refused(self, name):
        with self.assertRaisesRegex(InputError, "takes for a pattern"):
            files.check_no_pattern(self.folder / name)
        files.check_no_pattern(self.folder)


if __name__ == "__main__":
    absltest.main()
