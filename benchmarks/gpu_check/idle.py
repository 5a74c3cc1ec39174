"""How long the GPU computes nothing while a run trains, by TensorFlow's profiler.

The profiler writes an XSpace (`xplane.proto` of TensorFlow): a plane for each GPU, "/device:GPU:0",
with a line for each stream, "Stream #20(...)", whose events are kernels and copies.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from benchmarks.gpu_check import checks, environment, training
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.settings import Settings
from pix2pix_tf.training.actions import Event

TITLE = "Idle share of the GPU"
MINUTES = 1.5
_NUM_WARMUP = 10  # Steps before the trace.
_PLANES, _STREAMS, _KERNELS = "/device:GPU:", "Stream #", "kernel_details"


def measure(settings: Settings, folder: pathlib.Path) -> Iterator[Check]:
    """Yields the shares of the time of the traced steps."""
    what = f"share of {settings.short_steps} steps in which the GPU computes nothing"
    if not environment.gpus():
        yield checks.not_measured(what, checks.NO_GPU)
        return
    space = trace(settings, folder)
    computing, busy = device_shares(space)
    yield checks.recorded(what, 1 - computing)
    yield checks.recorded("share in which it neither computes nor copies", 1 - busy)


def trace(settings: Settings, folder: pathlib.Path):
    """Returns the XSpace of some steps of a run in `folder`, in the middle of which nothing is due.

    Raises:
        LookupError: If the profiler has written nothing.
    """
    last = _NUM_WARMUP + settings.short_steps
    logs = folder / "profile"

    def profile(event: Event) -> None:
        if event.step in (_NUM_WARMUP, last):
            float(event.losses["generator_loss"])  # Waits for the device.
        if event.step == _NUM_WARMUP:
            tf.profiler.experimental.start(str(logs))
        elif event.step == last:
            tf.profiler.experimental.stop()

    seldom = dict.fromkeys(("log_every", "sample_every", "checkpoint_every"), last + 1)
    config = training.run_config(settings, num_steps=last + 1, best_metric="none", **seldom)
    training.train(config, folder / "profiled_run", actions=[profile])
    # Of TensorFlow's own; the package that reads traces is another.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    files = sorted(logs.rglob("*.xplane.pb"))
    if not files:
        raise LookupError(f"The profiler has not written a trace into '{logs}'.")
    return xplane_pb2.XSpace.FromString(files[-1].read_bytes())


def device_shares(space) -> tuple[float, float]:
    """Returns the shares of the time in which the first GPU computes, and computes or copies.

    The time is that from the beginning of its first event to the end of its last one.

    Raises:
        LookupError: If the trace does not have any kernel.
    """
    kernels, events = [], []
    for plane in [x for x in space.planes if x.name.startswith(_PLANES)][:1]:
        names = {number: metadata.name for number, metadata in plane.stat_metadata.items()}
        for line in [x for x in plane.lines if x.name.startswith(_STREAMS)]:
            for event in line.events:
                start = 1000 * line.timestamp_ns + event.offset_ps
                events.append((start, start + event.duration_ps))
                if any(names.get(stat.metadata_id) == _KERNELS for stat in event.stats):
                    kernels.append(events[-1])
    if not kernels:
        raise LookupError(
            "The trace does not show any kernel of a GPU: the profiler could not use CUPTI. Where "
            "the driver keeps it for administrators, run as one."
        )
    span = max(end for _, end in events) - min(start for start, _ in events)
    return _covered(kernels) / span, _covered(events) / span


def _covered(intervals: Sequence[tuple[int, int]]) -> int:
    """Returns the length of the union of intervals."""
    total, reached = 0, 0
    for start, end in sorted(intervals):
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total
