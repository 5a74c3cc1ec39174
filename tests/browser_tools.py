"""Programs that tests of TF.js and of the page need, and a machine may lack."""

from __future__ import annotations

import os
import unittest
from collections.abc import Callable

from export import tfjs_browser, tfjs_node
from pix2pix_tf.errors import MissingInputError


def node() -> str:
    """Returns the path of Node, or skips the test that asks for it."""
    return _find(tfjs_node.find_node)


def chromium() -> str:
    """Returns the path of Chromium, or skips the test that asks for it."""
    return _find(tfjs_browser.find_chromium)


def _find(find: Callable[[], str]) -> str:
    try:
        return find()
    except MissingInputError as error:
        if os.environ.get("PIX2PIX_REQUIRE_PROGRAMS"):
            raise
        raise unittest.SkipTest(str(error)) from None
