"""Weights in the form that TF.js loads: a manifest, and one stream cut into shard files.

The format is TF.js's (`WeightsManifestConfig` of tfjs-core): the shards of a group,
joined, hold its weights one after the other, little-endian, row by row.
"""

from __future__ import annotations

import pathlib

import numpy as np

QUANTIZATIONS = ("none", "float16", "uint8")
FLAG_HELP = (
    "How kernels are stored: as they are, or in a half or a quarter of the bytes. TF.js computes "
    "in float32 in all cases."
)
SHARD_BYTES = 4 * 2**20  # What browsers cache, and what the official converter writes.


def encode(name: str, value: np.ndarray, quantize: str) -> tuple[dict, bytes]:
    """Returns a weight's entry in the manifest, and its bytes.

    Only kernels are quantised: they are all but 0.02 % of the generator, while scales,
    biases and the integers of a shape are what an error would be multiplied by.

    Args:
        name: Name of the node.
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


def write(values: dict[str, np.ndarray], folder: pathlib.Path, quantize: str) -> dict:
    """Writes weights as files `group1-shard1ofN.bin` of `SHARD_BYTES`; returns their group.

    Args:
        values: By name of the node.
        folder: Made here.
        quantize: See `encode`.
    """
    encoded = [encode(name, value, quantize) for name, value in values.items()]
    contents = b"".join(part for _, part in encoded)
    count = max(1, -(-len(contents) // SHARD_BYTES))
    names = [f"group1-shard{number + 1}of{count}.bin" for number in range(count)]
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        start = number * SHARD_BYTES
        (folder / name).write_bytes(contents[start : start + SHARD_BYTES])
    return dict(paths=names, weights=[entry for entry, _ in encoded])
