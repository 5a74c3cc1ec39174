"""tf.distribute strategies by name."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pix2pix_tf import signals
from pix2pix_tf.errors import InputError


def build_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the strategy of a run; call before anything is placed on a device.

    Args:
        name: "default": one device. "mirrored": all GPUs of this machine, or all
            logical devices where there is no GPU. "multiworker": the machines in
            the TF_CONFIG environment variable. "tpu": the TPU of this runtime.

    Raises:
        InputError: If the machine has not what the strategy needs.
    """
    if name == "default":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return _mirrored()
    if name == "multiworker":
        if not os.environ.get("TF_CONFIG"):
            raise InputError(
                "strategy is multiworker, but TF_CONFIG is not set. Set it on each machine to the "
                "addresses of all workers and the index of this one; BUILD.md has an example."
            )
        # It waits for the other workers, in C++: Python's own handlers would not run before it
        # returns. TensorFlow catches SIGTERM itself meanwhile; the others end the process.
        with signals.handled(signal.SIG_DFL):
            return tf.distribute.MultiWorkerMirroredStrategy()
    try:
        with signals.handled(signal.SIG_DFL):
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.NotFoundError) as error:
        raise InputError(
            f"strategy is tpu, but no TPU was found ({error}). Choose a TPU runtime, or another "
            "strategy."
        ) from None
    return tf.distribute.TPUStrategy(resolver)


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One for the process: the collectives of a second would be taken for the
    # first's, and fail where the networks differ.
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy(
        [device.name for device in tf.config.list_logical_devices(kind)]
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes: the chief, else worker 0, or the only one."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return "chief" not in resolver.cluster_spec().jobs and not resolver.task_id


def is_lost_worker(strategy: tf.distribute.Strategy, error: tf.errors.OpError) -> bool:
    """Whether an error of a step means that another worker has gone.

    A process that saw it cannot work with others any more; TensorFlow wants it started anew.
    """
    if num_workers(strategy) == 1:
        return False
    # What its silence and its return give, and what follows in operations under way.
    kinds = (
        *(tf.errors.UnavailableError, tf.errors.FailedPreconditionError),
        *(tf.errors.AbortedError, tf.errors.CancelledError),
    )
    return isinstance(error, kinds)


def share(strategy: tf.distribute.Strategy, text: str) -> list[str]:
    """Returns the texts of all workers in their order, on each, once all have given theirs."""
    count = num_workers(strategy)
    if count == 1:
        return [text]

    @tf.function
    def gather(given: tf.Tensor) -> tf.Tensor:
        return strategy.gather(strategy.run(lambda: given), axis=0)

    # Numbers, which all collectives take.
    line = np.frombuffer(text.encode() + b"\n", np.uint8).astype(np.int32)
    lines = bytes(gather(tf.constant(line)).numpy().astype(np.uint8)).decode().splitlines()
    return lines[:: strategy.num_replicas_in_sync // count]  # Each device has given one.


@contextlib.contextmanager
def agreed(strategy: tf.distribute.Strategy) -> Iterator[dict]:
    """Lets no worker go on after the block unless all do, and with the same facts.

    All workers of the run have to enter it alike.

    Yields:
        An empty dict, for facts by name that JSON can hold.

    Raises:
        InputError: If a fact differs, naming what it is where; or if another worker was refused.
    """
    facts = {}
    try:
        yield facts
    except InputError as error:
        share(strategy, json.dumps(dict(refusal=error.message)))
        raise
    answers = [json.loads(text) for text in share(strategy, json.dumps(dict(facts=facts)))]
    for number, answer in enumerate(answers):
        if "refusal" in answer:
            refusal, *more = answer["refusal"].splitlines()
            rest = " Its own output says more." if more else ""
            raise InputError(f"Worker {number} of this run cannot go on: {refusal}{rest}")
    differences = []
    for name in facts:
        values = [answer["facts"].get(name) for answer in answers]
        other = next((i for i, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            differences.append(
                f"{name} ({values[0]!r} on worker 0, {values[other]!r} on worker {other})"
            )
    if differences:
        raise InputError(
            f"The workers do not agree: {'; '.join(differences)}. Give all the same settings, the "
            "same pairs, and the same --workdir on a drive that they share."
        )


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns how many processes train together."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return 1
    jobs = resolver.cluster_spec().as_dict()
    return max(len(jobs.get("worker", [])) + len(jobs.get("chief", [])), 1)
