"""The packages of the extra `prepare`, which edges and split need."""

from __future__ import annotations

import importlib
from types import ModuleType

from pix2pix_tf.errors import InputError


def require(*names: str) -> list[ModuleType]:
    """Returns modules of the extra, or of what it brings.

    Raises:
        InputError: If one is not installed.
    """
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise InputError(
            f"{error.name or error} is not installed. Run: python -m pip install "
            "'scikit-image>=0.22,<0.27' 'ImageHash>=4.3,<5'"
        ) from None
