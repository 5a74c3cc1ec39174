"""The classes of labelled data sets: names, colours, and which are not scored.

A *class map* is uint8 `[height, width]`: the index of each pixel's class among the
scored ones, or `IGNORED`. A *label picture* shows the classes as colours, uint8
`[height, width, 3]`.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
from collections.abc import Iterable

import numpy as np

from pix2pix_tf.errors import InputError

IGNORED = 255  # In a class map: a pixel that counts for nothing.
FROM_TARGETS = "targets"  # In place of a table's name: the classes are learned.
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
OF_INDEXES = (
    f"hold values up to {_MOST_LEARNED}, all but black, as indexes of classes do. Make colours of "
    "them: pix2pix prepare labels."
)
_COLORS_AT_ONCE = 2**16  # Whose distances from all classes are in memory together.


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
    ignored_have_indexes: bool = True  # In files of indexes: whether 255 alone is ignored.

    @property
    def indexes(self) -> tuple[int, ...]:
        """The index that each scored class has in files: its place among all."""
        return tuple(place for place, kind in enumerate(self.classes) if not kind.ignored)

    @property
    def num_indexes(self) -> int:
        """How many indexes files may hold, beside `IGNORED`."""
        return len(self.classes if self.ignored_have_indexes else self.scored)

    @property
    def scored(self) -> tuple[LabelClass, ...]:
        """The classes that count, in the order of their indexes."""
        return tuple(kind for kind in self.classes if not kind.ignored)

    @property
    def guesses(self) -> ClassTable:
        """The table of what a pixel may be taken for: no guess is "ignored"."""
        return dataclasses.replace(self, classes=self.scored)


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
        # Its maps are of train ids; what they leave out is 255.
        ClassTable("cityscapes", _CITYSCAPES, ignored_have_indexes=False),
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


def of_side(dataset: str, side: str) -> ClassTable | None:
    """Returns the classes of a data set by its name, if a side, "A" or "B", shows labels."""
    table = TABLES.get(pathlib.PurePath(dataset).name)
    return table if table and side != table.photo_side else None


def read_file(path: pathlib.Path) -> tuple[LabelClass, ...]:
    """Returns the classes of a JSON file, each at its index.

    Args:
        path: A list of 1 to 255 classes, each as {"name": "door", "color": [1, 207, 255]}, where
            "ignored": true may be added.

    Raises:
        InputError: If it cannot be read, or is not so.
    """
    try:
        return _from_entries(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(
            f"--classes is '{path}', which cannot be read ({error.strerror}). Give one of "
            f"{', '.join(TABLES)}, or a .json file of your own."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(
            f"'{path}' is not a JSON list of 1 to {IGNORED} classes, each as "
            '{"name": "door", "color": [1, 207, 255]}, where "ignored": true may be added, but not '
            "to all. Mend it."
        ) from None


def _from_entries(entries) -> tuple[LabelClass, ...]:
    """Returns the classes of what was read as JSON.

    Raises:
        ValueError, TypeError, KeyError or AttributeError: If it is not as `read_file` says.
    """
    kinds = []
    for entry in entries:
        name, color = entry["name"], entry["color"]
        if not isinstance(name, str) or not isinstance(color, list):
            raise TypeError
        red, green, blue = bytes(color)  # Which takes whole numbers from 0 to 255.
        kinds.append(LabelClass(name, (red, green, blue), bool(entry.get("ignored", False))))
    are_all_ignored = all(kind.ignored for kind in kinds)  # So are none.
    if are_all_ignored or len(kinds) > IGNORED:
        raise ValueError
    return tuple(kinds)


def check_told_apart(table: ClassTable) -> None:
    """Refuses a scored class of the same colour as another, where colours tell the classes.

    Raises:
        InputError: Naming both.
    """
    first_of: dict[tuple[int, int, int], LabelClass] = {}
    for kind in table.classes:
        first = first_of.setdefault(kind.color, kind)
        if first is not kind and not (first.ignored and kind.ignored):
            raise InputError(
                f"The classes '{first.name}' and '{kind.name}' of '{table.name}' have the same "
                f"colour, {kind.color}, by which they are told apart. Give one of them another."
            )


def read(name: str) -> ClassTable:
    """Returns the classes of a data set that is known, or of a JSON file, see `read_file`.

    Raises:
        InputError: If it is neither.
    """
    if name in TABLES:
        return TABLES[name]
    return ClassTable(pathlib.PurePath(name).stem, read_file(pathlib.Path(name)))


def to_json(table: ClassTable) -> list[dict]:
    """Returns a table as `read_file` reads it."""
    return [dataclasses.asdict(kind) for kind in table.classes]


def from_json(name: str, entries: list[dict]) -> ClassTable:
    """Returns the table that `to_json` gave, as a model's card has it.

    Raises:
        InputError: If it is damaged.
    """
    try:
        return ClassTable(name, _from_entries(entries))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(
            f"The card of '{name}' has classes that are damaged. Export the run again."
        ) from None


def learn(pictures: Iterable[np.ndarray]) -> ClassTable:
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
        test.add(picture)
        numbers, counts = np.unique(_as_numbers(_flat_pixels(picture)), return_counts=True)
        counter.update(dict(zip(numbers.tolist(), counts.tolist())))
    if test.holds_indexes:
        raise InputError(f"The training targets {OF_INDEXES}")
    colors = _as_colors(np.array(list(counter), np.int32))
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
    return ClassTable(FROM_TARGETS, tuple(map(LabelClass, names, chosen)))


def recognise(pictures: Iterable[np.ndarray]) -> ClassTable | None:
    """Returns the table of a known data set that has all colours of label pictures.

    None if none has; or if there are but two colours, which may be anyone's.

    Args:
        pictures: uint8 `[height, width, 3]`.
    """
    try:
        learned = learn(pictures)
    except InputError:
        return None
    numbers = _as_numbers(np.array([kind.color for kind in learned.classes]))
    for table in TABLES.values():
        places, distances = _find_nearest(
            numbers, np.array([kind.color for kind in table.classes], np.int32)
        )
        if distances.max() <= _NEAR**2 and len(set(places)) > 2:
            return table
    return None


class LabelTest:
    """Tells what pictures are that should show classes as colours; see the properties.

    Args:
        table: The classes; without any, all colours are strange.
    """

    def __init__(self, table: ClassTable | None = None):
        kinds = table.classes if table else ()
        self._palette = np.array([kind.color for kind in kinds], np.int32).reshape(-1, 3)
        self._strange_levels: set[int] = set()  # Values of colours that are not the table's.
        self._is_grey = True
        self._num_flat, self._num_near = 0, 0

    def add(self, picture: np.ndarray) -> None:
        """Looks at a picture, uint8 `[height, width, 3]`."""
        numbers = np.unique(_as_numbers(picture.reshape(-1, 3)))
        strange = _as_colors(np.setdiff1d(numbers, _as_numbers(self._palette)))
        self._strange_levels.update(np.unique(strange).tolist())
        self._is_grey = self._is_grey and bool((strange == strange[:, :1]).all())
        flat = _flat_pixels(picture)  # Of noise there are none.
        colors = _as_numbers(flat if len(flat) else picture.reshape(-1, 3))
        numbers, counts = np.unique(colors, return_counts=True)
        self._num_flat += counts.sum()
        if len(self._palette):
            _, distances = _find_nearest(numbers, self._palette)
            self._num_near += counts[distances <= _NEAR**2].sum()

    @property
    def holds_indexes(self) -> bool:
        """Whether they hold indexes of classes: values up to 64, and of grey perhaps 255 too.

        Masks of 0 and 255 do not, nor what is in the colours of the table.
        """
        levels = self._strange_levels - ({IGNORED} if self._is_grey else set())
        return 0 < max(levels, default=0) <= _MOST_LEARNED

    @property
    def shows_classes(self) -> bool:
        """Whether at least half of the even areas has a colour of the table, ignored or not."""
        return self._num_near >= _LEAST_NEAR_SHARE * self._num_flat


def _as_numbers(pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 `[number, 3]` as one number a colour: rows of three sort ten times slower."""
    red, green, blue = pixels.T.astype(np.int32)
    return red << 16 | green << 8 | blue


def _as_colors(numbers: np.ndarray) -> np.ndarray:
    """Returns the colours, int32 `[number, 3]`, of `_as_numbers`."""
    return numbers[:, np.newaxis] >> [16, 8, 0] & 255


def _find_nearest(numbers: np.ndarray, palette: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of the nearest colours in a palette, and the squared distances."""
    places = np.empty(len(numbers), np.int64)
    distances = np.empty(len(numbers), np.int64)
    for first in range(0, len(numbers), _COLORS_AT_ONCE):  # The output of a network has many.
        some = slice(first, first + _COLORS_AT_ONCE)
        of_some = np.square(_as_colors(numbers[some])[:, np.newaxis] - palette).sum(axis=-1)
        places[some], distances[some] = of_some.argmin(axis=-1), of_some.min(axis=-1)
    return places, distances


def _flat_pixels(picture: np.ndarray) -> np.ndarray:
    """Returns the colours of the flat pixels, `[number, 3]`."""
    most, least = _of_three(np.maximum, picture), _of_three(np.minimum, picture)
    return picture[1:-1, 1:-1][(most - least).max(axis=-1) <= _FLAT]


def _of_three(function: np.ufunc, picture: np.ndarray) -> np.ndarray:
    """Returns the maximum, or minimum, of each pixel and its eight neighbours."""
    rows = function(function(picture[:-2], picture[1:-1]), picture[2:])
    return function(function(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


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
    colors, places = np.unique(_as_numbers(picture.reshape(-1, 3)), return_inverse=True)
    chosen = np.array(indexes, np.uint8)[_find_nearest(colors, palette)[0]]
    return chosen[places.reshape(-1)].reshape(picture.shape[:2])
