"""Tests of `benchmarks.tiles`, on a picture so small that it takes no time."""

from __future__ import annotations

import json

import command_line
import numpy as np
import tiny_runs
from absl.testing import absltest, parameterized
from PIL import Image

from benchmarks import tiles


class TilesTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def run_command(self, *arguments: str):
        return command_line.run(tiles, f"--json={self.folder / 'tiles.json'}", *arguments)

    def read(self) -> tuple[dict, dict]:
        """Returns the result, and what it holds of the one measurement."""
        result = json.loads((self.folder / "tiles.json").read_text())
        ((item,),) = (group["contenders"] for group in result["groups"])
        return result, item

    def test_an_untrained_model_by_tiles(self):
        result = self.run_command(
            *("--width=150", "--height=70", "--tile=64", "--crop_size=32", "--base_filters=2")
        )
        self.assertEqual(result.exit_code, 0, result)
        self.assertRegex(
            result.stdout, r"(?s)One image of 150x70, 2 filters.*\| by tiles of 64 \| "
        )
        whole, item = self.read()
        self.assertEqual((whole["width"], whole["height"], whole["crop_size"]), (150, 70, 32))
        self.assertGreater(item["seconds"], 0)
        # An idle process has TensorFlow; what one so small takes is hardly more than a part.
        self.assertBetween(item["idle_resident_gigabytes"], 0.1, 2)
        self.assertBetween(item["above_idle_gigabytes"], 0.001, 1)

    def test_a_picture_in_one_piece_takes_memory_by_the_pixel(self):
        tiny_runs.write_run(self.folder / "run", base_filters=8)
        pixels = np.random.RandomState(0).randint(0, 256, [9, 20, 3]).astype(np.uint8)
        Image.fromarray(pixels).save(self.folder / "photo.jpg")
        flags = (
            f"--model={self.folder / 'run'}",
            f"--input={self.folder / 'photo.jpg'}",
            "--whole",
        )
        result = self.run_command(*flags, "--width=2040", "--height=1020")
        self.assertEqual(result.exit_code, 0, result)
        self.assertIn("| in one piece | ", result.stdout)
        _, item = self.read()
        # 2048 x 1024 pixels, padded.
        num_bytes = 1e9 * item["above_idle_gigabytes"]
        self.assertAlmostEqual(item["bytes_per_pixel"], num_bytes / 2**21, places=3)
        self.assertAlmostEqual(item["bytes_per_pixel_and_filter"], item["bytes_per_pixel"] / 8)
        # At least three maps of 8 filters at half of the size, in float32.
        self.assertGreater(num_bytes, 3 * 2**21 / 4 * 8 * 4)

    @parameterized.parameters(
        (dict(input_channels=5), "takes 5 channel(s), or values of its own: no pictures."),
        (dict(input_range="0,1"), "takes 3 channel(s), or values of its own: no pictures."),
    )
    def test_a_model_that_takes_no_pictures(self, settings, expected):
        tiny_runs.write_run(self.folder / "run", **settings)
        result = self.run_command(f"--model={self.folder / 'run'}")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertIn(expected, result.stderr)

    def test_a_measurement_that_fails_is_told(self):
        result = self.run_command(
            *("--width=9", "--height=9", "--tile=48", "--crop_size=32", "--base_filters=2")
        )
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(result.stdout, r"failed: Ended with status 1: InputError: tile is 48")


if __name__ == "__main__":
    absltest.main()
