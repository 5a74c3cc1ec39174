"""Tests of `python -m export.beam_translate`, on Beam's local engine."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
from unittest import mock

import command_line
import hostile_files
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images
from pix2pix_tf.inference import translator
from pix2pix_tf.networks import Block

try:
    from apache_beam.io import localfilesystem
    from apache_beam.io.filesystem import FileMetadata
    from apache_beam.io.filesystems import FileSystems
except ImportError as error:
    if os.environ.get("PIX2PIX_REQUIRE_PROGRAMS"):
        raise
    raise unittest.SkipTest(f"Apache Beam is not installed ({error}).") from None

from export import beam_translate
from export.beam import pipeline

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SIZE = tiny_runs.CROP_SIZE
load_translator = translator.load  # Which most tests replace.


def encode(kind: str = "png", *, width: int = SIZE, height: int = SIZE, seed: int = 0) -> bytes:
    """Returns a file of noise."""
    random = np.random.RandomState(seed)
    pixels = random.randint(0, 256, (height, width, 3)).astype(np.uint8)
    return images.encode_image(tf.constant(pixels), f".{kind}")


def read(path: pathlib.Path) -> np.ndarray:
    return images.read_pixels(path, channels=3)


def write_files(folder: pathlib.Path, files: dict[str, bytes]) -> None:
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)


def files_in(folder: pathlib.Path) -> list[str]:
    """Returns what is in a folder and below, without the list of faults."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(set(paths) - {pipeline.DEAD_LETTERS})


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
    "empty.png": (b"", "cannot be read as an image"),
    "truncated.jpg": (encode("jpg", width=64, height=64)[:-300], "cannot be decoded"),
    "cut.png": (encode()[:-100], "cannot be decoded"),
    "deep/bomb.png": (hostile_files.png_header(50_000, 50_000), "cannot be"),
}
REASONS = {pathlib.PurePath(name).name: reason for name, (_, reason) in BAD.items()}
FILES = {**GOOD, **{name: contents for name, (contents, _) in BAD.items()}}


def fake_translator(folder: str | pathlib.Path) -> translator.Translator:
    """Stands for `translator.load`: shows in its output which image, and which noise, went in."""
    (path,) = pathlib.Path(folder).glob("**/config.json")
    config = TrainConfig.load(path.parent)

    def with_noise(image: np.ndarray, z: np.ndarray) -> np.ndarray:
        return image * (1.0 - z[:, :1])[..., np.newaxis, np.newaxis]

    return translator.Translator(config, with_noise, block=Block(SIZE, 5))


class BeamTest(tf.test.TestCase):
    """Has a model that is not loaded, unless a test wants it, and a new folder for each test."""

    def setUp(self):
        super().setUp()
        self.model = tiny_runs.shared_run()
        self.folder = tiny_runs.temporary_folder(self)
        self.input, self.output = self.folder / "in", self.folder / "out" / "put"
        self.enter_context(mock.patch.object(translator, "load", fake_translator))

    def flags(self, *more: str) -> list[str]:
        flags = [f"--model={self.model}", f"--input={self.input}/**", f"--output={self.output}"]
        return [*flags, *more]

    def run_command(self, *more: str) -> command_line.Result:
        return command_line.run(beam_translate, *self.flags(*more), takes_arguments=True)

    def run_process(self, *more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "export.beam_translate", *self.flags(*more)],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )

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

    def check_processes(self, *flags: str) -> None:
        write_files(self.input, FILES)
        result = self.run_process("--noise=same", "--seed=3", "--", *flags)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn(f"4 failed, see '{self.output}/failed.jsonl'", result.stdout)
        self.assertEqual(files_in(self.output), sorted(RESULTS))
        self.assert_dead_letters(REASONS)

    def test_in_a_process_same_noise_gives_what_translate_gives(self):
        self.model = tiny_runs.shared_version().parent
        self.check_processes("--direct_num_workers=2", "--direct_running_mode=multi_threading")
        translate = load_translator(self.model)
        for name in ("a.png", "deep/wide.png"):
            expected = translate.translate_file(self.input / name, seed=3)
            self.assertAllClose(read(self.output / name), expected, rtol=0, atol=1)
        # A JPEG loses something at each end; its size stays.
        self.assertEqual(read(self.output / "größe (1).JPEG").shape, (31, 20, 3))
        self.assertTrue(tf.io.is_jpeg((self.output / "b.jpg").read_bytes()))

    @pytest.mark.slow
    def test_two_workers(self):
        self.check_processes("--direct_num_workers=2", "--direct_running_mode=multi_processing")

    def test_noise_follows_from_seed_and_name_alone(self):
        same = encode(seed=1)
        write_files(self.input, {"a.png": same, "b.png": same, "c/a.png": same})
        self.assert_counts(self.run_command(), translated=3)
        first = [read(self.output / name) for name in ("a.png", "b.png", "c/a.png")]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            self.assertGreater(np.abs(first[one].astype(int) - first[other]).mean(), 1)
        self.input = self.input.rename(self.folder / "moved")
        self.output = self.folder / "second"
        self.run_command()
        self.assertAllEqual(read(self.output / "a.png"), first[0])
        self.output = self.folder / "third"
        self.run_command("--seed=1")
        self.assertGreater(np.abs(read(self.output / "a.png").astype(int) - first[0]).mean(), 1)

    def test_good_and_bad_files_then_a_restart(self):
        write_files(self.input, FILES)
        self.assert_counts(self.run_command(), translated=6, failed=4)
        self.assertEqual(files_in(self.output), sorted(RESULTS))
        self.assert_dead_letters(REASONS)

        # One result is lost, and one bad file is mended.
        (self.output / "deep" / "wide.png").unlink()
        times = {name: os.stat(self.output / name).st_mtime_ns for name in files_in(self.output)}
        write_files(self.input, {"cut.png": encode(seed=7)})
        self.assert_counts(self.run_command(), translated=2, skipped=5, failed=3)
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
            if path.endswith(".png"):
                written.append(path)
                if len(written) == 3:
                    file.write(b"\x89PNG")
                    file.close()
                    raise KeyError("the worker dies")
            return file

        with mock.patch.object(FileSystems, "create", die_half_way):
            with self.assertRaisesRegex(Exception, "the worker dies"):
                self.run_command()
        finished = [name for name in files_in(self.output) if not name.startswith(".")]
        self.assertLen(finished, 2)
        for name in finished:
            self.assertEqual(read(self.output / name).shape, (SIZE, SIZE, 3))
        self.assert_counts(self.run_command(), translated=3, skipped=2)

    def test_litter_is_passed_over_and_what_a_nas_keeps_is_counted(self):
        litter = dict.fromkeys(("._a.png", ".DS_Store", "in/Thumbs.db", "__MACOSX/a.png"), b"")
        write_files(self.input, {"a.png": encode(), **litter, "@eaDir/a.png/s.jpg": encode("jpg")})
        result = self.run_command()
        self.assert_counts(result, translated=1)
        self.assertEqual(files_in(self.output), ["a.png"])
        self.assertIn("Not used: 1 files in folders of a NAS", result.stdout)

    def test_an_output_below_the_inputs_is_no_input(self):
        write_files(self.input, {"results of old/a.png": encode(), "b.png": b""})
        self.output = self.input / "results"
        for counts in (dict(translated=1, failed=1), dict(skipped=1, failed=1)):
            self.assert_counts(self.run_command(), **counts)
            self.assertEqual(files_in(self.output), ["results of old/a.png"])

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
            self.assertEqual(pipeline.split_glob(pattern)[0], folder)
        write_files(self.input, {"x1/a.png": encode(), "x2/a.png": encode(), "y/a.png": b""})
        for pattern, names in (("x*/*.png", ["x1/a.png", "x2/a.png"]), ("x1/a.png", ["a.png"])):
            self.output = self.folder / f"out_{len(names)}"
            result = self.run_command(f"--input={self.input}/{pattern}")
            self.assert_counts(result, translated=len(names))
            self.assertEqual(files_in(self.output), names)

    def test_a_current_folder_that_reads_as_a_pattern(self):
        folder = self.folder / "[old] shots? *"
        write_files(folder / "in", {"a.png": encode(), "b [1]/c.png": encode(), "d.png": b""})
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(folder)
        self.output = folder / "out"
        for pattern in ("in/**", "./in/**.png"):
            result = self.run_command(f"--input={pattern}", "--output=out")
            self.assert_dead_letters({"d.png": "cannot be read"})
            self.assertEqual(files_in(self.output), ["a.png", "b [1]/c.png"])
        self.assert_counts(result, skipped=2, failed=1)
        # In a pattern it is one still, and says how to mean a name.
        self.output = folder / "more"
        result = self.run_command("--input=in/b [1]/*", "--output=more")
        result.check_refused("'in/b [1]/*', which no file matches", "write ?")
        self.assert_counts(self.run_command("--input=in/b ?1]/*", "--output=more"), translated=1)

    def test_names_that_are_not_utf8(self):
        write_files(self.input, {os.fsdecode(b"\xe9.png"): encode(), os.fsdecode(b"\xe8.png"): b""})
        self.assert_counts(self.run_command(), translated=1, failed=1)
        self.assertEqual(files_in(self.output), [os.fsdecode(b"\xe9.png")])
        self.assert_dead_letters({os.fsdecode(b"\xe8.png"): "cannot be read"})

    def test_every_file_that_matches_is_translated_or_named(self):
        write_files(self.input, {f"a{suffix}": b"?" for suffix in images.OTHER_SUFFIXES})
        write_files(self.input, {"a.png": encode(), "b.jfif": encode("jpg"), "notes.txt": b"?"})
        write_files(self.folder / "elsewhere", {"c.png": encode()})
        (self.input / "link").symlink_to(self.folder / "elsewhere")
        (self.input / "locked").mkdir()
        scan = os.scandir

        def scan_some(folder):
            if str(folder).endswith("locked"):
                raise PermissionError(13, "Permission denied", folder)
            return scan(folder)

        with mock.patch.object(os, "scandir", scan_some):
            self.assert_counts(
                self.run_command(), translated=2, failed=3 + len(images.OTHER_SUFFIXES)
            )
        others = {f"a{suffix}": "" for suffix in images.OTHER_SUFFIXES}
        self.assert_dead_letters({**others, "notes.txt": "", "link": "", "locked": ""})

    def test_on_a_file_system_of_beams(self):
        write_files(self.input, {"a.png": encode(), "b/c.png": encode(seed=1), "d.png": b""})
        shutil.copytree(self.model, self.folder / "store" / "models [1]")
        with mock.patch.object(StoreFileSystem, "root", self.folder):
            result = self.run_command(
                "--model=teststore://store/models [1]",
                "--input=teststore://in/**.png",
                "--output=teststore://out/put/",
            )
        self.assert_counts(result, translated=2, failed=1)
        self.assertIn("see 'teststore://out/put/failed.jsonl'", result.stdout)
        self.assertEqual(files_in(self.output), ["a.png", "b/c.png"])
        self.assertEqual(list(dead_letters(self.output)), ["d.png"])
        # Beam's own writer would leave the name of a folder, which such a store does not have.
        self.assertEmpty(list(self.output.glob("beam-temp-*")))

    def test_what_cannot_be_written_leaves_nothing_behind(self):
        write_files(self.input, {"a.png": encode(), "b.png": encode()})
        rename = FileSystems.rename

        def full(sources, targets):
            if targets[0].endswith("a.png"):
                raise OSError("the store is full")
            return rename(sources, targets)

        with mock.patch.object(FileSystems, "rename", full):
            with self.assertRaisesRegex(Exception, "the store is full"):
                self.run_command()
        self.assertIn(files_in(self.output), ([], ["b.png"]))

    def test_what_cannot_be_used(self):
        """One line, status 2, and nothing is written."""
        write_files(self.input, {"a.png": encode()})
        for flags, *parts in (
            ([f"--input={self.input}/*.jpg"], f"'{self.input}/*.jpg', which no file matches"),
            (["--input=nostore://in/**"], "nostore", "cannot be used"),
            ([f"--output={self.input}"], f"'{self.input}', which the inputs are in"),
            ([f"--output={self.input}/a.png/b"], "cannot be used"),
            (["--model=nostore://model"], "nostore", "cannot be used"),
            (["word"], "'word' is not a flag"),
            (["--", "--direct_num_workers=many"], "direct_num_workers"),
            (["--", "--runner=NoRunner"], "NoRunner"),
            (["--runner=FlinkRunner"], "Unknown command line flag 'runner'"),
        ):
            result = self.run_command(*flags)
            result.check_refused(*parts)
            self.assertEqual(result.stdout, "")
            self.assertFalse(self.output.exists())
        with mock.patch.dict(sys.modules, apache_beam=None):
            self.run_command().check_refused("Apache Beam is not installed")


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

    def metadata(self, path):
        return FileMetadata(path, self._local(path).stat().st_size)

    def exists(self, path):
        return self._local(path).exists()

    def mkdirs(self, path):
        self._local(path).mkdir(parents=True)

    def rename(self, sources, targets):
        for source, target in zip(sources, targets):
            self._local(source).rename(self._local(target))

    def delete(self, paths):
        """As stores do: of a name that is not an object's, nothing."""
        for path in paths:
            self._local(path).unlink()
