"""Tests of `pix2pix_tf.prepare.labels`."""

from __future__ import annotations

import json

import data_folder
import numpy as np
import tiny_runs
from absl.testing import parameterized
from PIL import Image
from preparing import files_below, photo, prepare, read, save, save_shallow

from pix2pix_tf.data import classes, pairs
from pix2pix_tf.prepare import labels

_COLORS = np.array([kind.color for kind in classes.find("facades").classes], np.uint8)


def class_map(*, count: int = 12) -> np.ndarray:
    """Returns each index on some pixels: uint8 `[8, 10]`."""
    return (np.arange(80, dtype=np.uint8) % count).reshape(8, 10)


class LabelsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "in", self.folder / "out"

    def write_classes(self, entries) -> str:
        path = self.folder / "classes.json"
        path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
        return f"--classes={path}"

    def assert_refused(self, *flags: str, sentence: str) -> None:
        save(self.input / "1.png", class_map())
        result = prepare("labels", self.folder, *flags)
        self.assertEqual(result.exit_code, 2, result)
        self.assertEqual(result.stderr, f"error: {sentence}\n")

    def test_colours(self):
        save(self.input / "train" / "1.png", class_map())
        result = prepare("labels", self.folder)
        self.assertEqual(result.exit_code, 0, result)
        self.assertEqual(result.stdout, f"Wrote 1 label picture to '{self.output}'.\n")
        np.testing.assert_array_equal(read(self.output / "train" / "1.png"), _COLORS[class_map()])

    def test_one_hot(self):
        indexes = class_map()
        indexes[0, 0] = classes.IGNORED
        save(self.input / "1.png", indexes)
        result = prepare("labels", self.folder, "--to=onehot")
        self.assertEqual(result.exit_code, 0, result)
        self.assertEqual(files_below(self.output), ["1.npy", "prepare.json"])
        one_hot = np.load(self.output / "1.npy")
        self.assertEqual((one_hot.shape, one_hot.dtype), ((8, 10, 12), np.uint8))
        self.assertFalse(one_hot[0, 0].any())
        rest = one_hot.reshape(80, 12)[1:]
        np.testing.assert_array_equal(rest.argmax(axis=1), indexes.ravel()[1:])
        self.assertEqual(set(np.unique(rest)), {0, 255})
        self.assertTrue((rest.sum(axis=1, dtype=int) == 255).all())

    def test_of_a_palette_the_indexes_count(self):
        picture = Image.fromarray(class_map()).convert("P")
        picture.putpalette(list(range(255, 255 - 36, -1)))
        self.input.mkdir()
        picture.save(self.input / "1.png")
        self.assertEqual(prepare("labels", self.folder).exit_code, 0)
        np.testing.assert_array_equal(read(self.output / "1.png"), _COLORS[class_map()])

    @parameterized.parameters(1, 2, 4)
    def test_few_bits_hold_indexes_as_well(self, bits):
        indexes = np.arange(15, dtype=np.uint8).reshape(3, 5) % min(2**bits, 12)
        save_shallow(self.input / "grey.png", indexes, bits=bits)
        picture = Image.fromarray(indexes).convert("P")
        picture.putpalette(list(range(255, 255 - 48, -1)))
        picture.save(self.input / "palette.png", bits=bits)
        for name in ("grey", "palette"):  # What is tested is of few bits.
            self.assertEqual((self.input / f"{name}.png").read_bytes()[24], bits)
        result = prepare("labels", self.folder)
        self.assertEqual(result.exit_code, 0, result)
        for name in ("grey", "palette"):
            np.testing.assert_array_equal(read(self.output / f"{name}.png"), _COLORS[indexes])

    def test_ignored_pixels_have_the_colour_of_the_first_ignored_class(self):
        entries = [
            {"name": "sky", "color": [1, 2, 3]},
            {"name": "void", "color": [9, 8, 7], "ignored": True},
            {"name": "sea", "color": [4, 5, 6]},
        ]
        save(self.input / "1.png", np.array([[0, 2, 255]], np.uint8))
        result = prepare("labels", self.folder, self.write_classes(entries))
        self.assertEqual(result.exit_code, 0, result)
        np.testing.assert_array_equal(
            read(self.output / "1.png"), [[(1, 2, 3), (4, 5, 6), (9, 8, 7)]]
        )

    @parameterized.parameters(0, 1, 2, 3)
    def test_an_index_is_the_place_in_the_list_wherever_a_class_is_ignored(self, place):
        entries = [{"name": f"{x}", "color": [x, 20 + x, 40 + x]} for x in range(1, 4)]
        entries.insert(place, {"name": "void", "color": [9, 9, 9], "ignored": True})
        colors = [entry["color"] for entry in entries]
        save(self.input / "1.png", np.array([[0, 1, 2, 3]], np.uint8))
        flag = self.write_classes(entries)
        self.assertEqual(prepare("labels", self.folder, flag).exit_code, 0)
        np.testing.assert_array_equal(read(self.output / "1.png"), [colors])
        other = self.folder / "onehot"
        result = prepare("labels", self.folder, flag, "--to=onehot", f"--output={other}")
        self.assertEqual(result.exit_code, 0, result)
        # A channel each for 1, 2 and 3; nothing where it is void.
        expected = np.insert(np.eye(3, dtype=int) * 255, place, 0, axis=0)
        np.testing.assert_array_equal(np.load(other / "1.npy"), [expected])

    def test_of_known_classes_the_ignored_ones_have_no_index(self):
        """As in the class maps that the evaluation reads."""
        save(self.input / "1.png", class_map(count=20))
        result = prepare("labels", self.folder, "--classes=cityscapes")
        self.assertEqual(result.exit_code, 1)
        self.assertStartsWith(
            result.stderr, "error: 1.png: holds 19, but the classes are 0 to 18, and 255 for what"
        )

    def test_files_that_hold_no_indexes_are_named(self):
        save(self.input / "index.png", np.array([[0, 12, 3, 40]], np.uint8))
        save(self.input / "colour.png", photo())
        save(self.input / "lossy.jpg", class_map())
        save(self.input / "deep.png", class_map().astype(np.uint16))
        whole = save(self.input / "torn.png", photo(seed=2)[..., 0]).read_bytes()
        (self.input / "torn.png").write_bytes(whole[:-40])
        save(self.input / "good.png", class_map())
        result = prepare("labels", self.folder)
        self.assertEqual(result.exit_code, 1)
        form = (
            "which holds no indexes. Class maps are grey PNG files with up to 8 bits, or have a "
            "palette."
        )
        lines = result.stderr.splitlines()
        self.assertEqual(
            lines[:4],
            [
                f"error: colour.png: is a PNG of mode RGB, {form}",
                f"error: deep.png: is a PNG of mode I;16, {form}",
                "error: index.png: holds 12, 40, but the classes are 0 to 11, and 255 for what is "
                "ignored. Pass the right --classes.",
                f"error: lossy.jpg: is a JPEG of mode L, {form}",
            ],
        )
        self.assertStartsWith(lines[4], "error: torn.png: cannot be decoded")
        self.assertEqual(files_below(self.output), ["good.png", "prepare.json"])

    def test_what_is_not_upright_is_not_to_become_a_jpeg(self):
        """Which this task does not take."""
        exif = Image.Exif()
        exif[0x0112] = 6
        save(self.input / "1.png", class_map(), exif=exif)
        result = prepare("labels", self.folder)
        self.assertEqual(
            result.stderr.splitlines()[0],
            "error: 1.png: is a PNG that is not stored upright (its Exif orientation is 6). Rotate "
            "its pixels, and save it without an orientation.",
        )

    def test_unknown_classes(self):
        self.assert_refused(
            "--classes=maps",
            sentence="--classes is 'maps', whose classes are not known. Give one of facades, "
            "cityscapes, demo, or a .json file of your own.",
        )

    def test_a_file_that_is_not_there(self):
        path = self.folder / "x.json"
        self.assert_refused(
            f"--classes={path}", sentence=f"There is no file '{path}'. Check --classes."
        )

    @parameterized.parameters(
        ([3],),
        ([{"name": "a"}],),
        ([{"name": "a", "color": [1, 2]}],),
        ([{"name": "a", "color": [1, 2, 256]}],),
        ([{"name": "a", "color": [1, 2, 3.5]}],),
        ([{"name": "a", "color": "red"}],),
        ([{"name": "a", "color": [1, 2, 3], "ignored": 1}],),
    )
    def test_classes_of_another_form(self, entries):
        flag = self.write_classes(entries)
        path = self.folder / "classes.json"
        self.assert_refused(flag, sentence=f"Class 0 of '{path}' is {entries[0]!r}. {labels._FORM}")

    @parameterized.parameters("{", "[]", '{"name": 3}', "[" + "0," * 300 + "0]")
    def test_files_of_classes_that_are_none(self, text):
        save(self.input / "1.png", class_map())
        result = prepare("labels", self.folder, self.write_classes(text))
        self.assertEqual(result.exit_code, 2)
        self.assertLen(result.stderr.splitlines(), 1)
        self.assertIn("classes.json'", result.stderr)

    def test_too_many_classes(self):
        entries = [{"name": "x", "color": [0, 0, 0]}] * 256
        path = self.folder / "classes.json"
        self.assert_refused(
            self.write_classes(entries), sentence=f"'{path}' has 256 classes, more than 255."
        )

    def test_more_classes_than_channels(self):
        self.assert_refused(
            *("--to=onehot", "--classes=cityscapes"),
            sentence="--classes=cityscapes has 19 classes, more than the 16 channels that a "
            "network takes. Use --to=colours.",
        )
        self.assertFalse(self.output.exists())
        result = prepare("labels", self.folder, "--classes=cityscapes")
        self.assertEqual(result.exit_code, 0, result)

    def test_one_hot_maps_become_a_data_set(self):
        for number in range(3):
            save(self.input / f"{number}.png", np.roll(class_map(), number))
            save(self.folder / "photos" / f"{number}.jpg", photo(width=10, height=8, seed=number))
        self.assertEqual(prepare("labels", self.folder, "--to=onehot").exit_code, 0)
        both, data = self.folder / "both", self.folder / "data"
        result = prepare(
            *("combine", self.folder, f"--input={self.output}", "--layout=folders"),
            *(f"--input_b={self.folder / 'photos'}", f"--output={both}"),
        )
        self.assertEqual(result.exit_code, 0, result)
        flags = (f"--input={both}", f"--output={data}", "--shares=1,0,0")
        self.assertEqual(prepare("split", self.folder, *flags).exit_code, 0)
        source = pairs.open_pairs(str(data), "train", a_channels=12)
        a, _ = source.read(source.names.index("1"))
        np.testing.assert_array_equal(a.argmax(axis=-1), np.roll(class_map(), 1))

    def test_real_class_maps_give_the_colours_of_the_published_pictures(self):
        """Those are JPEG files, so the colours are near, where no border is."""
        path = data_folder.require("facades_index", "test", "1.png")
        save(self.input / "1.png", read(path))
        self.assertEqual(prepare("labels", self.folder).exit_code, 0)
        published = read(data_folder.require("facades", "test", "1.jpg"))[:, 256:].astype(int)
        difference = np.abs(read(self.output / "1.png") - published).max(axis=-1)
        self.assertLess(np.median(difference), 6)
