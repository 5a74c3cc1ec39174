"""Bulk translation as an Apache Beam pipeline: from a glob of pictures to a folder of them.

    list -> one group a name -> read and check -> RunInference -> encode and write
                                       |
                                       +-> dead letters: what could not be read, and why

Every step is repeatable: which noise a picture gets follows from its name, and a
result appears whole or not at all. So a runner may repeat what it likes, and a
restart passes over what is finished. All files are Beam's, so that folders can be
those of object stores as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import posixpath
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.io import fileio
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.ml.inference.base import ModelHandler, RunInference

from export.beam.job import PER_FILE, Job, local_copy, read_bytes
from pix2pix_tf.data import augment, images, lab, untrusted
from pix2pix_tf.inference import exported, translator

DEAD_LETTERS = "failed.jsonl"
NAMESPACE = "pix2pix_tf"
TRANSLATED, SKIPPED, FAILED = "translated", "skipped", "failed"
# No PNG or JPEG is larger than its pixels at 16 bits with alpha, but for what it says about itself.
_BYTES_PER_PIXEL = 8
_BYTES_BESIDE_PIXELS = 2**24


class Picture(NamedTuple):
    """An input that has been read."""

    name: str  # Of the result, relative to the output.
    image: np.ndarray  # float32 `[height, width, channels]` in [-1, 1], padded to whole crops.
    z: np.ndarray  # float32 `[noise_size]` in [0, 1).
    height: int  # Before padding.
    width: int


class Translation(NamedTuple):
    """A result, before it is written."""

    name: str
    pixels: np.ndarray  # uint8 `[height, width, channels]`.


class UnreadableError(Exception):
    """Why a file goes to the dead letters."""


def run(job: Job, *, runner, options) -> dict[str, int]:
    """Translates all that `job` names, and waits for the end.

    Args:
        job: What is translated.
        runner: One of Beam's.
        options: Its `PipelineOptions`.

    Returns:
        How many files were `TRANSLATED`, `SKIPPED` since they were finished, and `FAILED`;
        the last are in `DEAD_LETTERS` in the output.

    Raises:
        RuntimeError: If the pipeline fails, for another reason than unreadable inputs.
    """
    unfinished = f"{job.output}/.unfinished_{uuid.uuid4().hex}"
    try:
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline, job, unfinished=unfinished)
        result = pipeline.run()
        result.wait_until_finish()
    finally:
        # It is there only if a worker died between writing and renaming.
        if FileSystems.exists(unfinished):
            FileSystems.delete([unfinished])
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    counts = dict.fromkeys((TRANSLATED, SKIPPED, FAILED), 0)
    return {**counts, **{counter.key.metric.name: counter.result for counter in found}}


def build(pipeline: beam.Pipeline, job: Job, *, unfinished: str) -> None:
    """Adds the steps to a pipeline; `unfinished` is a folder for files that are being written."""
    read = (
        pipeline
        | "List" >> fileio.MatchFiles(job.pattern)
        | "Name" >> beam.FlatMap(name_file, job)
        # Shows two inputs of one name, and spreads the work, which the listing does not.
        | "OneOfAName" >> beam.GroupByKey()
        | "Read" >> beam.ParDo(_Read(job)).with_outputs(FAILED, main="pictures")
    )
    _ = (
        read.pictures
        | "Translate" >> RunInference(SavedModelHandler(job))
        | "Write" >> beam.ParDo(_Write(job.output, unfinished))
    )
    _ = read[FAILED] | "DeadLetters" >> beam.io.WriteToText(
        f"{job.output}/{DEAD_LETTERS}", num_shards=1, shard_name_template=""
    )


def name_file(file: FileMetadata, job: Job) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yields the name of a file's result, its path, and its size in bytes.

    The name follows the rule of `pix2pix_tf.translate`. What an earlier run wrote, in an output
    below the inputs, is not an input.
    """
    if not file.path.startswith(f"{job.output}/"):
        name = file.path[len(job.folder) :]
        is_kept = posixpath.splitext(name)[1].lower() in (".png", ".jpg", ".jpeg")
        yield name if is_kept else f"{name}.png", (file.path, file.size_in_bytes)


class _Read(beam.DoFn):
    """Reads and checks what is not finished; all that is wrong with a file ends here."""

    def __init__(self, job: Job):
        self._job = job
        self._skipped = Metrics.counter(NAMESPACE, SKIPPED)
        self._failed = Metrics.counter(NAMESPACE, FAILED)

    def setup(self):
        config, max_pixels = self._job.config, self._job.max_pixels
        multiple = self._job.block.multiple

        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def decode(contents):
            pixels = untrusted.decode_checked(
                contents,
                tf.constant(0),
                channels=config.input_file_channels,
                multiple=multiple,
                max_pixels=max_pixels,
            )
            source = lab.source_of(images.normalize_image(pixels), config.color_space)
            return augment.pad_to_multiple(source, multiple), tf.shape(pixels)

        self._decode = decode

    def process(self, element):
        name, files = element
        files = sorted(files)
        if len(files) > 1:
            paths = " and ".join(f"'{path}'" for path, _ in files)
            for path, _ in files:
                yield self._dead_letter(path, f"{paths} would both be written to '{name}'")
        elif FileSystems.exists(f"{self._job.output}/{name}"):
            self._skipped.inc()
        else:
            ((path, num_bytes),) = files
            try:
                yield self._read(name, path, num_bytes)
            except UnreadableError as error:
                yield self._dead_letter(path, str(error))

    def _dead_letter(self, path: str, reason: str) -> beam.pvalue.TaggedOutput:
        self._failed.inc()
        line = json.dumps(dict(name=path, reason=reason), ensure_ascii=False)
        return beam.pvalue.TaggedOutput(FAILED, line)

    def _read(self, name: str, path: str, num_bytes: int) -> Picture:
        limit = _BYTES_PER_PIXEL * self._job.max_pixels + _BYTES_BESIDE_PIXELS
        if num_bytes > limit:
            raise UnreadableError(f"has {num_bytes} bytes; the limit is {limit}")
        try:
            contents = read_bytes(path)
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error}") from error
        try:
            image, (height, width, _) = (x.numpy() for x in self._decode(tf.constant(contents)))
        except tf.errors.InvalidArgumentError as error:
            raise UnreadableError(_reason(error)) from error
        seed = self._job.seed
        entropy = [seed, _number(name) if self._job.noise == PER_FILE else 0]
        z = translator.draw_noise(self._job.block, int(height), int(width), entropy=entropy)
        return Picture(name, image, z, int(height), int(width))


def _number(name: str) -> int:
    """Returns an integer from a name, the same in every process, other for other names."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")


def _reason(error: tf.errors.InvalidArgumentError) -> str:
    """Returns what `untrusted.decode_checked` said, without the graph's words around it."""
    # On some versions the stack of the traced function comes before.
    said = re.search("assertion failed: (.*)", error.message)
    parts = re.findall(r"\[([^\[\]]*)\]", said.group(1)) if said else []
    return " ".join(parts[1:]) or str(error)  # The first part says which of the batch.


class SavedModelHandler(ModelHandler[Picture, Translation, exported.ExportedModel]):
    """Beam's RunInference with the signature `with_noise` of an exported model.

    Beam's own handlers of TensorFlow load through Keras, which cannot read a
    SavedModel since Keras 3, and take one tensor where this signature takes two.
    """

    def __init__(self, job: Job):
        # Fixed, since the estimate of Beam starts at 1, smaller than an image of several crops.
        super().__init__(
            min_batch_size=job.crops_per_batch,
            max_batch_size=job.crops_per_batch,
            element_size_fn=self._num_crops,
        )
        self._job = job

    def _num_crops(self, picture: Picture) -> int:
        height, width, _ = picture.image.shape
        # No more than a batch takes: Beam would put an empty batch before a larger one.
        crops = -(-height * width // self._job.config.crop_size**2)
        return min(crops, self._job.crops_per_batch)

    def load_model(self) -> exported.ExportedModel:
        """Returns the model; a worker does it once."""
        with local_copy(self._job.model) as folder:
            return exported.load(folder)

    def run_inference(
        self,
        batch: Sequence[Picture],
        model: exported.ExportedModel,
        inference_args: dict | None = None,
    ) -> Iterable[Translation]:
        """Yields the translations; images of one padded size go through the network together."""
        by_size = sorted(batch, key=lambda picture: picture.image.shape)
        for _, group in itertools.groupby(by_size, key=lambda picture: picture.image.shape):
            pictures = list(group)
            step = len(pictures) if self._job.is_batch_independent else 1
            for start in range(0, len(pictures), step):
                yield from _translate(pictures[start : start + step], model)

    def get_metrics_namespace(self) -> str:
        """Returns where RunInference puts its own metrics."""
        return f"{NAMESPACE}_inference"


def _translate(pictures: list[Picture], model: exported.ExportedModel) -> Iterator[Translation]:
    outputs = model.translate_with_noise(
        np.stack([picture.image for picture in pictures]),
        np.stack([picture.z for picture in pictures]),
    )
    for picture, output in zip(pictures, outputs):
        source, output = (x[: picture.height, : picture.width] for x in (picture.image, output))
        image = lab.picture_of(source, output, model.config.color_space)
        yield Translation(picture.name, images.denormalize_image(image).numpy())


class _Write(beam.DoFn):
    """Writes results: under another name, then renamed, so that none is ever seen in part."""

    def __init__(self, output: str, unfinished: str):
        self._output = output
        self._unfinished = unfinished
        self._translated = Metrics.counter(NAMESPACE, TRANSLATED)

    def process(self, translation):
        target = f"{self._output}/{translation.name}"
        contents = images.encode_image(translation.pixels, posixpath.splitext(target)[1])
        # A runner may try the same file twice at a time.
        temporary = f"{self._unfinished}/{uuid.uuid4().hex}"
        with FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            file.write(contents)
        with contextlib.suppress(OSError):  # It is there; if not, renaming says so.
            FileSystems.mkdirs(posixpath.dirname(target))
        try:
            FileSystems.rename([temporary], [target])
        except BeamIOError:
            # Not every store replaces. The same picture is there from an earlier try.
            if not FileSystems.exists(target):
                raise
            FileSystems.delete([temporary])
        self._translated.inc()
