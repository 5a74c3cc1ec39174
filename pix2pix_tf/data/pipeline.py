"""tf.data batches of (source, target), a pure function of seed and position.

Position p is the p-th example that a run sees. Which pair that is, how it is
cropped and whether it is mirrored follow from (seed, p) alone, so a run that is
resumed at p sees what an uninterrupted one would, and no state of the pipeline
needs saving. Every epoch visits each pair once, in another order.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pix2pix_tf import seeds
from pix2pix_tf.config import LAB, RGB, TrainConfig
from pix2pix_tf.data import augment, images, lab, pairs, values
from pix2pix_tf.data.pairs import PairSource
from pix2pix_tf.errors import InputError

_LAST_POSITION = 2**62  # A run ends long before.


def open_reader(config: TrainConfig, split: str, *, size: augment.Size) -> PairReader:
    """Returns a `PairReader` of a split, "train", "val" or "test", as the configuration has it."""
    return PairReader(config, pairs.open_source(config, split), size=size)


class PairReader:
    """Reads pairs scaled to cover a size, kept in memory while they fit.

    What is kept is decoded and scaled, not yet jittered, so every epoch is
    cropped and mirrored anew.

    Args:
        config: Says what becomes source and target: direction, channels and colour space. With
            "lab" the target is a photo, whose L becomes the source and whose a and b become the
            target; see `lab`.
        pairs: Where pairs come from.
        size: Pixels of the shorter side; or (height, width) to cover.
        cache_megabytes: Memory for what is kept; 0 keeps nothing.

    Attributes:
        source: Where pairs come from.

    Raises:
        InputError: If there are no pairs.
    """

    def __init__(
        self,
        config: TrainConfig,
        pairs: PairSource,
        *,
        size: augment.Size,
        cache_megabytes: int = 0,
    ):
        if not len(pairs.names):
            raise InputError("The source of pairs is empty. Give it one pair at least.")
        self._config = config
        self.source = pairs
        self._size = size
        self._bytes_left = cache_megabytes * 2**20
        self._is_full = False
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[np.ndarray, ...]] = {}
        self.color_space = config.color_space
        self._source_dtype = tf.as_dtype(pairs.dtype)  # NumPy's types will do.
        self.dtype = tf.float32 if self.color_space == LAB else self._source_dtype
        self.names = pairs.names
        # Why reading failed: exceptions lose their type on the way through tf.data.
        self.error: InputError | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (source, target) of pair number `index`, of type `dtype`."""
        kept = self._read_scaled(int(index))
        if self.color_space == LAB:
            # What is kept are the pixels: less than half of what they are converted to.
            return tuple(x.numpy() for x in lab.split(images.normalize_image(kept[0])))
        return kept

    def _read_scaled(self, index: int) -> tuple[np.ndarray, ...]:
        """Returns what is kept of a pair: the pixels of both sides, or those of the photo."""
        if index in self._kept:
            return self._kept[index]
        return self._keep(index, self.read_unscaled(index))

    def _keep(self, index: int, sides: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Returns what is kept of a pair that was read, having kept it if there is room."""
        if self.color_space == LAB:
            sides = sides[1:]
        resize = augment.compiled_resize(self._size, self._source_dtype)
        scaled = tuple(resize(side).numpy() for side in sides)
        size = sum(side.nbytes for side in scaled)
        with self._lock:  # Pairs are read on several threads.
            if size <= self._bytes_left and index not in self._kept:
                self._bytes_left -= size
                self._kept[index] = scaled
            self._is_full |= size > self._bytes_left
        return scaled

    def read_unscaled(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (source, target) pixels of pair number `index` as the files have them.

        Nothing of it is kept in memory.
        """
        try:
            return self._in_direction(index, self.source.read(int(index)))
        except InputError as error:
            self.error = error
            raise

    def _in_direction(
        self, index: int, sides: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns (source, target) of A and B."""
        if self._config.direction == "BtoA":
            sides = sides[::-1]
        self._check(index, sides)
        return sides

    def _check(self, index: int, sides: tuple[np.ndarray, np.ndarray]) -> None:
        """Refuses a pair that is not as its source promises, which may be of anybody's making."""
        channels = (self._config.input_file_channels, self._config.output_file_channels)
        dtype, size = self._source_dtype, sides[0].shape[:2]
        found = [(side.shape, side.dtype) for side in sides]
        if found != [((*size, number), dtype.as_numpy_dtype) for number in channels]:
            raise InputError(
                f"The pair '{self.names[index]}' has a source and a target of {found}; [height, "
                f"width, channels] of one size, with {channels[0]} and {channels[1]} channels of "
                f"{dtype.name}, are needed. Correct what it is read by, or input_channels and "
                "output_channels."
            )

    def read_all(self) -> list[values.PairLook]:
        """Reads every pair once, so that damaged files are found before training.

        Fills the cache on the way.

        Returns:
            What was seen of each pair, as A and B.

        Raises:
            InputError: Listing the pairs that cannot be read.
        """

        value_range = (-1.0, 1.0) if self._source_dtype.is_floating else None

        def read(index: int) -> values.PairLook:
            if isinstance(self.source, pairs.FilePairs):
                sides, seen = self.source.read_and_look(index)
                in_direction = self._in_direction(index, sides)
            else:
                sides = self.source.read(index)
                in_direction = self._in_direction(index, sides)  # Before others look at it.
                looked_at = sides[1:] if self.color_space == LAB else sides
                seen = values.look_at_pair([self.names[index]], looked_at, [value_range] * 2)
            if not self._is_full:  # Else scaling would be for nothing.
                self._keep(index, in_direction)
            return seen

        return pairs.map_all(read, range(len(self)))

    def read_in_graph(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `read` as tensors, for `tf.data`."""
        source, target = tf.numpy_function(self.read, [index], [self.dtype, self.dtype])
        source.set_shape([None, None, self._config.input_channels])
        target.set_shape([None, None, self._config.output_channels])
        return source, target


_PAPERS_JITTER = augment.Jitter()


def training_batches(
    reader: PairReader,
    *,
    batch_size: int,
    crop_size: augment.Size,
    jitter: augment.Jitter = _PAPERS_JITTER,
    seed: int = 0,
    start: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Returns endless batches of (source, target), jittered.

    Shapes:
        source: `[batch_size, height, width, channels]`, float32 in [-1, 1].
        target: the same, with the channels of the output.

    Args:
        reader: Pairs at load size.
        batch_size: Examples a batch of this pipeline.
        crop_size: Pixels of a square's side, or (height, width).
        jitter: What is changed at random.
        seed: Seed of the order and the jitter.
        start: Position of the first example, over all shards.
        shard: (index, count) when several machines read together: batch number i
            of all goes to shard i % count.
    """
    num_pairs = len(reader)
    order_stream = tf.constant(seeds.stream(seed, seeds.ORDER), tf.int64)
    jitter_stream = tf.constant(seeds.stream(seed, seeds.JITTER), tf.int64)

    def load(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        epoch = position // num_pairs
        order_seed = tf.stack([order_stream, epoch])
        index = tf.random.experimental.index_shuffle(
            position % num_pairs, seed=order_seed, max_index=num_pairs - 1
        )
        source, target = (images.normalize_image(x) for x in reader.read_in_graph(index))
        jitter_seed = tf.stack([jitter_stream, position])
        return augment.jitter_pair(
            source, target, crop_size=crop_size, jitter=jitter, seed=jitter_seed
        )

    positions = tf.data.Dataset.range(start, _LAST_POSITION).batch(batch_size)
    shard_index, num_shards = shard
    return (
        positions.shard(num_shards, shard_index)
        .unbatch()
        .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


class Example(NamedTuple):
    """One pair for evaluation; images are `[1, height, width, channels]` in [-1, 1].

    Source and target are what the network takes and should give; the pictures are what they
    look like in files, which for colorization is a grey and a colour photo. Where there is but an
    input, the target is None.
    """

    name: str
    source: tf.Tensor
    target: tf.Tensor | None
    color_space: str = RGB

    @property
    def source_picture(self) -> tf.Tensor:
        """The source as it is shown and measured."""
        return lab.grey_of(self.source) if self.color_space == LAB else self.source

    @property
    def target_picture(self) -> tf.Tensor | None:
        """The target as it is shown and measured; None if there is none."""
        return None if self.target is None else self.picture_of(self.target)

    def picture_of(self, output):
        """Returns an output of the network for this source as it is shown and measured."""
        return lab.picture_of(self.source, output, self.color_space)


def evaluation_examples(
    reader: PairReader,
    *,
    crop_size: augment.Size,
    limit: int | None = None,
    only: Collection[str] | None = None,
) -> Iterator[Example]:
    """Yields pairs in the order of their names: the central part, no jitter.

    Args:
        reader: Pairs that cover `crop_size`, so that an image of its shape is
            evaluated whole, as in the paper.
        crop_size: Pixels of a square's side, or (height, width).
        limit: Most pairs to yield, spread evenly over all; None for all.
        only: Names of those that may be yielded; None for all.
    """
    count = len(reader) if limit is None else min(limit, len(reader))
    for index in np.linspace(0, len(reader) - 1, count).round().astype(int):
        if only is not None and reader.names[index] not in only:
            continue
        source, target = (images.normalize_image(x) for x in reader.read(index))
        source, target = augment.center_pair(source, target, crop_size=crop_size)
        sides = (source[tf.newaxis], target[tf.newaxis])
        yield Example(reader.names[index], *sides, reader.color_space)
