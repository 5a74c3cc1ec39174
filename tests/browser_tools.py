"""Programs that tests of TF.js and of the page need, and a machine may lack."""

from __future__ import annotations

import shutil
import unittest

from export import tfjs_node
from pix2pix_tf.errors import MissingInputError


def node() -> str:
    """Returns the path of Node, or skips the test that asks for it.

    Raises:
        unittest.SkipTest: If Node or TF.js is not installed, saying how to install it.
    """
    try:
        return tfjs_node.find_node()
    except MissingInputError as error:
        raise unittest.SkipTest(str(error)) from None


def chromium() -> str:
    """Returns the path of Chromium, or skips the test that asks for it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    raise unittest.SkipTest("There is no Chromium on the path: install it to test the page.")
