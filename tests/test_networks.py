"""Tests of `pix2pix_tf.networks`: networks of one's own, from training to translation."""

from __future__ import annotations

import contextlib
import io
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_training
from refusals import refused

from pix2pix_tf import networks, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.inference import noise, tiles, translator
from pix2pix_tf.models import layers
from pix2pix_tf.training import loop


def build_shallow(config, *, statistics, dtype, multiple: int | None = 8) -> keras.Model:
    """Returns a generator that halves an image three times, with noise at half of its size."""
    common = dict(norm=config.norm, statistics=statistics, dtype=dtype)
    image = keras.Input([None, None, config.input_channels], name="image")
    noise = z = keras.Input([None], name="z")
    x = image
    for filters in (2, 3, 4):
        x = layers.down_block(x, filters, **common)
    for filters, rate in ((4, None), (5, config.dropout)):
        x, noise = layers.up_block(x, noise, filters, dropout=rate, **common)
    x = layers.upsampling_convolution(x, config.output_channels, use_bias=True, dtype=dtype)
    output = keras.layers.Activation("tanh", dtype="float32", name="output")(x)
    model = keras.Model([image, z], output, name="shallow")
    if multiple:
        model.multiple = multiple
    return model


def build_patch_of_eight(config, *, dtype) -> keras.Model:
    """Returns a discriminator of patches that do not overlap."""
    pair = keras.Input([None, None, config.input_channels + config.output_channels])
    logits = keras.layers.Conv2D(1, 8, strides=8, dtype=dtype)(pair)
    return keras.Model(pair, keras.layers.Activation("linear", dtype="float32")(logits))


class RegisteredTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enter_context(mock.patch.dict(networks.GENERATORS, shallow=build_shallow))
        cls.enter_context(mock.patch.dict(networks.DISCRIMINATORS, eights=build_patch_of_eight))
        cls.config = tiny_training.make_config(
            generator="shallow", discriminator="eights", num_steps=2, num_samples=1
        )

    def test_are_trained_exported_and_translated_with(self):
        folder = tiny_runs.temporary_folder(self)
        with contextlib.redirect_stdout(io.StringIO()):
            state = loop.train(self.config, folder / "run")
        self.assertEqual(state.generator.name, "shallow")
        self.assertLen(state.discriminator.get_weights(), 2)
        fresh = networks.build_discriminator(self.config)
        keras.utils.set_random_seed(self.config.seed)
        for weight, before in zip(state.discriminator.get_weights(), fresh.get_weights()):
            self.assertNotAllEqual(weight, before)
        tiny_runs.set_weights(state.generator, seed=0)  # That say something.
        state.generator.save_weights(str(folder / "run" / "generator.weights.h5"))
        for checkpoint in (folder / "run" / "checkpoints").glob("step_*"):
            state.generator.save_weights(str(checkpoint / "generator.weights.h5"))
        version = serving.save_version(folder / "run", folder / "exported")
        # One that no longer knows the generator.
        with mock.patch.dict(networks.GENERATORS):
            from_run = translator.load(folder / "run")
            del networks.GENERATORS["shallow"]
            from_export = translator.load(version)
        self.assertEqual(from_run.block, from_export.block)
        image = tiny_runs.random_image(13, 21, 3)
        output = from_run(image, seed=3)
        self.assertAllClose(output, from_export(image, seed=3), rtol=0, atol=1e-5)
        # By reflection to 16 x 24, with the numbers of six blocks.
        padded = np.pad(image, ((0, 3), (0, 3), (0, 0)), mode="reflect")[np.newaxis]
        z = noise.draw(from_run.block.noise_size_of(13, 21), entropy=[3, 0])[np.newaxis]
        self.assertEqual(z.shape, (1, 16 // 2 * 24 // 2 * 5))
        expected = state.generator([padded, z])[0, :13, :21]
        self.assertAllClose(output, expected, rtol=0, atol=1e-5)
        self.assertNotAllClose(from_run(image, seed=4), output, atol=1e-2)
        with refused("'shallow'", "tile"):
            tiles.TiledTranslator(*translator.load_generator(folder / "run"), tile=32)

    def test_what_is_not_said_is_asked_of_the_layers_or_is_the_crop(self):
        self.assertEqual(networks.noise_size(self.config), 16 * 16 * 5)
        silent = build_shallow(self.config, statistics="batch", dtype="float32", multiple=None)
        block = networks.block_of(self.config, silent)
        self.assertEqual(block, networks.Block(32, 16 * 16 * 5))
        self.assertEqual(block.noise_size_of(33, 1), 2 * 16 * 16 * 5)

    def test_names_that_are_not_registered_are_refused_naming_those_that_are(self):
        with refused("generator is 'deep'", "unet, encoder_decoder, shallow"):
            networks.build_generator(TrainConfig(generator="deep"))
        with refused("discriminator is 'nines'", "patchgan, eights"):
            networks.build_discriminator(TrainConfig(discriminator="nines"))


class PublishedTest(tf.test.TestCase):
    """What of a run with averages and a decoder that resizes is read by all others."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls) / "run"
        config = tiny_training.make_config(
            upsampling="resize", num_steps=3, num_samples=1, learning_rate=0.01
        )
        with contextlib.redirect_stdout(io.StringIO()):
            cls.state = loop.train(config, cls.folder)
        cls.image = tiny_runs.random_image(32, 32, 3)

    def expected(self, generator):
        z = noise.draw(networks.block_of(self.state.config, generator).noise_size, entropy=[0, 0])
        return generator([self.image[np.newaxis], z[np.newaxis]])[0]

    def test_the_average_is_what_models_are_made_of_unless_the_last_is_asked_for(self):
        average, last = self.expected(self.state.average), self.expected(self.state.generator)
        self.assertNotAllClose(average, last, atol=1e-3)
        found = translator.load(self.folder)(self.image)
        self.assertAllClose(found, average, rtol=0, atol=1e-5)
        found = translator.load(self.folder, weights="last")(self.image)
        self.assertAllClose(found, last, rtol=0, atol=1e-5)
        output = self.folder.with_name("exported")
        for number, (weights, expected) in enumerate((("average", average), ("last", last)), 1):
            version = serving.save_version(self.folder, output, weights=weights)
            self.assertEqual(serving.read_model_card(version)["weights"], weights)
            found = translator.load(output / str(number))(self.image)
            self.assertAllClose(found, expected, rtol=0, atol=1e-5)
        with refused("weights is 'last'", "SavedModel"):
            translator.load(output, weights="last")

    def test_kernels_are_of_the_size_that_the_paper_has(self):
        _, served = translator.load_generator(self.folder)
        shapes = [weight.shape for weight in served.get_weights()]
        self.assertNotIn((3, 3), {shape[:2] for shape in shapes})
        config = TrainConfig(**{**vars(self.state.config), "upsampling": "transposed"})
        plain = networks.build_generator(config, is_trained=True)
        self.assertEqual(shapes, [weight.shape for weight in plain.get_weights()])
        self.assertNotEqual(shapes, [weight.shape for weight in self.state.generator.get_weights()])

    def test_a_copy_without_checkpoints_has_no_last_weights(self):
        copy = self.folder.with_name("copy")
        copy.mkdir()
        for name in ("config.json", "generator.weights.h5"):
            (copy / name).write_bytes((self.folder / name).read_bytes())
        found = translator.load(copy)(self.image)
        self.assertAllClose(found, self.expected(self.state.average), rtol=0, atol=1e-5)
        with refused("generator_last.weights.h5", "--weights", kind=MissingInputError):
            translator.load(copy, weights="last")
