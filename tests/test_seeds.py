"""Tests of `pix2pix_tf.seeds`."""

from __future__ import annotations

import itertools

from absl.testing import absltest

from pix2pix_tf import seeds


class StreamTest(absltest.TestCase):
    def test_no_two_streams_meet(self):
        purposes = (seeds.ORDER, seeds.JITTER, seeds.NOISE, seeds.SAMPLES)
        streams = [
            seeds.stream(seed, purpose) for seed, purpose in itertools.product(range(9), purposes)
        ]
        self.assertLen(set(streams), 9 * len(purposes))


if __name__ == "__main__":
    absltest.main()
