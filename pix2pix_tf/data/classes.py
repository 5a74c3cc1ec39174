"""The classes of labelled data sets: names, colours, and which are not scored.

A *class map* is uint8 `[height, width]`: the index of each pixel's class among the
scored ones, or `IGNORED`. A *label picture* shows the classes as colours, uint8
`[height, width, 3]`.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from pix2pix_tf.errors import InputError

IGNORED = 255  # In a class map: a pixel that counts for nothing.


@dataclasses.dataclass(frozen=True)
class LabelClass:
    """One class."""

    name: str  # As the data set calls it.
    color: tuple[int, int, int]  # In label pictures, RGB, 0-255.
    ignored: bool = False  # Whether its pixels are left out of training and of every score.


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """The classes of a data set; the index of a scored one is its place among the scored."""

    name: str  # That of the data set.
    classes: tuple[LabelClass, ...]
    photo_side: str = "A"  # Which image of a pair is the photo.

    @property
    def scored(self) -> tuple[LabelClass, ...]:
        """The classes that count, in the order of their indexes."""
        return tuple(kind for kind in self.classes if not kind.ignored)


# Tylecek and Sara, "Spatial Pattern Templates for Recognition of Objects with Regular Structure",
# GCPR 2013, in the order of the class maps of CMP Facades.
FACADES = (
    LabelClass("background", (0, 0, 222)),  # What no part covers.
    LabelClass("facade", (0, 48, 255)),
    LabelClass("window", (0, 128, 255)),
    LabelClass("door", (1, 207, 255)),
    LabelClass("cornice", (32, 255, 224)),
    LabelClass("sill", (112, 254, 142)),
    LabelClass("balcony", (192, 255, 63)),
    LabelClass("blind", (255, 240, 1)),
    LabelClass("deco", (255, 159, 0)),
    LabelClass("molding", (255, 80, 0)),
    LabelClass("pillar", (254, 0, 0)),
    LabelClass("shop", (174, 0, 1)),
)
# Cordts et al., "The Cityscapes Dataset", CVPR 2016: the 19 train ids, in their order.
_CITYSCAPES = (
    LabelClass("road", (128, 64, 128)),
    LabelClass("sidewalk", (244, 35, 232)),
    LabelClass("building", (70, 70, 70)),
    LabelClass("wall", (102, 102, 156)),
    LabelClass("fence", (190, 153, 153)),
    LabelClass("pole", (153, 153, 153)),
    LabelClass("traffic light", (250, 170, 30)),
    LabelClass("traffic sign", (220, 220, 0)),
    LabelClass("vegetation", (107, 142, 35)),
    LabelClass("terrain", (152, 251, 152)),
    LabelClass("sky", (70, 130, 180)),
    LabelClass("person", (220, 20, 60)),
    LabelClass("rider", (255, 0, 0)),
    LabelClass("car", (0, 0, 142)),  # A licence plate has the same colour.
    LabelClass("truck", (0, 0, 70)),
    LabelClass("bus", (0, 60, 100)),
    LabelClass("train", (0, 80, 100)),
    LabelClass("motorcycle", (0, 0, 230)),
    LabelClass("bicycle", (119, 11, 32)),
    # The benchmark leaves these out. Black also is the ego vehicle, the border and static things.
    LabelClass("unlabeled", (0, 0, 0), ignored=True),
    LabelClass("dynamic", (111, 74, 0), ignored=True),
    LabelClass("ground", (81, 0, 81), ignored=True),
    LabelClass("parking", (250, 170, 160), ignored=True),
    LabelClass("rail track", (230, 150, 140), ignored=True),
    LabelClass("guard rail", (180, 165, 180), ignored=True),
    LabelClass("bridge", (150, 100, 100), ignored=True),
    LabelClass("tunnel", (150, 120, 90), ignored=True),
    LabelClass("caravan", (0, 0, 90), ignored=True),
    LabelClass("trailer", (0, 0, 110), ignored=True),
)

TABLES = {
    table.name: table
    for table in (
        ClassTable("facades", FACADES),
        ClassTable("cityscapes", _CITYSCAPES),
        # The drawn scenes: labels on the left, with the classes of facades.
        ClassTable("demo", FACADES, photo_side="B"),
    )
}


def find(dataset: str) -> ClassTable:
    """Returns the classes of a data set, by its name or by its folder's.

    Raises:
        InputError: If its classes are not known, naming those that are.
    """
    name = pathlib.PurePath(dataset).name
    if name not in TABLES:
        raise InputError(
            f"The classes of '{dataset}' are not known, so there is no FCN-score for it. Data sets "
            f"with known classes: {', '.join(TABLES)}. A folder of your own goes by its last name: "
            "call it like the one whose classes it has."
        )
    return TABLES[name]


def nearest(picture: np.ndarray, table: ClassTable) -> np.ndarray:
    """Returns the class map of a label picture: each pixel goes to the nearest colour.

    For data without class maps. Where the picture, uint8 `[height, width, 3]`, was a JPEG this
    errs along the borders of the parts: on facades, 10 % of the pixels. The colours of ignored
    classes become `IGNORED`.
    """
    palette = np.array([kind.color for kind in table.classes], np.int32)
    numbers = iter(range(len(table.scored)))
    indexes = [IGNORED if kind.ignored else next(numbers) for kind in table.classes]
    # Each colour is looked up once: a label picture has few, the JPEG's noise included.
    flat = picture.reshape(-1, 3)
    colors, places = np.unique(flat, axis=0, return_inverse=True)
    distances = np.square(colors[:, np.newaxis].astype(np.int32) - palette).sum(axis=-1)
    chosen = np.array(indexes, np.uint8)[distances.argmin(axis=-1)]
    return chosen[places.reshape(-1)].reshape(picture.shape[:2])


def stored_indexes(pixels: np.ndarray, *, bits: int) -> np.ndarray:
    """Returns the values that a grey file of 1 to 8 bits holds, given its pixels as decoded, uint8.

    Decoders stretch the 1, 2 or 4 bits of a small PNG to 0 to 255, as is right for a shade. The
    last index of such a class map would be `IGNORED`.
    """
    return pixels // (255 // (2**bits - 1))
