"""Runs `python -m pix2pix_tf.prepare` in this process, on pictures made here."""

from __future__ import annotations

import pathlib
import re

import command_line
import hostile_files
import numpy as np
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf.prepare import __main__ as command


def prepare(task: str, folder: pathlib.Path, *flags: str) -> command_line.Result:
    """Runs a task on `folder/in`, with results in `folder/out`, in one process."""
    paths = [f"--input={folder / 'in'}", f"--output={folder / 'out'}"]
    return command_line.run(command, task, *paths, "--processes=1", *flags, takes_arguments=True)


class TaskTest(parameterized.TestCase):
    """A test with folders `in` and `out`, and what a task may end with."""

    task = ""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "in", self.folder / "out"

    def run_task(self, *flags: str) -> command_line.Result:
        return prepare(self.task, self.folder, *flags)

    def save(self, name: str, **settings) -> pathlib.Path:
        """Writes a photo below `in`."""
        return save(self.input / name, photo(**settings))

    def assert_done(self, result: command_line.Result, *shown) -> None:
        """Expects no word of anything wrong, and `shown` in the summary, in this order."""
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assert_shown(shown, result.stdout)

    def assert_refused(self, result: command_line.Result, *shown) -> None:
        """Expects the one line of a wrong command, which has each of `shown`, in this order."""
        result.check_refused()
        self.assert_shown(shown, result.stderr)

    def assert_named(self, result: command_line.Result, *files: tuple) -> None:
        """Expects a line for each of the files, in this order, and their number."""
        self.assertEqual(result.exit_code, 1, result)
        *lines, count = result.stderr.splitlines()
        self.assertLen(lines, len(files), result.stderr)
        for line, shown in zip(lines, files):
            self.assertStartsWith(line, f"error: {shown[0]}: ")
            self.assert_shown(shown, line)
        self.assertStartsWith(count, f"{len(files)} could not be used")

    def assert_shown(self, shown, text: str) -> None:
        """Expects each of `shown` in a text, in this order."""
        self.assertRegex(text, "(?s)" + ".*".join(re.escape(str(part)) for part in shown))


def photo(*, width: int = 24, height: int = 16, seed: int = 0) -> np.ndarray:
    """Returns a picture that changes slowly, in colours: uint8 `[height, width, 3]`."""
    coarse = np.random.default_rng(seed).integers(0, 256, [4, 4, 3], dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))


def aligned(seed: int, **size: int) -> np.ndarray:
    """Returns two pictures side by side."""
    return np.concatenate([photo(seed=seed, **size), photo(seed=seed + 1000, **size)], axis=1)


def save(path: pathlib.Path, pixels: np.ndarray, **settings) -> pathlib.Path:
    """Writes an image file, and the folders above it; settings are of Pillow's `save`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)
    return path


def save_shallow(path: pathlib.Path, indexes: np.ndarray, *, bits: int) -> pathlib.Path:
    """Writes a grey PNG of 1, 2 or 4 bits, which Pillow only reads; and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = indexes.shape
    places = indexes[..., np.newaxis] >> np.arange(bits - 1, -1, -1) & 1
    rows = np.packbits(places.reshape(height, width * bits).astype(bool), axis=1)
    path.write_bytes(hostile_files.png(width, height, rows.tobytes(), bits=bits, colour=0))
    return path


def files_below(folder: pathlib.Path) -> list[str]:
    """Returns the files of a folder and those below it, hidden ones too."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def read(path: pathlib.Path) -> np.ndarray:
    """Returns an image file as Pillow reads it."""
    with Image.open(path) as picture:
        return np.asarray(picture)
