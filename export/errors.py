"""What a runtime, or a program that others made, raises about a model."""

from __future__ import annotations


class ModelError(RuntimeError):
    """A runtime could not load or run a model; the message has what it said itself."""
