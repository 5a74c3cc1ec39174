"""Which pictures look alike, by a perceptual hash and by their pixels at a small size.

The hash is `imagehash.phash`, the signs of a picture's lowest frequencies. Saving it again as
JPEG, scaling it and making it lighter change few of them (30 of 256 at most on facades,
edges2shoes and BSDS; different pictures there differ in 32 and more, however they are turned).
Masks and drawings that are nearly empty may hash alike: their pixels tell them apart. Turning by
90, 180 and 270 degrees and mirroring are looked for, of the picture and of A and B each.
Cropping, which moves everything, is not found.

In frames of a film something moves, which changes more of the hash. Where the camera stands, most
of what has detail is the same in both: of the places where one gets lighter or darker from a small
pixel to the next, most agree. Of different pictures of those sets at most 0.42 do, of masks and
line drawings 0.21; but of pages with the same lines more, so that three quarters of the hash have
to agree too. Not found is what follows a cut, an object of more than a third of the height, or a
camera that moves by more than a hundredth of the width a frame.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image
from scipy import sparse
from scipy.sparse import csgraph

SIZE = 32  # Pixels, each way, of what is hashed and compared.
HASH_BITS = 256
_LEAST_COSINE = 0.9  # Of the pixels of two that look alike.
_SCENE_DISTANCE = 2  # Times the bits that two that look alike may differ in, for one scene.
_COMMON_DETAIL = 0.6  # Share of the detail in either of two of one scene.
_DETAIL = 3  # Grey levels from a pixel of the small picture to the next; noise has fewer.
_ROWS = 256  # Of the comparison of all with all at a time, for its memory.


class Look(NamedTuple):
    """What is compared of a picture, or of A and B side by side.

    Attributes:
        small: Grey, uint8 `[SIZE, 2 * SIZE]`.
        hashes: int8 `[forms, HASH_BITS]`, of -1 and 1: a hash for each form of `_forms`.
    """

    small: np.ndarray
    hashes: np.ndarray


def look_at(sides: Sequence[np.ndarray]) -> Look:
    """Returns what is compared of a picture, or of A and B.

    Args:
        sides: One or two pictures, grey, uint8 `[height, width]`.
    """
    size = (2 * SIZE // len(sides), SIZE)
    # Each value the mean of a part.
    small = np.hstack([Image.fromarray(side).resize(size, Image.BOX) for side in sides])
    side = round(HASH_BITS**0.5)
    hashes = [
        imagehash.phash(Image.fromarray(form), hash_size=side, highfreq_factor=SIZE // side)
        for form in _forms(small).astype(np.uint8)
    ]
    return Look(small, np.stack([np.where(x.hash.ravel(), 1, -1) for x in hashes]).astype(np.int8))


def _forms(small: np.ndarray) -> np.ndarray:
    """Returns pictures in all forms that they may be found in.

    Args:
        small: `[..., SIZE, 2 * SIZE]`.

    Returns:
        float32 `[forms, ..., SIZE, SIZE]`: as they are; in the other seven symmetries; and with A
        and B in these each.
    """
    a, b = _turned(small[..., :SIZE]), _turned(small[..., SIZE:])
    both = np.stack([np.concatenate(sides, axis=-1) for sides in zip(a, b)])
    halved = both.reshape(*both.shape[:-1], SIZE, 2).mean(axis=-1, dtype=np.float32)
    return np.stack([*_turned(halved[0]), *halved[1:]])


def _turned(square: np.ndarray) -> list[np.ndarray]:
    """Returns square pictures in their eight symmetries; the first is as they are."""
    mirrored = (square, square[..., ::-1])
    return [np.rot90(side, turns, axes=(-2, -1)) for side in mirrored for turns in range(4)]


def clusters(looks: Sequence[Look], *, hash_distance: int) -> list[list[int]]:
    """Returns the groups of pictures that are linked by likeness; most have one member.

    Takes time with the square of the number: 50,000 pictures are some minutes.

    Args:
        looks: Looks of the pictures.
        hash_distance: Bits that two that look alike may differ in; twice as many for frames of
            one scene.

    Returns:
        Lists of indexes, each sorted; in the order of their first.
    """
    count = len(looks)
    groups = np.arange(count)
    # Each with those after it only: what turns one to the other has its inverse among the forms.
    plain_hashes = np.stack([look.hashes[0] for look in looks]).astype(np.float32)
    small = np.stack([look.small for look in looks])
    plain_pixels, steps = _unit_vectors(_forms(small)[0]), _steps(small)
    for start in range(0, count, _ROWS):
        block = looks[start : start + _ROWS]
        pixels = _unit_vectors(_forms(small[start : start + _ROWS]))
        equal_bits = plain_hashes[start : start + _ROWS] @ plain_hashes[start:].T
        are_alike = equal_bits >= HASH_BITS - 2 * _SCENE_DISTANCE * hash_distance
        rows, columns = (are_alike.any(axis=axis) for axis in (1, 0))
        are_alike[np.ix_(rows, columns)] &= _have_common_detail(
            steps[start : start + _ROWS][rows], steps[start:][columns]
        )
        for form in range(len(pixels)):
            hashes = np.stack([look.hashes[form] for look in block]).astype(np.float32)
            # Equal bits less different ones.
            found = hashes @ plain_hashes[start:].T >= HASH_BITS - 2 * hash_distance
            found &= ~are_alike
            rows = found.any(axis=1)
            cosines = pixels[form, rows] @ plain_pixels[start:].T
            are_alike[rows] |= found[rows] & (cosines >= _LEAST_COSINE)
        # Of groups and not of pictures: thousands of plain ones are all alike.
        links = groups[start + np.stack(np.nonzero(are_alike))]
        graph = sparse.coo_matrix((np.ones(links.shape[1]), links), shape=[count, count])
        groups = csgraph.connected_components(graph, directed=False)[1][groups]
    return group_by(groups)


def group_by(labels: Iterable[Hashable]) -> list[list[int]]:
    """Returns the indexes that have each label; in the order of their first."""
    members = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    return list(members.values())


def join(*partitions: Sequence[Sequence[int]]) -> list[list[int]]:
    """Returns the groups where all is together that is in one of several partitions."""
    links = [(group[0], x) for groups in partitions for group in groups for x in group]
    count = sum(map(len, partitions[0]))
    graph = sparse.coo_matrix((np.ones(len(links)), np.transpose(links)), shape=[count, count])
    return group_by(csgraph.connected_components(graph, directed=False)[1])


def _steps(small: np.ndarray) -> np.ndarray:
    """Returns where pictures `[N, SIZE, 2 * SIZE]` get lighter, 1, or darker, -1: int8 `[N, M]`."""
    steps = [np.diff(small.astype(np.int16), axis=axis) for axis in (1, 2)]
    steps = [(np.sign(x) * (np.abs(x) > _DETAIL)).astype(np.int8) for x in steps]
    return np.hstack([x.reshape(len(small), -1) for x in steps])


def _have_common_detail(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns which pictures agree in most of their detail, by their steps: bool `[N, M]`."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    sizes = np.add.outer(np.abs(first).sum(axis=1), np.abs(second).sum(axis=1))
    in_either = sizes - np.abs(first) @ np.abs(second).T
    return first @ second.T > _COMMON_DETAIL * in_either  # Of no detail, none is common.


def _unit_vectors(pictures: np.ndarray) -> np.ndarray:
    """Returns pictures `[..., SIZE, SIZE]` without their mean and contrast: `[..., SIZE**2]`."""
    vectors = pictures.reshape(*pictures.shape[:-2], -1)
    vectors = vectors - vectors.mean(axis=-1, keepdims=True)
    vectors[np.ptp(vectors, axis=-1) < 0.5] = 1.0  # All plain pictures are alike.
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
