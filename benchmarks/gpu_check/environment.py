"""Versions and devices."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator

import keras
import tensorflow as tf

from benchmarks import machine
from benchmarks.gpu_check import checks
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.settings import Settings
from pix2pix_tf import precision

TITLE = "Versions and devices"
MINUTES = 0.1


def gpus() -> list[tf.config.PhysicalDevice]:
    """Returns the GPUs that TensorFlow can use."""
    return tf.config.list_physical_devices("GPU")


def device() -> str:
    """Returns what this process computes on, for the names of rows: "GPU" or "CPU"."""
    return "GPU" if gpus() else "CPU"


def measure(settings: Settings, folder: object) -> Iterator[Check]:
    """Yields what the rest was measured with; neither argument is used."""
    versions = dict(Python=platform.python_version(), TensorFlow=tf.__version__)
    build = tf.sysconfig.get_build_info()  # "cuda_version" and others, where it was built with it.
    built_with = {name: build.get(f"{name.lower()}_version", "none") for name in ("CUDA", "cuDNN")}
    for name, version in dict(versions, Keras=keras.__version__, **built_with).items():
        yield checks.recorded(name, version)
    for name, value in machine.describe().items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text != "":
            yield checks.recorded(name, text)
    yield checks.recorded("--precision=auto means", precision.resolve_precision("auto"))
    driver = _ask_driver()
    if not gpus():
        if driver:
            # A driver too old for the CUDA that TensorFlow wants, or libraries that are missing.
            name = f"GPUs that TensorFlow can use, where the driver has: {driver}"
            yield checks.at_least(name, 0, 1)
        else:
            yield checks.not_measured("GPU", checks.NO_GPU)
        return
    for number, gpu in enumerate(gpus()):
        details = tf.config.experimental.get_device_details(gpu)
        capability = ".".join(map(str, details.get("compute_capability", ["unknown"])))
        text = f"{details.get('device_name', 'unknown')}, compute capability {capability}"
        yield checks.recorded(f"GPU {number}", text)
    yield checks.recorded("driver and memory", driver or "unknown: there is no nvidia-smi")


def _ask_driver() -> str:
    """Returns what the driver says of itself and of each GPU; nothing where there is none."""
    ask = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""  # Not of NVIDIA, or a container without the program.
    return "" if done.returncode else "; ".join(done.stdout.strip().splitlines())
