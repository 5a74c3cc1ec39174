"""Tests of exporting: version folders, the model card, and what a run folder can lack."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types
from unittest import mock

import command_line
import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from tiny_runs import names_in

from export import cpp_session, saved_model
from pix2pix_tf import networks, run_folder, serving, version
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError
from pix2pix_tf.models import convolutions
from pix2pix_tf.run_folder import GENERATOR_WEIGHTS

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
SIZE = tiny_runs.CROP_SIZE


def write_checkpoint_notes(run: pathlib.Path, step: int) -> None:
    """Writes what a checkpoint folder holds, as far as the model card looks."""
    folder = run / run_folder.CHECKPOINTS_FOLDER / f"step_{step:08d}"
    folder.mkdir(parents=True)
    (folder / run_folder.INFO).write_text(json.dumps(dict(step=step, keras="3.0.0")))
    shutil.copyfile(run / GENERATOR_WEIGHTS, folder / GENERATOR_WEIGHTS)


class ExportTest(tf.test.TestCase):
    """An export by the command, of a run that was at step 250 when its weights were written."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.run_folder = folder / "run"
        cls.config = tiny_runs.write_run(
            cls.run_folder,
            dataset="facades",
            direction="BtoA",
            input_channels=1,
            output_channels=4,
            dropout=0.25,
        )
        tiny_runs.write_data(cls.run_folder, (512, 256))
        write_checkpoint_notes(cls.run_folder, 200)
        write_checkpoint_notes(cls.run_folder, 250)
        records = [dict(step=step, l1_loss=1 / step) for step in (100, 200, 250, 300)]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (cls.run_folder / "metrics.jsonl").write_text(lines)
        best = dict(step=200, metric="l1", split="val", value=0.125)
        (cls.run_folder / run_folder.CHECKPOINTS_FOLDER / "best.json").write_text(json.dumps(best))
        cls.exported = folder / "with space" / "größe (1)"
        cls.version = cls.exported / "1"
        command = (sys.executable, "-m", "export.saved_model")
        cls.process = subprocess.run(
            [*command, f"--workdir={cls.run_folder}", f"--output={cls.exported}"],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_model_card(self):
        path = self.version / "assets.extra" / "model_card.json"
        card = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual(TrainConfig.from_dict(card["config"]), self.config)
        self.assertEqual(card["step"], 250)
        self.assertEqual(
            card["data"],
            dict(dataset="facades", direction="BtoA", files_per_pair=1, pair_file_size=[512, 256]),
        )
        # Not of step 300, which the weights have not seen.
        self.assertEqual(card["metrics"], dict(step=250, l1_loss=1 / 250))
        self.assertEqual(card["best"]["value"], 0.125)
        versions = (version.__version__, tf.__version__, keras.__version__)
        self.assertEqual(tuple(card["versions"].values()), versions)
        self.assertEqual((card["statistics"], card["dropout"]), ("image", 0.25))
        self.assertEqual(card["max_pixels"], 2**22)
        self.assertEqual(card["noise_size"], networks.noise_size(self.config))
        self.assertEqual(serving.read_model_card(self.version), card)

    def test_signatures_are_as_the_card_says_and_files_have_the_channels_of_the_model(self):
        card = serving.read_model_card(self.version)
        files = [tf.io.encode_png(np.zeros([9, 7, count], np.uint8)).numpy() for count in (1, 3)]
        with cpp_session.CppSession(self.version) as session:
            self.assertCountEqual(session.signatures, card["signatures"])
            for name, described in card["signatures"].items():
                for side in ("inputs", "outputs"):
                    found = getattr(session.signatures[name], side)
                    self.assertCountEqual(found, described[side])
                    for key, told in described[side].items():
                        sizes = [None if isinstance(size, str) else size for size in told["shape"]]
                        shape = tf.TensorShape(found[key].tensor_shape)
                        self.assertEqual(shape.as_list(), sizes)
                        self.assertEqual(tf.as_dtype(found[key].dtype).name, told["dtype"])
            for contents in session.run("encoded", image_bytes=files)["image_bytes"]:
                self.assertEqual(tf.io.decode_png(contents).shape, (9, 7, 4))

    def test_a_published_card_names_no_folder_of_this_machine(self):
        card = serving.read_model_card(self.version)
        card["config"].update(dataset="/home/me/pairs", data_dir="/home/me/sets")
        card["data"]["dataset"] = "/home/me/pairs"
        card["name"] = "pix2pix /home/me/pairs BtoA"
        published = serving.published_card(card)
        self.assertNotIn("/home", json.dumps(published))
        self.assertEqual(published["config"]["dataset"], "pairs")
        self.assertEqual(published["name"], "pix2pix pairs BtoA")
        self.assertEqual(published["signatures"], card["signatures"])
        self.assertIn("/home/me/sets", json.dumps(card))  # The original is as it was.


class FolderTest(tf.test.TestCase):
    """What becomes of the output folder; what is slow in an export is left out."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = tiny_runs.temporary_folder(cls) / "run"
        shutil.copytree(tiny_runs.shared_run(), cls.run_folder)
        for step in (200, 250):
            write_checkpoint_notes(cls.run_folder, step)

    def setUp(self):
        super().setUp()
        self.exported = tiny_runs.temporary_folder(self) / "exported"

    def test_versions_count_up_and_none_is_seen_before_it_is_whole(self):
        self.exported.mkdir()
        (self.exported / "9").mkdir()
        (self.exported / "²").mkdir()
        (self.exported / "12").touch()  # A file is no version.
        self.assertEqual(serving.list_versions(self.exported), [9])
        others, seen = set(names_in(self.exported)), []

        def look(model, path, signatures):
            fake_save(model, path, signatures)
            seen.append((pathlib.Path(path).parent, set(names_in(self.exported)) - others))

        with saving_by(look):
            for name in ("10", "11"):
                version = serving.save_version(self.run_folder, self.exported)
                self.assertEqual(version, self.exported / name)
                ((parent, (unfinished,)),) = seen
                self.assertEqual(parent, self.exported)  # On one disk, so that a rename is enough.
                self.assertStartsWith(unfinished, ".")  # Servers and `list_versions` pass it over.
                others.add(name)
                seen.clear()
        self.assertEqual(serving.list_versions(self.exported), [9, 10, 11])
        self.assertEqual(set(names_in(self.exported)), others)

    def test_an_export_that_fails_leaves_nothing(self):
        for fault, code in (
            (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 2),
            (tf.errors.ResourceExhaustedError(None, None, "part; No space left [Op:SaveV2]"), 2),
            (KeyboardInterrupt(), 130),
        ):

            def fail(model, path, signatures, fault=fault):
                fake_save(model, path, signatures)
                raise fault

            with saving_by(fail):
                result = command_line.run(
                    saved_model, f"--workdir={self.run_folder}", f"--output={self.exported}"
                )
            self.assertEqual(result.exit_code, code)
            self.assertLen(result.stderr.splitlines(), 1)
            if code == 2:
                self.assertIn(f"'{self.exported}' cannot be written: No space", result.stderr)
            self.assertEqual(names_in(self.exported), [])

    def test_outputs_that_cannot_be_used_are_named(self):
        self.exported.touch()
        outputs = [self.exported, self.exported / "below"]
        # Which TensorFlow could not read again.
        outputs += [self.exported.with_name(name) / "model" for name in ("a[1]", "a*", "a?")]
        for output in outputs:
            with saving_by(fake_save), self.assertRaisesRegex(InputError, re.escape(f"'{output}'")):
                serving.save_version(self.run_folder, output)
            self.assertFalse(output.is_dir())

    def test_the_options_of_an_export(self):
        options = dict(statistics="batch", dropout=False, max_pixels=9999)
        with saving_by(fake_save) as given:
            exported = serving.save_version(
                self.run_folder, self.exported, checkpoint="200", **options
            )
        self.assertEqual(given, [dict(options, formulation=convolutions.INFERENCE)])
        card = serving.read_model_card(exported)
        found = [card[name] for name in ("step", "statistics", "max_pixels")]
        self.assertEqual(found, [200, "batch", 9999])
        with self.assertRaisesRegex(InputError, "'300'.*200, 250"):
            serving.save_version(self.run_folder, self.exported, checkpoint="300")

    def test_a_graph_for_the_device_of_the_server(self):
        for options, device, formulation in (
            ({}, "cpu", convolutions.INFERENCE),
            (dict(device="gpu"), "gpu", convolutions.PLAIN),
        ):
            with saving_by(fake_save) as given:
                exported = serving.save_version(self.run_folder, self.exported, **options)
            self.assertEqual(given[0]["formulation"], formulation)
            self.assertEqual(serving.read_model_card(exported)["device"], device)

    def test_flags_reach_the_export(self):
        paths = (f"--workdir={self.run_folder}", f"--output={self.exported}")
        changed = ("--checkpoint=best", "--weights=last", "--dropout=off", "--statistics=batch")
        changed += ("--max_pixels=9999",)
        names = ("checkpoint", "weights", "dropout", "statistics", "max_pixels", "device")
        for flags, values in (
            ((), ("newest", "average", True, "image", 2**22, "cpu")),
            ((*changed, "--device=gpu"), ("best", "last", False, "batch", 9999, "gpu")),
        ):
            expected = dict(zip(names, values))
            with mock.patch.object(serving, "save_version") as save:
                command_line.run(saved_model, *paths, *flags)
            save.assert_called_once_with(self.run_folder, self.exported, **expected)


@contextlib.contextmanager
def saving_by(save):
    """Replaces the slow parts of an export; yields the options that its models were given."""
    given = []

    def model(config, weights, **options):
        given.append(options)
        return types.SimpleNamespace(
            config=config,
            block=networks.Block(SIZE, 1),
            noise_size=1,
            signatures=dict,
            **options,
        )

    with mock.patch.object(tf.saved_model, "save", save):
        with mock.patch.object(serving, "ServingModel", model):
            with mock.patch.object(serving, "read_generator_weights", return_value=[]):
                yield given


def fake_save(model, path, signatures):
    """Writes as much as `list_versions` looks for."""
    pathlib.Path(path).mkdir(parents=True)
    pathlib.Path(path, "saved_model.pb").touch()


class WeightsTest(tf.test.TestCase, parameterized.TestCase):
    """What a run folder can lack; none of it leaves anything behind."""

    def setUp(self):
        super().setUp()
        self.run_folder = tiny_runs.temporary_folder(self)
        self.exported = self.run_folder / "exported"
        self.weights = self.run_folder / GENERATOR_WEIGHTS
        self.whole = (tiny_runs.shared_run() / GENERATOR_WEIGHTS).read_bytes()

    def assert_refused(self, error: type, part: str):
        with self.assertRaisesRegex(error, re.escape(part)) as caught:
            serving.save_version(self.run_folder, self.exported)
        self.assertLen(str(caught.exception).splitlines(), 1)
        self.assertFalse(self.exported.exists())

    def test_damaged_weights(self):
        shutil.copy(tiny_runs.shared_run() / "config.json", self.run_folder)
        generator = networks.build_generator(TrainConfig.load(self.run_folder))
        building = mock.patch.object(networks, "build_generator", return_value=generator)
        self.enter_context(building)  # Once, not for each of these.
        damaged = [self.whole[: int(share * len(self.whole))] for share in (0.0, 0.3, 0.9, 0.99)]
        # Marks of HDF5: of the file's tables, then of each layer's.
        for mark, which in ((b"SNOD", 0), (b"SNOD", -1), (b"TREE", -1), (b"HEAP", 0)):
            parts = self.whole.split(mark)
            self.assertGreater(len(parts), 10)
            left = parts[: which if which < 0 else which + 1]
            right = parts[len(left) :]
            damaged.append(mark.join(left) + b"\0\0\0\0" + mark.join(right))
        for contents in damaged:
            self.weights.unlink(missing_ok=True)  # HDF5 holds on to one that it could not read.
            self.weights.write_bytes(contents)
            self.assert_refused(InputError, f"'{self.weights}'")

    @parameterized.parameters(
        dict(crop_size=64), dict(norm="instance"), dict(generator="encoder_decoder")
    )
    def test_weights_of_another_network(self, **settings):
        TrainConfig(**{"crop_size": SIZE, "base_filters": 2, **settings}).save(self.run_folder)
        self.weights.write_bytes(self.whole)
        self.assert_refused(InputError, f"'{self.weights}'")


class GoldenWeightsTest(tf.test.TestCase, parameterized.TestCase):
    """Files of both Keras, made by `golden/make.py`, mean the same here."""

    @parameterized.parameters("batch", "instance", "none")
    def test_weights_of_both_keras_give_the_same_picture(self, norm):
        config = TrainConfig(crop_size=SIZE, base_filters=1, norm=norm)
        generator = networks.build_generator(config)
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        z = tiny_runs.random_noise(1, networks.noise_size(config))
        path = tiny_runs.temporary_folder(self) / GENERATOR_WEIGHTS
        for keras_major in (2, 3):
            packed = (_GOLDEN / f"keras{keras_major}_{norm}.weights.h5.gz").read_bytes()
            path.write_bytes(gzip.decompress(packed))
            generator.set_weights([0 * weight for weight in generator.get_weights()])
            networks.load_weights(generator, path)
            with np.load(_GOLDEN / "expected.npz") as expected:
                output = generator([image, z], training=True)
                self.assertAllClose(output, expected[norm], rtol=0, atol=1e-5)
