"""Tests of `pix2pix_tf.data.records`: the form, and what can be wrong with it.

That records read as the files do is tested in `test_prepare_tfrecord`.
"""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import preparing
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from refusals import refused

from pix2pix_tf.data import layouts, pairs, pipeline, records
from pix2pix_tf.data.encoded import EncodedFile
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.prepare import tfrecord

_COMMAND = "pix2pix_tf.prepare tfrecord"  # What mends them.
_SHARDS = [f"train-{number:05d}-of-00002.tfrecord" for number in range(2)]


def write_records(folder: pathlib.Path) -> pathlib.Path:
    """Writes two shards with two pairs each, and returns their folder."""
    for number in range(4):
        sides = [preparing.photo(seed=number), preparing.photo(seed=number + 10)]
        preparing.save(folder / "in" / "train" / f"{number}.png", np.concatenate(sides, axis=1))
    output = folder / "out"
    output.mkdir()
    found = layouts.find_pairs(folder / "in", "train")
    shards = []
    for name, part in zip(_SHARDS, (found[:2], found[2:])):
        plan = tfrecord.Plan(name, tuple(part))
        shards.append(tfrecord.write_shard(plan, folder=folder, output=output)[0])
    (output / records.INDEX).write_bytes(records.encode_index(shards, is_complete=True))
    return output


class FormTest(parameterized.TestCase):
    def test_the_bytes_of_a_record_are_the_same_on_every_machine(self):
        file = EncodedFile(pathlib.PurePath("é.NPY"), b"\x00\x01")
        self.assertEqual(
            records.encode_pair("é", [file]),
            b"\x0a\x33"
            b"\x0a\x0b\x0a\x01a\x12\x06\x0a\x04\x0a\x02\x00\x01"
            b"\x0a\x14\x0a\x08a_suffix\x12\x08\x0a\x06\x0a\x04.NPY"
            b"\x0a\x0e\x0a\x04name\x12\x06\x0a\x04\x0a\x02\xc3\xa9",
        )

    def test_other_programs_read_the_shards(self):
        output = write_records(tiny_runs.temporary_folder(self))
        paths = [str(output / name) for name in _SHARDS]
        form = {name: tf.io.FixedLenFeature([], tf.string) for name in ("name", "a", "a_suffix")}
        found = [
            tf.io.parse_single_example(example, form)
            for example in tf.data.TFRecordDataset(paths)  # Which checks its own checksums.
        ]
        self.assertLen(found, 4)
        for number, each in enumerate(found):
            self.assertEqual((each["name"], each["a_suffix"]), (b"%d" % number, b".png"))
            file = output.parent / "in" / "train" / f"{number}.png"
            self.assertEqual(each["a"].numpy(), file.read_bytes())

    def test_the_index(self):
        output = write_records(tiny_runs.temporary_folder(self))
        index = json.loads((output / records.INDEX).read_bytes())
        split = index["splits"]["train"]
        pixels = np.concatenate(
            [preparing.photo(seed=seed) for seed in (0, 1, 2, 3, 10, 11, 12, 13)]
        )
        limits = [int(pixels.min()), int(pixels.max())]
        self.assertEqual(
            {**index, "splits": list(index["splits"])},
            dict(format="pix2pix_tf records", version=1, complete=True, splits=["train"]),
        )
        self.assertEqual(split["num_pairs"], 4)
        self.assertEqual(
            split["values"], {"A|B": dict(channels=[3], types=["uint8"], range=limits)}
        )
        self.assertEqual([shard["num_pairs"] for shard in split["shards"]], [2, 2])
        for shard, name in zip(split["shards"], _SHARDS):
            self.assertEqual(shard["file"], name)
            self.assertEqual(shard["num_bytes"], (output / name).stat().st_size)
            self.assertLen(shard["kinds"], 1)
        self.assertEqual(
            [(shard.file, shard.split) for shard in records.read_index(output)],
            [(name, "train") for name in _SHARDS],
        )


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

    def edit(self, change) -> None:
        """Changes the index as `change` does."""
        index = json.loads(self.index.read_bytes())
        change(index)
        self.index.write_text(json.dumps(index))

    def edit_shard(self, number: int, change: dict) -> None:
        """Changes what the index says of a shard."""
        self.edit(lambda index: index["splits"]["train"]["shards"][number].update(change))

    def read_all(self) -> None:
        pipeline.PairReader(self.open(), size=8).read_all()

    def open(self) -> pairs.PairSource:
        return pairs.open_pairs(str(self.folder), "train")

    def test_a_truncated_shard(self):
        size = self.shard.stat().st_size
        for length in (0, 1, 20, size - 1):
            with open(self.shard, "r+b") as file:
                file.truncate(length)
            with refused(self.shard, f"{length:,}", f"{size:,}", _COMMAND):
                self.read_all()
            shutil.copyfile(self.whole / self.shard.name, self.shard)

    def test_a_flipped_byte_is_noticed_wherever_it_is(self):
        """One line for a shard, however many pairs it holds; the others are read."""
        contents = self.shard.read_bytes()
        for place in (0, 8, 12, len(contents) // 2, len(contents) - 1):
            damaged = bytearray(contents)
            damaged[place] ^= 1
            self.shard.write_bytes(damaged)
            with refused(self.shard, "SHA-256", _COMMAND) as caught:
                self.read_all()
            self.assertLen(str(caught.value).splitlines(), 1)
        source = self.open()
        for index in (2, 3):
            with refused(self.shard, "SHA-256"):
                source.read(index)
        source.read(0)

    def test_a_missing_shard(self):
        self.shard.unlink()
        for _ in range(2):
            with refused(self.shard, _COMMAND) as caught:
                self.read_all()
            # `map_all` makes one error of those of all pairs.
            self.assertLen(str(caught.value).splitlines(), 1)
            self.shard.mkdir(exist_ok=True)

    def test_a_shard_is_read_once_to_verify_it(self):
        source = self.open()
        source.read(2)
        self.shard.write_bytes(bytes(self.shard.stat().st_size))
        with refused(self.shard, "'3'"):
            source.read(3)

    def test_another_version_or_not_complete(self):
        self.edit(lambda index: index.update(version=2))
        with refused(self.index, "version 2", _COMMAND):
            self.open()
        self.edit(lambda index: index.update(version=1, complete=False))
        for function in (self.open, lambda: pairs.find_split(str(self.folder), ["val"])):
            with refused(self.index, "not complete", _COMMAND):
                function()

    @parameterized.parameters(
        "/etc/passwd",
        "../train-00001-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord/../../secret",
        "sub/train-00001-of-00002.tfrecord",
        "val-00001-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord\n",
        "",
    )
    def test_a_shard_elsewhere(self, name):
        self.edit(lambda index: index["splits"]["train"]["shards"][1].update(file=name))
        with refused(self.index, " ".join(repr(name).split()), _COMMAND):
            self.open()

    @parameterized.parameters(
        "../../escaped", "a/b", "a\\b", "..", ".", "", "a\0b", 7, (["a"],), None
    )
    def test_names_of_pairs_that_outputs_cannot_have(self, name):
        def rename(index):
            index["splits"]["train"]["shards"][0]["pairs"][0][0] = name

        self.edit(rename)
        with refused(self.index, repr(name), _COMMAND):
            self.open()

    def test_what_is_there_twice(self):
        self.edit(lambda index: index["splits"]["train"]["shards"].append(
            index["splits"]["train"]["shards"][0]
        ))  # fmt: skip
        with refused(self.index, _SHARDS[0], _COMMAND):
            self.open()

    @parameterized.parameters(
        b"",
        b"\xff\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"format": "other"}',
        b'{"format": "pix2pix_tf records"}',
        b'{"format": "pix2pix_tf records", "version": 1, "splits": []}',
    )
    def test_what_is_no_index(self, contents):
        self.index.write_bytes(contents)
        with refused(self.index, _COMMAND) as caught:
            self.open()
        self.assertLen(str(caught.value).splitlines(), 1)

    @parameterized.parameters(
        (dict(num_bytes=-1), "-1"),
        (dict(num_bytes=1.5), "1.5"),
        (dict(num_bytes=10), "byte"),
        (dict(pairs=[["0", 0, 1]]), ""),
        (dict(pairs=[["0", 0]]), "'0'"),
        (dict(pairs=[["0", 5, 0], ["1", 5, 0]]), "'1'"),
        (dict(pairs=[["0", 5, 0], ["0", 9, 0]]), "'train/0'"),
        (dict(pairs=[["0", True, 0]]), "True"),
        (dict(kinds=[dict(suffix=".png")]), ""),
        (dict(kinds=[dict(suffix=".png", width="9", height=1, channels=1, bits=8)]), "width"),
        (dict(kinds=[dict(suffix=".png", width=0, height=1, channels=1, bits=8)]), "width"),
        (dict(kinds=[dict(suffix=".png", width=9, height=-1, channels=1, bits=8)]), "height"),
        (dict(kinds=[dict(suffix=".png", width=9, height=1, channels=0, bits=8)]), "channels"),
        (dict(kinds=[dict(suffix=".png", width=9, height=1, channels=1, bits=0)]), "bits"),
    )
    def test_numbers_that_cannot_be(self, change, shown):
        self.edit_shard(0, change)
        with refused(self.index, shown):
            self.open()

    def test_an_index_that_says_what_the_shard_does_not_hold(self):
        """Although the checksum is right: whoever wrote the one could write the other."""
        size = self.shard.stat().st_size
        (kind,) = json.loads(self.index.read_bytes())["splits"]["train"]["shards"][0]["kinds"]
        smaller = dict(kind, width=8, height=2)
        for change, shown in (
            (dict(pairs=[["2", 4, 0]]), "'2'"),
            (dict(pairs=[["2", size - 4, 0]]), "'2'"),
            (dict(pairs=[["x", 0, 0]]), "'x'"),
            (dict(kinds=[smaller]), "2.png'"),
        ):
            shutil.copyfile(self.whole / records.INDEX, self.index)
            self.edit_shard(1, change)
            source = self.open()
            with refused(shown, "delete records.json"):
                source.read(2)

    def test_a_split_that_is_not_there_or_has_no_pairs(self):
        self.assertEqual(pairs.find_split(str(self.folder), ["val", "train"]), "train")
        self.assertIsNone(pairs.find_split(str(self.folder), ["val", "test"]))
        # As `prepare tfrecord` writes it where no file of a split can be read.
        empty = dict(file="test-00000-of-00001.tfrecord", num_bytes=0, sha256="", num_pairs=0)
        empty.update(values={}, kinds=[], pairs=[])
        self.edit(
            lambda index: index["splits"].update(test=dict(num_pairs=0, values={}, shards=[empty]))
        )
        self.assertEqual(records.list_splits(self.folder), ["train"])
        for split in ("test", "val"):
            with refused(self.folder, f"'{split}'", "train", kind=MissingInputError):
                pairs.open_pairs(str(self.folder), split)

    def test_pairs_are_counted_by_the_index(self):
        self.assertEqual(pairs.count_pairs(str(self.folder), "train"), 4)

    def test_files_that_do_not_fit_the_settings_are_refused_before_any_is_read(self):
        self.shard.unlink()
        with refused(f"{_SHARDS[0]}/0.png"):
            pairs.open_pairs(str(self.folder), "train", a_channels=5)
