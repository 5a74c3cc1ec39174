"""Tests of exporting: version folders, the model card, and what a run folder can lack."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import command_line
import keras
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from tensorflow.core.protobuf import saved_model_pb2

from export import saved_model
from pix2pix_tf import networks, serving, version
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.training import checkpoints
from pix2pix_tf.training.checkpoints import GENERATOR_WEIGHTS

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
SIZE = tiny_runs.CROP_SIZE


def names_in(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_checkpoint_notes(run: pathlib.Path, step: int) -> None:
    """Writes what a checkpoint folder holds, as far as the model card looks."""
    folder = run / checkpoints.FOLDER / f"step_{step:08d}"
    folder.mkdir(parents=True)
    (folder / checkpoints.INFO).write_text(json.dumps(dict(step=step, keras="3.0.0")))
    shutil.copyfile(run / GENERATOR_WEIGHTS, folder / GENERATOR_WEIGHTS)


class ExportTest(tf.test.TestCase):
    """Exports of one run, which says that it was at step 250 when its weights were written."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.run_folder = folder / "run"
        cls.config = tiny_runs.write_run(
            cls.run_folder, dataset="facades", direction="BtoA", output_channels=1, dropout=0.25
        )
        write_checkpoint_notes(cls.run_folder, 200)
        write_checkpoint_notes(cls.run_folder, 250)
        records = [dict(step=step, l1_loss=1 / step) for step in (100, 200, 250, 300)]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (cls.run_folder / "metrics.jsonl").write_text(lines)
        best = dict(step=200, metric="l1", split="val", value=0.125)
        (cls.run_folder / checkpoints.FOLDER / "best.json").write_text(json.dumps(best))
        cls.exported = folder / "with space" / "größe (1)"
        cls.version = serving.save_version(cls.run_folder, cls.exported)

    def test_a_version_folder_is_what_tensorflow_serving_expects(self):
        self.assertEqual(self.version, self.exported / "1")
        self.assertContainsSubset(
            ["assets.extra", "saved_model.pb", "variables"], names_in(self.version)
        )
        self.assertEqual(names_in(self.exported), ["1"])
        self.assertEqual(list(self.read_meta_graph().meta_info_def.tags), ["serve"])

    def read_meta_graph(self):
        model = saved_model_pb2.SavedModel()
        model.ParseFromString((self.version / "saved_model.pb").read_bytes())
        (meta_graph,) = model.meta_graphs
        return meta_graph

    def test_model_card(self):
        path = self.version / "assets.extra" / "model_card.json"
        card = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual(TrainConfig.from_dict(card["config"]), self.config)
        self.assertEqual(card["step"], 250)
        self.assertEqual(card["data"], dict(dataset="facades", direction="BtoA"))
        # Not of step 300, which the weights have not seen.
        self.assertEqual(card["metrics"], dict(step=250, l1_loss=1 / 250))
        self.assertEqual(card["best"]["value"], 0.125)
        self.assertEqual(
            card["versions"],
            dict(
                pix2pix_tf=version.__version__,
                tensorflow=tf.__version__,
                keras=keras.__version__,
            ),
        )
        self.assertEqual((card["statistics"], card["dropout"]), ("image", 0.25))
        self.assertEqual(card["max_pixels"], 2**22)
        self.assertEqual(card["noise_size"], networks.noise_size(self.config))
        self.assertEqual(serving.read_model_card(self.version), card)

    def test_each_weight_is_saved_once(self):
        (data,) = (self.version / "variables").glob("variables.data-*")
        weights = tiny_runs.read_generator(self.run_folder).get_weights()
        size = sum(weight.nbytes for weight in weights)
        self.assertBetween(data.stat().st_size, size, 1.2 * size + 4096)

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

    def test_model_card_describes_the_signatures_as_they_are(self):
        card = serving.read_model_card(self.version)
        signatures = self.read_meta_graph().signature_def
        self.assertEqual(
            sorted(name for name in signatures if not name.startswith("__")),
            sorted(card["signatures"]),
        )
        for name, described in card["signatures"].items():
            for side in ("inputs", "outputs"):
                tensors = getattr(signatures[name], side)
                self.assertEqual(sorted(tensors), sorted(described[side]))
                for key, info in tensors.items():
                    self.assertEqual(tf.as_dtype(info.dtype).name, described[side][key]["dtype"])
                    sizes = [dim.size for dim in info.tensor_shape.dim]
                    told = described[side][key]["shape"]
                    self.assertEqual([-1 if isinstance(x, str) else x for x in told], sizes)

    def test_noise_size_is_what_with_noise_takes(self):
        size = serving.read_model_card(self.version)["noise_size"]
        with_noise = tf.saved_model.load(str(self.version)).signatures["with_noise"]
        image = tf.constant(tiny_runs.random_image(1, SIZE, SIZE, 3))
        z = tiny_runs.random_noise(1, size)
        output = with_noise(image=image, z=tf.constant(z))["output"]
        # The last numbers are used: at 0 their units are dropped.
        z[0, -SIZE:] = 0.0
        changed = with_noise(image=image, z=tf.constant(z))["output"]
        self.assertNotAllClose(output, changed)
        with self.assertRaises(tf.errors.InvalidArgumentError):  # None is missing.
            with_noise(image=image, z=tf.constant(z[:, :-1]))

    def test_versions_count_up_beside_what_else_is_there(self):
        exported = tiny_runs.temporary_folder(self)
        (exported / "9").mkdir()
        (exported / "²").mkdir()
        (exported / "notes.txt").touch()
        (exported / "12").touch()  # A file is no version.
        self.assertEqual(serving.list_versions(exported), [9])
        with saving_by(fake_save):
            first = serving.save_version(self.run_folder, exported)
            second = serving.save_version(self.run_folder, exported)
        self.assertEqual((first.name, second.name), ("10", "11"))
        self.assertEqual(serving.list_versions(exported), [9, 10, 11])

    def test_failing_export_leaves_nothing(self):
        exported = tiny_runs.temporary_folder(self)

        def fail(model, path, signatures):
            pathlib.Path(path, "variables").mkdir(parents=True)
            pathlib.Path(path, "saved_model.pb").touch()
            raise KeyboardInterrupt

        with saving_by(fail), self.assertRaises(KeyboardInterrupt):
            serving.save_version(self.run_folder, exported)
        self.assertEqual(names_in(exported), [])

    def test_a_full_disk_is_one_line_and_leaves_nothing(self):
        exported = tiny_runs.temporary_folder(self) / "exported"
        faults = (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            tf.errors.ResourceExhaustedError(
                None, None, "{{node}} part; No space left [Op:SaveV2]"
            ),
        )
        for fault in faults:

            def fail(model, path, signatures, fault=fault):
                pathlib.Path(path, "variables").mkdir(parents=True)
                raise fault

            with saving_by(fail):
                result = command_line.run(
                    saved_model, f"--workdir={self.run_folder}", f"--output={exported}"
                )
            self.assertEqual(result.exit_code, 2)
            self.assertStartsWith(result.stderr, f"error: '{exported}' cannot be written: No space")
            self.assertIn("Make room on that disk", result.stderr)
            self.assertLen(result.stderr.splitlines(), 1)
            self.assertEqual(names_in(exported), [])

    def test_no_version_is_seen_before_it_is_whole(self):
        exported = tiny_runs.temporary_folder(self)
        seen = []

        def look(model, path, signatures):
            fake_save(model, path, signatures)
            seen.append((pathlib.Path(path).parent, names_in(exported)))

        with saving_by(look):
            serving.save_version(self.run_folder, exported)
        ((parent, names),) = seen
        self.assertEqual(parent, exported)  # On one file system, so that a rename is enough.
        self.assertLen(names, 1)
        self.assertStartsWith(names[0], ".")  # Servers and `list_versions` pass it over.
        self.assertEqual(names_in(exported), ["1"])

    def test_a_file_in_place_of_the_output_is_named(self):
        path = tiny_runs.temporary_folder(self) / "file"
        path.touch()
        for output in (path, path / "below"):
            with self.assertRaisesRegex(InputError, "file is in its place. Name another folder"):
                serving.save_version(self.run_folder, output)

    def test_a_path_that_tensorflow_could_not_read_again_is_refused(self):
        for name in ("a[1]", "a*", "a?"):
            exported = tiny_runs.temporary_folder(self) / name / "model"
            with self.assertRaisesRegex(InputError, "takes for a pattern .* Name another folder"):
                serving.save_version(self.run_folder, exported)
            self.assertFalse(exported.exists())

    def test_another_checkpoint_than_the_newest(self):
        exported = tiny_runs.temporary_folder(self) / "exported"
        card = serving.read_model_card(
            serving.save_version(self.run_folder, exported, checkpoint="200")
        )
        self.assertEqual(card["step"], 200)
        with self.assertRaisesRegex(InputError, r"no checkpoint '300'. Steps kept: 200, 250"):
            serving.save_version(self.run_folder, exported, checkpoint="300")


@contextlib.contextmanager
def saving_by(save):
    """Replaces the slow parts of an export, where the graph does not matter."""
    with mock.patch.object(tf.saved_model, "save", save):
        with mock.patch.object(serving.ServingModel, "signatures", dict):
            yield


def fake_save(model, path, signatures):
    """Writes as much as `list_versions` looks for."""
    pathlib.Path(path).mkdir(parents=True)
    pathlib.Path(path, "saved_model.pb").touch()


class CommandTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.run_folder, self.exported = self.folder / "run", self.folder / "exported"

    def export(self, *flags: str) -> command_line.Result:
        return command_line.run(
            saved_model, f"--workdir={self.run_folder}", f"--output={self.exported}", *flags
        )

    def test_without_dropout_and_with_batch_statistics(self):
        tiny_runs.write_run(self.run_folder)
        result = self.export("--dropout=off", "--statistics=batch")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(result.stdout, f"Wrote '{self.exported / '1'}'.\n")
        card = serving.read_model_card(self.exported / "1")
        self.assertEqual(
            (card["noise_size"], card["dropout"], card["config"]["dropout"], card["statistics"]),
            (0, 0.0, 0.0, "batch"),
        )
        signatures = tf.saved_model.load(str(self.exported / "1")).signatures
        image = tf.constant(tiny_runs.random_image(2, SIZE, SIZE, 3))
        first, second = (signatures["serving_default"](image=image)["output"] for _ in range(2))
        self.assertAllEqual(first, second)
        known = signatures["with_noise"](image=image, z=tf.zeros([2, 0]))["output"]
        self.assertAllClose(known, first, rtol=0, atol=1e-6)
        alone = signatures["serving_default"](image=image[:1])["output"]
        self.assertGreater(np.abs(alone[0] - first[0]).max(), 0.01)

    def test_flags_reach_the_export(self):
        tiny_runs.write_run(self.run_folder)
        for flags, expected in (
            (
                (),
                dict(checkpoint="newest", statistics="image", dropout=True, max_pixels=2**22),
            ),
            (
                ("--checkpoint=best", "--dropout=off", "--statistics=batch", "--max_pixels=9999"),
                dict(checkpoint="best", statistics="batch", dropout=False, max_pixels=9999),
            ),
        ):
            with mock.patch.object(serving, "save_version") as save:
                self.export(*flags)
            save.assert_called_once_with(self.run_folder, self.exported, **expected)

    def test_in_a_process_of_its_own(self):
        self.run_folder.mkdir()
        arguments = [f"--workdir={self.run_folder}", f"--output={self.exported}"]
        result = subprocess.run(
            [sys.executable, "-m", "export.saved_model", *arguments],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(f"error: No config.json in '{self.run_folder}'", result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        self.assertFalse(self.exported.exists())


class WeightsTest(tf.test.TestCase, parameterized.TestCase):
    """What a run folder can lack; none of it leaves anything behind."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contents = {}
        for name, settings in (
            ("own", {}),
            ("deeper", dict(crop_size=64)),
            ("wider", dict(base_filters=4)),
            ("norm", dict(norm="instance")),
            ("kind", dict(generator="encoder_decoder")),
            ("grey", dict(input_channels=1)),
        ):
            run = tiny_runs.temporary_folder(cls) / "run"
            tiny_runs.write_run(run, **settings)
            cls.contents[name] = (run / GENERATOR_WEIGHTS).read_bytes()
        cls.config = TrainConfig(crop_size=SIZE, base_filters=2)

    def setUp(self):
        super().setUp()
        self.run_folder = tiny_runs.temporary_folder(self)
        self.exported = self.run_folder / "exported"
        self.weights = self.run_folder / GENERATOR_WEIGHTS

    def assert_refused(self, error: type, *parts: str):
        with self.assertRaises(error) as caught:
            serving.save_version(self.run_folder, self.exported)
        message = str(caught.exception)
        for part in parts:
            self.assertIn(part, message)
        self.assertLen(message.splitlines(), 1)
        self.assertFalse(self.exported.exists())

    def test_not_a_run_folder(self):
        self.assert_refused(
            MissingInputError, f"'{self.run_folder}'", "not a run folder", "Pass the --workdir"
        )

    def test_no_weights_yet(self):
        self.config.save(self.run_folder)
        self.assert_refused(
            MissingInputError, f"There is no '{self.weights}'", "Train until the first checkpoint"
        )

    @parameterized.parameters(0.0, 0.3, 0.5, 0.9, 0.99)
    def test_truncated_weights(self, share):
        self.config.save(self.run_folder)
        whole = self.contents["own"]
        self.weights.write_bytes(whole[: int(share * len(whole))])
        self.assert_refused(InputError, f"'{self.weights}' does not hold", "Restore the file")

    @parameterized.parameters((b"SNOD", 0), (b"SNOD", -1), (b"TREE", -1), (b"HEAP", 0))
    def test_damaged_weights(self, mark, which):
        self.config.save(self.run_folder)
        whole = self.contents["own"]
        parts = whole.split(mark)  # Marks of HDF5: of the file's tables, then of each layer's.
        self.assertGreater(len(parts), 10)
        left = parts[: which if which < 0 else which + 1]
        right = parts[len(left) :]
        self.weights.write_bytes(mark.join(left) + b"\0\0\0\0" + mark.join(right))
        self.assert_refused(InputError, f"'{self.weights}' does not hold", "Restore the file")

    @parameterized.parameters("deeper", "wider", "norm", "kind", "grey")
    def test_weights_of_another_network(self, name):
        self.config.save(self.run_folder)
        self.weights.write_bytes(self.contents[name])
        self.assert_refused(
            InputError, f"'{self.weights}' does not hold", "the config.json that belongs to it"
        )


class GoldenWeightsTest(tf.test.TestCase, parameterized.TestCase):
    """Files of both Keras, made by `golden/make.py`, mean the same here."""

    @parameterized.product(keras_major=(2, 3), norm=("batch", "instance", "none"))
    def test_weights_of_both_keras_give_the_same_picture(self, keras_major, norm):
        run = tiny_runs.temporary_folder(self)
        TrainConfig(crop_size=SIZE, base_filters=1, norm=norm).save(run)
        packed = (_GOLDEN / f"keras{keras_major}_{norm}.weights.h5.gz").read_bytes()
        (run / GENERATOR_WEIGHTS).write_bytes(gzip.decompress(packed))
        model = tiny_runs.serving_model(run)
        image = tiny_runs.random_image(1, SIZE, SIZE, 3)
        output = model.translate(image, tiny_runs.random_noise(1, model.noise_size))
        with np.load(_GOLDEN / "expected.npz") as expected:
            self.assertAllClose(output, expected[norm], rtol=0, atol=1e-5)


if __name__ == "__main__":
    tf.test.main()
