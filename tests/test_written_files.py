"""Tests that commands write nothing but their results."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tiny_training
from absl.testing import absltest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# What Keras and matplotlib keep for themselves, wherever one tells them to.
_OF_LIBRARIES = re.compile(r"keras\.json|fontlist-[\w.]+\.json(\.matplotlib-lock)?")


class WrittenFilesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.watched = [self.folder / name for name in ("home", "temporary", "current")]
        self.libraries = self.folder / "libraries"
        self.results = self.folder / "results"
        for folder in (*self.watched, self.libraries, self.results):
            folder.mkdir()

    def run_command(self, name: str, *arguments: str) -> None:
        """Runs a command, and asserts that it wrote in the results alone."""
        home, temporary, current = self.watched
        result = subprocess.run(
            [sys.executable, "-m", f"pix2pix_tf.{name}", *arguments],
            cwd=current,
            env=dict(
                os.environ,
                HOME=str(home),
                TMPDIR=str(temporary),
                XDG_CACHE_HOME=str(home / "cache"),
                XDG_CONFIG_HOME=str(home / "config"),
                KERAS_HOME=str(self.libraries),
                MPLCONFIGDIR=str(self.libraries),
                PYTHONPATH=str(_REPOSITORY),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        for folder in self.watched:
            self.assertEqual([str(path) for path in folder.rglob("*")], [], name)
        for path in self.libraries.rglob("*"):
            self.assertRegex(path.name, _OF_LIBRARIES)

    def test_commands_write_in_their_output_alone(self):
        data = tiny_training.write_pairs(self.folder / "data", train=2, val=1)
        before = tiny_training.read_folder(data)
        run = self.results / "run"
        settings = dict(
            tiny_training.SETTINGS,
            dataset=data,
            workdir=run,
            norm="none",
            gan_loss="none",
            num_samples=1,
            num_steps=2,
        )
        self.run_command("train", *(f"--{name}={value}" for name, value in settings.items()))
        trained = tiny_training.read_folder(run)
        self.run_command(
            "translate",
            f"--model={run}",
            f"--input={data / 'val'}",
            f"--output={self.results / 'translated'}",
        )
        self.run_command(
            "evaluate",
            f"--model={run}",
            f"--output={self.results / 'evaluation'}",
            "--feature_weights=none",
        )
        # Nor do these change what they read.
        self.assertEqual(tiny_training.read_folder(run), trained)
        self.assertEqual(tiny_training.read_folder(data), before)
        names = {"run", "translated", "evaluation"}
        self.assertEqual({path.name for path in self.results.iterdir()}, names)
        for name in names:
            self.assertNotEmpty(tiny_training.read_folder(self.results / name))


if __name__ == "__main__":
    absltest.main()
