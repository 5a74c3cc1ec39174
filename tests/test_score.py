"""Tests of `pix2pix_tf.evaluation.score`."""

from __future__ import annotations

import json

from absl.testing import parameterized

from pix2pix_tf import metrics
from pix2pix_tf.evaluation import score


class ScoreTest(parameterized.TestCase):
    @parameterized.parameters(
        ("l1", [0.3, 0.2, 0.1]),
        ("class_iou", [0.1, 0.2, 0.3]),
        ("sharpness", [0.1, 4.0, 0.3, 1.9, 1.0]),  # As a factor, whichever way.
        ("sharpness", [0.0, 1e-3]),
        ("draws_l1", [0.1, 0.2]),
    )
    def test_from_worst_to_best(self, name, values):
        self.assertEqual(
            sorted(values, key=lambda value: score.badness(name, value), reverse=True), values
        )

    def test_agrees_with_training_on_which_way_a_measure_points(self):
        for name, larger_is_better in metrics.LARGER_IS_BETTER.items():
            expected = score.MORE if larger_is_better else score.LESS
            self.assertEqual(score.KINDS[name].better, expected)

    def test_what_only_describes_cannot_be_chosen_by(self):
        self.assertIn("kid", score.CHOOSABLE)
        self.assertNotIn("draws_l1", score.CHOOSABLE)

    def test_as_a_dict_for_json(self):
        found = score.Score("kid", 0.5, interval=(0.25, 0.75)).to_dict()
        expected = dict(better="less", value=0.5, interval=[0.25, 0.75])
        unknown = dict(standard_error=None, ground_truth=None)
        self.assertEqual(json.loads(json.dumps(found)), {**expected, **unknown})
