"""Tests of `python -m export.beam_translate`, on Beam's local engine."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import unittest
from unittest import mock

import command_line
import numpy as np
import pytest
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

from export import beam_translate, image_size
from export.beam import job as jobs
from export.beam import pipeline

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
    return sorted(set(paths) - {pipeline.DEAD_LETTERS, jobs.SETTINGS})


def dead_letters(output: pathlib.Path) -> dict[str, str]:
    """Returns the reasons by file name."""
    lines = (output / pipeline.DEAD_LETTERS).read_text(encoding="utf-8").splitlines()
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
BAD = {  # Files, and why they are not translated.
    "empty.png": (b"", "neither a PNG nor a JPEG"),
    "truncated.jpg": (encode("jpg", width=64, height=64)[:-300], "cannot be decoded"),
    "cut.png": (encode()[:-100], "cannot be decoded"),
    "deep/bomb.png": (bomb(), "50000 x 50000 pixels"),
    "deep/large.png": (encode(width=65, height=65), "65 x 65 pixels"),
}
REASONS = {pathlib.PurePath(name).name: reason for name, (_, reason) in BAD.items()}
FILES = {**GOOD, **{name: contents for name, (contents, _) in BAD.items()}}


class FakeModel:
    """Stands for an exported model, and is made in no time."""

    def __init__(self, folder: pathlib.Path):
        card = serving.read_model_card(serving.find_version(pathlib.Path(folder)))
        self.config = TrainConfig.from_dict(card["config"])

    def translate_with_noise(self, image: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Returns an output that shows which image, and which noise, went in."""
        factor = 1.0 - z[:, :1].sum(axis=1)
        channels = np.repeat(image[..., :1], self.config.output_channels, axis=-1)
        return channels * factor[:, np.newaxis, np.newaxis, np.newaxis]


_DECODERS = {}
_trace_decoder = pipeline._Read.setup


def setup_once(reader: pipeline._Read) -> None:
    """Stands for `_Read.setup`: what decodes is traced for the first pipeline of all tests."""
    key = repr(reader._job.config), reader._job.max_pixels
    if key not in _DECODERS:
        _trace_decoder(reader)
        _DECODERS[key] = reader._decode
    reader._decode = _DECODERS[key]


class BeamTest(tf.test.TestCase, parameterized.TestCase):
    """Has an exported model, which is not loaded, and a new folder for each test."""

    load_model = FakeModel

    def setUp(self):
        super().setUp()
        self.run_folder, self.model = tiny_runs.shared_run(), tiny_runs.shared_version().parent
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "in", self.folder / "out" / "put"
        self.enter_context(mock.patch.object(exported, "load", type(self).load_model))
        self.enter_context(mock.patch.object(pipeline._Read, "setup", setup_once))

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

    def assert_dead_letters(self, reasons: dict[str, str]) -> None:
        letters = dead_letters(self.output)
        self.assertEqual(letters.keys(), reasons.keys())
        for name, reason in reasons.items():
            self.assertIn(reason, letters[name])

    def assert_same_picture(self, found: np.ndarray, expected: np.ndarray) -> None:
        """As pixels: the last bit of a float32 may decide how a value is rounded."""
        self.assertEqual(found.shape, expected.shape)
        difference = np.abs(found.astype(int) - expected)
        self.assertLessEqual(difference.max(), 1)
        self.assertLess(difference.mean(), 0.01)

    def copy_model(self, *, config: dict | None = None, **changes) -> pathlib.Path:
        """Returns a copy of the export, whose card says something else."""
        model = pathlib.Path(shutil.copytree(self.model, self.folder / "copied"))
        card = json.loads((model / "1" / serving.MODEL_CARD).read_text())
        card.update(changes, config={**card["config"], **(config or {})})
        (model / "1" / serving.MODEL_CARD).write_text(json.dumps(card))
        return model

    def job(self, **changes) -> jobs.Job:
        card = serving.read_model_card(self.model / "1")
        settings = dict(
            model=str(self.model / "1"),
            model_digest="",
            config=TrainConfig.from_dict(card["config"]),
            block=image_size.block_of(card),
            pattern=f"{self.input}/**",
            output=str(self.output),
            noise="per_file",
            seed=0,
            max_pixels=4096,
            crops_per_batch=8,
            is_batch_independent=True,
        )
        return jobs.Job(**{**settings, **changes})

    def picture(self, name: str, *, height: int = 1, width: int = 1) -> pipeline.Picture:
        """Returns a picture of so many crops, less three pixels each way."""
        sides = (SIZE * height, SIZE * width)
        seed = sum(name.encode())
        image = tiny_runs.random_image(*sides, 3, seed=seed)
        z = translator.draw_noise(self.job().block, *sides, entropy=[seed])
        return pipeline.Picture(name, image, z, sides[0] - 3, sides[1] - 3)


class RealModelTest(BeamTest):
    """What a network has a part in."""

    load_model = staticmethod(functools.cache(exported.load))

    def run_process(self, *more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "export.beam_translate", *self.flags(*more)],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_in_a_process_same_noise_gives_what_translate_gives(self):
        write_files(self.input, FILES)
        result = self.run_process(
            *("--noise=same", "--seed=3"),
            *("--", "--direct_num_workers=2", "--direct_running_mode=multi_threading"),
        )
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn(f"5 failed, see '{self.output}/failed.jsonl'", result.stdout)
        self.assertEqual(files_in(self.output), sorted(RESULTS))
        self.assert_dead_letters(REASONS)
        translate = translator.load(self.model / "1")
        for name in ("a.png", "deep/wide.png"):
            expected = translate.translate_file(self.input / name, seed=3)
            self.assert_same_picture(read(self.output / name), expected)
        # A JPEG loses something at each end; its size stays.
        self.assertEqual(read(self.output / "größe (1).JPEG").shape, (31, 20, 3))
        self.assertTrue(tf.io.is_jpeg((self.output / "b.jpg").read_bytes()))

    @pytest.mark.slow
    def test_two_workers(self):
        write_files(self.input, FILES)
        beams = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
        result = self.run_process("--", *beams)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertEqual(files_in(self.output), sorted(RESULTS))
        self.assert_dead_letters(REASONS)
        # In another process, with other neighbours in the batch: the same picture.
        first = read(self.output / "deep" / "wide.png")
        (self.output / "deep" / "wide.png").unlink()
        self.assert_counts(self.run_command(), translated=1, skipped=5, failed=5)
        self.assert_same_picture(read(self.output / "deep" / "wide.png"), first)

    def test_what_else_is_in_a_batch_changes_nothing(self):
        pictures = [
            self.picture(f"{index}", height=height, width=width)
            for index, (height, width) in enumerate(((1, 1), (2, 1), (1, 1), (1, 2), (1, 1)))
        ]
        handler = pipeline.SavedModelHandler(self.job())
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


class PicturesTest(BeamTest):
    """What is in the results."""

    def test_colorization_makes_the_photos_that_translate_makes(self):
        lab = dict(color_space="lab", dropout=0.0, input_channels=1, output_channels=2)
        self.model = self.copy_model(config=lab, noise_size=0)
        smooth = np.linspace(64, 192, 40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8)
        grey = images.encode_image(tf.constant(smooth[..., :1]), ".png")
        colour = images.encode_image(tf.constant(smooth), ".png")
        write_files(self.input, {"grey.png": grey, "colour.png": colour})
        self.assert_counts(self.run_command(), translated=2)
        model = FakeModel(self.model)
        translate = translator.Translator(
            model.config, model.translate_with_noise, block=self.job().block
        )
        for name in ("grey.png", "colour.png"):
            expected = translate.translate_file(self.input / name)
            self.assertEqual(expected.shape, (40, 50, 3))
            self.assertGreater(np.ptp(expected.astype(int), axis=-1).max(), 10)  # It has colours.
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

    def test_a_batch_is_counted_in_crops(self):
        batching = pipeline.SavedModelHandler(self.job()).batch_elements_kwargs()
        size_of = batching["element_size_fn"]
        self.assertEqual((batching["min_batch_size"], batching["max_batch_size"]), (8, 8))
        self.assertEqual(size_of(self.picture("a")), 1)
        self.assertEqual(size_of(self.picture("a", height=2, width=3)), 6)
        # More would make Beam emit an empty batch before it.
        self.assertEqual(size_of(self.picture("a", height=3, width=3)), 8)

    def test_statistics_of_the_batch_mean_one_image_at_a_time(self):
        handler = pipeline.SavedModelHandler(self.job(is_batch_independent=False))
        model = handler.load_model()
        pictures = [self.picture(name) for name in ("a", "b", "c")]
        with mock.patch.object(
            model, "translate_with_noise", wraps=model.translate_with_noise
        ) as network:
            names = [x.name for x in handler.run_inference(pictures, model)]
        self.assertEqual(names, ["a", "b", "c"])
        self.assertEqual([len(call.args[0]) for call in network.call_args_list], [1, 1, 1])


class RestartTest(BeamTest):
    def test_good_and_bad_files_then_a_restart(self):
        write_files(self.input, FILES)
        self.assert_counts(self.run_command(), translated=6, failed=5)
        self.assertEqual(files_in(self.output), sorted(RESULTS))
        self.assert_dead_letters(REASONS)

        # One result is lost, and one bad file is mended.
        (self.output / "deep" / "wide.png").unlink()
        times = {name: os.stat(self.output / name).st_mtime_ns for name in files_in(self.output)}
        write_files(self.input, {"cut.png": encode(seed=7)})
        self.assert_counts(self.run_command(), translated=2, skipped=5, failed=4)
        self.assertEqual(files_in(self.output), sorted([*RESULTS, "cut.png"]))
        self.assert_dead_letters({k: v for k, v in REASONS.items() if k != "cut.png"})
        for name, time in times.items():
            self.assertEqual(os.stat(self.output / name).st_mtime_ns, time, name)

    def test_a_run_that_dies_leaves_only_whole_results(self):
        write_files(self.input, {f"{index}.png": encode(seed=index) for index in range(5)})
        create = FileSystems.create
        written = []

        def die_half_way(path, *arguments, **settings):
            file = create(path, *arguments, **settings)
            if not re.search(f"{pipeline.DEAD_LETTERS}|{jobs.SETTINGS}", path):
                written.append(path)
                if len(written) == 3:
                    file.write(b"\x89PNG")
                    file.close()
                    raise KeyError("the worker dies")
            return file

        with mock.patch.object(FileSystems, "create", die_half_way):
            with self.assertRaisesRegex(Exception, "the worker dies"):
                self.run_command()
        finished = files_in(self.output)
        self.assertLen(finished, 2)  # And nothing unfinished beside them.
        for name in finished:
            self.assertEqual(read(self.output / name).shape, (SIZE, SIZE, 3))
        self.assert_counts(self.run_command(), translated=3, skipped=2)

    def test_an_output_below_the_inputs_is_no_input(self):
        write_files(self.input, {"results of old/a.png": encode(), "b.png": b""})
        self.output = self.input / "results"
        for counts in (dict(translated=1, failed=1), dict(skipped=1, failed=1)):
            self.assert_counts(self.run_command(), **counts)
            self.assertEqual(files_in(self.output), ["results of old/a.png"])

    def test_results_of_other_settings_are_not_gone_on_with(self):
        write_files(self.folder, {"in/a.png": encode(seed=1), "other/a.png": encode(seed=2)})
        self.assert_counts(self.run_command(), translated=1)
        # An export of the same weights that takes other statistics makes other pictures.
        other_statistics = self.copy_model(statistics="batch")
        other_weights = pathlib.Path(shutil.copytree(self.model, self.folder / "weights"))
        with open(other_weights / "1" / "variables" / "variables.index", "ab") as file:
            file.write(b"other weights")
        for flags, changed in (
            (["--seed=1", "--noise=same"], "noise and seed"),
            ([f"--model={other_weights}"], "model_digest"),
            ([f"--model={other_statistics}"], "model_digest"),
            # Its pictures have the same names, and would be taken for finished.
            ([f"--input={self.folder}/other/**"], "folder"),
        ):
            result = self.run_command(*flags)
            result.check_refused(f"'{self.output}' holds results of another {changed} ")
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
        reason = f"'{self.input}/a' and '{self.input}/a.png'"
        self.assert_dead_letters({"a": reason, "a.png": reason})

    def test_names_are_relative_to_the_first_wildcard(self):
        for pattern, folder in (
            ("/d/*.png", "/d/"),
            ("/d/e/x*/**", "/d/e/"),
            ("/d/e?/[ab]/*", "/d/"),
            ("gs://bucket/d/**.jpg", "gs://bucket/d/"),
        ):
            self.assertEqual(self.job(pattern=pattern).folder, folder)
        write_files(self.input, {"x1/a.png": encode(), "x2/a.png": encode(), "y/a.png": b""})
        for pattern, names in (("x*/*.png", ["x1/a.png", "x2/a.png"]), ("x1/a.png", ["a.png"])):
            self.output = self.folder / f"out_{len(names)}"
            result = self.run_command(f"--input={self.input}/{pattern}")
            self.assert_counts(result, translated=len(names))
            self.assertEqual(files_in(self.output), names)

    @parameterized.parameters(
        (10, "cannot be read: .*No such file"),
        (10**9, "has 1000000000 bytes; the limit is 16809984"),
    )
    def test_a_file_that_is_gone_or_huge(self, num_bytes, reason):
        reader = pipeline._Read(self.job())
        reader.setup()
        (output,) = reader.process(("a.png", [(f"{self.input}/a.png", num_bytes)]))
        self.assertEqual(output.tag, pipeline.FAILED)
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
        result.check_refused(*parts)
        self.assertEqual(result.stdout, "")
        self.assertFalse(self.output.exists())

    def test_inputs(self):
        for pattern in (f"{self.input}/*.jpg", f"{self.input}/b.png"):
            self.assert_refused([f"--input={pattern}"], f"'{pattern}', which no file matches")
        self.assert_refused([f"--input={self.input}"], "a folder", f"--input='{self.input}/**'")
        self.assert_refused(["--input=nostore://in/**"], "nostore", "cannot be used")

    def test_outputs(self):
        for output in (self.input, self.folder):
            self.assert_refused([f"--output={output}"], f"'{output}', which the inputs are in")
        self.assert_refused([f"--output={self.input}/a.png/b"], "cannot be used")

    def test_models(self):
        self.assert_refused([f"--model={self.folder}/none"], "There is no folder")
        self.assert_refused([f"--model={self.run_folder}"], f"'{self.run_folder}'")
        self.assert_refused(["--model=nostore://model"], "nostore", "cannot be used")
        shutil.copytree(self.model / "1", self.folder / "plain")
        shutil.rmtree(self.folder / "plain" / "assets.extra")
        self.assert_refused([f"--model={self.folder}/plain"], "has no assets.extra/model_card.json")

    def test_options_of_beam(self):
        self.assert_refused(["word"], "'word' is not a flag")
        self.assert_refused(["--", "--direct_num_workers=many"], "direct_num_workers")
        self.assert_refused(["--", "--runner=NoRunner"], "--runner is 'NoRunner'")
        self.assert_refused(["--runner=FlinkRunner"], "Unknown command line flag 'runner'")

    def test_without_beam(self):
        with mock.patch.dict(sys.modules, apache_beam=None):
            self.assert_refused([], "Apache Beam is not installed")
