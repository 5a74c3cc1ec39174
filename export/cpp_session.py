"""Runs an exported SavedModel as TensorFlow Serving does: its graph, in a C++ session.

    with CppSession("exported/facades/1") as session:
        output = session.run("with_noise", image=image, z=z)["output"]

Nothing of Keras or of Python's functions has a part in it, and wrong types and shapes are the C++
side's to refuse, in the words of the server.
"""

from __future__ import annotations

import contextlib
import os

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.saved_model import loader_impl

from .errors import StatusError

_CODES = {getattr(tf.errors, name): name for name in dir(tf.errors) if name.isupper()}


class CppError(StatusError):
    """What the C++ side answered."""


class CppSession(contextlib.AbstractContextManager):
    """A SavedModel in a TensorFlow session; a context manager, safe for several threads.

    Args:
        version_dir: Holds `saved_model.pb`.

    Attributes:
        signatures: TensorFlow's `SignatureDef` by name: inputs and outputs by the names that
            clients use, with the names of the graph.

    Raises:
        CppError: If it cannot be loaded.
    """

    def __init__(self, version_dir: str | os.PathLike):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        self._callables = {}  # By signature.
        try:
            # The class behind tf.compat.v1.saved_model.load, which warns of its age.
            loader = loader_impl.SavedModelLoader(os.fspath(version_dir))
            meta_graph = loader.load(self._session, [tf.saved_model.SERVING])
        except OSError as error:
            self.close()
            raise CppError("NOT_FOUND", str(error)) from None
        except tf.errors.OpError as error:
            self.close()
            raise _cpp_error(error) from None
        self.signatures = {
            name: signature
            for name, signature in meta_graph.signature_def.items()
            if not name.startswith("__")  # The loader's own.
        }

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Frees the model; a second call does nothing."""
        self._session.close()

    def run(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name.

        Args:
            signature: Its name.
            **inputs: An array for each input; bytes, in lists or arrays, for strings.
                Nothing is converted: a wrong type or shape is the C++ side's to refuse.

        Returns:
            float32 arrays, or object arrays of bytes.

        Raises:
            CppError: If the session refuses or fails; also, with the codes that
                the server has for them, if there is no such signature or input.
        """
        if signature not in self.signatures:
            raise CppError("FAILED_PRECONDITION", f"there is no signature '{signature}'")
        known = self.signatures[signature]
        if inputs.keys() != set(known.inputs):
            raise CppError(
                "INVALID_ARGUMENT",
                f"the inputs of '{signature}' are {sorted(known.inputs)}, not {sorted(inputs)}",
            )
        try:
            call = self._callable(signature)
            arrays = [_as_array(inputs[name]) for name in sorted(inputs)]
            return dict(zip(sorted(known.outputs), call(*arrays)))
        except tf.errors.OpError as error:
            raise _cpp_error(error) from None

    def _callable(self, signature: str):
        """Returns the function of a signature, for which TensorFlow prunes the graph once."""
        if signature not in self._callables:
            known = self.signatures[signature]
            options = config_pb2.CallableOptions(
                feed=[known.inputs[name].name for name in sorted(known.inputs)],
                fetch=[known.outputs[name].name for name in sorted(known.outputs)],
            )
            # `Session.run` would convert what is fed, and refuse shapes in words of its own.
            self._callables[signature] = self._session._make_callable_from_options(options)
        return self._callables[signature]


def _as_array(value) -> np.ndarray:
    array = np.asarray(value)
    # A NumPy string drops trailing zero bytes, which files do have.
    return np.asarray(value, dtype=object) if array.dtype.kind in "OS" else array


def _cpp_error(error: tf.errors.OpError) -> CppError:
    return CppError(_CODES[error.error_code], error.message)
