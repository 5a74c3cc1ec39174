"""Files of `torch.save` that hold a `state_dict`, read and written without PyTorch.

Such a file is a pickle, and a pickle is a program: it may call anything that it names. So this
reader knows a few names, all of which only describe arrays, and the few operations that describing
them takes. A file that has others is refused; nothing in it is run. Both formats are read: the zip
of PyTorch 1.6 and later, and the row of pickles from before, in which the published models of
pix2pix are.
"""

from __future__ import annotations

import io
import math
import os
import pathlib
import pickle
import struct
import sys
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.errors import InputError, first_line

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_BFLOAT16 = "bfloat16"  # Which NumPy does not have: the upper half of a float32.
_TYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_MAX_PICKLE_BYTES = 2**22  # Of names and shapes; a model's take some kilobytes.
_MOST_SHOWN = 100  # Characters of a name in a message.
# Tensors may share numbers, but not without end: of the bytes of a file, so many times as much.
_MOST_COPIES = 4


class _Storage(NamedTuple):
    """A row of numbers in the file, or a part of one."""

    kind: str
    key: str
    start: int
    count: int


class _Tensor(NamedTuple):
    """Which numbers of a storage are a tensor's."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _NotAStateDictError(Exception):
    """The file is sound, but is not what is asked for; the message says why."""


def _are_counts(*numbers: object) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)


# What a file may call. Its arguments are checked for their types before anything else is done with
# them: to hash or to print a forged tuple may take for ever.
def _rebuild_tensor(storage, offset, shape, strides, *unused_arguments) -> _Tensor:
    is_sound = (
        type(storage) is _Storage
        and type(shape) is type(strides) is tuple
        and len(shape) == len(strides)
        and _are_counts(offset, *shape, *strides)
    )
    if not is_sound:
        raise pickle.UnpicklingError("a tensor is not described as one")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(data, *unused_arguments):
    return data


def _ordered_dict(items=()) -> dict:
    made: dict = {}
    for key, value in items:  # With Python 2, as a list of pairs.
        _set(made, key, value)
    return made


def _set(target: dict, key, value) -> None:
    if type(target) is not dict or type(key) not in (str, int):
        raise pickle.UnpicklingError("a dict has keys that are neither text nor numbers")
    target[key] = value


_NAMES = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): name for name in _TYPES},
}
_CALLABLES = (_ordered_dict, _rebuild_tensor, _rebuild_parameter)
# The operations of pickles that describe arrays by name; see `pickletools`.
_OPERATIONS = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE "
    "SHORT_BINUNICODE BINSTRING SHORT_BINSTRING EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 "
    "TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET "
    "GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID"
).split()


# The unpickler of Python: that of C reserves as much memory as a forged file asks for.
class _Unpickler(pickle._Unpickler):
    def __init__(self, file: _Limited):
        super().__init__(file, encoding="utf-8")
        self.storages: set[_Storage] = set()

    def find_class(self, module: str, name: str):
        try:
            return _NAMES[module, name]
        except KeyError:
            raise _NotAStateDictError(
                f"names {f'{module}.{name}'[:_MOST_SHOWN]}, and of a file from elsewhere only "
                "arrays are read: nothing else in it is run. Save the weights alone: "
                "torch.save(model.state_dict(), path)"
            ) from None

    def persistent_load(self, reference) -> _Storage:
        if type(reference) is not tuple or len(reference) not in (5, 6):
            raise pickle.UnpicklingError("a storage is not described as one")
        what, kind, key, unused_device, count, *view = reference
        is_sound = type(what) is str and what == "storage" and type(kind) is str
        is_sound = is_sound and kind in _TYPES and type(key) in (str, int) and _are_counts(count)
        if not is_sound:
            raise pickle.UnpicklingError("a storage is not described as one")
        start, part = 0, count
        if view and view[0] is not None:  # Of files from before PyTorch 0.4.
            unused_key, start, part = view[0]
            if not _are_counts(start, part) or start + part > count:
                raise pickle.UnpicklingError("a part of a storage is not in it")
        storage = _Storage(kind, str(key), start, part)
        self.storages.add(storage)
        return storage

    def _load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        _set(self.stack[-1], key, value)

    def _load_setitems(self):
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2]):
            _set(self.stack[-1], key, value)

    def _load_reduce(self):
        arguments, called = self.stack.pop(), self.stack.pop()
        if not any(called is one for one in _CALLABLES) or type(arguments) is not tuple:
            raise pickle.UnpicklingError("it calls what is not a name")
        self.stack.append(called(*arguments))

    def _load_build(self):
        self.stack.pop()  # What a dict has beside its entries, such as versions.

    dispatch = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
        for name in _OPERATIONS
    }
    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems
    dispatch[pickle.REDUCE[0]] = _load_reduce
    dispatch[pickle.BUILD[0]] = _load_build


class _Limited:
    """A file of which pickles may read only so much."""

    def __init__(self, file: io.BufferedIOBase):
        self._file, self._left = file, _MAX_PICKLE_BYTES

    def _take(self, contents: bytes) -> bytes:
        self._left -= len(contents)
        if self._left < 0:
            raise pickle.UnpicklingError(f"names and shapes take over {_MAX_PICKLE_BYTES:,} bytes")
        return contents

    def read(self, count: int) -> bytes:
        """Returns so many bytes."""
        return self._take(self._file.read(min(count, self._left + 1)))

    def readline(self) -> bytes:
        """Returns a line."""
        return self._take(self._file.readline(self._left + 1))


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the arrays of a file by name, numbers in native types.

    Args:
        path: A `.pth` or `.pt`, as `torch.save(model.state_dict(), path)` writes it. Where that
            dict is an entry of another one, such as "state_dict", it is found there.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it is not such a file, is cut short, or names anything but arrays.
    """
    path = pathlib.Path(path)
    files.require_file(path)
    try:
        loaded, rows = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        tensors = _find_tensors(loaded)
        num_bytes = sum(math.prod(x.shape) * rows[x.storage].itemsize for x in tensors.values())
        if num_bytes > _MOST_COPIES * path.stat().st_size:
            raise pickle.UnpicklingError("its arrays would take many times its own size")
        return {name: _to_array(x, rows[x.storage]) for name, x in tensors.items()}
    except (InputError, PermissionError):
        raise
    except _NotAStateDictError as error:
        raise InputError(f"'{path}' {error}.") from None
    # A forged pickle can raise whatever Python's own types do.
    except Exception as error:
        raise InputError(
            f"'{path}' cannot be read as a file of torch.save "
            f"({first_line(error) or type(error).__name__}). If it is one, it is damaged: fetch it "
            "again."
        ) from None


_Rows = dict[_Storage, np.ndarray]


def _read_zip(path: pathlib.Path) -> tuple[Any, _Rows]:
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        pickled = [name for name in infos if name.endswith("data.pkl")]
        if len(pickled) != 1:
            raise _NotAStateDictError("is a zip, but not one of torch.save: it has no data.pkl")
        root = pickled[0].removesuffix("data.pkl")
        # Nothing is compressed in such a file, or there twice, so that no size is a lie.
        odd = [x.filename for x in infos.values() if x.compress_type != zipfile.ZIP_STORED]
        if odd:
            raise _NotAStateDictError(
                f"has {odd[0][:_MOST_SHOWN]} compressed, which torch.save does not do"
            )
        if sum(x.file_size for x in archive.infolist()) > path.stat().st_size:
            raise pickle.UnpicklingError("its parts take more than the file")
        order = "little"
        if f"{root}byteorder" in infos:
            order = archive.read(f"{root}byteorder").decode().strip()
        with archive.open(pickled[0]) as file:
            unpickler = _Unpickler(_Limited(file))
            loaded = unpickler.load()
        keys = {storage.key for storage in unpickler.storages}
        contents = {key: archive.read(f"{root}data/{key}") for key in keys}
    return loaded, _rows(unpickler.storages, contents, order)


def _read_legacy(path: pathlib.Path) -> tuple[Any, _Rows]:
    with open(path, "rb") as file:
        limited = _Limited(file)
        if _Unpickler(limited).load() != _LEGACY_MAGIC:
            raise pickle.UnpicklingError("it does not begin as torch.save begins")
        _Unpickler(limited).load()  # The version of the format: there has been but one.
        order = "little" if _Unpickler(limited).load()["little_endian"] else "big"
        unpickler = _Unpickler(limited)
        loaded = unpickler.load()
        kinds = {storage.key: storage.kind for storage in unpickler.storages}
        num_bytes = path.stat().st_size
        contents = {}
        for key in map(str, _Unpickler(limited).load()):
            # Each as the number of its numbers, of 8 bytes, and these. Their size is that of the
            # type which the pickle gave.
            (count,) = struct.unpack("<q" if order == "little" else ">q", file.read(8))
            size = count * _dtype(kinds[key], order).itemsize
            if not 0 <= size <= num_bytes - file.tell():
                raise pickle.UnpicklingError("a storage ends after the file does")
            contents[key] = file.read(size)
    return loaded, _rows(unpickler.storages, contents, order)


def _dtype(kind: str, order: str) -> np.dtype:
    """Returns how numbers are stored; bfloat16 as whole numbers."""
    name = "u2" if _TYPES[kind] == _BFLOAT16 else _TYPES[kind]
    return np.dtype(name).newbyteorder(dict(little="<", big=">")[order])


def _rows(storages: Iterable[_Storage], contents: Mapping[str, bytes], order: str) -> _Rows:
    """Returns the numbers of storages."""
    whole: dict[tuple[str, str], np.ndarray] = {}
    rows = {}
    for storage in storages:
        kind, key = storage.kind, storage.key
        if (kind, key) not in whole:
            dtype = _dtype(kind, order)
            values = np.frombuffer(contents[key], dtype, len(contents[key]) // dtype.itemsize)
            if _TYPES[kind] == _BFLOAT16:
                values = (values.astype(np.uint32) << 16).view(np.float32)
            whole[kind, key] = values.astype(values.dtype.newbyteorder("="))
        values = whole[kind, key]
        if storage.start + storage.count > values.size:
            raise pickle.UnpicklingError(
                f"a storage has {values.size:,} numbers, not {storage.start + storage.count:,}"
            )
        rows[storage] = values[storage.start : storage.start + storage.count]
    return rows


def _find_tensors(loaded: Any) -> dict[str, _Tensor]:
    """Returns the entries of a dict that are tensors, or of the one dict in it that has some."""
    if type(loaded) is not dict:
        raise _NotAStateDictError(
            f"holds one {type(loaded).__name__.strip('_')}, not arrays by name: save a state_dict"
        )
    found = [
        {str(name): x for name, x in one.items() if type(x) is _Tensor}
        for one in (loaded, *(x for x in loaded.values() if type(x) is dict))
    ]
    found = [tensors for tensors in found if tensors]
    if len(found) != 1:
        names = ", ".join(repr(name)[:_MOST_SHOWN] for name in list(loaded)[:5]) or "nothing"
        raise _NotAStateDictError(
            f"holds {len(found)} sets of arrays, in {names}: save the state_dict of one network"
        )
    return found[0]


def _to_array(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    """Returns a tensor as an array of its own."""
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, values.dtype)
    pairs = zip(tensor.shape, tensor.strides)
    last = tensor.offset + sum((size - 1) * stride for size, stride in pairs)
    if last >= values.size or math.prod(tensor.shape) > values.size:
        raise pickle.UnpicklingError("a tensor is not in its storage")
    strides = [stride * values.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides).copy()


def state_dict_file(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns what `torch.save` writes of a `state_dict`: the zip of PyTorch 1.6 and later.

    Args:
        arrays: float32 or int64, by name.
    """
    kinds = {
        np.dtype(name).newbyteorder("="): kind
        for kind, name in list(_TYPES.items())
        if name in ("f4", "i8")
    }
    pickled = io.BytesIO()
    pickled.write(b"\x80\x02" + _global("collections", "OrderedDict") + b")R(")
    for number, (name, array) in enumerate(arrays.items()):
        kind = kinds[array.dtype]
        strides = [stride // array.itemsize for stride in np.ascontiguousarray(array).strides]
        storage = b"(" + _text("storage") + _global("torch", kind) + _text(str(number))
        storage += _text("cpu") + _integer(array.size) + b"tQ"
        pickled.write(_text(name) + _global("torch._utils", "_rebuild_tensor_v2") + b"(")
        pickled.write(storage + _integer(0) + _tuple(array.shape) + _tuple(strides[: array.ndim]))
        # It does not ask for gradients, and has no hooks.
        pickled.write(b"\x89" + _global("collections", "OrderedDict") + b")RtR")
    pickled.write(b"u.")
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled.getvalue())
        archive.writestr("archive/byteorder", sys.byteorder)
        for number, array in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{number}", np.ascontiguousarray(array).tobytes())
        archive.writestr("archive/version", "3\n")
    return written.getvalue()


# Opcodes of protocol 2, see `pickletools`.
def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def _tuple(numbers) -> bytes:
    return b"(" + b"".join(map(_integer, numbers)) + b"t"
