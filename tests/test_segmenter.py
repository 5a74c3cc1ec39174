"""Tests of `pix2pix_tf.evaluation.fcn_score.segmenter`."""

from __future__ import annotations

import hashlib
import json
import shutil

import keras
import numpy as np
import tensorflow as tf
import tiny_runs

from pix2pix_tf.data import classes
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.evaluation.fcn_score import fcn, segmenter
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig

_SIZE = 32
_TABLE = classes.find("cityscapes")


def light_or_dark() -> keras.Model:
    """Returns a stand-in for FCN-8s: class 1 where a picture is light, class 0 where dark."""
    image = keras.Input([None, None, 3])
    head = keras.layers.Conv2D(2, 1)
    logits = head(image)
    head.set_weights([np.array([[[[-1, 1]] * 3]], np.float32), np.zeros(2, np.float32)])
    pooled = keras.layers.AveragePooling2D(_SIZE // 2)(image)
    return keras.Model(image, [logits, pooled])


class PredictTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.segmenter = segmenter.Segmenter(light_or_dark(), _TABLE, crop_size=_SIZE)

    def test_each_pixel_where_it_is(self):
        image = np.full([1, _SIZE, _SIZE, 3], -0.5, np.float32)
        image[0, 4:8, 10:] = 0.5
        found = self.segmenter.predict(image, size=(_SIZE, _SIZE))
        self.assertEqual(found.dtype, np.uint8)
        self.assertAllEqual(found[0], image[0, ..., 0] > 0)

    def test_scores_are_compared_after_they_were_resized(self):
        # Between a strong and a weak answer the border is nearer to the weak one: classes
        # that were resized themselves would have it in the middle.
        image = np.full([1, _SIZE, _SIZE, 3], -0.9, np.float32)
        image[:, :, _SIZE // 2 :] = 0.1
        found = self.segmenter.predict(image, size=(4 * _SIZE, 4 * _SIZE))
        self.assertAllEqual(found[0, 0].sum(), 2 * _SIZE - 2)

    def test_features_are_means_at_the_trained_size(self):
        image = tiny_runs.random_image(6, _SIZE, _SIZE, 3)
        self.assertAllClose(self.segmenter.features(image), image.mean(axis=(1, 2)), atol=1e-6)
        large = np.repeat(np.repeat(image, 2, axis=1), 2, axis=2)
        self.assertAllClose(self.segmenter.features(large), image.mean(axis=(1, 2)), atol=1e-2)


class LoadTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.saved = tiny_runs.temporary_folder(cls)
        keras.utils.set_random_seed(1)
        cls.model = fcn.build_fcn(19, base_filters=1)
        for name in ("score", "score_pool4", "score_pool3"):  # Zero in a fresh network.
            head = cls.model.get_layer(name)
            head.set_weights([np.random.normal(size=x.shape) for x in head.get_weights()])
        cls.model.save_weights(str(cls.saved / segmenter.WEIGHTS))
        config = SegmenterConfig(dataset="cityscapes", base_filters=1, crop_size=64)
        segmenter.write_info(cls.saved, config, _TABLE, step=7)

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self) / "segmenter"
        shutil.copytree(self.saved, self.folder)

    def test_what_was_saved_comes_back(self):
        loaded = segmenter.load(self.folder)
        self.assertEqual(loaded.classes, _TABLE)
        self.assertEqual(loaded.crop_size, 64)
        weights = (self.folder / segmenter.WEIGHTS).read_bytes()
        self.assertEqual((loaded.step, loaded.digest), (7, hashlib.sha256(weights).hexdigest()))
        image = tiny_runs.random_image(5, 64, 64, 3)
        logits, features = self.model(image, training=False)
        found = loaded.predict(image, size=(64, 64))
        self.assertAllEqual(found, np.argmax(logits, axis=-1))
        self.assertGreater(len(np.unique(found)), 2)
        expected = np.mean(features, axis=(1, 2))
        self.assertAllClose(loaded.features(image), expected, rtol=1e-4, atol=1e-5)
        # What else is in a batch changes nothing.
        alone = [loaded.features(picture[np.newaxis])[0] for picture in image]
        self.assertAllClose(alone, expected, rtol=1e-4, atol=1e-5)

    def test_settings_of_an_earlier_version_are_left_out(self):
        path = self.folder / segmenter.INFO
        info = json.loads(path.read_text())
        info["origin"] = info["config"]["body_weights"] = "from scratch"
        del info["table"]  # The name of the data set told the classes.
        path.write_text(json.dumps(info))
        loaded = segmenter.load(self.folder)
        self.assertEqual((loaded.crop_size, loaded.classes), (64, _TABLE))

    def test_no_segmenter(self):
        with self.assertRaisesRegex(MissingInputError, "nowhere.*train_segmenter"):
            segmenter.load(self.folder / "nowhere")
        (self.folder / segmenter.WEIGHTS).unlink()
        with self.assertRaises(MissingInputError):
            segmenter.load(self.folder)

    def test_damaged_files(self):
        path = self.folder / segmenter.INFO
        info = json.loads(path.read_text())
        wider = {**info, "config": {**info["config"], "base_filters": 2}}
        for text, file in (
            (json.dumps(wider), segmenter.WEIGHTS),  # Which hold other shapes.
            (json.dumps({**info, "config": None}), segmenter.INFO),
            ("{", segmenter.INFO),
        ):
            path.write_text(text)
            with self.assertRaisesRegex(InputError, file):
                segmenter.load(self.folder)
        path.write_text(json.dumps(info))
        (self.folder / segmenter.WEIGHTS).write_bytes(b"no weights")
        with self.assertRaisesRegex(InputError, segmenter.WEIGHTS):
            segmenter.load(self.folder)
