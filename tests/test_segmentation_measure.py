"""Tests of `fcn_score.segmentation_measure`, with a segmenter that sees brightness."""

from __future__ import annotations

import types

import measured_pairs
import numpy as np
import tensorflow as tf
import tiny_runs
from PIL import Image

from pix2pix_tf.data.classes import ClassTable, LabelClass
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.fcn_score import segmentation_measure

_BLACK, _WHITE = np.zeros([4, 4, 3], np.uint8), np.full([4, 4, 3], 255, np.uint8)


class FakeSegmenter:
    """Takes dark pixels for class 0, light ones for class 1."""

    classes = ClassTable(
        "facades",
        (
            LabelClass("dark", (0, 0, 0)),
            LabelClass("light", (255, 255, 255)),
            LabelClass("void", (255, 0, 0), ignored=True),
        ),
    )
    step, digest = 2500, "a1b2"

    def predict(self, images, *, size):
        self.size = size
        resized = tf.image.resize(images, size, method="nearest").numpy()
        return (resized.mean(axis=-1) > 0).astype(np.uint8)


def reader_of(**sources: np.ndarray):
    """Returns what stands for the reader of pairs with such inputs in their files."""
    names = list(sources)
    return types.SimpleNamespace(
        names=names, read_unscaled=lambda number: (sources[names[number]], None)
    )


class SegmentationTest(tf.test.TestCase):
    def make(self, *, class_maps="", direction="BtoA", **sources):
        self.segmenter = FakeSegmenter()
        return segmentation_measure.SegmentationMeasure(
            self.segmenter,
            reader_of(**sources),
            direction=direction,
            split="test",
            class_maps=class_maps,
        )

    def write_map(self, class_map: np.ndarray) -> str:
        """Writes the map of the pair "one"; returns the folder."""
        folder = tiny_runs.temporary_folder(self)
        (folder / "test").mkdir()
        Image.fromarray(class_map).save(folder / "test" / "one.png")
        return str(folder)

    def test_scores_outputs_and_real_pictures(self):
        half = np.concatenate([_BLACK[:2], _WHITE[:2]])
        measure = self.make(half=half, light=_WHITE)
        # Labels: half dark, half light. The output is all dark, the photo is right.
        own = measure.add(measured_pairs.make_pair(_BLACK, half, name="half"))
        self.assertEqual(own, {"per_pixel_accuracy": 0.5})
        # Labels: light. Output and photo are right.
        own = measure.add(measured_pairs.make_pair(_WHITE, _WHITE, name="light"))
        self.assertEqual(own, {"per_pixel_accuracy": 1.0})
        result, scores = measure.result()
        # 8 pixels dark, all found; 24 light, 16 found: 24/32, (1 + 2/3)/2, (8/16 + 16/24)/2.
        self.assertAllClose(
            result["outputs"],
            dict(per_pixel_accuracy=0.75, per_class_accuracy=5 / 6, class_iou=7 / 12),
        )
        self.assertEqual(set(result["ground_truth"].values()), {1.0})
        self.assertEqual(result["most_frequent_class"], dict(name="light", share=0.75))
        self.assertEqual(result["confusion_matrix"], [[8, 0], [8, 16]])
        about = dict(weights="from scratch", step=2500, weights_sha256="a1b2")
        self.assertEqual(result["segmenter"], dict(about, classes=["dark", "light"]))
        self.assertEqual((scores[0].value, scores[0].ground_truth), (0.75, 1.0))
        self.assertIn("nearest colours", measure.notes[1])

    def test_ignored_pixels_do_not_count(self):
        source = _WHITE.copy()
        source[:3] = (255, 0, 0)
        measure = self.make(pair=source)
        own = measure.add(measured_pairs.make_pair(_BLACK, _WHITE))
        self.assertEqual(own, {"per_pixel_accuracy": 0.0})
        self.assertEqual(np.sum(measure.result()[0]["confusion_matrix"]), 4)
        source[:] = (255, 0, 0)
        measure = self.make(pair=source)  # Nothing of which counts.
        own = measure.add(measured_pairs.make_pair(_BLACK, _WHITE))
        self.assertEqual((own, measure.result()), ({"per_pixel_accuracy": None}, (None, [])))

    def test_labels_are_read_before_they_are_scaled(self):
        # 1 pixel dark, 2 void, 5 light: scaled to 4 pixels, the borders would have other colours.
        source = np.repeat(np.full([1, 8, 3], 255, np.uint8), 8, axis=0)
        source[:, 0] = 0
        source[:, 1:3] = (255, 0, 0)
        measure = self.make(pair=source)
        measure.add(measured_pairs.make_pair(_WHITE, _WHITE))
        self.assertEqual(self.segmenter.size, (8, 8))
        self.assertEqual(measure.result()[0]["confusion_matrix"], [[0, 8], [0, 40]])

    def test_square_pictures_of_a_wide_view_are_judged_on_all_of_its_map(self):
        # As the paper's Cityscapes: 1024x2048 pixels that were squeezed to 256x256.
        wide = np.zeros([8, 16], np.uint8)
        wide[:, 4:] = 1
        measure = self.make(class_maps=self.write_map(wide), one=_BLACK)
        squeezed = np.concatenate([_BLACK[:, :1], _WHITE[:, 1:]], axis=1)
        own = measure.add(measured_pairs.make_pair(squeezed, _BLACK, name="one"))
        self.assertEqual((own, self.segmenter.size), ({"per_pixel_accuracy": 1.0}, (8, 16)))
        result, _ = measure.result()
        self.assertEqual((result["labels"], len(measure.notes)), ("class maps", 1))
        self.assertEqual(result["confusion_matrix"], [[32, 0], [0, 96]])

    def test_outputs_that_are_not_photos_are_refused_at_once(self):
        with self.assertRaisesRegex(InputError, "AtoB"):
            self.make(direction="AtoB")
