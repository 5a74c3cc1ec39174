r"""Gives a corpus of hostile files to training, translation, `prepare check` and an export.

    python tests/hostile_runs.py

Prints what was tried and found; the exit status is 1 if anything was lost: if a process died or
hung, if an error was no message that names the file, if a good file was not processed, or if
the memory grew beyond the bound. The work is done in a process of its own, which is started
again behind a file that ended it.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import hostile_files
from hostile_files import HostileFile

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_REPOSITORY))

from pix2pix_tf.errors import printable  # noqa: E402

# Of a file, in any of the ways in. The slowest takes two seconds on an idle core.
SECONDS_PER_FILE = 60
SECONDS_PER_COMMAND = 300
# Above what the process has with a model loaded and one file read; see `images.MAX_PIXELS`.
MAX_MEGABYTES = 2560
# What a single file is given to.
WAYS_IN = ("train", "translate", "encoded")


@dataclasses.dataclass
class Report:
    """What was tried, and what was lost.

    Attributes:
        files: How many, by what is hostile about them.
        read: Of these, how many a way in has read, by both.
        megabytes: The most that the process grew by, and over which file.
        seconds: The most that a file took, and which.
        lost: What went wrong, a line each.
    """

    files: collections.Counter
    read: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    megabytes: tuple[int, str] = (0, "")
    seconds: tuple[float, str] = (0.0, "")
    lost: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        """Returns the lines that are printed."""
        lines = [f"hostile files: {sum(self.files.values())}, to {len(WAYS_IN)} ways in each"]
        lines.append(f"  {'':18}{'files':>8}" + "".join(f"{way:>12}" for way in WAYS_IN))
        for kind, count in sorted(self.files.items()):
            read = "".join(f"{self.read[kind, way]:>7} read" for way in WAYS_IN)
            lines.append(f"  {kind:18}{count:>8}{read}")
        lines.append("memory above the start: at most {} MB, in {}".format(*self.megabytes))
        lines.append("time of a file: at most {:.1f} s, in {}".format(*self.seconds))
        lines.append(f"lost: {len(self.lost)}")
        return "\n".join([*lines, *(f"  {line}" for line in self.lost)])


def check(folder: pathlib.Path, *, seed: int) -> Report:
    """Writes the corpus and gives it to everything that reads files.

    Args:
        folder: An empty one.
        seed: Of the corpus.
    """
    files = hostile_files.write(folder / "data" / "train", seed=seed)
    entries = [dataclasses.asdict(file) for file in files]
    (folder / "files.json").write_text(json.dumps(entries))
    trial = _Trial(folder, files)
    start = 0
    while start is not None:
        start = _run_worker(trial, start)
    report = trial.judge()
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
        _Worker(folder, files, trial.note, run=run, exported_model=exported_model).run(0)
    return trial.judge()


class _Trial:
    """Notes what a worker says of the files, and judges it."""

    def __init__(self, folder: pathlib.Path, files: list[HostileFile]):
        self.folder, self.files = folder, files
        self.report = Report(collections.Counter(file.kind for file in files))
        self.doing = {"doing": "starting", "index": -1}
        self._outcomes: dict[str, dict[str, str]] = {way: {} for way in WAYS_IN}

    def note(self, **line) -> None:
        if "outcome" not in line:
            self.doing = line
            return
        name = self.files[line["index"]].name
        self._outcomes[line["doing"]][name] = line["outcome"]
        where = f"{line['doing']} of {name!r}"
        if line["megabytes"] > self.report.megabytes[0]:  # The peak stays: the first has made it.
            self.report.megabytes = line["megabytes"], where
        self.report.seconds = max(self.report.seconds, (line["seconds"], where))

    def judge(self) -> Report:
        for way, found in self._outcomes.items():
            for file in self.files:
                _judge(file, way, found.get(file.name), self.folder, self.report)
        _judge_commands(self.folder, self.files, self._outcomes, self.report)
        return self.report


def _take_out(path: pathlib.Path) -> None:
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _run_worker(trial: _Trial, start: int) -> int | None:
    """Runs a worker from file number `start` on; returns where the next has to, None at the end."""
    with open(trial.folder / "worker.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, f"--worker={trial.folder}", f"--start={start}"],
            cwd=trial.folder,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
        )
    trial.note(doing="starting", index=start - 1)
    try:
        for line in _lines(process):
            trial.note(**line)
        if process.wait() == 0:
            return None
        what = f"ended with status {process.returncode}"
    except TimeoutError:
        what = "hung"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    doing, index = trial.doing["doing"], trial.doing["index"]
    name = repr(trial.files[index].name) if 0 <= index < len(trial.files) else "all files"
    trial.report.lost.append(f"{doing} of {name}: the process {what}")
    return index + 1 if doing in WAYS_IN else None


def _lines(process: subprocess.Popen) -> Iterator[dict]:
    """Yields the objects that a worker writes; TimeoutError if one takes too long."""
    pending, limit = b"", SECONDS_PER_COMMAND
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(limit):
                raise TimeoutError
            received = os.read(process.stdout.fileno(), 2**16)
            if not received:
                return
            *lines, pending = (pending + received).split(b"\n")
            for line in map(json.loads, lines):
                limit = SECONDS_PER_FILE if line["doing"] in WAYS_IN else SECONDS_PER_COMMAND
                yield line


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
    read = {way: {name for name, outcome in found.items() if outcome == "read"}
            for way, found in outcomes.items()}  # fmt: skip
    names = {file.name for file in files}

    def expect(what: str, found, expected) -> None:
        if found != expected:
            if isinstance(found, (list, set)):
                found, expected = set(found) - set(expected), set(expected) - set(found)
                report.lost.append(f"{what}: too much {found}, missing {expected}")
            else:
                report.lost.append(f"{what}: {found!r}, not {expected!r}")

    checked = results["prepare check"]
    expect("prepare check, status", checked["status"], 1)
    expect("prepare check, wrong", set(results["wrong"]), names - read["train"])
    translated = results["translate"]
    expect("translate, status", translated["status"], 1)
    expect("translate, written", set(results["translated"]), read["translate"])
    for name in names - read["translate"]:
        if printable(name) not in translated["stderr"]:
            report.lost.append(f"translate does not name {name!r}")
    lines = [line for line in translated["stderr"].splitlines() if line.startswith("error: ")]
    expect("translate, lines", len(lines), len(names - read["translate"]))
    refused = results["train on all"]
    expect("train on all, status", refused["status"], 2)
    paths = [printable(str(folder / "data/train" / name)) for name in names]
    shown = sum(path in refused["stderr"] for path in paths)
    # Not always at the start: libraries may warn of a file.
    counted = re.search(r"^error: (\d+) of", refused["stderr"], re.MULTILINE)
    expected = int(counted[1]) if counted else 0
    expect("train on all, counted", expected, len(names - read["train"]))
    expect("train on all, named", shown >= min(100, expected), True)
    expect("train on all, steps", results["steps on all"], 0)
    expect("train on good, status", results["train on good"]["status"], 0)
    expect("train on good, steps", results["steps on good"], 2)
    for command in ("prepare check", "translate", "train on all", "train on good"):
        if "Traceback" in results[command]["stderr"]:
            report.lost.append(f"{command}: {results[command]['stderr'][-300:]}")
    expect("code of files was run", results["unpickled"], False)


class _Worker:
    """Reads files, and says before each what it is about to do."""

    def __init__(self, folder: pathlib.Path, files: list[HostileFile], say, *, run, exported_model):
        import tensorflow as tf

        from pix2pix_tf.data import decoding, layouts, pairs, pipeline
        from pix2pix_tf.errors import InputError
        from pix2pix_tf.inference import exported, translator

        self._tf, self._pairs, self._pipeline = tf, pairs, pipeline
        self._layouts, self._decoding = layouts, decoding
        self._refusal = InputError
        self._folder, self._files, self._say = folder, files, say
        self._data = folder / "data" / "train"
        self._model = run
        self._translator = translator.load(run)
        self._exported = exported.load(exported_model)
        self._at_start = None

    def run(self, start: int) -> None:
        """Gives each file to each way in, then all of them to the commands."""
        good = next(index for index, file in enumerate(self._files) if file.kind == "good")
        for way in WAYS_IN:  # What is made at the first call is not the files' doing.
            self._attempt(way, self._data / self._files[good].name)
        self._at_start = _megabytes("VmRSS")
        for index in range(start, len(self._files)):
            for way in WAYS_IN:
                self._say(doing=way, index=index)
                started = time.monotonic()
                outcome = self._attempt(way, self._data / self._files[index].name)
                if outcome is not None:
                    self._say(
                        doing=way,
                        index=index,
                        outcome=outcome,
                        megabytes=_megabytes("VmHWM") - self._at_start,
                        seconds=time.monotonic() - started,
                    )
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
        source = self._pairs.FilePairs(
            [self._layouts.PairFiles(path, None)],
            self._decoding.PairDecoder(a_channels=3, b_channels=3, scaled_to=36),
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

        from pix2pix_tf import train, translate

        results = {}

        def run(name: str, module, *arguments: str, **options) -> None:
            self._say(doing=name, index=len(self._files))
            result = command_line.run(module, *arguments, **options)
            results[name] = dict(status=result.exit_code, stderr=result.stderr)

        from pix2pix_tf.prepare import __main__ as prepare_command

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
        results["steps on all"] = _num_steps(folder / "on_all")
        self._take_out(report["wrong"])
        run("train on good", train, f"--workdir={folder / 'on_good'}", *settings)
        results["steps on good"] = _num_steps(folder / "on_good")
        results["unpickled"] = any(folder.rglob("unpickled"))
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

    def _take_out(self, wrong: list[dict]) -> None:
        for entry in wrong:
            _take_out(self._folder / "data" / entry["file"])


def _work(folder: pathlib.Path, start: int) -> None:
    """Is the process that `_run_worker` starts."""
    import tiny_runs

    from pix2pix_tf import serving

    entries = json.loads((folder / "files.json").read_text())
    run, exported_model = folder / "run", folder / "exported"
    if not run.is_dir():
        # So many filters that the largest pictures are refused in one piece.
        tiny_runs.write_run(run, base_filters=16)
        serving.save_version(run, exported_model)
    files = [HostileFile(**entry) for entry in entries]
    _Worker(folder, files, _say, run=run, exported_model=exported_model).run(start)


def _num_steps(workdir: pathlib.Path) -> int:
    path = workdir / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def _say(**message) -> None:
    os.write(_OUTPUT, json.dumps(message).encode() + b"\n")


def _megabytes(field: str) -> int:
    """Returns this process' memory: VmRSS now, VmHWM at its most."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1]) // 1024


def main() -> int:
    """Runs the check as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="Of the corpus.")
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _work(options.worker, options.start)
        return 0
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as folder:
        report = check(pathlib.Path(folder), seed=options.seed)
    print(report)
    return 1 if report.lost else 0


if __name__ == "__main__":
    # What is written to stdout by anything else must not get between the messages.
    _OUTPUT = os.dup(1)
    if any(argument.startswith("--worker") for argument in sys.argv):
        os.dup2(2, 1)
    sys.exit(main())
