"""Running a file in ONNX Runtime."""

from __future__ import annotations

import os
import secrets

import numpy as np

from ..errors import ModelError
from ..parity.runtimes import Inputs


def open_session(model: str | os.PathLike | bytes, *, num_threads: int = 0):
    """Returns an `onnxruntime.InferenceSession` on the CPU.

    Args:
        model: A file, or its contents.
        num_threads: CPU threads; 0 for one a core.

    Raises:
        ModelError: If ONNX Runtime cannot load it.
    """
    import onnxruntime

    # Else all sessions of a process begin with the same noise.
    onnxruntime.set_seed(secrets.randbits(31))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3  # Errors; what it cannot optimise is nobody's concern.
    source = model if isinstance(model, bytes) else os.fspath(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # Of C++, without a class of their own that is public.
        raise ModelError(str(error)) from error


def run(session, inputs: Inputs) -> np.ndarray:
    """Returns the output for those of some inputs that a session takes.

    Raises:
        ModelError: If ONNX Runtime cannot run it on them.
    """
    taken = {value.name: inputs[value.name] for value in session.get_inputs()}
    try:
        (output,) = session.run(["output"], taken)
    except Exception as error:  # As above.
        raise ModelError(str(error)) from error
    return output
