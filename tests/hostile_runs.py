r"""Gives a corpus of hostile files to training, translation, `prepare check` and an export.

    PYTHONPATH=. python tests/hostile_runs.py

Prints what was tried and found; the exit status is 1 if anything was lost: if an error was not a
message that names the file, if a good file was not processed, or if the memory grew beyond the
bound. A file that ends the process, or over which it hangs, is the last that is named.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import faulthandler
import json
import os
import pathlib
import re
import resource
import sys
import tempfile
from collections.abc import Callable

import command_line
import hostile_files
import tensorflow as tf
import tiny_runs
import tiny_training
from hostile_files import HostileFile

from pix2pix_tf import run_folder, serving, train, translate
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import decoding, layouts, pairs, pipeline
from pix2pix_tf.errors import InputError, printable
from pix2pix_tf.inference import exported, translator
from pix2pix_tf.prepare import __main__ as prepare_command

SECONDS_AT_MOST = 300  # For a file or a command; longer, and the process hangs.
# Above what the process has with a model loaded and one file read; see `images.MAX_PIXELS`.
MAX_MEGABYTES = 2560
# What a single file is given to.
WAYS_IN = ("train", "translate", "encoded")


@dataclasses.dataclass
class Report:
    """What was tried, and what was lost.

    Attributes:
        files: How many, by what is hostile about them.
        read: How many of these a way in has read, by both.
        megabytes: The most that the process grew by, and over which file.
        lost: What went wrong, a line each.
    """

    files: collections.Counter
    read: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    megabytes: tuple[int, str] = (0, "")
    lost: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        """Returns the lines that are printed."""
        lines = [f"hostile files: {sum(self.files.values())}, to {len(WAYS_IN)} ways in each"]
        for kind, count in sorted(self.files.items()):
            read = "".join(f"{way:>12}: {self.read[kind, way]} read" for way in WAYS_IN)
            lines.append(f"  {kind:18}{count:>8}{read}")
        lines.append("memory above the start: at most {} MB, in {}".format(*self.megabytes))
        lines.append(f"lost: {len(self.lost)}")
        return "\n".join([*lines, *(f"  {line}" for line in self.lost)])


def check(
    folder: pathlib.Path, *, seed: int, say: Callable[[str], None] = lambda text: None
) -> Report:
    """Writes the corpus and gives it to everything that reads files.

    Args:
        folder: An empty one.
        seed: Seed of the corpus.
        say: Called with what is about to be done.
    """
    files = hostile_files.write(folder / "data" / "train", seed=seed)
    # So many filters that the largest pictures are refused in one piece.
    tiny_runs.write_run(folder / "run", base_filters=16)
    version = serving.save_version(folder / "run", folder / "exported")
    return _Trial(folder, files, folder / "run", version, say).run()


def check_few(folder: pathlib.Path, *, seed: int, num_each: int) -> Report:
    """Does the same with some files of each kind, and with networks at hand.

    The largest are left out: they take a gigabyte each.
    """
    kinds = collections.defaultdict(list)
    for file in hostile_files.write(folder / "data" / "train", seed=seed):
        kinds[file.kind].append(file)
    files = []
    for kind, found in kinds.items():
        chosen = [] if kind == "largest" else found[:: -(-len(found) // num_each)]
        files += chosen
        for file in found:
            if file not in chosen:
                _take_out(folder / "data" / "train" / file.name)
    version = tiny_runs.shared_version()  # With the network itself.
    with tiny_training.stub_networks():
        tiny_runs.write_run(folder / "stub_run")
        return _Trial(folder, files, folder / "stub_run", version, lambda text: None).run()


def _take_out(path: pathlib.Path) -> None:
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _judge(
    file: HostileFile, way: str, outcome: str | None, folder: pathlib.Path, report: Report
) -> None:
    """Notes what is wrong with the outcome of a file."""
    where = f"{way} of {file.name!r} ({file.kind})"
    if outcome is None:
        if way != "encoded" or file.kind != "no file":
            report.lost.append(f"{where}: no outcome")
    elif outcome == "read":
        report.read[file.kind, way] += 1
        if file.is_good is False and way == "train":
            report.lost.append(f"{where}: was read, but has to be refused")
    elif not outcome.startswith("refused: "):
        report.lost.append(f"{where}: {outcome}")
    else:
        is_encoded = way == "encoded"
        path = folder / "data/train" / file.name
        if ("image 0 of the batch" if is_encoded else printable(str(path))) not in outcome:
            report.lost.append(f"{where}: the message does not name it: {outcome}")
        if not is_encoded and len(outcome.splitlines()) != 1:
            report.lost.append(f"{where}: the message is more than a line: {outcome!r}")
        if file.is_good and (not is_encoded or _is_png_or_jpeg(path)):
            report.lost.append(f"{where}: is good, but was {outcome}")


def _is_png_or_jpeg(path: pathlib.Path) -> bool:
    with open(path, "rb") as file:
        return file.read(8).startswith((hostile_files.PNG_SIGNATURE, b"\xff\xd8\xff"))


def _judge_commands(
    folder: pathlib.Path,
    files: list[HostileFile],
    outcomes: dict[str, dict[str, str]],
    results: dict,
    report: Report,
) -> None:
    """Notes what is wrong with how the commands took all files at once."""
    names = {file.name for file in files}
    refused, untranslated = (
        {name for name in names if outcomes[way].get(name) != "read"}
        for way in ("train", "translate")
    )
    errors = {name: result["stderr"] for name, result in results["commands"].items()}
    # Not always at the start: libraries may warn of a file.
    counted = re.search(r"^error: (\d+) of", errors["train on all"], re.MULTILINE)
    num_counted = int(counted[1]) if counted else 0
    paths = [printable(str(folder / "data/train" / name)) for name in names]
    for what, found, expected in (
        (
            "statuses",
            {name: result["status"] for name, result in results["commands"].items()},
            {"prepare check": 1, "translate": 1, "train on all": 2, "train on good": 0},
        ),
        ("found wrong by prepare check", set(results["wrong"]), refused),
        ("translated", set(results["translated"]), names - untranslated),
        (
            "lines of translate",
            sum(line.startswith("error: ") for line in errors["translate"].splitlines()),
            len(untranslated),
        ),
        (
            "not named by translate",
            {name for name in untranslated if printable(name) not in errors["translate"]},
            set(),
        ),
        ("counted by train", num_counted, len(refused)),
        (
            "enough named by train",
            sum(path in errors["train on all"] for path in paths) >= min(100, num_counted),
            True,
        ),
        ("steps on all and on good", results["steps"], [0, 2]),
        ("tracebacks", [x[-300:] for x in errors.values() if "Traceback" in x], []),
        ("code of files was run", any(folder.rglob("unpickled")), False),
    ):
        if found != expected:
            if isinstance(found, set):
                found, expected = found - expected, expected - found
            report.lost.append(f"{what}: {found!r}, not {expected!r}")


class _Trial:
    """Reads files, runs commands on them, and judges what came of it."""

    def __init__(
        self,
        folder: pathlib.Path,
        files: list[HostileFile],
        run: pathlib.Path,
        version: pathlib.Path,
        say: Callable[[str], None],
    ):
        self._folder, self._files, self._model, self._say = folder, files, run, say
        self._data = folder / "data" / "train"
        self._translator = translator.load(run)
        self._exported = exported.load(version)

    def run(self) -> Report:
        """Gives each file to each way in, then all of them to the commands."""
        report = Report(collections.Counter(file.kind for file in self._files))
        good = next(file for file in self._files if file.kind == "good")
        for way in WAYS_IN:  # What is made at the first call is not the files' doing.
            self._attempt(way, self._data / good.name)
        at_start = _peak_megabytes()
        outcomes = {way: {} for way in WAYS_IN}
        for file in self._files:
            for way, found in outcomes.items():
                self._say(f"{way} of {file.name!r}")
                outcome = self._attempt(way, self._data / file.name)
                if outcome is not None:
                    found[file.name] = outcome
                # The peak stays: the first has made it.
                grown = _peak_megabytes() - at_start, f"{way} of {file.name!r}"
                report.megabytes = max(report.megabytes, grown, key=lambda pair: pair[0])
        for way, found in outcomes.items():
            for file in self._files:
                _judge(file, way, found.get(file.name), self._folder, report)
        _judge_commands(self._folder, self._files, outcomes, self._run_commands(), report)
        if report.megabytes[0] > MAX_MEGABYTES:
            report.lost.append(f"the memory grew by more than {MAX_MEGABYTES} MB")
        return report

    def _attempt(self, way: str, path: pathlib.Path) -> str | None:
        """Returns "read", "refused: " and why, or what else came; None if it does not apply."""
        try:
            return getattr(self, f"_{way}")(path)
        except InputError as error:
            return f"refused: {error}"
        except Exception as error:  # noqa: BLE001 - Whatever it is, it is to be told.
            return f"{type(error).__name__}: {str(error)[:300]}"

    def _train(self, path: pathlib.Path) -> str:
        source = pairs.FilePairs([layouts.PairFiles(path)], decoding.PairDecoder())
        reader = pipeline.PairReader(TrainConfig(), source, size=36)
        for side in reader.read(0):
            if min(side.shape[:2]) != 36 or side.shape[2] != 3:
                return f"has the shape {side.shape}"
        return "read"

    def _translate(self, path: pathlib.Path) -> str:
        self._translator.check_size(path)
        pixels = self._translator.translate_file(path)
        if pixels.dtype != "uint8" or pixels.ndim != 3 or pixels.shape[2] != 3:
            return f"became {pixels.dtype} {pixels.shape}"
        return "read"

    def _encoded(self, path: pathlib.Path) -> str | None:
        if not path.is_file():
            return None
        try:
            (png,) = self._exported.translate_encoded([path.read_bytes()])
        except tf.errors.InvalidArgumentError as error:
            return f"refused: {error}"
        return "read" if png.startswith(hostile_files.PNG_SIGNATURE) else "became no PNG"

    def _run_commands(self) -> dict:
        """Runs the command lines on the whole folder, and returns what they gave."""
        results = {"commands": {}}
        folder, data = self._folder, self._folder / "data"

        def run(name: str, module, *arguments: str, **options) -> None:
            self._say(name)
            result = command_line.run(module, *arguments, **options)
            found = dict(status=result.exit_code, stderr=result.stderr)
            results["commands"][name] = found

        run(
            *("prepare check", prepare_command, "check", f"--input={data}"),
            *(f"--output={folder / 'checked'}", "--processes=1"),
            takes_arguments=True,
        )
        report = json.loads((folder / "checked" / "check.json").read_text())
        results["wrong"] = [entry["file"].removeprefix("train/") for entry in report["wrong"]]
        run(
            *("translate", translate, f"--model={self._model}", f"--input={self._data}"),
            *(f"--output={folder / 'translated'}", "--keep_going"),
        )
        results["translated"] = self._sources_of(folder / "translated")
        settings = dict(
            tiny_training.SETTINGS, dataset=data, load_size=36, num_steps=2, log_every=1
        )
        settings = [f"--{name}={value}" for name, value in settings.items()]
        # Each was given to training by itself; here they would take it a minute.
        for file in self._files:
            if file.kind == "largest":
                (self._data / file.name).unlink()
        run("train on all", train, f"--workdir={folder / 'on_all'}", *settings)
        for entry in report["wrong"]:
            _take_out(data / entry["file"])
        run("train on good", train, f"--workdir={folder / 'on_good'}", *settings)
        results["steps"] = [
            len(run_folder.read_metrics(folder / name)) for name in ("on_all", "on_good")
        ]
        return results

    def _sources_of(self, folder: pathlib.Path) -> list[str]:
        """Returns the names of the files whose translations a folder holds."""
        config = TrainConfig.load(self._model)
        names = {
            translate.output_name(pathlib.Path(file.name), None, config): file.name
            for file in self._files
        }
        return [names.get(name, name) for name in os.listdir(folder)]


def _peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _say(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    faulthandler.dump_traceback_later(SECONDS_AT_MOST, exit=True)


def main() -> int:
    """Runs the check as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="Seed of the corpus.")
    options = parser.parse_args()
    faulthandler.enable()
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as folder:
        os.chdir(folder)  # Where what is hostile would leave its mark.
        report = check(pathlib.Path(folder), seed=options.seed, say=_say)
    faulthandler.cancel_dump_traceback_later()
    print(f"\n{report}")
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
