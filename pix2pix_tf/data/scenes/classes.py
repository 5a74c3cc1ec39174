"""The kinds of labelled parts: those of CMP Facades, with their names and label colours.

A part's number in a class map is its place in `CLASSES`. Here, blinds are shutters beside a
window, deco ornaments above windows and doors, and moldings roofs, which CMP has no class for.
"""

from __future__ import annotations

from pix2pix_tf.data.classes import FACADES as CLASSES

BACKGROUND, FACADE, WINDOW, DOOR, CORNICE, SILL = CLASSES[:6]
BALCONY, BLIND, DECO, MOLDING, PILLAR, SHOP = CLASSES[6:]
