"""Tests of `pix2pix_tf.data.pipeline`, on pictures that hold their number and coordinates."""

from __future__ import annotations

import collections
import hashlib
import itertools
import pathlib
import threading
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image
from refusals import refused

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import augment, images, pairs, pipeline
from pix2pix_tf.errors import InputError, MissingInputError

_LOAD_SIZE, _CROP_SIZE = 12, 8  # 5 rows, 5 columns and 2 flips to choose from.


class CountedPairs:
    """Pairs whose pixels are (number, row, column) for A and the inverse for B.

    Counts how often each was read, from any thread.
    """

    def __init__(self, num_pairs: int = 7, *, height: int = _LOAD_SIZE, width: int = _LOAD_SIZE):
        self.names = [f"pair_{number}" for number in range(num_pairs)]
        self.dtype = tf.uint8
        self.reads = collections.Counter()
        self._shape = (height, width)
        self._lock = threading.Lock()

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            self.reads[index] += 1
        rows, cols = np.indices(self._shape)
        a = np.stack([np.full(self._shape, index), rows, cols], axis=-1).astype(np.uint8)
        return a, 255 - a


class OneSidedPairs(CountedPairs):
    """The same with a grey A, to tell A from B by their channels."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        a, b = super().read(index)
        return a[..., :1], b


def take(dataset: tf.data.Dataset, num_batches: int, *, skip: int = 0) -> list:
    """Returns a list of (source, target) arrays."""
    batches = itertools.islice(dataset, skip, skip + num_batches)
    return [(source.numpy(), target.numpy()) for source, target in batches]


def examples(dataset: tf.data.Dataset, num_batches: int) -> list[tuple[int, int, int, bool]]:
    """Returns (number, row, column, flipped) of each example, in order."""
    found = []
    for batch, _ in take(dataset, num_batches):
        for pixels in images.denormalize_image(batch).numpy().astype(int):
            row, col = pixels[..., 1].min(), pixels[..., 2].min()
            found.append((pixels[0, 0, 0], row, col, pixels[0, 0, 2] > pixels[0, -1, 2]))
    return found


class TrainingBatchesTest(tf.test.TestCase, parameterized.TestCase):
    def batches(self, source_pairs=None, *, cache_megabytes=1, settings=None, **options):
        reader = pipeline.PairReader(
            TrainConfig(**(settings or {})),
            source_pairs or CountedPairs(),
            size=_LOAD_SIZE,
            cache_megabytes=cache_megabytes,
        )
        return pipeline.training_batches(
            reader, **{"batch_size": 1, "crop_size": _CROP_SIZE, **options}
        )

    def assert_same_batches(self, first: list, second: list) -> None:
        self.assertEqual(len(first), len(second))
        for one, other in zip(first, second):
            self.assertAllEqual(one[0], other[0])
            self.assertAllEqual(one[1], other[1])

    @parameterized.named_parameters(("single", 1), ("pairs", 2), ("larger_than_an_epoch", 9))
    def test_each_epoch_visits_each_pair_once_in_another_order(self, batch_size):
        num_epochs = 5
        found = examples(self.batches(batch_size=batch_size), -(-7 * num_epochs // batch_size))
        epochs = np.array([number for number, *_ in found][: 7 * num_epochs]).reshape(-1, 7)
        self.assertAllEqual(np.sort(epochs, axis=1), [list(range(7))] * num_epochs)
        self.assertLen({tuple(epoch) for epoch in epochs}, num_epochs)

    @parameterized.named_parameters(("cached", 1), ("not_cached", 0))
    def test_jitter_differs_between_epochs_and_between_pairs(self, cache_megabytes):
        found = examples(self.batches(cache_megabytes=cache_megabytes), 7 * 6)
        jitters_of = collections.defaultdict(set)
        for number, *jitter in found:
            jitters_of[number].add(tuple(jitter))
        # Cached after the jitter, each would have one for ever; 6 draws of 50 rarely agree.
        self.assertGreater(min(len(jitters) for jitters in jitters_of.values()), 3)
        # Seeded by epoch, a whole epoch would have one.
        self.assertGreater(len({tuple(jitter) for _, *jitter in found[:7]}), 3)
        self.assertEqual({flipped for *_, flipped in found}, {False, True})
        found = examples(
            self.batches(jitter=augment.Jitter(mirror=False), cache_megabytes=cache_megabytes), 40
        )
        self.assertEqual({flipped for *_, flipped in found}, {False})

    def test_seed_and_position_decide_each_batch_bit_for_bit(self):
        """The digest is of the batches that runs of the first versions were given."""
        digest = hashlib.sha256()
        for batch in take(self.batches(batch_size=2, seed=3, start=5), 12):
            for side in batch:
                digest.update(side.tobytes())
        self.assertEqual(digest.hexdigest()[:16], "b7b8ca93f7ffd6ad")

    def test_source_and_target_stay_together(self):
        for source, target in take(self.batches(batch_size=4), 8):
            self.assertAllClose(target, -source, rtol=0, atol=1e-6)

    def test_batches_do_not_depend_on_their_size(self):
        one = np.concatenate([source for source, _ in take(self.batches(batch_size=1), 12)])
        three = np.concatenate([source for source, _ in take(self.batches(batch_size=3), 4)])
        self.assertAllEqual(one, three)

    @parameterized.named_parameters(
        ("in_the_first_epoch", 1, 3),
        ("at_an_epochs_end", 1, 7),
        ("in_the_third_epoch", 1, 17),
        ("batches_across_epochs", 2, 6),
    )
    def test_resumed_run_equals_the_tail_of_an_uninterrupted_one(self, batch_size, num_done):
        uninterrupted = take(self.batches(batch_size=batch_size), 9, skip=num_done)
        resumed = take(self.batches(batch_size=batch_size, start=num_done * batch_size), 9)
        self.assert_same_batches(resumed, uninterrupted)

    @parameterized.named_parameters(("three_shards", 3, 1, 0), ("resumed", 2, 2, 8))
    def test_shards_together_are_one_run(self, num_shards, batch_size, start):
        options = {"batch_size": batch_size, "start": start}
        whole = take(self.batches(**options), 4 * num_shards)
        shards = [
            take(self.batches(shard=(index, num_shards), **options), 4)
            for index in range(num_shards)
        ]
        # Batch i of all is the next one of shard i % num_shards.
        interleaved = [shard[number] for number in range(4) for shard in shards]
        self.assert_same_batches(interleaved, whole)

    @parameterized.named_parameters(("square", 12, 12), ("wide", 12, 30), ("tall", 40, 24))
    def test_static_and_actual_shapes(self, height, width):
        batches = self.batches(
            OneSidedPairs(height=height, width=width), batch_size=3, settings=dict(input_channels=1)
        )
        source_spec, target_spec = batches.element_spec
        self.assertEqual(source_spec, tf.TensorSpec([3, 8, 8, 1], tf.float32))
        self.assertEqual(target_spec, tf.TensorSpec([3, 8, 8, 3], tf.float32))
        for source, target in take(batches, 4):
            self.assertEqual((source.shape, target.shape), ((3, 8, 8, 1), (3, 8, 8, 3)))
            self.assertAllInRange(source, -1.0, 1.0)
            self.assertAllInRange(target, -1.0, 1.0)


class PairReaderTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("exactly", 512, 1, {0: 1, 1: 1}),
        ("one_of_two", 513, 1, None),
        ("never", 513, 0, {0: 2, 1: 3}),
    )
    def test_reading_all_fills_the_cache(self, width, cache_megabytes, expected):
        # A pair of 512 x 512, grey on both sides, is half a megabyte.
        class Grey(CountedPairs):
            def read(self, index):
                return tuple(side[..., :1] for side in super().read(index))

        counted = Grey(2, height=512, width=width)
        config = TrainConfig(input_channels=1, output_channels=1)
        reader = pipeline.PairReader(config, counted, size=512, cache_megabytes=cache_megabytes)
        reader.read_all()
        for index in (0, 1, 1):
            reader.read(index)
        if expected is None:  # Either one was kept.
            expected = {0: 1, 1: 3} if counted.reads[0] == 1 else {0: 2, 1: 1}
        self.assertEqual(counted.reads, expected)

    def test_what_the_cache_cannot_take_is_not_scaled_for_nothing(self):
        counted = CountedPairs(500, height=8, width=8)
        reader = pipeline.PairReader(TrainConfig(), counted, size=8, cache_megabytes=0)
        resize = pipeline.augment.resize_to_cover
        with mock.patch.object(pipeline.augment, "resize_to_cover", side_effect=resize) as scaling:
            reader.read_all()
        self.assertLen(counted.reads, 500)
        self.assertLess(scaling.call_count, 500)  # Some, on the threads that begin.

    @parameterized.named_parameters(("a_to_b", "AtoB", 0), ("b_to_a", "BtoA", 1))
    def test_direction(self, direction, index_of_a):
        config = TrainConfig(direction=direction)
        reader = pipeline.PairReader(config, CountedPairs(), size=_LOAD_SIZE, cache_megabytes=1)
        a, b = CountedPairs().read(3)
        for _ in range(2):  # Read, then from the cache.
            pair = reader.read(3)
            self.assertAllEqual(pair[index_of_a], a)
            self.assertAllEqual(pair[1 - index_of_a], b)
        # Another size and a cache change nothing of what the files have.
        reader = pipeline.PairReader(config, CountedPairs(), size=4, cache_megabytes=1)
        self.assertEqual(reader.read(3)[0].shape, (4, 4, 3))
        pair = reader.read_unscaled(3)
        self.assertAllEqual(pair[index_of_a], a)
        self.assertAllEqual(pair[1 - index_of_a], b)

    @parameterized.named_parameters(
        ("removed", pathlib.Path.unlink, MissingInputError),
        ("damaged", lambda path: path.write_bytes(path.read_bytes()[:-30]), InputError),
    )
    def test_error_of_a_file_that_changes_after_the_check(self, change, error):
        folder = pathlib.Path(self.get_temp_dir())
        (folder / "train").mkdir()
        noise = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
        paths = [folder / "train" / f"{number}.png" for number in range(3)]
        for path in paths:
            Image.fromarray(noise).save(path)
        reader = pipeline.PairReader(TrainConfig(), pairs.open_pairs(str(folder), "train"), size=8)
        reader.read_all()
        self.assertIsNone(reader.error)
        batches = pipeline.training_batches(reader, batch_size=1, crop_size=8)
        take(batches, 3)
        change(paths[1])
        with self.assertRaises(tf.errors.OpError):  # Its type and text are TensorFlow's.
            take(batches, 3)
        self.assertIs(type(reader.error), error)
        self.assertStartsWith(str(reader.error).partition("'")[2], f"{paths[1]}'")


class MakeReaderTest(tf.test.TestCase, parameterized.TestCase):
    """Of any object that has names, a type and pairs."""

    def make(self, source, **settings) -> pipeline.PairReader:
        return pipeline.PairReader(TrainConfig(**settings), source, size=_LOAD_SIZE)

    def test_direction_and_colours_are_those_of_the_configuration(self):
        a, b = CountedPairs().read(3)
        self.assertAllEqual(self.make(CountedPairs(), direction="BtoA").read(3), [b, a])
        (lightness, ab) = self.make(CountedPairs(), color_space="lab").read(3)
        self.assertEqual((lightness.shape, ab.shape), ((12, 12, 1), (12, 12, 2)))

    @parameterized.named_parameters(
        ("channels", lambda a, b: (a[..., :1], b)),
        ("size", lambda a, b: (a, b[1:])),
        ("axes", lambda a, b: (a[..., 0], b)),
        ("type", lambda a, b: (a, b.astype(np.float32))),
    )
    def test_a_pair_that_is_not_as_promised_is_named(self, change):
        class Changed(CountedPairs):
            def read(self, index):
                return change(*super().read(index))

        with refused("pair_4", "input_channels"):
            self.make(Changed()).read(4)

    def test_a_source_without_pairs(self):
        with refused("empty"):
            self.make(CountedPairs(0))


class EvaluationExamplesTest(tf.test.TestCase, parameterized.TestCase):
    def evaluate(self, source_pairs=None, *, size=_LOAD_SIZE, crop_size=_LOAD_SIZE, **options):
        reader = pipeline.PairReader(TrainConfig(), source_pairs or CountedPairs(), size=size)
        return list(pipeline.evaluation_examples(reader, crop_size=crop_size, **options))

    def test_whole_square_images_in_order(self):
        counted = CountedPairs()
        found = self.evaluate(counted)
        self.assertEqual([example.name for example in found], counted.names)
        for index, example in enumerate(found):
            self.assertEqual(example.source.shape, (1, 12, 12, 3))
            a, b = counted.read(index)
            self.assertAllEqual(images.denormalize_image(example.source)[0], a)
            self.assertAllEqual(images.denormalize_image(example.target)[0], b)

    @parameterized.named_parameters(
        ("wide", 12, 21, 12, 0, 4), ("tall", 17, 12, 12, 2, 0), ("smaller", 12, 12, 9, 1, 1)
    )
    def test_central_square_of_both(self, height, width, crop_size, row, col):
        found = self.evaluate(CountedPairs(height=height, width=width), crop_size=crop_size)
        for example in found:
            for side in (example.source, -example.target):
                pixels = images.denormalize_image(side).numpy()
                self.assertEqual(pixels.shape, (1, crop_size, crop_size, 3))
                self.assertAllEqual(pixels[0, :, 0, 1], np.arange(row, row + crop_size))
                self.assertAllEqual(pixels[0, 0, :, 2], np.arange(col, col + crop_size))

    @parameterized.parameters(
        (0, []),
        (1, [0]),
        (2, [0, 6]),
        (3, [0, 3, 6]),
        (4, [0, 2, 4, 6]),
        (6, [0, 1, 2, 4, 5, 6]),
        (7, list(range(7))),
        (100, list(range(7))),
    )
    def test_limit_is_spread_evenly(self, limit, expected):
        counted = CountedPairs()
        found = self.evaluate(counted, limit=limit)
        self.assertEqual([example.name for example in found], [f"pair_{n}" for n in expected])
        # What is left out is not read either.
        self.assertEqual(sorted(counted.reads), expected)

    def test_only_those_named(self):
        counted = CountedPairs()
        found = self.evaluate(counted, only={"pair_1", "stranger"})
        self.assertEqual([example.name for example in found], ["pair_1"])
        self.assertEqual(sorted(counted.reads), [1])
