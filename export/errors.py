"""What a runtime, or a program that others made, raises about a model."""

from __future__ import annotations


class ModelError(RuntimeError):
    """A runtime could not load or run a model; the message has what it said itself."""


class StatusError(ModelError):
    """An error with a gRPC status, of a server or of TensorFlow's C++ session.

    Attributes:
        code: Name of the gRPC status code, as in "INVALID_ARGUMENT".
        message: What the other side said, or the connection.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
