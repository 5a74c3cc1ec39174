"""Tests of `--size`, which both converters read alike."""

from __future__ import annotations

from absl.testing import parameterized

from export import image_size
from pix2pix_tf.errors import InputError

_CARD = dict(config=dict(crop_size=32, input_channels=1), noise_size=5)


class ShapesTest(parameterized.TestCase):
    @parameterized.parameters(
        (None, [1, 32, 32, 1], [1, 5]),
        ((32, 33), [1, 32, 33, 1], [1, 10]),
        ((65, 1), [1, 65, 1, 1], [1, 15]),
        (image_size.DYNAMIC, [None, None, None, 1], [None, None]),
    )
    def test_shapes_of_image_and_noise(self, size, image, z):
        specs = image_size.input_specs(_CARD, size)
        shapes = {name: spec.shape.as_list() for name, spec in specs.items()}
        self.assertEqual(shapes, dict(image=image, z=z))


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
        with self.assertRaisesRegex(InputError, "^size is .*256x512 or 256, or dynamic"):
            image_size.parse(text)

    def test_a_size_beyond_the_memory(self):
        with self.assertRaisesRegex(InputError, "'9000x9000'; the limit is 67108864"):
            image_size.parse("9000x9000")
