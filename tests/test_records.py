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

from pix2pix_tf.data import layouts, pairs, pipeline, records
from pix2pix_tf.data.encoded import EncodedFile
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.prepare import tfrecord

_AGAIN = "Write the records again, with python -m pix2pix_tf.prepare tfrecord."
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

    def assert_refused(self, function, sentence: str, error: type = InputError) -> None:
        with self.assertRaises(error) as caught:
            function()
        self.assertEqual(str(caught.exception), sentence)

    def read_all(self) -> None:
        pipeline.PairReader(self.open(), size=8).read_all()

    def open(self) -> pairs.PairSource:
        return self.open_split("train")

    def open_split(self, split: str) -> pairs.PairSource:
        return pairs.open_pairs(str(self.folder), split)

    @property
    def remedy(self) -> str:
        return (
            "Restore it; or give the command that wrote it, python -m pix2pix_tf.prepare "
            "tfrecord, again: it writes what is missing or damaged."
        )

    def test_nothing_wrong(self):
        self.read_all()

    def test_a_truncated_shard(self):
        size = self.shard.stat().st_size
        for length in (0, 1, 20, size - 1):
            with open(self.shard, "r+b") as file:
                file.truncate(length)
            self.assert_refused(
                self.read_all,
                f"'{self.shard}' has {length:,} bytes instead of {size:,}. {self.remedy}",
            )
            shutil.copyfile(self.whole / self.shard.name, self.shard)

    def test_a_flipped_byte_is_noticed_wherever_it_is(self):
        """One line for a shard, however many pairs it holds; the others are read."""
        contents = self.shard.read_bytes()
        for place in (0, 8, 12, len(contents) // 2, len(contents) - 1):
            damaged = bytearray(contents)
            damaged[place] ^= 1
            self.shard.write_bytes(damaged)
            sentence = (
                f"'{self.shard}' is damaged: its SHA-256 is not that in records.json. {self.remedy}"
            )
            self.assert_refused(self.read_all, sentence)
        source = self.open()
        self.assert_refused(lambda: source.read(2), sentence)
        self.assert_refused(lambda: source.read(3), sentence)
        source.read(0)

    def test_a_missing_shard(self):
        self.shard.unlink()
        sentence = f"There is no '{self.shard}'. {self.remedy}"
        # `map_all` makes one error of those of all pairs.
        self.assert_refused(self.read_all, sentence)
        self.shard.mkdir()
        self.assert_refused(self.read_all, sentence)

    def test_a_shard_is_read_once_to_verify_it(self):
        source = self.open()
        source.read(2)
        self.shard.write_bytes(bytes(self.shard.stat().st_size))
        with self.assertRaisesRegex(InputError, "does not hold the pair '3' at byte"):
            source.read(3)

    def test_another_version(self):
        self.edit(lambda index: index.update(version=2))
        self.assert_refused(self.open, f"'{self.index}' is of version 2, not 1. {_AGAIN}")

    def test_not_complete(self):
        self.edit(lambda index: index.update(complete=False))
        for function in (self.open, lambda: pairs.find_split(str(self.folder), ["val"])):
            self.assert_refused(
                function,
                f"'{self.index}' is not complete: what wrote it was stopped. Give the same "
                "command, python -m pix2pix_tf.prepare tfrecord, again: it resumes there.",
            )

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
        self.assert_refused(
            self.open,
            f"'{self.index}' is damaged ({' '.join(repr(name).split())} is not the name of a shard "
            f"of the split 'train'). {_AGAIN}",
        )

    @parameterized.parameters(
        "../../escaped", "a/b", "a\\b", "..", ".", "", "a\0b", 7, (["a"],), None
    )
    def test_names_of_pairs_that_outputs_cannot_have(self, name):
        def rename(index):
            index["splits"]["train"]["shards"][0]["pairs"][0][0] = name

        self.edit(rename)
        self.assert_refused(
            self.open, f"'{self.index}' is damaged ({name!r} is no name of a pair). {_AGAIN}"
        )

    def test_what_is_there_twice(self):
        self.edit(lambda index: index["splits"]["train"]["shards"].append(
            index["splits"]["train"]["shards"][0]
        ))  # fmt: skip
        self.assert_refused(
            self.open, f"'{self.index}' is damaged ('{_SHARDS[0]}' is there twice). {_AGAIN}"
        )

    @parameterized.parameters(
        (b"", "Expecting value"),
        (b"\xff\xff", "decode"),
        (b"[" * 100_000, "RecursionError"),
        (b"[]", "TypeError"),
        (b"{}", "KeyError: 'format'"),
        (b'{"format": "other"}', "its format is 'other'"),
        (b'{"format": "pix2pix_tf records"}', "KeyError: 'version'"),
        (b'{"format": "pix2pix_tf records", "version": 1, "splits": []}', "AttributeError"),
    )
    def test_what_is_no_index(self, contents, reason):
        self.index.write_bytes(contents)
        with self.assertRaisesRegex(InputError, f"records.json' is damaged .*{reason}") as caught:
            self.open()
        self.assertLen(str(caught.exception).splitlines(), 1)

    @parameterized.parameters(
        (dict(num_bytes=-1), "-1 is no whole number"),
        (dict(num_bytes=1.5), "1.5 is no whole number"),
        (dict(num_bytes=10), "cannot begin at byte"),
        (dict(pairs=[["0", 0, 1]]), "IndexError"),
        (dict(pairs=[["0", 0]]), "'0' has 0 files"),
        (dict(pairs=[["0", 5, 0], ["1", 5, 0]]), "'1' cannot begin at byte 5"),
        (dict(pairs=[["0", 5, 0], ["0", 9, 0]]), "'train/0' is there twice"),
        (dict(pairs=[["0", True, 0]]), "True is no whole number"),
        (dict(kinds=[dict(suffix=".png")]), "TypeError"),
        (dict(kinds=[dict(suffix=".png", width="9", height=1, channels=1, bits=8)]), "width is"),
        (dict(kinds=[dict(suffix=".png", width=0, height=1, channels=1, bits=8)]), "width is 0"),
        (dict(kinds=[dict(suffix=".png", width=9, height=-1, channels=1, bits=8)]), "height is -1"),
        (dict(kinds=[dict(suffix=".png", width=9, height=1, channels=0, bits=8)]), "channels is 0"),
        (dict(kinds=[dict(suffix=".png", width=9, height=1, channels=1, bits=0)]), "bits is 0"),
    )
    def test_numbers_that_cannot_be(self, change, reason):
        self.edit_shard(0, change)
        with self.assertRaisesRegex(InputError, f"records.json' is damaged .*{reason}"):
            self.open()

    def test_an_index_that_says_what_the_shard_does_not_hold(self):
        """Although the checksum is right: whoever wrote the one could write the other."""
        size = self.shard.stat().st_size
        (kind,) = json.loads(self.index.read_bytes())["splits"]["train"]["shards"][0]["kinds"]
        smaller = dict(kind, width=8, height=2)
        for change, reason in (
            (dict(pairs=[["2", 4, 0]]), "does not hold the pair '2' at byte 4"),
            (dict(pairs=[["2", size - 4, 0]]), "does not hold the pair '2'"),
            (dict(pairs=[["x", 0, 0]]), "does not hold the pair 'x' at byte 0"),
            (dict(kinds=[smaller]), "2.png' is not what records.json says of it"),
        ):
            shutil.copyfile(self.whole / records.INDEX, self.index)
            self.edit_shard(1, change)
            source = self.open()
            with self.assertRaisesRegex(InputError, f"{reason}.*; or delete records.json and give"):
                source.read(2)

    def test_a_split_that_is_not_there(self):
        self.assert_refused(
            lambda: pairs.open_pairs(str(self.folder), "test"),
            f"'{self.folder}' has no records of the split 'test'. Splits found: train.",
            MissingInputError,
        )
        self.assertEqual(pairs.find_split(str(self.folder), ["val", "train"]), "train")
        self.assertIsNone(pairs.find_split(str(self.folder), ["val", "test"]))

    def test_a_split_without_pairs_is_none(self):
        """As `prepare tfrecord` writes it where no file of a split can be read."""
        empty = dict(file="test-00000-of-00001.tfrecord", num_bytes=0, sha256="", num_pairs=0)
        empty.update(values={}, kinds=[], pairs=[])
        self.edit(
            lambda index: index["splits"].update(test=dict(num_pairs=0, values={}, shards=[empty]))
        )
        self.assertEqual(records.list_splits(self.folder), ["train"])
        for split in ("test", "val"):
            self.assert_refused(
                lambda split=split: self.open_split(split),
                f"'{self.folder}' has no records of the split '{split}'. Splits found: train.",
                MissingInputError,
            )

    def test_pairs_are_counted_by_the_index(self):
        self.assertEqual(pairs.count_pairs(str(self.folder), "train"), 4)

    def test_files_that_do_not_fit_the_settings_are_refused_before_any_is_read(self):
        self.shard.unlink()
        with self.assertRaisesRegex(
            InputError, r"00000-of-00002.tfrecord/0.png' is read with 1, 3"
        ):
            pairs.open_pairs(str(self.folder), "train", a_channels=5)


if __name__ == "__main__":
    tf.test.main()
