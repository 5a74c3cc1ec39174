"""Tests of `pix2pix_tf.data.records`: the form, and what can be wrong with it.

That records read as the files do is tested in `test_prepare_records`.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from unittest import mock

import numpy as np
import preparing
import tiny_runs
from absl.testing import parameterized
from array_record.python import array_record_module
from refusals import refused

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pairs, pipeline, records
from pix2pix_tf.errors import MissingInputError

_COMMAND = "pix2pix prepare records"  # What mends them.
_SHARDS = [f"train-{number:05d}-of-00002.array_record" for number in range(2)]


def write_records(folder: pathlib.Path) -> pathlib.Path:
    """Writes two shards with two pairs each, and returns their folder."""
    random = np.random.default_rng(0)
    for number in range(4):  # Large enough for most of a shard to be files.
        pixels = random.integers(0, 256, [64, 128, 3], np.uint8)
        preparing.save(folder / "in" / "train" / f"{number}.png", pixels)
    with mock.patch("pix2pix_tf.prepare.records._MEGABYTE", 60_000):
        result = preparing.prepare("records", folder, "--shard_megabytes=1")
    assert result.exit_code == 0, result
    return folder / "out"


class DamageTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.whole = write_records(tiny_runs.temporary_folder(cls))

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self) / "records"
        shutil.copytree(self.whole, self.folder)
        self.index = self.folder / records.INDEX
        self.shard = self.folder / _SHARDS[1]

    def edit(self, **change) -> None:
        self.index.write_text(json.dumps({**json.loads(self.index.read_bytes()), **change}))

    def open(self) -> pairs.PairSource:
        return pairs.open_pairs(str(self.folder), "train")

    def read_all(self) -> None:
        pipeline.PairReader(TrainConfig(), self.open(), size=8).read_all()

    def test_the_form(self):
        names = dict(zip(_SHARDS, ([["0", ".png"], ["1", ".png"]], [["2", ".png"], ["3", ".png"]])))
        index = dict(format="pix2pix_tf records", version=3, splits=dict(train=names))
        self.assertEqual(json.loads(self.index.read_bytes()), index)
        reader = array_record_module.ArrayRecordReader(str(self.shard))
        files = [self.whole.parent / "in" / "train" / f"{number}.png" for number in (2, 3)]
        self.assertEqual(reader.read_all(), [file.read_bytes() for file in files])
        self.assertEqual(pairs.count_pairs(str(self.folder), "train"), 4)

    def test_a_truncated_shard(self):
        size = self.shard.stat().st_size
        for length in (0, 1, size // 2, size - 1):
            with open(self.shard, "r+b") as file:
                file.truncate(length)
            with refused(self.shard, _COMMAND):
                self.read_all()
            shutil.copyfile(self.whole / self.shard.name, self.shard)

    def test_a_flipped_byte_is_of_that_pair_alone(self):
        contents = bytearray(self.shard.read_bytes())
        contents[contents.index(b"PNG") + 1000] ^= 1
        source = self.open()
        self.shard.write_bytes(contents)
        with refused(self.shard, _COMMAND):
            source.read(2)
        for index in (0, 1, 3):
            source.read(index)

    def test_a_missing_shard(self):
        self.shard.unlink()
        with refused(self.shard, _COMMAND, kind=MissingInputError):
            self.open()

    def test_another_version(self):
        self.edit(version=2)
        for function in (self.open, lambda: pairs.find_split(str(self.folder), ["val"])):
            with refused(self.index, "version", _COMMAND):
                function()

    @parameterized.parameters(
        b"",
        b"\xff\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"format": "other"}',
        b'{"format": "pix2pix_tf records", "version": 3, "splits": []}',
        b'{"format": "pix2pix_tf records", "version": 3, "splits": {"a": [1]}}',
    )
    def test_what_is_not_an_index(self, contents):
        self.index.write_bytes(contents)
        with refused(self.index, _COMMAND) as caught:
            self.open()
        self.assertLen(str(caught.value).splitlines(), 1)

    @parameterized.parameters(
        [["../../escaped", ".png"]],
        [["a\\b", ".png"]],
        [["", ".png"]],
        [["x", "/../../y.png"]],
        [["x", 7]],
        [[7, ".png"]],
        [["x"]],
        [7],
    )
    def test_names_that_cannot_be(self, pair):
        self.edit(splits=dict(train={self.shard.name: [pair]}))
        with refused(self.index, _COMMAND):
            self.open()

    def test_more_pairs_than_the_shard_holds(self):
        self.edit(splits=dict(train={self.shard.name: [[name, ".png"] for name in "234"]}))
        with refused(self.shard, _COMMAND):
            self.open()

    def test_a_split_that_is_not_there_or_has_no_pairs(self):
        self.assertEqual(pairs.find_split(str(self.folder), ["val", "train"]), "train")
        # As `prepare records` writes it where no file of a split can be read.
        splits = json.loads(self.index.read_bytes())["splits"]
        (self.folder / "test-00000-of-00001.array_record").write_bytes(b"")
        self.edit(splits=dict(splits, test={"test-00000-of-00001.array_record": []}))
        self.assertIsNone(pairs.find_split(str(self.folder), ["val", "test"]))
        for split in ("test", "val"):
            with refused(self.folder, f"'{split}'", "train", kind=MissingInputError):
                pairs.open_pairs(str(self.folder), split)

    def test_without_array_record(self):
        with mock.patch.dict("sys.modules", {"array_record.python.array_record_module": None}):
            records._open.cache_clear()
            with refused(self.folder / _SHARDS[0], "pip install array_record"):
                self.open()
