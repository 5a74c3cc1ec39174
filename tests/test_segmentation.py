"""Tests of `pix2pix_tf.evaluation.segmentation`, with a segmenter that sees brightness."""

from __future__ import annotations

import measured_pairs
import numpy as np
import tensorflow as tf
import tiny_runs
from PIL import Image

from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.evaluation import segmentation
from pix2pix_tf.evaluation.classes import IGNORED, ClassTable, LabelClass

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
    origin = "from scratch"

    def predict(self, images, *, size):
        self.size = size
        resized = tf.image.resize(images, size, method="nearest").numpy()
        return (resized.mean(axis=-1) > 0).astype(np.uint8)


class SegmentationTest(tf.test.TestCase):
    def make(self, *, class_maps="", direction="BtoA", names=("one", "two")):
        self.segmenter = FakeSegmenter()
        make, self.notes = segmentation.prepare(
            self.segmenter, direction=direction, class_maps=class_maps, split="test", names=names
        )
        return make()

    def test_scores_outputs_and_real_pictures(self):
        measure = self.make()
        half = np.concatenate([_BLACK[:2], _WHITE[:2]])
        # Labels: half dark, half light. The output is all dark, the photo is right.
        own = measure.add(measured_pairs.make_pair(_BLACK, half, source=half))
        self.assertEqual(own, {"per_pixel_accuracy": 0.5})
        # Labels: light. Output and photo are right.
        own = measure.add(measured_pairs.make_pair(_WHITE, _WHITE, source=_WHITE))
        self.assertEqual(own, {"per_pixel_accuracy": 1.0})
        result = measure.result()
        # 8 pixels dark, all found; 24 light, 16 found: 24/32, (1 + 2/3)/2, (8/16 + 16/24)/2.
        self.assertAllClose(
            result["outputs"],
            dict(per_pixel_accuracy=0.75, per_class_accuracy=5 / 6, class_iou=7 / 12),
        )
        self.assertEqual(set(result["ground_truth"].values()), {1.0})
        self.assertEqual(result["most_frequent_class"], dict(name="light", share=0.75))
        self.assertEqual(result["confusion_matrix"], [[8, 0], [8, 16]])
        self.assertEqual(result["segmenter"]["weights"], "from scratch")
        scores = {x.name: (x.value, x.ground_truth) for x in measure.scores(result)}
        self.assertEqual(scores["per_pixel_accuracy"], (0.75, 1.0))
        self.assertIn("nearest colours", self.notes[1])

    def test_ignored_pixels_do_not_count(self):
        measure = self.make()
        source = _WHITE.copy()
        source[:3] = (255, 0, 0)
        own = measure.add(measured_pairs.make_pair(_BLACK, _WHITE, source=source))
        self.assertEqual(own, {"per_pixel_accuracy": 0.0})
        self.assertEqual(sum(map(sum, measure.result()["confusion_matrix"])), 4)

    def test_a_picture_that_is_ignored_altogether_has_no_score(self):
        measure = self.make()
        source = np.zeros_like(_WHITE) + np.array([255, 0, 0], np.uint8)
        own = measure.add(measured_pairs.make_pair(_BLACK, _WHITE, source=source))
        self.assertEqual(own, {"per_pixel_accuracy": None})
        self.assertIsNone(measure.result())

    def test_class_maps_have_their_own_size_and_their_central_square_counts(self):
        folder = tiny_runs.temporary_folder(self)
        (folder / "test").mkdir()
        wide = np.full([8, 12], IGNORED, np.uint8)
        wide[:, 2:10] = 1
        wide[:4, 2:10] = 0
        Image.fromarray(wide).save(folder / "test" / "one.png")
        measure = self.make(class_maps=str(folder), names=["one"])
        output = np.concatenate([_BLACK[:2], _WHITE[:2]])
        own = measure.add(measured_pairs.make_pair(output, _BLACK, name="one"))
        self.assertEqual(own, {"per_pixel_accuracy": 1.0})
        self.assertEqual(self.segmenter.size, (8, 8))
        result = measure.result()
        self.assertEqual((result["labels"], len(self.notes)), ("class maps", 1))
        self.assertEqual(sum(map(sum, result["confusion_matrix"])), 64)
        with self.assertRaisesRegex(MissingInputError, "1 of 2 pictures have no class map"):
            self.make(class_maps=str(folder))

    def test_outputs_that_are_no_photos_are_refused(self):
        with self.assertRaisesRegex(InputError, "direction is AtoB, whose outputs are no photos"):
            self.make(direction="AtoB")


if __name__ == "__main__":
    tf.test.main()
