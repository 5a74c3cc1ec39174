r"""Gives a corpus of hostile files to training, translation, `prepare check` and an export.

    python tests/hostile_runs.py

Prints what was tried and found; the exit status is 1 if anything was lost: if a process died or
hung, if an error was no message that names the file, if a good file was not processed, or if
the memory grew beyond the bound. The work is done in a process of its own.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import faulthandler
import itertools
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

import hostile_files
from hostile_files import HostileFile

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_REPOSITORY))

from pix2pix_tf.errors import printable  # noqa: E402

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


def check(folder: pathlib.Path, *, seed: int) -> Report:
    """Writes the corpus and gives it to everything that reads files, in a process of its own.

    Args:
        folder: An empty one.
        seed: Of the corpus.
    """
    files = hostile_files.write(folder / "data" / "train", seed=seed)
    entries = [dataclasses.asdict(file) for file in files]
    (folder / "files.json").write_text(json.dumps(entries))
    with open(folder / "worker.jsonl", "wb") as said:
        process = subprocess.run(
            [sys.executable, __file__, f"--worker={folder}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=said,
            stderr=subprocess.PIPE,
            check=False,
        )
    trial = _Trial(folder, files)
    for line in (folder / "worker.jsonl").read_text().splitlines():
        trial.note(**json.loads(line))
    report = trial.judge()
    if process.returncode:
        # The last thing said is what it died or hung over.
        report.lost.insert(0, f"{trial.doing}: status {process.returncode}")
        report.lost.append(process.stderr.decode(errors="replace")[-2000:])
    if report.megabytes[0] > MAX_MEGABYTES:
        report.lost.append(f"the memory grew by more than {MAX_MEGABYTES} MB")
    return report


def check_few(folder: pathlib.Path, *, seed: int, num_each: int) -> Report:
    """Does the same with some files of each kind, in this process and with networks at hand.

    The largest are left out: they take a gigabyte each. Tests have tiny networks already.
    """
    import tiny_runs
    import tiny_training

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
    trial = _Trial(folder, files)
    exported_model = tiny_runs.shared_version().parent  # Of the network itself.
    with tiny_training.stub_networks():
        run = folder / "stub_run"
        tiny_runs.write_run(run)
        _Worker(folder, files, trial.note, run=run, exported_model=exported_model).run()
    return trial.judge()


class _Trial:
    """Notes what a worker says of the files, and judges it."""

    def __init__(self, folder: pathlib.Path, files: list[HostileFile]):
        self.folder, self.files = folder, files
        self.report = Report(collections.Counter(file.kind for file in files))
        self.doing = "starting"
        self._outcomes: dict[str, dict[str, str]] = {way: {} for way in WAYS_IN}

    def note(self, doing: str, name: str = "", outcome: str = "", megabytes: int = 0) -> None:
        """Takes what is about to be done or, with an outcome, what came of it."""
        self.doing = f"{doing} of {name!r}"
        if outcome:
            self._outcomes[doing][name] = outcome
            # The peak stays: the first has made it.
            self.report.megabytes = max(self.report.megabytes, (megabytes, self.doing))

    def judge(self) -> Report:
        """Returns the report."""
        for way, found in self._outcomes.items():
            for file in self.files:
                _judge(file, way, found.get(file.name), self.folder, self.report)
        _judge_commands(self.folder, self.files, self._outcomes, self.report)
        return self.report


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
    report: Report,
) -> None:
    """Notes what is wrong with how the commands took all files at once."""
    path = folder / "commands.json"
    if not path.is_file():
        report.lost.append("the commands were not run")
        return
    results = json.loads(path.read_text())
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


class _Worker:
    """Reads files, and says before each what it is about to do."""

    def __init__(self, folder: pathlib.Path, files: list[HostileFile], say, *, run, exported_model):
        import tensorflow as tf

        from pix2pix_tf.data import layouts, pairs, pipeline, stores
        from pix2pix_tf.errors import InputError
        from pix2pix_tf.inference import exported, translator

        self._tf, self._pairs, self._pipeline = tf, pairs, pipeline
        self._layouts, self._stores = layouts, stores
        self._refusal = InputError
        self._folder, self._files, self._say = folder, files, say
        self._data = folder / "data" / "train"
        self._model = run
        self._translator = translator.load(run)
        self._exported = exported.load(exported_model)

    def run(self) -> None:
        """Gives each file to each way in, then all of them to the commands."""
        good = next(file for file in self._files if file.kind == "good")
        for way in WAYS_IN:  # What is made at the first call is not the files' doing.
            self._attempt(way, self._data / good.name)
        at_start = _peak_megabytes()
        for file, way in itertools.product(self._files, WAYS_IN):
            self._say(doing=way, name=file.name)
            outcome = self._attempt(way, self._data / file.name)
            if outcome is not None:
                megabytes = _peak_megabytes() - at_start
                self._say(doing=way, name=file.name, outcome=outcome, megabytes=megabytes)
        self._run_commands()

    def _attempt(self, way: str, path: pathlib.Path) -> str | None:
        """Returns "read", "refused: " and why, or what else came; None if it does not apply."""
        try:
            return getattr(self, f"_{way}")(path)
        except self._refusal as error:
            return f"refused: {error}"
        except Exception as error:  # noqa: BLE001 - Whatever it is, it is to be told.
            return f"{type(error).__name__}: {str(error)[:300]}"

    def _train(self, path: pathlib.Path) -> str:
        source = self._stores.EncodedPairs(
            self._stores.FileStore([self._layouts.PairFiles(path, None)]),
            self._pairs.PairDecoder(a_channels=3, b_channels=3, scaled_to=36),
        )
        reader = self._pipeline.PairReader(source, size=36)
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
        except self._tf.errors.InvalidArgumentError as error:
            return f"refused: {error}"
        return "read" if png.startswith(hostile_files.PNG_SIGNATURE) else "became no PNG"

    def _run_commands(self) -> None:
        """Runs the command lines on the whole folder, and writes what they gave."""
        import command_line
        import tiny_training

        from pix2pix_tf import run_folder, train, translate
        from pix2pix_tf.prepare import __main__ as prepare_command

        results = {"commands": {}}

        def run(name: str, module, *arguments: str, **options) -> None:
            self._say(doing=name)
            result = command_line.run(module, *arguments, **options)
            found = dict(status=result.exit_code, stderr=result.stderr)
            results["commands"][name] = found

        folder, data = self._folder, self._folder / "data"
        run(
            "prepare check", prepare_command,
            *("check", f"--input={data}", f"--output={folder / 'checked'}", "--processes=1",
              "--load_size=36"),
            takes_arguments=True,
        )  # fmt: skip
        report = json.loads((folder / "checked" / "check.json").read_text())
        results["wrong"] = [entry["file"].removeprefix("train/") for entry in report["wrong"]]
        run(
            "translate", translate,
            f"--model={self._model}", f"--input={self._data}",
            f"--output={folder / 'translated'}", "--keep_going",
        )  # fmt: skip
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
            _take_out(folder / "data" / entry["file"])
        run("train on good", train, f"--workdir={folder / 'on_good'}", *settings)
        results["steps"] = [
            len(run_folder.read_metrics(folder / name)) for name in ("on_all", "on_good")
        ]
        (folder / "commands.json").write_text(json.dumps(results))

    def _sources_of(self, folder: pathlib.Path) -> list[str]:
        """Returns the names of the files whose translations a folder holds."""
        from pix2pix_tf import translate
        from pix2pix_tf.config import TrainConfig

        config = TrainConfig.load(self._model)
        names = {
            translate.output_name(pathlib.Path(file.name), None, config): file.name
            for file in self._files
        }
        return [names.get(name, name) for name in os.listdir(folder)]


def _work(folder: pathlib.Path) -> None:
    """Is the process that `check` starts."""
    import tiny_runs

    from pix2pix_tf import serving

    # What is written to stdout by anything else must not get between the messages.
    output = os.dup(1)
    os.dup2(2, 1)
    files = [HostileFile(**entry) for entry in json.loads((folder / "files.json").read_text())]
    run, exported_model = folder / "run", folder / "exported"
    # So many filters that the largest pictures are refused in one piece.
    tiny_runs.write_run(run, base_filters=16)
    serving.save_version(run, exported_model)

    def say(**message) -> None:
        os.write(output, json.dumps(message).encode() + b"\n")
        faulthandler.dump_traceback_later(SECONDS_AT_MOST, exit=True)

    _Worker(folder, files, say, run=run, exported_model=exported_model).run()


def _peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    """Runs the check as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="Seed of the corpus.")
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _work(options.worker)
        return 0
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as folder:
        report = check(pathlib.Path(folder), seed=options.seed)
    print(report)
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
