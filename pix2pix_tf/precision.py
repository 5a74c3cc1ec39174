"""Which arithmetic the networks use, and what `auto` means on this machine."""

from __future__ import annotations

import functools
import os
import pathlib
import re

import tensorflow as tf

# Keras dtype policies: weights stay float32 in all of them.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_TENSOR_CORES = (7, 0)  # Compute capability from which float16 is faster than float32.
_CPU_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def resolve_precision(precision: str) -> str:
    """Returns "float32", "bfloat16" or "float16" for the value of the flag.

    "auto" is float16 on a GPU with tensor cores, bfloat16 on a TPU or a CPU that is known to
    have instructions for it, of which oneDNN alone makes use, else float32.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        capable = all(item.get("compute_capability", (0, 0)) >= _TENSOR_CORES for item in details)
        return "float16" if capable else "float32"
    if tf.config.list_logical_devices("TPU") or has_native_bfloat16():
        return "bfloat16"
    return "float32"


def has_native_bfloat16() -> bool:
    """Returns whether the CPU computes in bfloat16; emulated, it takes many times as long.

    Where the system does not list its features it counts as without. So it does without oneDNN,
    which has what TensorFlow computes in bfloat16, and which is on unless it is turned off.
    """
    has_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() not in ("0", "false")
    return has_onednn and bool(_cpu_flags() & _CPU_BFLOAT16_FLAGS)


@functools.lru_cache(maxsize=1)
def has_avx512() -> bool:
    """Returns whether the CPU has instructions of 512 bits, for which most was measured.

    Where the system does not list its features it counts as having them.
    """
    flags = _cpu_flags()
    return not flags or "avx512f" in flags


def _cpu_flags() -> set[str]:
    """Returns the CPU's feature names; none where the system does not list them as x86 Linux does.

    So none on macOS, on Windows and on ARM, where TensorFlow emulates bfloat16.
    """
    path = pathlib.Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()
