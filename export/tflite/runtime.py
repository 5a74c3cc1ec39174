"""TFLite for `export.verify`: a row for each quantisation."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

from export.parity import limits, runtimes
from export.parity.runtimes import Run, Settings
from export.tflite import conversion, litert


@contextlib.contextmanager
def _opened(path: pathlib.Path, settings: Settings) -> Iterator[Run]:
    model = litert.LiteRtModel(path, num_threads=settings.num_threads)
    yield runtimes.timed(lambda signature, inputs: model.run(signature, **inputs)["output"])


def _runtime(quantize: str) -> runtimes.Runtime:
    def convert(version: pathlib.Path, path: pathlib.Path, settings: Settings) -> None:
        conversion.convert(
            version, path, quantize=quantize, dataset=settings.dataset, data_dir=settings.data_dir
        )

    return runtimes.Runtime(
        name=f"TFLite {quantize}",
        kind="tflite",
        limit=limits.TFLITE[quantize],
        open=_opened,
        file=f"{quantize}.tflite",
        convert=convert,
        check_installed=litert.check_installed,
    )


runtimes.register(*map(_runtime, limits.TFLITE))
