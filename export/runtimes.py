"""The runtimes that a trained model is taken to, behind one way to call them."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Callable

import numpy as np

from export import cpp_session, litert, tfjs_browser, tfjs_node

Inputs = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Limit:
    """How far a runtime's output may be from Keras', in units of the range [-1, 1].

    Attributes:
        mean: Of the absolute differences of an image.
        max: Of all pixels.
    """

    mean: float
    max: float


# float32 everywhere: kernels sum in another order, no more.
EXACT = Limit(mean=1e-5, max=1e-4)


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A model in a runtime.

    Attributes:
        name: For the table.
        path: The file or folder whose size counts.
        limit: What it must keep.
        run: `(signature, inputs, repeat) -> (outputs, milliseconds)`: the output of
            each repetition, `[repeat, batch, height, width, channels]`, and their times.
    """

    name: str
    path: pathlib.Path
    limit: Limit
    run: Callable[[str, Inputs, int], tuple[np.ndarray, list[float]]]

    @property
    def megabytes(self) -> float:
        """Size on the disk, in 10^6 bytes."""
        paths = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def saved_model(version: pathlib.Path) -> Runtime:
    """Returns the SavedModel as Python loads it."""
    from pix2pix_tf.inference import exported

    model = exported.load(version)

    def call(signature: str, inputs: Inputs) -> np.ndarray:
        if signature == "with_noise":
            return model.translate_with_noise(inputs["image"], inputs["z"])
        return model.translate(inputs["image"])

    return Runtime("SavedModel, Python", version, EXACT, timed(call))


def cpp(version: pathlib.Path) -> Runtime:
    """Returns the SavedModel as TensorFlow Serving loads it."""
    session = cpp_session.CppSession(version)

    def call(signature: str, inputs: Inputs) -> np.ndarray:
        return session.run(signature, **inputs)["output"]

    return Runtime("SavedModel, C++", version, EXACT, timed(call))


def tflite(path: pathlib.Path, quantize: str, limit: Limit, *, num_threads: int) -> Runtime:
    """Returns a .tflite file in LiteRT."""
    model = litert.LiteRtModel(path, num_threads=num_threads)

    def call(signature: str, inputs: Inputs) -> np.ndarray:
        return model.run(signature, **inputs)["output"]

    return Runtime(f"TFLite {quantize}", path, limit, timed(call))


def tfjs_in_node(folder: pathlib.Path, quantize: str, limit: Limit) -> Runtime:
    """Returns a TF.js folder in Node, on WebAssembly."""

    def run(signature: str, inputs: Inputs, repeat: int):
        result = tfjs_node.run(folder, signature, inputs, "wasm", repeat=repeat)
        return result.runs["output"], result.milliseconds

    return Runtime(f"TF.js {quantize}, Node wasm", folder, limit, run)


def tfjs_in_chromium(folder: pathlib.Path, quantize: str, limit: Limit, *, backend: str) -> Runtime:
    """Returns a TF.js folder in headless Chromium."""

    def run(signature: str, inputs: Inputs, repeat: int):
        return tfjs_browser.run(folder, signature, inputs, backend, repeat=repeat)

    return Runtime(f"TF.js {quantize}, Chromium {backend}", folder, limit, run)


def timed(call: Callable[[str, Inputs], np.ndarray]):
    """Returns the `run` of a runtime that is called in this process."""

    def run(signature: str, inputs: Inputs, repeat: int):
        outputs, milliseconds = [], []
        for _ in range(repeat):
            started = time.perf_counter()
            outputs.append(np.array(call(signature, inputs)))
            milliseconds.append(1000 * (time.perf_counter() - started))
        return np.stack(outputs), milliseconds

    return run
