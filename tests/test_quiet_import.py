"""Tests of `pix2pix_tf.quiet_import`: the notes of TensorFlow go, all else stays."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from absl.testing import absltest
from PIL import Image

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# As TensorFlow 2.21 writes them.
_NOTES = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1795383513.767647   27238 port.cc:153] oneDNN custom operations are on.\n"
    "E0000 00:00:1795383513.768018   27238 cuda_dnn.cc:31] Unable to register factory\n"
)
_FATAL = "F0000 00:00:1795383513.768018   27238 cpu.cc:31] compiled to use AVX instructions\n"


class QuietImportTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

    def run_python(self, *arguments: str) -> subprocess.CompletedProcess:
        environment = dict(os.environ, PYTHONPATH=f"{self.folder}{os.pathsep}{_REPOSITORY}")
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # As a user has it.
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def import_fake(self, ending: str) -> subprocess.CompletedProcess:
        """Imports a TensorFlow that writes notes and an error, and ends in Python code."""
        (self.folder / "tensorflow.py").write_text(
            f"import os\nos.write(2, {(_NOTES + _FATAL + 'and more').encode()!r})\n{ending}\n"
        )
        return self.run_python(
            "-c",
            "import os\nfrom pix2pix_tf import quiet_import\nquiet_import.install()\n"
            "import tensorflow\nos.write(2, tensorflow.after.encode())",
        )

    def test_all_other_lines_stay_however_the_import_ends(self):
        result = self.import_fake(f"after = {_NOTES!r}")
        self.assertEqual((result.returncode, result.stderr), (0, f"{_FATAL}and more{_NOTES}"))
        result = self.import_fake("raise ImportError('no such library')")
        self.assertEqual(result.returncode, 1)
        self.assertStartsWith(result.stderr, f"{_FATAL}and more")
        self.assertEndsWith(result.stderr, "\nImportError: no such library\n")
        result = self.import_fake("os.abort()")
        self.assertEqual(result.returncode, -signal.SIGABRT)
        self.assertEqual(result.stderr, f"{_FATAL}and more")

    def test_a_command_writes_its_own_line_alone(self):
        Image.new("RGB", (8, 8)).save(self.folder / "a.png")
        result = self.run_python(
            *("-m", "pix2pix_tf.translate", "--input=a.png", "--output=out", "--model=none")
        )
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r"^error: .*'none'.*\n$")
