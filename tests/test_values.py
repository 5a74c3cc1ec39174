import pickle
import unittest

import numpy as np

from pix2pix_tf.data import values


def side(*pictures, is_made=True, value_range=None):
    found = values.Side(
        "B (the output)", flag="output_", has_range=value_range is not None, is_made=is_made
    )
    for number, picture in enumerate(pictures):
        found.add(f"{number}.png", values.look(picture, value_range))
    return found


def words(*pictures, **settings):
    return " ".join(side(*pictures, **settings).words())


def photo(seed=0, channels=3, dtype="uint8", high=None):
    high = high or np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, high + 1, (24, 32, channels)).astype(dtype)


def mask(seed=0, classes=5):
    return np.repeat(photo(seed, 1, high=classes - 1), 3, axis=-1)


class WordsTest(unittest.TestCase):
    def test_photos_and_label_colours_need_none(self):
        colours = np.array([[0, 0, 170], [255, 0, 0], [0, 85, 255]], "uint8")

        self.assertEqual(words(photo(0), photo(1)), "")
        self.assertEqual(words(colours[mask(0, 3)[..., 0]], colours[mask(1, 3)[..., 0]]), "")

    def test_indices_of_classes_are_told_from_black(self):
        self.assertIn("exceeds 4 of 255", words(mask(0), mask(1)))
        self.assertIn("prepare labels", words(mask(0), mask(1)))

    def test_a_255_beside_indices_means_ignore(self):
        ignored = mask()
        ignored[:4] = 255

        self.assertIn("exceeds 4 of 255, beside 255", words(ignored, mask(1)))

    def test_indices_stored_in_16_bits_are_found(self):
        self.assertIn("exceeds 4 of 65535", words(mask().astype("uint16")))

    def test_indices_widened_to_16_bits_are_found(self):
        self.assertIn("exceeds 4 of 255", words(mask().astype("uint16") * 257))

    def test_black_and_white_masks_are_meant(self):
        self.assertEqual(words(mask(0, 2) * 255, mask(1, 2) * 255), "")

    def test_twelve_bits_in_sixteen_are_given_a_range(self):
        text = words(photo(0, 1, "uint16", high=4095), photo(1, 1, "uint16", high=4000))

        self.assertIn("6.2% of 0 to 65535", text)
        self.assertIn("--output_range=0,4095", text)

    def test_a_narrow_band_of_bright_values_is_given_its_range(self):
        kelvin = photo(0, 1, "uint16", high=2000) + np.uint16(29000)

        kelvin[0, :2, 0] = 29000, 31000

        self.assertIn("range=29000,31000", words(kelvin, kelvin[::-1]))

    def test_a_full_range_beside_it_is_enough(self):
        dark, light = photo(0, 1, "uint16", high=4095), photo(1, 1)

        self.assertEqual(words(dark, light), "")
        self.assertEqual(words(dark, light.astype("uint16") * 257), "")

    def test_one_bright_picture_is_enough_for_all(self):
        self.assertEqual(words(photo(0, 1, "uint16", high=4095), photo(1, 1, "uint16")), "")

    def test_no_data_is_named_with_its_value_and_file(self):
        heights = photo(0, 1, high=100).astype("float32")
        hole = heights.copy()
        hole[:8] = -9999

        text = words(heights, hole, value_range=(0.0, 100.0))

        self.assertIn("-9999", text)
        self.assertIn("in '1.png', lies far", text)

    def test_a_stated_range_of_another_unit_is_told(self):
        fractions = np.linspace(0, 1, 1000, dtype="float32").reshape(20, 50, 1)
        text = words(fractions, fractions[::-1], value_range=(0.0, 255.0))
        self.assertIn("0 to 1, use 0.4% of the stated range", text)
        self.assertIn("--output_range", text)
        self.assertEqual(words(fractions, value_range=(-40.0, 10.0)), "")
        # Each has little of it, all together have not.
        self.assertEqual(words(fractions, fractions + 99, value_range=(0.0, 255.0)), "")

    def test_a_tail_beyond_the_range_is_cut_on_purpose(self):
        heights = np.linspace(0, 102, 1000, dtype="float32").reshape(20, 50, 1)

        self.assertEqual(words(heights, value_range=(0.0, 100.0)), "")
        self.assertIn("50%", words(heights, value_range=(0.0, 51.0)))

    def test_grey_pictures_are_not_to_be_made_in_three_channels(self):
        grey = [np.repeat(photo(seed, 1), 3, axis=-1) for seed in (0, 1)]

        self.assertIn("--output_channels=1", words(*grey))
        self.assertEqual(words(*grey, is_made=False), "")
        self.assertEqual(words(*grey, photo()), "")

    def test_most_pictures_empty_or_the_same_are_told(self):
        empty = np.full((8, 8, 3), 255, "uint8")

        self.assertIn("2 of 3 pictures hold one value", words(photo(), empty, empty - 200))
        self.assertIn("3 of 4 are the same", words(photo(), photo(), photo(), photo(1)))
        self.assertEqual(words(photo(), photo(1), photo(2), empty), "")

    def test_constant_channels_of_arrays_are_named(self):
        bands = photo(channels=5)
        bands[..., 3] = 7

        self.assertIn("4 (always 7)", words(bands, bands[::-1]))


class FactsTest(unittest.TestCase):
    def test_they_are_over_all_pictures(self):
        found = side(photo(high=200), np.zeros((48, 64, 3), "uint8"))

        self.assertEqual(found.facts()["largest"], [64, 48])
        self.assertEqual((found.facts()["low"], found.facts()["high"]), (0.0, 200.0))
        self.assertEqual(found.facts()["same_as_another"], 0)
        self.assertIn("2 of 32x24 to 64x48 pixels, 3 channel(s), uint8", found.describe())


class PairsTest(unittest.TestCase):
    def test_what_was_seen_goes_from_process_to_process(self):
        seen = values.look_at_pair(["a.png"], [photo(), mask()], [None, (0.0, 4.0)])

        self.assertEqual(pickle.loads(pickle.dumps(seen)), seen)

    def test_both_sides_the_same_are_told(self):
        self.assertTrue(values.look_equal(photo(), photo()))
        self.assertFalse(values.look_equal(photo(), photo(1)))
        self.assertFalse(values.look_equal(photo(), np.clip(photo(), 0, 200)))

    def test_most_pairs_of_the_same_picture_are_told(self):
        def words_on(*pairs):
            sides = [values.Side(x, flag="", has_range=False, is_made=True) for x in "AB"]
            looks = [values.look_at_pair([f"{n}.png"], x, [None] * 2) for n, x in enumerate(pairs)]
            return values.Summary(sides, looks).words()

        same, other = (photo(), photo()), (photo(1), photo(2))
        self.assertIn("2 of 3 pairs, such as '0.png', '2.png'", words_on(same, other, same)[-1])
        self.assertEqual(words_on(same, other), [])
