"""A short round of `fuzz_decoders`: the same files each time. `make fuzz` has long ones."""

from __future__ import annotations

import fuzz_decoders
import tiny_runs
from absl.testing import absltest


class FuzzTest(absltest.TestCase):
    def test_a_round(self):
        properties = fuzz_decoders.Properties(tiny_runs.temporary_folder(self))
        fuzz_decoders.run(properties, seed=0, num_examples=120)
        for name in properties.all():
            # Damage that nothing reads, or that all is refused for, would test nothing.
            for outcome in ("read", "refused"):
                self.assertGreater(properties.counts.get((name, outcome), 0), 2, (name, outcome))
