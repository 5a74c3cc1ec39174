"""Well-kept libraries that some tests compare with, and that the project does not need."""

from __future__ import annotations

import importlib
import unittest


def require(name: str):
    """Returns a module of scipy or scikit-image, or skips the test that asks for it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise unittest.SkipTest(
            f"There is no {name} to compare with. Install the extra `test`."
        ) from None
