"""Tests of `pix2pix_tf.figures`, each in a process of its own: an import is once for all."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from absl.testing import parameterized

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_DRAW = """
from pix2pix_tf import figures
figure = figures.new_figure(figsize=(2, 1))
figure.subplots().set_title("x")
assert figures.to_png(figure).startswith(b"\\x89PNG")
"""
_FOLDERS = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")


def run(code: str, **variables: str) -> str:
    """Returns all that a program prints, with these variables and no other of matplotlib's."""
    kept = {k: v for k, v in os.environ.items() if k not in (*_FOLDERS, "MPLBACKEND")}
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_REPOSITORY,
        env={**kept, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


class FiguresTest(parameterized.TestCase):
    @parameterized.parameters(
        dict(MPLBACKEND="nosuch"),
        dict(MPLBACKEND="module://ipympl.backend_nbagg"),
        dict(HOME="/dev/null/none"),
        dict(MPLCONFIGDIR="/dev/null/none"),
    )
    def test_are_drawn_without_a_word(self, **variables):
        self.assertEqual(run(_DRAW, **variables), "")

    @parameterized.parameters("export", "pix2pix_tf.commands")
    def test_commands_may_import_matplotlib_otherwise(self, module):
        """As Keras 3 does; a notebook that imports a command keeps its backend."""
        code = f"import {module}, matplotlib.pyplot"
        self.assertEqual(run(code, MPLBACKEND="nosuch", HOME="/dev/null/none"), "")
        code = f"import os, sys; sys.modules['ipykernel'] = None; import {module}"
        code += "; print(os.environ['MPLBACKEND'])"
        self.assertEqual(run(code, MPLBACKEND="svg"), "svg\n")

    @parameterized.parameters("export", "pix2pix_tf.commands")
    def test_commands_do_without_another_backend_of_keras(self, module):
        code = f"import {module}, keras; print(keras.backend.backend())"
        lines = run(code, KERAS_BACKEND="nosuch", TF_CPP_MIN_LOG_LEVEL="3").splitlines()
        self.assertEqual(lines[-1], "tensorflow")

    def test_leave_the_backend_of_a_notebook(self):
        """What is drawn after ours shows where it would have without."""
        show = "import matplotlib as m, os; print(m.rcParams['backend'], os.environ['MPLBACKEND'])"
        for backend in ("svg", "module://nosuch.backend"):
            alone, after = (run(code, MPLBACKEND=backend) for code in (show, _DRAW + show))
            self.assertEqual(alone.split(), [backend, backend])
            self.assertEqual(after, alone)

    def test_leave_the_backend_that_was_chosen_before(self):
        choose = "import matplotlib; matplotlib.use('svg')\n"
        show = "print(matplotlib.get_backend())"
        self.assertEqual(run(choose + _DRAW + show, MPLBACKEND="pdf").strip(), "svg")
