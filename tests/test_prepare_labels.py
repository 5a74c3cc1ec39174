"""Tests of `pix2pix_tf.prepare.labels`."""

from __future__ import annotations

import json

import data_folder
import numpy as np
from absl.testing import parameterized
from PIL import Image
from preparing import TaskTest, files_below, photo, read, save, save_shallow

from pix2pix_tf.data import classes

_COLORS = np.array([kind.color for kind in classes.find("facades").classes], np.uint8)


def class_map(*, count: int = 12) -> np.ndarray:
    """Returns each index on some pixels: uint8 `[8, 10]`."""
    return (np.arange(80, dtype=np.uint8) % count).reshape(8, 10)


class LabelsTest(TaskTest):
    task = "labels"

    def write_classes(self, entries) -> str:
        path = self.folder / "classes.json"
        path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
        return f"--classes={path}"

    def test_colours(self):
        save(self.input / "train" / "1.png", class_map())
        self.assert_done(self.run_task(), "1 label picture", self.output)
        np.testing.assert_array_equal(read(self.output / "train" / "1.png"), _COLORS[class_map()])

    def test_one_hot(self):
        indexes = class_map()
        indexes[0, 0] = classes.IGNORED
        save(self.input / "1.png", indexes)
        self.assert_done(self.run_task("--to=onehot"))
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
        self.assert_done(self.run_task())
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
        self.assert_done(self.run_task())
        for name in ("grey", "palette"):
            np.testing.assert_array_equal(read(self.output / f"{name}.png"), _COLORS[indexes])

    @parameterized.parameters(0, 2, 3)
    def test_an_index_is_the_place_in_the_list_wherever_a_class_is_ignored(self, place):
        entries = [{"name": f"{x}", "color": [x, 20 + x, 40 + x]} for x in range(1, 4)]
        entries.insert(place, {"name": "void", "color": [9, 9, 9], "ignored": True})
        colors = [entry["color"] for entry in entries]
        save(self.input / "1.png", np.array([[0, 1, 2, 3, classes.IGNORED]], np.uint8))
        flag = self.write_classes(entries)
        self.assert_done(self.run_task(flag))
        # Ignored pixels have the colour of the first ignored class.
        np.testing.assert_array_equal(read(self.output / "1.png"), [[*colors, (9, 9, 9)]])
        other = self.folder / "onehot"
        self.assert_done(self.run_task(flag, "--to=onehot", f"--output={other}"))
        # A channel each for 1, 2 and 3; nothing where it is void.
        expected = np.insert(np.eye(3, 3, dtype=int) * 255, [place, 3], 0, axis=0)
        np.testing.assert_array_equal(np.load(other / "1.npy"), [expected])

    def test_what_is_ignored_needs_a_colour(self):
        """Black would be taken for the class that is nearest to it."""
        indexes = class_map()
        indexes[0, 0] = classes.IGNORED
        save(self.input / "1.png", indexes)
        self.assert_named(self.run_task(), ("1.png", "holds 255", '"ignored": true'))
        save(self.input / "1.png", np.array([[0, 18, classes.IGNORED]], np.uint8))
        self.assert_done(self.run_task("--classes=cityscapes", f"--output={self.folder / 'x'}"))
        found = read(self.folder / "x" / "1.png")
        np.testing.assert_array_equal(found, [[(128, 64, 128), (119, 11, 32), (0, 0, 0)]])

    def test_of_known_classes_the_ignored_ones_have_no_index(self):
        """As in the class maps that the evaluation reads."""
        save(self.input / "1.png", class_map(count=20))
        self.assert_named(self.run_task("--classes=cityscapes"), ("1.png", "19", "0 to 18"))

    def test_files_that_hold_no_indexes_are_named(self):
        save(self.input / "index.png", np.array([[0, 12, 3, 40]], np.uint8))
        save(self.input / "colour.png", photo())
        save(self.input / "lossy.jpg", class_map())
        save(self.input / "deep.png", class_map().astype(np.uint16))
        whole = save(self.input / "torn.png", photo(seed=2)[..., 0]).read_bytes()
        (self.input / "torn.png").write_bytes(whole[:-40])
        save(self.input / "good.png", class_map())
        self.assert_named(
            self.run_task(),
            ("colour.png", "RGB"),
            ("deep.png", "I;16"),
            ("index.png", "12, 40", "0 to 11", "--classes"),
            ("lossy.jpg", "JPEG"),
            ("torn.png", "truncated"),
        )
        self.assertEqual(files_below(self.output), ["good.png", "prepare.json"])

    def test_unknown_classes(self):
        save(self.input / "1.png", class_map())
        known = "facades, cityscapes, demo"
        self.assert_refused(self.run_task("--classes=maps"), "'maps'", known)

    @parameterized.parameters(
        "{",
        "[]",
        "[3]",
        '{"name": 3}',
        '[{"name": "a"}]',
        '[{"name": "a", "color": [1, 2]}]',
        '[{"name": "a", "color": [1, 2, 256]}]',
        str([{"name": "x", "color": [0, 0, 0]}] * 256).replace("'", '"'),
    )
    def test_classes_of_another_form(self, text):
        save(self.input / "1.png", class_map())
        self.assert_refused(self.run_task(self.write_classes(text)), "classes.json'", "255")
        self.assertFalse(self.output.exists())

    def test_real_class_maps_give_the_colours_of_the_published_pictures(self):
        """Those are JPEG files, so the colours are near, where no border is."""
        path = data_folder.require("facades_index", "test", "1.png")
        save(self.input / "1.png", read(path))
        self.assert_done(self.run_task())
        published = read(data_folder.require("facades", "test", "1.jpg"))[:, 256:].astype(int)
        difference = np.abs(read(self.output / "1.png") - published).max(axis=-1)
        self.assertLess(np.median(difference), 6)
