"""Tests of `python -m pix2pix_tf.translate`."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image
from tiny_runs import names_in

from pix2pix_tf import serving, translate
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


def write_damaged(path: pathlib.Path) -> None:
    """Writes a picture with a good header, of which the end is missing."""
    write_picture(path, size=(60, 60))
    path.write_bytes(path.read_bytes()[:-400])


def describe(path: pathlib.Path) -> tuple:
    with Image.open(path) as picture:
        picture.load()
        return picture.format, picture.mode, picture.size


def read(path: pathlib.Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(np.int32)


class TranslateCommandTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Each model is loaded, and traced, once for all tests.
        for name in ("load", "load_generator"):
            cached = functools.cache(getattr(translator, name))
            patch = mock.patch.object(translator, name, cached)
            patch.start()
            cls.addClassCleanup(patch.stop)

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "input", self.folder / "out" / "put"

    def translate(self, *flags: str, model=None, input=None, output=None) -> command_line.Result:
        return command_line.run(
            translate,
            f"--model={model or tiny_runs.shared_run()}",
            f"--input={input or self.input}",
            f"--output={output or self.output}",
            *flags,
        )

    def assert_refused(self, result: command_line.Result, *parts: str):
        result.check_refused(*parts)
        self.assertEqual(result.stdout, "")

    def test_a_file(self):
        path = write_picture(self.input / "one picture.png", size=(47, 33))
        result = self.translate(input=path)
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn(f"1 images to '{self.output}'", result.stdout)
        self.assertEqual(names_in(self.output), ["one picture.png"])
        expected = translator.load(str(tiny_runs.shared_run())).translate_file(path)
        found = read(self.output / "one picture.png")
        self.assertAllEqual(found, expected)
        output = self.folder / "of_export"
        self.translate(input=path, model=tiny_runs.shared_version().parent, output=output)
        difference = np.abs(read(output / "one picture.png") - found)
        self.assertLessEqual(difference.max(), 1)  # One rounding.

    def test_a_folder_keeps_names_kinds_and_sizes(self):
        pictures = {
            "alpha.png": ("RGBA", (1, 1)), "deep.png": ("I;16", (31, 33)),
            "grey.JPEG": ("L", (100, 7)), "näme [1] %d.PNG": ("RGB", (32, 32)),
        }  # fmt: skip
        for name, (mode, size) in pictures.items():
            write_picture(self.input / name, mode, size=size)
        # Its suffix would not be true of the result, nor may that replace another's.
        write_picture(self.input / "näme.bmp")
        write_picture(self.input / "näme.png", size=(9, 9))
        for name in ("b.json", "notes.txt", ".hidden.png"):
            (self.input / name).write_bytes(b"no picture that is read")
        (self.input / "sub").mkdir()
        result = self.translate("--keep_going")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertEqual(names_in(self.output), sorted([*pictures, "näme.bmp.png", "näme.png"]))
        for name, (_, size) in pictures.items():
            kind = "PNG" if name.lower().endswith("png") else "JPEG"
            self.assertEqual(describe(self.output / name), (kind, "RGB", size), name)
        self.assertEqual(describe(self.output / "näme.bmp.png"), ("PNG", "RGB", (24, 18)))
        self.assertEqual(describe(self.output / "näme.png"), ("PNG", "RGB", (9, 9)))
        self.assertRegex(result.stdout, r": b\.json, notes\.txt\.\n")  # Passed over, and named.

    def test_pictures_that_look_like_pairs_side_by_side_are_told(self):
        write_picture(self.input / "1.png", size=(48, 24))
        with mock.patch.object(translator, "pair_file_size", return_value=(48, 24)):
            self.assertIn("pass A alone", self.translate().stdout)
            write_picture(self.input / "2.png", size=(24, 24))
            self.assertNotIn("A alone", self.translate().stdout)

    def test_the_size_of_the_pairs_is_known_of_runs_and_exports(self):
        run = shutil.copytree(tiny_runs.shared_run(), self.folder / "run")
        tiny_runs.write_data(run, (48, 24))
        version = shutil.copytree(tiny_runs.shared_version(), self.folder / "exported" / "1")
        card = json.loads((version / serving.MODEL_CARD).read_text())
        card["data"]["pair_file_size"] = [48, 24]
        (version / serving.MODEL_CARD).write_text(json.dumps(card))
        for model in (run, version.parent, version):
            self.assertEqual(translator.pair_file_size(model), (48, 24))
        for model in (tiny_runs.shared_run(), tiny_runs.shared_version()):
            self.assertIsNone(translator.pair_file_size(model))

    def test_nothing_about_the_model_is_repeated(self):
        run = self.folder / "other"
        tiny_runs.write_run(
            run, input_channels=1, output_channels=4, norm="none", generator="encoder_decoder"
        )
        write_picture(self.input / "colour.png", size=(70, 20))
        write_picture(self.input / "photo.jpg")
        self.assertEqual(self.translate("--tile=32", model=run).exit_code, 0)
        # A JPEG has no alpha.
        self.assertEqual(names_in(self.output), ["colour.png", "photo.jpg.png"])
        self.assertEqual(describe(self.output / "colour.png"), ("PNG", "RGBA", (70, 20)))
        self.assertEqual(describe(self.output / "photo.jpg.png"), ("PNG", "RGBA", (24, 18)))

    def test_alpha_is_not_made_up(self):
        """A model that was trained on alpha; training refuses files without, too."""
        run = self.folder / "alpha"
        tiny_runs.write_run(run, input_channels=4, norm="none")
        for name, mode in (("a.png", "RGBA"), ("b.png", "LA"), ("c.jpg", "RGB"), ("d.png", "L")):
            write_picture(self.input / name, mode)
        result = self.translate("--keep_going", "--tile=32", model=run)
        self.assertEqual((result.exit_code, names_in(self.output)), (1, ["a.png", "b.png"]))
        for line, name, channels in zip(result.stderr.splitlines(), ("c.jpg", "d.png"), (3, 1)):
            self.assertIn(f"'{self.input / name}' has {channels} channel(s)", line)

    def test_inputs_whose_outputs_have_one_name(self):
        for name in ("a.bmp", "a.bmp.png", "b.png"):
            write_picture(self.input / name)
        self.assert_refused(
            self.translate(), *(f"'{self.input / x}'" for x in ("a.bmp", "a.bmp.png"))
        )
        self.assertEqual(names_in(self.output), [])
        result = self.translate("--keep_going")
        self.assertEqual((result.exit_code, names_in(self.output)), (1, ["a.bmp.png", "b.png"]))
        self.assertIn("1 of 3", result.stderr)
        # With several samples each has a name of its own: a_0.bmp.png and a.bmp_0.png.
        result = self.translate("--samples=2")
        self.assertEqual((result.exit_code, len(names_in(self.output))), (0, 2 + 6))

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

    def test_inputs_and_models_that_are_not_there(self):
        self.assert_refused(self.translate(), f"There is no '{self.input}'")
        self.input.mkdir()
        (self.input / "notes.txt").touch()
        self.assert_refused(self.translate(), f"'{self.input}'", ".png, .jpg")
        self.assertFalse(self.output.exists())
        (self.input / "notes.txt").unlink()
        path = write_picture(self.input / "a.png")
        none = self.folder / "none"
        self.assert_refused(self.translate(model=none), f"There is no folder '{none}'")
        self.assert_refused(self.translate(output=path), f"'{path}'", "a file is in its place")

    @parameterized.parameters([[]], [["--tile=32"]])
    def test_keep_going(self, flags):
        """Of each kind of fault one: no image, damaged, of other channels; and good ones beside."""
        for name in ("a.png", "f.jpg"):
            write_picture(self.input / name)
        (self.input / "b.png").write_bytes(b"nothing")
        write_damaged(self.input / "c.png")
        np.save(self.input / "d.npy", np.zeros([8, 8, 5], np.uint8))
        write_damaged(self.input / "e.jpg")
        result = self.translate("--keep_going", *flags)
        self.assertEqual((result.exit_code, names_in(self.output)), (1, ["a.png", "f.jpg"]))
        self.assertIn("Wrote 2 images", result.stdout)
        *lines, last = result.stderr.splitlines()[-5:]
        for line, name, problem in zip(
            lines,
            ("b.png", "c.png", "d.npy", "e.jpg"),
            ("cannot be read", "cannot be decoded", "5 channel(s)", "cannot be decoded"),
        ):
            self.assertStartsWith(line, f"error: '{self.input / name}'")
            self.assertIn(problem, line)
        self.assertStartsWith(last, "4 of 6")

    def test_inputs_are_not_overwritten(self):
        path = write_picture(self.input / "a.png")
        before = path.read_bytes()
        for given in (self.input, path):
            output = self.input / ".." / "input"
            result = self.translate(input=given, output=output)
            self.assert_refused(result, f"'{output}', where the inputs are")
        self.assertEqual((path.read_bytes(), names_in(self.input)), (before, ["a.png"]))

    def test_tiles_give_the_same_pictures(self):
        """Of files that are kept in 8 bits, and of others."""
        for name, mode in (("colour.png", "RGB"), ("deep.png", "I;16"), ("alpha.png", "RGBA")):
            write_picture(self.input / name, mode, size=(51, 70))
        for model in (tiny_runs.shared_run(), tiny_runs.shared_version().parent):
            whole, tiled = self.folder / f"{model.name}_whole", self.folder / f"{model.name}_tiled"
            for output, flags in ((whole, []), (tiled, ["--tile=32"])):
                flags += ["--samples=2", "--seed=5"]
                result = self.translate(*flags, model=model, output=output)
                self.assertEqual(result.exit_code, 0, result.stderr)
            self.assertLen(names_in(whole), 6)
            for name in names_in(whole):
                difference = np.abs(read(tiled / name) - read(whole / name))
                # One level where the value lies between two.
                self.assertLessEqual(difference.max(), 1)
                self.assertLess(difference.mean(), 0.002)

    def test_a_tile_that_does_not_fit_the_model(self):
        write_picture(self.input / "a.png")
        for tile, instead in ((1, 32), (33, 32), (80, 64), (90, 96)):
            result = self.translate(f"--tile={tile}")
            self.assert_refused(result, f"tile is {tile}.", f"such as {instead}.")

    def test_an_image_that_is_too_large_in_one_piece(self):
        write_picture(self.input / "a.png")
        path = write_picture(self.input / "b.png", size=(65, 33))
        padded = 64 * 96 * 2 * translator.BYTES_PER_PIXEL_AND_FILTER  # Of two filters.
        with mock.patch.object(translator, "MAX_BYTES", padded - 1):
            self.assert_refused(self.translate(), f"'{path}' has 65 x 33 pixels", "--tile=512")
            self.assertEqual(names_in(self.output), [])  # Before the first.
            self.assertEqual(self.translate("--tile=512").exit_code, 0)
        with mock.patch.object(translator, "MAX_BYTES", padded):
            self.assertEqual(self.translate().exit_code, 0)

    def test_in_a_process_of_its_own(self):
        write_picture(self.input / "a.png")
        write_damaged(self.input / "b.png")
        (self.input / os.fsdecode(b"caf\xe9.txt")).touch()  # A name that is not UTF-8.
        # From another folder, with names that are relative to it.
        command = [sys.executable, "-m", "pix2pix_tf.translate"]
        result = subprocess.run(
            [
                *(*command, f"--model={tiny_runs.shared_run()}"),
                *("--input=input", "--output=out", "--samples=2"),
            ],
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
