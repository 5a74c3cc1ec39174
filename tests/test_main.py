"""Tests of the command `pix2pix`."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys

from absl.testing import parameterized

from pix2pix_tf import __main__, version

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_EVERY = [[name] for name in __main__.COMMANDS] + [["export", name] for name in __main__.EXPORTS]


def run(*arguments: str) -> subprocess.CompletedProcess:
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "pix2pix_tf", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


class CommandsTest(parameterized.TestCase):
    @parameterized.parameters(*((words,) for words in _EVERY))
    def test_each_is_a_program(self, words):
        module, rest = __main__.find_module([*words, "--flag=1"])
        self.assertEqual(rest, ["--flag=1"])
        spec = importlib.util.find_spec(module)
        if spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{module}.__main__")
        self.assertIn('if __name__ == "__main__":', pathlib.Path(spec.origin).read_text("utf-8"))

    def test_exports_are_those_of_this_checkout(self):
        spec = importlib.util.find_spec("pix2pix_tf.export")
        self.assertEqual(pathlib.Path(spec.origin).parent, _REPOSITORY / "export")

    def test_none_is_missing(self):
        """Of those that the package and `export` have."""
        programs = {
            path.parent.name if path.stem == "__main__" else path.stem
            for folder in ("pix2pix_tf", "export")
            for path in (_REPOSITORY / folder).rglob("*.py")
            if "node_modules" not in path.parts
            if "commands.run(" in path.read_text("utf-8")
        }
        named = {words[-1].rpartition(".")[2] for words in _EVERY}
        # `results` is a word of perceptual_study.
        self.assertEqual(programs - {"results"}, named)

    def test_passes_arguments_on(self):
        done = run("export", "web.serve", "--site=/not/there")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("'/not/there' is not a drawing page", done.stderr)

    def test_lists_commands(self):
        for arguments in ((), ("--help",), ("export",)):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("\n  export tflite ", done.stdout)
        self.assertEqual(run("--version").stdout, f"pix2pix_tf {version.__version__}\n")

    @parameterized.parameters(
        (["trian"], "error: 'trian' is not one of the commands: train, .* Is 'train' meant\\?"),
        (["tflite"], "error: 'tflite' is not one of .* Is 'export tflite' meant\\?"),
        (["export", "train"], "error: 'train' is not one of the exports: .* Is 'train' meant\\?"),
        (["export", "tf-lite"], "error: 'tf-lite' is not one of the exports: .* Is 'tflite' meant"),
    )
    def test_refuses_others(self, words, message):
        done = run(*words)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr.strip(), f"^{message}")
