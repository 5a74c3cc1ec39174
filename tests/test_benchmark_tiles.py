"""Tests of `benchmarks.tiles`, on a picture so small that it takes no time."""

from __future__ import annotations

import json
from unittest import mock

import benchmark_fakes
import command_line
import pytest
import tiny_runs
from absl.testing import absltest

from benchmarks import rounds, tiles


class TilesTest(absltest.TestCase):
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

    def test_by_tiles(self):
        run = f"--model={tiny_runs.shared_run()}"
        with mock.patch.object(rounds, "Contender", benchmark_fakes.InProcess):
            result = self.run_command(run, "--width=150", "--height=70", "--tile=64")
        self.assertEqual(result.exit_code, 0, result)
        self.assertRegex(result.stdout, r"(?s)150x70, 2 filters.*\| by tiles of 64 \| ")
        whole, item = self.read()
        self.assertEqual((whole["width"], whole["height"], whole["crop_size"]), (150, 70, 32))
        self.assertGreater(item["seconds"], 0)

    @pytest.mark.slow
    def test_an_untrained_picture_in_one_piece_takes_memory_by_the_pixel(self):
        sizes = ("--width=2040", "--height=1020", "--crop_size=32", "--base_filters=8")
        result = self.run_command("--whole", *sizes)
        self.assertEqual(result.exit_code, 0, result)
        self.assertIn("| in one piece | ", result.stdout)
        _, item = self.read()
        # 2048 x 1024 pixels, padded.
        num_bytes = 1e9 * item["above_idle_gigabytes"]
        self.assertAlmostEqual(item["bytes_per_pixel"], num_bytes / 2**21, places=3)
        self.assertAlmostEqual(item["bytes_per_pixel_and_filter"], item["bytes_per_pixel"] / 8)
        # At least three maps of 8 filters at half of the size, in float32.
        self.assertGreater(num_bytes, 3 * 2**21 / 4 * 8 * 4)

    def test_a_model_that_takes_no_pictures(self):
        tiny_runs.write_run(self.folder / "run", input_channels=5)
        result = self.run_command(f"--model={self.folder / 'run'}")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertIn("takes 5 channel(s)", result.stderr)


if __name__ == "__main__":
    absltest.main()
