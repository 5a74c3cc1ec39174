"""The pairs of a run: those of the configured data set, or those that a program gives.

`train(pairs=...)` takes a `PairSource`, or a `tf.data.Dataset` of (source, target) as the network
takes them; or a dict of these by split, of which "train" is trained on and "val", or else "test",
is held out.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Union

import tensorflow as tf

from pix2pix_tf import run_folder
from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.data import augment, classes, contents, label_targets, pipeline, values
from pix2pix_tf.data import pairs as pair_sources
from pix2pix_tf.errors import InputError, first_line, join_lines

HELD_OUT_SPLITS = ("val", "test")
GIVEN = "(pairs given to train)"  # As `dataset` of a run whose pairs a program gave.
# What the values that are looked at depend on, beside the files.
_SETTINGS_OF_READING = (
    *("direction", "color_space", "input_channels", "output_channels"),
    *("input_range", "output_range"),
)
_OF_FILES = ("vertical_flip", "rotate90", "input_jitter")  # Off unless asked for.
Pairs = Union[pair_sources.PairSource, tf.data.Dataset]


def open_inputs(
    config: TrainConfig,
    pairs: Pairs | Mapping[str, Pairs] | None,
    found: contents.Contents | None = None,
) -> Inputs:
    """Returns the pairs of a run.

    Args:
        config: Settings of the run.
        pairs: What `train` was given.
        found: What the configured data set holds, if it is one of files.

    Raises:
        InputError: If there are no pairs; or if some cannot be used, naming those of all splits.
    """
    if pairs is None:
        held_out = pair_sources.find_split(
            config.dataset, HELD_OUT_SPLITS, data_dir=config.data_dir
        )
        return ReaderInputs(config, held_out, None, found)
    by_split = dict(pairs) if isinstance(pairs, Mapping) else {"train": pairs}
    held_out = next((split for split in HELD_OUT_SPLITS if split in by_split), None)
    kinds = {isinstance(x, tf.data.Dataset) for x in by_split.values()}
    unknown = by_split.keys() - {"train", *HELD_OUT_SPLITS}
    if "train" not in by_split or unknown or len(kinds) > 1:
        raise InputError(
            f"pairs has the splits {', '.join(by_split) or 'none'}. Give 'train', and 'val' or "
            "'test', all of one kind: PairSource or tf.data.Dataset."
        )
    if kinds == {True}:
        return DatasetInputs(config, by_split, held_out)
    for split, source in by_split.items():
        if not hasattr(source, "names") or source.dtype not in (tf.uint8, tf.uint16, tf.float32):
            dtype = getattr(source, "dtype", None)
            raise InputError(
                f"The pairs of split '{split}' are of type {type(source).__name__}, with dtype "
                f"{dtype}. Give a PairSource, which has names, dtype (uint8, uint16 or float32) "
                "and read; or a tf.data.Dataset."
            )
    return ReaderInputs(config, held_out, by_split)


class ReaderInputs:
    """Pairs that are read by number, so that a run can be resumed exactly.

    Args:
        config: Settings of the run.
        held_out: Split of the pairs to look at and measure, if there is one.
        sources: Source of each split; None: the configured data set has them.
        found: What that holds, if it is one of files.

    Attributes:
        training: The training pairs.
        held_out: As given; None where training pairs are looked at.
        num_pairs: Training pairs; None where a dataset does not tell.
        num_held_out: Pairs to look at, likewise.
    """

    def __init__(
        self,
        config: TrainConfig,
        held_out: str | None,
        sources: Mapping[str, pair_sources.PairSource] | None,
        found: contents.Contents | None = None,
    ):
        self._config = config
        self._sources = sources
        self._found = found
        self._seen = dict(read=None, lines=[], words=[])
        self.held_out = held_out
        # Of the sets themselves; a folder of such a name may hold another layout.
        is_known = sources is None and config.dataset in classes.TABLES
        if (
            config.input_jitter
            and is_known
            and classes.of_side(config.dataset, config.direction[0])
        ):
            raise _no_jitter(
                config, f"the inputs of {config.dataset} {config.direction} are labels"
            )
        splits = ["train", *([held_out] if held_out else [])]
        try:
            self.training = self._open("train", is_trained_on=True)
            self._held_out = self._open(splits[-1])
        except InputError:
            # All that is wrong is said at once, and not only the first kind of it.
            _do_all([lambda split=split: self._open(split).read_all() for split in splits])
            raise
        self.num_pairs, self.num_held_out = len(self.training), len(self._held_out)

    def _open(self, split: str, *, is_trained_on: bool = False) -> pipeline.PairReader:
        config = self._config
        size = config.load_shape if is_trained_on else config.crop_shape
        source = (
            pair_sources.open_source(config, split)
            if self._sources is None
            else self._sources[split]
        )
        cache_megabytes = config.cache_megabytes if is_trained_on else 0
        return pipeline.PairReader(config, source, size=size, cache_megabytes=cache_megabytes)

    def read_all(self, known: dict | None) -> None:
        """Reads every pair once, so that damaged files are found before training.

        Says what was seen, and what of it is most likely wrong.

        Args:
            known: What the run notes of its data, see `run_folder.read_data`. Where no file has
                changed since, nothing is read.

        Raises:
            InputError: Listing the pairs that cannot be read.
        """
        config = self._config
        if config.dataset == pair_sources.DEMO:
            return
        read = self._digest_of_reading()
        is_new = not (known and read and known["read"] == read)
        if is_new and config.input_jitter and label_targets.are_labels(self.training, side=0):
            raise _no_jitter(config, "the inputs have few even colours, as labels do")
        if not config.check_data:
            return
        if known and not is_new:
            print("All pairs were read before, and no file has changed since.", flush=True)
            self._seen = {name: known[name] for name in self._seen}
        else:
            print("Reading all pairs once ...", flush=True)
            readers = [self.training, *([self._held_out] if self.held_out else [])]
            looks = itertools.chain(*_do_all([reader.read_all for reader in readers]))
            sides = _sides(config)
            summary = values.Summary(sides, list(looks))
            if config.input_jitter and any(x.holds_indexes for x in sides if not x.is_made):
                raise _no_jitter(config, "the inputs hold few whole numbers, as labels do")
            self._seen = dict(read=read, lines=summary.describe(), words=summary.words())
        for line in [*self._seen["lines"], *(f"Note: {x}" for x in self._seen["words"])]:
            print(line, flush=True)

    def _digest_of_reading(self) -> str | None:
        """Returns a digest of the files and of how they are read; None if there are no files."""
        if self._found is None:
            return None
        settings = [getattr(self._config, name) for name in _SETTINGS_OF_READING]
        return hashlib.sha256(json.dumps([self._found.digest, settings]).encode()).hexdigest()

    def notes(self, known: dict | None) -> dict | None:
        """Returns what the run notes of its data, if of files; `known` is what it noted before."""
        if self._found is None:
            return None
        before = known["folders"] if known else []
        folders = list(dict.fromkeys([self._found.folder, *before]))
        source = self.training.source
        form = {name: getattr(source, name) for name in run_folder.PAIR_FORM}
        return dict(folders=folders, pairs=self._found.pairs, **form, **self._seen)

    def batches(self, batch_size: int, *, start: int, shard: tuple[int, int]) -> tf.data.Dataset:
        """Returns endless batches of (source, target), float32 in [-1, 1].

        Args:
            batch_size: Pairs a batch.
            start: Position of the first example, over all shards.
            shard: (index, count) of this machine among those that read.
        """
        config = self._config
        return pipeline.training_batches(
            self.training,
            batch_size=batch_size,
            crop_size=config.crop_shape,
            jitter=augment.Jitter(
                config.mirror, config.vertical_flip, config.rotate90, config.input_jitter
            ),
            seed=config.seed,
            start=start,
            shard=shard,
        )

    def examples(self, limit: int) -> Iterator[pipeline.Example]:
        """Yields at most `limit` pairs to look at, spread evenly over all."""
        return pipeline.evaluation_examples(
            self._held_out, crop_size=self._config.crop_shape, limit=limit
        )

    def cause_of(self, error: tf.errors.OpError) -> InputError | None:
        """Returns what is wrong with a file that went bad during the run, if one did."""
        return self.training.error


class DatasetInputs:
    """Datasets of (source, target) that a program made, used as `ReaderInputs`.

    A run that is resumed begins them anew.

    Args:
        config: Settings of the run.
        datasets: By split, of single pairs as the network takes them.
        held_out: Split of the pairs to look at, if there is one.

    Raises:
        InputError: If elements are not such pairs, or changes of them are asked for.
    """

    def __init__(
        self, config: TrainConfig, datasets: Mapping[str, tf.data.Dataset], held_out: str | None
    ):
        asked = [name for name in _OF_FILES if getattr(config, name)]
        if asked:
            raise InputError(
                f"{asked[0]} is on, but pairs that a tf.data.Dataset gives are trained on as they "
                "are. Change them in the dataset, and leave it out."
            )
        self._config = config
        self.held_out = held_out
        self._training = self._check(datasets["train"], "train")
        self._held_out = self._check(datasets[held_out], held_out) if held_out else self._training
        self.num_pairs, self.num_held_out = map(_length, (self._training, self._held_out))

    def _check(self, dataset: tf.data.Dataset, split: str) -> tf.data.Dataset:
        """Returns a dataset with the shapes that its first pair was found to have."""
        config = self._config
        expected = [
            tf.TensorSpec([*config.crop_shape, channels], tf.float32)
            for channels in (config.input_channels, config.output_channels)
        ]
        first = next(iter(dataset.take(1)), None)
        if first is None:
            raise InputError(f"The dataset of split '{split}' is empty. Give it pairs.")
        found = first if isinstance(first, (tuple, list)) else [first]
        if len(found) != 2 or not all(
            isinstance(x, tf.Tensor) and spec.is_compatible_with(x)
            for spec, x in zip(expected, found)
        ):
            has = ", ".join(f"{x.dtype.name} {x.shape}" for x in tf.nest.flatten(first))
            raise InputError(
                f"The dataset of split '{split}' has elements of {has}. Give pairs (source, "
                f"target), float32 in [-1, 1], not batched: {expected[0].shape} and "
                f"{expected[1].shape}."
            )
        return dataset.map(
            lambda *pair: tuple(tf.ensure_shape(x, y.shape) for x, y in zip(pair, expected))
        )

    def read_all(self, known: dict | None) -> None:
        """Does nothing: what a dataset does when it is gone through is its own affair."""

    def notes(self, known: dict | None) -> None:
        """Returns None: there are no files."""

    def batches(self, batch_size: int, *, start: int, shard: tuple[int, int]) -> tf.data.Dataset:
        """Returns batches from the beginning of the dataset, wherever a run goes on."""
        index, count = shard
        repeated = self._training.shard(count, index).repeat()
        return repeated.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def examples(self, limit: int) -> Iterator[pipeline.Example]:
        """Yields the first pairs."""
        for number, (source, target) in enumerate(self._held_out.take(limit)):
            sides = (source[tf.newaxis], target[tf.newaxis])
            yield pipeline.Example(f"pair_{number}", *sides, self._config.color_space)

    def cause_of(self, error: tf.errors.OpError) -> InputError | None:
        """Returns the error of the dataset, if it is one of reading and not of computing."""
        if "Iterator" not in str(error):
            return None
        return InputError(f"The dataset given as pairs failed: {first_line(error)}.")


Inputs = Union[ReaderInputs, DatasetInputs]


def _length(dataset: tf.data.Dataset) -> int | None:
    """Returns how many elements a dataset has; None if it is endless or does not tell."""
    length = int(dataset.cardinality())
    return length if length >= 0 else None


def _sides(config: TrainConfig) -> list[values.Side]:
    """Returns A and B, as a run takes them; or the one side of photos."""
    if config.color_space == LAB:
        return [values.Side("Photos", flag="", has_range=True, is_made=False)]
    sides = [
        ("input", config.input_range, False),
        ("output", config.output_range, True),
    ]
    letters = "AB" if config.direction == "AtoB" else "BA"
    return [
        values.Side(
            f"{letter} (the {name})", flag=f"{name}_", has_range=bool(limits), is_made=is_made
        )
        for letter, (name, limits, is_made) in sorted(zip(letters, sides))
    ]


def _no_jitter(config: TrainConfig, reason: str) -> InputError:
    return InputError(
        f"input_jitter is {config.input_jitter}, but {reason}, of which a change makes others. "
        "Leave it out."
    )


def _do_all(functions: Sequence[Callable]) -> list:
    """Returns what each gives; if several raise an InputError, raises one that says all."""
    faults, results = [], []
    for function in functions:
        try:
            results.append(function())
        except InputError as error:
            faults.append(error)
    if len(faults) > 1:
        raise InputError(join_lines(fault.message for fault in faults))
    if faults:
        raise faults[0]
    return results
