"""What in a .tflite file has no effect, taken out.

TensorFlow's schema of the format is read and written here, and nowhere else.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

_FILE_IDENTIFIER = b"TFL3"
_BUFFER_ALIGNMENT = 16  # What the schema's force_align asks for.


class _AlignedBuilder(flatbuffers.Builder):
    """Aligns arrays as the schema asks, which TensorFlow's generated writer leaves out."""

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
        """Writes an array, its first byte at a multiple of the alignment."""
        self.Prep(_BUFFER_ALIGNMENT, x.nbytes)
        return super().CreateNumpyVector(x)


def simplify(contents: bytes) -> bytes:
    """Returns the same model without what has no effect.

    - Operators that copy. Where an image needs neither padding nor cropping, a GATHER of all
      rows in their order and a STRIDED_SLICE of everything are left of them; XNNPACK does
      not take the former, so each would split the graph.
    - Second copies of weights: the quantiser writes one for each signature.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(contents, 0))
    for index in range(len(model.subgraphs)):
        _remove_copies(model, index)
    _share_buffers(model)
    builder = _AlignedBuilder(len(contents) + 2**20)
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def _remove_copies(model: schema.ModelT, subgraph_index: int) -> None:
    """Takes out the operators whose output is their first input."""
    subgraph = model.subgraphs[subgraph_index]
    same = {}  # A tensor's index to that of an earlier one which holds the same.
    kept = []

    def replaced(indices: np.ndarray) -> np.ndarray:
        return np.array([same.get(index, index) for index in indices], np.int32)

    for operator in subgraph.operators:
        operator.inputs = replaced(operator.inputs)
        if _copies(model, subgraph, operator):
            same[operator.outputs[0]] = operator.inputs[0]
        else:
            kept.append(operator)
    subgraph.operators = kept
    subgraph.outputs = replaced(subgraph.outputs)
    for signature in model.signatureDefs:
        if signature.subgraphIndex == subgraph_index:
            for output in signature.outputs:
                output.tensorIndex = same.get(output.tensorIndex, output.tensorIndex)


def _copies(model: schema.ModelT, subgraph: schema.SubGraphT, operator: schema.OperatorT) -> bool:
    """Returns whether an operator is known to output its first input, for every input."""
    # Both are old enough to have their number in the older field too.
    code = model.operatorCodes[operator.opcodeIndex].deprecatedBuiltinCode
    if code not in (schema.BuiltinOperator.GATHER, schema.BuiltinOperator.STRIDED_SLICE):
        return False
    source, result = (subgraph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
    # Unknown sizes are 1 in the shape and -1 in its signature, which static ones lack.
    if source.shapeSignature is not None and -1 in source.shapeSignature:
        return False
    if _describe(source) != _describe(result):
        return False
    options = operator.builtinOptions
    if code == schema.BuiltinOperator.GATHER:
        rows = _constant(model, subgraph, operator.inputs[1])
        return rows is not None and np.array_equal(rows, np.arange(source.shape[options.axis]))
    strides = _constant(model, subgraph, operator.inputs[3])
    moves_axes = options.newAxisMask or options.shrinkAxisMask
    # As many as there are, one after the other, are all of them.
    return strides is not None and np.all(strides == 1) and not moves_axes


def _describe(tensor: schema.TensorT) -> tuple:
    """Returns the shape, the type, and what the numbers mean."""
    about = tensor.quantization or schema.QuantizationParametersT()
    arrays = (tensor.shape, about.scale, about.zeroPoint)
    return (tensor.type, *(() if values is None else tuple(values) for values in arrays))


def _constant(model: schema.ModelT, subgraph: schema.SubGraphT, index: int) -> np.ndarray | None:
    """Returns the numbers of a constant int32 tensor; None if it is not one."""
    tensor = subgraph.tensors[index]
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type != schema.TensorType.INT32:
        return None
    return np.asarray(data, np.uint8).view(np.int32)


def _share_buffers(model: schema.ModelT) -> None:
    """Keeps one of the buffers that hold the same bytes."""
    kept, new_indices, index_by_key = [], [], {}
    for index, buffer in enumerate(model.buffers):
        # One without contents belongs to a tensor that is computed, and is its own.
        is_empty = buffer.data is None or len(buffer.data) == 0
        key = index if is_empty else np.asarray(buffer.data, np.uint8).tobytes()
        if key not in index_by_key:
            index_by_key[key] = len(kept)
            kept.append(buffer)
        new_indices.append(index_by_key[key])
    model.buffers = kept
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.buffer = new_indices[tensor.buffer]
    for entry in model.metadata or ():
        entry.buffer = new_indices[entry.buffer]
