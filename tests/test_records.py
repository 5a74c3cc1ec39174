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

from pix2pix_tf.data import pairs, pipeline, records
from pix2pix_tf.errors import MissingInputError

_COMMAND = "pix2pix_tf.prepare records"  # What mends them.
_SHARDS = [f"train-{number:05d}-of-00002.array_record" for number in range(2)]
_INFO = dict(width=48, height=16, channels=3, bits=8)


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


def write_shard(path: pathlib.Path, *contents: bytes) -> None:
    """Writes a shard of any records."""
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    for each in contents:
        writer.write(each)
    writer.close()


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
        pipeline.PairReader(self.open(), size=8).read_all()

    def test_the_form(self):
        index = json.loads(self.index.read_bytes())
        self.assertEqual(
            index,
            dict(
                format="pix2pix_tf records",
                version=2,
                complete=True,
                splits=dict(train=dict.fromkeys(_SHARDS, 2)),
            ),
        )
        reader = array_record_module.ArrayRecordReader(str(self.shard))
        *contents, index = reader.read_all()
        files = [self.whole.parent / "in" / "train" / f"{number}.png" for number in (2, 3)]
        self.assertEqual(contents, [file.read_bytes() for file in files])
        self.assertEqual([each[0] for each in json.loads(index)], ["2", "3"])
        self.assertEqual(pairs.count_pairs(str(self.folder), "train"), 4)

    def test_a_truncated_shard(self):
        size = self.shard.stat().st_size
        for length in (0, 1, size // 2, size - 1):
            with open(self.shard, "r+b") as file:
                file.truncate(length)
            with refused(self.shard, _COMMAND):
                self.read_all()
            shutil.copyfile(self.whole / self.shard.name, self.shard)

    def test_a_flipped_byte_is_noticed_wherever_it_is(self):
        """In a file it is that pair's alone; the others are read."""
        contents = self.shard.read_bytes()
        places = [contents.index(b"PNG") + 1000, contents.rindex(b'"3"')]
        for place in places:
            damaged = bytearray(contents)
            damaged[place] ^= 1
            self.shard.write_bytes(damaged)
            with refused(self.shard, _COMMAND):
                self.read_all()
        self.shard.write_bytes(contents[: places[0]] + b"x" + contents[places[0] + 1 :])
        source = self.open()
        with refused(self.shard):
            source.read(2)
        for index in (0, 1, 3):
            source.read(index)

    def test_a_missing_shard(self):
        self.shard.unlink()
        with refused(self.shard, _COMMAND, kind=MissingInputError):
            self.open()

    def test_another_version_or_not_complete(self):
        self.edit(version=1)
        with refused(self.index, "anew", _COMMAND):
            self.open()
        self.edit(version=2, complete=False)
        for function in (self.open, lambda: pairs.find_split(str(self.folder), ["val"])):
            with refused(self.index, "not complete", _COMMAND):
                function()

    @parameterized.parameters(
        "../train-00001-of-00002.array_record",
        "train-00001-of-00002.array_record/../../secret.array_record",
        "val-00001-of-00002.array_record",
        "/etc/passwd",
        "",
    )
    def test_a_shard_elsewhere(self, name):
        self.edit(splits=dict(train={name: 1}))
        with refused(self.index, repr(name), _COMMAND):
            self.open()

    @parameterized.parameters(
        b"",
        b"\xff\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"format": "other"}',
        b'{"format": "pix2pix_tf records", "version": 2, "complete": true, "splits": []}',
        b'{"format": "pix2pix_tf records", "version": 2, "complete": true, "splits": {"a": [1]}}',
    )
    def test_what_is_not_an_index(self, contents):
        self.index.write_bytes(contents)
        with refused(self.index, _COMMAND) as caught:
            self.open()
        self.assertLen(str(caught.value).splitlines(), 1)

    @parameterized.parameters(
        ("../../escaped", [[".png", _INFO]], "escaped"),
        ("a\\b", [[".png", _INFO]], "pair"),
        ("", [[".png", _INFO]], "pair"),
        (7, [[".png", _INFO]], ""),
        ("x", [], "'x'"),
        ("x", [[".png", _INFO]] * 2, "2 records"),
        ("x", [[".png", {}]], ""),
        ("x", [[".png", dict(_INFO, width="9")]], "width"),
        ("x", [[".png", dict(_INFO, height=-1)]], "height"),
        ("x", [[".png", dict(_INFO, channels=0)]], "channels"),
    )
    def test_an_index_of_a_shard_that_cannot_be(self, name, described, shown):
        write_shard(self.shard, b"file", json.dumps([[name, *described]]).encode())
        with refused(self.shard, shown, _COMMAND):
            self.open()

    def test_an_index_that_says_what_the_shard_does_not_hold(self):
        """Else a small file could be decoded to gigabytes, under the name of another."""
        file = (self.whole.parent / "in" / "train" / "2.png").read_bytes()
        write_shard(self.shard, file, json.dumps([["x", [".png", _INFO]]]).encode())
        with refused(f"{self.shard}/x.png", "index", _COMMAND):
            self.open().read(2)

    def test_a_name_that_is_there_twice(self):
        shutil.copyfile(self.folder / _SHARDS[0], self.shard)
        with refused(self.folder, "two pairs of one name"):
            self.open()

    def test_a_split_that_is_not_there_or_has_no_pairs(self):
        self.assertEqual(pairs.find_split(str(self.folder), ["val", "train"]), "train")
        # As `prepare records` writes it where no file of a split can be read.
        splits = json.loads(self.index.read_bytes())["splits"]
        self.edit(splits=dict(splits, test={"test-00000-of-00001.array_record": 0}))
        self.assertIsNone(pairs.find_split(str(self.folder), ["val", "test"]))
        for split in ("test", "val"):
            with refused(self.folder, f"'{split}'", "train", kind=MissingInputError):
                pairs.open_pairs(str(self.folder), split)

    def test_without_array_record(self):
        with mock.patch.dict("sys.modules", {"array_record.python": None}):
            records._open_version.cache_clear()
            with refused(self.folder / _SHARDS[0], "pip install array_record"):
                self.open()
