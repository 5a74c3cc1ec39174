"""A short round of `fuzz_decoders`: the same files each time. `make fuzz` has long ones."""

from __future__ import annotations

from unittest import mock

import fuzz_decoders
import tensorflow as tf
import tiny_runs
from absl.testing import absltest

from pix2pix_tf.data import arrays, images
from pix2pix_tf.errors import InputError


class FuzzTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.properties = fuzz_decoders.Properties(tiny_runs.temporary_folder(self))

    def run_round(self, num_examples: int = 250) -> None:
        fuzz_decoders.run(self.properties, seed=0, num_examples=num_examples)

    def test_a_round(self):
        self.run_round()
        for name in self.properties.all():
            # Damage that nothing reads, or that all is refused for, would test nothing.
            for outcome in ("read", "refused"):
                self.assertGreater(
                    self.properties.counts.get((name, outcome), 0), 2, (name, outcome)
                )

    def test_another_error_is_found(self):
        with mock.patch.object(images, "inspect_image", side_effect=KeyError("IHDR")):
            with self.assertRaises(KeyError):
                self.run_round()

    def test_a_message_without_the_file_is_found(self):
        with mock.patch.object(arrays, "inspect", side_effect=InputError("It is damaged.")):
            with self.assertRaises(AssertionError):
                self.run_round()

    def test_values_beyond_the_range_are_found(self):
        def too_bright(pixels):
            return tf.cast(pixels, tf.float32)

        with mock.patch.object(images, "normalize_image", too_bright):
            with self.assertRaises(AssertionError):
                self.run_round()

    def test_another_size_than_the_headers_is_found(self):
        decode = images.decode_pixels
        cropping = lambda *arguments, **options: decode(*arguments, **options)[1:]  # noqa: E731
        with mock.patch.object(images, "decode_pixels", cropping):
            with self.assertRaises(AssertionError):
                self.run_round()


if __name__ == "__main__":
    absltest.main()
