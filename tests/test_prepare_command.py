"""Tests of `python -m pix2pix_tf.prepare`: what all tasks share, and `combine`."""

from __future__ import annotations

import errno
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import types
from unittest import mock

import command_line
import file_faults
import numpy as np
import tensorflow as tf
import tiny_runs
from absl import flags
from absl.testing import parameterized
from PIL import Image
from preparing import files_below, photo, prepare, read, save

from pix2pix_tf import files
from pix2pix_tf.data import images, pairs
from pix2pix_tf.prepare import __main__ as command
from pix2pix_tf.prepare import check, colorize, folders, inpaint, labels, pair_files

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


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
        self.assert_refused(
            prepare("combine", self.folder, "--input_b=x", "--size=64"),
            "--size is for colorize, edges, inpaint, not for combine. Leave it out.",
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

    def test_no_task_and_no_input(self):
        result = command_line.run(command, takes_arguments=True)
        self.assertEqual(result.exit_code, 2)
        self.assertStartsWith(result.stderr, "error: The task is 'nothing'. Give one of combine, ")
        for given in ([], ["--input="]):
            result = command_line.run(command, "split", *given, takes_arguments=True)
            self.assert_refused(result, "split needs --input, the folder to read.")

    @parameterized.parameters("colorize", "edges", "inpaint")
    def test_arrays_that_are_no_photos(self, task):
        """No flag of the task changes what it takes, so none is named."""
        cases = {
            "float": (
                np.zeros([8, 8, 3], np.float32),
                "3 channel(s) of 32 bits that are no unsigned 8 or 16.",
            ),
            "signed": (
                np.zeros([8, 8, 3], np.int8),
                "3 channel(s) of 8 bits that are no unsigned 8 or 16.",
            ),
            "twelve": (np.zeros([8, 8, 12], np.uint16), "12 channel(s) of 16 bits. "),
        }
        for name, (values, _) in cases.items():
            np.save(self.input / f"{name}.npy", values)
        np.save(self.input / "photo.npy", photo())
        result = prepare(task, self.folder)
        self.assertEqual((result.exit_code, result.stdout[:13]), (1, "Wrote 1 pair "))
        for line, (name, (_, start)) in zip(result.stderr.splitlines(), sorted(cases.items())):
            self.assertStartsWith(line, f"error: {name}.npy: has {start}")
            self.assertEndsWith(
                line,
                "The task takes 3 channels of 8 or 16 bits, unsigned. Convert it, or take it out.",
            )

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
        self.assertEqual(result.stdout, f"Wrote 2 pairs to '{self.output}'; 1 was already there.\n")

    def test_what_is_all_finished_may_be_read_only(self):
        self.save("1.png")
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        fault = OSError(errno.EROFS, os.strerror(errno.EROFS))
        with mock.patch.object(os, "fsync", side_effect=fault):  # Of all that is written.
            result = prepare("colorize", self.folder)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))

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
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        for number in range(3):
            (self.output / f"{number}.png").unlink()
        with file_faults.files_limited_to(20):
            result = prepare("colorize", self.folder)
        self.assert_refused(
            result,
            f"'{self.output / '0.png'}' cannot be written: File too large. Raise the limit on the "
            "size of files, then give the same command again; what was written before is "
            "untouched.",
        )
        self.assertEqual(files_below(self.output), ["prepare.json"])

    def test_a_fault_at_every_operation_leaves_no_half_file(self):
        for number in range(2):
            self.save(f"{number}.png", seed=number)
        undisturbed = self.folder / "undisturbed"
        prepare("colorize", self.folder, f"--output={undisturbed}")
        num_refused = 0
        for number in range(1, 100):
            with file_faults.fail_at(number, self.output) as operations:
                result = prepare("colorize", self.folder)
            if operations.count < number:
                break
            if result.exit_code:
                num_refused += 1
                # Named once, by what could not be written.
                self.assertRegex(
                    result.stderr, r"^error: '[^']*' cannot be (written: No space|made \().*\n$"
                )
            else:  # Of a folder that was there already.
                self.assertLen(files_below(self.output), 3)
            for name in files_below(self.output):
                if name.endswith(".png"):
                    whole = (undisturbed / name).read_bytes()
                    self.assertEqual((self.output / name).read_bytes(), whole)
            shutil.rmtree(self.output, ignore_errors=True)
        self.assertGreater(num_refused, 5)
        self.assertEqual(files_below(self.output), ["0.png", "1.png", "prepare.json"])

    @parameterized.parameters(
        ("colorize", False),
        ("colorize", True),
        ("combine", False),
        ("labels", True),
        ("split", True),
    )
    def test_an_output_that_is_removed_meanwhile(self, task, is_made_again):
        """Whoever empties it may be slower than the command, which then makes it again."""
        given = []
        for number in range(3):
            if task == "labels":
                save(self.input / "train" / f"{number}.png", np.zeros([8, 8], np.uint8))
            else:
                self.save(f"train/{number}.png", seed=number)
        if task == "combine":
            given = [f"--input_b={shutil.copytree(self.input, self.folder / 'b')}"]
            given += ["--layout=folders"]
        write, count = files.write_atomically, 0

        def write_and_remove(path, contents):
            nonlocal count
            write(path, contents)
            count += 1
            if count == 3:
                shutil.rmtree(self.output)
                if is_made_again:
                    (self.output / "train").mkdir(parents=True)

        with mock.patch.object(files, "write_atomically", write_and_remove):
            result = prepare(task, self.folder, *given)
        self.assert_refused(
            result,
            f"'{self.output}' was removed while this command wrote there, and with it results. "
            "Delete what may be left of it, then give the same command again.",
        )
        self.assertEqual(self.output.exists(), is_made_again)

    def test_what_a_command_that_was_killed_left_is_removed(self):
        self.save("train/1.png")
        self.save("val/1.png")
        for number in range(1, 100):
            with self.subTest(number):
                try:
                    with file_faults.kill_at(number, self.output):
                        prepare("colorize", self.folder)
                    break
                except file_faults.KilledError:
                    pass
        names = ["prepare.json", "train/1.png", "val/1.png"]
        self.assertGreater(number, 5)
        self.assertEqual(files_below(self.output), names)
        # Of files that were not made a second time, and of a user.
        left = self.output / "train" / ".1.png.unfinished.abc123"
        others = [self.output / ".hidden" / left.name, self.output / "train" / ".notes"]
        (self.output / ".hidden").mkdir()
        for path in (left, *others):
            path.write_bytes(b"half")
        self.assertEqual(prepare("colorize", self.folder, "--size=9").exit_code, 2)
        self.assertTrue(left.exists())
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        self.assertEqual(
            files_below(self.output), sorted([*names, ".hidden/" + left.name, "train/.notes"])
        )

    def test_what_another_process_is_writing_is_left(self):
        self.save("train/1.png")
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        (self.output / "train" / "1.png").unlink()
        unfinished = self.output / "train" / ".1.png.unfinished.abc123"
        unfinished.write_bytes(b"half")
        script = (
            "import pathlib, sys\n"
            "from pix2pix_tf.prepare import folders\n"
            "output, source = map(pathlib.Path, sys.argv[1:])\n"
            "settings = dict(size=0, layout='pairs')\n"
            "folders._remove_unfinished = lambda output: None\n"
            "folders.open_output(output, [source], 'colorize', settings)\n"
            "print('open', flush=True)\n"
            "sys.stdin.read()\n"
        )
        # This one holds it no longer.
        prepare("colorize", self.folder, f"--output={self.folder / 'elsewhere'}")
        command_line = [sys.executable, "-c", script, self.output, self.input]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with subprocess.Popen(command_line, cwd=_REPOSITORY, **pipes) as other:
            self.assertEqual(other.stdout.readline(), b"open\n")
            self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
            self.assertTrue(unfinished.exists())
            other.kill()
        self.assertEqual(prepare("colorize", self.folder).exit_code, 0)
        self.assertFalse(unfinished.exists())

    def test_ctrl_c(self):
        self.save("1.png")
        with mock.patch.object(colorize, "run", side_effect=KeyboardInterrupt):
            result = prepare("colorize", self.folder)
        self.assertEqual(result.exit_code, 130)
        self.assertEqual(result.stderr, "Stopped. Run the same command again to resume.\n")

    def test_ctrl_c_of_what_starts_over(self):
        self.save("1.png")
        with mock.patch.object(check, "run", side_effect=KeyboardInterrupt):
            result = prepare("check", self.folder)
        self.assertEqual((result.exit_code, result.stderr), (130, "Stopped.\n"))


class OtherKindsTest(_CommandTest):
    @parameterized.parameters(
        ("combine", "in_b/sea/2.webp", "--input_b"),
        ("colorize", "in/sea/2.webp"),
        ("edges", "in/sea/2.GIF"),
        ("inpaint", "in/sea/2.heic"),
        ("labels", "in/sea/2.jxl"),
        ("split", "in/sea/2.avif"),
    )
    def test_pictures_that_are_not_read_are_named(self, task, name, *flags):
        """They would be missed. What is no picture, or hidden, is passed over."""
        good = photo()[..., 0] % 12 if task == "labels" else photo()
        for folder in ("in", "in_b") if task == "combine" else ("in",):
            save(self.folder / folder / "sea" / "1.png", good)
        (self.folder / name).write_bytes(b"some")
        (self.input / "notes.txt").write_text("some")
        (self.input / ".hidden.webp").write_bytes(b"some")
        result = prepare(task, self.folder, *(f"{flag}={self.folder / 'in_b'}" for flag in flags))
        self.assertEqual(result.exit_code, 1, result)
        shown = self.folder / name if task == "combine" else pathlib.Path(name).relative_to("in")
        self.assertEqual(
            result.stderr,
            f"error: {shown}: is of a kind that is not read. Convert it to PNG, or take it out.\n"
            "1 could not be used.\n",
        )
        self.assertStartsWith(result.stdout, "Wrote 1 ")

    def test_nothing_but_such(self):
        (self.input / "1.webp").write_bytes(b"some")
        result = prepare("colorize", self.folder)
        self.assertEqual(result.exit_code, 1)
        self.assertStartsWith(result.stderr, "error: 1.webp: is of a kind that is not read.")


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
        class Terminal(io.TextIOWrapper):
            def getvalue(self):
                self.flush()
                return self.buffer.getvalue().decode()

        folder = self.folder / os.fsdecode(b"\xff \xc3\xb6")
        streams = (Terminal(io.BytesIO(), "utf-8", x) for x in ("strict", "backslashreplace"))
        fake = types.SimpleNamespace(StringIO=lambda: next(streams))
        with mock.patch.object(command_line, "io", fake):
            result = prepare("colorize", self.folder, f"--output={folder}")
        self.assertEqual(
            result.stdout, f"Wrote 2 pairs to '{self.folder}/\\udcff ö'.\n", str(result)
        )


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
        self.assertEqual(result.stdout, f"Wrote 1 image to '{self.output}'.\n")
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


class ColourProfileTest(_CommandTest):
    """What is written is PNG without a profile, which is said."""

    @parameterized.parameters("colorize", "edges", "inpaint", "combine")
    def test_profiles_that_are_lost_are_counted(self, task):
        partners = self.folder / "partners"
        for number in range(3):
            profile = b"Display P3" if number else b"sRGB"
            for folder in (self.input, partners):
                save(folder / f"{number}.jpg", photo(seed=number), icc_profile=profile)
        given = [f"--input_b={partners}"] if task == "combine" else []
        result = prepare(task, self.folder, *given)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        count = 4 if task == "combine" else 2
        self.assertEqual(
            result.stdout,
            f"Wrote 3 pairs to '{self.output}'. Of {count} files the colour profile, other than "
            f"sRGB, was neither applied nor kept, '{self.input / '1.jpg'}' for one: convert them "
            "to sRGB before if colours matter.\n",
        )

    def test_files_that_are_copied_keep_theirs(self):
        partners = self.folder / "partners"
        for folder in (self.input, partners):
            save(folder / "1.jpg", photo(), icc_profile=b"Display P3")
        result = prepare("combine", self.folder, f"--input_b={partners}", "--layout=folders")
        self.assertEqual(result.stdout, f"Wrote 1 pair to '{self.output}'.\n")


class ControlCharactersTest(_CommandTest):
    """A name is a terminal's to show, not to obey."""

    def test_in_what_is_wrong(self):
        self.save("\x1b[2J.bmp")
        self.save("\x1b[2J.png")
        result = prepare("colorize", self.folder)
        self.assertEqual(result.exit_code, 1)
        self.assertStartsWith(
            result.stderr,
            r"error: \x1b[2J.png: has the same name as '\x1b[2J.bmp' but for the suffix",
        )
        self.assertNotIn("\x1b", result.stderr)

    def test_in_the_summary(self):
        save(self.input / "\x1b[2J.png", photo(), icc_profile=b"Display P3")
        result = prepare("colorize", self.folder)
        self.assertIn(rf"'{self.input}/\x1b[2J.png' for one", result.stdout)


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

    @parameterized.parameters((12, 3, "in"), (3, 12, "partners"), (12, 12, "in"), (2, 2, "in"))
    def test_arrays_that_no_picture_holds_are_named(self, a, b, where):
        for folder, channels in ((self.input, a), (self.partners, b)):
            folder.mkdir(exist_ok=True)
            np.save(folder / "1.npy", np.zeros([16, 24, channels], np.uint8))
        self.save("2.png")
        save(self.partners / "2.png", photo())
        result = self.combine()
        self.assertEqual((result.exit_code, result.stdout[:13]), (1, "Wrote 1 pair "))
        (line, _) = result.stderr.splitlines()
        self.assertStartsWith(line, f"error: {self.input}/1.npy: ")
        self.assertEndsWith(
            line,
            f"has {max(a, b)} channel(s) of 8 bits each, which no PNG holds. Put A and B into two "
            "folders, with --layout=folders.",
        )
        self.assertEqual(f"'{self.partners}/1.npy'" in line, where == "partners")

    def test_folders_hold_the_files_as_they_are(self):
        heights = np.random.default_rng(0).normal(size=[16, 24, 12]).astype(np.float32)
        for name in ("train/1.npy", "train/torn.npy", "train/other.npy", "train/torn_b.npy"):
            path = self.input / name
            path.parent.mkdir(exist_ok=True)
            np.save(path, heights)
            save((self.partners / name).with_suffix(".jpg"), photo())
        torn = self.input / "train" / "torn.npy"
        torn.write_bytes(torn.read_bytes()[:-5])
        torn_b = save(self.partners / "train" / "torn_b.png", photo(width=24))
        torn_b.write_bytes(torn_b.read_bytes()[:-40])
        (self.partners / "train" / "torn_b.jpg").unlink()
        save(self.partners / "train" / "other.jpg", photo(width=30))
        result = self.combine("--layout=folders")
        self.assertEqual(result.exit_code, 1)
        lines = result.stderr.splitlines()
        self.assertStartsWith(lines[0], f"error: {self.input}/train/other.npy: is 24x16 pixels and")
        self.assertStartsWith(lines[1], f"error: {self.input}/train/torn.npy: cannot be read as an")
        self.assertStartsWith(lines[2], f"error: {self.input}/train/torn_b.npy: '{torn_b}' cannot")
        self.assertEqual(
            files_below(self.output), ["prepare.json", "train/A/1.npy", "train/B/1.jpg"]
        )
        for side, folder in (("A/1.npy", self.input), ("B/1.jpg", self.partners)):
            copied = (self.output / "train" / side).read_bytes()
            self.assertEqual(copied, (folder / "train" / side[2:]).read_bytes())
        a, _ = pairs.open_pairs(
            str(self.output), "train", a_channels=12, a_range=(-9, 9), b_range=(0, 255)
        ).read(0)
        np.testing.assert_allclose(a, heights / 9, atol=1e-6)
        again = self.combine("--layout=folders")
        self.assertEqual(again.stdout, f"Wrote 0 pairs to '{self.output}'; 1 was already there.\n")

    def test_inputs_alone_are_no_pairs(self):
        self.save("1.png")
        self.assert_refused(
            self.combine("--layout=inputs"),
            "--layout=inputs leaves B out, which combine is for. Use another layout.",
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
            dict(
                task="combine",
                inputs=[str(self.input.resolve()), str(self.partners.resolve())],
                layout="pairs",
            ),
        )
