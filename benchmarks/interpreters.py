"""Which interpreters a benchmark runs its contenders with, from the flags."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence

from absl import flags

from pix2pix_tf.errors import InputError

_SHOW = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"


def define_pythons_flag() -> None:
    """Defines the flag that names interpreters with TensorFlow."""
    flags.DEFINE_list(
        "pythons",
        [],
        "Interpreters with TensorFlow, a comma between them: both stacks, for example. Empty: "
        "the one that runs this command.",
    )


def define_torch_flag() -> None:
    """Defines the flag that names an interpreter with PyTorch."""
    flags.DEFINE_string(
        "torch_python",
        "",
        "Interpreter with PyTorch. Empty: the one that runs this command, if it has PyTorch.",
    )


def find_pythons(paths: Sequence[str]) -> dict[str, str]:
    """Returns interpreters by the name of their stack, such as "TF 2.15".

    Raises:
        InputError: If one cannot be started, or has no TensorFlow.
    """
    found = {}
    for path in paths or [sys.executable]:
        full = _version(path, "tensorflow", flag="--pythons")
        found[f"TF {'.'.join(full.split('.')[:2])}"] = path
    return found


def find_torch(path: str) -> str | None:
    """Returns an interpreter with PyTorch, or None if none was named and this has none.

    Raises:
        InputError: If one was named that cannot be started, or has no PyTorch.
    """
    if path:
        _version(path, "torch", flag="--torch_python")
        return path
    return sys.executable if importlib.util.find_spec("torch") else None


def _version(python: str, package: str, *, flag: str) -> str:
    try:
        asked = subprocess.run([python, "-c", _SHOW, package], capture_output=True, text=True)
    except OSError as error:
        raise InputError(
            f"{flag}: '{python}' cannot be started ({error.strerror}). Name a Python interpreter."
        ) from None
    if asked.returncode:
        raise InputError(
            f"{flag}: '{python}' has no {package}. Install it there, or name another interpreter."
        )
    return asked.stdout.strip()
