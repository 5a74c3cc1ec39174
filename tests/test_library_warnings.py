"""Tests that reading files on several threads leaves Python's warnings as they were."""

from __future__ import annotations

import pathlib
import tempfile
import warnings
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

from pix2pix_tf.data import arrays, images, library_warnings


class IgnoredTest(absltest.TestCase):
    def test_the_first_of_two_that_overlap_ends_first(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            before = list(warnings.filters)
            first, second = library_warnings.ignored(), library_warnings.ignored()
            first.__enter__()
            second.__enter__()
            warnings.warn("Of the first, with both at work.", stacklevel=1)
            first.__exit__(None, None, None)
            warnings.warn("Of the second, which is alone again.", stacklevel=1)
            second.__exit__(None, None, None)
            self.assertEqual([str(warning.message) for warning in caught], [])
            self.assertEqual(warnings.filters, before)
            warnings.warn("Of nobody who reads files.", stacklevel=1)
        self.assertLen(caught, 1)

    def test_readers_of_files_use_it(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        Image.new("RGB", (4, 4)).save(folder / "1.png")
        np.save(folder / "2.npy", np.zeros((4, 4, 3), np.uint8))
        ignored = library_warnings.ignored
        for read, name in ((images.inspect_image, "1.png"), (arrays.inspect, "2.npy")):
            with mock.patch.object(library_warnings, "ignored", side_effect=ignored) as used:
                read(folder / name)
            used.assert_called_once_with()
