"""Tests of `pix2pix_tf.evaluation.outputs`."""

from __future__ import annotations

import measured_pairs
import numpy as np
import tensorflow as tf
import tiny_runs
from PIL import Image

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data.pipeline import Example
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.outputs import FolderOutputs, ModelOutputs


def example(name: str, *, seed: int = 0, channels: int = 3) -> Example:
    image = tiny_runs.random_image(1, 32, 32, channels, seed=seed)
    return Example(name, tf.constant(image), tf.constant(image))


class ModelOutputsTest(tf.test.TestCase):
    def test_every_draw_of_every_pair_has_noise_of_its_own(self):
        translate = measured_pairs.FakeTranslator(TrainConfig(crop_size=32), step=5)
        outputs = ModelOutputs(translate, name="run", num_pairs=5, seed=7, num_samples=3)
        one = example("one")
        draws = outputs.draws(one, 2)
        self.assertEqual((draws.shape, draws.dtype), ((3, 32, 32, 3), np.uint8))
        for draw, sample in enumerate((2, 2 + 5, 2 + 10)):
            expected = translate(one.source[0].numpy(), seed=7, sample=sample)
            self.assertAllClose(draws[draw], (expected + 1) * 127.5, atol=0.51)
        self.assertGreater(np.abs(draws[0].astype(int) - draws[1]).max(), 0)
        self.assertEqual((outputs.size, outputs.names), (32, None))
        self.assertEqual(outputs.about, dict(kind="model", name="run", step=5))


class FolderOutputsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def write(self, *names: str, size=(32, 32)) -> None:
        for number, name in enumerate(names):
            pixels = measured_pairs.random_pixels(size[1], size[0], 3, seed=number)
            Image.fromarray(pixels).save(self.folder / name)

    def test_matches_pictures_by_name(self):
        self.write("b.png", "a.png")
        outputs = FolderOutputs(self.folder, pairs=["a", "b"])
        expected = measured_pairs.random_pixels(32, 32, 3, seed=1)
        self.assertAllEqual(outputs.draws(example("a"), 0), [expected])
        self.assertEqual(outputs.draws(example("a", channels=1), 0).shape, (1, 32, 32, 1))
        self.assertEqual((outputs.size, outputs.notes), (32, []))

    def test_a_suffix_tells_outputs_from_other_pictures(self):
        self.write("1_fake_B.png", "1_real_A.png", "11_fake_B.png")
        outputs = FolderOutputs(self.folder, pairs=["1", "11"], suffix="_fake_B")
        self.assertEqual((sorted(outputs.names), outputs.about["missing"]), (["1", "11"], []))
        self.assertEqual(outputs.about["extra"], ["1_real_A.png"])

    def test_pictures_that_are_not_used_are_noted(self):
        (self.folder / "other").mkdir()
        self.write("a.png", "other/b.png", "._a.png")
        (note,) = FolderOutputs(self.folder, pairs=["a"]).notes
        self.assertIn("'other' (1 picture)", note)
        with self.assertRaisesRegex(InputError, "does not hold images.*'other' [(]1 picture[)]"):
            (self.folder / "a.png").unlink()
            FolderOutputs(self.folder, pairs=["a"])

    def test_16_bits_are_read_as_16_bits(self):
        values = np.random.default_rng(0).integers(0, 4096, (32, 32, 3)).astype(np.uint16)
        (self.folder / "a.png").write_bytes(tf.io.encode_png(values).numpy())
        outputs = FolderOutputs(self.folder, pairs=["a"])
        draws = outputs.draws(example("a"), 0)
        self.assertEqual(draws.dtype, np.uint16)
        self.assertAllEqual(draws, [values])
        (note,) = outputs.notes
        self.assertRegex(note, "1 of 1 pictures have 16 bits.*65535")
        outputs = FolderOutputs(self.folder, pairs=["a"], value_range=(0.0, 4095.0))
        draws = outputs.draws(example("a"), 0)
        self.assertAllClose(draws, [values / 2047.5 - 1], atol=1e-6)
        self.assertEqual((draws.dtype, outputs.notes), (np.float32, []))

    def test_values_that_do_not_go_with_the_range(self):
        self.write("a.png")
        with self.assertRaisesRegex(InputError, "a.png' is .* 8 bits.* 4095"):
            FolderOutputs(self.folder, pairs=["a"], value_range=(0.0, 4095.0))
        (self.folder / "a.png").unlink()
        np.save(self.folder / "a.npy", np.zeros([32, 32, 3], "f4"))
        with self.assertRaisesRegex(InputError, "a.npy.* 32 bits.*--outputs_range"):
            FolderOutputs(self.folder, pairs=["a"])
        outputs = FolderOutputs(self.folder, pairs=["a"], value_range=(-1.0, 3.0))
        self.assertAllClose(outputs.draws(example("a"), 0), np.full([1, 32, 32, 3], -0.5))

    def test_refuses_what_cannot_be_compared(self):
        cases = (  # The files, their sizes, and what the message names.
            (["x.png"], [32], "'x.png'.*'a'"),
            (["a.png"], [(32, 16)], "a.png' is 32x16"),
            (["a.png"], [8], "a.png' is 8x8"),
            (["a.png", "b.png"], [32, 16], "b.png' is 16x16"),
        )
        for names, sizes, message in cases:
            for path in self.folder.iterdir():
                path.unlink()
            for name, size in zip(names, sizes):
                self.write(name, size=size if isinstance(size, tuple) else (size, size))
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                FolderOutputs(self.folder, pairs=["a", "b"])
