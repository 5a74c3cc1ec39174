"""The classes of labelled data sets: names, colours, and which are not scored.

A *class map* is uint8 `[height, width]`: the index of each pixel's class among the
scored ones, or `IGNORED`. A *label picture* shows the classes as colours, uint8
`[height, width, 3]`.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np

from pix2pix_tf.errors import InputError

IGNORED = 255  # In a class map: a pixel that counts for nothing.
FROM_TARGETS = "targets"  # In place of a table's name: the classes are learned.
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
            f"The classes of '{dataset}' are not known. Name them by --classes: a .json file, or "
            f"one of {', '.join(TABLES)}."
        )
    return TABLES[name]


def of_side(dataset: str, side: str) -> ClassTable | None:
    """Returns the classes of a data set by its name, if a side, "A" or "B", shows labels."""
    table = TABLES.get(pathlib.PurePath(dataset).name)
    return table if table and side != table.photo_side else None


def _read_file(path: pathlib.Path) -> tuple[LabelClass, ...]:
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
        ValueError, TypeError, KeyError or AttributeError: If it is not as `read` says.
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
    """Returns the classes of a data set that is known, or of a JSON file, each at its index.

    Args:
        name: A name of `TABLES`; or a file with a list of 1 to 255 classes, each as
            {"name": "door", "color": [1, 207, 255]}, where "ignored": true may be added.

    Raises:
        InputError: If it is neither.
    """
    if name in TABLES:
        return TABLES[name]
    return ClassTable(pathlib.PurePath(name).stem, _read_file(pathlib.Path(name)))


def to_json(table: ClassTable) -> list[dict]:
    """Returns a table as `read` reads it from a file."""
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


def as_numbers(pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 `[number, 3]` as one number a colour: rows of three sort ten times slower."""
    red, green, blue = pixels.T.astype(np.int32)
    return red << 16 | green << 8 | blue


def as_colors(numbers: np.ndarray) -> np.ndarray:
    """Returns the colours, int32 `[number, 3]`, of `as_numbers`."""
    return numbers[:, np.newaxis] >> [16, 8, 0] & 255


def find_nearest(numbers: np.ndarray, palette: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of the nearest colours in a palette, and the squared distances."""
    places = np.empty(len(numbers), np.int64)
    distances = np.empty(len(numbers), np.int64)
    for first in range(0, len(numbers), _COLORS_AT_ONCE):  # The output of a network has many.
        some = slice(first, first + _COLORS_AT_ONCE)
        of_some = np.square(as_colors(numbers[some])[:, np.newaxis] - palette).sum(axis=-1)
        places[some], distances[some] = of_some.argmin(axis=-1), of_some.min(axis=-1)
    return places, distances


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
    colors, places = np.unique(as_numbers(picture.reshape(-1, 3)), return_inverse=True)
    chosen = np.array(indexes, np.uint8)[find_nearest(colors, palette)[0]]
    return chosen[places.reshape(-1)].reshape(picture.shape[:2])
