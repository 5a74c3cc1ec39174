"""What the machine can do at most: products of matrices, and copies in memory.

Contenders like the others, so that both are measured in the same run, in turn with
what they are the limits of.
"""

from __future__ import annotations

import concurrent.futures
from typing import Any

import numpy as np

from benchmarks import arithmetic
from benchmarks.contenders import Work, available_cpus, timed

PRECISIONS = ("float32", "bfloat16")


def contenders(
    pythons: dict[str, str], torch_python: str | None, *, matrix_size: int, copy_megabytes: int
) -> list[dict[str, Any]]:
    """Returns arguments of `Contender`: a product per library and precision, and the copy.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        torch_python: One with PyTorch, or None.
        matrix_size: Rows and columns.
        copy_megabytes: Copied at once; much more than the caches hold.
    """
    libraries = [("tensorflow", name, path) for name, path in pythons.items()]
    if torch_python:
        libraries.append(("pytorch", "PyTorch", torch_python))
    products = [
        dict(
            name=f"matrix product, {name}, {precision}",
            python=python,
            make="benchmarks.limits:matrix_product",
            settings=dict(library=library, precision=precision, matrix_size=matrix_size),
        )
        for library, name, python in libraries
        for precision in PRECISIONS
    ]
    copy = dict(
        name="copy",
        python=next(iter(pythons.values())),
        make="benchmarks.limits:copy",
        settings=dict(megabytes=copy_megabytes),
    )
    return [*products, copy]


def matrix_product(settings: dict) -> tuple[Work, dict]:
    """Makes the product of two square matrices in `settings["precision"]`."""
    size, precision = settings["matrix_size"], settings["precision"]
    values = np.random.RandomState(0).standard_normal([size, size]).astype(np.float32)
    if settings["library"] == "tensorflow":
        import tensorflow as tf

        matrix = tf.cast(values, precision)

        def multiply():
            # One element, since reading all of the result would be timed too.
            tf.matmul(matrix, matrix)[0, 0].numpy()

    else:
        import torch

        matrix = torch.from_numpy(values).to(getattr(torch, precision))

        def multiply():
            torch.mm(matrix, matrix)

    return timed(multiply), dict(gflop=2 * size**3 / 1e9)


def copy(settings: dict) -> tuple[Work, dict]:
    """Makes a copy in memory, a part of it by each core."""
    num_threads = len(available_cpus())
    source = np.ones(settings["megabytes"] * 10**6 // 4, np.float32)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, num_threads), np.array_split(source, num_threads)))
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)

    def copy_all():
        list(pool.map(lambda part: np.copyto(*part), parts))

    # Every byte is read once and written once.
    return timed(copy_all), dict(gigabytes=2 * source.nbytes / 1e9)


def summarize(results: list[dict]) -> dict[str, Any]:
    """Returns the best rates of the contenders above that did not fail.

    Returns:
        `gflop_per_second` by precision, and `copy_gigabytes_per_second`; a limit is what
        was reached once, so the shortest time counts. None where nothing was measured.
    """
    best: dict[str, float] = {}
    for result in results:
        if "error" in result:
            continue
        amount = result["facts"].get("gflop") or result["facts"]["gigabytes"]
        kind = result["settings"].get("precision", "copy")
        best[kind] = max(best.get(kind, 0.0), amount / result["seconds"]["minimum"])
    return dict(
        gflop_per_second={precision: best.get(precision) for precision in PRECISIONS},
        copy_gigabytes_per_second=best.get("copy"),
    )


def step_seconds(
    limits: dict[str, Any], *, precision: str, gflop: float, num_parameters: int
) -> float | None:
    """Returns the least seconds of a training step: its arithmetic, then Adam's memory.

    Args:
        limits: From `summarize`.
        precision: Of the arithmetic.
        gflop: Of the whole batch.
        num_parameters: That Adam updates.
    """
    peak = limits["gflop_per_second"][precision]
    bandwidth = limits["copy_gigabytes_per_second"]
    if not peak or not bandwidth:
        return None
    return gflop / peak + arithmetic.adam_gigabytes(num_parameters) / bandwidth
