"""Runs an exported SavedModel as TensorFlow Serving does: C++ loader, C++ session, no Python graph.

    with CppSession("exported/facades/1") as session:
        output = session.run("with_noise", image=image, z=z)["output"]

The C API of the library in the `tensorflow` wheel is called through ctypes, and
the Python package `tensorflow` is not imported. What loads here loads in the
server: the server's loader is this one.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import importlib.util
import os
import pathlib

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

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


class CppError(RuntimeError):
    """What the C++ side answered.

    Attributes:
        code: Its name, as in "INVALID_ARGUMENT".
        message: Its text.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature.

    Attributes:
        name: Of the tensor in the graph, as in "StatefulPartitionedCall:0".
        dtype: float32, or object for strings.
        shape: -1 where any size is taken; None if even the rank is open.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
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
        feeds, results = [], (ctypes.c_void_p * len(known.outputs))()
        try:
            for value in inputs.values():
                feeds.append(self._tensor_from_array(value))
            given = (ctypes.c_void_p * len(feeds))(*feeds)
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

    def _tensor_from_array(self, value) -> int:
        array = np.asarray(value)
        if array.dtype.kind in "OS":
            # A NumPy string drops trailing zero bytes, which files do have.
            return self._tensor_from_strings(np.asarray(value, dtype=object))
        if array.dtype not in _NUMBERS:
            raise CppError("UNIMPLEMENTED", f"arrays of {array.dtype} cannot be fed")
        array = np.asarray(array, order="C")
        tensor = self._allocate(_NUMBERS[array.dtype], array.shape, array.nbytes)
        ctypes.memmove(self._library.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor

    def _tensor_from_strings(self, array: np.ndarray) -> int:
        tensor = self._allocate(_STRING, array.shape, array.size * _STRING_BYTES)
        first = self._library.TF_TensorData(tensor)
        for index, contents in enumerate(array.flat):
            place = first + index * _STRING_BYTES
            self._library.TF_StringInit(place)
            self._library.TF_StringCopy(place, contents, len(contents))
        return tensor

    def _allocate(self, number: int, shape: tuple[int, ...], size: int) -> int:
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        return self._library.TF_AllocateTensor(number, sizes, len(shape), size)

    def _array_from_tensor(self, tensor: int) -> np.ndarray:
        library = self._library
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        number, data = library.TF_TensorType(tensor), library.TF_TensorData(tensor)
        if number == _STRING:
            array = np.empty(shape, dtype=object)
            for index in range(array.size):
                place = data + index * _STRING_BYTES
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
    pointer, size, text, integer = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int
    buffer = ctypes.POINTER(_Buffer)
    for function, result, *arguments in (
        ("TF_NewStatus", pointer),
        ("TF_DeleteStatus", None, pointer),
        ("TF_GetCode", integer, pointer),
        ("TF_Message", text, pointer),
        ("TF_NewBuffer", buffer),
        ("TF_DeleteBuffer", None, buffer),
        ("TF_NewGraph", pointer),
        ("TF_DeleteGraph", None, pointer),
        ("TF_GraphOperationByName", pointer, pointer, text),
        ("TF_NewSessionOptions", pointer),
        ("TF_DeleteSessionOptions", None, pointer),
        (
            "TF_LoadSessionFromSavedModel",
            pointer,
            *(pointer, pointer, text, ctypes.POINTER(text), integer, pointer, buffer, pointer),
        ),
        ("TF_CloseSession", None, pointer, pointer),
        ("TF_DeleteSession", None, pointer, pointer),
        (
            "TF_SessionRun",
            None,
            *(pointer, pointer),
            *(ctypes.POINTER(_Port), ctypes.POINTER(pointer), integer) * 2,
            *(pointer, integer, pointer, pointer),
        ),
        ("TF_AllocateTensor", pointer, integer, ctypes.POINTER(ctypes.c_int64), integer, size),
        ("TF_DeleteTensor", None, pointer),
        ("TF_TensorType", integer, pointer),
        ("TF_NumDims", integer, pointer),
        ("TF_Dim", ctypes.c_int64, pointer, integer),
        ("TF_TensorByteSize", size, pointer),
        ("TF_TensorData", pointer, pointer),
        ("TF_StringInit", None, pointer),
        ("TF_StringCopy", None, pointer, text, size),
        ("TF_StringGetDataPointer", pointer, pointer),
        ("TF_StringGetSize", size, pointer),
    ):
        entry = getattr(library, function)
        entry.restype, entry.argtypes = result, arguments
    return library


def _parse_signatures(meta_graph: bytes) -> dict[str, Signature]:
    """Returns the signatures of a serialized MetaGraphDef, but for the loader's own."""
    parsed = _meta_graph_class().FromString(meta_graph)

    def tensors(infos) -> dict[str, TensorInfo]:
        return {entry.key: _tensor_info(entry.value) for entry in infos}

    return {
        entry.key: Signature(tensors(entry.value.inputs), tensors(entry.value.outputs))
        for entry in parsed.signature_def
        if not entry.key.startswith("__")
    }


def _tensor_info(info) -> TensorInfo:
    shape = None if info.shape.unknown_rank else tuple(dim.size for dim in info.shape.dim)
    dtype = np.dtype(object) if info.dtype == _STRING else _DTYPES[info.dtype]
    return TensorInfo(info.name, dtype, shape)


@functools.cache
def _meta_graph_class() -> type:
    """Returns a class for the part of MetaGraphDef that signatures are in.

    TensorFlow's own class is not available without importing all of TensorFlow. The
    numbers of the fields are a wire format, which never changes; fields that are
    not named here are passed over.
    """
    field = descriptor_pb2.FieldDescriptorProto
    repeated = True
    messages = dict(
        MetaGraph=[("signature_def", 5, "SignatureEntry", repeated)],
        SignatureEntry=[("key", 1, field.TYPE_STRING), ("value", 2, "Signature")],
        Signature=[("inputs", 1, "TensorEntry", repeated), ("outputs", 2, "TensorEntry", repeated)],
        TensorEntry=[("key", 1, field.TYPE_STRING), ("value", 2, "Tensor")],
        Tensor=[
            ("name", 1, field.TYPE_STRING),
            ("dtype", 2, field.TYPE_INT32),
            ("shape", 3, "Shape"),
        ],
        Shape=[("dim", 2, "Dim", repeated), ("unknown_rank", 3, field.TYPE_BOOL)],
        Dim=[("size", 1, field.TYPE_INT64)],
    )
    file = descriptor_pb2.FileDescriptorProto(name="signatures.proto", package="signatures")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, *is_repeated in fields:
            label = field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL
            added = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = field.TYPE_MESSAGE, f".signatures.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("signatures.MetaGraph"))
