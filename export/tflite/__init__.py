"""TFLite: a file for phones and small machines.

Imports run one way, from top to bottom:

    graph         equal weights in a file, held once
    litert        running a file, and what it says about itself
    conversion    `convert`: a checked file, whole or not at all
    runtime       the rows of `export.verify`
"""

from . import runtime
from .conversion import convert
from .litert import LiteRtModel

__all__ = ["LiteRtModel", "convert", "runtime"]
