"""Tests of `pix2pix_tf.prepare.split` and `near_duplicates`."""

from __future__ import annotations

import io
import json
import pathlib
from unittest import mock

import data_folder
import numpy as np
from absl.testing import parameterized
from PIL import Image, ImageDraw
from preparing import TaskTest, files_below, photo, save

from pix2pix_tf.data import images, layouts, pairs
from pix2pix_tf.prepare import near_duplicates, split

_HALVES = ("train", "val")


def look_of(pixels: np.ndarray) -> near_duplicates.Look:
    """Returns what is compared of a picture, uint8 `[height, width]` or with 3 channels."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return near_duplicates.look_at([grey])


def clusters_of(*pictures: np.ndarray, hash_distance: int = 30) -> list[list[int]]:
    return near_duplicates.clusters(list(map(look_of, pictures)), hash_distance=hash_distance)


def looks_of_bits(bits: np.ndarray) -> list[near_duplicates.Look]:
    """Returns what is compared of plain pictures with these hashes, bool `[N, HASH_BITS]`."""
    plain = look_of(np.zeros([8, 8], np.uint8))
    return [
        plain._replace(hashes=np.tile(row, [len(plain.hashes), 1]))
        for row in np.where(bits, 1, -1).astype(np.int8)
    ]


def detailed(seed: int, *, width: int = 96, height: int = 64) -> np.ndarray:
    """Returns a picture with detail of all sizes: uint8 `[height, width, 3]`."""
    random = np.random.default_rng(seed)
    total = np.zeros([height, width, 3])
    for size in (3, 6, 12, 24):
        coarse = Image.fromarray(random.integers(0, 256, [size, size, 3], np.uint8))
        total += np.asarray(coarse.resize((width, height), Image.BICUBIC)) / size
    return (total / total.max() * 200).astype(np.uint8)


def film(seed: int, *, num_frames: int = 6) -> list[np.ndarray]:
    """Returns frames of a camera that stands, before which something light moves."""
    ground = detailed(seed)
    frames = []
    for number in range(num_frames):
        frame = ground.copy()
        frame[20:32, 4 + 8 * number : 16 + 8 * number] += 30
        frames.append(frame)
    return frames


def line_drawing(seed: int) -> np.ndarray:
    """Returns four thin lines on white."""
    drawing = Image.new("RGB", (128, 128), "white")
    for ends in np.random.default_rng(seed).integers(4, 124, [4, 4]):
        ImageDraw.Draw(drawing).line(ends.tolist(), fill="black", width=2)
    return np.asarray(drawing)


def mask(seed: int) -> np.ndarray:
    """Returns a small white disc on black."""
    x, y, size = np.random.default_rng(seed).integers([4, 4, 8], [100, 100, 24]).tolist()
    image = Image.new("L", (128, 128))
    ImageDraw.Draw(image).ellipse([x, y, x + size, y + size], fill=255)
    return np.asarray(image)


def each_half(pixels: np.ndarray, change) -> np.ndarray:
    """Returns the picture with A and B changed each."""
    return np.concatenate([change(half) for half in np.split(pixels, 2, axis=1)], axis=1)


def saved_again(pixels: np.ndarray, quality: int = 50) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


class NearDuplicatesTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("saved_again", saved_again),
        ("smaller", lambda x: np.asarray(Image.fromarray(x).resize((48, 32)))),
        ("larger", lambda x: np.asarray(Image.fromarray(x).resize((200, 120)))),
        ("lighter", lambda x: (x * 1.2).astype(np.uint8)),
        ("darker", lambda x: x // 2),
        ("mirrored", lambda x: x[:, ::-1]),
        ("turned_by_90", np.rot90),
        ("turned_by_270", lambda x: np.rot90(x, 3)),
        ("transposed_the_other_way", lambda x: np.rot90(x, 2).swapaxes(0, 1)),
        ("each_half_mirrored", lambda x: each_half(x, lambda half: half[:, ::-1])),
        ("each_half_turned_by_90", lambda x: each_half(x, np.rot90)),
        ("each_half_turned_by_180", lambda x: each_half(x, lambda half: np.rot90(half, 2))),
    )
    def test_changed_pictures_are_found(self, change):
        pictures = [detailed(seed) for seed in range(8)]
        changed = [change(pixels) for pixels in pictures]
        self.assertEqual(
            clusters_of(*pictures, *changed), [[number, number + 8] for number in range(8)]
        )

    def test_others_are_not(self):
        found = clusters_of(*(detailed(seed) for seed in range(40)))
        self.assertEqual(found, [[number] for number in range(40)])

    def test_plain_pictures_are_alike(self):
        plain = [np.full([20, 20, 3], value, np.uint8) for value in (0, 77, 255)]
        self.assertEqual(clusters_of(*plain, detailed(0)), [[0, 1, 2], [3]])

    def test_nearly_empty_drawings_that_hash_alike_are_told_apart(self):
        """As masks of doors do, which are in the same part of most facades."""
        masks = []
        for left in (200, 206):
            mask = np.zeros([256, 256], np.uint8)
            mask[230:250, left : left + 4] = 255
            masks.append(mask)
        hashes = [look_of(mask).hashes[0].astype(int) for mask in masks]
        self.assertGreater(hashes[0] @ hashes[1], near_duplicates.HASH_BITS - 2 * 30)
        self.assertEqual(clusters_of(*masks), [[0], [1]])
        self.assertEqual(clusters_of(masks[0], saved_again(masks[0])), [[0, 1]])

    def test_frames_of_a_film_are_one_scene(self):
        frames = [frame for seed in range(3) for frame in film(seed)]
        frames = [
            saved_again(np.clip(x * 1.0 + 5 * (i % 2), 0, 255).astype(np.uint8))
            for i, x in enumerate(frames)
        ]
        self.assertEqual(clusters_of(*frames), [[*range(6)], [*range(6, 12)], [*range(12, 18)]])
        # The hash alone would tear them: these are not few bits apart.
        hashes = [look_of(frame).hashes[0].astype(int) for frame in frames]
        self.assertLess(hashes[0] @ hashes[1], near_duplicates.HASH_BITS - 2 * 30)
        self.assertLen(clusters_of(*frames, hash_distance=0), 18)

    @parameterized.parameters(line_drawing, mask)
    def test_what_is_nearly_empty_is_not_alike_for_that(self, draw):
        """But for a disc that is where another is when it is mirrored or turned."""
        found = clusters_of(*map(draw, range(40)))
        self.assertGreater(len(found), 36)
        with mock.patch.object(near_duplicates, "_COMMON_DETAIL", 1.0):
            self.assertEqual(found, clusters_of(*map(draw, range(40))))

    def test_partitions_are_joined(self):
        found = near_duplicates.join([[0, 4], [1], [2], [3]], [[0], [1, 4], [2, 3]])
        self.assertEqual(found, [[0, 1, 4], [2, 3]])

    def test_groups_that_are_linked_later_are_joined(self):
        """Each is like those whose bits are set almost as far; 1 links 0 and 2 where it is."""
        random = np.random.default_rng(0)
        for _ in range(10):
            lengths = random.integers(0, near_duplicates.HASH_BITS + 1, 30)
            order = np.argsort(lengths, kind="stable")
            gaps = np.flatnonzero(np.diff(lengths[order]) > 10)
            expected = sorted(sorted(group.tolist()) for group in np.split(order, gaps + 1))
            bits = np.arange(near_duplicates.HASH_BITS) < lengths[:, np.newaxis]
            with mock.patch.object(near_duplicates, "_ROWS", 8):
                found = near_duplicates.clusters(looks_of_bits(bits), hash_distance=10)
            self.assertEqual(found, expected)

    def test_on_real_photos(self):
        folder = data_folder.require("bsds_sample")
        pictures = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.jpg"))[:20]]
        changed = [saved_again(pixels[::2, ::2], 40) for pixels in pictures]
        self.assertEqual(
            clusters_of(*pictures, *changed), [[number, number + 20] for number in range(20)]
        )


class AssignTest(parameterized.TestCase):
    @parameterized.parameters(([0.8, 0.1, 0.1],), ([1.0, 0.0, 0.0],), ([0.5, 0.0, 0.5],))
    def test_shares(self, shares):
        result = split.assign([[index] for index in range(200)], shares, seed=0)
        counts = [result.count(name) for name in layouts.SPLITS]
        self.assertEqual(counts, [round(200 * share) for share in shares])

    def test_groups_stay_together_and_the_rest_evens_it_out(self):
        groups = [list(range(30)), *([index] for index in range(30, 100))]
        for seed in range(5):
            result = split.assign(groups, [0.5, 0.25, 0.25], seed=seed)
            self.assertLen(set(result[:30]), 1)
            self.assertEqual([result.count(name) for name in layouts.SPLITS], [50, 25, 25])

    @parameterized.parameters(3, 4, 5)
    def test_no_split_stays_empty_that_a_group_is_there_for(self, count):
        """Of few large groups, such as scenes, train would take all by its share."""
        result = split.assign(np.arange(12 * count).reshape(count, 12), [0.8, 0.1, 0.1], seed=0)
        counts = [result.count(name) for name in layouts.SPLITS]
        self.assertEqual(counts, [12 * (count - 2), 12, 12])
        result = split.assign([[0], [1]], [0.9, 0.0, 0.1], seed=0)
        self.assertCountEqual(result, ["train", "test"])

    def test_the_seed_decides(self):
        groups = [[index] for index in range(50)]
        first = split.assign(groups, [0.5, 0.25, 0.25], seed=0)
        self.assertEqual(first, split.assign(groups, [0.5, 0.25, 0.25], seed=0))
        self.assertNotEqual(first, split.assign(groups, [0.5, 0.25, 0.25], seed=1))
        self.assertNotEqual(first, sorted(first, key=layouts.SPLITS.index))  # Not by name.


class SplitCommandTest(TaskTest):
    task = "split"

    def write(self, count: int, *, below: str = "") -> None:
        for number in range(count):
            save(self.input / below / f"{number}.png", detailed(number))

    def assert_pairs(self, expected: dict[str, int], *splits: str) -> None:
        """Expects pairs by their names, and the seeds of A and, less 100, of B."""
        found = {}
        for name in splits:
            source = pairs.open_pairs(str(self.output), name)
            found.update({key: source.read(index) for index, key in enumerate(source.names)})
        self.assertEqual(found.keys(), expected.keys())
        for name, (a, b) in found.items():
            np.testing.assert_array_equal(a, detailed(expected[name]))
            np.testing.assert_array_equal(b, detailed(100 + expected[name]))

    def test_files_are_copied_as_they_are(self):
        self.write(20)
        (self.input / "0.png").rename(self.input / "0.jpg")  # What it is called, not what it is.
        result = self.run_task("--shares=0.5,0.25,0.25")
        self.assert_done(result, "20 images", self.output, "10 train, 5 val, 5 test")
        copies = {path.name: path for path in self.output.rglob("[0-9]*.*")}
        self.assertLen(copies, 20)
        for path in self.input.iterdir():
            self.assertEqual(copies[path.name].read_bytes(), path.read_bytes())
        plan = json.loads((self.output / "split.json").read_text())
        self.assertEqual({path.parent.name for path in copies.values()}, set(layouts.SPLITS))
        for name, path in copies.items():
            self.assertIn(name, plan[path.parent.name])

    def test_what_looks_alike_is_in_one_split(self):
        self.write(12)
        for number in range(12):
            (self.input / f"again_{number}.jpg").write_bytes(
                images.encode_image(saved_again(detailed(number))[:, ::-1], ".jpg")
            )
        self.assert_done(self.run_task("--shares=0.4,0.3,0.3"), "12 groups")
        plan = json.loads((self.output / "split.json").read_text())
        for name in layouts.SPLITS:
            originals = {pathlib.Path(x).stem for x in plan[name] if "again" not in x}
            again = {pathlib.Path(x).stem[6:] for x in plan[name] if "again" in x}
            self.assertNotEmpty(originals)
            self.assertEqual(originals, again)
        self.assertLen(plan["look_alike"], 12)
        # Nothing is alike to the last bit.
        other = self.folder / "other"
        result = self.run_task("--hash_distance=0", f"--output={other}")
        self.assertNotIn("alike", result.stdout)

    def test_all_that_looks_alike_leaves_no_val_and_says_so(self):
        for number in range(4):
            save(self.input / f"{number}.png", detailed(0) + np.uint8(number))
        self.assert_done(
            self.run_task(),
            "4 train, 0 val, 0 test; 1 group of up to 4",
            "val and test are empty",
            "the 4 images make 1 group",
            "lower --hash_distance=30",
        )

    def test_groups_by_name_stay_together(self):
        for number in range(12):
            save(self.input / "tiles" / f"scene{number % 3}_{number:02}.png", detailed(number))
        save(self.input / "alone.png", detailed(50))
        pattern = r"--group_by=/(scene\d)_"
        result = self.run_task(pattern, "--shares=0.4,0.3,0.3")
        self.assert_done(result, "--group_by finds 3 groups, and nothing in 1 name", "'alone.png'")
        plan = json.loads((self.output / "split.json").read_text())
        scenes = [{x.split("_")[0] for x in plan[name] if "_" in x} for name in layouts.SPLITS]
        self.assertEqual([len(x) for x in scenes], [1, 1, 1])
        self.assertLen(set.union(*scenes), 3)
        # It resumes as it began; another pattern is another split.
        self.assert_done(self.run_task(pattern, "--shares=0.4,0.3,0.3"), "13 were already there")
        self.assert_refused(self.run_task("--shares=0.4,0.3,0.3"), "made otherwise")

    def test_pairs_are_grouped_by_what_both_names_have(self):
        for number in range(6):
            for side in "AB":
                save(self.input / side / f"{number % 2}_{number}.png", detailed(number + ord(side)))
        self.assert_done(self.run_task("--group_by=^.", "--shares=0.5,0.5,0"), "2 groups")
        plan = json.loads((self.output / "split.json").read_text())
        self.assertEqual([len({x[2] for x in plan[name]}) for name in _HALVES], [1, 1])

    def test_groups_by_name_join_what_looks_alike(self):
        for number in range(4):
            save(self.input / f"a{number}.png", detailed(number))
        save(self.input / "b.png", detailed(0) + np.uint8(1))
        self.assert_done(
            self.run_task("--group_by=^."),
            "5 train, 0 val",
            "or has the same --group_by",
            "the 5 images make 1 group",
        )

    @parameterized.parameters(
        ("scene", "finds nothing in each of the 3 names, such as '0.png'"),
        ("x*", "finds nothing"),
        ("png", "finds 'png' in each of the 3 names"),
        ("(a", "is not a regular expression"),
    )
    def test_a_pattern_that_makes_no_groups(self, pattern, message):
        self.write(3)
        self.assert_refused(self.run_task(f"--group_by={pattern}"), message)
        self.assertFalse(self.output.exists())

    def test_two_folders_stay_pairs(self):
        self.write(8, below="A")
        for number in range(8):
            save(self.input / "B" / f"{number}.bmp", detailed(100 + number))
        save(self.input / "B" / "lonely.png", detailed(0))
        result = self.run_task("--shares=0.5,0.25,0.25")
        self.assert_named(result, ("B/lonely.png", "partner"))
        counts = [len(files_below(self.output / name / "A")) for name in layouts.SPLITS]
        self.assertEqual(counts, [4, 2, 2])
        self.assert_pairs({str(number): number for number in range(8)}, *layouts.SPLITS)

    def test_names_that_differ_by_the_same_are_told(self):
        for number in range(3):
            save(self.input / "trainA" / f"{number}.png", detailed(number))
            save(self.input / "trainB" / f"{number}_mask.png", detailed(100 + number))
        self.assert_refused(
            self.run_task(), "'_mask'", f"--input={self.input}/trainA", "--ignore_in_names='_mask$'"
        )
        self.assertFalse(self.output.exists())

    def test_two_folders_below_others_and_of_each_split_stay_pairs(self):
        for number, name in enumerate(("train", "test", "summer/", "winter/dark/val")):
            save(self.input / f"{name}A" / "1.png", detailed(number))
            save(self.input / f"{name}B" / "1.bmp", detailed(100 + number))
        save(self.input / "winter" / "alone.png", detailed(50))
        (self.input / "winter" / "pipe.png").symlink_to("nowhere")
        result = self.run_task("--shares=0.5,0.5,0")
        self.assert_shown(("4 pairs", self.output, "2 train, 2 val, 0 test"), result.stdout)
        self.assert_named(result, ("winter/alone.png", "A or B"), ("winter/pipe.png",))
        self.assert_pairs(dict(train_1=0, test_1=1, summer_1=2, winter_dark_val_1=3), *_HALVES)

    def test_turned_pairs_of_two_folders_stay_together(self):
        for number in range(6):
            for side, seed in (("A", number), ("B", 100 + number)):
                save(self.input / side / f"{number}.png", detailed(seed))
                save(self.input / side / f"turned_{number}.png", np.rot90(detailed(seed)))
        self.assert_done(self.run_task("--shares=0.5,0.5,0"))
        alike = json.loads((self.output / "split.json").read_text())["look_alike"]
        expected = [[f"A/{x}.png", f"A/turned_{x}.png"] for x in range(6)]
        self.assertEqual(sorted(map(sorted, alike)), expected)

    def test_one_of_two_folders_is_not_taken_for_single_images(self):
        self.write(2, below="sea/trainA")
        self.assert_named(
            self.run_task(), ("sea/trainA/0.png", "partner"), ("sea/trainA/1.png", "partner")
        )

    def test_two_folders_elsewhere(self):
        for side in "AB":
            save(self.folder / "elsewhere" / side / "1.png", detailed(1))
        self.input.mkdir()
        for side in "AB":
            (self.input / side).symlink_to(self.folder / "elsewhere" / side)
        self.assert_done(self.run_task("--shares=1,0,0"))
        self.assertLen(pairs.open_pairs(str(self.output), "train").names, 1)

    def test_pairs_that_would_have_one_name_are_not_written_over_each_other(self):
        for number, name in enumerate(("A/sea/1.png", "A/sea_1.png")):
            save(self.input / name, detailed(number))
            save(self.input / name.replace("A", "B"), detailed(10 + number))
        save(self.input / "A" / "sun" / "1.png", detailed(20))  # Not of each other.
        save(self.input / "B" / "sun_1.png", detailed(30))
        result = self.run_task("--shares=1,0,0")
        self.assertStartsWith(result.stdout, "Wrote 1 pair ")
        self.assert_named(
            result,
            ("A/sea_1.png", "'A/sea/1.png'"),
            ("A/sun/1.png", "partner"),
            ("B/sun_1.png", "partner"),
        )

    @parameterized.parameters(1e-6, 1.0, 1e30)
    def test_arrays_of_any_type_and_channels(self, scale):
        """Those alike but for a little noise stay together, whatever the unit of the values."""
        random = np.random.default_rng(0)
        self.input.mkdir()
        for number in range(6):
            grey = detailed(number).mean(axis=-1, keepdims=True) - 100.0
            values = grey * np.linspace(0.5, 1.5, 12) * scale
            for name in (f"{number}.npy", f"again_{number}.npy"):
                noisy = values + random.normal(0, 0.01 * scale, values.shape)
                np.save(self.input / name, noisy.astype("f4"))
        np.save(self.input / "plain.npy", np.full([64, 96, 12], -3.0, np.float32))
        self.assert_done(self.run_task("--shares=0.5,0.5,0"))
        alike = json.loads((self.output / "split.json").read_text())["look_alike"]
        self.assertEqual(
            sorted(map(sorted, alike)), [[f"{x}.npy", f"again_{x}.npy"] for x in range(6)]
        )

    def test_subfolders_become_part_of_the_name(self):
        self.write(3, below="sea")
        self.write(2)
        save(self.input / "sea_0.png", detailed(9))
        result = self.run_task("--shares=1,0,0")
        self.assert_named(result, ("sea_0.png", "'sea/0.png'"))
        self.assertEqual(
            files_below(self.output / "train"),
            ["0.png", "1.png", "sea_0.png", "sea_1.png", "sea_2.png"],
        )

    def test_a_bad_file_is_in_no_split(self):
        self.input.mkdir()
        (self.input / "bad.png").write_bytes(b"no")
        result = self.run_task()
        self.assert_named(result, ("bad.png",))
        self.assertIn("nothing", result.stdout)
        self.write(3)
        self.assert_named(self.run_task(), ("bad.png",))
        names = files_below(self.output)
        self.assertLen(names, 3 + 2)
        self.assertFalse([name for name in names if "bad" in name])

    def test_it_goes_on_and_is_the_same_again(self):
        self.write(10)
        self.run_task()
        before = files_below(self.output)
        next(iter((self.output / "train").iterdir())).unlink()
        self.assert_done(self.run_task(), "1 image", self.output, "; 9 ")
        self.assertEqual(files_below(self.output), before)
        # Files that come later would move others.
        save(self.input / "new.png", detailed(99))
        self.assert_refused(self.run_task(), f"'{self.output}/split.json'")

    @parameterized.parameters("1", "0.5,0.5", "a,b,c", "0.5,0.6,0.1", "1.1,0,-0.1", "nan,0,1", "")
    def test_shares_that_make_no_sense(self, shares):
        save(self.input / "1.png", photo())
        self.assert_refused(self.run_task(f"--shares={shares}"), repr(shares), "0.8,0.1,0.1")
