"""Which pictures look alike, by a perceptual hash.

The hash is the signs of a picture's lowest frequencies, of how it changes over 2 to 32 parts of
its width and height. Saving it again as JPEG, scaling it and making it lighter change few of them
(22 of 255 at most on facades, edges2shoes and BSDS; different pictures there differ in 38 and
more), and mirroring is looked for. Cropping, which moves everything, is not found.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

SIZE = 32  # Pixels, each way, of what is hashed.
_KEPT = 16  # Frequencies, each way.
HASH_BITS = _KEPT**2 - 1  # Without the mean.
_ROWS = 256  # Of the comparison of all with all at a time, for its memory.
# Type II of the discrete cosine transform, [_KEPT, SIZE].
_COSINES = np.cos(np.pi / SIZE * np.outer(np.arange(_KEPT), np.arange(SIZE) + 0.5))


def shrink(pixels: np.ndarray, *, width: int = SIZE) -> np.ndarray:
    """Returns a grey picture as `[SIZE, width]`, each value the mean of a part.

    Args:
        pixels: `[height, width, 1]`.
        width: Pixels of the result.
    """
    image = tf.cast(pixels, tf.float32)[tf.newaxis]
    return tf.image.resize(image, [SIZE, width], method="area").numpy()[0, ..., 0]


def hashes(small: np.ndarray) -> np.ndarray:
    """Returns the hash of a picture, and of two mirrored forms that it may be found in.

    Args:
        small: `[SIZE, SIZE]`, grey; it may hold A and B side by side.

    Returns:
        int8 `[3, HASH_BITS]`, of -1 and 1: as it is; mirrored; and with A and B mirrored each.
    """
    middle = SIZE // 2
    halves = np.concatenate([small[:, :middle][:, ::-1], small[:, middle:][:, ::-1]], axis=1)
    return np.stack([_hash(form) for form in (small, small[:, ::-1], halves)])


def _hash(small: np.ndarray) -> np.ndarray:
    frequencies = (_COSINES @ small.astype(np.float64) @ _COSINES.T).ravel()[1:]
    # Of a plain picture there are only rounding errors.
    frequencies[np.abs(frequencies) < 1e-3] = 0.0
    return np.where(frequencies > np.median(frequencies), 1, -1).astype(np.int8)


def clusters(forms: np.ndarray, *, hash_distance: int) -> list[list[int]]:
    """Returns the groups of pictures that are linked by likeness; most have one member.

    Takes time with the square of the number: 50,000 pictures are some minutes.

    Args:
        forms: int8 `[N, 3, HASH_BITS]`, of `hashes`.
        hash_distance: Bits that two that look alike may differ in.

    Returns:
        Lists of indexes, each sorted; in the order of their first.
    """
    count = len(forms)
    parents = np.arange(count)

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    plain = forms[:, 0].astype(np.float32)
    for start in range(0, count, _ROWS):
        for form in range(forms.shape[1]):
            # Equal bits less different ones.
            agreement = forms[start : start + _ROWS, form].astype(np.float32) @ plain.T
            for one, other in np.argwhere(agreement >= HASH_BITS - 2 * hash_distance):
                first, second = sorted((root(start + one), root(other)))
                parents[second] = first
    groups = {}
    for index in range(count):
        groups.setdefault(root(index), []).append(index)
    return list(groups.values())
