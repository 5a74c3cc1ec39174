"""Tests of `pix2pix_tf.prepare.edges`: on drawn steps, and on shoes with the authors' maps."""

from __future__ import annotations

import builtins
import pathlib
import tracemalloc
from unittest import mock

import data_folder
import numpy as np
from absl.testing import parameterized
from preparing import TaskTest, photo, read, save
from scipy import ndimage
from skimage import measure

from pix2pix_tf.prepare import edges

_SETTINGS = dict(smoothing=2.0, edge_low=0.06, edge_high=0.2, min_length=20)


def draw(pixels: np.ndarray, **settings) -> np.ndarray:
    """Returns where there are lines, bool `[height, width]`."""
    drawn = edges.draw_edges(pixels, **{**_SETTINGS, **settings})
    return drawn[..., 0] == 0


def step(contrast: float, *, size: int = 64, channel: int | None = None) -> np.ndarray:
    """Returns a picture whose right half is lighter, in one channel or in all."""
    pixels = np.full([size, size, 3], 60, np.uint8)
    channels = slice(None) if channel is None else channel
    pixels[:, size // 2 :, channels] += np.uint8(round(contrast * 255))
    return pixels


def disc(*, size: int = 96, radius: float = 30.0) -> np.ndarray:
    """Returns a dark disc on white, and how far outside of it each pixel is."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(rows, columns) - radius
    return np.repeat(np.where(distance < 0, 40, 255)[..., None], 3, axis=-1).astype(
        np.uint8
    ), distance


def count_blocks(lines: np.ndarray) -> int:
    """Returns how often 2x2 pixels are all lines: where one is wider than a pixel."""
    return (lines[1:, 1:] & lines[1:, :-1] & lines[:-1, 1:] & lines[:-1, :-1]).sum()


class EdgesTest(parameterized.TestCase):
    def test_black_on_white(self):
        drawn = edges.draw_edges(step(0.5), **_SETTINGS)
        self.assertEqual((drawn.shape, drawn.dtype), ((64, 64, 1), np.uint8))
        self.assertEqual(set(np.unique(drawn)), {0, 255})
        self.assertLess((drawn == 0).mean(), 0.02)

    @parameterized.parameters(0.0, 1.0, 2.0, 3.0)
    def test_a_step_is_one_straight_thin_line_at_its_place(self, smoothing):
        lines = draw(step(0.5), smoothing=smoothing)
        rows, columns = np.nonzero(lines)
        self.assertLen(set(columns), 1)
        self.assertIn(columns[0], (31, 32))
        self.assertEqual(len(rows), len(set(rows)))
        self.assertGreaterEqual(len(rows), 60)

    def test_lines_along_rows_are_as_those_along_columns(self):
        pixels = step(0.5)
        # A middle: of two columns that are equal but for rounding either may be taken.
        pixels[:, 32] = pixels[:, [31, 33]].mean(axis=1)
        upright, lying = draw(pixels), draw(pixels.transpose(1, 0, 2))
        np.testing.assert_array_equal(upright, lying.T)

    def test_a_disc_has_one_closed_outline(self):
        pixels, distance = disc()
        lines = draw(pixels)
        self.assertLess(np.abs(distance[lines]).max(), 1.5)
        self.assertEqual(measure.label(lines, connectivity=2).max(), 1)
        # Closed: its inside cannot be left, not even between two diagonal neighbours.
        inside = measure.label(~lines, connectivity=1)
        self.assertNotEqual(inside[48, 48], inside[0, 0])
        self.assertEqual(count_blocks(lines), 0)

    @parameterized.parameters(0.0, 1.0, 2.0, 3.0)
    def test_thresholds_are_contrasts_whatever_the_smoothing(self, smoothing):
        settings = dict(smoothing=smoothing, edge_low=0.3, edge_high=0.3)
        self.assertTrue(draw(step(0.34), **settings).any())
        self.assertFalse(draw(step(0.27), **settings).any())

    def test_lines_are_thin_in_noise_too(self):
        """The maxima alone have six times the share of blocks; some are left where lines meet."""
        pixels = blocks = 0
        for seed in range(4):
            noise = np.random.default_rng(seed).integers(0, 256, [96, 96, 3], np.uint8)
            lines = draw(noise, smoothing=1.0, min_length=0)
            pixels += lines.sum()
            blocks += count_blocks(lines)
        self.assertGreater(pixels, 5000)
        self.assertLess(blocks, 0.003 * pixels)

    def test_a_faint_line_is_kept_where_a_strong_one_goes_on(self):
        pixels = step(0.0)
        pixels[:, 32:] += np.linspace(0.4 * 255, 0.1 * 255, 64).astype(np.uint8)[:, None, None]
        self.assertFalse(draw(pixels)[:, :30].any())
        self.assertGreaterEqual(draw(pixels)[:, 30:34].sum(), 60)
        self.assertFalse(draw(pixels, edge_low=0.2)[48:].any())
        self.assertFalse(draw(pixels[48:]).any())  # Nothing strong there.

    @parameterized.parameters(0, 1, 2)
    def test_colours_have_edges_too(self, channel):
        self.assertTrue(draw(step(0.5, channel=channel)).any())

    def test_colours_of_one_lightness(self):
        pixels = np.full([64, 64, 3], (200, 60, 60), np.uint8)
        pixels[:, 32:] = (60, 131, 60)  # The same luma.
        self.assertTrue(draw(pixels).any())

    def test_short_lines_are_removed(self):
        pixels = np.full([64, 64, 3], 255, np.uint8)
        pixels[10:14, 10:14] = 0
        outline = draw(pixels, smoothing=1.0, min_length=0).sum()
        self.assertGreaterEqual(outline, 8)
        self.assertEqual(draw(pixels, smoothing=1.0, min_length=outline).sum(), outline)
        self.assertFalse(draw(pixels, smoothing=1.0, min_length=outline + 1).any())

    def test_noise_leaves_no_speckle(self):
        noise = np.random.default_rng(0).normal(128, 15, [96, 96, 3]).clip(0, 255)
        self.assertFalse(draw(noise.astype(np.uint8)).any())
        speckle = draw(noise.astype(np.uint8), smoothing=0.0, min_length=0)
        self.assertGreater(speckle.sum(), 50)

    def test_nothing_in_a_plain_picture(self):
        self.assertFalse(draw(np.full([32, 32, 3], 77, np.uint8), edge_low=1e-9).any())

    @parameterized.parameters((1, 1), (1, 40), (40, 1), (2, 2))
    def test_tiny_pictures(self, height, width):
        self.assertEqual(draw(photo(width=width, height=height)).shape, (height, width))

    def test_16_bits(self):
        pixels = photo(width=64, height=64)
        np.testing.assert_array_equal(
            draw(pixels, min_length=5), draw(pixels.astype(np.uint16) * 257, min_length=5)
        )
        self.assertTrue(draw(pixels, min_length=5).any())

    @parameterized.parameters(0.0, 2.0, 5.5)
    def test_tiles_leave_no_trace(self, smoothing):
        noise = np.random.default_rng(0).integers(0, 256, [50, 70, 3], np.uint8)
        for pixels in (noise, photo(width=70, height=50)):
            settings = dict(smoothing=smoothing, edge_low=0.02, edge_high=0.1, min_length=2)
            whole = draw(pixels, **settings)
            with mock.patch.object(edges, "_TILE", 23):
                np.testing.assert_array_equal(draw(pixels, **settings), whole)
        self.assertGreater(whole.sum(), 10)

    def test_memory(self):
        """Of NumPy, for each pixel; the whole at once takes 116 bytes."""
        pixels = photo(width=600, height=400)
        draw(pixels[:64])  # Imports.
        with mock.patch.object(edges, "_TILE", 60):
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            draw(pixels)
            _, peak = tracemalloc.get_traced_memory()
        self.assertLess(peak / 240_000, 25)

    def test_near_the_authors_maps_of_shoes(self):
        """Theirs are of a network. Of our lines 0.85 are within 2 pixels of theirs; 0.81 back."""
        folder = data_folder.require("edges2shoes_sample")
        precision, recall = [], []
        for path in sorted(folder.glob("*.jpg"))[::10]:
            pair = read(path)
            theirs, ours = pair[:, :256, 0] < 128, draw(pair[:, 256:])
            precision.append((ndimage.distance_transform_edt(~theirs)[ours] <= 2).mean())
            recall.append((ndimage.distance_transform_edt(~ours)[theirs] <= 2).mean())
        self.assertGreater(np.mean(precision), 0.82)
        self.assertGreater(np.mean(recall), 0.77)


class EdgesCommandTest(TaskTest):
    task = "edges"

    def setUp(self):
        super().setUp()
        save(self.input / "1.png", disc()[0])

    def test_edges_are_on_the_left(self):
        self.assert_done(self.run_task())
        pair = read(self.output / "1.png")
        expected = edges.draw_edges(disc()[0], **_SETTINGS)
        np.testing.assert_array_equal(pair[:, :96], np.repeat(expected, 3, axis=-1))
        np.testing.assert_array_equal(pair[:, 96:], disc()[0])

    def test_flags_arrive_and_defaults_agree_with_the_authors_maps(self):
        given = dict(smoothing=1.0, edge_low=0.1, edge_high=0.9, min_length=3)
        for settings, expected in (({}, _SETTINGS), (given, given)):
            flags = [f"--{name}={value}" for name, value in settings.items()]
            output = f"--output={self.folder / str(len(flags))}"
            with mock.patch.object(edges, "draw_edges", wraps=edges.draw_edges) as drawn:
                self.assert_done(self.run_task(*flags, output))
            self.assertEqual(drawn.call_args.kwargs, expected)

    @parameterized.parameters(
        dict(edge_low=0.3, edge_high=0.2),
        dict(edge_low=0.0, edge_high=0.2),
        dict(edge_low="nan", edge_high=0.2),
        dict(edge_low=0.1, edge_high="nan"),
        dict(edge_low=0.1, edge_high="inf"),
        dict(edge_low="inf", edge_high="inf"),
        dict(smoothing="inf"),
        dict(smoothing="nan"),
        dict(smoothing=100.1),
        dict(smoothing=-1.0),
        dict(min_length=-1),
        dict(min_length=2**26 + 1),
    )
    def test_numbers_that_make_no_sense(self, **settings):
        shown = [part for name, value in settings.items() for part in (name, value)]
        result = self.run_task(*(f"--{name}={value}" for name, value in settings.items()))
        self.assert_refused(result, *shown)
        # So that the corrected command may have it.
        self.assertFalse(self.output.exists())

    @parameterized.parameters(0, 100)
    def test_least_and_most_smoothing(self, smoothing):
        self.assert_done(self.run_task(f"--smoothing={smoothing}"))

    def test_without_scikit_image(self):
        original = builtins.__import__

        def without(name, *arguments, **settings):
            if name.partition(".")[0] == "skimage":
                raise ImportError(name)
            return original(name, *arguments, **settings)

        with mock.patch.object(builtins, "__import__", without):
            result = self.run_task()
        self.assert_refused(result, "'scikit-image>=0.22,<0.27'")
        self.assertFalse((self.folder / "out").exists())
        # The same as the extra has.
        project = (pathlib.Path(__file__).parent.parent / "pyproject.toml").read_text()
        self.assertIn('prepare = ["scikit-image>=0.22,<0.27"]', project)
