"""Equal weights in a .tflite file, held once.

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


def share_weights(contents: bytes) -> bytes:
    """Returns the same model without second copies: the quantiser writes one for each signature."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(contents, 0))
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
    builder = _AlignedBuilder(len(contents) + 2**20)
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())
