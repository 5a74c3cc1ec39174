"""What tests of pages need: programs that a machine may lack, and a file host."""

from __future__ import annotations

import functools
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Callable

from export.browser import programs
from pix2pix_tf.errors import MissingInputError


def node() -> str:
    """Returns the path of Node, or skips the test that asks for it."""
    return _find(programs.find_node)


def chromium() -> str:
    """Returns the path of Chromium, or skips the test that asks for it."""
    return _find(programs.find_chromium)


def _find(find: Callable[[], str]) -> str:
    try:
        return find()
    except MissingInputError as error:
        if os.environ.get("PIX2PIX_REQUIRE_PROGRAMS"):
            raise
        raise unittest.SkipTest(str(error)) from None


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A plain file host."""

    def log_message(self, *arguments):
        """Keeps the test's output clean."""


def serve(test_class, folder: pathlib.Path) -> str:
    """Serves a folder until the class is done, and returns its address."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    test_class.addClassCleanup(server.server_close)
    test_class.addClassCleanup(thread.join)
    test_class.addClassCleanup(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}/"


def run_session(script: str, **request):
    """Returns what a session with a page, in a script beside this file, reports."""
    program = chromium()
    playwright = str(programs.RUNNER / "node_modules" / "playwright-core")
    request = dict(request, chromium=program, playwright=playwright)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(request, file)
        file.flush()
        process = subprocess.run(
            [node(), pathlib.Path(__file__).with_name(script), file.name],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,  # Seconds; each wait in it is limited too.
        )
    if process.returncode:
        raise RuntimeError(f"The session ended early: {process.stderr}")
    return json.loads(process.stdout.strip().splitlines()[-1])
