"""ONNX Runtime for `export.verify`: a row for each quantisation."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

from .. import image_size
from ..parity import limits, runtimes
from ..parity.runtimes import Run, Settings
from . import conversion, session


@contextlib.contextmanager
def _opened(path: pathlib.Path, settings: Settings) -> Iterator[Run]:
    sessions = {
        name: session.open_session(path / f"{name}.onnx", num_threads=settings.num_threads)
        for name in image_size.SIGNATURES
    }
    yield runtimes.timed(lambda signature, inputs: session.run(sessions[signature], inputs))


def _runtime(quantize: str) -> runtimes.Runtime:
    def convert(version: pathlib.Path, path: pathlib.Path, unused_settings: Settings) -> None:
        for name in image_size.SIGNATURES:
            file = path / f"{name}.onnx"
            conversion.convert(version, file, signature=name, quantize=quantize)

    return runtimes.Runtime(
        name=f"ONNX {quantize}",
        kind="onnx",
        limit=limits.ONNX[quantize],
        open=_opened,
        file=f"onnx_{quantize}",
        convert=convert,
        check_installed=conversion.check_installed,
    )


runtimes.register(*map(_runtime, limits.ONNX))
