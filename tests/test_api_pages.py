"""Tests of the API reference, and of the types of what it names."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import unittest

import tiny_runs
from absl.testing import absltest

from pix2pix_tf.config import TrainConfig

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_PAGES = sorted((_REPOSITORY / "docs" / "api").glob("*.md"))
_NO_DOCS = unittest.skipIf(sys.version_info < (3, 11), "The extra docs is for Python 3.11 on.")


def typed_files() -> list[str]:
    """Returns what mypy checks, as `[tool.mypy]` lists it; Python 3.10 cannot read TOML."""
    text = (_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^\[tool\.mypy\]$.*?^files = \[$(.*?)^\]$", text, re.M | re.S)
    return re.findall(r'"(.+?)"', listed)


class TypesTest(absltest.TestCase):
    def test_what_is_checked_is_there(self):
        missing = [name for name in typed_files() if not (_REPOSITORY / name).exists()]
        self.assertEqual(missing, [])

    def test_modules_on_the_pages_are_checked(self):
        pages = [page for page in _PAGES if page.stem != "exports"]
        text = "".join(page.read_text(encoding="utf-8") for page in pages)
        modules = set(re.findall(r"^::: ([\w.]+)$", text, re.M))
        self.assertIn("pix2pix_tf.config", modules)
        typed = [_REPOSITORY / name for name in typed_files()]
        for module in modules:
            path = _REPOSITORY / f"{module.replace('.', '/')}.py"
            self.assertTrue(path.is_file(), module)
            self.assertTrue({path, path.parent} & set(typed), module)

    @_NO_DOCS
    def test_examples_are_accepted_and_a_setting_of_a_wrong_type_is_not(self):
        folder = tiny_runs.temporary_folder(self)
        for page in _PAGES:
            text = page.read_text(encoding="utf-8")
            examples = re.findall(r"^```python$(.*?)^```$", text, re.M | re.S)
            (folder / f"example_of_{page.stem}.py").write_text("".join(examples))
        (folder / "wrong.py").write_text(
            "from pix2pix_tf.config import TrainConfig\n\nTrainConfig(base_filters='x')\n"
        )
        result = subprocess.run(
            [sys.executable, "-m", "mypy", *folder.glob("*.py")],
            cwd=_REPOSITORY,
            env={**os.environ, "MYPYPATH": str(_REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertRegex(
            result.stdout,
            r'\A.*wrong\.py:3: error: Argument "base_filters" to "TrainConfig" has incompatible '
            r'type "str"; expected "int" .*\nFound 1 error in 1 file \(checked \d+ source files\)$',
            result.stderr,
        )


class SettingsTest(absltest.TestCase):
    @_NO_DOCS
    def test_have_the_texts_and_defaults_of_their_flags(self):
        import griffe

        shown = griffe.load(
            "pix2pix_tf.config.TrainConfig",
            search_paths=[str(_REPOSITORY)],
            extensions=griffe.load_extensions(str(_REPOSITORY / "tools" / "griffe_settings.py")),
            allow_inspection=False,
        )
        for field in dataclasses.fields(TrainConfig):
            setting = shown.members[field.name]
            self.assertTrue(setting.docstring.value.startswith(field.metadata["help"]), field.name)
            self.assertNotIn("setting(", setting.value)
        self.assertIn("`'hinge'`", shown.members["gan_loss"].docstring.value)
        self.assertEqual(shown.members["base_filters"].value, "64")
