"""Runs an exported SavedModel as TensorFlow Serving does: C++ loader, C++ session, no Python graph.

    with CppSession("exported/facades/1") as session:
        output = session.run("with_noise", image=image, z=z)["output"]

The C API of the library in the `tensorflow` wheel is called through ctypes; of the Python
package, only the class that describes the signatures is used, when the model is loaded. What
loads here loads in the server: the server's loader is this one.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import pathlib
from typing import NamedTuple

import numpy as np

from export.errors import ModelError

SERVING_TAG = "serve"
_STRING = 7  # TF_STRING; these numbers are those of TensorFlow's types.proto.
_NUMBERS = {
    np.dtype(np.float32): 1,
    np.dtype(np.float64): 2,
    np.dtype(np.int32): 3,
    np.dtype(np.uint8): 4,
    np.dtype(np.int64): 9,
}
_DTYPES = {number: dtype for dtype, number in _NUMBERS.items()}
_STRING_BYTES = 24  # sizeof(TF_TString), in every TensorFlow since 2.4.
_CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
    "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
    "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split()


class CppError(ModelError):
    """What the C++ side answered.

    Attributes:
        code: Name of the status, as in "INVALID_ARGUMENT".
        message: Text of the status.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class TensorInfo(NamedTuple):
    """An input or output of a signature."""

    name: str  # In the graph, as in "StatefulPartitionedCall:0".
    dtype: np.dtype  # float32, or object for strings.
    shape: tuple[int, ...] | None  # -1 where any size is taken; None if even the rank is open.


class Signature(NamedTuple):
    """Inputs and outputs by the names that clients use."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


class CppSession:
    """A SavedModel in a TensorFlow session; a context manager, safe for several threads.

    Args:
        version_dir: Holds `saved_model.pb`.

    Attributes:
        signatures: `Signature` by name.

    Raises:
        CppError: If the C++ loader does not load it.
    """

    def __init__(self, version_dir: str | os.PathLike):
        self._library = _load_library()
        self._graph = self._library.TF_NewGraph()
        self._session = None
        options = self._library.TF_NewSessionOptions()
        meta_graph = self._library.TF_NewBuffer()
        tags = (ctypes.c_char_p * 1)(SERVING_TAG.encode())
        try:
            self._session = self._check(
                self._library.TF_LoadSessionFromSavedModel,
                *(options, None, os.fsencode(version_dir), tags, 1, self._graph, meta_graph),
            )
            buffer = meta_graph.contents
            self.signatures = _parse_signatures(ctypes.string_at(buffer.data, buffer.length))
        except BaseException:
            self.close()
            raise
        finally:
            self._library.TF_DeleteBuffer(meta_graph)
            self._library.TF_DeleteSessionOptions(options)

    def __enter__(self) -> CppSession:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Frees the model; a second call does nothing."""
        if self._session:
            self._check(self._library.TF_CloseSession, self._session)
            self._check(self._library.TF_DeleteSession, self._session)
            self._session = None
        if self._graph:
            self._library.TF_DeleteGraph(self._graph)
            self._graph = None

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
        if self._session is None:
            raise CppError("FAILED_PRECONDITION", "the session is closed")
        if signature not in self.signatures:
            raise CppError("FAILED_PRECONDITION", f"there is no signature '{signature}'")
        known = self.signatures[signature]
        if inputs.keys() != known.inputs.keys():
            raise CppError(
                "INVALID_ARGUMENT",
                f"the inputs of '{signature}' are {sorted(known.inputs)}, not {sorted(inputs)}",
            )
        feeds, results = [], (_Pointer * len(known.outputs))()
        try:
            for value in inputs.values():
                feeds.append(self._tensor_from_array(value))
            given = (_Pointer * len(feeds))(*feeds)
            sources = self._ports(known.inputs[name] for name in inputs)
            targets = self._ports(known.outputs.values())
            self._check(
                self._library.TF_SessionRun,
                *(self._session, None, sources, given, len(given)),
                *(targets, results, len(results), None, 0, None),
            )
            arrays = [self._array_from_tensor(tensor) for tensor in results]
            return dict(zip(known.outputs, arrays))
        finally:
            for tensor in (*feeds, *results):
                if tensor:
                    self._library.TF_DeleteTensor(tensor)

    def _ports(self, infos) -> ctypes.Array:
        """Returns the places in the graph of some inputs or outputs."""
        ports = []
        for info in infos:
            operation, _, index = info.name.partition(":")
            found = self._library.TF_GraphOperationByName(self._graph, operation.encode())
            ports.append(_Port(found, int(index or 0)))
        return (_Port * len(ports))(*ports)

    def _tensor_from_array(self, value) -> _Pointer:
        array = np.asarray(value)
        if array.dtype.kind in "OS":
            # A NumPy string drops trailing zero bytes, which files do have.
            array = np.asarray(value, dtype=object)
            tensor, first = self._allocate(_STRING, array.shape, array.size * _STRING_BYTES)
            for index, contents in enumerate(array.flat):
                place = _Pointer(first + index * _STRING_BYTES)
                self._library.TF_StringInit(place)
                self._library.TF_StringCopy(place, contents, ctypes.c_size_t(len(contents)))
            return tensor
        if array.dtype not in _NUMBERS:
            raise CppError("UNIMPLEMENTED", f"arrays of {array.dtype} cannot be fed")
        array = np.asarray(array, order="C")
        tensor, first = self._allocate(_NUMBERS[array.dtype], array.shape, array.nbytes)
        ctypes.memmove(first, array.ctypes.data, array.nbytes)
        return tensor

    def _allocate(self, number: int, shape: tuple[int, ...], size: int) -> tuple[_Pointer, int]:
        """Returns a tensor, and the address of its contents."""
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        library = self._library
        tensor = library.TF_AllocateTensor(number, sizes, len(shape), ctypes.c_size_t(size))
        return tensor, library.TF_TensorData(tensor).value

    def _array_from_tensor(self, tensor: _Pointer) -> np.ndarray:
        library = self._library
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        number, data = library.TF_TensorType(tensor), library.TF_TensorData(tensor).value
        if number == _STRING:
            array = np.empty(shape, dtype=object)
            for index in range(array.size):
                place = _Pointer(data + index * _STRING_BYTES)
                start, size = (
                    library.TF_StringGetDataPointer(place),
                    library.TF_StringGetSize(place),
                )
                array.flat[index] = ctypes.string_at(start, size)
            return array
        size = library.TF_TensorByteSize(tensor)
        contents = ctypes.string_at(data, size) if size else b""
        # frombuffer's array is not writable, and callers own what they get.
        return np.frombuffer(contents, dtype=_DTYPES[number]).reshape(shape).copy()

    def _check(self, function, *arguments):
        """Calls a function of the C API that takes a status last; returns its result."""
        status = self._library.TF_NewStatus()
        try:
            result = function(*arguments, status)
            code = self._library.TF_GetCode(status)
            if code:
                message = self._library.TF_Message(status).decode(errors="replace")
                raise CppError(_CODES[code], message)
            return result
        finally:
            self._library.TF_DeleteStatus(status)


class _Pointer(ctypes.c_void_p):
    """A pointer that stays one; ctypes makes integers of plain ones, and passes 32 bits of them."""


class _Port(ctypes.Structure):
    """TF_Output: which result of which operation."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    """TF_Buffer."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("data_deallocator", ctypes.c_void_p),
    )


@functools.cache
def _load_library() -> ctypes.CDLL:
    """Returns the library of TensorFlow for Linux, with the types of what is used of it.

    Raises:
        ImportError: If TensorFlow is not installed.
    """
    package = importlib.util.find_spec("tensorflow")
    if package is None:
        raise ImportError("TensorFlow is not installed; see BUILD.md for how to set up.")
    folder = pathlib.Path(package.submodule_search_locations[0])
    # Start-up notes, not errors; a level that is set already stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Not RTLD_GLOBAL: NumPy's random generators, if imported later, would find symbols of
    # TensorFlow 2.21 in place of their own, and crash.
    library = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"), mode=ctypes.RTLD_LOCAL)
    for result, names in (
        (_Pointer, "NewStatus NewGraph NewSessionOptions LoadSessionFromSavedModel"),
        (_Pointer, "GraphOperationByName AllocateTensor TensorData StringGetDataPointer"),
        (ctypes.c_char_p, "Message"),
        (ctypes.POINTER(_Buffer), "NewBuffer"),
        (ctypes.c_int64, "Dim"),
        (ctypes.c_size_t, "TensorByteSize StringGetSize"),
        (None, "DeleteStatus DeleteBuffer DeleteGraph DeleteSessionOptions DeleteTensor"),
        (None, "CloseSession DeleteSession SessionRun StringInit StringCopy"),
    ):
        for name in names.split():
            getattr(library, f"TF_{name}").restype = result
    return library


def _parse_signatures(meta_graph: bytes) -> dict[str, Signature]:
    """Returns the signatures of a serialized MetaGraphDef, but for the loader's own."""
    from tensorflow.core.protobuf import meta_graph_pb2

    def tensors(infos) -> dict[str, TensorInfo]:
        return {name: _tensor_info(info) for name, info in infos.items()}

    return {
        name: Signature(tensors(signature.inputs), tensors(signature.outputs))
        for name, signature in meta_graph_pb2.MetaGraphDef.FromString(
            meta_graph
        ).signature_def.items()
        if not name.startswith("__")
    }


def _tensor_info(info) -> TensorInfo:
    shape = None if info.tensor_shape.unknown_rank else [x.size for x in info.tensor_shape.dim]
    dtype = np.dtype(object) if info.dtype == _STRING else _DTYPES[info.dtype]
    return TensorInfo(info.name, dtype, None if shape is None else tuple(shape))
