"""Tests of `pix2pix_tf.inference.exported`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import tensorflow as tf
import tiny_runs
from tensorflow.core.protobuf import saved_model_pb2

from pix2pix_tf import serving
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import exported, translator


class ExportedModelTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tiny_runs.temporary_folder(cls)
        cls.run_folder, cls.exported = folder / "run", folder / "exported"
        cls.config = tiny_runs.write_run(cls.run_folder, output_channels=1)
        cls.version = serving.save_version(cls.run_folder, cls.exported)
        cls.model = exported.load(cls.exported)

    def test_says_what_it_is(self):
        self.assertEqual(self.model.config, self.config)
        self.assertIsNone(self.model.step)
        self.assertEqual(self.model.noise_size, self.model.card["noise_size"])

    def test_each_signature(self):
        image = tiny_runs.random_image(2, 32, 32, 3)
        z = tiny_runs.random_noise(2, self.model.noise_size)
        first, second = (self.model.translate_with_noise(image, z) for _ in range(2))
        self.assertEqual((first.shape, first.dtype), ((2, 32, 32, 1), np.float32))
        self.assertAllEqual(first, second)
        first, second = (self.model.translate(image) for _ in range(2))
        self.assertEqual(first.shape, (2, 32, 32, 1))
        self.assertNotAllClose(first, second, atol=1e-3)
        sizes = ((20, 40), (33, 7))
        encoded = [tf.io.encode_png(tf.zeros([*size, 3], tf.uint8)).numpy() for size in sizes]
        outputs = self.model.translate_encoded(encoded)
        self.assertEqual([tf.io.decode_png(x).shape for x in outputs], [(*x, 1) for x in sizes])

    def test_a_version_and_the_folder_of_versions_are_the_same(self):
        image = tiny_runs.random_image(1, 32, 32, 3)
        z = tiny_runs.random_noise(1, self.model.noise_size)
        expected = self.model.translate_with_noise(image, z)
        found = exported.load(self.version).translate_with_noise(image, z)
        self.assertAllEqual(found, expected)
        run = translator.load(self.run_folder)
        self.assertAllClose(
            run(image[0], seed=3), translator.load(self.version)(image[0], seed=3), atol=1e-5
        )

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
        loaded = tf.saved_model.load(str(self.version))
        choices = {"Conv2D", "Conv2DBackpropInput", "BatchMatMulV2"}
        for name, function in functions.items():
            operations = tiny_runs.operations(function.graph.as_graph_def())
            self.assertEqual(operations & choices, {"Conv2D", "Conv2DBackpropInput"})
            # The signature decides by the size of the image.
            graph_def = loaded.signatures[name].graph.as_graph_def()
            self.assertEqual(tiny_runs.operations(graph_def) & choices, choices)

    def test_the_network_is_in_a_saved_model_once(self):
        contents = saved_model_pb2.SavedModel.FromString(
            (self.version / serving.SAVED_MODEL).read_bytes()
        )
        (graph_def,) = (meta_graph.graph_def for meta_graph in contents.meta_graphs)
        bodies = [{node.op for node in body.node_def} for body in graph_def.library.function]
        self.assertLen([kinds for kinds in bodies if "Tanh" in kinds], 1)
        # Saved gradients would make it ten times as slow to load.
        names = [body.signature.name for body in graph_def.library.function]
        self.assertEmpty([name for name in names if "grad_fn" in name])

    def test_weights_that_are_not_those_of_the_card(self):
        mixed = shutil.copytree(self.version, tiny_runs.temporary_folder(self) / "mixed")
        card = json.loads((mixed / serving.MODEL_CARD).read_text())
        card["config"]["base_filters"] = 4
        (mixed / serving.MODEL_CARD).write_text(json.dumps(card))
        with self.assertRaisesRegex(InputError, "mixed' cannot be loaded"):
            exported.portable_model(mixed)

    def test_what_is_no_exported_model(self):
        folder = tiny_runs.temporary_folder(self)
        with self.assertRaisesRegex(MissingInputError, "There is no folder '.*nowhere'"):
            exported.load(folder / "nowhere")
        with self.assertRaisesRegex(InputError, "no saved_model.pb and no numbered versions"):
            exported.load(folder)
        (folder / "3" / "assets.extra").mkdir(parents=True)
        card = json.dumps(self.model.card)
        (folder / "3" / serving.MODEL_CARD).write_text(card, encoding="utf-8")
        with self.assertRaisesRegex(InputError, "'.*/3' cannot be loaded as a SavedModel"):
            exported.load(folder)

    def test_variables_of_another_network(self):
        folder = tiny_runs.temporary_folder(self)
        other = tf.Module()
        other.variable = tf.Variable(1.0)
        tf.saved_model.save(other, str(folder / "other"))
        mixed = shutil.copytree(self.version, folder / "mixed")
        shutil.rmtree(mixed / "variables")
        shutil.copytree(folder / "other" / "variables", mixed / "variables")
        with self.assertRaisesRegex(InputError, "mixed' cannot be loaded as .* not bound to"):
            exported.load(mixed)

    def test_an_operation_that_there_is_not(self):
        damaged = shutil.copytree(self.version, tiny_runs.temporary_folder(self) / "damaged")
        graph = (damaged / serving.SAVED_MODEL).read_bytes()
        (damaged / serving.SAVED_MODEL).write_bytes(graph.replace(b"Conv2D", b"Conv2X"))
        with self.assertRaisesRegex(InputError, "'.*damaged' cannot be loaded as .*'Conv2X"):
            exported.load(damaged)
