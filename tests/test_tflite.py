"""Tests of the conversion to .tflite: numbers, signatures, operators, refusals."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_tflite
from absl.testing import parameterized
from PIL import Image

from export import limits, litert, tflite, tflite_conversion, tflite_graph, tflite_metadata
from pix2pix_tf import serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SIZE = tiny_runs.CROP_SIZE
# Largest mean and maximum of the absolute difference to the SavedModel, on these networks.
LIMITS = dict(none=(1e-6, 1e-5), float16=(1e-3, 0.01), dynamic=(5e-3, 0.1), int8=(0.04, 0.4))


def names_in(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def export(folder: pathlib.Path, *, dropout: bool = True, **settings) -> pathlib.Path:
    """Exports a tiny model whose weights need all bits of a float32."""
    tiny_runs.write_run(folder / "run", **settings)
    weights = folder / "run" / serving.checkpoints.GENERATOR_WEIGHTS
    generator = tiny_runs.read_generator(folder / "run")
    generator.set_weights([value * np.float32(0.977) for value in generator.get_weights()])
    generator.save_weights(str(weights))
    serving.save_version(folder / "run", folder / "exported", dropout=dropout)
    return folder / "exported"


def load_signatures(exported: pathlib.Path):
    loaded = tf.saved_model.load(str(exported / "1"))
    return loaded, loaded.signatures


class ConversionTest(tf.test.TestCase, parameterized.TestCase):
    """All quantisations of one model, for its own size."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.exported = export(cls.folder, direction="BtoA")
        cls.loaded, cls.signatures = load_signatures(cls.exported)
        cls.metadata = {
            quantize: tiny_tflite.convert(
                cls.exported,
                cls.folder / f"{quantize}.tflite",
                quantize=quantize,
                calibration_pairs=10,
            )
            for quantize in tflite_conversion.QUANTIZATIONS
        }
        cls.models = {
            quantize: litert.LiteRtModel(cls.folder / f"{quantize}.tflite")
            for quantize in tflite_conversion.QUANTIZATIONS
        }
        cls.noise_size = cls.metadata["none"]["noise_size"]

    def with_noise(self, image, z):
        return self.signatures["with_noise"](image=tf.constant(image), z=tf.constant(z))["output"]

    @parameterized.parameters(*LIMITS.items())
    def test_the_same_image_and_noise_give_the_picture_of_the_saved_model(self, quantize, limits):
        for seed in range(3):
            image = tiny_runs.random_image(1, SIZE, SIZE, 3, seed=seed)
            z = tiny_runs.random_noise(1, self.noise_size, seed=seed)
            expected = self.with_noise(image, z).numpy()
            self.assertGreater(expected.std(), 0.1)
            output = self.models[quantize].run("with_noise", image=image, z=z)["output"]
            difference = np.abs(output - expected)
            self.assertLess(difference.mean(), limits[0])
            self.assertLess(difference.max(), limits[1])

    @parameterized.parameters(*tflite_conversion.QUANTIZATIONS)
    def test_both_signatures_are_there_and_take_float32_of_one_size(self, quantize):
        model = self.models[quantize]
        self.assertEqual(model.signatures, ["serving_default", "with_noise"])
        image = [1, SIZE, SIZE, 3]
        self.assertEqual(model.input_shapes("serving_default"), dict(image=image))
        self.assertEqual(
            model.input_shapes("with_noise"), dict(image=image, z=[1, self.noise_size])
        )

    @parameterized.parameters(*tflite_conversion.QUANTIZATIONS)
    def test_dropout_is_alive_in_the_one_and_given_in_the_other(self, quantize):
        model = self.models[quantize]
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        first, second = (model.run("serving_default", image=image)["output"] for _ in range(2))
        self.assertGreater(np.abs(first - second).mean(), 0.01)
        z = tiny_runs.random_noise(1, self.noise_size)
        first, second = (model.run("with_noise", image=image, z=z)["output"] for _ in range(2))
        self.assertAllEqual(first, second)
        other = tiny_runs.random_noise(1, self.noise_size, seed=2)
        changed = model.run("with_noise", image=image, z=other)["output"]
        self.assertGreater(np.abs(first - changed).mean(), 0.01)

    def test_the_noise_that_it_draws_is_that_of_the_saved_model(self):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        runs = (
            lambda: self.models["none"].run("serving_default", image=image)["output"],
            lambda: self.signatures["serving_default"](image=tf.constant(image))["output"],
        )
        draws = [np.stack([run() for _ in range(200)]) for run in runs]
        means = [outputs.mean(axis=0) for outputs in draws]
        error = np.sqrt(sum(outputs.var(axis=0) / len(outputs) for outputs in draws))
        # In standard errors; 3,072 of them, not independent, and five of them are rare.
        self.assertLess((np.abs(means[0] - means[1]) / (error + 1e-3)).max(), 5.0)

    @parameterized.parameters(*tflite_conversion.QUANTIZATIONS)
    def test_noise_on_either_side_of_the_rate_is_told_apart(self, quantize):
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        outputs = []
        for number in (0.5 - 1e-6, 0.5):  # Dropped, and kept: 8 bits could not tell.
            z = np.full([1, self.noise_size], number, np.float32)
            output = self.models[quantize].run("with_noise", image=image, z=z)["output"]
            difference = np.abs(output - self.with_noise(image, z))
            # Twice: nothing like this was among what int8 was calibrated with.
            self.assertLess(difference.mean(), 2 * LIMITS[quantize][0])
            outputs.append(output)
        self.assertGreater(np.abs(outputs[0] - outputs[1]).mean(), 0.1)

    @parameterized.parameters(*tflite_conversion.QUANTIZATIONS)
    def test_operators_are_builtin_and_none_is_of_unknown_sizes(self, quantize):
        contents = (self.folder / f"{quantize}.tflite").read_bytes()
        self.assertEqual(tflite_graph.custom_operators(contents), [])
        counts = tflite_graph.count_operators(contents)
        self.assertEqual(sorted(counts), ["serving_default", "with_noise"])
        self.assertEqual(counts["serving_default"]["RANDOM_UNIFORM"], 1)
        self.assertEqual(counts["with_noise"]["RANDOM_UNIFORM"], 0)
        for count in counts.values():
            self.assertEqual((count["CONV_2D"], count["TRANSPOSE_CONV"]), (5, 5))
            # Two parts of the noise less than three: the last is all that is left.
            self.assertEqual(count["STRIDED_SLICE"], 4)
            for name in ("GATHER", "SHAPE", "PACK", "RANGE", "FLOOR_MOD"):
                self.assertEqual(count[name], 0, name)

    def test_int8_computes_convolutions_in_int8(self):
        def types_of(quantize):
            model = litert.Interpreter(model_path=str(self.folder / f"{quantize}.tflite"))
            return {about["name"]: about["dtype"] for about in model.get_tensor_details()}

        self.assertGreater(list(types_of("int8").values()).count(np.int8), 40)
        self.assertNotIn(np.int8, types_of("none").values())

    def test_metadata_is_read_back(self):
        for quantize, metadata in self.metadata.items():
            path = self.folder / f"{quantize}.tflite"
            self.assertEqual(tflite_metadata.read(path), metadata)
            self.assertEqual(metadata["model_card"], serving.read_model_card(self.exported / "1"))
            self.assertEqual((metadata["quantize"], metadata["size"]), (quantize, [SIZE, SIZE]))
            with zipfile.ZipFile(path) as archive:  # As any other program would.
                self.assertEqual(archive.namelist(), ["metadata.json"])
            for name, signature in metadata["signatures"].items():
                shapes = self.models[quantize].input_shapes(name)
                told = {key: about["shape"] for key, about in signature["inputs"].items()}
                self.assertEqual(told, shapes)
                self.assertIn("unsigned integer", signature["inputs"]["image"]["values"])
                self.assertIn("unsigned integer", signature["outputs"]["output"]["values"])
        self.assertLess(self.metadata["none"]["difference"]["max"], 1e-5)
        self.assertGreater(self.metadata["int8"]["difference"]["mean"], 1e-4)

    def assert_same(self, path, shape, noise_size, *, limit=1e-5):
        """Both signatures of a file run, and the one gives what the SavedModel gives."""
        model = litert.LiteRtModel(path)
        image = tiny_runs.random_image(*shape)
        z = tiny_runs.random_noise(shape[0], noise_size)
        output = model.run("with_noise", image=image, z=z)["output"]
        self.assertLess(np.abs(output - self.with_noise(image, z)).max(), limit)
        own_noise = model.run("serving_default", image=image)["output"]
        self.assertEqual(own_noise.shape, output.shape)

    def test_a_size_that_needs_padding(self):
        path = self.folder / "padded.tflite"
        metadata = tiny_tflite.convert(self.exported / "1", path, size=(40, 70))
        noise_size = 2 * 3 * self.noise_size  # Of so many tiles.
        self.assertEqual((metadata["size"], metadata["noise_size"]), ([40, 70], noise_size))
        self.assert_same(path, (1, 40, 70, 3), noise_size)
        count = tflite_graph.count_operators(path.read_bytes())["with_noise"]
        self.assertEqual((count["GATHER"], count["SHAPE"]), (2, 0))

    @parameterized.parameters(("none", 1e-5), ("int8", 0.4))
    def test_a_file_for_any_size_and_batch(self, quantize, limit):
        path = self.folder / f"dynamic_{quantize}.tflite"
        metadata = tiny_tflite.convert(
            self.exported, path, quantize=quantize, size=tflite.DYNAMIC, calibration_pairs=10
        )
        self.assertEqual((metadata["size"], metadata["noise_size"]), ("dynamic", self.noise_size))
        image = metadata["signatures"]["with_noise"]["inputs"]["image"]
        self.assertEqual(image["shape"], ["batch", "height", "width", 3])
        self.assertEqual(
            litert.LiteRtModel(path).input_shapes("with_noise"),
            dict(image=[-1, -1, -1, 3], z=[-1, -1]),
        )
        for shape, tiles in (((1, SIZE, SIZE, 3), 1), ((2, 40, 20, 3), 2), ((1, 5, 3, 3), 1)):
            self.assert_same(path, shape, tiles * self.noise_size, limit=limit)
        if quantize == "none":
            self.assert_the_example_translates_at_the_pictures_own_size(path)
        # Dropped, and kept, as in the files of one size.
        outputs = []
        for number in (0.5 - 1e-6, 0.5):
            z = np.full([1, self.noise_size], number, np.float32)
            image = tiny_runs.random_image(1, SIZE, SIZE, 3)
            model = litert.LiteRtModel(path)
            outputs.append(model.run("with_noise", image=image, z=z)["output"])
        self.assertGreater(np.abs(outputs[0] - outputs[1]).mean(), 0.1)

    def assert_the_example_translates_at_the_pictures_own_size(self, path):
        example = tiny_tflite.load_example(self)
        pixels = np.random.RandomState(0).randint(0, 256, [70, 40, 3], np.uint8)
        Image.fromarray(pixels).save(self.folder / "picture.png")
        example.translate(path, self.folder / "picture.png", self.folder / "out.png", seed=3)
        z = np.random.default_rng(3).random((1, 3 * 2 * self.noise_size), dtype=np.float32)
        output = self.with_noise(pixels[np.newaxis] / np.float32(127.5) - 1, z)[0]
        with Image.open(self.folder / "out.png") as result:
            self.assertAllClose(np.asarray(result), (output + 1) * 127.5, rtol=0, atol=0.51)

    def test_from_another_folder_with_the_newest_version(self):
        folder = tiny_runs.temporary_folder(self)
        shutil.copytree(self.exported / "1", folder / "exported" / "10")
        (folder / "exported" / "9").mkdir()
        result = subprocess.run(
            [
                sys.executable,
                "-c",
                "from export import tflite; from pix2pix_tf import commands;"
                "tflite.define_flags(); commands.run(tflite.main)",
                "--saved_model=exported",
                "--output=out/größe (1).tflite",
                "--quantize=float16",
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"Wrote 'out/größe \(1\).tflite', 0.1 MB. .* at most.\n$")
        self.assertEqual(names_in(folder / "out"), ["größe (1).tflite"])
        path = folder / "out" / "größe (1).tflite"
        self.assertEqual(tflite_metadata.read(path)["quantize"], "float16")


class OtherNetworksTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.path = self.folder / "model.tflite"

    def difference(self, exported, *shape, noise_size) -> float:
        _, signatures = load_signatures(exported)
        image, z = tiny_runs.random_image(*shape), tiny_runs.random_noise(1, noise_size)
        expected = signatures["with_noise"](image=tf.constant(image), z=tf.constant(z))["output"]
        output = litert.LiteRtModel(self.path).run("with_noise", image=image, z=z)["output"]
        return np.abs(output - expected).max()

    def test_int8_of_instance_norm(self):
        # Elsewhere such files could not be loaded.
        exported = export(self.folder, norm="instance")
        metadata = tiny_tflite.convert(exported, self.path, quantize="int8", calibration_pairs=10)
        noise_size = metadata["noise_size"]
        self.assertLess(self.difference(exported, 1, SIZE, SIZE, 3, noise_size=noise_size), 0.4)

    def test_another_generator_with_other_channels_and_no_dropout(self):
        exported = export(
            self.folder,
            dropout=False,
            generator="encoder_decoder",
            input_channels=1,
            output_channels=4,
        )
        metadata = tiny_tflite.convert(exported, self.path)
        outputs = metadata["signatures"]["serving_default"]["outputs"]
        self.assertEqual(outputs["output"]["shape"], [1, SIZE, SIZE, 4])
        model = litert.LiteRtModel(self.path)
        self.assertEqual(model.input_shapes("with_noise")["z"], [1, 0])
        self.assertLess(self.difference(exported, 1, SIZE, SIZE, 1, noise_size=0), 1e-5)
        image = tiny_runs.random_image(1, SIZE, SIZE, 1)
        first, second = (model.run("serving_default", image=image)["output"] for _ in range(2))
        self.assertAllEqual(first, second)


def write_card(folder: pathlib.Path, **settings) -> pathlib.Path:
    """Writes as much of an exported model as is read before the conversion."""
    config = TrainConfig(crop_size=SIZE, base_filters=2, **settings)
    card = dict(
        name="tiny",
        config=dataclasses.asdict(config),
        step=1,
        noise_size=448,
        data=dict(dataset=config.dataset),
        signatures=dict(with_noise=dict(inputs=dict(image={}), outputs=dict(output={}))),
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


class CalibrationTest(tf.test.TestCase):
    """Which images int8 is calibrated with; the conversion itself is left out."""

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.data = self.folder / "data"
        self.colors = write_pairs(self.data, count=20)

    def images_of(self, exported: pathlib.Path, **options) -> np.ndarray:
        found = []

        def run(job):
            found.append(np.load(job.images))
            pathlib.Path(job.output).touch()
            return dict(mean=0.0, max=0.0)

        with mock.patch.object(tflite, "_run", run):
            tflite.convert(exported, self.folder / "x.tflite", quantize="int8", **options)
        return found[0]

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
        return command_line.run(
            tflite,
            f"--saved_model={exported or self.exported}",
            f"--output={self.path}",
            *arguments,
        )

    def assert_refused(self, result: command_line.Result, *parts: str):
        self.assertEqual(result.exit_code, 2, result)
        self.assertStartsWith(result.stderr, "error: ")
        self.assertLen(result.stderr.splitlines(), 1)
        for part in parts:
            self.assertIn(part, result.stderr)
        self.assertEqual(names_in(self.folder), [])

    def test_a_size_that_is_none(self):
        self.assert_refused(self.run_command("--size=32x"), "size is '32x'", "256x512")

    def test_models_that_are_none(self):
        missing = self.exported / "2"
        self.assert_refused(self.run_command(exported=missing), f"There is no folder '{missing}'")
        empty = tiny_runs.temporary_folder(self)
        self.assert_refused(
            self.run_command(exported=empty), f"'{empty}' is no SavedModel", "Pass the --output"
        )
        (empty / "1").mkdir()
        (empty / "1" / "saved_model.pb").touch()
        self.assert_refused(self.run_command(exported=empty), "has no assets.extra/model_card.json")

    @parameterized.parameters("--dataset=demo", "--data_dir=x", "--calibration_pairs=100")
    def test_options_of_int8_alone(self, flag):
        result = self.run_command(flag, "--quantize=dynamic")
        self.assert_refused(result, flag.split("=")[0], "quantize is dynamic", "Leave it out")

    def test_int8_without_its_data(self):
        folder = tiny_runs.temporary_folder(self) / "exported"
        exported = write_card(folder, dataset="/gone/pairs")
        result = self.run_command("--quantize=int8", exported=exported)
        self.assert_refused(result, "are not available", "/gone/pairs", "--dataset")

    def test_a_folder_in_place_of_the_file(self):
        with self.assertRaisesRegex(InputError, "is a folder. Name the file"):
            tflite.convert(self.exported, self.folder)
        (self.folder / "file").touch()
        with self.assertRaisesRegex(InputError, "a file is in its place"):
            tflite.convert(self.exported, self.folder / "file" / "model.tflite")

    def test_a_damaged_model_fails_in_the_other_process(self):
        damaged = tiny_runs.temporary_folder(self) / "1"
        shutil.copytree(self.exported / "1", damaged)
        (damaged / "saved_model.pb").write_bytes(b"no model")
        result = self.run_command(exported=damaged)
        self.assert_refused(result, "converter failed with status 1", str(damaged), "Nothing was")

    def test_a_crash_of_the_converter_is_told_and_keeps_the_old_file(self):
        crashing = tiny_runs.temporary_folder(self) / "python"
        crashing.write_text("#!/bin/sh\necho 'what it last said' >&2\nkill -ABRT $$\n")
        crashing.chmod(0o755)
        with mock.patch.object(sys, "executable", str(crashing)):
            self.assert_refused(self.run_command(), "SIGABRT", "what it last said")
            self.path.write_text("old")
            with self.assertRaisesRegex(InputError, "SIGABRT"):
                tflite.convert(self.exported, self.path)
        self.assertEqual(names_in(self.folder), [self.path.name])
        self.assertEqual(self.path.read_text(), "old")

    def test_a_converter_that_hangs_is_ended(self):
        hanging = tiny_runs.temporary_folder(self) / "python"
        hanging.write_text("#!/bin/sh\nexec sleep 60\n")
        hanging.chmod(0o755)
        with mock.patch.object(sys, "executable", str(hanging)):
            with mock.patch.object(tflite, "_TIMEOUT_SECONDS", 0.2):
                self.assert_refused(self.run_command(), "did not end within 0.2 s", "Nothing was")

    @parameterized.product(
        quantize=tflite_conversion.QUANTIZATIONS[:3], factor=(1.0, 1.01, float("nan"))
    )
    def test_a_file_beyond_the_limit_of_verify_is_not_kept(self, quantize, factor):
        mean = factor * limits.TFLITE[quantize].mean

        def run(job):
            pathlib.Path(job.output).touch()
            return dict(mean=mean, max=1.0)

        with mock.patch.object(tflite, "_run", run):
            with mock.patch.object(tflite_metadata, "append"):
                result = self.run_command(f"--quantize={quantize}")
        if factor == 1.0:
            self.assertEqual(result.exit_code, 0, result.stderr)
        else:
            limit = f"more than the {limits.TFLITE[quantize].mean:g} of"
            self.assert_refused(result, quantize, f"differ by {mean:.2g}", limit)

    def test_a_full_disk(self):
        fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch.object(np, "save", side_effect=fault):
            result = self.run_command()
        self.assert_refused(result, f"'{self.path}' cannot be written: No space", "Make room")
        self.assertEqual(names_in(self.folder), [])

    def test_several_images_are_compared(self):
        """A file that is right for the first image alone does not pass for the model."""
        outputs = iter([0.0, 0.25, 0.5])
        signature = mock.Mock(side_effect=lambda image, z: dict(output=tf.zeros([1, 2, 2, 3])))
        loaded = mock.Mock(signatures=dict(with_noise=signature))

        def run_file(signature, image, z):
            return dict(output=np.full([1, 2, 2, 3], next(outputs), np.float32))

        images = self.folder / "images.npy"
        np.save(images, np.arange(5 * 12, dtype=np.float32).reshape(5, 2, 2, 3))
        job = tflite_conversion.Job(
            *("saved_model", "output", "none", [1, 2, 2, 3], [1, 4]),
            images=str(images),
            noise_size=4,
            compared=tflite.COMPARED_IMAGES,
        )
        with mock.patch.object(litert, "LiteRtModel") as model:
            model.return_value.run = run_file
            found = tflite_conversion._compare(loaded, job)
        self.assertEqual(found, dict(mean=0.25, max=0.5))
        given = [call.kwargs for call in signature.call_args_list]
        self.assertEqual([int(inputs["image"][0, 0, 0, 0]) for inputs in given], [0, 12, 24])
        self.assertNotAllClose(given[0]["z"], given[1]["z"])
        images.unlink()

    def test_operators_that_litert_lacks_are_refused(self):
        with contextlib.ExitStack() as stack:
            for module, name, value in (
                (tf.saved_model, "load", None),  # What is slow is left out.
                (tflite_conversion, "_save_with_shapes", None),
                (tflite_conversion, "_convert", b"a graph"),
                (tflite_graph, "custom_operators", ["FlexErf"]),
            ):
                stack.enter_context(mock.patch.object(module, name, return_value=value))
            with self.assertRaisesRegex(RuntimeError, "LiteRT has not: FlexErf"):
                tiny_tflite.convert(self.exported, self.path)
        self.assertEqual(names_in(self.folder), [])

    def test_metadata_of_what_has_none(self):
        with self.assertRaisesRegex(MissingInputError, "There is no file"):
            tflite_metadata.read(self.path)
        for contents in (b"", b"TFL3" * 99):
            self.path.write_bytes(contents)
            with self.assertRaisesRegex(InputError, "has no metadata.json"):
                tflite_metadata.read(self.path)


class CommandTest(tf.test.TestCase):
    def test_flags_reach_the_conversion(self):
        difference = dict(difference=dict(mean=0.0, max=0.0))
        folder = tiny_runs.temporary_folder(self)
        (folder / "b").touch()
        for arguments, expected in (
            ((), dict(quantize="none", size=None, dataset="", data_dir="", calibration_pairs=100)),
            (
                (
                    "--quantize=int8",
                    "--size=64x32",
                    "--dataset=d",
                    "--data_dir=e",
                    "--calibration_pairs=7",
                ),
                dict(
                    quantize="int8", size=(64, 32), dataset="d", data_dir="e", calibration_pairs=7
                ),
            ),
        ):
            with mock.patch.object(tflite, "convert", return_value=difference) as convert:
                result = command_line.run(
                    tflite, "--saved_model=a", f"--output={folder / 'b'}", *arguments
                )
            self.assertEqual(result.exit_code, 0, result.stderr)
            convert.assert_called_once_with(pathlib.Path("a"), folder / "b", **expected)


if __name__ == "__main__":
    tf.test.main()
