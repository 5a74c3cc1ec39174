"""Tests of `python -m pix2pix_tf.translate`."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from unittest import mock

import command_line
import data_folder
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf import serving, translate
from pix2pix_tf.errors import WriteError
from pix2pix_tf.inference import translator

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def write_picture(path: pathlib.Path, mode: str = "RGB", *, size=(24, 18)) -> pathlib.Path:
    """Writes noise of (width, height) `size` in a mode of Pillow's."""
    random = np.random.RandomState(0)
    width, height = size
    if mode == "I;16":
        pixels = random.randint(0, 2**16, (height, width)).astype(np.uint16)
    else:
        channels = len(Image.new(mode, (1, 1)).getbands())
        pixels = random.randint(0, 256, (height, width, channels)).astype(np.uint8)
        pixels = pixels[..., 0] if channels == 1 else pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def describe(path: pathlib.Path) -> tuple:
    with Image.open(path) as picture:
        picture.load()
        return picture.format, picture.mode, picture.size


def names_in(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TranslateCommandTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = tiny_runs.temporary_folder(cls) / "run"
        tiny_runs.write_run(cls.run_folder)

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "input", self.folder / "out" / "put"

    def translate(self, *flags: str, model=None, input=None, output=None) -> command_line.Result:
        return command_line.run(
            translate,
            f"--model={model or self.run_folder}",
            f"--input={input or self.input}",
            f"--output={output or self.output}",
            *flags,
        )

    def assert_refused(self, result: command_line.Result, *parts: str):
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        for part in parts:
            self.assertIn(part, result.stderr)
        self.assertStartsWith(result.stderr, "error: ")
        self.assertLen(result.stderr.splitlines(), 1)
        self.assertNotIn("Traceback", result.stderr)

    def test_a_file(self):
        path = write_picture(self.input / "one picture.png", size=(47, 33))
        result = self.translate(input=path)
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertEqual(result.stdout, f"Wrote 1 images to '{self.output}'.\n")
        self.assertEqual(names_in(self.output), ["one picture.png"])
        expected = translator.load(self.run_folder).translate_file(path)
        with Image.open(self.output / "one picture.png") as picture:
            self.assertAllEqual(np.asarray(picture), expected)

    def test_a_folder_keeps_names_kinds_and_sizes(self):
        modes = {
            "grey.png": "L", "alpha.png": "RGBA", "greyalpha.png": "LA", "deep.png": "I;16",
            "photo.jpg": "RGB", "grey.JPEG": "L", "plain.PNG": "RGB", "näme [1] %d.png": "RGB",
        }  # fmt: skip
        sizes = [(1, 1), (31, 33), (64, 32), (100, 7), (40, 30), (32, 32), (33, 65), (5, 80)]
        for (name, mode), size in zip(modes.items(), sizes):
            write_picture(self.input / name, mode, size=size)
        (self.input / "notes.txt").touch()
        (self.input / ".hidden.png").touch()
        (self.input / "sub").mkdir()
        result = self.translate()
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertEqual(names_in(self.output), sorted(modes))
        for name, size in zip(modes, sizes):
            kind = "PNG" if name.lower().endswith("png") else "JPEG"
            self.assertEqual(describe(self.output / name), (kind, "RGB", size), name)

    def test_other_files_of_a_folder_are_passed_over_and_named(self):
        write_picture(self.input / "a.png")
        for name in ("b.json", "notes.txt", ".hidden"):
            (self.input / name).write_bytes(b"no picture that is read")
        result = self.translate()
        self.assertEqual((result.exit_code, names_in(self.output)), (0, ["a.png"]))
        self.assertIn(
            f"Passed over in '{self.input}', since they do not end in .png, .jpg, .jpeg, .bmp, "
            ".npy, .tif, .tiff: b.json, notes.txt.\n",
            result.stdout,
        )

    def test_pictures_of_kinds_that_are_not_read_are_not_passed_over(self):
        write_picture(self.input / "a.png")
        other = write_picture(self.input / "b.webp")
        message = f"error: '{other}' is a WEBP file. Convert it to PNG or JPEG.\n"
        self.assert_refused(self.translate(), message)
        self.assertFalse(self.output.exists())
        result = self.translate("--keep_going")
        self.assertEqual((result.exit_code, names_in(self.output)), (1, ["a.png"]))
        self.assertEqual(result.stderr, f"{message}1 of 2 could not be translated.\n")

    @parameterized.parameters([[]], [["--tile=32"]])
    def test_alpha_is_not_made_up(self, flags):
        """A model that was trained on alpha; training refuses files without, too."""
        run = self.folder / "alpha"
        tiny_runs.write_run(run, input_channels=4, norm="none")
        for name, mode in (("a.png", "RGBA"), ("b.png", "LA"), ("c.jpg", "RGB"), ("d.png", "L")):
            write_picture(self.input / name, mode)
        result = self.translate("--keep_going", *flags, model=run)
        self.assertEqual((result.exit_code, names_in(self.output)), (1, ["a.png", "b.png"]))
        for line, name, channels in zip(result.stderr.splitlines(), ("c.jpg", "d.png"), (3, 1)):
            self.assertStartsWith(
                line, f"error: '{self.input / name}' has {channels} channel(s), no alpha, but 4 "
            )

    def test_what_is_neither_png_nor_jpeg_gets_a_suffix_that_is_true(self):
        write_picture(self.input / "a.bmp")
        write_picture(self.input / "a.png", size=(9, 9))
        self.translate()
        self.assertEqual(names_in(self.output), ["a.bmp.png", "a.png"])
        self.assertEqual(describe(self.output / "a.bmp.png"), ("PNG", "RGB", (24, 18)))
        self.assertEqual(describe(self.output / "a.png"), ("PNG", "RGB", (9, 9)))

    @parameterized.parameters(1, 2)
    def test_inputs_whose_outputs_have_one_name(self, samples):
        for name in ("a.bmp", "a.bmp.png", "b.png"):
            write_picture(self.input / name)
        message = (
            f"error: '{self.input / 'a.bmp'}' and '{self.input / 'a.bmp.png'}' would have the same "
            "output, 'a.bmp.png'. Rename one of them.\n"
        )
        # With several samples each has a name of its own: a_0.bmp.png and a.bmp_0.png.
        result = self.translate(f"--samples={samples}")
        if samples == 1:
            self.assert_refused(result, message)
            self.assertEqual(names_in(self.output), [])
            result = self.translate("--keep_going")
            self.assertEqual((result.exit_code, names_in(self.output)), (1, ["b.png"]))
            self.assertEqual(result.stderr, f"{message}2 of 3 could not be translated.\n")
        else:
            self.assertEqual((result.exit_code, len(names_in(self.output))), (0, 6))

    def test_samples_and_seed(self):
        path = write_picture(self.input / "a.b.png")

        def pictures(*flags):
            output = self.folder / " ".join(["with", *flags])
            self.assertEqual(self.translate(*flags, input=path, output=output).exit_code, 0)
            return {file.name: file.read_bytes() for file in sorted(output.iterdir())}

        three = pictures("--samples=3", "--seed=1")
        self.assertEqual(list(three), ["a.b_0.png", "a.b_1.png", "a.b_2.png"])
        self.assertLen(set(three.values()), 3)
        self.assertEqual(pictures("--samples=3", "--seed=01"), three)  # Repeatable.
        one = pictures("--seed=1")
        self.assertEqual(one, {"a.b.png": three["a.b_0.png"]})
        self.assertNotEqual(pictures("--seed=2")["a.b.png"], one["a.b.png"])
        self.assertEqual(pictures("--seed=0"), pictures())

    def test_nothing_about_the_model_is_repeated(self):
        run = self.folder / "other"
        tiny_runs.write_run(
            run, input_channels=1, output_channels=4, norm="none", generator="encoder_decoder"
        )
        exported = serving.save_version(run, self.folder / "exported").parent
        write_picture(self.input / "colour.png", size=(70, 20))
        write_picture(self.input / "photo.jpg")
        results = []
        for model in (run, exported):
            output = self.folder / f"of_{model.name}"
            result = self.translate(model=model, output=output)
            self.assertEqual(result.exit_code, 0, result.stderr)
            self.assertEqual(describe(output / "colour.png"), ("PNG", "RGBA", (70, 20)))
            self.assertEqual(names_in(output), ["colour.png", "photo.jpg.png"])  # JPEG: no alpha.
            self.assertEqual(describe(output / "photo.jpg.png"), ("PNG", "RGBA", (24, 18)))
            with Image.open(output / "colour.png") as picture:
                results.append(np.asarray(picture).astype(np.int32))
        self.assertLessEqual(np.abs(results[0] - results[1]).max(), 1)  # One rounding.

    def test_no_input(self):
        self.assert_refused(self.translate(), f"There is no '{self.input}'", "Pass an image, or a")
        self.assertFalse(self.output.exists())

    def test_no_images(self):
        self.input.mkdir()
        (self.input / "notes.txt").touch()
        self.assert_refused(self.translate(), f"'{self.input}' holds no images", ".png, .jpg")

    def test_no_model(self):
        write_picture(self.input / "a.png")
        self.assert_refused(self.translate(model=self.folder / "none"), "There is no folder")

    def test_a_file_that_is_no_image_stops_all_before_the_first(self):
        write_picture(self.input / "a.png")
        (self.input / "b.png").write_bytes(b"nothing")
        self.assert_refused(self.translate(), f"'{self.input / 'b.png'}' cannot be read")
        self.assertFalse(self.output.exists())

    @parameterized.parameters("png", "jpg")
    def test_a_truncated_file_is_named(self, kind):
        path = write_picture(self.input / f"a.{kind}", size=(60, 60))
        path.write_bytes(path.read_bytes()[:-400])
        self.assert_refused(self.translate(), f"'{path}' cannot be decoded", "Replace it")

    def test_all_wrong_headers_are_named_at_once(self):
        write_picture(self.input / "a.png")
        for name in ("b.png", "c.jpg"):
            (self.input / name).write_bytes(b"nothing")
        result = self.translate()
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        lines = result.stderr.splitlines()
        self.assertEqual(lines[0], "error: 2 of 3 images cannot be used:")
        self.assertStartsWith(lines[1], f"'{self.input / 'b.png'}' cannot be read")
        self.assertStartsWith(lines[2], f"'{self.input / 'c.jpg'}' cannot be read")
        self.assertFalse(self.output.exists())

    @parameterized.parameters([[]], [["--tile=32"]])
    def test_keep_going(self, flags):
        """Of each kind of fault one: no image, damaged, of other channels; and good ones beside."""
        for name in ("a.png", "e.jpg"):
            write_picture(self.input / name)
        (self.input / "b.png").write_bytes(b"nothing")
        damaged = write_picture(self.input / "c.png", size=(60, 60))
        damaged.write_bytes(damaged.read_bytes()[:-400])
        np.save(self.input / "d.npy", np.zeros([8, 8, 5], np.uint8))
        result = self.translate("--keep_going", *flags)
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(names_in(self.output), ["a.png", "e.jpg"])
        self.assertEqual(result.stdout, f"Wrote 2 images to '{self.output}'.\n")
        lines = result.stderr.splitlines()[-4:]
        for line, name, problem in zip(
            lines,
            ("b.png", "c.png", "d.npy"),
            ("cannot be read", "cannot be decoded", "has 5 channel(s)"),
        ):
            self.assertStartsWith(line, f"error: '{self.input / name}' {problem}")
        self.assertEqual(lines[3], "3 of 5 could not be translated.")

    def test_keep_going_when_all_is_well(self):
        write_picture(self.input / "a.png")
        result = self.translate("--keep_going")
        self.assertEqual((result.exit_code, names_in(self.output)), (0, ["a.png"]))

    def test_keep_going_ends_when_nothing_can_be_written(self):
        for name in ("a.png", "b.png"):
            write_picture(self.input / name)
        error = WriteError("The disk is full.")
        with mock.patch.object(translate.files, "write_atomically", side_effect=error) as write:
            self.assert_refused(self.translate("--keep_going"), "error: The disk is full.")
        write.assert_called_once()

    def test_inputs_are_not_overwritten(self):
        path = write_picture(self.input / "a.png")
        before = path.read_bytes()
        for given in (self.input, path):
            result = self.translate(input=given, output=self.input / ".." / "input")
            self.assert_refused(result, "where the inputs are", "Pass another folder")
        self.assertEqual((path.read_bytes(), names_in(self.input)), (before, ["a.png"]))

    def test_a_file_in_place_of_the_output(self):
        path = write_picture(self.input / "a.png")
        self.assert_refused(self.translate(output=path), "a file is in its place")

    def test_sample_counts_and_seeds_below_range_are_refused(self):
        write_picture(self.input / "a.png")
        for flag in ("--samples=0", "--seed=-1"):
            result = self.translate(flag)
            self.assertNotEqual(result.exit_code, 0)
            self.assertIn(flag[2:].split("=")[0], result.stderr)
        self.assertFalse(self.output.exists())

    def test_in_a_process_of_its_own(self):
        write_picture(self.input / "a.png")
        damaged = write_picture(self.input / "b.png", size=(60, 60))
        damaged.write_bytes(damaged.read_bytes()[:-400])
        (self.input / os.fsdecode(b"caf\xe9.txt")).touch()  # A name that is not UTF-8.
        # From another folder, with names that are relative to it.
        command = [sys.executable, "-m", "pix2pix_tf.translate", f"--model={self.run_folder}"]
        result = subprocess.run(
            [*command, "--input=input", "--output=out", "--samples=2"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("error: 'input/b.png' cannot be decoded", result.stderr)
        self.assertIn(": caf\\udce9.txt.\n", result.stdout)
        self.assertNotIn("Traceback", result.stderr)
        self.assertEqual(names_in(self.folder / "out"), ["a_0.png", "a_1.png"])  # Whole ones only.

    def test_real_photos(self):
        folder = data_folder.require("photos")
        photos = [path for path in sorted(folder.iterdir()) if path.suffix == ".jpg"][:2]
        self.input.mkdir()
        for path in photos:
            (self.input / path.name).symlink_to(path)
        self.assertEqual(self.translate().exit_code, 0)
        self.assertNotEmpty(photos)
        for path in photos:
            self.assertEqual(describe(self.output / path.name)[2], describe(path)[2])


if __name__ == "__main__":
    tf.test.main()
