"""The models that `export.verify` compares: where they are kept, and how each is made."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Sequence

from export import limits, runtimes, tflite
from pix2pix_tf import files
from pix2pix_tf.errors import InputError

# In the folder of the models: what stands beside it may be deleted by the next run.
_MARKER = "WRITTEN_BY_EXPORT_VERIFY.txt"
_MARKER_TEXT = (
    "python -m export.verify writes these models, and deletes them when it starts again.\n"
)
SAVED_MODEL = "saved_model"


@dataclasses.dataclass(frozen=True)
class Subject:
    """A runtime to compare, and how its model is made.

    Attributes:
        runtime: It.
        convert: Makes the file or folder of the runtime, unless another runtime has had
            it made.
    """

    runtime: runtimes.Runtime
    convert: Callable[[], None]


def make_room(folder: pathlib.Path) -> None:
    """Makes the folder of the models, without those of an earlier run.

    Only what this program makes is deleted, and only where it says that it has.

    Raises:
        InputError: If there is something else in the place of the folder.
    """
    files.make_output_folder(folder)
    marker = folder / _MARKER
    if any(folder.iterdir()) and not marker.is_file():
        raise InputError(
            f"'{folder}' holds files that this command has not written. Move them, or name another "
            "folder with --output."
        )
    files.write_atomically(marker, _MARKER_TEXT.encode())
    for path in [folder / SAVED_MODEL, *_tflite_paths(folder).values()]:
        _delete(path)
    for path in _tfjs_paths(folder).values():
        _delete(path)


def subjects(
    version: pathlib.Path,
    folder: pathlib.Path,
    wanted: Sequence[str],
    *,
    num_threads: int,
    dataset: str = "",
    data_dir: str = "",
) -> list[Subject]:
    """Returns what is to be compared, each to be converted and run when its turn has come.

    Args:
        version: Of the exported model.
        folder: Of the converted ones.
        wanted: Some of "cpp", "tflite", "node" and "chromium".
        num_threads: CPU threads of TFLite.
        dataset: Pairs to calibrate int8 with; empty means those of the training.
        data_dir: Where published sets are; empty means as in the training.
    """
    found = [Subject(runtimes.saved_model(version), _nothing)]
    if "cpp" in wanted:
        found.append(Subject(runtimes.cpp(version), _nothing))
    if "tflite" in wanted:
        for quantize, path in _tflite_paths(folder).items():
            runtime = runtimes.tflite(path, quantize, num_threads=num_threads)
            convert = _tflite_conversion(
                version, path, quantize, dataset=dataset, data_dir=data_dir
            )
            found.append(Subject(runtime, convert))
    for quantize, path in _tfjs_paths(folder).items():
        convert = _tfjs_conversion(version, path, quantize)
        if "node" in wanted:
            found.append(Subject(runtimes.tfjs_in_node(path, quantize), convert))
        if "chromium" in wanted and quantize == "none":
            runtime = runtimes.tfjs_in_chromium(path, quantize, backend="wasm")
            found.append(Subject(runtime, convert))
    return found


def _tflite_paths(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return {quantize: folder / f"{quantize}.tflite" for quantize in limits.TFLITE}


def _tfjs_paths(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return {quantize: folder / f"tfjs_{quantize}" for quantize in limits.TFJS}


def _nothing() -> None:
    """What has to be done for an exported version: it is there."""


def _tflite_conversion(
    version: pathlib.Path, path: pathlib.Path, quantize: str, *, dataset: str, data_dir: str
) -> Callable[[], None]:
    def convert() -> None:
        tflite.convert(version, path, quantize=quantize, dataset=dataset, data_dir=data_dir)

    return convert


def _tfjs_conversion(version: pathlib.Path, path: pathlib.Path, quantize: str):
    def convert() -> None:
        from export import tfjs_model

        if not path.exists():  # Node and Chromium run the same; it appears when it is whole.
            tfjs_model.convert(version, path, quantize=quantize)

    return convert


def _delete(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
