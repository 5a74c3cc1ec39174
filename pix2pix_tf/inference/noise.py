"""The noise z as numbers that follow from a few integers, whole or one window at a time."""

from __future__ import annotations

import numpy as np

from pix2pix_tf.inference.windows import Window


def draw(size: int, *, entropy: list[int], start: int = 0) -> np.ndarray:
    """Returns z; the same `entropy` gives the same numbers on every machine.

    Args:
        size: How many numbers.
        entropy: Integers from 0; another list, other numbers.
        start: How many numbers of z come before these.

    Returns:
        float32 `[size]` in [0, 1).
    """
    # The generator makes 64 bits at a time, which are two numbers.
    bits = np.random.PCG64(np.random.SeedSequence(entropy)).advance(start // 2)
    return np.random.Generator(bits).random(start % 2 + size, dtype=np.float32)[start % 2 :]


def draw_window(
    window: Window, *, offset: int, width: int, channels: int, entropy: list[int]
) -> np.ndarray:
    """Returns what `draw` gives to a window of one layer, without drawing the rest.

    Args:
        window: Window of the layer's map, inside of it.
        offset: Numbers of z before those of this layer.
        width: Pixels of a row of the map.
        channels: Channels of the map.
        entropy: As of `draw`.

    Returns:
        float32 `[window.height, window.width, channels]` in [0, 1).
    """
    rows = [
        draw(
            window.width * channels,
            entropy=entropy,
            start=offset + (row * width + window.left) * channels,
        )
        for row in range(window.top, window.bottom)
    ]
    return np.stack(rows).reshape(window.height, window.width, channels)
