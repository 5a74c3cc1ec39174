"""ONNX files of an exported model, for runtimes that are not TensorFlow's.

Imports run one way, from top to bottom:

    session         a file in ONNX Runtime
    conversion      a file of one signature, compared before it is given out
    runtime         ONNX Runtime for `export.verify`

The package is a command as well: pix2pix export onnx --help.
"""

from . import runtime
from .conversion import convert

__all__ = ["convert", "runtime"]
