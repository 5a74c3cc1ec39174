"""TFLite for `export.verify`: a row for each quantisation, float32 in a browser too."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

from ..browser import programs
from ..parity import limits, runtimes
from ..parity.runtimes import Run, Settings
from . import conversion, litert


@contextlib.contextmanager
def _opened(path: pathlib.Path, settings: Settings) -> Iterator[Run]:
    model = litert.LiteRtModel(path, num_threads=settings.num_threads)
    yield runtimes.timed(lambda signature, inputs: model.run(signature, **inputs)["output"])


def _check_installed() -> None:
    conversion.check_converter()
    litert.check_installed()


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
        check_installed=_check_installed,
    )


def _check_browser() -> None:
    _check_installed()  # The file is compared before it is given out.
    programs.find_node()
    programs.find_chromium()


def _opened_in_browser(path: pathlib.Path, settings: Settings) -> contextlib.nullcontext[Run]:
    def run(signature: str, inputs: runtimes.Inputs, repeat: int):
        return programs.run_litert(path, signature, inputs, repeat=repeat)

    return contextlib.nullcontext(run)


runtimes.register(
    *map(_runtime, limits.TFLITE),
    dataclasses.replace(
        _runtime("none"),
        name=f"LiteRT.js none, {programs.CHROMIUM} wasm",
        kind=programs.CHROMIUM.lower(),
        open=_opened_in_browser,
        check_installed=_check_browser,
    ),
)
