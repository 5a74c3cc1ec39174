"""Conversions to .tflite in this process, which saves starting TensorFlow; and the example."""

from __future__ import annotations

import collections
import importlib.util
import pathlib
import warnings
from unittest import mock

import export
from export.tflite import conversion, converter, litert

EXAMPLE = pathlib.Path(export.__file__).parent / "examples" / "translate_tflite.py"


def convert(saved_model: pathlib.Path, output: pathlib.Path, **options) -> dict:
    """Does as `conversion.convert`, without the other process."""
    with mock.patch.object(conversion, "_run", run_here):
        return conversion.convert(saved_model, output, **options)


def run_here(job: converter.Job) -> dict[str, float]:
    """Does as `conversion._run`, without the other process."""
    with warnings.catch_warnings():
        # TensorFlow's own, on its way to LiteRT; in the other process nobody sees them.
        warnings.simplefilter("ignore")
        return converter.run(job)


def count_operators(contents: bytes) -> dict[str, collections.Counter]:
    """Returns how often each operator of a file occurs, by signature."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(contents, 0))
    # Up to 127 the number is in the older field.
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return {
        signature.signatureKey.decode(): collections.Counter(
            names[codes[operator.opcodeIndex]]
            for operator in model.subgraphs[signature.subgraphIndex].operators
        )
        for signature in model.signatureDefs
    }


def load_example(test):
    """Returns the example for devices as a module, or skips the test if LiteRT is not installed."""
    if not litert.Interpreter.__module__.startswith("ai_edge_litert"):
        test.skipTest("ai-edge-litert is not installed, which the example imports.")
    spec = importlib.util.spec_from_file_location("translate_tflite", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example
