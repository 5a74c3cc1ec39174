"""Which pictures look alike, by a perceptual hash.

The hash is the signs of a picture's lowest frequencies, of how it changes over 2 to 32 parts of
its width and height. Saving it again as JPEG, scaling it and making it lighter change few of them
(22 of 255 at most on facades, edges2shoes and BSDS; different pictures there differ in 36 and
more, however they are turned). Turning by 90, 180 and 270 degrees and mirroring are looked for, of
the picture and of A and B each. Cropping, which moves everything, is not found.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

SIZE = 32  # Pixels, each way, of what is hashed.
NUM_FORMS = 15  # A picture, its other seven symmetries, and these of A and B each.
_KEPT = 16  # Frequencies, each way.
HASH_BITS = _KEPT**2 - 1  # Without the mean.
_ROWS = 256  # Of the comparison of all with all at a time, for its memory.
# Type II of the discrete cosine transform, [_KEPT, SIZE].
_COSINES = np.cos(np.pi / SIZE * np.outer(np.arange(_KEPT), np.arange(SIZE) + 0.5))


def shrink(pixels: np.ndarray, *, width: int = 2 * SIZE) -> np.ndarray:
    """Returns a grey picture as `[SIZE, width]`, each value the mean of a part.

    Args:
        pixels: `[height, width, 1]`.
        width: Pixels of the result; half of the default for one of two that go side by side.
    """
    image = tf.cast(pixels, tf.float32)[tf.newaxis]
    return tf.image.resize(image, [SIZE, width], method="area").numpy()[0, ..., 0]


def hashes(small: np.ndarray) -> np.ndarray:
    """Returns the hashes of a picture in all forms that it may be found in.

    Args:
        small: `[SIZE, 2 * SIZE]`, grey: one picture, or A and B side by side.

    Returns:
        int8 `[NUM_FORMS, HASH_BITS]`, of -1 and 1: as it is; turned and mirrored; and with A and
        B turned and mirrored each.
    """
    forms = _turned(_halve_width(small))
    a, b = _turned(small[:, :SIZE]), _turned(small[:, SIZE:])
    forms += [_halve_width(np.concatenate(sides, axis=1)) for sides in zip(a[1:], b[1:])]
    return np.stack([_hash(form) for form in forms])


def _turned(square: np.ndarray) -> list[np.ndarray]:
    """Returns a square picture in its eight symmetries; the first is as it is."""
    return [np.rot90(side, turns) for side in (square, square[:, ::-1]) for turns in range(4)]


def _halve_width(wide: np.ndarray) -> np.ndarray:
    return (wide[:, ::2] + wide[:, 1::2]) / 2.0


def _hash(small: np.ndarray) -> np.ndarray:
    frequencies = (_COSINES @ small.astype(np.float64) @ _COSINES.T).ravel()[1:]
    # Of a plain picture there are only rounding errors.
    frequencies[np.abs(frequencies) < 1e-3] = 0.0
    return np.where(frequencies > np.median(frequencies), 1, -1).astype(np.int8)


def clusters(forms: np.ndarray, *, hash_distance: int) -> list[list[int]]:
    """Returns the groups of pictures that are linked by likeness; most have one member.

    Takes time with the square of the number: 50,000 pictures are some minutes.

    Args:
        forms: int8 `[N, NUM_FORMS, HASH_BITS]`, of `hashes`.
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

    # Each with those after it only: what turns one to the other has its inverse among the forms.
    plain = forms[:, 0].astype(np.float32)
    for start in range(0, count, _ROWS):
        for form in range(forms.shape[1]):
            # Equal bits less different ones.
            agreement = forms[start : start + _ROWS, form].astype(np.float32) @ plain[start:].T
            are_alike = agreement >= HASH_BITS - 2 * hash_distance
            for row in np.flatnonzero(are_alike.any(axis=1)):
                others = start + np.flatnonzero(are_alike[row])
                # Not all of them: thousands of plain pictures are all alike, in every form.
                linked = [start + row, *np.unique(parents[others])]
                roots = {root(index) for index in linked}
                parents[list(roots)] = parents[others] = min(roots)
    groups = {}
    for index in range(count):
        groups.setdefault(root(index), []).append(index)
    return list(groups.values())
