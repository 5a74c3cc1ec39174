"""Tests of `pix2pix_tf.evaluation.fcn_score.fcn`."""

from __future__ import annotations

from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import tiny_runs

from pix2pix_tf.evaluation.fcn_score import fcn


def narrow_vgg() -> keras.Model:
    """Returns VGG-16 without its top, 2 filters wide, with random weights."""
    x = image = keras.Input([None, None, 3])
    for block, (depth, filters) in enumerate([(2, 2), (2, 4), (3, 8), (3, 16), (3, 16)], start=1):
        for number in range(1, depth + 1):
            name = f"block{block}_conv{number}"
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = keras.layers.MaxPooling2D(2)(x)
    model = keras.Model(image, x)
    tiny_runs.set_weights(model, seed=0)
    return model


class FcnTest(tf.test.TestCase):
    def test_imagenet_weights_see_what_they_were_trained_on(self):
        model, vgg = fcn.build_fcn(3, base_filters=2, batch_norm=False), narrow_vgg()
        with mock.patch.object(keras.applications, "VGG16", return_value=vgg) as load:
            fcn.load_imagenet_body(model, "weights.h5")
        load.assert_called_once_with(weights="weights.h5", include_top=False)
        image = tiny_runs.random_image(1, 64, 64, 3)
        levels = (image + 1.0) * 127.5
        expected = vgg(keras.applications.vgg16.preprocess_input(levels))
        body = keras.Model(model.input, model.get_layer("block5_pool").output)
        self.assertGreater(np.abs(expected).max(), 0.0)
        self.assertAllClose(body(image), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())

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
