"""Runs converted models in Node or in headless Chromium, both by `runner/run.js`."""

from __future__ import annotations

import base64
import json
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import numpy as np

from pix2pix_tf.errors import MissingInputError

from ..errors import ModelError

RUNNER = pathlib.Path(__file__).resolve().parent / "runner"
NODE, CHROMIUM = "Node", "Chromium"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 1200  # What takes longer hangs.


def install_command() -> list[str]:
    """Returns the command that installs TF.js and LiteRT.js where this module looks for them."""
    return ["npm", "ci", "--prefix", str(RUNNER)]


def find_node() -> str:
    """Returns the path of `node`.

    Raises:
        MissingInputError: If Node, or what is to be in `runner`, is not installed.
    """
    node = shutil.which("node")
    packages = [RUNNER / "node_modules" / name for name in ("@tensorflow", "@litertjs")]
    if node is None or not all(package.is_dir() for package in packages):
        raise MissingInputError(
            "TF.js and LiteRT.js need 'node' on the path, Node.js 18 or newer, and to be "
            f"installed. Run: {shlex.join(install_command())}"
        )
    return node


def find_chromium() -> str:
    """Returns the path of a Chromium.

    Raises:
        MissingInputError: If there is none.
    """
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None:
        raise MissingInputError(
            f"There is no Chromium on the path ({', '.join(_CHROMIUM)}). Install one."
        )
    return found


def run_tfjs(
    folder: str | pathlib.Path,
    signature: str,
    inputs: dict[str, np.ndarray],
    *,
    program: str = NODE,
    backend: str = "wasm",
    repeat: int = 1,
) -> tuple[np.ndarray, list[float]]:
    """Returns what one signature of a converted folder gives in TF.js, run by run.

    Args:
        folder: What `pix2pix export tfjs` wrote.
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
        MissingInputError: If a program or TF.js is not there.
        ModelError: If TF.js or the browser fails, or does not end; also if there is no model.
    """
    model = pathlib.Path(folder).resolve() / signature / "model.json"
    subject = f"TF.js in {program}, '{model.parent}' on {backend}"
    return _run(
        subject, program, inputs, runtime="tfjs", model=str(model), backend=backend, repeat=repeat
    )


def run_litert(
    path: str | pathlib.Path,
    signature: str,
    inputs: dict[str, np.ndarray],
    *,
    repeat: int = 1,
) -> tuple[np.ndarray, list[float]]:
    """Returns what one signature of a .tflite file gives in LiteRT.js in Chromium, run by run.

    It runs on WebAssembly with one thread.

    Args:
        path: What `pix2pix export tflite` wrote.
        signature: See `run_tfjs`.
        inputs: See `run_tfjs`.
        repeat: See `run_tfjs`.

    Returns:
        See `run_tfjs`.

    Raises:
        MissingInputError: If a program or LiteRT.js is not there.
        ModelError: If LiteRT.js or the browser fails, or does not end; also if there is no file.
    """
    model = pathlib.Path(path).resolve()
    subject = f"LiteRT.js in {CHROMIUM}, '{model}'"
    request = dict(runtime="litert", model=str(model), signature=signature, repeat=repeat)
    return _run(subject, CHROMIUM, inputs, **request)


def _run(
    subject: str, program: str, inputs: dict[str, np.ndarray], **request
) -> tuple[np.ndarray, list[float]]:
    """Returns what `runner/run.js` makes of a request, and the times."""
    node = find_node()
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as temporary:
        outputs = pathlib.Path(temporary, "outputs.bin")
        request = dict(
            request,
            chromium=find_chromium() if program == CHROMIUM else None,
            timeout=1000 * _SECONDS,
            inputs={name: _describe(value) for name, value in inputs.items()},
            outputs=str(outputs),
        )
        path = pathlib.Path(temporary, "request.json")
        path.write_text(json.dumps(request), encoding="utf-8")
        try:
            process = subprocess.run(
                [node, str(RUNNER / "run.js"), str(path)],
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise ModelError(f"{subject}: did not end within {_SECONDS} s") from None
        if process.returncode:
            raise ModelError(f"{subject}: {process.stderr.strip()}")
        report = json.loads(process.stdout.strip().splitlines()[-1])
        values = np.fromfile(outputs, "<f4").reshape(-1, *report["shape"])
    return values, report["milliseconds"]


def _describe(value: np.ndarray) -> dict:
    contents = base64.b64encode(np.asarray(value, "<f4").tobytes()).decode()
    return dict(values=contents, shape=list(np.shape(value)))
