"""Tests of `pix2pix_tf.inference.exported`."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from unittest import mock

import numpy as np
import tensorflow as tf
import tiny_runs
from tensorflow.core.protobuf import saved_model_pb2

from pix2pix_tf import serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import exported, translator


class ExportedModelTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.version = tiny_runs.shared_version()
        cls.model = tiny_runs.shared_model()
        cls.config = TrainConfig.load(tiny_runs.shared_run())

    def copy(self, **changes) -> pathlib.Path:
        """Returns a copy of the version, with changes to its card."""
        copy = tiny_runs.temporary_folder(self) / "1"
        shutil.copytree(self.version, copy)
        card = json.loads((copy / serving.MODEL_CARD).read_text())
        (copy / serving.MODEL_CARD).write_text(json.dumps({**card, **changes}))
        return copy

    def test_each_signature(self):
        image = tiny_runs.random_image(2, 32, 32, 3)
        z = tiny_runs.random_noise(2, self.model.noise_size)
        first, second = (self.model.translate_with_noise(image, z) for _ in range(2))
        self.assertEqual((first.shape, first.dtype), ((2, 32, 32, 3), np.float32))
        self.assertAllEqual(first, second)
        first, second = (self.model.translate(image) for _ in range(2))
        self.assertEqual(first.shape, (2, 32, 32, 3))
        self.assertNotAllClose(first, second, atol=1e-3)
        sizes = ((20, 40), (33, 7))
        encoded = [tf.io.encode_png(tf.zeros([*size, 3], tf.uint8)).numpy() for size in sizes]
        outputs = self.model.translate_encoded(encoded)
        self.assertEqual([tf.io.decode_png(x).shape for x in outputs], [(*x, 3) for x in sizes])

    def test_the_portable_model_computes_the_same_in_other_operations(self):
        portable = exported.portable_model(self.version)
        image = tf.constant(tiny_runs.random_image(1, 32, 64, 3))
        z = tf.constant(tiny_runs.random_noise(1, 2 * self.model.noise_size))
        found = portable.translate(image, z)
        self.assertAllClose(found, self.model.translate_with_noise(image, z), rtol=0, atol=1e-5)

        functions = portable.tensor_signatures(
            image=tf.TensorSpec([1, 32, 64, 3], name="image"), z=tf.TensorSpec(z.shape, name="z")
        )
        self.assertCountEqual(functions, ["serving_default", "with_noise"])
        choices = {"Conv2D", "Conv2DBackpropInput", "BatchMatMulV2"}
        for function in functions.values():
            operations = tiny_runs.operations(function.graph.as_graph_def())
            self.assertEqual(operations & choices, {"Conv2D", "Conv2DBackpropInput"})
        # The export itself decides by the size of the image.
        self.assertEqual(tiny_runs.operations(self.graph_def()) & choices, choices)

    def test_the_portable_model_is_as_the_card_says(self):
        config = {**self.model.card["config"], "dropout": 0.0}
        older = self.copy()  # Its card says less; its weights have had their names since the first.
        card = {key: value for key, value in self.model.card.items() if key != "statistics"}
        (older / serving.MODEL_CARD).write_text(json.dumps(card))
        reader = tf.train.load_checkpoint(str(older / "variables" / "variables"))
        for version, statistics, dropout in (
            (self.copy(config=config, statistics="batch"), "batch", 0.0),
            (older, "image", 0.5),
        ):
            with mock.patch.object(serving, "ServingModel") as make:
                exported.portable_model(version)
            given, weights = make.call_args.args
            self.assertEqual(given, dataclasses.replace(self.config, dropout=dropout))
            self.assertEqual(make.call_args.kwargs["statistics"], statistics)
            self.assertGreater(len(weights), 20)
            for number, weight in enumerate(weights):
                saved = reader.get_tensor(f"_tracked/{number}/.ATTRIBUTES/VARIABLE_VALUE")
                self.assertAllEqual(weight, saved)

    def graph_def(self) -> tf.compat.v1.GraphDef:
        contents = (self.version / serving.SAVED_MODEL).read_bytes()
        (meta_graph,) = saved_model_pb2.SavedModel.FromString(contents).meta_graphs
        return meta_graph.graph_def

    def test_the_network_is_in_a_saved_model_once(self):
        functions = self.graph_def().library.function
        bodies = [{node.op for node in body.node_def} for body in functions]
        self.assertLen([kinds for kinds in bodies if "Tanh" in kinds], 1)
        # Saved gradients would make it ten times as slow to load.
        names = [body.signature.name for body in functions]
        self.assertEmpty([name for name in names if "grad_fn" in name])

    def test_weights_that_are_not_those_of_the_card(self):
        config = serving.read_model_card(self.version)["config"]
        mixed = self.copy(config={**config, "base_filters": 4})
        with self.assertRaisesRegex(InputError, f"'{mixed}'"):
            exported.portable_model(mixed)
        with self.assertRaisesRegex(InputError, f"'{mixed}'"):
            translator.load_generator(mixed)

    def test_not_an_exported_model(self):
        folder = tiny_runs.temporary_folder(self)
        with self.assertRaisesRegex(MissingInputError, f"'{folder}/nowhere'"):
            exported.load(folder / "nowhere")
        with self.assertRaisesRegex(InputError, f"'{folder}'"):
            exported.load(folder)
        (folder / "3" / "assets.extra").mkdir(parents=True)
        shutil.copy(self.version / serving.MODEL_CARD, folder / "3" / serving.MODEL_CARD)
        with self.assertRaisesRegex(InputError, f"'{folder}/3'"):
            exported.load(folder)

    def test_variables_of_another_network(self):
        other = tf.Module()
        other.variable = tf.Variable(1.0)
        mixed = self.copy()
        shutil.rmtree(mixed / "variables")
        tf.train.Checkpoint(other).write(str(mixed / serving.VARIABLES))
        with self.assertRaisesRegex(InputError, f"'{mixed}'"):
            exported.load(mixed)
