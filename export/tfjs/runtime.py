"""TF.js for `export.verify`: every quantisation in Node, float32 in Chromium too."""

from __future__ import annotations

import contextlib
import pathlib

from ..browser import programs
from ..parity import limits, runtimes
from ..parity.runtimes import Run, Settings
from . import conversion


def _runtime(quantize: str, program: str) -> runtimes.Runtime:
    def convert(version: pathlib.Path, path: pathlib.Path, settings: Settings) -> None:
        conversion.convert(version, path, quantize=quantize)

    def check_installed() -> None:
        programs.find_node()
        if program == programs.CHROMIUM:
            programs.find_chromium()

    def opened(path: pathlib.Path, settings: Settings) -> contextlib.nullcontext[Run]:
        def run(signature: str, inputs: runtimes.Inputs, repeat: int):
            return programs.run_tfjs(path, signature, inputs, program=program, repeat=repeat)

        return contextlib.nullcontext(run)

    return runtimes.Runtime(
        name=f"TF.js {quantize}, {program} wasm",
        kind=program.lower(),
        limit=limits.TFJS[quantize],
        open=opened,
        file=f"tfjs_{quantize}",
        convert=convert,
        check_installed=check_installed,
    )


runtimes.register(
    _runtime("none", programs.NODE),
    _runtime("none", programs.CHROMIUM),
    *(_runtime(quantize, programs.NODE) for quantize in limits.TFJS if quantize != "none"),
)
