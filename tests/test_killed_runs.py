"""Tests that a run survives SIGKILL: a few real kills. `make robustness` has twenty."""

from __future__ import annotations

import pathlib
import shutil
import tempfile

import killed_runs
from absl.testing import absltest


class KilledRunTest(absltest.TestCase):
    def test_it_ends_as_a_run_that_was_left_alone(self):
        folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        report = killed_runs.check(folder, kills=3, seed=1)
        print(report)
        self.assertEmpty(report.lost, str(report))
        self.assertEqual(sum(report.kills.values()), 3)
        # One came while a checkpoint was written: its folder was left unfinished.
        self.assertTrue(any(place.startswith("in a checkpoint") for place in report.kills), report)
        self.assert_differences_are_seen(folder / "killed", folder / "undisturbed")

    def assert_differences_are_seen(self, run: pathlib.Path, expected: pathlib.Path) -> None:
        """Asserts that the comparison can fail."""
        (run / "discriminator.weights.h5").write_bytes(b"")
        (run / "samples" / "step_00000003.png").unlink()
        newest = sorted((run / "checkpoints").glob("step_*"))
        for path in newest[0].glob("state.*"):  # The state of one step in place of another's.
            shutil.copyfile(path, newest[1] / path.name)
        with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write('{"step": 1}\n')
        self.assertCountEqual(
            killed_runs.differences(run, expected),
            [
                "discriminator.weights.h5 differs",
                "samples/step_00000003.png is missing",
                "metrics.jsonl differs",
                f"the state in {newest[1].name} differs",
            ],
        )


if __name__ == "__main__":
    absltest.main()
