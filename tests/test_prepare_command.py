"""Tests of `python -m pix2pix_tf.prepare`: what all tasks share, and `combine`."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import unicodedata
from unittest import mock

import command_line
import file_faults
import numpy as np
import preparing
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image
from preparing import files_below, photo, prepare, read, save

from pix2pix_tf.data import images, pairs
from pix2pix_tf.prepare import __main__ as command
from pix2pix_tf.prepare import colorize, folders


class _ColorizeTest(preparing.TaskTest):
    """Of one task from photos; all use the same code."""

    task = "colorize"


class UsageTest(_ColorizeTest):
    @parameterized.parameters(
        ((), ("'nothing'", "combine, colorize, edges, inpaint, labels, split, records, check")),
        (("edges", "in", "--input=x"), ("'edges in'",)),
        (("split",), ("split", "--input", "--output")),
        (("split", "--input=x"), ("split", "--input", "--output")),
        (("combine", "--input=x", "--output=y"), ("combine", "--input_b")),
        (("colorize", "--input=x", "--output=y", "--holes=strokes"), ("--holes", "inpaint")),
        (
            ("combine", "--input=x", "--output=y", "--input_b=z", "--layout=inputs"),
            ("--layout=inputs",),
        ),
    )
    def test_a_wrong_command(self, arguments, shown):
        self.assert_refused(command_line.run(command, *arguments, takes_arguments=True), *shown)

    def test_no_input_and_an_empty_one(self):
        self.assert_refused(self.run_task(), self.input)
        self.input.mkdir()
        self.assert_refused(self.run_task(), self.input, *images.IMAGE_SUFFIXES)


class OutputFolderTest(_ColorizeTest):
    def test_subfolders_are_kept_and_nothing_else_is_written(self):
        self.save("train/1.jpg")
        self.save("train/größe 2.a.png")
        self.save("val/1.bmp")
        self.save(".hidden/1.png")
        (self.input / "train" / "notes.txt").write_text("")
        self.assert_done(self.run_task(), "3 pairs", self.output)
        self.assertEqual(
            files_below(self.output),
            ["prepare.json", "train/1.png", "train/größe 2.a.png", "val/1.png"],
        )
        opened = pairs.open_pairs(str(self.output), "train", a_channels=1)
        self.assertEqual(opened.names, ["1", "größe 2.a"])

    def test_what_is_finished_is_not_made_again(self):
        for number in range(3):
            self.save(f"{number}.png", seed=number)
        self.assertEqual(self.run_task().exit_code, 0)
        (self.output / "1.png").unlink()
        newer = os.stat(self.output / "2.png").st_mtime + 10
        os.utime(self.input / "2.png", (newer, newer))
        with mock.patch.object(colorize, "make_grey", wraps=colorize.make_grey) as make_grey:
            result = self.run_task()
        made = [call.args[1] for call in make_grey.call_args_list]
        self.assertEqual(made, ["1.png", "2.png"])
        self.assert_done(result, "2 pairs", self.output, "; 1 ")

    def test_a_folder_that_is_not_of_this_command(self):
        self.save("1.png")
        self.assertEqual(self.run_task().exit_code, 0)
        self.assert_refused(self.run_task("--size=20"), self.output, "size", "0", "20")
        for contents in ("[]", "[3]", "{", "\0"):
            (self.output / folders.RECORD).write_text(contents)
            self.assert_refused(self.run_task(), self.output)
        (self.output / folders.RECORD).unlink()
        (self.output / "1.png").write_bytes(b"mine")
        self.assert_refused(self.run_task(), self.output)
        self.assertEqual((self.output / "1.png").read_bytes(), b"mine")
        inside = self.input / "pairs"
        self.assert_refused(self.run_task(f"--output={inside}"), inside, self.input)
        self.assertFalse(inside.exists())

    def test_a_fault_at_every_operation_leaves_no_half_file(self):
        for number in range(2):
            self.save(f"{number}.png", seed=number)
        undisturbed = self.folder / "undisturbed"
        self.run_task(f"--output={undisturbed}")
        num_refused = 0
        for number in range(1, 100):
            with file_faults.fail_at(number, self.output) as operations:
                result = self.run_task()
            if operations.count < number:
                break
            if result.exit_code:
                num_refused += 1
                # Named once, by what could not be written.
                self.assert_refused(result, f"'{self.output}")
                self.assertEqual(result.stderr.count(str(self.output)), 1, result.stderr)
            else:  # Of removing a trial of this process, which the next one sweeps.
                found = [name for name in files_below(self.output) if name[0] != "."]
                self.assertLen(found, 3)
            for name in files_below(self.output):
                if name.endswith(".png"):
                    whole = (undisturbed / name).read_bytes()
                    self.assertEqual((self.output / name).read_bytes(), whole)
            shutil.rmtree(self.output, ignore_errors=True)
        self.assertGreater(num_refused, 5)
        self.assertEqual(files_below(self.output), ["0.png", "1.png", "prepare.json"])

    def test_without_the_extra(self):
        self.save("1.png")
        with mock.patch.dict(sys.modules, {"skimage": None}):
            sys.modules.pop("pix2pix_tf.prepare.edges", None)
            result = prepare("edges", self.folder)
        self.assert_refused(result, "skimage", "pip install", "'ImageHash>=4.3,<5'")
        self.assertFalse(self.output.exists())
        # The same as the extra has.
        project = (pathlib.Path(__file__).parent.parent / "pyproject.toml").read_text()
        self.assertIn('prepare = ["ImageHash>=4.3,<5", "scikit-image>=0.22,<0.27"]', project)

    def test_litter_and_what_a_nas_keeps_become_no_pairs(self):
        self.save("1.png")
        for name in ("._1.png", "__MACOSX/1.png", ".ipynb_checkpoints/1.png", "@eaDir/1.png/a.jpg"):
            self.save(name)
        with self.assertLogs("absl", "WARNING") as logged:
            result = self.run_task()
        self.assertIn("'@eaDir' (1 picture, small copies", "".join(logged.output))
        self.assert_done(result, "1 pair ", self.output)
        self.assertEqual(files_below(self.output), ["1.png", "prepare.json"])

    def test_what_a_command_that_was_killed_left_is_removed(self):
        self.save("train/1.png")
        self.assertEqual(self.run_task().exit_code, 0)
        names = files_below(self.output)
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        left = f".1.png.unfinished.{socket.gethostname()[:50]}.{ended.pid}.abc"
        (self.output / "train" / left).write_bytes(b"half")
        self.assertEqual(self.run_task("--size=9").exit_code, 2)
        self.assertTrue((self.output / "train" / left).exists())
        self.assertEqual(self.run_task().exit_code, 0)
        self.assertEqual(files_below(self.output), names)


class BadFilesTest(_ColorizeTest):
    def setUp(self):
        super().setUp()
        self.save("good.png")
        whole = self.save("truncated.png", width=64, height=64).read_bytes()
        (self.input / "truncated.png").write_bytes(whole[: len(whole) // 2])
        (self.input / "empty.jpg").write_bytes(b"")
        (self.input / "text.jpg").write_text("no picture")
        (self.input / "missed.heic").write_bytes(b"some")
        (self.input / "scan.nii.gz").write_bytes(b"some")
        (self.input / "half.jpg.part").write_bytes(b"some")
        (self.input / ".hidden.webp").write_bytes(b"some")
        (self.input / "folder.png").mkdir()
        Image.fromarray(photo()).save(self.input / "a tiff.png", format="TIFF")
        (self.input / "loop.png").symlink_to(self.input / "loop.png")
        (self.input / "around").symlink_to(self.input)
        os.mkfifo(self.input / "pipe.png")
        self.save("same.png")
        self.save("same.bmp")
        self.save("thin.png", width=4, height=64)
        (self.input / os.fsdecode(b"\xff\xfe.png")).write_bytes(b"")

    def test_each_is_named_and_the_others_are_done(self):
        result = self.run_task()
        self.assert_named(
            result,
            ("a tiff.png", "TIFF"),
            ("empty.jpg",),
            ("half.jpg.part", "download"),
            ("loop.png",),
            ("missed.heic", "kind"),
            ("pipe.png",),
            ("same.png", "same.bmp"),
            ("scan.nii.gz", "kind"),
            ("text.jpg",),
            ("thin.png", "4x64"),
            ("truncated.png",),
            (r"\udcff\udcfe.png",),
        )
        self.assert_shown(("2 pairs", self.output), result.stdout)
        self.assertEqual(files_below(self.output), ["good.png", "prepare.json", "same.png"])


class LayoutTest(_ColorizeTest):
    def test_pairs_and_folders_hold_the_same(self):
        self.save("train/1.png")
        self.assertEqual(self.run_task().exit_code, 0)
        both = read(self.output / "train" / "1.png")
        two = self.folder / "two"
        self.assert_done(self.run_task("--layout=folders", f"--output={two}"))
        self.assertEqual(files_below(two), ["prepare.json", "train/A/1.png", "train/B/1.png"])
        np.testing.assert_array_equal(both[:, 24:], read(two / "train" / "B" / "1.png"))
        np.testing.assert_array_equal(both[:, :24, 0], read(two / "train" / "A" / "1.png"))
        for folder in (self.output, two):
            a, b = pairs.open_pairs(str(folder), "train", a_channels=1).read(0)
            np.testing.assert_array_equal(a, both[:, :24, :1])
            np.testing.assert_array_equal(b, photo())

    def test_inputs_alone_and_a_size_of_the_shorter_side(self):
        self.save("1.png", width=60, height=40)
        self.assert_done(self.run_task("--layout=inputs", "--size=20"), "1 image", self.output)
        self.assertEqual(read(self.output / "1.png").shape, (20, 30))

    def test_a_size_that_makes_too_much(self):
        self.save("1.png", width=60, height=2)
        self.assert_named(self.run_task("--size=8000"), ("1.png", "60x2", "8000"))


class ColourProfileTest(_ColorizeTest):
    """What is written is PNG without a profile, which is said."""

    @parameterized.parameters(("pairs", 4), ("folders", 0))
    def test_profiles_that_are_lost_are_counted(self, layout, count):
        partners = self.folder / "partners"
        for number in range(3):
            profile = b"Display P3" if number else b"sRGB"
            for folder in (self.input, partners):
                save(folder / f"{number}.jpg", photo(seed=number), icc_profile=profile)
        with mock.patch.object(images.logging, "warning") as warning:
            result = prepare("combine", self.folder, f"--input_b={partners}", f"--layout={layout}")
        self.assert_done(result, "3 pairs", self.output)
        self.assertEqual([call.args[1:3] for call in warning.call_args_list], [(4, 6)][:count])


class ControlCharactersTest(_ColorizeTest):
    """A name is a terminal's to show, not to obey."""

    def test_are_escaped(self):
        self.save("\x1b[2J.bmp")
        self.save("\x1b[2J.png")
        result = self.run_task()
        self.assert_named(result, (r"\x1b[2J.png", r"'\x1b[2J.bmp'"))
        self.assertNotIn("\x1b", result.stderr)


class CombineTest(preparing.TaskTest):
    task = "combine"

    def setUp(self):
        super().setUp()
        self.partners = self.folder / "partners"

    def run_task(self, *flags_given: str) -> command_line.Result:
        return super().run_task(f"--input_b={self.partners}", *flags_given)

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
        self.assert_done(self.run_task())
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

    @parameterized.parameters((12, 3, "in"), (3, 12, "partners"))
    def test_arrays_that_no_picture_holds_are_named(self, a, b, where):
        for folder, channels in ((self.input, a), (self.partners, b)):
            folder.mkdir(exist_ok=True)
            np.save(folder / "1.npy", np.zeros([16, 24, channels], np.uint8))
        self.save("2.png")
        save(self.partners / "2.png", photo())
        result = self.run_task()
        self.assertStartsWith(result.stdout, "Wrote 1 pair ")
        self.assert_named(
            result, (self.input / "1.npy", f"{max(a, b)} channel(s) of 8 bits", "--layout=folders")
        )
        self.assertEqual(f"'{self.partners}/1.npy'" in result.stderr, where == "partners")

    def test_folders_hold_the_files_as_they_are(self):
        heights = np.random.default_rng(0).normal(size=[16, 24, 12]).astype(np.float32)
        for name in ("train/1.npy", "train/torn.npy", "train/other.npy", "train/torn_b.npy"):
            path = self.input / name
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, heights)
            save((self.partners / name).with_suffix(".jpg"), photo())
        torn = self.input / "train" / "torn.npy"
        torn.write_bytes(torn.read_bytes()[:-5])
        torn_b = save(self.partners / "train" / "torn_b.png", photo(width=24))
        torn_b.write_bytes(torn_b.read_bytes()[:-40])
        (self.partners / "train" / "torn_b.jpg").unlink()
        save(self.partners / "train" / "other.jpg", photo(width=30))
        self.assert_named(
            self.run_task("--layout=folders"),
            (self.input / "train" / "other.npy", "24x16", "30x16"),
            (self.input / "train" / "torn.npy",),
            (self.input / "train" / "torn_b.npy", torn_b),
        )
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
        again = self.run_task("--layout=folders")
        self.assert_shown(("0 pairs", self.output, "; 1 "), again.stdout)

    def test_what_is_ignored_in_names(self):
        for number in (1, 2):
            self.save(f"train/{number}_A.png")
            save(self.partners / "train" / f"{number:03}_B.png", photo())
        self.assert_done(
            self.run_task(r"--ignore_in_names=_A$|_B$|(?<!\d)0+(?=\d)"), "2 pairs", self.output
        )
        self.assertEqual(
            files_below(self.output), ["prepare.json", "train/1_A.png", "train/2_A.png"]
        )

    def test_accents_of_macos_are_those_of_others(self):
        self.save(unicodedata.normalize("NFC", "é.png"))
        save(self.partners / unicodedata.normalize("NFD", "é.png"), photo())
        self.assert_done(self.run_task(), "1 pair ", self.output)

    def test_names_that_differ_by_the_same_are_told_before_anything_is_written(self):
        for number in range(3):
            self.save(f"{number}.png")
            save(self.partners / f"{number}_mask.png", photo())
        result = self.run_task("--layout=folders")
        self.assertEqual(result.exit_code, 1)
        self.assert_shown(("6 could not be used",), result.stderr)
        self.assertFalse(self.output.exists())
        self.assert_shown(("Wrote nothing.", "'_mask'", "prepare combine "), result.stdout)
        (text,) = re.findall("prepare (.*) makes pairs", result.stdout)
        again = command_line.run(command, *shlex.split(text), takes_arguments=True)
        self.assert_done(again, "3 pairs", self.output)
        self.assertIn("A/0.png", files_below(self.output))

    @parameterized.parameters(("[", "[", "not a regular expression"), ("[0-9]", "1.png", "2.png"))
    def test_a_pattern_that_cannot_be_ignored(self, pattern, *shown):
        for number in (1, 2):
            self.save(f"{number}.png")
            save(self.partners / f"{number}.png", photo())
        result = self.run_task(f"--ignore_in_names={pattern}")
        self.assert_refused(result, "--ignore_in_names", *shown)
        self.assertFalse(self.output.exists())

    def test_what_has_no_partner_or_one_of_another_size(self):
        for name in ("1.png", "2.png", "4.png"):
            self.save(name)
        for name in ("2.bmp", "3.png"):
            save(self.partners / name, photo())
        save(self.partners / "4.png", photo(width=25))
        self.assert_named(
            self.run_task(),
            (self.input / "1.png", self.partners),
            (self.input / "4.png", "24x16", "25x16"),
            (self.partners / "3.png", self.input),
        )
        self.assertEqual(files_below(self.output), ["2.png", "prepare.json"])
