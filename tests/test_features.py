"""Tests of `pix2pix_tf.evaluation.features`, mostly with a small network for Inception's."""

from __future__ import annotations

import hashlib
from unittest import mock

import keras
import measured_pairs
import numpy as np
import tensorflow as tf
import tiny_runs

from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.evaluation import features
from pix2pix_tf.evaluation.distribution_distance import frechet_distance, kernel_distance


def small_network(*, include_top, pooling, weights) -> keras.Model:
    """Stands in for `keras.applications.InceptionV3`: means of colours, and their squares."""
    if include_top or pooling != "avg":
        raise AssertionError("It would not return features.")
    picture = keras.Input([None, None, 3])
    both = keras.layers.Concatenate()([picture, keras.layers.Multiply()([picture, picture])])
    both = keras.layers.Dense(6, kernel_initializer="identity")(both)
    network = keras.Model(picture, keras.layers.GlobalAveragePooling2D()(both))
    if weights != "imagenet":
        network.load_weights(weights)
    return network


def refuse(**unused):
    raise Exception("URL fetch failure on host: None -- Name or service not known")


class FakeSegmenter:
    digest = "a1b2"

    def features(self, pictures):
        return pictures.mean(axis=(1, 2))


def with_inception(replacement):
    return mock.patch.object(keras.applications, "InceptionV3", replacement)


class FindTest(tf.test.TestCase):
    def test_imagenet_first_then_the_segmenter_under_names_of_its_own_then_nothing(self):
        with with_inception(small_network):
            network, notes = features.find("", FakeSegmenter())
        self.assertEqual((network.distances, notes), (("fid", "kid"), []))
        self.assertIn("ImageNet", network.origin)
        with with_inception(refuse):
            network, (note,) = features.find("", FakeSegmenter())
            nothing, (other_note,) = features.find("", None)
        self.assertEqual(network.distances[0], "segmenter_frechet_distance")
        self.assertEqual(network.origin, "from scratch")
        self.assertIsNone(nothing)
        for text in (note, other_note):
            self.assertIn("Name or service not known", text)

    def test_none_asks_for_no_download(self):
        with with_inception(mock.Mock(side_effect=AssertionError)):
            self.assertEqual(features.find("none", None), (None, []))
            self.assertEqual(features.find("none", FakeSegmenter())[0].name, "the segmenter")

    def test_a_file_that_is_missing_or_of_another_network_is_refused(self):
        folder = tiny_runs.temporary_folder(self)
        with self.assertRaisesRegex(MissingInputError, "nothing.h5"):
            features.find(str(folder / "nothing.h5"), None)
        other = keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])
        path = folder / "other.weights.h5"
        other.save_weights(str(path))
        with with_inception(small_network):
            with self.assertRaisesRegex(InputError, "other.weights.h5"):
                features.find(str(path), None)


class InceptionTest(tf.test.TestCase):
    def test_scales_pictures_and_keeps_their_range(self):
        with with_inception(small_network):
            network = features.load_inception()
        flat = np.array([-1.0, 0.5], np.float32).reshape(2, 1, 1, 1) * np.ones([1, 32, 32, 3])
        found = network.features(flat.astype(np.float32))
        self.assertAllClose(found, [[-1, -1, -1, 1, 1, 1], [0.5] * 3 + [0.25] * 3], atol=1e-5)

    def test_weights_from_a_file(self):
        path = tiny_runs.temporary_folder(self) / "inception.weights.h5"
        stand_in = small_network(include_top=False, pooling="avg", weights="imagenet")
        tiny_runs.set_weights(stand_in, seed=0)
        stand_in.save_weights(str(path))
        with with_inception(small_network):
            network = features.load_inception(path)
        pictures = tiny_runs.random_image(2, 299, 299, 3)
        self.assertEqual(network.origin, "the file inception.weights.h5")
        self.assertEqual(network.digest, hashlib.sha256(path.read_bytes()).hexdigest())
        self.assertAllClose(network.features(pictures), stand_in(pictures), rtol=1e-3, atol=1e-5)


class DistributionMeasureTest(tf.test.TestCase):
    def test_is_over_all_pairs_whatever_the_batches(self):
        network, _ = features.find("none", FakeSegmenter())
        measure = features.DistributionMeasure(network, seed=3)
        outputs, targets = (measured_pairs.random_pixels(7, 8, 8, 3, seed=x) for x in (0, 1))
        for output, target in zip(outputs, targets // 2):
            measure.add(measured_pairs.make_pair(output, target))
        result, (frechet, kernel) = measure.result()
        expected = [x.mean(axis=(1, 2)) / 127.5 - 1 for x in (outputs, targets // 2)]
        self.assertAllClose(frechet.value, frechet_distance(*expected), rtol=1e-3)
        value, interval = kernel_distance(*expected, seed=3)
        self.assertAllClose([kernel.value, *kernel.interval], [value, *interval], rtol=1e-3)
        self.assertEqual(result["segmenter_frechet_distance"], frechet.value)
        self.assertEqual(result["segmenter_kernel_distance_interval"], kernel.interval)
        about = dict(num_outputs=7, num_targets=7, num_features=3, weights="from scratch")
        self.assertEqual({name: result[name] for name in about}, about)
        self.assertEqual(result["weights_sha256"], "a1b2")
        self.assertEmpty(measure.notes)

    def test_fid_is_never_without_what_it_rests_on(self):
        with with_inception(small_network):
            measure = features.DistributionMeasure(features.load_inception())
        for seed in range(2):
            pixels = measured_pairs.random_pixels(8, 8, 3, seed=seed)
            measure.add(measured_pairs.make_pair(pixels, pixels))
            result, _ = measure.result()
            self.assertEqual(result is None, seed == 0)  # One pair has no distribution.
        self.assertIsNone(result["weights_sha256"])
        (note,) = measure.notes
        self.assertRegex(note, "2 outputs and 2 targets.*Inception v3.*ImageNet.*biased")
