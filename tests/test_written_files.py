"""Tests that commands write nothing but their results."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tiny_training
from absl.testing import absltest

_TESTS = pathlib.Path(__file__).resolve().parent
# What Keras and matplotlib keep for themselves, wherever one tells them to.
_OF_LIBRARIES = re.compile(r"keras\.json|fontlist-[\w.]+\.json(\.matplotlib-lock)?")
# Runs commands, with networks of two layers, and prints after each what a folder holds then.
_RUN_COMMANDS = """
import importlib, json, pathlib, sys
import command_line, tiny_training
with tiny_training.stub_networks():
    for name, arguments in json.loads(sys.argv[1]):
        module = importlib.import_module(f"pix2pix_tf.{name}")
        result = command_line.run(module, *arguments)
        if result.exit_code:
            sys.exit(f"{name}: {result.stderr}")
        print(json.dumps(tiny_training.read_folder(pathlib.Path(sys.argv[2]))))
"""


class WrittenFilesTest(absltest.TestCase):
    def test_commands_write_in_their_output_alone(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory())).resolve()
        watched = home, temporary, current = [
            folder / name for name in ("home", "temporary", "current")
        ]
        libraries, results = folder / "libraries", folder / "results"
        for path in (*watched, libraries, results):
            path.mkdir()
        data = tiny_training.write_pairs(folder / "data", train=2, val=1)
        before = tiny_training.read_folder(data)
        run = results / "run"
        settings = dict(
            tiny_training.SETTINGS, dataset=data, workdir=run, num_samples=1, num_steps=2
        )
        commands = [
            ("train", [f"--{name}={value}" for name, value in settings.items()]),
            (
                "translate",
                [f"--model={run}", f"--input={data / 'val'}", f"--output={results / 'translated'}"],
            ),
            (
                "evaluate",
                [
                    f"--model={run}",
                    f"--output={results / 'evaluation'}",
                    "--feature_weights=none",
                ],
            ),
        ]
        process = subprocess.run(
            [sys.executable, "-c", _RUN_COMMANDS, json.dumps(commands), str(run)],
            cwd=current,
            env=dict(
                os.environ,
                HOME=str(home),
                TMPDIR=str(temporary),
                XDG_CACHE_HOME=str(home / "cache"),
                XDG_CONFIG_HOME=str(home / "config"),
                KERAS_HOME=str(libraries),
                MPLCONFIGDIR=str(libraries),
                PYTHONPATH=f"{_TESTS.parent}{os.pathsep}{_TESTS}",
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(process.returncode, 0, process.stderr)
        for path in watched:
            self.assertEqual([str(found) for found in path.rglob("*")], [])
        for path in libraries.rglob("*"):
            self.assertRegex(path.name, _OF_LIBRARIES)
        self.assertEqual(tiny_training.read_folder(data), before)
        names = {"run", "translated", "evaluation"}
        self.assertEqual({path.name for path in results.iterdir()}, names)
        for name in names:
            self.assertNotEmpty(tiny_training.read_folder(results / name))
        # Nor do the others change the run that they read.
        self.assertLen(process.stdout.splitlines(), 3)
        self.assertLen(set(process.stdout.splitlines()), 1)
