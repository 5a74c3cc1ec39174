"""Where tests find real pictures, which the repository does not hold."""

from __future__ import annotations

import os
import pathlib
import unittest

_VARIABLE = "PIX2PIX_DATA"
_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def require(*parts: str) -> pathlib.Path:
    """Returns a file or folder of the real data, or skips the test that asks for it.

    Args:
        *parts: Below the data folder, such as "facades", "train".

    Raises:
        unittest.SkipTest: If it is not there, saying where it was looked for.
    """
    root = os.environ.get(_VARIABLE) or _REPOSITORY.parent / "shared" / "datasets"
    path = pathlib.Path(root, *parts)
    if not path.exists():
        raise unittest.SkipTest(
            f"Real data is not here: no '{path}'. Set {_VARIABLE} to the folder that holds "
            f"'{parts[0]}' to run this test."
        )
    return path
