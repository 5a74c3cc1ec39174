"""Tests of `pix2pix_tf.inference.exported`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import tensorflow as tf
import tiny_runs

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

    def test_portable_functions_are_the_signatures_in_other_operations(self):
        loaded = tf.saved_model.load(str(self.version))
        portable = exported.portable_functions(loaded)
        self.assertCountEqual(portable, ["serving_default", "with_noise"])
        image = tf.constant(tiny_runs.random_image(1, 32, 64, 3))
        z = tf.constant(tiny_runs.random_noise(1, 2 * self.model.noise_size))
        found, expected = (
            functions["with_noise"](image=image, z=z)["output"]
            for functions in (portable, loaded.signatures)
        )
        self.assertAllClose(found, expected, rtol=0, atol=1e-5)
        self.assertEqual(portable["serving_default"](image=image)["output"].shape, found.shape)

        def operations(function):
            graph_def = function.graph.as_graph_def()
            names = [body.signature.name for body in graph_def.library.function]
            # Saved gradients would make it ten times as slow to load.
            self.assertEmpty([name for name in names if "grad_fn" in name])
            nested = [node for body in graph_def.library.function for node in body.node_def]
            return {node.op for node in [*graph_def.node, *nested]}

        in_both = {"Conv2D", "Conv2DBackpropInput", "BatchMatMulV2"}
        # The signature decides by the size of the image.
        wanted = ({"Conv2D", "Conv2DBackpropInput"}, in_both)
        for name in portable:
            for functions, kinds in zip((portable, loaded.signatures), wanted):
                graph = tf.function(lambda f=functions[name], **x: f(**x)).get_concrete_function(
                    **{"image": image, **({"z": z} if name == "with_noise" else {})}
                )
                self.assertEqual(operations(graph) & in_both, kinds)

    def test_a_model_of_before_is_portable_as_it_is(self):
        class Loaded:
            signatures = dict(with_noise=len)

        self.assertIs(exported.portable_functions(Loaded()), Loaded.signatures)

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
