"""Tests of `python -m pix2pix_tf.prepare`: what all tasks share, and `combine`."""

from __future__ import annotations

import json
import os
import pathlib
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl import flags
from absl.testing import parameterized
from PIL import Image
from preparing import files_below, photo, prepare, read, save

from pix2pix_tf.data import images, pairs
from pix2pix_tf.prepare import __main__ as command
from pix2pix_tf.prepare import colorize, folders, inpaint, labels, pair_files


class _CommandTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input = self.folder / "in"
        self.output = self.folder / "out"
        self.input.mkdir()

    def save(self, name: str, **settings) -> pathlib.Path:
        return save(self.input / name, photo(**settings))

    def assert_refused(self, result: command_line.Result, sentence: str) -> None:
        self.assertEqual(result.exit_code, 2, result)
        self.assertEqual(result.stderr, f"error: {sentence}\n")


class UsageTest(_CommandTest):
    @parameterized.parameters(([], "nothing"), (["edge"], "edge"), (["edges", "in"], "edges in"))
    def test_the_task_is_named(self, arguments, given):
        result = command_line.run(command, *arguments, "--input=x", takes_arguments=True)
        self.assert_refused(
            result,
            f"The task is '{given}'. Give one of combine, colorize, edges, inpaint, labels, split, "
            "tfrecord, check, before the flags.",
        )

    def test_a_flag_of_another_task_is_refused(self):
        self.assert_refused(
            prepare("colorize", self.folder, "--holes=boxes"),
            "--holes is for inpaint, not for colorize. Leave it out.",
        )

    def test_every_flag_is_of_some_task_and_choices_are_those_of_the_modules(self):
        """The command imports no task before it is asked for, so it repeats their choices."""
        known = set(flags.FLAGS)
        self.addCleanup(command_line._forget_flags, known)
        command.define_flags()
        of_tasks = {name for names in command._TASKS.values() for name in names}
        self.assertEqual(set(flags.FLAGS) - known - of_tasks, {"input", "output", "processes"})
        self.assertContainsSubset(of_tasks, set(flags.FLAGS))
        choices = {
            name: tuple(flags.FLAGS[name].parser.enum_values) for name in ("layout", "holes", "to")
        }
        self.assertEqual(choices["layout"], pair_files.LAYOUTS)
        self.assertEqual(choices["holes"], tuple(inpaint.HOLES))
        self.assertEqual(choices["to"], tuple(labels._SUFFIXES))

    def test_no_output(self):
        result = command_line.run(command, "split", "--input=x", takes_arguments=True)
        self.assert_refused(result, "split needs --output, the folder for its results.")

    def test_no_input(self):
        self.input.rmdir()
        self.assert_refused(
            prepare("colorize", self.folder),
            f"There is no folder '{self.input}'. Pass a folder of images.",
        )

    def test_an_empty_input(self):
        self.assert_refused(
            prepare("colorize", self.folder),
            f"'{self.input}' holds no images (0 files that end in "
            f"{', '.join(images.IMAGE_SUFFIXES)}).",
        )


class OutputFolderTest(_CommandTest):
    """Of a task from photos; all use the same code."""

    def test_subfolders_are_kept_and_nothing_else_is_written(self):
        self.save("train/1.jpg")
        self.save("train/größe 2.a.png")
        self.save("val/1.bmp")
        self.save(".hidden/1.png")
        (self.input / "train" / "notes.txt").write_text("")
        result = prepare("colorize", self.folder)
        self.assertEqual(result.exit_code, 0, result)
        self.assertEqual(result.stdout, f"Wrote 3 pairs to '{self.output}'.\n")
        self.assertEqual(
            files_below(self.output),
            ["prepare.json", "train/1.png", "train/größe 2.a.png", "val/1.png"],
        )
        opened = pairs.open_pairs(str(self.output), "train", a_channels=1)
        self.assertEqual(opened.names, ["1", "größe 2.a"])

    def test_what_is_finished_is_not_made_again(self):
        for number in range(3):
            self.save(f"{number}.png", seed=number)
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        (self.output / "1.png").unlink()
        newer = os.stat(self.output / "2.png").st_mtime + 10
        os.utime(self.input / "2.png", (newer, newer))
        with mock.patch.object(colorize, "make_grey", wraps=colorize.make_grey) as make_grey:
            result = prepare("colorize", self.folder)
        made = [call.args[1] for call in make_grey.call_args_list]
        self.assertEqual(made, ["1.png", "2.png"])
        self.assertEqual(
            result.stdout, f"Wrote 2 pairs to '{self.output}'; 1 were already there.\n"
        )

    def test_other_settings_need_another_folder(self):
        self.save("1.png")
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        self.assert_refused(
            prepare("colorize", self.folder, "--size=20"),
            f"'{self.output}' was made otherwise: size was 0 and now is 20. Name a new folder, or "
            "delete that one.",
        )

    def test_a_folder_with_other_files_is_left_alone(self):
        self.save("1.png")
        self.output.mkdir()
        (self.output / "1.png").write_bytes(b"mine")
        self.assert_refused(
            prepare("colorize", self.folder),
            f"'{self.output}' holds files that this command did not write. Name a new folder.",
        )
        self.assertEqual((self.output / "1.png").read_bytes(), b"mine")

    def test_a_damaged_record(self):
        self.save("1.png")
        self.output.mkdir()
        for contents in ("[]", "{", "\0"):
            (self.output / folders.RECORD).write_text(contents)
            result = prepare("colorize", self.folder)
            self.assertEqual(result.exit_code, 2)
            self.assertRegex(
                result.stderr, r"^error: '.*prepare.json' cannot be read \(.*\)\. Name"
            )

    def test_outputs_are_not_among_the_inputs(self):
        self.save("1.png")
        inside = self.input / "pairs"
        self.assert_refused(
            prepare("colorize", self.folder, f"--output={inside}"),
            f"--output is '{inside}', which is in the input folder '{self.input.resolve()}': what "
            "is written there would be read as input. Name another folder.",
        )

    def test_a_full_disk_ends_all_work_and_leaves_no_half_file(self):
        for number in range(3):
            self.save(f"{number}.png", seed=number)
        calls = []

        def full(path, contents):
            calls.append(path)
            raise OSError(28, "No space left on device")

        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        for number in range(3):
            (self.output / f"{number}.png").unlink()
        with mock.patch.object(folders.files, "write_atomically", full):
            result = prepare("colorize", self.folder)
        self.assert_refused(
            result,
            f"'{self.output / '0.png'}' cannot be written ([Errno 28] No space left on device). "
            "What was finished is kept: make room or name another --output, and run the same "
            "command again.",
        )
        self.assertLen(calls, 1)
        self.assertEqual(files_below(self.output), ["prepare.json"])

    def test_ctrl_c(self):
        self.save("1.png")
        with mock.patch.object(colorize, "run", side_effect=KeyboardInterrupt):
            result = prepare("colorize", self.folder)
        self.assertEqual(result.exit_code, 130)
        self.assertEqual(result.stderr, "Stopped. The same command goes on from here.\n")


class BadFilesTest(_CommandTest):
    def setUp(self):
        super().setUp()
        self.save("good.png")
        whole = self.save("truncated.png", width=64, height=64).read_bytes()
        (self.input / "truncated.png").write_bytes(whole[: len(whole) // 2])
        (self.input / "empty.jpg").write_bytes(b"")
        (self.input / "text.jpg").write_text("no picture")
        (self.input / "folder.png").mkdir()
        Image.fromarray(photo()).save(self.input / "a gif.png", format="GIF")
        (self.input / "loop.png").symlink_to(self.input / "loop.png")
        (self.input / "around").symlink_to(self.input)
        os.mkfifo(self.input / "pipe.png")
        self.save("same.png")
        self.save("same.bmp")
        self.save("thin.png", width=4, height=64)
        (self.input / os.fsdecode(b"\xff\xfe.png")).write_bytes(b"")

    def test_each_is_named_and_the_others_are_done(self):
        result = prepare("colorize", self.folder)
        self.assertEqual(result.exit_code, 1, result)
        self.assertEqual(result.stdout, f"Wrote 2 pairs to '{self.output}'.\n")
        lines = result.stderr.splitlines()
        self.assertEqual(lines.pop(), "9 could not be used.")
        starts = [
            "error: a gif.png: is a GIF file. Convert it",
            "error: empty.jpg: cannot be read as an image",
            "error: loop.png: is no file, or a link to none.",
            "error: pipe.png: is no file, or a link to none.",
            "error: same.png: has the same name as 'same.bmp' but for the suffix",
            "error: text.jpg: cannot be read as an image",
            "error: thin.png: is 4x64 pixels: side by side, two such narrow images",
            "error: truncated.png: cannot be decoded: it is truncated",
            "error: \udcff\udcfe.png: cannot be read as an image",
        ]
        self.assertLen(lines, len(starts))
        for line, start in zip(lines, starts):
            self.assertStartsWith(line, start)
        self.assertEqual(files_below(self.output), ["good.png", "prepare.json", "same.png"])

    def test_no_more_than_a_screen_is_listed(self):
        with mock.patch.object(command, "_MOST_FAULTS_SHOWN", 2):
            result = prepare("colorize", self.folder)
        self.assertLen(result.stderr.splitlines(), 3)
        self.assertEndsWith(result.stderr, "9 could not be used, of which 7 are not listed.\n")

    def test_a_name_that_is_no_unicode_can_be_printed(self):
        self.assertEqual(command._printable("\udcff.png größe"), "\\udcff.png größe")


class LayoutTest(_CommandTest):
    def test_pairs_and_folders_hold_the_same(self):
        self.save("train/1.png")
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        both = read(self.output / "train" / "1.png")
        two = self.folder / "two"
        result = prepare("colorize", self.folder, "--layout=folders", f"--output={two}")
        self.assertEqual(result.exit_code, 0, result)
        self.assertEqual(files_below(two), ["prepare.json", "train/A/1.png", "train/B/1.png"])
        np.testing.assert_array_equal(both[:, 24:], read(two / "train" / "B" / "1.png"))
        np.testing.assert_array_equal(both[:, :24, 0], read(two / "train" / "A" / "1.png"))
        for folder in (self.output, two):
            a, b = pairs.open_pairs(str(folder), "train", a_channels=1).read(0)
            np.testing.assert_array_equal(a, both[:, :24, :1])
            np.testing.assert_array_equal(b, photo())

    def test_folders_take_narrow_pictures(self):
        self.save("train/1.png", width=4, height=64)
        result = prepare("colorize", self.folder, "--layout=folders")
        self.assertEqual(result.exit_code, 0, result)
        a, b = pairs.open_pairs(str(self.output), "train", a_channels=1).read(0)
        self.assertEqual((a.shape, b.shape), ((64, 4, 1), (64, 4, 3)))

    def test_inputs_alone(self):
        self.save("1.png")
        result = prepare("colorize", self.folder, "--layout=inputs")
        self.assertEqual(result.stdout, f"Wrote 1 images to '{self.output}'.\n")
        self.assertEqual(read(self.output / "1.png").shape, (16, 24))

    def test_size_is_that_of_the_shorter_side(self):
        self.save("1.png", width=60, height=40)
        self.assertEqual(prepare("colorize", self.folder, "--size=20").exit_code, 0)
        self.assertEqual(read(self.output / "1.png").shape, (20, 60, 3))

    def test_a_size_that_makes_too_much(self):
        self.save("1.png", width=60, height=2)
        result = prepare("colorize", self.folder, "--size=8000")
        self.assertStartsWith(
            result.stderr, "error: 1.png: is 60x2 pixels: with a shorter side of 8000 it would"
        )

    def test_a_pair_that_training_would_refuse_is_refused(self):
        side = np.zeros([1, images.MAX_PIXELS // 2 + 1, 1], np.uint8)
        with self.assertRaisesRegex(pair_files.InputError, "side by side that is more than"):
            pair_files.join(side, side)


class CombineTest(_CommandTest):
    def setUp(self):
        super().setUp()
        self.partners = self.folder / "partners"

    def combine(self, *flags_given: str) -> command_line.Result:
        return prepare("combine", self.folder, f"--input_b={self.partners}", *flags_given)

    def test_training_reads_both_sides_as_they_were(self):
        """Whatever the depths and channels of the two."""
        random = np.random.default_rng(0)
        grey = random.integers(0, 256, [16, 24], np.uint8)
        deep = random.integers(0, 2**16, [16, 24], np.uint16)
        alpha = random.integers(0, 256, [16, 24, 4], np.uint8)
        cases = {"grey": grey, "deep": deep, "alpha": alpha, "colour": photo(seed=1)}
        for name, pixels in cases.items():
            save(self.input / "train" / f"{name}.png", pixels)
            save(self.partners / "train" / f"{name}.bmp", photo(seed=2))
        result = self.combine()
        self.assertEqual(result.exit_code, 0, result)
        modes = {}
        for name in cases:
            path = self.output / "train" / f"{name}.png"
            info = images.inspect_image(path)
            modes[name] = (info.channels, info.bits)
            scale = info.bits // 8
            dtype = tf.uint16 if scale == 2 else tf.uint8
            channels = {2: 1, 3: cases[name].shape[-1]}[cases[name].ndim]
            a = images.read_pixels(path, channels=channels, dtype=dtype)[:, :24]
            np.testing.assert_array_equal(np.squeeze(a), cases[name])
            b = images.read_pixels(path, channels=3, dtype=dtype)[:, 24:]
            # 8 bits among 16: white is 65535.
            np.testing.assert_array_equal(b, photo(seed=2).astype(int) * (257 if scale == 2 else 1))
        self.assertEqual(
            modes, {"grey": (3, 8), "deep": (3, 16), "alpha": (4, 8), "colour": (3, 8)}
        )

    def test_what_has_no_partner_is_named(self):
        for name in ("1.png", "2.png"):
            self.save(name)
        for name in ("2.bmp", "3.png"):
            save(self.partners / name, photo())
        result = self.combine()
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(files_below(self.output), ["2.png", "prepare.json"])
        self.assertEqual(
            result.stderr.splitlines(),
            [
                f"error: {self.input}/1.png: has no partner in '{self.partners}'. Add it, or take "
                "this out.",
                f"error: {self.partners}/3.png: has no partner in '{self.input}'. Add it, or take "
                "this out.",
                "2 could not be used.",
            ],
        )

    def test_partners_of_other_sizes_are_named(self):
        self.save("1.png")
        save(self.partners / "1.png", photo(width=25))
        self.assertEqual(
            self.combine().stderr.splitlines()[0],
            f"error: {self.input}/1.png: is 24x16 pixels and its partner 25x16. Bring them to the "
            "same size.",
        )

    def test_no_partners_are_named(self):
        self.save("1.png")
        self.assert_refused(
            prepare("combine", self.folder),
            "combine needs --input_b, the folder of the partners of --input.",
        )

    def test_the_record_names_both_folders(self):
        self.save("1.png")
        save(self.partners / "1.png", photo())
        self.combine()
        self.assertEqual(
            json.loads((self.output / folders.RECORD).read_text()),
            dict(task="combine", inputs=[str(self.input.resolve()), str(self.partners.resolve())]),
        )
