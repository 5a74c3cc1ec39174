"""Runs a TF.js graph model in headless Chromium, as a visitor's browser would."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from typing import BinaryIO

import numpy as np

from export import tfjs_node
from pix2pix_tf.errors import MissingInputError

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_TIMEOUT_SECONDS = 600  # For each result; the first includes loading the model.
_POLL_SECONDS = 0.5  # How soon the end of the browser is seen.
_QUOTED_LINES = 5  # Of what the browser said last, in the message of its failure.
_PAGE = """<!DOCTYPE html>
<script src="/modules/@tensorflow/tfjs/dist/tf.min.js"></script>
<script src="/modules/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js"></script>
<script>
const decode = (text) => new Float32Array(
  Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
function encode(values) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = '';
  for (let start = 0; start < bytes.length; start += 32768) {
    text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  }
  return btoa(text);
}
async function main() {
  const request = await (await fetch('/request')).json();
  if (request.backend === 'wasm') {
    tf.wasm.setWasmPaths('/modules/@tensorflow/tfjs-backend-wasm/dist/');
  }
  if (!(await tf.setBackend(request.backend))) {
    throw new Error(`this browser has no ${request.backend}`);
  }
  const model = await tf.loadGraphModel(`/model/${request.signature}/model.json`);
  const inputs = {};
  for (const [name, {values, shape}] of Object.entries(request.inputs)) {
    inputs[name] = tf.tensor(decode(values), shape);
  }
  for (let run = 0; run < request.repeat; run++) {
    const start = performance.now();
    const output = [await model.executeAsync(inputs)].flat()[0];
    const values = await output.data();
    const milliseconds = performance.now() - start;
    await send({shape: output.shape, values: encode(values), milliseconds});
    output.dispose();
  }
}
const send = (result) => fetch('/result', {method: 'POST', body: JSON.stringify(result)});
main().catch((error) => send({error: String(error && error.message || error)}));
</script>
"""


class BrowserError(RuntimeError):
    """The browser could not load or run a model; the message ends with what it said itself."""


def find_chromium() -> str:
    """Returns the path of a Chromium.

    Raises:
        MissingInputError: If there is none.
    """
    for name in _CHROMIUM:
        found = shutil.which(name)
        if found:
            return found
    raise MissingInputError(
        f"There is no Chromium on the path ({', '.join(_CHROMIUM)}). Install one."
    )


def run(
    folder: str | pathlib.Path,
    signature: str,
    inputs: dict[str, np.ndarray],
    backend: str = "wasm",
    *,
    repeat: int = 1,
) -> tuple[np.ndarray, list[float]]:
    """Returns what one signature of a converted folder gives, run by run.

    Args:
        folder: What `python -m export.tfjs` wrote.
        signature: "serving_default" or "with_noise".
        inputs: float32 arrays by name.
        backend: "wasm", "webgl" or "cpu".
        repeat: How often to run it.

    Returns:
        float32 `[repeat, batch, height, width, channels]`, and the milliseconds of
        each run; the first includes preparing the weights.

    Raises:
        MissingInputError: If Chromium, TF.js or the model is not there.
        BrowserError: If the browser fails, ends, or does not answer.
    """
    chromium = find_chromium()
    tfjs_node.find_node()  # TF.js itself is the same installation.
    folder = pathlib.Path(folder).resolve()
    if not (folder / signature / "model.json").is_file():
        raise MissingInputError(
            f"'{folder}' has no signature {signature!r}. Pass a folder that python -m export.tfjs "
            "wrote."
        )
    request = dict(
        signature=signature,
        backend=backend,
        repeat=repeat,
        inputs={
            name: dict(values=_to_text(value), shape=list(value.shape))
            for name, value in inputs.items()
        },
    )
    results: queue.Queue = queue.Queue()
    handler = functools.partial(
        _Handler, model=folder, request_body=json.dumps(request).encode(), results=results
    )
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            return _collect(chromium, f"http://localhost:{server.server_port}/", results, repeat)
        finally:
            server.shutdown()


def _collect(
    chromium: str, address: str, results: queue.Queue, count: int
) -> tuple[np.ndarray, list[float]]:
    profile = tempfile.mkdtemp(prefix="pix2pix_tf_chromium_")
    outputs, milliseconds = [], []
    with tempfile.TemporaryFile() as said:  # A pipe that nobody reads would fill.
        browser = subprocess.Popen(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", f"--user-data-dir={profile}", address),
            ],
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            for _ in range(count):
                result = _next_result(browser, results, said)
                if "error" in result:
                    raise BrowserError(f"TF.js in Chromium: {result['error']}")
                values = np.frombuffer(base64.b64decode(result["values"]), "<f4")
                outputs.append(values.reshape(result["shape"]))
                milliseconds.append(result["milliseconds"])
        finally:
            with contextlib.suppress(ProcessLookupError):  # It may have ended by itself.
                os.killpg(browser.pid, signal.SIGKILL)  # With the processes that it has started.
            browser.wait()
            # One of them may still be writing there; what it leaves is no reason to fail.
            shutil.rmtree(profile, ignore_errors=True)
    return np.stack(outputs), milliseconds


def _next_result(browser: subprocess.Popen, results: queue.Queue, said: BinaryIO) -> dict:
    """Returns what the page sends next.

    Raises:
        BrowserError: If the browser ends before, or sends nothing.
    """
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        # Before the look at the queue: what is sent until the end is still taken.
        code = browser.poll()
        try:
            return results.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            pass
        if code is not None:
            ending = f"status {code}" if code >= 0 else signal.Signals(-code).name
            raise BrowserError(f"Chromium ended with {ending}. {_last_lines(said)}")
        if time.monotonic() > deadline:
            raise BrowserError(
                f"Chromium did not answer in {_TIMEOUT_SECONDS} s. {_last_lines(said)}"
            )


def _last_lines(said: BinaryIO) -> str:
    """Returns what the browser said last."""
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines()]
    last = [line for line in lines if line][-_QUOTED_LINES:]
    return f"It said last: {' | '.join(last)}" if last else "It said nothing."


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves the page, TF.js, the model and the request, and takes the results."""

    def __init__(self, *arguments, model: pathlib.Path, request_body: bytes, results: queue.Queue):
        self._model = model
        self._request_body = request_body
        self._results = results
        super().__init__(*arguments)

    def do_GET(self):
        """Answers the page's requests for files."""
        if self.path == "/":
            return self._answer(_PAGE.encode(), "text/html")
        if self.path == "/request":
            return self._answer(self._request_body, "application/json")
        for prefix, root in (
            ("/modules/", tfjs_node.RUNNER / "node_modules"),
            ("/model/", self._model),
        ):
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


def _to_text(value: np.ndarray) -> str:
    return base64.b64encode(np.asarray(value, "<f4").tobytes()).decode()
