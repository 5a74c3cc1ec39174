"""Tests of `python -m export.beam_translate`, on Beam's local engine."""

from __future__ import annotations

import atexit
import functools
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

from pix2pix_tf import serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images
from pix2pix_tf.inference import exported, translator

try:
    from apache_beam.io import localfilesystem
    from apache_beam.io.filesystem import BeamIOError, FileMetadata
    from apache_beam.io.filesystems import FileSystems
except ImportError as error:
    if os.environ.get("PIX2PIX_REQUIRE_PROGRAMS"):
        raise
    raise unittest.SkipTest(f"Apache Beam is not installed ({error}).") from None

from export import beam_pipeline, beam_translate

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SIZE = tiny_runs.CROP_SIZE


def encode(kind: str = "png", *, width: int = SIZE, height: int = SIZE, seed: int = 0) -> bytes:
    """Returns a file of noise."""
    random = np.random.RandomState(seed)
    pixels = random.randint(0, 256, (height, width, 3)).astype(np.uint8)
    return images.encode_image(tf.constant(pixels), f".{kind}")


def bomb() -> bytes:
    """Returns a small PNG whose header claims 10 GB of pixels."""
    png = encode()
    return png[:16] + struct.pack(">II", 50_000, 50_000) + png[24:]


def read(path: pathlib.Path) -> np.ndarray:
    return images.read_pixels(path, channels=3)


def write_files(folder: pathlib.Path, files: dict[str, bytes]) -> None:
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)


def files_in(folder: pathlib.Path) -> list[str]:
    """Returns what is in a folder and below, without the two notes of the command."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(set(paths) - {beam_pipeline.DEAD_LETTERS, beam_translate.SETTINGS})


def dead_letters(output: pathlib.Path) -> dict[str, str]:
    """Returns the reasons by file name."""
    lines = (output / beam_pipeline.DEAD_LETTERS).read_text(encoding="utf-8").splitlines()
    letters = [json.loads(line) for line in lines]
    return {pathlib.PurePath(letter["name"]).name: letter["reason"] for letter in letters}


GOOD = {
    "a.png": encode(seed=1),
    "b.jpg": encode("jpg", seed=2),
    "deep/er/a.png": encode(seed=3),
    "deep/wide.png": encode(width=70, height=20, seed=4),
    "größe (1).JPEG": encode("jpg", width=20, height=31, seed=5),
    "photo.gz": encode(seed=6),  # Is what it holds, not what its name says.
}
RESULTS = [*(name for name in GOOD if name != "photo.gz"), "photo.gz.png"]
BAD = {
    "empty.png": b"",
    "truncated.jpg": encode("jpg", width=64, height=64)[:-300],
    "cut.png": encode()[:-100],
    "text.png": b"no image",
    "deep/bomb.png": bomb(),
    "deep/large.png": encode(width=65, height=65),
}
REASONS = {
    "empty.png": "is neither a PNG nor a JPEG file",
    "truncated.jpg": "cannot be decoded: it is truncated or damaged",
    "cut.png": "cannot be decoded: it is truncated or damaged",
    "text.png": "is neither a PNG nor a JPEG file",
    "bomb.png": "has 50000 x 50000 pixels padded to multiples of 32; the limit is 4096 pixels in "
    "all",
    "large.png": "has 65 x 65 pixels padded to multiples of 32; the limit is 4096 pixels in all",
}


@functools.cache
def exported_model() -> tuple[pathlib.Path, pathlib.Path]:
    """Returns a run folder and its export, made once for all tests."""
    folder = tempfile.TemporaryDirectory(prefix="pix2pix_tf_")
    atexit.register(folder.cleanup)
    run, model = pathlib.Path(folder.name) / "run", pathlib.Path(folder.name) / "exported"
    tiny_runs.write_run(run)
    serving.save_version(run, model)
    return run, model


class BeamTest(tf.test.TestCase, parameterized.TestCase):
    """Has an exported model, and a new folder for each test."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder, cls.model = exported_model()

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "in", self.folder / "out" / "put"

    def flags(self, *more: str) -> list[str]:
        flags = [f"--model={self.model}", f"--input={self.input}/**", f"--output={self.output}"]
        return [*flags, "--max_pixels=4096", *more]

    def run_command(self, *more: str) -> command_line.Result:
        return command_line.run(beam_translate, *self.flags(*more), takes_arguments=True)

    def assert_counts(self, result: command_line.Result, **counts: int) -> None:
        self.assertEqual(result.exit_code, 4 if counts.get("failed") else 0, result.stderr)
        counts = {"translated": 0, "skipped": 0, "failed": 0, **counts}
        self.assertIn(f"Translated {counts['translated']:,} files to", result.stdout)
        self.assertIn(f"passed over {counts['skipped']:,} that were finished", result.stdout)
        self.assertIn(f"; {counts['failed']:,} failed", result.stdout)

    def assert_same_picture(self, found: np.ndarray, expected: np.ndarray) -> None:
        """As pixels: the last bit of a float32 may decide how a value is rounded."""
        self.assertEqual(found.shape, expected.shape)
        difference = np.abs(found.astype(int) - expected)
        self.assertLessEqual(difference.max(), 1)
        self.assertLess(difference.mean(), 0.01)

    def job(self, **changes) -> beam_pipeline.Job:
        card = serving.read_model_card(self.model / "1")
        settings = dict(
            model=str(self.model / "1"),
            model_digest="",
            config=TrainConfig.from_dict(card["config"]),
            pattern=f"{self.input}/**",
            output=str(self.output),
            noise="per_file",
            seed=0,
            max_pixels=4096,
            crops_per_batch=8,
            is_batch_independent=True,
        )
        return beam_pipeline.Job(**{**settings, **changes})


class WorkersTest(BeamTest):
    """The command in a process of its own, with two workers in theirs."""

    def test_good_and_bad_files_then_a_restart(self):
        write_files(self.input, {**GOOD, **BAD})
        result = self.run_process()
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertEqual(
            result.stdout,
            f"Translated 6 files to '{self.output}', passed over 0 that were finished; 6 failed, "
            f"see '{self.output}/failed.jsonl'.\n",
        )
        self.assertEqual(files_in(self.output), sorted(RESULTS))
        self.assertEqual(dead_letters(self.output), REASONS)

        # One result is lost, and one bad file is mended; the second run has one process.
        first = {name: (self.output / name).read_bytes() for name in RESULTS}
        (self.output / "deep" / "wide.png").unlink()
        times = {name: os.stat(self.output / name).st_mtime_ns for name in files_in(self.output)}
        write_files(self.input, {"cut.png": encode(seed=7)})
        self.assert_counts(self.run_command(), translated=2, skipped=5, failed=5)
        self.assertEqual(files_in(self.output), sorted([*RESULTS, "cut.png"]))
        left = {name: reason for name, reason in REASONS.items() if name != "cut.png"}
        self.assertEqual(dead_letters(self.output), left)
        for name, time in times.items():
            self.assertEqual(os.stat(self.output / name).st_mtime_ns, time, name)
        # Another process, another neighbourhood in the batch, and the same picture.
        again = read(self.output / "deep" / "wide.png")
        self.assert_same_picture(
            again, tf.io.decode_png(first["deep/wide.png"], channels=3).numpy()
        )

    def run_process(self) -> subprocess.CompletedProcess:
        beams = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
        return subprocess.run(
            [sys.executable, "-m", "export.beam_translate", *self.flags(), "--", *beams],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )


class PicturesTest(BeamTest):
    """What is in the results."""

    def test_same_noise_gives_what_translate_gives(self):
        write_files(self.input, GOOD)
        threads = ["--", "--direct_num_workers=2", "--direct_running_mode=multi_threading"]
        result = self.run_command("--noise=same", "--seed=3", *threads)
        self.assert_counts(result, translated=6)
        translate = translator.load(self.model)
        for name in ("a.png", "deep/wide.png"):
            expected = translate.translate_file(self.input / name, seed=3)
            self.assert_same_picture(read(self.output / name), expected)
        # A JPEG loses something at each end; its size stays.
        self.assertEqual(read(self.output / "größe (1).JPEG").shape, (31, 20, 3))
        self.assertTrue(tf.io.is_jpeg((self.output / "b.jpg").read_bytes()))

    def test_colorization_makes_the_photos_that_translate_makes(self):
        self.run_folder, self.model = self.folder / "lab", self.folder / "lab_model"
        tiny_runs.write_run(self.run_folder, color_space="lab", dropout=0.0)
        serving.save_version(self.run_folder, self.model)
        smooth = np.linspace(64, 192, 40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8)
        grey = images.encode_image(tf.constant(smooth[..., :1]), ".png")
        colour = images.encode_image(tf.constant(smooth), ".png")
        write_files(self.input, {"grey.png": grey, "colour.png": colour})
        self.assert_counts(self.run_command(), translated=2)
        translate = translator.load(self.run_folder)
        for name in ("grey.png", "colour.png"):
            expected = translate.translate_file(self.input / name)
            self.assertEqual(expected.shape, (40, 50, 3))
            self.assert_same_picture(read(self.output / name), expected)

    def test_noise_follows_from_seed_and_name_alone(self):
        same = encode(seed=1)
        write_files(self.input, {"a.png": same, "b.png": same, "c/a.png": same})
        self.assert_counts(self.run_command(), translated=3)
        first = [read(self.output / name) for name in ("a.png", "b.png", "c/a.png")]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            self.assertGreater(np.abs(first[one].astype(int) - first[other]).mean(), 1)
        # Moved, and with another batch size.
        self.input = self.input.rename(self.folder / "moved")
        self.output = self.folder / "second"
        self.run_command("--batch_size=1")
        self.assert_same_picture(read(self.output / "a.png"), first[0])
        self.output = self.folder / "third"
        self.run_command("--seed=1")
        self.assertGreater(np.abs(read(self.output / "a.png").astype(int) - first[0]).mean(), 1)

    def test_what_else_is_in_a_batch_changes_nothing(self):
        pictures = [
            self.picture(f"{index}", height=height, width=width)
            for index, (height, width) in enumerate(((1, 1), (2, 1), (1, 1), (1, 2), (1, 1)))
        ]
        handler = beam_pipeline.SavedModelHandler(self.job())
        model = handler.load_model()
        with mock.patch.object(images, "denormalize_image", tf.constant):  # Floats as they are.
            with mock.patch.object(
                model, "translate_with_noise", wraps=model.translate_with_noise
            ) as network:
                together = {x.name: x.pixels for x in handler.run_inference(pictures, model)}
                calls = [call.args[0].shape[:3] for call in network.call_args_list]
            alone = [next(iter(handler.run_inference([x], model))) for x in pictures]
        self.assertEqual(sorted(calls), [(1, 32, 64), (1, 64, 32), (3, 32, 32)])
        self.assertLen(together, 5)
        for picture, translation in zip(pictures, alone):
            self.assertEqual(translation.name, picture.name)
            self.assertEqual(translation.pixels.shape, (picture.height, picture.width, 3))
            self.assertAllClose(together[picture.name], translation.pixels, rtol=0, atol=1e-6)

    def test_a_batch_is_counted_in_crops(self):
        batching = beam_pipeline.SavedModelHandler(self.job()).batch_elements_kwargs()
        size_of = batching["element_size_fn"]
        self.assertEqual((batching["min_batch_size"], batching["max_batch_size"]), (8, 8))
        self.assertEqual(size_of(self.picture("a")), 1)
        self.assertEqual(size_of(self.picture("a", height=2, width=3)), 6)
        # More would make Beam emit an empty batch before it.
        self.assertEqual(size_of(self.picture("a", height=3, width=3)), 8)

    def test_statistics_of_the_batch_mean_one_image_at_a_time(self):
        handler = beam_pipeline.SavedModelHandler(self.job(is_batch_independent=False))
        model = exported.load(self.model)
        pictures = [self.picture(name) for name in ("a", "b", "c")]
        with mock.patch.object(
            model, "translate_with_noise", wraps=model.translate_with_noise
        ) as network:
            names = [x.name for x in handler.run_inference(pictures, model)]
        self.assertEqual(names, ["a", "b", "c"])
        self.assertEqual([len(call.args[0]) for call in network.call_args_list], [1, 1, 1])

    def picture(self, name: str, *, height: int = 1, width: int = 1) -> beam_pipeline.Picture:
        """Returns a picture of so many crops, less three pixels each way."""
        sides = (SIZE * height, SIZE * width)
        seed = sum(name.encode())
        image = tiny_runs.random_image(*sides, 3, seed=seed)
        z = translator.draw_noise(self.job().config, *sides, entropy=[seed])
        return beam_pipeline.Picture(name, image, z, sides[0] - 3, sides[1] - 3)


class RestartTest(BeamTest):
    def test_a_run_that_dies_leaves_only_whole_results(self):
        write_files(self.input, {f"{index}.png": encode(seed=index) for index in range(5)})
        write = beam_pipeline.FileSystems.create
        written = []

        def die_half_way(path, **settings):
            file = write(path, **settings)
            if ".unfinished" in path:
                written.append(path)
                if len(written) == 3:
                    file.write(b"\x89PNG")
                    file.close()
                    raise KeyError("the worker dies")
            return file

        with mock.patch.object(beam_pipeline.FileSystems, "create", die_half_way):
            with self.assertRaisesRegex(Exception, "the worker dies"):
                self.run_command()
        finished = files_in(self.output)
        self.assertLen(finished, 2)  # And nothing unfinished beside them.
        for name in finished:
            self.assertEqual(read(self.output / name).shape, (SIZE, SIZE, 3))
        self.assert_counts(self.run_command(), translated=3, skipped=2)
        self.assert_counts(self.run_command(), skipped=5)

    def test_an_output_below_the_inputs_is_no_input(self):
        write_files(self.input, {"a.png": encode(), "b.png": b""})
        self.output = self.input / "results"
        for counts in (dict(translated=1, failed=1), dict(skipped=1, failed=1)):
            self.assert_counts(self.run_command(), **counts)
            self.assertEqual(files_in(self.output), ["a.png"])

    def test_another_seed_or_model_does_not_go_on(self):
        write_files(self.input, {"a.png": encode()})
        self.assert_counts(self.run_command(), translated=1)
        result = self.run_command("--seed=1", "--noise=same")
        self.assertEqual(result.exit_code, 2)
        self.assertIn(
            f"error: '{self.output}' holds results of another noise and seed", result.stderr
        )
        self.model = pathlib.Path(shutil.copytree(self.model, self.folder / "other"))
        with open(self.model / "1" / "variables" / "variables.index", "ab") as file:
            file.write(b"other weights")
        result = self.run_command()
        self.assertEqual(result.exit_code, 2)
        self.assertIn("holds results of another model_digest", result.stderr)

    def test_another_export_of_the_run_does_not_go_on(self):
        write_files(self.input, {"a.png": encode()})
        self.assert_counts(self.run_command(), translated=1)
        self.model = self.folder / "other"
        serving.save_version(self.run_folder, self.model, statistics="batch")
        result = self.run_command()
        self.assertEqual(result.exit_code, 2)
        self.assertIn("holds results of another model_digest", result.stderr)

    def test_another_folder_of_the_same_names_does_not_go_on(self):
        # Its pictures would be taken for finished.
        write_files(self.folder, {"in/a.png": encode(seed=1), "other/a.png": encode(seed=2)})
        self.assert_counts(self.run_command(), translated=1)
        result = self.run_command(f"--input={self.folder}/other/**")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("holds results of another folder", result.stderr)
        self.assert_counts(self.run_command(f"--input={self.input}/*.png"), skipped=1)

    def test_a_store_that_does_not_replace(self):
        write_files(self.input, {"a.png": encode()})
        rename = FileSystems.rename

        def refuse(sources, targets):
            if targets[0].endswith(".png"):
                write_files(self.output, {"a.png": b"of an earlier try"})
                raise BeamIOError("it is there")
            return rename(sources, targets)

        with mock.patch.object(FileSystems, "rename", refuse):
            self.assert_counts(self.run_command(), translated=1)
        self.assertEqual(files_in(self.output), ["a.png"])


class FilesTest(BeamTest):
    def test_two_inputs_of_one_result_are_both_refused(self):
        write_files(self.input, {"a": encode(), "a.png": encode(), "b.png": encode()})
        self.assert_counts(self.run_command(), translated=1, failed=2)
        self.assertEqual(files_in(self.output), ["b.png"])
        reason = f"'{self.input}/a' and '{self.input}/a.png' would both be written to 'a.png'"
        self.assertEqual(dead_letters(self.output), {"a": reason, "a.png": reason})

    def test_names_are_relative_to_the_first_wildcard(self):
        for pattern, folder in (
            ("/d/*.png", "/d/"),
            ("/d/e/x*/**", "/d/e/"),
            ("/d/e?/[ab]/*", "/d/"),
            ("/d/a.png", "/d/"),
            ("gs://bucket/d/**.jpg", "gs://bucket/d/"),
        ):
            self.assertEqual(beam_pipeline.fixed_folder(pattern), folder)
        write_files(self.input, {"x1/a.png": encode(), "x2/a.png": encode(), "y/a.png": b""})
        result = self.run_command(f"--input={self.input}/x*/*.png")
        self.assert_counts(result, translated=2)
        self.assertEqual(files_in(self.output), ["x1/a.png", "x2/a.png"])

    def test_one_file(self):
        write_files(self.input, {"a.png": encode(), "b.png": encode()})
        self.assert_counts(self.run_command(f"--input={self.input}/a.png"), translated=1)
        self.assertEqual(files_in(self.output), ["a.png"])

    @parameterized.parameters(
        (10, "cannot be read: .*No such file"),
        (10**9, "has 1000000000 bytes; the limit is 16809984"),
    )
    def test_a_file_that_is_gone_or_huge(self, num_bytes, reason):
        reader = beam_pipeline._Read(self.job())
        reader.setup()
        (output,) = reader.process(("a.png", [(f"{self.input}/a.png", num_bytes)]))
        self.assertEqual(output.tag, beam_pipeline.FAILED)
        self.assertRegex(json.loads(output.value)["reason"], reason)

    def test_on_a_file_system_of_beams(self):
        write_files(self.input, {"a.png": encode(), "b/c.png": encode(seed=1), "d.png": b""})
        shutil.copytree(self.model / "1", self.folder / "models" / "12")
        older = shutil.copytree(self.model / "1", self.folder / "models" / "9")
        shutil.rmtree(pathlib.Path(older) / "assets.extra")  # It would be refused.
        with mock.patch.object(StoreFileSystem, "root", self.folder):
            result = self.run_command(
                "--model=teststore://models",
                "--input=teststore://in/**.png",
                "--output=teststore://out/put/",
            )
        self.assert_counts(result, translated=2, failed=1)
        self.assertIn("see 'teststore://out/put/failed.jsonl'", result.stdout)
        self.assertEqual(files_in(self.output), ["a.png", "b/c.png"])
        self.assertEqual(list(dead_letters(self.output)), ["d.png"])


class StoreFileSystem(localfilesystem.LocalFileSystem):
    """Stands for an object store: paths that only Beam can read, kept below `root`."""

    root = pathlib.Path()  # Of each test.

    @classmethod
    def scheme(cls):
        return "teststore"

    def _local(self, path: str) -> pathlib.Path:
        assert path.startswith("teststore://"), path
        return self.root / path[len("teststore://") :]

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        folder, _, name = path.rpartition("/")
        return folder, name

    def _list(self, folder):
        for path in sorted(self._local(folder).rglob("*")):
            if path.is_file():
                name = path.relative_to(self.root).as_posix()
                yield FileMetadata(f"teststore://{name}", path.stat().st_size)

    def _path_open(self, path, *arguments, **settings):
        return super()._path_open(str(self._local(path)), *arguments, **settings)

    def create(self, path, *arguments, **settings):
        self._local(path).parent.mkdir(parents=True, exist_ok=True)
        return self._path_open(path, "wb")

    def exists(self, path):
        return self._local(path).exists()

    def metadata(self, path):
        return FileMetadata(path, self._local(path).stat().st_size)

    def mkdirs(self, path):
        self._local(path).mkdir(parents=True)

    def rename(self, sources, targets):
        for source, target in zip(sources, targets):
            self._local(source).rename(self._local(target))

    def delete(self, paths):
        for path in paths:
            local = self._local(path)
            shutil.rmtree(local) if local.is_dir() else local.unlink()


class RefusedTest(BeamTest):
    """Settings that cannot be used: one line, status 2, and nothing is written."""

    def setUp(self):
        super().setUp()
        write_files(self.input, {"a.png": encode()})

    def assert_refused(self, flags: list[str], *parts: str) -> None:
        result = self.run_command(*flags)
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        (line,) = result.stderr.splitlines()
        self.assertStartsWith(line, "error: ")
        for part in parts:
            self.assertIn(part, line)
        self.assertFalse(self.output.exists())

    def test_inputs(self):
        self.assert_refused(
            [f"--input={self.input}/*.jpg"], "/*.jpg', which no file matches", "Check the glob"
        )
        self.assert_refused([f"--input={self.input}/b.png"], "which no file matches")
        self.assert_refused([f"--input={self.input}"], "a folder", f"--input='{self.input}/**'")
        self.assert_refused(
            ["--input=nostore://in/**"], "nostore", "cannot be used", "Name another"
        )

    def test_outputs(self):
        for output in (self.input, self.folder):
            self.assert_refused([f"--output={output}"], f"'{output}', which the inputs are in")
        self.assert_refused([f"--output={self.input}/a.png/b"], "cannot be used", "Name another")

    def test_models(self):
        self.assert_refused([f"--model={self.folder}/none"], "There is no folder")
        self.assert_refused([f"--model={self.run_folder}"], "is no SavedModel")
        self.assert_refused(["--model=nostore://model"], "nostore", "cannot be used")
        shutil.copytree(self.model / "1", self.folder / "plain")
        shutil.rmtree(self.folder / "plain" / "assets.extra")
        self.assert_refused([f"--model={self.folder}/plain"], "has no assets.extra/model_card.json")

    def test_options_of_beam(self):
        self.assert_refused(["word"], "'word' is no flag", "after a --")
        self.assert_refused(["--", "--direct_num_workers=many"], "direct_num_workers", "Mend")
        self.assert_refused(["--", "--runner=NoRunner"], "--runner is 'NoRunner'", "Name another")
        self.assert_refused(["--runner=FlinkRunner"], "Unknown command line flag 'runner'")

    def test_without_beam(self):
        with mock.patch.dict(sys.modules, apache_beam=None):
            self.assert_refused([], "Apache Beam is not installed", "pip install")


if __name__ == "__main__":
    tf.test.main()
