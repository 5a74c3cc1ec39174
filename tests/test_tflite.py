"""Tests of the conversion to .tflite: numbers, signatures, operators, refusals."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import shutil
import zipfile
from collections.abc import Callable
from unittest import mock

import command_line
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
import tiny_tflite
from absl.testing import parameterized
from PIL import Image
from tensorflow.lite.python import schema_py_generated as schema
from tiny_runs import names_in

from export import image_size
from export.parity import limits
from export.tflite import __main__ as tflite
from export.tflite import conversion, graph, litert
from pix2pix_tf import keras_compat, networks, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import lab
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import exported
from pix2pix_tf.run_folder import GENERATOR_WEIGHTS

SIZE = tiny_runs.CROP_SIZE
# Largest mean and maximum of the absolute difference to the SavedModel, on these networks.
LIMITS = dict(none=(1e-6, 1e-5), float16=(1e-3, 0.01), dynamic=(5e-3, 0.1), int8=(0.04, 0.4))


def export(folder: pathlib.Path, **settings) -> pathlib.Path:
    """Exports a tiny model whose weights need all bits of a float32."""
    tiny_runs.write_run(folder / "run", **settings)
    weights = folder / "run" / GENERATOR_WEIGHTS
    generator = tiny_runs.read_generator(folder / "run")
    generator.set_weights([value * np.float32(0.977) for value in generator.get_weights()])
    generator.save_weights(str(weights))
    return serving.save_version(folder / "run", folder / "exported")


class ComparingTestCase(tf.test.TestCase):
    """Compares files with the SavedModel that they were made of."""

    def assert_same(self, expected: Callable, path, *shape, noise_size, limit=1e-5):
        """Both signatures of a file run, and the one gives what the SavedModel gives."""
        model = litert.LiteRtModel(path)
        image, z = tiny_runs.random_image(*shape), tiny_runs.random_noise(shape[0], noise_size)
        output = model.run("with_noise", image=image, z=z)["output"]
        difference = np.abs(output - expected(image, z))
        self.assertLess(difference.max(), limit)
        own_noise = model.run("serving_default", image=image)["output"]
        self.assertEqual(own_noise.shape, output.shape)


class ConversionTest(ComparingTestCase):
    """What the files of one model hold, for its own size; `none` is made by the command."""

    quantizations = ("none", "int8")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.version, cls.exported = cls.find_model()
        cls.results, cls.models = {}, {}
        for quantize in cls.quantizations:
            cls.results[quantize] = cls.convert(quantize)
            cls.models[quantize] = litert.LiteRtModel(cls.path(quantize))
        cls.noise_size = cls.exported.noise_size

    @classmethod
    def find_model(cls) -> tuple[pathlib.Path, exported.ExportedModel]:
        return tiny_runs.shared_version(), tiny_runs.shared_model()

    @classmethod
    def path(cls, quantize: str) -> pathlib.Path:
        return cls.folder / "größe (1)" / f"{quantize}.tflite"

    @classmethod
    def convert(cls, quantize: str):
        path = cls.path(quantize)
        if quantize == "int8":
            return conversion.convert(cls.version, path, quantize="int8", calibration_pairs=10)
        flags = (f"--saved_model={cls.version.parent}", f"--output={path}")
        return command_line.run(tflite, *flags, f"--quantize={quantize}")

    def test_the_command_writes_one_file_and_says_so(self):
        quantize = self.quantizations[0]
        result = self.results[quantize]
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertStartsWith(result.stdout, f"Wrote '{self.path(quantize)}', 0.1 MB.")
        self.assertEqual(
            names_in(self.path(quantize).parent),
            sorted(f"{x}.tflite" for x in self.models),
        )

    def test_the_same_image_and_noise_give_the_picture_of_the_saved_model(self):
        for quantize, model in self.models.items():
            for seed in range(3):
                image = tiny_runs.random_image(1, SIZE, SIZE, 3, seed=seed)
                z = tiny_runs.random_noise(1, self.noise_size, seed=seed)
                expected = self.exported.translate_with_noise(image, z)
                self.assertGreater(expected.std(), 0.1)
                difference = np.abs(model.run("with_noise", image=image, z=z)["output"] - expected)
                self.assertLess(difference.mean(), LIMITS[quantize][0])
                self.assertLess(difference.max(), LIMITS[quantize][1])

    def test_dropout_is_alive_in_the_one_and_given_in_the_other(self):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        z = tiny_runs.random_noise(1, self.noise_size)
        other = tiny_runs.random_noise(1, self.noise_size, seed=2)
        for model in self.models.values():
            first, second = (model.run("serving_default", image=image)["output"] for _ in range(2))
            self.assertGreater(np.abs(first - second).mean(), 0.01)
            first, second = (model.run("with_noise", image=image, z=z)["output"] for _ in range(2))
            self.assertAllEqual(first, second)
            changed = model.run("with_noise", image=image, z=other)["output"]
            self.assertGreater(np.abs(first - changed).mean(), 0.01)

    def test_noise_on_either_side_of_the_rate_is_told_apart(self):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        for quantize, model in self.models.items():
            outputs = []
            for number in (0.5 - 1e-6, 0.5):  # Dropped, and kept: 8 bits could not tell.
                z = np.full([1, self.noise_size], number, np.float32)
                outputs.append(model.run("with_noise", image=image, z=z)["output"])
                difference = np.abs(outputs[-1] - self.exported.translate_with_noise(image, z))
                # Twice: nothing like this was among what int8 was calibrated with.
                self.assertLess(difference.mean(), 2 * LIMITS[quantize][0])
            self.assertGreater(np.abs(outputs[0] - outputs[1]).mean(), 0.1)

    def test_operators_are_builtin_and_none_is_of_unknown_sizes(self):
        for quantize in self.quantizations:
            contents = self.path(quantize).read_bytes()
            counts = tiny_tflite.count_operators(contents)
            self.assertEqual(sorted(counts), ["serving_default", "with_noise"])
            self.assertEqual(counts["serving_default"]["RANDOM_UNIFORM"], 1)
            self.assertEqual(counts["with_noise"]["RANDOM_UNIFORM"], 0)
            for count in counts.values():
                self.assertEqual((count["CONV_2D"], count["TRANSPOSE_CONV"]), (5, 5))
                for name in ("GATHER", "SHAPE", "PACK", "RANGE", "FLOOR_MOD", "CUSTOM"):
                    self.assertEqual(count[name], 0, name)
            details = litert.Interpreter(model_content=contents).get_tensor_details()
            num_int8 = [about["dtype"] for about in details].count(np.int8)
            if quantize == "int8":
                self.assertGreater(num_int8, 40)
            elif quantize != "dynamic":  # Of which the weights are.
                self.assertEqual(num_int8, 0)

    def test_equal_weights_are_held_once_and_are_aligned(self):
        for quantize in self.quantizations:  # Of which int8 writes each twice.
            contents = self.path(quantize).read_bytes()
            model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(contents, 0))
            buffers = [buffer.data for buffer in model.buffers]
            weights = [bytes(data) for data in buffers if data is not None and len(data) > 64]
            self.assertLen(set(weights), len(weights))
            self.assertEqual({contents.find(data) % 16 for data in weights}, {0})

    def test_metadata_is_read_back(self):
        for quantize, model in self.models.items():
            metadata = litert.read_metadata(self.path(quantize))
            self.assertEqual(metadata["model_card"], serving.read_model_card(self.version))
            self.assertEqual((metadata["quantize"], metadata["size"]), (quantize, [SIZE, SIZE]))
            self.assertEqual(metadata["noise_size"], self.noise_size)
            with zipfile.ZipFile(self.path(quantize)) as archive:  # As any other program would.
                self.assertEqual(archive.namelist(), ["metadata.json"])
            self.assertEqual(model.signatures, ["serving_default", "with_noise"])
            shapes = dict(image=[1, SIZE, SIZE, 3], z=[1, self.noise_size])
            self.assertEqual(model.input_shapes("with_noise"), shapes)
            limit = LIMITS[quantize][0]
            self.assertBetween(metadata["difference"]["mean"], 0.001 * limit, limit)


@pytest.mark.slow
class FurtherQuantizationsTest(ConversionTest):
    """Those that differ from the others by an option of TensorFlow's converter alone."""

    quantizations = ("float16", "dynamic")

    @classmethod
    def find_model(cls) -> tuple[pathlib.Path, exported.ExportedModel]:
        version = export(cls.folder)
        return version, exported.load(version)


class AnySizeTest(ComparingTestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.path = self.folder / "model.tflite"
        self.model = tiny_runs.shared_model()

    def test_a_file_for_any_size_and_batch(self):
        metadata = conversion.convert(
            tiny_runs.shared_version(), self.path, size=image_size.DYNAMIC
        )
        noise_size = self.model.noise_size
        self.assertEqual((metadata["size"], metadata["noise_size"]), ("dynamic", noise_size))
        model = litert.LiteRtModel(self.path)
        self.assertEqual(model.input_shapes("with_noise"), dict(image=[-1, -1, -1, 3], z=[-1, -1]))
        for shape, tiles in (((1, SIZE, SIZE, 3), 1), ((2, 40, 20, 3), 2), ((1, 5, 3, 3), 1)):
            size = tiles * noise_size
            self.assert_same(self.model.translate_with_noise, self.path, *shape, noise_size=size)
        example = tiny_tflite.load_example(self)
        pixels = np.random.RandomState(0).randint(0, 256, [70, 40, 3], np.uint8)
        Image.fromarray(pixels).save(self.folder / "picture.png")
        example.translate(self.path, self.folder / "picture.png", self.folder / "out.png", seed=3)
        z = np.random.default_rng(3).random((1, 3 * 2 * self.model.noise_size), dtype=np.float32)
        image = pixels[np.newaxis] / np.float32(127.5) - 1
        output = self.model.translate_with_noise(image, z)[0]
        with Image.open(self.folder / "out.png") as result:
            self.assertAllClose(np.asarray(result), (output + 1) * 127.5, rtol=0, atol=0.51)


class OtherNetworksTest(ComparingTestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.path = self.folder / "model.tflite"

    def write_model(self, **settings) -> tuple[pathlib.Path, TrainConfig, keras.Model]:
        """Writes card and weights, without the graph, which takes long to save."""
        folder = write_card(self.folder, **settings)
        config = TrainConfig.from_dict(serving.read_model_card(folder / "1")["config"])
        generator = networks.build_generator(config)
        tiny_runs.set_weights(generator, seed=0)
        weights = keras_compat.tf_variables(generator)
        tf.train.Checkpoint(_tracked=weights).write(str(folder / "1" / serving.VARIABLES))
        return folder, config, generator

    def convert(self, folder: pathlib.Path, **options) -> dict:
        """Converts without the comparison, which is what the graph is for."""
        compare = mock.patch.object(conversion, "_compare", return_value=dict(mean=0, max=0))
        with compare, mock.patch.object(exported, "load") as load:
            load.return_value.card = serving.read_model_card(folder / "1")
            return conversion.convert(folder, self.path, **options)

    def test_another_generator_with_other_channels_and_a_size_that_needs_padding(self):
        settings = dict(generator="encoder_decoder", input_channels=1, output_channels=4)
        folder, config, generator = self.write_model(**settings)
        metadata = self.convert(folder, size=(40, 70))
        noise_size = 2 * 3 * networks.noise_size(config)  # Of so many tiles.
        self.assertEqual((metadata["size"], metadata["noise_size"]), ([40, 70], noise_size))

        def expected(image, z):
            padded = np.pad(image, ((0, 0), (0, 24), (0, 26), (0, 0)), mode="reflect")
            return generator([padded, z], training=True)[:, :40, :70]

        self.assert_same(expected, self.path, 1, 40, 70, 1, noise_size=noise_size)
        count = tiny_tflite.count_operators(self.path.read_bytes())["with_noise"]
        self.assertEqual((count["GATHER"], count["SHAPE"]), (2, 0))

    def test_without_dropout(self):
        folder, _, generator = self.write_model(dropout=0.0)
        self.convert(folder)
        model = litert.LiteRtModel(self.path)
        self.assertEqual(model.input_shapes("with_noise")["z"], [1, 0])
        self.assert_same(
            lambda image, z: generator([image, z]), self.path, 1, SIZE, SIZE, 3, noise_size=0
        )
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        first, second = (model.run("serving_default", image=image)["output"] for _ in range(2))
        self.assertAllEqual(first, second)


class ExampleTest(tf.test.TestCase, parameterized.TestCase):
    """The example for devices, with an interpreter that needs no model."""

    def setUp(self):
        super().setUp()
        self.example = tiny_tflite.load_example(self)
        self.folder = tiny_runs.temporary_folder(self)
        self.path = self.folder / "model.tflite"
        self.path.write_bytes(b"TFL3")

    def write_metadata(self, **settings) -> None:
        card = dict(config=dataclasses.asdict(TrainConfig(crop_size=SIZE, **settings)))
        with zipfile.ZipFile(self.path, "a") as archive:
            archive.writestr("metadata.json", json.dumps(dict(model_card=card, noise_size=5)))

    def translate(self, pixels: np.ndarray) -> np.ndarray:
        Image.fromarray(pixels).save(self.folder / "in.png")
        self.example.main([str(self.path), str(self.folder / "in.png"), str(self.folder / "o.png")])
        with Image.open(self.folder / "o.png") as result:
            return np.asarray(result)

    @parameterized.parameters(SIZE, -1)
    def test_colorization_converts_as_training_does(self, side):
        self.write_metadata(color_space="lab")
        given = []

        def colours(*, image, z):
            given.append(image)
            return dict(output=np.concatenate([image / 4, -image / 3], axis=-1))

        self.enter_context(mock.patch.object(self.example, "Interpreter", fake_lab(side, colours)))
        photo = np.random.RandomState(0).randint(0, 256, [SIZE, SIZE, 3], np.uint8)
        result = self.translate(photo)
        lightness = lab.lightness_of(photo[np.newaxis] / np.float32(127.5) - 1)
        self.assertAllClose(given[0], lightness, rtol=0, atol=1e-5)
        expected = lab.photo_of(lightness, colours(image=lightness, z=None)["output"])[0]
        self.assertAllClose(result, (expected + 1) * 127.5, rtol=0, atol=0.51)

    def test_colorization_keeps_the_detail_of_a_picture_of_another_size(self):
        self.write_metadata(color_space="lab")

        def colourless(*, image, z):
            return dict(output=np.zeros([*image.shape[:3], 2], np.float32))

        fake = fake_lab(SIZE, colourless)
        self.enter_context(mock.patch.object(self.example, "Interpreter", fake))
        grey = np.random.RandomState(1).randint(0, 256, [50, 70], np.uint8)
        self.assertAllEqual(self.translate(grey), np.stack(3 * [grey], axis=-1))

    @parameterized.parameters(
        (dict(input_channels=5), "takes 5 channel(s) and makes 3"),
        (dict(output_channels=2), "takes 3 channel(s) and makes 2"),
        (dict(input_range="0,4095"), "takes values of 0,4095"),
        (None, "was not written by pix2pix export tflite"),
    )
    def test_refuses_what_is_no_model_of_pictures(self, settings, reason):
        if settings is not None:
            self.write_metadata(**settings)
        with self.assertRaises(SystemExit) as ended:
            self.translate(np.zeros([SIZE, SIZE, 3], np.uint8))
        self.assertIn(reason, ended.exception.code)
        self.assertStartsWith(ended.exception.code, "error: ")
        self.assertFalse((self.folder / "o.png").exists())


def fake_lab(side: int, function: Callable) -> mock.Mock:
    """Returns what stands for LiteRT's `Interpreter`, of a colorization model of this size."""
    shapes = dict(image=[1, side, side, 1], z=[1, 5])
    details = {name: dict(shape_signature=np.array(shape)) for name, shape in shapes.items()}
    runner = mock.Mock(side_effect=function)
    runner.get_input_details.return_value = details
    return mock.Mock(**{"return_value.get_signature_runner.return_value": runner})


def write_card(folder: pathlib.Path, **settings) -> pathlib.Path:
    """Writes as much of an exported model as is read before the conversion."""
    config = TrainConfig(crop_size=SIZE, base_filters=2, **settings)
    card = dict(
        name="tiny",
        config=dataclasses.asdict(config),
        step=1,
        noise_size=networks.noise_size(config),
        data=dict(dataset=config.dataset),
    )
    path = folder / "1" / serving.MODEL_CARD
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(card))
    (folder / "1" / "saved_model.pb").touch()
    return folder


def write_pairs(folder: pathlib.Path, *, count: int) -> list[np.ndarray]:
    """Writes training pairs whose A is of one colour, other than that of B; returns the A."""
    colors = 10 * np.arange(count, dtype=np.uint8)
    for side, images in (("A", colors), ("B", colors + 5)):
        (folder / "train" / side).mkdir(parents=True)
        for number, color in enumerate(images):
            pixels = np.full([40, 50, 3], color, np.uint8)
            path = folder / "train" / side / f"{number:02}.png"
            tf.io.write_file(str(path), tf.io.encode_png(pixels))
    return colors


@contextlib.contextmanager
def without_model(mean: float = 0.0):
    """Leaves out all of a conversion that needs a model; yields what stands for TensorFlow's."""
    difference = dict(mean=mean, max=1.0)
    with mock.patch.object(exported, "load"):
        with mock.patch.object(conversion, "_compare", return_value=difference):
            with mock.patch.object(conversion, "_to_tflite", return_value=b"") as to_tflite:
                yield to_tflite


class QuietTest(tf.test.TestCase):
    def test_the_converters_notes_are_shown_only_if_it_fails(self):
        seen = tiny_runs.temporary_folder(self) / "stderr"
        own = os.dup(2)
        with open(seen, "wb") as file:
            os.dup2(file.fileno(), 2)
            try:
                with conversion._quietly():
                    os.write(2, b"statistics")
                with self.assertRaises(ValueError), conversion._quietly():
                    os.write(2, b"the reason")
                    raise ValueError
            finally:
                os.dup2(own, 2)
                os.close(own)
        self.assertEqual(seen.read_bytes(), b"the reason")


class CalibrationTest(tf.test.TestCase):
    """Which images int8 is calibrated with; the conversion itself is left out."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.data = self.folder / "data"
        self.colors = write_pairs(self.data, count=20)

    def images_of(self, exported: pathlib.Path, **options) -> np.ndarray:
        with without_model() as convert:
            conversion.convert(exported, self.folder / "x.tflite", quantize="int8", **options)
        return convert.call_args.args[-1]

    def test_training_sources_of_the_models_own_set_and_direction(self):
        for direction, colors in (("AtoB", self.colors), ("BtoA", self.colors + 5)):
            exported = write_card(
                self.folder / direction, dataset=str(self.data), direction=direction
            )
            chosen = self.images_of(exported, calibration_pairs=8)
            self.assertEqual((chosen.shape, chosen.dtype), ((8, SIZE, SIZE, 3), np.float32))
            found = np.round((chosen[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()
            self.assertContainsSubset(found, colors.tolist())
            self.assertLen(set(found), 8)
            self.assertGreater(max(found), colors[10])  # Not the first ones only.
            self.assertAllEqual(chosen, self.images_of(exported, calibration_pairs=8))
            self.assertLen(self.images_of(exported), 20)  # No more than there are.

    def test_another_set_and_another_size(self):
        exported = write_card(self.folder / "exported", dataset="facades", data_dir="/nowhere")
        chosen = self.images_of(exported, dataset=str(self.data), size=(20, 48))
        self.assertEqual(chosen.shape, (20, 20, 48, 3))
        self.assertAllInRange(chosen, -1.0, 1.0)


class FailureTest(tf.test.TestCase, parameterized.TestCase):
    """What is refused, and that nothing is left of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.exported = write_card(tiny_runs.temporary_folder(cls) / "exported")

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.path = self.folder / "model.tflite"

    def run_command(self, *arguments: str, exported: pathlib.Path | None = None):
        paths = (f"--saved_model={exported or self.exported}", f"--output={self.path}")
        return command_line.run(tflite, *paths, *arguments)

    def assert_refused(self, result: command_line.Result, *parts: str):
        result.check_refused(*parts)
        self.assertEqual(names_in(self.folder), [])

    def test_what_cannot_be_converted(self):
        missing, empty = self.exported / "2", tiny_runs.temporary_folder(self)
        self.assert_refused(self.run_command(exported=missing), f"'{missing}'")
        self.assert_refused(self.run_command(exported=empty), f"'{empty}'")
        (empty / "1").mkdir()
        (empty / "1" / "saved_model.pb").touch()
        self.assert_refused(self.run_command(exported=empty), f"'{empty}/1'", "model_card.json")
        without_data = write_card(tiny_runs.temporary_folder(self) / "x", dataset="/gone/pairs")
        result = self.run_command("--quantize=int8", exported=without_data)
        self.assert_refused(result, "/gone/pairs", "--dataset")
        self.assert_refused(self.run_command("--size=32x"), "'32x'")
        for flag in ("--dataset=demo", "--data_dir=x", "--calibration_pairs=100"):
            result = self.run_command(flag, "--quantize=dynamic")
            self.assert_refused(result, flag.split("=")[0])

    def test_a_folder_in_place_of_the_file(self):
        with self.assertRaisesRegex(InputError, f"'{self.folder}'"):
            conversion.convert(self.exported, self.folder)
        (self.folder / "file").touch()
        with self.assertRaisesRegex(InputError, f"'{self.folder}/file"):
            conversion.convert(self.exported, self.folder / "file" / "model.tflite")

    def test_what_the_converter_raises_is_told_and_keeps_the_old_file(self):
        self.path.write_text("old")
        with mock.patch.object(graph, "share_weights", side_effect=RuntimeError("it is\nbroken")):
            result = self.run_command(exported=tiny_runs.shared_version())
        result.check_refused("converter fails", "(it is)", "quantize none")
        self.assertEqual(names_in(self.folder), [self.path.name])
        self.assertEqual(self.path.read_text(), "old")

    @parameterized.product(quantize=("none", "float16"), factor=(1.0, 1.01, float("nan")))
    def test_a_file_beyond_the_limit_of_verify_is_not_kept(self, quantize, factor):
        mean = factor * limits.TFLITE[quantize].mean
        with without_model(mean):
            result = self.run_command(f"--quantize={quantize}")
        if factor == 1.0:
            self.assertEqual(result.exit_code, 0, result.stderr)
        else:
            self.assert_refused(result, quantize, f"{mean:.2g}")

    def test_a_full_disk(self):
        with without_model() as to_tflite:
            to_tflite.side_effect = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = self.run_command()
        self.assert_refused(result, f"'{self.path}' cannot be written: No space")

    def test_a_damaged_model(self):
        damaged = tiny_runs.temporary_folder(self) / "1"
        shutil.copytree(tiny_runs.shared_version(), damaged)
        (damaged / "saved_model.pb").write_bytes(b"no model")
        result = self.run_command(exported=damaged)
        self.assert_refused(result, f"'{damaged}'", "Export the run again")

    def test_metadata_of_what_has_none(self):
        with self.assertRaisesRegex(MissingInputError, f"'{self.path}'"):
            litert.read_metadata(self.path)
        for contents in (b"", b"TFL3" * 99):
            self.path.write_bytes(contents)
            with self.assertRaisesRegex(InputError, f"'{self.path}'"):
                litert.read_metadata(self.path)


class CommandTest(tf.test.TestCase):
    def test_flags_reach_the_conversion(self):
        difference = dict(difference=dict(mean=0.0, max=0.0))
        path = tiny_runs.temporary_folder(self) / "b"
        path.touch()
        defaults = dict(quantize="none", size=None, dataset="", data_dir="", calibration_pairs=100)
        changed = dict(quantize="int8", dataset="d", data_dir="e", calibration_pairs=7)
        flags = [f"--{name}={value}" for name, value in changed.items()]
        for arguments, expected in (
            ([], defaults),
            ([*flags, "--size=64x32"], dict(changed, size=(64, 32))),
        ):
            with mock.patch.object(conversion, "convert", return_value=difference) as convert:
                result = command_line.run(tflite, "--saved_model=a", f"--output={path}", *arguments)
            self.assertEqual(result.exit_code, 0, result.stderr)
            convert.assert_called_once_with(pathlib.Path("a"), path, **expected)
