"""The machine, the commit and the date of a measurement, and the interpreters that it uses."""

from __future__ import annotations

import datetime
import importlib.util
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.contenders import REPOSITORY
from benchmarks.rounds import say
from pix2pix_tf import precision
from pix2pix_tf.errors import InputError

# Instructions that decide how fast products of matrices can be.
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
# Variable of oneDNN: how an older processor is measured on a newer one.
_INSTRUCTIONS_LIMIT = "ONEDNN_MAX_CPU_ISA"
_SHOW_VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"


def describe() -> dict:
    """Returns the processor, cores, memory, system, load, commit and date."""
    instructions = _cpu_field("flags").split()
    return dict(
        processor=_cpu_field("model name") or platform.processor(),
        instructions=[flag for flag in _TELLING_FLAGS if flag in instructions],
        instructions_limit=os.environ.get(_INSTRUCTIONS_LIMIT, ""),
        cores=os.cpu_count(),
        memory_gigabytes=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        load_before=round(os.getloadavg()[0], 1),
        commit=_commit(),
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )


def precisions() -> tuple[str, ...]:
    """Returns the types that this processor computes in; bfloat16 only where it is not emulated."""
    limit = os.environ.get(_INSTRUCTIONS_LIMIT, "")
    if precision.has_native_bfloat16() and (not limit or "BF16" in limit.upper()):
        return ("float32", "bfloat16")
    say("bfloat16 is left out: this processor emulates it.")
    return ("float32",)


def _commit() -> str:
    """Returns the commit of the working tree, with "+" if files were changed since."""
    describe = ["git", "describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12"]
    try:
        done = subprocess.run(describe, cwd=REPOSITORY, capture_output=True, text=True)
    except OSError:
        return "unknown"  # No git.
    return done.stdout.strip() or "unknown"  # Not a clone.


def _cpu_field(name: str) -> str:
    """Returns the value of a line "name : value" about the first core; empty without one."""
    file = pathlib.Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() == name), "")


def find_pythons(paths: Sequence[str]) -> dict[str, str]:
    """Returns interpreters by the name of their stack, such as "TF 2.15".

    Args:
        paths: The interpreters; none for the one that runs this.

    Raises:
        InputError: If one cannot be started, or does not have TensorFlow.
    """
    found = {}
    for path in paths or [sys.executable]:
        major, minor, *_ = _version(path, "tensorflow", flag="--pythons").split(".")
        found[f"TF {major}.{minor}"] = path
    return found


def find_torch(path: str) -> str | None:
    """Returns an interpreter with PyTorch, or None if none was named and this one has none.

    Raises:
        InputError: If one was named that cannot be started, or does not have PyTorch.
    """
    if path:
        _version(path, "torch", flag="--torch_python")
    elif importlib.util.find_spec("torch"):
        path = sys.executable
    else:
        say("PyTorch is left out: --torch_python does not name an interpreter that has it.")
    return path or None


def _version(python: str, package: str, *, flag: str) -> str:
    try:
        asked = subprocess.run(
            [python, "-c", _SHOW_VERSION, package], capture_output=True, text=True
        )
    except OSError as error:
        raise InputError(
            f"{flag}: '{python}' cannot be started ({error.strerror}). Name a Python interpreter."
        ) from None
    if asked.returncode:
        raise InputError(
            f"{flag}: '{python}' does not have {package}. Install it, or name another interpreter."
        )
    return asked.stdout.strip()
