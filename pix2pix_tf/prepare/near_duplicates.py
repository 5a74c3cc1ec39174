"""Which pictures look alike, by a perceptual hash and by their pixels at a small size.

The hash is `imagehash.phash`, the signs of a picture's lowest frequencies. Saving it again as
JPEG, scaling it and making it lighter change few of them (30 of 256 at most on facades,
edges2shoes and BSDS; different pictures there differ in 32 and more, however they are turned).
Masks and drawings that are nearly empty may hash alike: their pixels tell them apart. Turning by
90, 180 and 270 degrees and mirroring are looked for, of the picture and of A and B each.
Cropping, which moves everything, is not found.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from pix2pix_tf.prepare import extra

SIZE = 32  # Pixels, each way, of what is hashed.
NUM_FORMS = 15  # A picture, its other seven symmetries, and these of A and B each.
HASH_BITS = 256
_SIDE = 16  # Frequencies, and pixels of what is compared, each way.
_LEAST_COSINE = 0.9  # Of the pixels of two that look alike.
_ROWS = 256  # Of the comparison of all with all at a time, for its memory.


def shrink(pixels: np.ndarray, *, width: int = 2 * SIZE) -> np.ndarray:
    """Returns a grey picture as uint8 `[SIZE, width]`, each value the mean of a part.

    Args:
        pixels: uint8 `[height, width]`.
        width: Pixels of the result; half of the default for one of two that go side by side.
    """
    return np.asarray(Image.fromarray(pixels).resize((width, SIZE), Image.BOX))


def looks(small: np.ndarray) -> np.ndarray:
    """Returns what is compared of a picture, in all forms that it may be found in.

    Args:
        small: uint8 `[SIZE, 2 * SIZE]`, grey: one picture, or A and B side by side.

    Returns:
        float16 `[NUM_FORMS, 2, HASH_BITS]`, the hash and the pixels as vectors of length 1: of
        the picture as it is; turned and mirrored; and with A and B turned and mirrored each.
    """
    (imagehash,) = extra.require("imagehash")
    a, b = _turned(small[:, :SIZE]), _turned(small[:, SIZE:])
    forms = _turned(small) + [np.concatenate(sides, axis=1) for sides in zip(a[1:], b[1:])]
    result = []
    for form in map(Image.fromarray, forms):
        bits = imagehash.phash(form, hash_size=_SIDE, highfreq_factor=SIZE // _SIDE).hash
        pixels = np.asarray(form.resize((_SIDE, _SIDE), Image.BOX), np.float32)
        # All plain pictures are alike.
        centred = pixels - pixels.mean() if np.ptp(pixels) > 0 else np.ones_like(pixels)
        vectors = np.stack([np.where(bits, 1.0, -1.0).ravel(), centred.ravel()])
        result.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return np.stack(result).astype(np.float16)


def _turned(picture: np.ndarray) -> list[np.ndarray]:
    """Returns a picture in its eight symmetries; the first is as it is."""
    return [np.rot90(side, turns) for side in (picture, picture[:, ::-1]) for turns in range(4)]


def clusters(looks_of_all: np.ndarray, *, hash_distance: int) -> list[list[int]]:
    """Returns the groups of pictures that are linked by likeness; most have one member.

    Takes time with the square of the number: 50,000 pictures are some minutes.

    Args:
        looks_of_all: `[N, NUM_FORMS, 2, HASH_BITS]`, of `looks`.
        hash_distance: Bits that two that look alike may differ in.

    Returns:
        Lists of indexes, each sorted; in the order of their first.
    """
    sparse, csgraph = extra.require("scipy.sparse", "scipy.sparse.csgraph")
    count = len(looks_of_all)
    least = 1.0 - 2 * hash_distance / HASH_BITS
    groups = np.arange(count)
    # Each with those after it only: what turns one to the other has its inverse among the forms.
    hashes, pixels = np.moveaxis(looks_of_all[:, 0].astype(np.float32), 1, 0)
    for start in range(0, count, _ROWS):
        block = looks_of_all[start : start + _ROWS].astype(np.float32)
        are_alike = np.zeros([len(block), count - start], bool)
        for form in range(block.shape[1]):
            found = block[:, form, 0] @ hashes[start:].T >= least
            rows = found.any(axis=1)
            cosines = block[rows, form, 1] @ pixels[start:].T
            are_alike[rows] |= found[rows] & (cosines >= _LEAST_COSINE)
        # Links between groups and not pictures: thousands of plain ones are all alike.
        links = sparse.coo_matrix(are_alike)
        links = sparse.coo_matrix(
            (links.data, (groups[start + links.row], groups[start + links.col])), [count, count]
        )
        _, joined = csgraph.connected_components(links, directed=False)
        groups = joined[groups]
    members = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    return list(members.values())
