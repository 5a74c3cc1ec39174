"""Images a second and memory of training steps, by precision and batch, without reading data."""

from __future__ import annotations

import gc
import pathlib
from collections.abc import Iterator

import tensorflow as tf

from benchmarks import makers, rounds
from benchmarks.contenders import timed
from benchmarks.gpu_check import checks, environment
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.settings import Settings
from pix2pix_tf import precision
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.training.state import TrainState
from pix2pix_tf.training.step import make_train_step

TITLE = "Speed and memory of a step"
MINUTES = 4
_GPU = "GPU:0"
_NUM_WARMUP = 3  # Steps; the first trace and choose kernels.
_NUM_ROUNDS = 3  # Of which the median counts.


def measure(settings: Settings, folder: pathlib.Path) -> Iterator[Check]:
    """Yields the rates and the memory; `folder` is not used."""
    tf.config.experimental.enable_tensor_float_32_execution(False)  # As training in float32 does.
    rates = {}
    for name in ("float16", "float32"):
        for batch_size in settings.batch_size_numbers:
            what = f"{name}, batch {batch_size}"
            if name == "float16" and not environment.gpus():  # Which a CPU emulates.
                yield checks.not_measured(what, checks.NO_GPU)
                continue
            config = settings.train_config(precision=name, batch_size=batch_size)
            try:
                rate, peak = _measure_steps(config, settings.short_steps)
            except tf.errors.ResourceExhaustedError:
                yield checks.not_measured(what, "the GPU does not have the memory")
                continue
            rates[name, batch_size] = rate
            yield checks.recorded(f"{what}: images a second on the {environment.device()}", rate)
            memory = f"{what}: GB of GPU memory at the peak"
            if peak is None:
                yield checks.not_measured(memory, checks.NO_GPU)
            else:
                yield checks.recorded(memory, peak / 1e9)
    what = "images a second in float16, as a multiple of float32"
    common = {size for name, size in rates if name == "float16"} & {
        size for name, size in rates if name == "float32"
    }
    if not common:
        yield checks.not_measured(what, "one of them was not measured")
        return
    for batch_size in sorted(common):
        ratio = rates["float16", batch_size] / rates["float32", batch_size]
        if precision.resolve_precision("auto") == "float16":  # Which must not be the slower one.
            yield checks.at_least(f"{what}, batch {batch_size}", ratio, 1.0)
        else:
            yield checks.recorded(f"{what}, batch {batch_size}", ratio)


def _measure_steps(config: TrainConfig, num_steps: int) -> tuple[float, int | None]:
    """Returns images a second, and the most bytes of GPU memory beyond those in use before."""
    gc.collect()  # Graphs of TensorFlow are cycles, and hold the weights of what was before.
    used_before = 0
    if environment.gpus():
        tf.config.experimental.reset_memory_stats(_GPU)
        used_before = tf.config.experimental.get_memory_info(_GPU)["current"]
    train_step = make_train_step(TrainState(config), config, tf.distribute.get_strategy())
    batch = tuple(map(tf.constant, makers.synthetic_batch(vars(config))))

    def steps(count: int) -> None:
        for _ in range(count):
            losses = train_step(batch)
        makers.check(float(losses["l1_loss"]))  # Waits for the device.

    steps(_NUM_WARMUP)
    seconds = rounds.summarize(timed(lambda: steps(num_steps))(_NUM_ROUNDS))["median"]
    peak = None
    if environment.gpus():
        peak = tf.config.experimental.get_memory_info(_GPU)["peak"] - used_before
    return num_steps * config.batch_size / seconds, peak
