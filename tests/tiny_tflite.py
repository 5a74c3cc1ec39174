"""Conversions to .tflite in this process, which saves starting TensorFlow; and the example."""

from __future__ import annotations

import importlib.util
import pathlib
import warnings
from unittest import mock

from export import litert, tflite, tflite_conversion

EXAMPLE = pathlib.Path(litert.__file__).parent / "examples" / "translate_tflite.py"


def convert(saved_model: pathlib.Path, output: pathlib.Path, **options) -> dict:
    """Does as `tflite.convert`, without the other process."""
    with mock.patch.object(tflite, "_run", run_here):
        return tflite.convert(saved_model, output, **options)


def run_here(job: tflite_conversion.Job) -> dict[str, float]:
    """Does as `tflite._run`, without the other process."""
    with warnings.catch_warnings():
        # TensorFlow's own, on its way to LiteRT; in the other process nobody sees them.
        warnings.simplefilter("ignore")
        return tflite_conversion.convert(job)


def load_example(test):
    """Returns the example for devices as a module, or skips the test if LiteRT is not installed."""
    if not litert.Interpreter.__module__.startswith("ai_edge_litert"):
        test.skipTest("ai-edge-litert is not installed, which the example imports.")
    spec = importlib.util.spec_from_file_location("translate_tflite", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example
