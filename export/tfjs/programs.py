"""Runs a TF.js graph model in Node or in headless Chromium, as `runner/run.js` does in both.

A server on this machine hands out TF.js, the model and the inputs, and takes the outputs.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import http.server
import json
import os
import pathlib
import queue
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from export.errors import ModelError
from pix2pix_tf.errors import MissingInputError

RUNNER = pathlib.Path(__file__).resolve().parent / "runner"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_TIMEOUT_SECONDS = 600  # For each result; the first includes loading the model.
_POLL_SECONDS = 0.5  # How soon the end of the program is seen.
_QUOTED_LINES = 5  # Of what the program said last, in the message of its failure.
_PAGE = """<!DOCTYPE html>
<script src="/modules/@tensorflow/tfjs/dist/tf.min.js"></script>
<script src="/modules/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js"></script>
<script src="/run.js"></script>
"""


@dataclasses.dataclass(frozen=True)
class Program:
    """What TF.js can run in.

    Attributes:
        name: Name for people.
        find: Returns its path; raises MissingInputError if it, or TF.js, is not installed.
        arguments: Its arguments, from the address to open and a folder for its files.
    """

    name: str
    find: Callable[[], str]
    arguments: Callable[[str, str], list[str]]


def install_command() -> str:
    """Returns the command that installs TF.js where this module looks for it."""
    return f"npm ci --prefix {shlex.quote(str(RUNNER))}"


def find_node() -> str:
    """Returns the path of `node`.

    Raises:
        MissingInputError: If Node, or TF.js in `runner`, is not installed.
    """
    return _find(["node"], "which runs TF.js. Install Node.js 18 or newer.")


def find_chromium() -> str:
    """Returns the path of a Chromium.

    Raises:
        MissingInputError: If there is none, or TF.js is not installed.
    """
    return _find(_CHROMIUM, "a Chromium. Install one.")


def _find(names, purpose: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise MissingInputError(f"There is no {' or '.join(names)} on the path, {purpose}")
    if not (RUNNER / "node_modules" / "@tensorflow").is_dir():
        raise MissingInputError(f"TF.js is not installed in '{RUNNER}'. Run: {install_command()}")
    return found


NODE = Program("Node", find_node, lambda address, _: [str(RUNNER / "run.js"), address])
CHROMIUM = Program(
    "Chromium",
    find_chromium,
    lambda address, folder: [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={folder}", address),
    ],
)


def run(
    folder: str | pathlib.Path,
    signature: str,
    inputs: dict[str, np.ndarray],
    *,
    program: Program = NODE,
    backend: str = "wasm",
    repeat: int = 1,
) -> tuple[np.ndarray, list[float]]:
    """Returns what one signature of a converted folder gives, run by run.

    Args:
        folder: What `python -m export.tfjs` wrote.
        signature: "serving_default" or "with_noise".
        inputs: float32 arrays by name.
        program: `NODE` or `CHROMIUM`.
        backend: "wasm", what browsers without a GPU use; "cpu", plain JavaScript, for small
            models; in Chromium also "webgl".
        repeat: How often to run it.

    Returns:
        float32 `[repeat, batch, height, width, channels]`, and the milliseconds of
        each run; the first includes preparing the weights.

    Raises:
        MissingInputError: If the program, TF.js or the model is not there.
        ModelError: If TF.js fails, or the program ends or does not answer.
    """
    path = program.find()
    folder = pathlib.Path(folder).resolve()
    if not (folder / signature / "model.json").is_file():
        raise MissingInputError(
            f"'{folder}' does not have a signature {signature!r}. Pass a folder that python -m "
            "export.tfjs wrote."
        )
    request = dict(
        signature=signature,
        backend=backend,
        repeat=repeat,
        inputs={
            name: dict(
                values=base64.b64encode(np.asarray(value, "<f4").tobytes()).decode(),
                shape=list(np.shape(value)),
            )
            for name, value in inputs.items()
        },
    )
    results: queue.Queue = queue.Queue()
    handler = functools.partial(
        _Handler, model=folder, request_body=json.dumps(request).encode(), results=results
    )
    outputs, milliseconds = [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with _started(program, path, f"http://127.0.0.1:{server.server_port}/") as running:
                for _ in range(repeat):
                    result = _next_result(program, *running, results)
                    if "error" in result:
                        where = f"TF.js in {program.name}, '{folder}', {signature} on {backend}"
                        raise ModelError(f"{where}: {result['error']}")
                    values = np.frombuffer(base64.b64decode(result["values"]), "<f4")
                    outputs.append(values.reshape(result["shape"]))
                    milliseconds.append(result["milliseconds"])
        finally:
            server.shutdown()
    return np.stack(outputs), milliseconds


@contextlib.contextmanager
def _started(
    program: Program, path: str, address: str
) -> Iterator[tuple[subprocess.Popen, BinaryIO]]:
    """Runs a program for its block; yields it, and the file of what it says."""
    folder = tempfile.mkdtemp(prefix="pix2pix_tf_tfjs_")
    with tempfile.TemporaryFile() as said:  # A pipe that nobody reads would fill.
        process = subprocess.Popen(
            [path, *program.arguments(address, folder)],
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield process, said
        finally:
            with contextlib.suppress(ProcessLookupError):  # It may have ended by itself.
                os.killpg(process.pid, signal.SIGKILL)  # With the processes that it has started.
            process.wait()
            # One of them may still be writing there; what it leaves is no reason to fail.
            shutil.rmtree(folder, ignore_errors=True)


def _next_result(
    program: Program, process: subprocess.Popen, said: BinaryIO, results: queue.Queue
) -> dict:
    """Returns what the program sends next.

    Raises:
        ModelError: If it ends before, or sends nothing.
    """
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    ending = None
    while ending is None:
        # Before the look at the queue: what is sent until the end is still taken.
        code = process.poll()
        with contextlib.suppress(queue.Empty):
            return results.get(timeout=_POLL_SECONDS)
        if code is not None:
            status = f"status {code}" if code >= 0 else signal.Signals(-code).name
            ending = f"ended with {status}"
        elif time.monotonic() > deadline:
            ending = f"did not answer in {_TIMEOUT_SECONDS} s"
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines()]
    last = " | ".join([line for line in lines if line][-_QUOTED_LINES:])
    raise ModelError(f"{program.name} {ending}. It said last: {last or 'nothing'}")


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves the page, TF.js, the model and the request, and takes the results."""

    def __init__(self, *arguments, model: pathlib.Path, request_body: bytes, results: queue.Queue):
        self._texts = {
            "/": (_PAGE.encode(), "text/html"),
            "/request": (request_body, "application/json"),
            "/run.js": ((RUNNER / "run.js").read_bytes(), "text/javascript"),
        }
        self._roots = {"/modules/": RUNNER / "node_modules", "/model/": model}
        self._results = results
        super().__init__(*arguments)

    def do_GET(self):
        """Answers the program's requests for files."""
        if self.path in self._texts:
            return self._answer(*self._texts[self.path])
        for prefix, root in self._roots.items():
            root = root.resolve()
            file = (root / self.path[len(prefix) :]).resolve()
            if self.path.startswith(prefix) and file.is_file() and file.is_relative_to(root):
                kind = "application/wasm" if file.suffix == ".wasm" else "text/javascript"
                return self._answer(file.read_bytes(), kind)
        return self.send_error(404)

    def do_POST(self):
        """Takes a result."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._results.put(json.loads(body))
        self._answer(b"{}", "application/json")

    def log_message(self, *arguments):
        """Says nothing: the results are what matters."""

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
