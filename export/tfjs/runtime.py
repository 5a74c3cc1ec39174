"""TF.js for `export.verify`: every quantisation in Node, float32 in Chromium too."""

from __future__ import annotations

import contextlib
import functools
import pathlib

from export.parity import limits, runtimes
from export.parity.runtimes import Run, Settings
from export.tfjs import conversion, programs


def _runtime(quantize: str, program: programs.Program) -> runtimes.Runtime:
    def convert(version: pathlib.Path, path: pathlib.Path, settings: Settings) -> None:
        conversion.convert(version, path, quantize=quantize)

    def opened(path: pathlib.Path, settings: Settings) -> contextlib.nullcontext[Run]:
        return contextlib.nullcontext(functools.partial(_run, path))

    def _run(path: pathlib.Path, signature: str, inputs: runtimes.Inputs, repeat: int):
        return programs.run(path, signature, inputs, program=program, repeat=repeat)

    return runtimes.Runtime(
        name=f"TF.js {quantize}, {program.name} wasm",
        kind=program.name.lower(),
        limit=limits.TFJS[quantize],
        open=opened,
        file=f"tfjs_{quantize}",
        convert=convert,
        check_installed=program.find,
    )


runtimes.register(
    _runtime("none", programs.NODE),
    _runtime("none", programs.CHROMIUM),
    *(_runtime(quantize, programs.NODE) for quantize in limits.TFJS if quantize != "none"),
)
