"""Tests of `benchmarks.tiles`, on a picture so small that it takes no time."""

from __future__ import annotations

import json
from unittest import mock

import benchmark_fakes
import command_line
import tiny_runs
from absl.testing import absltest

from benchmarks import rounds, tiles


class TilesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def run_command(self, *arguments: str):
        return command_line.run(tiles, f"--json={self.folder / 'tiles.json'}", *arguments)

    def test_by_tiles(self):
        run = f"--model={tiny_runs.shared_run()}"
        with mock.patch.object(rounds, "Contender", benchmark_fakes.InProcess):
            result = self.run_command(run, "--width=150", "--height=70", "--tile=64")
        self.assertEqual(result.exit_code, 0, result)
        self.assertRegex(result.stdout, r"(?s)150x70, 2 filters.*\| by tiles of 64 \| ")
        whole = json.loads((self.folder / "tiles.json").read_text())
        ((item,),) = (group["contenders"] for group in whole["groups"])
        self.assertEqual((whole["width"], whole["height"], whole["crop_size"]), (150, 70, 32))
        self.assertGreater(item["seconds"], 0)

    def test_a_model_that_takes_no_pictures(self):
        tiny_runs.write_run(self.folder / "run", input_channels=5)
        self.run_command(f"--model={self.folder / 'run'}").check_refused("takes 5 channel(s)")
