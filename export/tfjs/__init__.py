"""TF.js: graph models for web pages.

Imports run one way, from top to bottom:

    subpixel      transposed convolutions as plain ones
    weights       the files that hold the numbers
    conversion    `convert`: the folder that `tf.loadGraphModel` reads
    runtime       the rows of `export.verify`
"""

from . import runtime
from .conversion import convert

__all__ = ["convert", "runtime"]
