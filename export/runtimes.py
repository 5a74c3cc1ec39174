"""The runtimes that a trained model is taken to, behind one way to call them."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator

import numpy as np

from export import cpp_session, limits, litert, tfjs_browser, tfjs_node

Inputs = dict[str, np.ndarray]
# `(signature, inputs, repeat) -> (outputs, milliseconds)`: the output of each repetition,
# `[repeat, batch, height, width, channels]`, and their times.
Run = Callable[[str, Inputs, int], tuple[np.ndarray, list[float]]]


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A model in a runtime. Nothing is loaded before `open`, nor kept after it.

    Attributes:
        name: For the table.
        path: The file or folder whose size counts; it has to be there at `open`.
        limit: What it must keep.
        open: Returns a context manager that holds the model and gives its `Run`.
    """

    name: str
    path: pathlib.Path
    limit: limits.Limit
    open: Callable[[], contextlib.AbstractContextManager[Run]]

    @property
    def megabytes(self) -> float:
        """Size on the disk, in 10^6 bytes."""
        paths = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def saved_model(version: pathlib.Path) -> Runtime:
    """Returns the SavedModel as Python loads it."""

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        from pix2pix_tf.inference import exported

        model = exported.load(version)

        def call(signature: str, inputs: Inputs) -> np.ndarray:
            if signature == "with_noise":
                return model.translate_with_noise(inputs["image"], inputs["z"])
            return model.translate(inputs["image"])

        yield timed(call)

    return Runtime("SavedModel, Python", version, limits.EXACT, opened)


def cpp(version: pathlib.Path) -> Runtime:
    """Returns the SavedModel as TensorFlow Serving loads it."""

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        with cpp_session.CppSession(version) as session:
            yield timed(lambda signature, inputs: session.run(signature, **inputs)["output"])

    return Runtime("SavedModel, C++", version, limits.EXACT, opened)


def tflite(path: pathlib.Path, quantize: str, *, num_threads: int) -> Runtime:
    """Returns a .tflite file in LiteRT."""

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        model = litert.LiteRtModel(path, num_threads=num_threads)
        yield timed(lambda signature, inputs: model.run(signature, **inputs)["output"])

    return Runtime(f"TFLite {quantize}", path, limits.TFLITE[quantize], opened)


def tfjs_in_node(folder: pathlib.Path, quantize: str) -> Runtime:
    """Returns a TF.js folder in Node, on WebAssembly."""

    def run(signature: str, inputs: Inputs, repeat: int):
        result = tfjs_node.run(folder, signature, inputs, "wasm", repeat=repeat)
        return result.runs["output"], result.milliseconds

    name = f"TF.js {quantize}, Node wasm"
    return Runtime(name, folder, limits.TFJS[quantize], lambda: contextlib.nullcontext(run))


def tfjs_in_chromium(folder: pathlib.Path, quantize: str, *, backend: str) -> Runtime:
    """Returns a TF.js folder in headless Chromium."""

    def run(signature: str, inputs: Inputs, repeat: int):
        return tfjs_browser.run(folder, signature, inputs, backend, repeat=repeat)

    name = f"TF.js {quantize}, Chromium {backend}"
    return Runtime(name, folder, limits.TFJS[quantize], lambda: contextlib.nullcontext(run))


def timed(call: Callable[[str, Inputs], np.ndarray]) -> Run:
    """Returns the `run` of a runtime that is called in this process."""

    def run(signature: str, inputs: Inputs, repeat: int):
        outputs, milliseconds = [], []
        for _ in range(repeat):
            started = time.perf_counter()
            outputs.append(np.array(call(signature, inputs)))
            milliseconds.append(1000 * (time.perf_counter() - started))
        return np.stack(outputs), milliseconds

    return run
