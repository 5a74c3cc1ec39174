"""Small pairs for tests of the measures."""

from __future__ import annotations

import numpy as np

from pix2pix_tf.evaluation.measure import MeasuredPair


def make_pair(output: np.ndarray, target: np.ndarray, *, name="pair", source=None) -> MeasuredPair:
    """Returns a pair of uint8 pictures; `output` may be several draws.

    Args:
        output: `[size, size, channels]`, or `[draws, size, size, channels]`.
        target: `[size, size, channels]`.
        name: Of the pair.
        source: As `target`, which stands in for it.
    """
    draws = output if output.ndim == 4 else output[np.newaxis]
    source = target if source is None else source
    return MeasuredPair(name, *(x for x in (_image(source), draws, _image(target))))


def _image(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 127.5 - 1.0


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns uint8 of all values."""
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
