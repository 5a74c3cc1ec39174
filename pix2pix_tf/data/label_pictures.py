"""What label pictures show: classes are learned from their colours, or recognised by them.

A label picture is uint8 `[height, width, 3]`, with a colour for each class.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

from pix2pix_tf.data import classes
from pix2pix_tf.errors import InputError

# Of learning. A pixel is flat if it and its eight neighbours differ by no more, in each channel:
# what JPEG blurs along borders, and the rings beside them, are not.
_FLAT = 8
_SAME_COLOR = 32  # Distance in RGB up to which two flat colours are of one class.
_SMALLEST_SHARE = 2e-4  # Of the flat pixels; rarer colours are of no class.
_EXACT = 6  # Distance in RGB from its class that a flat colour of a label picture keeps.
# Of the flat pixels of a class, on average; of photos it is a quarter to two fifths.
_LEAST_EXACT_SHARE = 0.6
_MOST_LEARNED = 64
# Distance in RGB up to which a flat pixel has the colour of a class, and the least share of such
# pixels in a label picture: facades' labels have all, as JPEG files too, and their photos none by
# their own colours, a fifth by Cityscapes'.
_NEAR = 16
_LEAST_NEAR_SHARE = 0.5
_LEAST_PAPER_SHARE = 0.97  # Of the even areas of line art: the rest is where lines lie close.
OF_INDEXES = (
    f"hold values up to {_MOST_LEARNED}, all but black, as indexes of classes do. Make colours of "
    "them: pix2pix prepare labels."
)


def learn(pictures: Iterable[np.ndarray]) -> classes.ClassTable:
    """Returns the classes that label pictures show: their flat colours, the commonest first.

    The blurred borders of JPEG files are not flat, and so do not become classes.

    Args:
        pictures: uint8 `[height, width, 3]`; one is in memory at a time.

    Raises:
        InputError: If they are photos, indexes, or hold too many colours to be labels.
    """
    counter: collections.Counter[int] = collections.Counter()
    test = LabelTest()
    for picture in pictures:
        numbers, counts = np.unique(classes.as_numbers(test.add(picture)), return_counts=True)
        counter.update(dict(zip(numbers.tolist(), counts.tolist())))
    if test.holds_indexes:
        raise InputError(f"The training targets {OF_INDEXES}")
    colors = classes.as_colors(np.array(list(counter), np.int32))
    counts = np.array(list(counter.values()), np.int64)
    num_flat = counts.sum()
    chosen, exact = [], []
    while len(colors):
        color = colors[np.argmax(counts)]
        distances = np.square(colors - color).sum(axis=1)
        is_same = distances < _SAME_COLOR**2
        if counts[is_same].sum() < _SMALLEST_SHARE * num_flat:
            break
        chosen.append(tuple(map(int, color)))
        exact.append(counts[distances <= _EXACT**2].sum() / counts[is_same].sum())
        colors, counts = colors[~is_same], counts[~is_same]
    share = np.mean(exact) if exact else 0.0  # Each alike: photos may be white for the most part.
    if share < _LEAST_EXACT_SHARE or not 2 <= len(chosen) <= _MOST_LEARNED:
        raise InputError(
            f"The training targets do not look like label maps: they have {len(chosen)} colours, "
            f"to which their even areas keep by {share:.0%}. Label maps have 2 to {_MOST_LEARNED}, "
            f"and keep to them by {_LEAST_EXACT_SHARE:.0%} or more. Name the classes by a .json "
            "file."
        )
    names = (f"colour {number}" for number in range(1, len(chosen) + 1))
    return classes.ClassTable(classes.FROM_TARGETS, tuple(map(classes.LabelClass, names, chosen)))


def recognise(pictures: Iterable[np.ndarray]) -> classes.ClassTable | None:
    """Returns the table of a known data set that has all colours of label pictures.

    None if none has; or if there are but two colours, which may be anyone's.

    Args:
        pictures: uint8 `[height, width, 3]`.
    """
    try:
        learned = learn(pictures)
    except InputError:
        return None
    numbers = classes.as_numbers(np.array([kind.color for kind in learned.classes]))
    for table in classes.TABLES.values():
        places, distances = classes.find_nearest(
            numbers, np.array([kind.color for kind in table.classes], np.int32)
        )
        if distances.max() <= _NEAR**2 and len(set(places)) > 2:
            return table
    return None


def are_lines(pictures: Iterable[np.ndarray]) -> bool:
    """Returns whether pictures show grey lines on white or black, and no areas of other shades.

    Also lines that were scaled, whose grey is of many shades.

    Args:
        pictures: uint8 `[height, width, 3]`.
    """
    num_grey, num_pixels, num_flat, num_of_paper = 0, 0, 0, np.zeros(2, np.int64)
    for picture in pictures:
        spread = picture.max(axis=-1) - picture.min(axis=-1)
        num_grey, num_pixels = num_grey + (spread <= _FLAT).sum(), num_pixels + spread.size
        flat = _flat_pixels(picture).max(axis=-1)
        num_flat += len(flat)
        num_of_paper += [(flat >= 255 - _NEAR).sum(), (flat <= _NEAR).sum()]
    is_paper = num_of_paper.max() >= _LEAST_PAPER_SHARE * num_flat > 0
    return bool(is_paper and num_grey >= _LEAST_PAPER_SHARE * num_pixels)


def share_of(picture: np.ndarray, table: classes.ClassTable) -> float:
    """Returns the share of a picture's pixels that have the colour of a class, ignored or not.

    Args:
        picture: uint8 `[height, width, 3]`.
        table: The classes.
    """
    numbers, counts = np.unique(classes.as_numbers(picture.reshape(-1, 3)), return_counts=True)
    palette = np.array([kind.color for kind in table.classes], np.int32)
    _, distances = classes.find_nearest(numbers, palette)
    return float(counts[distances <= _NEAR**2].sum() / counts.sum())


class LabelTest:
    """Tells what pictures are that should show classes as colours; see the properties.

    Args:
        table: The classes; without any, all colours are strange.
    """

    def __init__(self, table: classes.ClassTable | None = None):
        kinds = table.classes if table else ()
        self._palette = np.array([kind.color for kind in kinds], np.int32).reshape(-1, 3)
        self._strange_levels: set[int] = set()  # Values of colours that are not the table's.
        self._is_grey = True
        self._num_flat, self._num_near = 0, 0

    def add(self, picture: np.ndarray) -> np.ndarray:
        """Looks at a picture and returns the colours of its flat pixels, `[number, 3]`.

        Args:
            picture: uint8 `[height, width, 3]`.
        """
        numbers = np.unique(classes.as_numbers(picture.reshape(-1, 3)))
        strange = classes.as_colors(np.setdiff1d(numbers, classes.as_numbers(self._palette)))
        self._strange_levels.update(np.unique(strange).tolist())
        self._is_grey = self._is_grey and bool((strange == strange[:, :1]).all())
        flat = _flat_pixels(picture)  # Of noise there are none.
        colors = classes.as_numbers(flat if len(flat) else picture.reshape(-1, 3))
        numbers, counts = np.unique(colors, return_counts=True)
        self._num_flat += counts.sum()
        if len(self._palette):
            _, distances = classes.find_nearest(numbers, self._palette)
            self._num_near += counts[distances <= _NEAR**2].sum()
        return flat

    @property
    def holds_indexes(self) -> bool:
        """Whether they hold indexes of classes: values up to 64, and of grey perhaps 255 too.

        Masks of 0 and 255 do not, nor what is in the colours of the table.
        """
        levels = self._strange_levels - ({classes.IGNORED} if self._is_grey else set())
        return 0 < max(levels, default=0) <= _MOST_LEARNED

    @property
    def shows_classes(self) -> bool:
        """Whether at least half of the even areas has a colour of the table, ignored or not."""
        return self._num_near >= _LEAST_NEAR_SHARE * self._num_flat


def _flat_pixels(picture: np.ndarray) -> np.ndarray:
    """Returns the colours of the flat pixels, `[number, 3]`."""
    most, least = _of_three(np.maximum, picture), _of_three(np.minimum, picture)
    return picture[1:-1, 1:-1][(most - least).max(axis=-1) <= _FLAT]


def _of_three(function: np.ufunc, picture: np.ndarray) -> np.ndarray:
    """Returns the maximum, or minimum, of each pixel and its eight neighbours."""
    rows = function(function(picture[:-2], picture[1:-1]), picture[2:])
    return function(function(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
