"""Tests of `export.tfjs_browser` where the browser fails; test_tfjs.py has it run a model."""

from __future__ import annotations

import pathlib
import time
from unittest import mock

import tiny_runs
from absl.testing import absltest

from export import tfjs_browser


class FailingBrowserTest(absltest.TestCase):
    """Programs in the place of Chromium that do not do what it does."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        (self.folder / "with_noise").mkdir()
        (self.folder / "with_noise" / "model.json").touch()

    def assert_fails(self, script: str, message: str) -> None:
        program = self.folder / "chromium"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with mock.patch.object(tfjs_browser, "find_chromium", return_value=str(program)):
            with mock.patch.object(tfjs_browser.tfjs_node, "find_node"):
                started = time.monotonic()
                with self.assertRaisesRegex(tfjs_browser.BrowserError, message):
                    tfjs_browser.run(self.folder, "with_noise", {})
        self.assertLess(time.monotonic() - started, 30)

    def test_one_that_dies_at_once_is_not_waited_for(self):
        self.assert_fails(
            "seq 9 >&2; echo 'no usable sandbox' >&2; exit 7",
            r"Chromium ended with status 7. It said last: 6 \| 7 \| 8 \| 9 \| no usable sandbox$",
        )
        self.assert_fails("kill -ABRT $$", "Chromium ended with SIGABRT. It said nothing.$")

    def test_one_that_hangs_is_ended_with_what_it_has_started(self):
        note = self.folder / "child"
        with mock.patch.object(tfjs_browser, "_TIMEOUT_SECONDS", 1):
            self.assert_fails(
                f"echo 'on my way' >&2; sleep 60 & echo $! > {note}; wait",
                "did not answer in 1 s. It said last: on my way",
            )
        stat = pathlib.Path("/proc", note.read_text().strip(), "stat")
        # Gone, or a zombie that nobody has asked for yet.
        self.assertTrue(not stat.exists() or stat.read_text().split(")")[1].split()[0] == "Z")
