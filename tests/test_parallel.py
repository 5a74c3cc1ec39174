"""Tests of `pix2pix_tf.data.parallel`."""

from __future__ import annotations

from absl.testing import absltest

from pix2pix_tf.data import parallel


class MapAllTest(absltest.TestCase):
    def test_keeps_the_order(self):
        self.assertEqual(parallel.map_all(lambda x: x * x, range(50)), [x * x for x in range(50)])

    def test_other_errors_are_not_collected(self):
        # A defect of the project must keep its traceback.
        with self.assertRaises(ZeroDivisionError):
            parallel.map_all(lambda x: 1 // x, [1, 0])
