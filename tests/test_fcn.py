"""Tests of `pix2pix_tf.evaluation.fcn_score.fcn`."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
import tiny_runs

from pix2pix_tf.evaluation.fcn_score import fcn


class FcnTest(tf.test.TestCase):
    def test_shapes_and_dtypes(self):
        for dtype in ("float32", "mixed_bfloat16"):
            model = fcn.build_fcn(5, base_filters=2, dtype=dtype)
            logits, features = model(tiny_runs.random_image(2, 64, 96, 3))
            self.assertEqual(logits.shape, (2, 64, 96, 5))
            self.assertEqual(features.shape, (2, 2, 3, 128))
            self.assertEqual([logits.dtype, features.dtype], [tf.float32, tf.float32])

    def test_scores_of_each_level_reach_the_output_where_they_belong(self):
        # One unit of score at the top left of each level, the others silent.
        model = fcn.build_fcn(2, base_filters=1)
        sizes = dict(score=2, score_pool4=4, score_pool3=8)
        for name in sizes:
            expected = 64 // sizes[name]  # Pixels of the output under one unit.
            inputs = [model.get_layer(other).output for other in sizes]
            head = keras.Model(inputs, model.output[0])
            maps = [np.zeros([1, size, size, 2], np.float32) for size in sizes.values()]
            maps[list(sizes).index(name)][0, 0, 0, 1] = 1.0
            logits = head(maps).numpy()[0]
            self.assertAllEqual(logits[..., 0], np.zeros([64, 64]))
            middle = expected // 2
            self.assertGreater(logits[middle, middle, 1], 0.5)
            self.assertAllEqual(logits[2 * expected :, :, 1], np.zeros([64 - 2 * expected, 64]))
            # Bilinear upsampling spreads a unit over as many pixels as it stands for, and
            # loses some of it at the picture's edge at most.
            self.assertBetween(logits[..., 1].sum(), 0.5 * expected**2, 1.5 * expected**2)
