"""Tests of outputs that are label maps: measured, chosen by, and written as classes."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from unittest import mock

import command_line
import label_data
import measured_pairs
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_training
from absl.testing import parameterized
from PIL import Image
from refusals import refused

from export import compact
from pix2pix_tf import evaluate, run_folder, serving, translate
from pix2pix_tf.data import classes
from pix2pix_tf.evaluation import label_maps
from pix2pix_tf.training import inputs, loop

SIZE = label_data.SIZE
_PALETTE = np.array([kind.color for kind in classes.FACADES], np.uint8)


class MeasureTest(tf.test.TestCase):
    def make(self, **options) -> label_maps.LabelMapMeasure:
        return label_maps.LabelMapMeasure(label_data.TABLE, None, split="test", **options)

    def test_nearest_colours_of_outputs_and_targets(self):
        measure = self.make()
        target = _PALETTE[np.repeat([[0, 0, 1, 1]], 4, axis=0)]
        output = _PALETTE[np.repeat([[0, 1, 1, 1]], 4, axis=0)] ^ 3  # Not quite the colours.
        own = measure.add(measured_pairs.make_pair(output, target, name="one"))
        self.assertEqual(own, {"per_pixel_accuracy": 0.75})
        measure.add(measured_pairs.make_pair(target, target, name="two"))
        result, scores = measure.result()
        # Class 0: 12 of 16; class 1: 16, of which 4 are wrong.
        expected = dict(per_pixel_accuracy=28 / 32, per_class_accuracy=0.875, class_iou=0.775)
        self.assertAllClose(result["outputs"], expected)
        self.assertAllClose({x.name: x.value for x in scores}, expected)
        self.assertAllClose(result["iou_by_class"][:2], [0.75, 0.8])
        self.assertEqual(set(result["iou_by_class"][2:]), {None})
        self.assertEqual(result["most_frequent_class"], dict(name="background", share=0.5))

    def test_a_picture_of_the_confusion(self):
        measure = self.make()
        measure.add(measured_pairs.make_pair(*2 * [_PALETTE[np.zeros((4, 4), int)]], name="one"))
        result, _ = measure.result()
        picture = tf.io.decode_png(label_maps.plot(json.loads(json.dumps(result)))).numpy()
        self.assertGreater(min(picture.shape[:2]), 400)


class EvaluateTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        label_data.write(cls.folder, train=8, test=2)
        cls.outputs = cls.folder / "outputs"
        cls.outputs.mkdir()
        # The first is right; of the second the left half is "shop".
        for number in range(2):
            pair = np.asarray(Image.open(cls.folder / "facades" / "test" / f"test_{number}.png"))
            labels = pair[:, SIZE:].copy()
            if number:
                labels[:, : SIZE // 2] = _PALETTE[11]
            Image.fromarray(labels).save(cls.outputs / f"test_{number}.png")

    def evaluate(self, *flags: str, dataset: str = "facades") -> tuple[dict, pathlib.Path]:
        output = tiny_runs.temporary_folder(self) / "out"
        common = (f"--outputs={self.outputs}", f"--dataset={self.folder / dataset}")
        result = command_line.run(
            evaluate, *common, f"--output={output}", "--feature_weights=none", *flags
        )
        self.assertEqual(result.exit_code, 0, result.stderr)
        return json.loads((output / "evaluation.json").read_text()), output

    def test_pictures_of_labels(self):
        found, output = self.evaluate()
        self.assertEqual(found["scores"]["per_pixel_accuracy"]["value"], 0.75)
        self.assertEqual(found["per_image"]["test_0"]["per_pixel_accuracy"], 1.0)
        self.assertEqual(found["per_image"]["test_1"]["per_pixel_accuracy"], 0.5)
        self.assertLess(found["scores"]["class_iou"]["value"], 0.75)
        page = (output / "index.html").read_text()
        for part in ("confusion.png", "background", "rgb(0, 0, 222)", "nearest colours of the"):
            self.assertIn(part, page)
        self.assertTrue((output / "confusion.png").is_file())

    @parameterized.parameters("targets", "file", "maps")
    def test_classes_from_elsewhere(self, source):
        expected, _ = self.evaluate()
        other = self.folder / "else"
        if not other.exists():
            shutil.copytree(self.folder / "facades", other)
        path = self.folder / "mine.json"
        path.write_text(json.dumps(classes.to_json(label_data.TABLE)))
        flags = {"targets": "--classes=targets", "file": f"--classes={path}"}
        if source == "maps":
            found, _ = self.evaluate(f"--class_maps={self.folder / 'maps'}")
        else:
            found, _ = self.evaluate(flags[source], dataset="else")
        right = found["per_image"]["test_0"]["per_pixel_accuracy"]
        self.assertEqual(right, 1.0)
        if source == "targets":  # Which show three of the twelve.
            self.assertLen(found["label_maps"]["classes"], 3)
        else:
            self.assertEqual(found["scores"], expected["scores"])
        self.assertEqual(found["label_maps"]["labels"] == "class maps", source == "maps")

    def run_on(self, *flags: str, outputs=None, dataset="facades") -> command_line.Result:
        common = (f"--outputs={outputs or self.outputs}", f"--dataset={self.folder / dataset}")
        self.output = tiny_runs.temporary_folder(self) / "out"
        return command_line.run(
            evaluate, *common, f"--output={self.output}", "--feature_weights=none", *flags
        )

    def test_class_maps_of_another_order_are_refused(self):
        """The learned classes are in the order of how common they are."""
        maps = f"--class_maps={self.folder / 'other_maps'}"
        (self.folder / "other_maps" / "test").mkdir(parents=True)
        for path in (self.folder / "maps" / "test").iterdir():
            class_map = np.asarray(Image.open(path))
            Image.fromarray((class_map + 1) % 3).save(self.folder / "other_maps/test" / path.name)
        self.run_on(maps).check_refused("agree", "another order")
        self.run_on(maps, "--classes=targets").check_refused("agree", "how common they are")

    def test_indexes_are_not_colours(self):
        """All would be of the class that is nearest to black, and so agree."""
        maps = self.folder / "maps" / "test"
        self.run_on(outputs=maps).check_refused("--outputs hold values up to", "prepare labels")
        indexed = self.folder / "indexed"
        for path in maps.iterdir():
            (indexed / "test").mkdir(parents=True, exist_ok=True)
            pair = np.repeat(np.tile(np.asarray(Image.open(path)), 2)[..., np.newaxis], 3, axis=2)
            Image.fromarray(pair).save(indexed / "test" / path.name)
        result = self.run_on("--classes=facades", dataset="indexed")
        result.check_refused("The targets hold values up to", "prepare labels")
        photos = self.run_on("--classes=facades", "--direction=BtoA")
        photos.check_refused("do not show the classes of 'facades'", "--direction")

    def test_outputs_of_another_range_and_of_background_alone(self):
        kinds = [dict(name="no", color=[0, 0, 0]), dict(name="yes", color=[255, 255, 255])]
        path = self.folder / "two.json"
        path.write_text(json.dumps(kinds))
        masks = self.folder / "masks"
        (masks / "test").mkdir(parents=True)
        outputs = [self.folder / "white", self.folder / "black"]
        for folder in outputs:
            folder.mkdir()
        for number in range(2):
            mask = np.zeros([SIZE, 2 * SIZE, 3], np.uint8)
            mask[:10] = 255
            Image.fromarray(mask).save(masks / "test" / f"{number}.png")
            Image.fromarray(mask[:, :SIZE] // 255).save(outputs[0] / f"{number}.png")
            Image.fromarray(mask[20:, :SIZE].repeat(3, axis=0)[:SIZE]).save(
                outputs[1] / f"{number}.png"
            )
        shares = []
        for folder, flags in zip(outputs, (["--outputs_range=0,1"], [])):
            result = self.run_on(f"--classes={path}", *flags, outputs=folder, dataset="masks")
            self.assertEqual(result.exit_code, 0, result.stderr)
            found = json.loads((self.output / "evaluation.json").read_text())
            shares.append(found["scores"]["per_pixel_accuracy"]["value"])
        self.assertAllClose(shares, [1.0, 1 - 10 / SIZE])
        self.run_on(f"--classes={path}", outputs=outputs[0], dataset="masks").check_refused(
            "--outputs hold values"
        )

    def test_photos_as_outputs_have_none_unless_asked(self):
        found, output = self.evaluate("--direction=BtoA")
        self.assertNotIn("label_maps", found)
        self.assertFalse((output / "confusion.png").exists())
        common = (f"--outputs={self.outputs}", f"--dataset={self.folder / 'facades'}")
        result = command_line.run(
            evaluate,
            *common,
            "--direction=BtoA",
            "--classes=targets",
            f"--output={self.folder / 'x'}",
        )
        result.check_refused("do not look like label maps")


class TrainedTest(tf.test.TestCase):
    """A run on labels of another name, with learned classes, and what it is used for."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        label_data.write(cls.folder, train=8, val=2, test=2)
        (cls.folder / "facades").rename(cls.folder / "mine")
        cls.data = str(cls.folder / "mine")
        cls.workdir = cls.folder / "run"
        cls.config = cls.make_config()
        with tiny_training.stub_networks(), tiny_training.plain_convolutions():
            loop.train(cls.config, cls.workdir)

    @classmethod
    def make_config(cls, **settings):
        changed = dict(
            dataset=cls.data,
            classes="targets",
            best_metric="class_iou",
            num_steps=4,
            checkpoint_every=2,
            **settings,
        )
        return tiny_training.make_config(**changed)

    def test_checkpoints_are_chosen_by_it(self):
        best = run_folder.read_best(self.workdir)
        self.assertEqual(best["metric"], "class_iou")
        # As of the pixels of both pairs, which no mean over pairs has.
        measured = []
        for step in (2, 4):
            output = self.folder / f"val_{step}"
            flags = (f"--model={self.workdir}", f"--output={output}", "--split=val")
            with tiny_training.stub_networks(), tiny_training.plain_convolutions():
                result = command_line.run(
                    evaluate, *flags, f"--checkpoint={step}", "--feature_weights=none"
                )
            self.assertEqual(result.exit_code, 0, result.stderr)
            found = json.loads((output / "evaluation.json").read_text())
            measured.append(found["scores"]["class_iou"]["value"])
        self.assertLess(max(measured), 1.0)
        self.assertAllClose(best["value"], max(measured), atol=0.02)  # Other draws of the noise.
        table = classes.read(str(self.workdir / run_folder.CLASSES_FILE))
        self.assertEqual(
            {kind.color for kind in table.classes}, {tuple(x) for x in _PALETTE[:3].tolist()}
        )

    def test_learned_classes_keep_the_names_that_they_were_given(self):
        path = self.workdir / run_folder.CLASSES_FILE
        before = path.read_text()
        path.write_text(before.replace("colour 1", "sky"))
        config = dataclasses.replace(self.config, num_steps=5)
        with tiny_training.stub_networks(), tiny_training.plain_convolutions():
            loop.train(config, self.workdir)
            compacted = compact.compact(self.workdir, self.folder / "compact")
        self.assertEqual(classes.read(str(path)).classes[0].name, "sky")
        self.assertEqual(
            classes.read(str(compacted / run_folder.CLASSES_FILE)).classes[0].name, "sky"
        )

    def test_a_run_can_be_given_other_classes(self):
        """Learned ones were one too many, perhaps."""
        workdir = self.folder / "again"
        shutil.copytree(self.workdir, workdir)
        path = self.folder / "two.json"
        table = dataclasses.replace(label_data.TABLE, classes=label_data.TABLE.classes[:2])
        path.write_text(json.dumps(classes.to_json(table)))
        config = dataclasses.replace(self.config, num_steps=5, classes=str(path))
        best = workdir / run_folder.CHECKPOINTS_FOLDER / run_folder.BEST_FILE
        best.write_text(json.dumps(dict(json.loads(best.read_text()), value=0.99)))
        with tiny_training.stub_networks(), tiny_training.plain_convolutions():
            loop.train(config, workdir)
        noted = classes.read(str(workdir / run_folder.CLASSES_FILE))
        self.assertEqual(noted.classes, table.classes)
        # Of more classes it has less, and would never be the best again.
        self.assertEqual(run_folder.read_best(workdir)["step"], 5)
        path.unlink()  # The run has its own.
        with tiny_training.stub_networks(), tiny_training.plain_convolutions():
            loop.train(dataclasses.replace(config, num_steps=6), workdir)

    def test_the_name_of_a_folder_does_not_make_photos_labels(self):
        """As of a user's own facades, with the labels as A."""
        folder = self.folder / "own" / "facades"
        shutil.copytree(self.data, folder)
        for path in folder.glob("*/*.png"):
            Image.fromarray(np.roll(np.asarray(Image.open(path)), SIZE, axis=1)).save(path)
        config = tiny_training.make_config(dataset=str(folder), num_steps=2)
        workdir = self.folder / "photos"
        with tiny_training.stub_networks(), tiny_training.plain_convolutions():
            loop.train(config, workdir)
        self.assertFalse((workdir / run_folder.CLASSES_FILE).exists())
        config = dataclasses.replace(config, classes="facades")
        with refused("do not show the classes of 'facades'"):
            loop.train(config, self.folder / "named")

    def test_what_has_no_classes_is_refused(self):
        for settings, words in (
            (dict(direction="BtoA"), ["do not look like label maps"]),
            (dict(classes=""), ["class_iou", "not known", "targets"]),
            (dict(classes="nowhere.json"), ["nowhere.json", "cannot be read"]),
        ):
            config = self.make_config(**settings) if "classes" not in settings else None
            config = config or tiny_training.make_config(
                dataset=self.data, best_metric="class_iou", **settings
            )
            read = inputs.ReaderInputs.read_all
            reading = mock.patch.object(
                inputs.ReaderInputs, "read_all", autospec=True, side_effect=read
            )
            with refused(*words), reading as read_all:
                loop.train(config, self.folder / "refused")
            # What settings alone tell is told before all pairs are read.
            self.assertEqual(read_all.called, "classes" not in settings)


class WrittenTest(tf.test.TestCase):
    """`translate --to=classes`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.workdir = cls.folder / "run"
        tiny_runs.write_run(cls.workdir, dataset="/my/labels")
        text = json.dumps(classes.to_json(label_data.TABLE))
        (cls.workdir / run_folder.CLASSES_FILE).write_text(text)
        cls.exported = serving.save_version(cls.workdir, cls.folder / "exported").parent
        Image.fromarray(((tiny_runs.random_image(32, 32, 3) + 1) * 127).astype(np.uint8)).save(
            cls.folder / "photo.png"
        )

    def translate(
        self, model: pathlib.Path, *flags: str, name: str = "photo.png"
    ) -> command_line.Result:
        self.output = tiny_runs.temporary_folder(self) / "out"
        return command_line.run(
            translate,
            f"--model={model}",
            f"--input={self.folder / name}",
            f"--output={self.output}",
            *flags,
        )

    def test_the_index_of_each_pixels_class(self):
        indexes = []
        for model in (self.workdir, self.exported):
            result = self.translate(model, "--to=classes")
            self.assertEqual(result.exit_code, 0, result.stderr)
            with Image.open(self.output / "photo.png") as picture:
                self.assertEqual(picture.mode, "L")
                indexes.append(np.asarray(picture))
        self.assertAllEqual(indexes[0], indexes[1])
        self.assertGreater(len(np.unique(indexes[0])), 2)
        self.translate(self.workdir)
        shown = np.asarray(Image.open(self.output / "photo.png"))
        self.assertAllEqual(classes.nearest(shown, label_data.TABLE), indexes[0])

    def test_the_index_is_the_place_in_the_list(self):
        """Also where an ignored class stands before others."""
        void = classes.LabelClass("void", (9, 9, 9), ignored=True)
        path = self.folder / "void_first.json"
        table = dataclasses.replace(label_data.TABLE, classes=(void, *label_data.TABLE.classes))
        path.write_text(json.dumps(classes.to_json(table)))
        indexes = []
        for flags in ((), (f"--classes={path}",)):
            self.translate(self.workdir, "--to=classes", *flags)
            indexes.append(np.asarray(Image.open(self.output / "photo.png")))
        self.assertAllEqual(indexes[1], indexes[0] + 1)

    def test_they_are_never_jpeg(self):
        (self.folder / "photo.jpg").write_bytes((self.folder / "photo.png").read_bytes())
        self.translate(self.workdir, "--to=classes", "--samples=2", name="photo.jpg")
        names = sorted(path.name for path in self.output.iterdir())
        self.assertEqual(names, ["photo_0.jpg.png", "photo_1.jpg.png"])

    def test_a_model_whose_classes_are_not_known(self):
        bare = self.folder / "bare"
        tiny_runs.write_run(bare, dataset="/my/photos")
        self.translate(bare, "--to=classes").check_refused("not known", "--classes")
        self.translate(bare, "--classes=facades").check_refused("--to=classes")
        result = self.translate(bare, "--to=classes", "--classes=facades")
        self.assertEqual(result.exit_code, 0, result.stderr)
