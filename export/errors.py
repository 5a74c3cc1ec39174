"""What a runtime, or a program that others made, raises about a model."""

from __future__ import annotations


class ModelError(RuntimeError):
    """A runtime could not load or run a model; the message has what it said itself."""


class StatusError(ModelError):
    """An answer of TensorFlow's C++ side, here or in a server.

    Attributes:
        code: Name of the gRPC status code, as in "INVALID_ARGUMENT".
        message: What was said.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
