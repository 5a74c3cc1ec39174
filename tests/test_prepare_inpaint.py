"""Tests of `pix2pix_tf.prepare.inpaint`."""

from __future__ import annotations

import numpy as np
from absl.testing import parameterized
from preparing import TaskTest, photo
from scipy import ndimage

from pix2pix_tf.data import pairs
from pix2pix_tf.prepare import inpaint

_HOLES = ("centre", "strokes")


def cut(name: str = "1.png", *, holes: str, area: float = 0.25, seed: int = 0, size=(96, 64)):
    """Returns a photo with holes, and the photo."""
    pixels = photo(width=size[0], height=size[1]) // 2  # Nowhere white.
    return inpaint.cut_holes(pixels, name, holes=holes, hole_area=area, seed=seed), pixels


class HolesTest(parameterized.TestCase):
    @parameterized.product(holes=_HOLES, area=(0.05, 0.25, 0.9))
    def test_holes_are_white_and_clear_and_all_else_is_the_photo(self, holes, area):
        result, pixels = cut(holes=holes, area=area)
        self.assertEqual((result.shape, result.dtype), ((64, 96, 4), np.uint8))
        missing = result[..., 3] == 0
        self.assertTrue((result[missing, :3] == 255).all())
        self.assertTrue((result[~missing, 3] == 255).all())
        np.testing.assert_array_equal(result[~missing, :3], pixels[~missing])
        self.assertBetween(missing.mean(), area - 0.01, area + 0.16)

    def test_centre(self):
        missing = cut(holes="centre")[0][..., 3] == 0
        expected = np.zeros([64, 96], bool)
        expected[16:48, 24:72] = True
        np.testing.assert_array_equal(missing, expected)

    def test_strokes_are_long(self):
        missing = cut(holes="strokes", area=0.01, size=(256, 256))[0][..., 3] == 0
        width = 2 * ndimage.distance_transform_edt(np.pad(missing, 1)).max()
        rows, columns = np.nonzero(missing)
        self.assertBetween(width, 0.04 * 256 - 2, 0.12 * 256 + 2)
        self.assertGreater(np.hypot(np.ptp(rows), np.ptp(columns)), 2.5 * width)

    def test_seed_and_name_decide(self):
        first, _ = cut(holes="strokes")
        np.testing.assert_array_equal(first, cut(holes="strokes")[0])
        self.assertFalse(np.array_equal(first, cut("2.png", holes="strokes")[0]))
        self.assertFalse(np.array_equal(first, cut(holes="strokes", seed=1)[0]))

    @parameterized.product(holes=_HOLES, size=((1, 1), (1, 300), (300, 1)))
    def test_tiny_and_narrow_photos(self, holes, size):
        result, _ = cut(holes=holes, size=size)
        self.assertGreaterEqual((result[..., 3] == 0).mean(), 0.24)

    def test_16_bits(self):
        deep = photo().astype(np.uint16) * 200
        result = inpaint.cut_holes(deep, "1.png", holes="strokes", hole_area=0.2, seed=0)
        self.assertEqual(result.dtype, np.uint16)
        self.assertEqual(set(np.unique(result[..., 3])), {0, 65535})


class InpaintCommandTest(TaskTest):
    task = "inpaint"

    def setUp(self):
        super().setUp()
        self.save("train/1.png")

    def test_training_reads_it_with_and_without_alpha(self):
        self.assert_done(self.run_task("--holes=strokes", "--hole_area=0.2", "--seed=3"))
        expected = inpaint.cut_holes(photo(), "train/1.png", holes="strokes", hole_area=0.2, seed=3)
        for channels in (3, 4):
            source = pairs.open_pairs(str(self.output), "train", a_channels=channels)
            a, b = source.read(0)
            np.testing.assert_array_equal(a, expected[..., :channels])
            np.testing.assert_array_equal(b, photo())

    @parameterized.parameters(0.91, -1.0)
    def test_an_area_that_makes_no_sense(self, area):
        self.assert_refused(self.run_task(f"--hole_area={area}"), "hole_area", area, "0.9")
