"""Tests of `benchmarks.strip`."""

from __future__ import annotations

import command_line
import numpy as np
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from benchmarks import strip


class StripTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        # Red, green and blue by column; brighter by pair.
        for column, folder in enumerate(("inputs", "outputs", "targets")):
            (self.folder / "evaluation" / folder).mkdir(parents=True)
            for number in range(5):
                pixels = np.zeros([40, 40, 3], np.uint8)
                pixels[..., column] = 50 * (number + 1)
                path = self.folder / "evaluation" / folder / f"pair_{number}.png"
                Image.fromarray(pixels).save(path)

    def run_command(self, *arguments: str, output: str = "docs/a.jpg"):
        return command_line.run(
            strip,
            f"--evaluation={self.folder / 'evaluation'}",
            f"--output={self.folder / output}",
            *arguments,
        )

    def colours(self) -> list[list[int]]:
        """Returns the brightness of each picture, by row and column."""
        with Image.open(self.folder / "docs" / "a.jpg") as picture:
            self.assertEqual(picture.format, "JPEG")
            pixels = np.asarray(picture).astype(int)
        rows = [pixels[22 + 44 * row + 20] for row in range((len(pixels) - 22 + 4) // 44)]
        return [[int(row[44 * x + 20, x]) for x in range(3)] for row in rows]

    def test_shows_input_output_and_target_of_pairs_spread_evenly(self):
        result = self.run_command("--count=3")
        self.assertEqual(result.exit_code, 0, result)
        self.assertIn("pair_0, pair_2, pair_4", result.stdout)
        expected = [[value] * 3 for value in (50, 150, 250)]
        np.testing.assert_allclose(self.colours(), expected, atol=4)

    @parameterized.parameters(
        (["--names=pair_3,pair_1"], [200, 100]),
        (["--count=1"], [50]),
        (["--count=9"], [50, 100, 150, 200, 250]),  # No more than there are.
    )
    def test_which_are_shown(self, arguments, expected):
        self.run_command(*arguments)
        np.testing.assert_allclose([row[0] for row in self.colours()], expected, atol=4)

    @parameterized.parameters(
        (dict(output="a.png"), [], "a.png'"),
        ({}, ["--names=pair_9"], "pair_9"),
        ({}, ["--evaluation=elsewhere"], "'elsewhere"),
    )
    def test_wrong_input_is_one_line(self, options, arguments, expected):
        result = self.run_command(*arguments, **options)
        result.check_refused(expected)
