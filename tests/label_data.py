"""Classes and class maps: three to count by hand, and a small data set of photos that show them."""

from __future__ import annotations

import pathlib

import numpy as np
from PIL import Image

from pix2pix_tf.data import classes

SIZE = 32
TABLE = classes.find("facades")
THREE_CLASSES = classes.ClassTable(
    "three",
    (
        classes.LabelClass("sky", (0, 0, 0)),
        classes.LabelClass("wall", (1, 0, 0)),
        classes.LabelClass("door", (2, 0, 0)),
        classes.LabelClass("nothing", (3, 0, 0), ignored=True),
    ),
)
TRUTH = np.array([[0, 0, 0, 1], [1, 2, classes.IGNORED, classes.IGNORED]], np.uint8)


def write(folder: pathlib.Path, **splits: int) -> None:
    """Writes `folder/facades/SPLIT/NAME.png` and `folder/maps/SPLIT/NAME.png`.

    A map is class 0 with a rectangle of class 1 and one of class 2; in the photo these are
    dark, red and light, with noise.

    Args:
        folder: Is there.
        **splits: How many pairs each has.
    """
    random = np.random.RandomState(0)
    tints = np.array([(40, 40, 40), (200, 60, 60), (220, 220, 220)])
    palette = np.array([kind.color for kind in TABLE.classes], np.uint8)
    for split, count in splits.items():
        for part in ("facades", "maps"):
            (folder / part / split).mkdir(parents=True)
        for number in range(count):
            class_map = np.zeros([SIZE, SIZE], np.uint8)
            for kind in (1, 2):
                top, left = random.randint(0, SIZE // 2, 2)
                class_map[top : top + SIZE // 2, left : left + SIZE // 2] = kind
            photo = tints[class_map] + random.randint(-20, 20, [SIZE, SIZE, 3])
            pair = np.concatenate([photo.astype(np.uint8), palette[class_map]], axis=1)
            Image.fromarray(pair).save(folder / "facades" / split / f"{split}_{number}.png")
            Image.fromarray(class_map).save(folder / "maps" / split / f"{split}_{number}.png")
