"""Runs a TF.js graph model in Node, to compare it with the SavedModel it was made from."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import numpy as np

from pix2pix_tf.errors import MissingInputError

RUNNER = pathlib.Path(__file__).resolve().parent / "tfjs_runner"
BACKENDS = ("wasm", "cpu")
# To load a model and prepare its weights, and for each run: what takes longer hangs.
_LOAD_SECONDS, _RUN_SECONDS = 600, 60


class NodeError(RuntimeError):
    """TF.js could not load or run a model; the message is its own, or that there was none."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a model gave.

    Attributes:
        runs: float32 arrays by name, `[repeat, ...]`.
        milliseconds: Of each repetition; the first includes preparing the weights.
    """

    runs: dict[str, np.ndarray]
    milliseconds: list[float]

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """The arrays of the last repetition."""
        return {name: values[-1] for name, values in self.runs.items()}


def find_node() -> str:
    """Returns the path of `node`.

    Raises:
        MissingInputError: If Node, or TF.js in `tfjs_runner`, is not installed.
    """
    node = shutil.which("node")
    if node is None:
        raise MissingInputError(
            "There is no program 'node' on the path, which runs TF.js. Install Node.js 18 or newer."
        )
    if not (RUNNER / "node_modules" / "@tensorflow").is_dir():
        raise MissingInputError(f"TF.js is not installed in '{RUNNER}'. Run: {install_command()}")
    return node


def install_command() -> str:
    """Returns the command that installs TF.js where this module looks for it."""
    return f"npm ci --prefix {shlex.quote(str(RUNNER))}"


def run(
    folder: str | pathlib.Path,
    signature: str,
    inputs: dict[str, np.ndarray],
    backend: str = "wasm",
    *,
    repeat: int = 1,
) -> Result:
    """Returns what one signature of a converted folder gives.

    Args:
        folder: What `python -m export.tfjs` wrote.
        signature: "serving_default" or "with_noise".
        inputs: float32 arrays by name.
        backend: One of `BACKENDS`. wasm is what browsers without a GPU use; cpu is
            plain JavaScript, for small models only.
        repeat: How often to run it, for the times.

    Raises:
        MissingInputError: If Node, TF.js or the model is not there.
        NodeError: If TF.js fails, or does not end.
    """
    node = find_node()
    model = pathlib.Path(folder).resolve() / signature / "model.json"
    if not model.is_file():
        raise MissingInputError(
            f"There is no '{model}'. Pass a folder that python -m export.tfjs wrote."
        )
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_node_") as temporary:
        described = {}
        for name, value in inputs.items():
            file = pathlib.Path(temporary) / f"input_{name}.bin"
            file.write_bytes(np.asarray(value, "<f4").tobytes())
            described[name] = dict(file=str(file), shape=list(np.shape(value)))
        request = pathlib.Path(temporary) / "request.json"
        request.write_text(
            json.dumps(
                dict(
                    model=str(model),
                    backend=backend,
                    repeat=repeat,
                    inputs=described,
                    outputs=temporary,
                )
            )
        )
        timeout = _LOAD_SECONDS + _RUN_SECONDS * repeat
        try:
            process = subprocess.run(
                [node, str(RUNNER / "run.js"), str(request)],
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise NodeError(
                f"TF.js in Node, '{model}' on {backend}: did not end within {timeout} s"
            ) from None
        if process.returncode:
            raise NodeError(f"TF.js in Node, '{model}' on {backend}: {process.stderr.strip()}")
        report = json.loads(process.stdout.strip().splitlines()[-1])
        outputs = {
            name: np.fromfile(pathlib.Path(temporary) / f"{name}.bin", "<f4").reshape(-1, *shape)
            for name, shape in report["outputs"].items()
        }
    return Result(outputs, report["milliseconds"])
