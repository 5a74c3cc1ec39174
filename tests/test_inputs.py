"""Tests of `pix2pix_tf.training.inputs`: runs on pairs that a program gives."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from unittest import mock

import label_data
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_training
from absl.testing import parameterized
from refusals import refused

from pix2pix_tf import run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError
from pix2pix_tf.training import inputs, loop, reports

SIZE = tiny_training.CROP_SIZE


class Flat:
    """Pairs of one colour each: A dark, B bright."""

    def __init__(self, count: int, *, size: int = 40, dtype=np.uint8):
        self.dtype = dtype
        self.names = [f"pair_{number}" for number in range(count)]
        self._size = size

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B."""
        shape = (self._size, self._size, 3)
        return np.full(shape, 10 * index, np.uint8), np.full(shape, 250 - 10 * index, np.uint8)


class Marked(Flat):
    """Pairs that no flip and no turn leaves as they are."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns A and B."""
        marks = np.arange(self._size**2).reshape(self._size, self._size, 1) // 5 + 10 * index
        picture = np.repeat(marks, 3, axis=-1).astype(np.uint8)
        return picture, 255 - picture


def flat_dataset(count: int, *, size: int = SIZE, dtype=np.float32) -> tf.data.Dataset:
    """Returns pairs of one colour, -1, -0.9, -0.8, ..., and its negative."""
    levels = (np.arange(count) / 10 - 1).astype(dtype)
    source = np.broadcast_to(levels[:, None, None, None], [count, size, size, 3])
    return tf.data.Dataset.from_tensor_slices((source, -source))


def make_config(**settings) -> TrainConfig:
    few = dict(gan_loss="none", num_samples=2, num_evaluated=2, log_every=1, num_steps=2)
    return tiny_training.make_config(**{**few, **settings})


class GivenPairsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enter_context(tiny_training.stub_networks())
        cls.enter_context(mock.patch.object(reports, "plot_losses"))

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def train(self, pairs, name: str = "run", **settings) -> str:
        """Trains on them; returns what was printed."""
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            loop.train(make_config(**settings), self.folder / name, pairs=pairs)
        return stdout.getvalue()

    def test_a_source_is_measured_on_its_held_out_pairs_and_resumed_to_the_bit(self):
        pairs = {"train": Flat(5), "val": Flat(2), "test": Flat(1)}
        printed = self.train(pairs, num_steps=4)
        self.assertIn("5 training pairs, 2 held out (val)", printed)
        best = run_folder.read_best(self.folder / "run")
        self.assertEqual((best["split"], best["metric"]), ("val", "l1"))
        self.assertEqual(TrainConfig.load(self.folder / "run").dataset, inputs.GIVEN)
        self.train(pairs, "stopped", num_steps=2)
        self.train(pairs, "stopped", num_steps=4)
        found, expected = (
            tiny_training.saved_variables(self.folder / name) for name in ("stopped", "run")
        )
        self.assertGreater(len(expected), 10)
        for value, wanted in zip(found, expected):
            self.assertAllEqual(value, wanted)

    def test_flips_turns_and_light_are_resumed_to_the_bit(self):
        jitter = dict(vertical_flip=True, rotate90=True, input_jitter=0.3, mirror=False)
        for name, steps in (("whole", [4]), ("stopped", [2, 4]), ("plain", [4])):
            for num_steps in steps:
                settings = {} if name == "plain" else jitter
                self.train({"train": Marked(5)}, name, num_steps=num_steps, **settings)
        whole, stopped, plain = (
            tiny_training.saved_variables(self.folder / name)
            for name in ("whole", "stopped", "plain")
        )
        for value, wanted in zip(stopped, whole):
            self.assertAllEqual(value, wanted)
        self.assertFalse(all(np.array_equal(x, y) for x, y in zip(whole, plain)))

    def test_each_kind_of_jitter_is_done_where_it_is_asked_for(self):
        for name in ("vertical_flip", "rotate90", "input_jitter"):
            settings = {name: 0.3 if name == "input_jitter" else True}
            config = make_config(mirror=False, load_size=SIZE, **settings)
            reader = inputs.ReaderInputs(config, None, {"train": Marked(1)})
            batches = reader.batches(1, start=0, shard=(0, 1)).take(40)
            sources = {batch[0].numpy()[..., 0].tobytes() for batch in batches}
            few = {"vertical_flip": 2, "rotate90": 4, "input_jitter": 40}
            self.assertLen(sources, few[name])

    def test_the_light_of_labels_is_not_changed(self):
        folder = self.folder / "labels"
        label_data.write(self.folder, train=3)
        (self.folder / "facades").rename(folder)
        refusals = {
            "BtoA": ["input_jitter", "0.3", "few even colours"],  # B has the labels.
            "AtoB": None,
        }
        for direction, words in refusals.items():
            config = make_config(dataset=str(folder), direction=direction, input_jitter=0.3)
            given = inputs.open_inputs(config, None)
            with contextlib.redirect_stdout(io.StringIO()):
                with refused(*words) if words else contextlib.nullcontext():
                    given.read_all(None)
        unchecked = make_config(
            dataset=str(folder), direction="BtoA", input_jitter=0.3, check_data=False
        )
        with refused("few even colours"):
            inputs.open_inputs(unchecked, None).read_all(None)
        # A folder goes by what it shows, and not by its name.
        folder.rename(self.folder / "demo")
        config = make_config(dataset=str(self.folder / "demo"), input_jitter=0.3)
        with contextlib.redirect_stdout(io.StringIO()):
            inputs.open_inputs(config, None).read_all(None)
        with refused("input_jitter", "demo AtoB are labels"):
            inputs.open_inputs(make_config(dataset="demo", input_jitter=0.3), None)

    @parameterized.parameters(("AtoB", -1.0), ("BtoA", 0.96))
    def test_a_source_has_a_and_b(self, direction, level):
        given = inputs.open_inputs(make_config(direction=direction), Flat(1))
        ((source, _),) = given.batches(1, start=0, shard=(0, 1)).take(1)
        self.assertAllClose(source, tf.fill([1, SIZE, SIZE, 3], level), atol=0.01)
        self.assertIsNone(given.held_out)

    def test_a_dataset_is_not_flipped_or_turned(self):
        for settings in (dict(vertical_flip=True), dict(rotate90=True), dict(input_jitter=0.1)):
            with refused(next(iter(settings)), "tf.data.Dataset", "as they are"):
                inputs.open_inputs(make_config(**settings), flat_dataset(3))

    def test_a_dataset_is_taken_as_it_is(self):
        printed = self.train({"train": flat_dataset(3), "test": flat_dataset(2)})
        self.assertIn("3 training pairs, 2 held out (test)", printed)
        self.assertEqual(run_folder.read_best(self.folder / "run")["split"], "test")
        given = inputs.open_inputs(make_config(), flat_dataset(3).repeat())
        self.assertEqual((given.num_pairs, given.held_out), (None, None))
        ((source, target),) = given.batches(2, start=5, shard=(1, 2)).take(1)
        # Of 0, 1, 2, 0, 1, 2 every second.
        self.assertAllClose(source[:, 0, 0, 0], [-0.9, -1.0])
        self.assertAllEqual(target, -source)
        self.assertLen(list(given.examples(7)), 7)

    def test_held_out_pairs_of_a_dataset_that_does_not_tell_how_many_it_has(self):
        endless = flat_dataset(3).repeat()
        printed = self.train({"train": endless, "val": endless})
        self.assertIn("an unknown number of training pairs", printed)
        self.assertIn("on 2 pairs of val", printed)

    @parameterized.named_parameters(
        ("other_sizes", lambda: flat_dataset(2, size=16), "float32 (16, 16, 3)"),
        ("batches", lambda: flat_dataset(2).batch(2), "not batched"),
        ("nothing", lambda: flat_dataset(2).take(0), "'train' is empty"),
        ("integers", lambda: flat_dataset(2, dtype=np.int32), "int32 (32, 32, 3)"),
        ("no_pairs", lambda: flat_dataset(2).map(lambda a, b: a), "(source, target)"),
        ("held_out_alone", lambda: {"val": flat_dataset(2)}, "splits val"),
        ("two_kinds", lambda: {"train": flat_dataset(2), "val": Flat(1)}, "of one kind"),
        ("a_source_without_pairs", lambda: {"train": Flat(1), "val": Flat(0)}, "is empty"),
        ("a_number", lambda: 5, "'train' are of type int"),
        ("values_of_64_bits", lambda: Flat(1, dtype=np.float64), "float64"),
        ("another_split", lambda: {"train": Flat(1), "validation": Flat(1)}, "validation"),
    )
    def test_what_cannot_be_trained_on_is_refused(self, make, part):
        with mock.patch.object(loop, "TrainState", side_effect=AssertionError):
            with refused(part) as caught:
                self.train(make())
        self.assertLen(str(caught.value).splitlines(), 1)

    def test_a_dataset_that_fails_on_the_way_is_one_line(self):
        def pairs():
            yield from flat_dataset(3)
            raise OSError("The disk is gone.")

        spec = (tf.TensorSpec([SIZE, SIZE, 3]),) * 2
        dataset = tf.data.Dataset.from_generator(pairs, output_signature=spec)
        with self.assertRaisesRegex(InputError, "failed: .*The disk is gone") as caught:
            self.train(dataset, num_steps=9)
        self.assertLen(str(caught.exception).splitlines(), 1)

    def test_a_run_on_given_pairs_is_not_continued_on_others_by_name(self):
        self.train(Flat(2))
        config = dataclasses.replace(make_config(num_steps=3), dataset="demo")
        with refused(f"dataset (was '{inputs.GIVEN}', now 'demo')"):
            loop.train(config, self.folder / "run")
