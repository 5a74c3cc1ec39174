"""Bulk translation as an Apache Beam pipeline: from a glob of pictures to a folder of them.

Every step is repeatable: which noise a picture gets follows from its name, and a result appears
whole or not at all. So a runner may repeat what it likes, and a restart passes over what is
finished. All files are Beam's, so that folders can be those of object stores as well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import posixpath
import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes, FileSystem
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.utils.shared import Shared

from pix2pix_tf import pretrained
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import images, picture_folders
from pix2pix_tf.data.image_files import EncodedFile
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.inference import translator
from pix2pix_tf.translate import output_name

DEAD_LETTERS = "failed.jsonl"
NAMESPACE = "pix2pix_tf"
TRANSLATED, SKIPPED, FAILED, SET_ASIDE = "translated", "skipped", "failed", "set_aside"
PER_FILE, SAME = "per_file", "same"


@dataclasses.dataclass(frozen=True)
class Job:
    """What is translated, and how; it travels to the workers.

    Attributes:
        model: What `translator.load` takes: a local folder that every worker sees, or a folder
            of a file system that Beam knows; or a name of `pretrained`.
        config: How the model was trained.
        folder: Folders of the inputs' glob before its first wildcard, with the slash, local ones
            from the root; names are relative to it.
        glob: The rest, as Beam reads it.
        output: Folder of the results, likewise.
        noise: `PER_FILE`: z follows from `seed` and the name, so that the pictures are
            independent draws. `SAME`: all of one size share it, as `pix2pix_tf.translate` does.
        seed: Seed of the noise.
    """

    model: str
    config: TrainConfig
    folder: str
    glob: str
    output: str
    noise: str
    seed: int


def make_job(model: str, pattern: str, output: str, *, noise: str, seed: int) -> Job:
    """Returns a job, having checked that its model and its inputs are there; see `Job`.

    Raises:
        InputError: If the model or the inputs cannot be used, or the output is above the inputs.
    """
    output = _absolute(output)
    if pretrained.find_model(model) == pathlib.Path(model):  # Else each worker has its own copy.
        model = _absolute(model)
    with _beam_errors(f"--model is '{model}'"):
        config = _load_model(model).config
    job = Job(model, config, *split_glob(pattern), output, noise, seed)
    if job.folder.startswith(f"{output}/"):
        raise InputError(
            f"--output is '{output}', which the inputs are in: they would be overwritten, or "
            "taken for results. Pass another folder."
        )
    with _beam_errors(f"--input is '{pattern}'"):
        is_found = any(True for _ in list_files(job, limit=1))
    if not is_found:
        raise MissingInputError(
            f"--input is '{pattern}', which no file matches below '{job.folder}'. Name files, as "
            "in 'photos/**', and put the glob in quotes; for a [ that is part of a name write ?."
        )
    # Before any work: whether results can be written.
    with _beam_errors(f"--output is '{output}'"):
        FileSystems.create(f"{output}/{DEAD_LETTERS}").close()
    return job


def run(job: Job, *, runner, options) -> dict[str, int]:
    """Translates all that `job` names, and waits for the end.

    Args:
        job: What is translated.
        runner: One of Beam's.
        options: Its `PipelineOptions`.

    Returns:
        How many files were `TRANSLATED`, `SKIPPED` since they were finished, `SET_ASIDE` in
        folders of a NAS, and `FAILED`; the last are in `DEAD_LETTERS` in the output.

    Raises:
        RuntimeError: If the pipeline fails, for another reason than unreadable inputs.
    """
    with beam.Pipeline(runner=runner, options=options) as pipeline:
        _ = (
            pipeline
            | "Job" >> beam.Create([job])
            | "List" >> beam.FlatMap(name_files)
            # Shows two inputs of one name, and spreads the work, which the listing does not.
            | "OneOfAName" >> beam.GroupByKey()
            | "Translate" >> beam.ParDo(Translate(job))
            # Beam's own writer leaves a folder behind in object stores, which have no folders, and
            # takes a [ in the output's path for a pattern.
            | "Together" >> beam.GroupBy(lambda letter: None)
            | "DeadLetters" >> beam.Map(write_dead_letters, job.output)
        )
    found = pipeline.result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    counts = dict.fromkeys((TRANSLATED, SKIPPED, FAILED, SET_ASIDE), 0)
    return {**counts, **{counter.key.metric.name: counter.result for counter in found}}


def split_glob(pattern: str) -> tuple[str, str]:
    """Returns folder and glob of a `Job`; what is in the path of the current folder is no glob."""
    fixed = re.match(r"[^*?\[]*", pattern).group()
    folder = fixed[: fixed.rfind("/") + 1]
    root = (
        os.path.join(_absolute(folder), "") if FileSystems.get_scheme(pattern) is None else folder
    )
    return root, pattern[len(folder) :].rstrip("/")


def list_files(job: Job, *, limit: int | None = None) -> Iterator[str]:
    """Yields the paths of the inputs; of a store, at most `limit`.

    Also of local folders that cannot be listed, or are links, which are not followed: to be told
    as what cannot be read.
    """
    if FileSystems.get_scheme(job.folder) is not None:
        (found,) = FileSystems.match([job.folder + job.glob], [limit])
        yield from (file.path for file in found.metadata_list)
        return
    # Not by Beam's listing, which takes a [ in the folder's own path for a pattern.
    matches = re.compile(FileSystem.translate_pattern(job.glob)).match
    unlisted = []
    for folder, subfolders, names in os.walk(job.folder, onerror=unlisted.append):
        links = (name for name in subfolders if os.path.islink(os.path.join(folder, name)))
        for path in (os.path.join(folder, name) for name in (*names, *links)):
            if matches(path[len(job.folder) :]):
                yield path
    yield from (error.filename for error in unlisted if matches(error.filename[len(job.folder) :]))


def name_files(job: Job) -> Iterator[tuple[bytes, bytes]]:
    """Yields the name of each file's result, below the output, and its path.

    What an earlier run wrote, in an output below the inputs, is not an input; nor is what systems
    leave behind, or what lies in folders that a NAS keeps small copies in. As bytes, since names
    need not be Unicode, as what Beam sends as text must be.
    """
    for path in list_files(job):
        parts = path[len(job.folder) :].split("/")
        if path.startswith(f"{job.output}/") or any(map(picture_folders.is_litter, parts)):
            continue
        if any(map(picture_folders.is_set_aside, parts)):
            Metrics.counter(NAMESPACE, SET_ASIDE).inc()
            continue
        folder, name = posixpath.split("/".join(parts))
        result = output_name(pathlib.PurePosixPath(name), None, job.config)
        yield os.fsencode(posixpath.join(folder, result)), os.fsencode(path)


def write_dead_letters(letters: tuple[None, Iterable[bytes]], output: str) -> None:
    """Writes the list of what could not be translated."""
    _write_whole(f"{output}/{DEAD_LETTERS}", letters[1])


class Translate(beam.DoFn):
    """Translates what is not finished, and yields a line of JSON for each file that cannot be."""

    def __init__(self, job: Job):
        self._job = job
        self._shared = Shared()  # One model a process, for all its threads.

    def setup(self):
        """Loads the model; a worker does it once."""
        self._translate = self._shared.acquire(lambda: _load_model(self._job.model))

    def process(self, element: tuple[bytes, Iterable[bytes]]) -> Iterator[bytes]:
        """Translates the files of one result, of which there should be but one."""
        name = os.fsdecode(element[0])
        paths = sorted(map(os.fsdecode, element[1]))
        target = f"{self._job.output}/{name}"
        if len(paths) > 1:
            listed = " and ".join(f"'{path}'" for path in paths)
            for path in paths:
                yield self._dead_letter(path, f"{listed} would both be written to '{name}'")
        elif FileSystems.exists(target):
            Metrics.counter(NAMESPACE, SKIPPED).inc()
        else:
            (path,) = paths
            try:
                pixels = self._translate_file(path, name)
            except (InputError, OSError) as error:  # OSError: of Beam's file systems.
                yield self._dead_letter(path, str(error))
            else:
                contents = images.encode_image(pixels, posixpath.splitext(target)[1])
                _write_whole(target, [contents])
                Metrics.counter(NAMESPACE, TRANSLATED).inc()

    def _translate_file(self, path: str, name: str):
        file = EncodedFile(pathlib.PurePosixPath(path), _read_bytes(path))
        self._translate.check_size(file)
        sample = 0
        if self._job.noise == PER_FILE:
            # The same in every process, other for other names.
            sample = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:16], "big")
        return self._translate.translate_file(file, seed=self._job.seed, sample=sample)

    def _dead_letter(self, path: str, reason: str) -> bytes:
        Metrics.counter(NAMESPACE, FAILED).inc()
        line = json.dumps(dict(name=path, reason=reason), ensure_ascii=False) + "\n"
        return line.encode(errors="backslashreplace")  # Which JSON has as well.


def _absolute(path: str) -> str:
    """Returns a path or glob as workers elsewhere can use it: local ones from the root."""
    return os.path.abspath(path) if FileSystems.get_scheme(path) is None else path.rstrip("/")


def _load_model(folder: str) -> translator.Translator:
    """Returns the translator of a local folder, or of a passing copy of another one."""
    if FileSystems.get_scheme(folder) is None:
        return translator.load(folder)
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as copy:
        # Any character for a wildcard in its name, which Beam has no other way to escape.
        (found,) = FileSystems.match([re.sub(r"[*?\[]", "?", folder) + "/**"])
        for file in found.metadata_list:
            if not file.path.startswith(f"{folder}/"):
                continue
            target = pathlib.Path(copy) / file.path[len(folder) + 1 :]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_read_bytes(file.path))
        return translator.load(copy)


def _read_bytes(path: str) -> bytes:
    """Returns the bytes of a file of any file system; a .gz is not unpacked, to whatever size."""
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return file.read()


def _write_whole(path: str, parts: Iterable[bytes]) -> None:
    """Writes a file under another name, then renames it, so that it is never seen in part."""
    folder, name = posixpath.split(path)
    # A runner may try the same file twice at a time.
    temporary = f"{folder}/.unfinished_{uuid.uuid4().hex}_{name}"
    try:
        with FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            for part in parts:
                file.write(part)
        FileSystems.rename([temporary], [path])
    except OSError:
        with contextlib.suppress(OSError):  # It may not even have been made.
            FileSystems.delete([temporary])
        raise


@contextlib.contextmanager
def _beam_errors(subject: str) -> Iterator[None]:
    """Turns what Beam's file systems raise into an `InputError` about `subject`."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{subject}, which cannot be used ({error}). Name another.") from None
