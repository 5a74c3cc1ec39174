"""What tests of .tflite files share: what a file holds, and the example for devices."""

from __future__ import annotations

import collections
import importlib.util
import pathlib

import export
from export.tflite import litert

EXAMPLE = pathlib.Path(export.__file__).parent / "examples" / "translate_tflite.py"


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
