"""The runtimes that a trained model is taken to, behind one way to call them.

A format registers its runtimes where it is defined, in a module or package of `export`, as
`export.tflite.runtime` does; then `export.verify` converts to it, runs it and gives it a row.
"""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import pkgutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from .limits import Limit

Inputs = dict[str, np.ndarray]
# `(signature, inputs, repeat) -> (outputs, milliseconds)`: the output of each repetition,
# `[repeat, batch, height, width, channels]`, and their times.
Run = Callable[[str, Inputs, int], tuple[np.ndarray, list[float]]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What conversions and runtimes are told by the user.

    Attributes:
        num_threads: CPU threads, where a runtime can be told.
        dataset: Pairs to calibrate with; empty means those of the training.
        data_dir: Where published sets are; empty means as in the training.
    """

    num_threads: int = 2
    dataset: str = ""
    data_dir: str = ""


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A form of a model in a runtime. Nothing is loaded before `open`, nor kept after it.

    Attributes:
        name: Name of the row.
        kind: What `--runtimes` calls it; several runtimes may share one.
        limit: What its outputs must keep.
        open: `(path, settings)`; a context manager that holds the model and gives its `Run`.
        file: Name of the converted file or folder; empty: the exported version as it is.
        convert: `(version, path, settings)`; writes the file. Runtimes of one file share it.
        check_installed: Raises MissingInputError, with what to do, if a program is not there.
        takes_batches: Whether it takes several images at once.
    """

    name: str
    kind: str
    limit: Limit
    open: Callable[[pathlib.Path, Settings], AbstractContextManager[Run]]
    file: str = ""
    convert: Callable[[pathlib.Path, pathlib.Path, Settings], object] | None = None
    check_installed: Callable[[], object] = lambda: None
    takes_batches: bool = False


_REGISTERED: dict[str, Runtime] = {}


def register(*runtimes: Runtime) -> None:
    """Adds runtimes, each in place of an earlier one of its name."""
    _REGISTERED.update((runtime.name, runtime) for runtime in runtimes)


def registered() -> list[Runtime]:
    """Returns all runtimes, by formats, those in `export` among them."""
    export = importlib.import_module("..", __package__)
    for module in pkgutil.iter_modules(export.__path__):
        importlib.import_module(f"{export.__name__}.{module.name}")
    # Whichever was imported first: the first word of a name is the format.
    return sorted(_REGISTERED.values(), key=lambda runtime: runtime.name.split()[0].lower())


def timed(call: Callable[[str, Inputs], np.ndarray]) -> Run:
    """Returns the `Run` of a model that is called in this process."""

    def run(signature: str, inputs: Inputs, repeat: int):
        outputs, milliseconds = [], []
        for _ in range(repeat):
            started = time.perf_counter()
            outputs.append(np.array(call(signature, inputs)))
            milliseconds.append(1000 * (time.perf_counter() - started))
        return np.stack(outputs), milliseconds

    return run
