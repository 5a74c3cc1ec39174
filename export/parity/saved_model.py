"""The export itself as a runtime: as Python loads it, and as TensorFlow Serving does."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import numpy as np

from .. import cpp_session
from . import limits, runtimes
from .runtimes import Inputs, Run, Settings


@contextlib.contextmanager
def _in_python(version: pathlib.Path, settings: Settings) -> Iterator[Run]:
    from pix2pix_tf.inference import exported

    model = exported.load(version)

    def call(signature: str, inputs: Inputs) -> np.ndarray:
        if signature == "with_noise":
            return model.translate_with_noise(inputs["image"], inputs["z"])
        return model.translate(inputs["image"])

    yield runtimes.timed(call)


@contextlib.contextmanager
def _in_cpp(version: pathlib.Path, settings: Settings) -> Iterator[Run]:
    with cpp_session.CppSession(version) as session:
        yield runtimes.timed(lambda signature, inputs: session.run(signature, **inputs)["output"])


PYTHON = runtimes.Runtime(
    "SavedModel, Python", "python", limits.EXACT, _in_python, takes_batches=True
)
CPP = runtimes.Runtime("SavedModel, C++", "cpp", limits.EXACT, _in_cpp, takes_batches=True)
runtimes.register(CPP)  # The other is always compared.
