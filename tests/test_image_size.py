"""Tests of `--size`, which both converters read alike."""

from __future__ import annotations

from absl.testing import parameterized

from export import image_size
from pix2pix_tf.errors import InputError


class ParseTest(parameterized.TestCase):
    def test_sizes_that_are_right(self):
        self.assertEqual(image_size.parse("256x512"), (256, 512))
        self.assertEqual(image_size.parse("64"), (64, 64))
        self.assertEqual(image_size.parse("dynamic"), image_size.DYNAMIC)
        self.assertIsNone(image_size.parse(""))

    @parameterized.parameters(
        "0", "0x32", "32x", "x32", "32x32x3", "-1x5", "any", "100000x5", "32 x 32", "²", "٣٢"
    )
    def test_others(self, text):
        with self.assertRaisesRegex(InputError, "^size is .*256x512, one number .*, or dynamic"):
            image_size.parse(text)

    def test_a_size_beyond_the_memory(self):
        with self.assertRaisesRegex(InputError, "'9000x9000', more than the 67108864 pixels"):
            image_size.parse("9000x9000")
