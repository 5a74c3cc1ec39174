"""What a bulk translation is: made and checked before any work begins."""

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
from collections.abc import Iterator

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from export import image_size
from pix2pix_tf import serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.networks import Block

SETTINGS = "settings.json"
PER_FILE, SAME = "per_file", "same"


@dataclasses.dataclass(frozen=True)
class Job:
    """What is translated, and how; it travels to the workers.

    Attributes:
        model: An exported version: a local folder that every worker sees, or a
            folder of a file system that Beam knows.
        model_digest: Tells its weights from those of other models.
        config: How the model was trained.
        block: The smallest image that it takes.
        pattern: Beam's glob of the inputs, local ones from the root.
        output: Folder of the results, likewise.
        noise: `PER_FILE`: z follows from `seed` and the name, so that the pictures are
            independent draws. `SAME`: all of one size share it, as `pix2pix_tf.translate` does.
        seed: Seed of the noise.
        max_pixels: Most pixels of an input, its sides padded to multiples of crop_size.
        crops_per_batch: Most crops of crop_size, over all images that the network takes at
            once; a larger image goes alone.
        is_batch_independent: Whether the model takes statistics per image. Otherwise
            every image goes alone, since neighbours would change it.
    """

    model: str
    model_digest: str
    config: TrainConfig
    block: Block
    pattern: str
    output: str
    noise: str
    seed: int
    max_pixels: int
    crops_per_batch: int
    is_batch_independent: bool

    @property
    def folder(self) -> str:
        """Folders of the glob before its first wildcard, with the slash; names are relative."""
        fixed = re.match(r"[^*?\[]*", self.pattern).group()
        return fixed[: fixed.rindex("/") + 1]


def make(model: str, pattern: str, output: str, *, batch_size: int, **settings) -> Job:
    """Returns a job, having checked that its model and its inputs are there.

    Args:
        model: Folder of exported versions, or one version.
        pattern: Glob of the inputs.
        output: Folder of the results.
        batch_size: Most crops in a batch.
        **settings: `noise`, `seed` and `max_pixels` of the `Job`.

    Raises:
        InputError: If the model or the inputs cannot be used, or the output is above the inputs.
    """
    with _beam_errors(f"--model is '{model}'"):
        version = _newest_version(_absolute(model))
        with local_copy(version) as folder:
            card = serving.read_model_card(serving.find_version(folder))
            weights = pathlib.Path(folder, "variables", "variables.index").read_bytes()
    config = TrainConfig.from_dict(card["config"])
    reason = serving.why_not_encoded(config)
    if not reason and config.output_range:
        reason = f"The model makes values of {config.output_range}"
    if reason:
        raise InputError(
            f"{reason}. Beam reads PNG and JPEG and writes PNG of 8 bits; use python -m "
            "pix2pix_tf.translate for this model."
        )
    # What else decides a picture: exports of one run share their weights.
    behaviour = {name: card[name] for name in ("config", "noise_size", "statistics")}
    behaviour = json.dumps(behaviour, sort_keys=True).encode()
    job = Job(
        model=version,
        # The index holds a checksum of every weight.
        model_digest=hashlib.sha256(weights + behaviour).hexdigest(),
        config=config,
        block=image_size.block_of(card),
        pattern=_absolute(pattern),
        output=_absolute(output),
        crops_per_batch=batch_size,
        is_batch_independent=card["statistics"] == "image",
        **settings,
    )
    _check_files(job)
    return job


def _absolute(path: str) -> str:
    """Returns a path or glob as workers elsewhere can use it: local ones from the root."""
    return os.path.abspath(path) if FileSystems.get_scheme(path) is None else path.rstrip("/")


def _newest_version(model: str) -> str:
    """Returns the newest version of a model folder, or the folder itself if it is one.

    Found once, before the work begins: a version that comes meanwhile would
    otherwise translate a part of the pictures.
    """
    (found,) = FileSystems.match([f"{model}/*/saved_model.pb"])
    folders = [posixpath.dirname(file.path) for file in found.metadata_list]
    versions = [folder for folder in folders if posixpath.basename(folder).isdecimal()]
    return max(versions, key=lambda folder: int(posixpath.basename(folder)), default=model)


def _check_files(job: Job) -> None:
    """Refuses inputs that are not there, and outputs that would be among them."""
    if job.folder.startswith(f"{job.output}/"):
        raise InputError(
            f"--output is '{job.output}', which the inputs are in: they would be overwritten, or "
            "taken for results. Pass another folder."
        )
    with _beam_errors(f"--input is '{job.pattern}'"):
        inside, found = FileSystems.match([f"{job.pattern}/**", job.pattern], [1, 1])
    if inside.metadata_list and not job.pattern.endswith("*"):
        raise InputError(
            f"--input is '{job.pattern}', a folder. Name its files: --input='{job.pattern}/**'."
        )
    if not found.metadata_list:
        raise MissingInputError(
            f"--input is '{job.pattern}', which no file matches. Check the glob, and put it in "
            "quotes."
        )


def claim_output(job: Job) -> None:
    """Writes down which settings an output is of; others may not go on with it.

    Raises:
        InputError: If the output holds results of other settings, or cannot be written.
    """
    path = f"{job.output}/{SETTINGS}"
    # Names of results are relative to the folder of the inputs: of another one they would
    # be taken for finished.
    settings = dict(
        folder=job.folder, model_digest=job.model_digest, noise=job.noise, seed=job.seed
    )
    with _beam_errors(f"--output is '{job.output}'"):
        if FileSystems.exists(path):
            with FileSystems.open(path) as file:
                earlier = json.loads(file.read())
        else:
            earlier = settings
            # In two steps, so that a kill in between leaves nothing half-written.
            with FileSystems.create(f"{path}.part") as file:
                file.write(json.dumps(settings, indent=2).encode())
            FileSystems.rename([f"{path}.part"], [path])
    changed = [name for name in settings if settings[name] != earlier.get(name)]
    if changed:
        raise InputError(
            f"'{job.output}' holds results of another {' and '.join(changed)} (see its "
            f"{SETTINGS}). Pass another folder, or the settings of then."
        )


@contextlib.contextmanager
def _beam_errors(subject: str) -> Iterator[None]:
    """Turns what Beam's file systems raise into an `InputError` about `subject`."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{subject}, which cannot be used ({error}). Name another.") from None


@contextlib.contextmanager
def local_copy(folder: str) -> Iterator[pathlib.Path]:
    """Yields a folder of a local path as it is, of another file system as a passing copy."""
    if FileSystems.get_scheme(folder) is None:
        yield pathlib.Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as copy:
        (found,) = FileSystems.match([f"{folder}/**"])
        for file in found.metadata_list:
            target = pathlib.Path(copy) / file.path[len(folder) + 1 :]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_bytes(file.path))
        yield pathlib.Path(copy)


def read_bytes(path: str) -> bytes:
    """Returns the bytes of a file of any file system; a .gz is not unpacked, to whatever size."""
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return file.read()
