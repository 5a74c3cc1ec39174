"""The kinds of labelled parts, with the names and label colours of CMP Facades.

Colours are RGB, 0-255. A part's number in a class map is its place in `CLASSES`.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class SceneClass:
    """One kind of labelled part, and its colour in the label image."""

    name: str
    color: tuple[int, int, int]


BACKGROUND = SceneClass("background", (0, 0, 222))
FACADE = SceneClass("facade", (0, 48, 255))
WINDOW = SceneClass("window", (0, 128, 255))
DOOR = SceneClass("door", (1, 207, 255))
CORNICE = SceneClass("cornice", (32, 255, 224))
SILL = SceneClass("sill", (112, 254, 142))
BALCONY = SceneClass("balcony", (192, 255, 63))
BLIND = SceneClass("blind", (255, 240, 1))  # Here: shutters beside a window.
DECO = SceneClass("deco", (255, 159, 0))  # Here: ornaments above windows and doors.
MOLDING = SceneClass("molding", (255, 80, 0))  # Here: roofs; CMP has no class for them.
PILLAR = SceneClass("pillar", (254, 0, 0))
SHOP = SceneClass("shop", (174, 0, 1))

# Background is number 0: what no part covers.
CLASSES: tuple[SceneClass, ...] = (
    BACKGROUND,
    FACADE,
    WINDOW,
    DOOR,
    CORNICE,
    SILL,
    BALCONY,
    BLIND,
    DECO,
    MOLDING,
    PILLAR,
    SHOP,
)
