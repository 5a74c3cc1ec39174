"""Weights in the form that TF.js loads: a manifest, and one stream cut into shard files.

The format is TF.js's (`WeightsManifestConfig` of tfjs-core): the shards of a group,
joined, hold its weights one after the other, little-endian, row by row.
"""

from __future__ import annotations

import collections
import hashlib
import os
import pathlib
from collections.abc import Sequence

import numpy as np

QUANTIZATIONS = ("none", "float16", "uint8")
SHARD_BYTES = 4 * 2**20  # What browsers cache, and what the official converter writes.


def encode(name: str, value: np.ndarray, quantize: str) -> tuple[dict, bytes]:
    """Returns a weight's entry in the manifest, and its bytes.

    Only kernels are quantised: they are all but 0.02 % of the generator, while scales,
    biases and the integers of a shape are what an error would be multiplied by.

    Args:
        name: Of the node.
        value: float32, int32 or bool.
        quantize: One of `QUANTIZATIONS`. uint8 is affine with one scale for the
            weight, 0 being represented exactly.
    """
    entry = dict(name=name, shape=list(value.shape), dtype=value.dtype.name)
    is_kernel = value.dtype == np.float32 and value.ndim == 4
    if quantize == "none" or not is_kernel:
        return entry, value.astype(value.dtype.newbyteorder("<")).tobytes()
    entry["quantization"] = dict(dtype=quantize, original_dtype="float32")
    if quantize == "float16":
        return entry, value.astype("<f2").tobytes()
    # With 0 inside, so that the range can be moved until 0 is one of its 256 steps.
    low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
    scale = (high - low) / 255 or 1.0  # A kernel of zeros has no range.
    zero = round(-low / scale)
    entry["quantization"].update(min=-zero * scale, scale=scale)
    steps = np.round(value.astype(np.float64) / scale) + zero
    return entry, np.clip(steps, 0, 255).astype(np.uint8).tobytes()


def split_shared(graphs: Sequence[dict[str, np.ndarray]]) -> list[tuple[list[str], list[str]]]:
    """Returns, for each graph, the names of the weights that all have and of its own.

    The shared ones are in the same order in each, so that one stream serves all.

    Args:
        graphs: Weights by name; equal weights may have other names in another graph.
    """
    by_contents = []
    for weights in graphs:
        names = collections.defaultdict(collections.deque)
        for name, value in weights.items():
            names[_digest(value)].append(name)
        by_contents.append(names)
    shared: list[list[str]] = [[] for _ in graphs]
    for value in graphs[0].values():
        digest = _digest(value)
        if all(names[digest] for names in by_contents):
            for chosen, names in zip(shared, by_contents):
                chosen.append(names[digest].popleft())
    return [
        (chosen, [name for name in weights if name not in set(chosen)])
        for chosen, weights in zip(shared, graphs)
    ]


def _digest(value: np.ndarray) -> bytes:
    header = f"{value.dtype} {value.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(value).tobytes()).digest()


def write_shards(stream: Sequence[bytes], folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes parts, joined, as files `group1-shard1ofN.bin` of `SHARD_BYTES`.

    Returns:
        The files in order.
    """
    contents = b"".join(stream)
    count = max(1, -(-len(contents) // SHARD_BYTES))
    os.makedirs(folder, exist_ok=True)
    paths = []
    for number in range(count):
        path = pathlib.Path(folder) / f"group1-shard{number + 1}of{count}.bin"
        path.write_bytes(contents[number * SHARD_BYTES : (number + 1) * SHARD_BYTES])
        paths.append(path)
    return paths
