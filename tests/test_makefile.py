"""Tests of the Makefile, in a copy of it where Python and npm are stand-ins."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import tiny_runs
from absl.testing import absltest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_SETUP = ("requirements.txt", "constraints.txt", "pyproject.toml", "setup.py")
_LOCK = "export/browser/runner/package-lock.json"
_CARD = "pix2pix_tf/pretrained/houses/model_card.json"
_NODE_MODULES = pathlib.Path("export/browser/runner/node_modules")
# Each notes how it was called. Python makes what the demo and the page would make.
_PYTHON = """#!/bin/sh
echo "python $*" >> calls.txt
case "$*" in
  *pix2pix_tf.demo*) mkdir -p demo/run; [ -n "$STOPPED" ] || touch demo/index.html;;
  *export.web.serve*) ;;
  *export.web*) site="${*##*--output=}"; mkdir "$site" || exit 1; touch "$site/site.json";;
esac
"""
_NPM = """#!/bin/sh
echo "npm $*" >> calls.txt
[ -z "$NO_REGISTRY" ] && mkdir -p export/browser/runner/node_modules
"""


class MakefileTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        if not shutil.which("make"):
            self.skipTest("There is no make here.")
        self.folder = tiny_runs.temporary_folder(self)
        for name in ("Makefile", "tools", *_SETUP, _LOCK, _CARD):
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (_REPOSITORY / name).is_dir() else shutil.copy
            copy(_REPOSITORY / name, target)
        # Programs that make and its scripts call, without those of this machine's npm.
        self.programs = self.folder / "programs"
        self.programs.mkdir()
        for name in ("bash", "sh", "make", "env", "mkdir", "rm", "touch", "grep", "sed", "expand"):
            (self.programs / name).symlink_to(shutil.which(name))
        for environment in (".venv", ".venv-current"):
            self.write_program(self.folder / environment / "bin" / "python", _PYTHON)
            (self.folder / environment / ".ready").touch()
        self.write_program(self.programs / "npm", _NPM)

    def write_program(self, path: pathlib.Path, text: str):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        kept = {
            key: value for key, value in os.environ.items() if key != "PIX2PIX_REQUIRE_PROGRAMS"
        }
        return subprocess.run(
            ["make", "PYTHON_CURRENT=none", *arguments],
            cwd=self.folder,
            env={**kept, "MAKEFLAGS": "", "PATH": str(self.programs), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """Returns what was called since the last time, up to the first flag."""
        path = self.folder / "calls.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.split(" --")[0] for line in lines]

    def test_slow_tests_are_for_the_targets_that_run_all(self):
        for name in ("test", "test-current", "test-all", "test-all-current"):
            self.assertEqual(self.make(name, NO_REGISTRY="1").returncode, 0)
            last = (self.folder / "calls.txt").read_text().splitlines()[-1]
            self.assertEqual(last.endswith(" -m not slow"), "all" not in name, last)

    def test_tests_run_after_tfjs_is_installed_once(self):
        for target in ("test", "test-current"):
            self.assertEqual(self.make(target).returncode, 0)
        self.assertEqual(self.calls(), ["npm ci", "python -m pytest", "python -m pytest"])

    def test_tests_run_without_tfjs_unless_it_is_required(self):
        result = self.make("test", NO_REGISTRY="1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("TF.js", result.stdout)
        self.assertEqual(self.calls(), ["npm ci", "python -m pytest"])
        result = self.make("test", NO_REGISTRY="1", PIX2PIX_REQUIRE_PROGRAMS="1")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.calls(), ["npm ci"])
        (self.programs / "npm").unlink()
        self.assertEqual(self.make("test").returncode, 0)
        self.assertEqual(self.calls(), ["python -m pytest"])

    def test_the_demo_ends_with_a_drawing_page(self):
        self.assertEqual(self.make("demo").returncode, 0)
        self.assertEqual(
            self.calls(), ["python -m pix2pix_tf.demo", "npm ci", "python -m export.web"]
        )
        # Newer than the page: more steps.
        (self.folder / "demo" / "web" / "site.json").touch()
        os.utime(self.folder / "demo" / "web" / "site.json", (0, 0))
        self.assertEqual(self.make("demo").returncode, 0)
        self.assertEqual(self.calls(), ["python -m pix2pix_tf.demo", "python -m export.web"])

    def test_the_page_is_assembled_once_and_opened(self):
        assembled, opened = "python -m export.web", "python -m export.web.serve"
        self.assertEqual(self.make("page").returncode, 0)
        self.assertEqual(self.calls(), ["npm ci", assembled, opened])
        self.assertEqual(self.make("page").returncode, 0)
        self.assertEqual(self.calls(), [opened])
        (self.folder / _CARD).touch()  # Another model.
        self.assertEqual(self.make("page").returncode, 0)
        self.assertEqual(self.calls(), [assembled, opened])

    def test_a_demo_that_is_done_keeps_its_drawing_page(self):
        site = self.folder / "demo" / "web" / "site.json"
        self.write_program(self.folder / ".venv" / "bin" / "python", "#!/bin/sh\n")
        site.parent.mkdir(parents=True)
        (self.folder / "demo" / "index.html").touch()
        os.utime(self.folder / "demo" / "index.html", (0, 0))
        site.touch()
        result = self.make("demo")
        self.assertEqual(result.returncode, 0)
        self.assertIn("'demo/web'", result.stdout)
        self.assertTrue(site.exists())

    def test_a_demo_without_a_drawing_page_says_how_to_get_it(self):
        for expected in ("LiteRT.js", "Node.js 18"):  # Without the registry, then without npm.
            result = self.make("demo", NO_REGISTRY="1")
            self.assertEqual(result.returncode, 0)
            self.assertIn(expected, result.stdout)
            (self.programs / "npm").unlink(missing_ok=True)
        self.assertNotIn("python -m export.web", self.calls())

    def test_a_demo_that_was_stopped_has_no_page(self):
        result = self.make("demo", STOPPED="1")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(self.calls(), ["python -m pix2pix_tf.demo"])

    def test_clean_removes_all_that_targets_make(self):
        before = {path.name for path in self.folder.iterdir()} - {".venv", ".venv-current"}
        for name in ("demo", "page", "parity", "gpu_check", "api_site", "dist", _NODE_MODULES):
            (self.folder / name).mkdir()
        self.assertEqual(self.make("clean").returncode, 0)
        self.assertEqual({path.name for path in self.folder.iterdir()}, before)
        self.assertFalse((self.folder / _NODE_MODULES).exists())

    def test_a_gpu_check_installs_what_a_gpu_needs_where_there_is_one(self):
        self.assertEqual(self.make("gpu-check").returncode, 0)
        self.assertEqual(self.calls(), ["python -m benchmarks.gpu_check"])
        self.write_program(self.programs / "nvidia-smi", "#!/bin/sh\n")
        self.assertEqual(self.make("gpu-check").returncode, 0)
        self.assertEqual(self.calls(), ["python -m pip install", "python -m benchmarks.gpu_check"])

    def test_every_target_is_explained(self):
        listed = self.make().stdout
        targets = re.findall(r"^([a-z-]+) ", listed, re.MULTILINE)
        self.assertIn("help", targets)
        table = (_REPOSITORY / "BUILD.md").read_text(encoding="utf-8")
        explained = re.findall(r"`make ([a-z-]+)[^`]*`", table.split("## Make targets")[1])
        self.assertEqual(set(targets) - set(explained), set())
