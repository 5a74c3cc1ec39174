"""Tests that reading files on several threads leaves Python's warnings as they were."""

from __future__ import annotations

import pathlib
import tempfile
import threading
import warnings
from concurrent import futures
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

from pix2pix_tf.data import arrays, images

_TIMEOUT_SECONDS = 60


class IgnoredTest(absltest.TestCase):
    def test_the_first_of_two_threads_ends_first(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        Image.new("RGB", (4, 4)).save(folder / "1.png")
        np.save(folder / "2.npy", np.zeros((4, 4, 3), np.uint8))
        open_picture, open_array = Image.open, np.load
        first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

        def opens_first(*arguments):
            first_is_in.set()
            second_is_in.wait(_TIMEOUT_SECONDS)
            warnings.warn("Of the first, with both at work.", stacklevel=1)
            return open_picture(*arguments)

        def opens_second(*arguments, **options):
            second_is_in.set()
            first_is_out.wait(_TIMEOUT_SECONDS)
            warnings.warn("Of the second, which is alone again.", stacklevel=1)
            return open_array(*arguments, **options)

        def inspect_first():
            info = images.inspect_image(folder / "1.png")
            first_is_out.set()
            return info

        def inspect_second():
            first_is_in.wait(_TIMEOUT_SECONDS)
            return arrays.inspect(folder / "2.npy")

        self.enter_context(mock.patch.object(Image, "open", opens_first))
        self.enter_context(mock.patch.object(np, "load", opens_second))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            before = list(warnings.filters)
            with futures.ThreadPoolExecutor() as pool:
                both = [pool.submit(inspect) for inspect in (inspect_first, inspect_second)]
            info, (shape, _) = (future.result() for future in both)
            self.assertEqual(((info.height, info.width), shape), ((4, 4), (4, 4, 3)))
            for event in (first_is_in, second_is_in, first_is_out):
                self.assertTrue(event.is_set())
            self.assertEqual(warnings.filters, before)
            self.assertEqual([str(warning.message) for warning in caught], [])
            warnings.warn("Of nobody who reads files.", stacklevel=1)
        self.assertLen(caught, 1)


if __name__ == "__main__":
    absltest.main()
