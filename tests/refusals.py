"""Expects the errors that users see, without their wording."""

from __future__ import annotations

import re

import pytest

from pix2pix_tf.errors import InputError


class refused:
    """Expects an error of exactly a type, whose message has each of `fragments`, in this order.

    A class, since the frame of a generator would keep the error, and with it sockets and files.

    Args:
        *fragments: What a user needs to find the mistake: the file, the value, the flag.
        kind: The type; no subclass will do.
    """

    def __init__(self, *fragments, kind: type[InputError] = InputError):
        pattern = "(?s)" + ".*".join(re.escape(str(fragment)) for fragment in fragments)
        self._kind, self._raises = kind, pytest.raises(kind, match=pattern)

    def __enter__(self):
        return self._raises.__enter__()

    def __exit__(self, kind, *error):
        is_expected = self._raises.__exit__(kind, *error)
        assert kind is self._kind, kind
        return is_expected
