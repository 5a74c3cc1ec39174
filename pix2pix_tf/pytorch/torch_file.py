"""Files of `torch.save` that hold a `state_dict`, read and written without PyTorch.

Such a file is a pickle, and a pickle is a program: it may call anything that it names. So this
reader knows five names, all of which only describe arrays, and refuses a file that names
another; nothing in the file is run. Both formats are read: the zip of PyTorch 1.6 and later, and
the row of pickles from before, in which the published models of pix2pix are.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import math
import os
import pathlib
import pickle
import struct
import sys
import zipfile
from collections.abc import Mapping
from typing import Any

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
_MAX_PICKLE_BYTES = 2**24  # Of names and shapes; a model's take some kilobytes.


@dataclasses.dataclass
class _Storage:
    """A row of numbers in the file, and its part that a tensor may use."""

    kind: str
    key: str
    count: int
    start: int = 0
    values: np.ndarray | None = None


@dataclasses.dataclass
class _Tensor:
    """Which numbers of a storage are a tensor's."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage, offset, shape, strides, *unused_arguments) -> _Tensor:
    shape, strides = tuple(shape), tuple(strides)
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise pickle.UnpicklingError("a tensor is not described as one")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError(f"a tensor has shape {shape} and strides {strides}")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(data, *unused_arguments) -> _Tensor:
    return data


_NAMES = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): name for name in _TYPES},
}


class _ForeignNameError(Exception):
    """The file names something that is not an array."""


# The unpickler of Python: that of C reserves as much memory as a forged file asks for.
class _Unpickler(pickle._Unpickler):
    def __init__(self, file: io.BufferedIOBase):
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str):
        try:
            return _NAMES[module, name]
        except KeyError:
            raise _ForeignNameError(f"{module}.{name}") from None

    def persistent_load(self, reference):
        what, kind, key, unused_device, count, *view = reference
        if what != "storage" or kind not in _TYPES or type(count) is not int or count < 0:
            raise pickle.UnpicklingError(f"{what!r} is not a storage")
        storage = self.storages.setdefault(str(key), _Storage(kind, str(key), count))
        if (storage.kind, storage.count) != (kind, count):
            raise pickle.UnpicklingError(f"storage {key!r} is described twice")
        if not view or view[0] is None:
            return storage
        unused_key, start, part = view[0]  # Of files from before PyTorch 0.4.
        if type(start) is not int or type(part) is not int or not 0 <= start <= count - part:
            raise pickle.UnpicklingError(f"a part of storage {key!r} is not in it")
        part_key = f"{key} from {start}, {part}"
        return self.storages.setdefault(part_key, _Storage(kind, str(key), part, start))


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
        is_zip = zipfile.is_zipfile(path)
        loaded = _read_zip(path) if is_zip else _read_legacy(path)
        tensors = _find_tensors(loaded)
        return {name: _to_array(tensor) for name, tensor in tensors.items()}
    except InputError:
        raise
    except _ForeignNameError as error:
        raise InputError(
            f"'{path}' names {error}, and of a file from elsewhere only arrays are read: nothing "
            "else in it is run. Save the weights alone: torch.save(model.state_dict(), path)."
        ) from None
    # A forged pickle can raise whatever Python's own types do.
    except Exception as error:
        raise InputError(
            f"'{path}' cannot be read as a file of torch.save "
            f"({first_line(error) or type(error).__name__}). If it is one, it is damaged: fetch it "
            "again."
        ) from None


def _read_zip(path: pathlib.Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        (pickled,) = (name for name in infos if name.endswith("data.pkl"))
        root = pickled.removesuffix("data.pkl")
        # Nothing is compressed in such a file, so that no size can be a lie.
        odd = [x.filename for x in infos.values() if x.compress_type != zipfile.ZIP_STORED]
        if odd:
            raise pickle.UnpicklingError(f"{odd[0]} is compressed, which torch.save does not do")
        if infos[pickled].file_size > _MAX_PICKLE_BYTES:
            raise pickle.UnpicklingError(f"{pickled} has {infos[pickled].file_size:,} bytes")
        order = "little"
        if f"{root}byteorder" in infos:
            order = archive.read(f"{root}byteorder").decode().strip()
        unpickler = _Unpickler(io.BytesIO(archive.read(pickled)))
        loaded = unpickler.load()
        for storage in unpickler.storages.values():
            contents = archive.read(f"{root}data/{storage.key}")
            storage.values = _numbers(contents, storage, order)
    return loaded


def _read_legacy(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        if _Unpickler(file).load() != _LEGACY_MAGIC:
            raise pickle.UnpicklingError("it does not begin as torch.save begins")
        _Unpickler(file).load()  # The version of the format: there has been but one.
        order = "little" if _Unpickler(file).load()["little_endian"] else "big"
        unpickler = _Unpickler(file)
        loaded = unpickler.load()
        keys = _Unpickler(file).load()
        num_bytes = path.stat().st_size
        contents = {}
        for key in keys:
            # Each as the number of its numbers, of 8 bytes, and these. Their size is that of the
            # type which the pickle gave.
            kinds = {x.kind for x in unpickler.storages.values() if x.key == str(key)}
            (kind,) = kinds
            (count,) = struct.unpack("<q" if order == "little" else ">q", file.read(8))
            size = count * _item_size(kind)
            if not 0 <= size <= num_bytes - file.tell():
                raise pickle.UnpicklingError(f"storage {key!r} ends after the file does")
            contents[str(key)] = file.read(size)
    for storage in unpickler.storages.values():
        storage.values = _numbers(contents[storage.key], storage, order)
    return loaded


def _item_size(kind: str) -> int:
    return 2 if _TYPES[kind] == _BFLOAT16 else np.dtype(_TYPES[kind]).itemsize


def _numbers(contents: bytes, storage: _Storage, order: str) -> np.ndarray:
    """Returns the numbers of a storage."""
    sign = dict(little="<", big=">")[order]
    kind = _TYPES[storage.kind]
    dtype = np.dtype(f"{sign}u2" if kind == _BFLOAT16 else kind).newbyteorder(sign)
    size = dtype.itemsize
    if len(contents) < (storage.start + storage.count) * size:
        raise pickle.UnpicklingError(
            f"storage {storage.key!r} has {len(contents) // size:,} numbers, not {storage.count:,}"
        )
    values = np.frombuffer(contents, dtype, storage.count, storage.start * size)
    if kind == _BFLOAT16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(dtype.newbyteorder("="))


def _find_tensors(loaded: Any) -> dict[str, _Tensor]:
    """Returns the entries of a dict that are tensors, or of the one dict in it that has some."""
    if not isinstance(loaded, Mapping):
        raise pickle.UnpicklingError(f"it holds one {type(loaded).__name__}, not arrays by name")
    candidates = [loaded, *(x for x in loaded.values() if isinstance(x, Mapping))]
    found = [
        {name: x for name, x in one.items() if isinstance(name, str) and isinstance(x, _Tensor)}
        for one in candidates
    ]
    found = [tensors for tensors in found if tensors]
    if len(found) != 1:
        names = ", ".join(map(repr, list(loaded)[:5])) or "nothing"
        raise pickle.UnpicklingError(
            f"it holds {len(found)} sets of arrays, among {names}; save one network's state_dict"
        )
    return found[0]


def _to_array(tensor: _Tensor) -> np.ndarray:
    """Returns a tensor as an array of its own."""
    count = math.prod(tensor.shape)
    values = tensor.storage.values
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides)
    )
    if count and (last >= values.size or count > values.size):
        raise pickle.UnpicklingError(f"a tensor of shape {tensor.shape} is not in its storage")
    if not count:
        return np.zeros(tensor.shape, values.dtype)
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
