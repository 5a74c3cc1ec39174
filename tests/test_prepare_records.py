"""Tests of `pix2pix_tf.prepare.records`: records are the folder, however they were written."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import pickle
from unittest import mock

import command_line
import file_faults
import numpy as np
import tensorflow as tf
import tiny_training
from absl.testing import parameterized
from preparing import TaskTest, aligned, files_below, photo, prepare, save
from refusals import refused

from pix2pix_tf.data import pairs, records
from pix2pix_tf.errors import MissingInputError
from pix2pix_tf.prepare import records as task
from pix2pix_tf.prepare import work
from pix2pix_tf.training import loop


def contents_of(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns the records in a folder and all else but what says where they came from."""
    names = [name for name in files_below(folder) if name != "prepare.json"]
    return {name: (folder / name).read_bytes() for name in names}


class _RecordsTest(TaskTest):
    task = "records"

    def setUp(self):
        super().setUp()
        self.train = self.input / "train"

    def write(self, *flags: str, shard_bytes: int = 10**6) -> command_line.Result:
        """Writes the records, with so many bytes of files in a shard."""
        with mock.patch.object(task, "_MEGABYTE", shard_bytes):
            return self.run_task("--shard_megabytes=1", *flags)

    def save_train(self, count: int) -> None:
        for number in range(count):
            save(self.train / f"{number}.png", aligned(number))

    def shards(self) -> list[str]:
        return [name for name in files_below(self.output) if name.endswith(records.SUFFIX)]


class RoundTripTest(_RecordsTest):
    def assert_same(self, split: str, **settings) -> pairs.PairSource:
        """Compares what is read of the folder and of the records, with any settings."""
        both = [pairs.open_pairs(str(x), split, **settings) for x in (self.input, self.output)]
        self.assertEqual(both[0].names, both[1].names)
        self.assertEqual(both[0].dtype, both[1].dtype)
        for index in range(len(both[0].names)):
            for expected, found in zip(*(source.read(index) for source in both)):
                self.assertEqual(expected.dtype, found.dtype)
                np.testing.assert_array_equal(expected, found)
        return both[1]

    def test_side_by_side(self):
        for number, suffix in enumerate(("png", "JPG", "bmp", "jpeg")):
            save(self.train / f"größe {number}.{suffix}", aligned(number, width=20 + number))
        # A name that is no Unicode.
        save(self.input / "test" / os.fsdecode(b"\xff.png"), aligned(9))
        self.assert_done(self.write(), "2 shards", "5 pairs", self.output)
        source = self.assert_same("train")
        self.assertEqual(source.dtype, tf.uint8)
        self.assert_same("train", a_channels=1)
        self.assert_same("train", a_channels=1, a_range=(0, 200), b_range=(10, 255))
        self.assert_same("test")

    @parameterized.parameters(("train/A", "train/B"), ("A/train", "B/train"), ("trainA", "trainB"))
    def test_two_folders(self, a, b):
        for number in range(3):
            save(self.input / a / f"{number}.png", photo(seed=number))
            save(self.input / b / f"{number}.jpg", photo(seed=10 + number))
        grey = photo(seed=3)[..., 0].astype(np.uint16) * 200
        save(self.input / a / "3.png", grey)
        save(self.input / b / "3.bmp", photo(seed=4))
        self.assert_done(self.write())
        source = self.assert_same("train")
        self.assertEqual(source.dtype, tf.uint16)

    def test_arrays(self):
        random = np.random.default_rng(0)
        for number in range(2):
            for side, channels in (("A", 5), ("B", 2)):
                path = self.train / side / f"{number}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, random.normal(0, 9, [16, 24, channels]).astype(np.float32))
        self.assert_done(self.write())
        settings = dict(a_channels=5, b_channels=2, a_range=(-30.0, 30.0), b_range=(-30.0, 30.0))
        self.assertEqual(self.assert_same("train", **settings).dtype, tf.float32)
        with refused("--input_range"):
            pairs.open_pairs(str(self.output), "train", a_channels=5, b_channels=2)

    def test_a_run_takes_them_and_refuses_what_is_damaged(self):
        tiny_training.write_pairs(self.input, train=3, val=1)
        self.write()
        config = tiny_training.make_config(
            dataset=str(self.output), norm="none", gan_loss="none", num_steps=1, num_samples=1
        )
        with tiny_training.stub_networks(), contextlib.redirect_stdout(io.StringIO()) as stdout:
            loop.train(config, self.folder / "run")
        self.assertIn("3 training pairs", stdout.getvalue())
        (name,) = [name for name in self.shards() if name.startswith("val")]
        (self.output / name).write_bytes(b"")
        with contextlib.redirect_stdout(io.StringIO()), refused(name, "truncated"):
            loop.train(config, self.folder / "refused")


class WritingTest(_RecordsTest):
    def write_undisturbed(self, **settings) -> dict[str, bytes]:
        """Returns the records that an undisturbed command writes, to another folder."""
        self.assert_done(self.write(f"--output={self.folder / 'undisturbed'}", **settings))
        return contents_of(self.folder / "undisturbed")

    def test_the_number_of_processes_changes_nothing(self):
        """Where what goes to and from them is pickled, and comes back in any order."""

        def run(function, items, processes):
            function, items = pickle.loads(pickle.dumps((function, list(items))))
            for item in reversed(items):
                yield pickle.loads(pickle.dumps((item, *work._attempt(function, item))))

        self.save_train(9)
        expected = self.write_undisturbed(shard_bytes=3000)
        self.assertGreater(len(expected), 4)
        with mock.patch.object(work, "_run_in_processes", run):
            self.assert_done(self.write("--processes=2", shard_bytes=3000))
        self.assertEqual(contents_of(self.output), expected)

    def test_ctrl_c(self):
        """What is not complete is not taken for records, and the next command writes it all."""
        self.save_train(3)
        expected = self.write_undisturbed(shard_bytes=1)
        self.assert_done(self.write(shard_bytes=1))
        with mock.patch.object(records, "write_shard", side_effect=KeyboardInterrupt):
            self.assertEqual(self.write(shard_bytes=1).exit_code, 130)
        with refused(self.output, "no split", kind=MissingInputError):
            pairs.open_pairs(str(self.output), "train")
        self.assert_done(self.write(shard_bytes=1))
        self.assertEqual(contents_of(self.output), expected)

    def test_without_array_record(self):
        self.save_train(1)
        with mock.patch.dict("sys.modules", {"array_record.python.array_record_module": None}):
            self.assert_refused(self.write(), self.output, "pip install array_record")

    def test_a_disk_without_room(self):
        self.save_train(2)
        random = np.random.default_rng(0)
        save(self.train / "2.png", random.integers(0, 256, [256, 512, 3], np.uint8))
        with file_faults.files_limited_to(300_000):
            result = self.write(shard_bytes=1)
        self.assert_refused(result, self.output / "train-00002-of-00003.array_record")
        self.assertFalse(records.is_there(self.output))
        self.assert_done(self.write(shard_bytes=1))
        self.assertEqual(contents_of(self.output), self.write_undisturbed(shard_bytes=1))


class BadInputTest(_RecordsTest):
    def test_what_cannot_be_read_is_named_and_left_out(self):
        self.save_train(3)
        whole = (self.train / "1.png").read_bytes()
        (self.train / "1.png").write_bytes(whole[:-60])
        (self.train / "loop.png").symlink_to(self.train / "loop.png")
        os.mkfifo(self.train / "pipe.png")
        result = self.write()
        self.assert_named(
            result, ("train/1.png", "truncated"), ("train/loop.png",), ("train/pipe.png",)
        )
        self.assert_shown(("1 shard ", "2 pairs", self.output), result.stdout)
        self.assertEqual(pairs.open_pairs(str(self.output), "train").names, ["0", "2"])
        # Named again, and taken in when they are mended.
        (self.train / "loop.png").unlink()
        self.assert_named(self.write(), ("train/1.png",), ("train/pipe.png",))
        (self.train / "1.png").write_bytes(whole)
        self.assert_named(self.write(), ("train/pipe.png",))
        self.assertEqual(pairs.open_pairs(str(self.output), "train").names, ["0", "1", "2"])

    def test_a_name_that_reading_refuses_is_named_and_left_out(self):
        self.save_train(2)
        save(self.train / "a\\b.png", aligned(2))
        save(self.input / "val" / "A" / "1.png", photo())
        save(self.input / "val" / "B" / "1.png", photo(width=25))
        result = self.write()
        self.assert_named(
            result, ("train/a\\b.png", "backslash"), ("val/A/1.png", "24x16", "25x16")
        )
        self.assertEqual(pairs.open_pairs(str(self.output), "train").names, ["0", "1"])

    def test_inputs_that_are_none(self):
        self.assert_refused(self.write("--input=demo"), "demo")
        self.assert_refused(self.write(), self.input)
        self.input.mkdir()
        self.assert_refused(self.write(), self.input, "'train'")
        self.save_train(1)
        self.assert_done(self.write())
        again = f"--output={self.folder / 'again'}"
        self.assert_refused(self.write(f"--input={self.output}", again), self.output, "records")


class CheckTest(_RecordsTest):
    """`check` on records."""

    def check(self, folder: pathlib.Path) -> tuple[int, dict[str, str], dict]:
        """Returns the exit status, the problems by name, and the report's splits."""
        report = self.folder / "report"
        result = prepare("check", self.folder, f"--input={folder}", f"--output={report}")
        contents = json.loads((report / "check.json").read_text())
        wrong = {entry["file"]: entry["problem"] for entry in contents["wrong"]}
        return result.exit_code, wrong, contents["splits"]

    def test_the_same_is_found_as_in_the_folder(self):
        self.save_train(3)
        save(self.input / "test" / "A" / "7.png", photo())
        save(self.input / "test" / "B" / "7.jpg", photo(seed=1))
        self.write(shard_bytes=1)
        found = self.check(self.output)
        self.assertEqual(found, self.check(self.input))
        self.assertEqual(found[:2], (0, {}))
        self.assertEqual(found[2]["train"]["readable"], 3)

    def test_a_damaged_pair_is_named_and_the_others_are_read(self):
        for number in range(3):
            save(self.train / f"{number}.png", np.random.default_rng(number).integers(
                0, 256, [64, 128, 3], np.uint8))  # fmt: skip
        self.write()
        (name,) = self.shards()
        contents = bytearray((self.output / name).read_bytes())
        contents[contents.rindex(b"PNG") + 1000] ^= 4
        (self.output / name).write_bytes(contents)
        status, wrong, splits = self.check(self.output)
        self.assertEqual((status, list(wrong)), (1, [f"{name}/2.png"]))
        self.assertEqual(splits["train"]["readable"], 2)
