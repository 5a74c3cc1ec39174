r"""Translates any number of pictures with Apache Beam, on one machine or on many.

    python -m export.beam_translate --model=exported/facades --input='photos/**' --output=out
    python -m export.beam_translate --model=exported/facades --input='photos/**' --output=out \
        -- --direct_num_workers=4 --direct_running_mode=multi_processing

What follows `--` is Beam's own: which engine (`--runner=FlinkRunner` and its kin) and
how many workers; without it one process of this machine works. `--model`, `--input`
and `--output` may be folders of any file system that Beam knows (`gs://...`).

Results keep the folders below the glob's first wildcard, the names, and the sizes of
their inputs; to all but PNG and JPEG the suffix .png is added. A result appears when
it is whole. The same command resumes after a stop: what is in the output is not done
again. Which noise a picture gets follows from `--seed` and its name, whoever
translates it and with whom.

A file that cannot be read stops nothing: it goes to `failed.jsonl` in the output, an
object `{"name": ..., "reason": ...}` a line, written anew by each run. Exit status: 0 if
nothing failed, 4 if files failed, 2 if a setting cannot be used.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pathlib

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.config import MAX_SERVED_PIXELS
from pix2pix_tf.errors import InputError, MissingInputError

EXIT_SOME_FAILED = 4
SETTINGS = "settings.json"
# Beam's local engine in Python. Its default, DirectRunner, first downloads another program.
_LOCAL_RUNNER = "FnApiRunner"


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "model", None, "An exported SavedModel, which every worker can read.", required=True
    )
    flags.DEFINE_string(
        "input",
        None,
        "Glob of PNG and JPEG files, in quotes: * is any part of a name, ** also of several "
        "folders.",
        required=True,
    )
    flags.DEFINE_string("output", None, "Folder for the results; made if needed.", required=True)
    flags.DEFINE_enum(
        "noise",
        "per_file",
        ("per_file", "same"),
        "per_file: each picture has a draw of its own, which follows from its name. same: pictures "
        "of one size share one, as with python -m pix2pix_tf.translate.",
    )
    flags.DEFINE_integer("seed", 0, "Seed of the noise.", lower_bound=0)
    flags.DEFINE_integer(
        "max_pixels",
        MAX_SERVED_PIXELS,
        "Most pixels of an image, its sides padded to multiples of crop_size; larger ones fail.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "batch_size",
        8,
        "Images of crop_size that a worker takes at once; a larger one counts as the crops that "
        "fill it.",
        lower_bound=1,
    )


def main(arguments: list[str]) -> int:
    """Translates what the flags name; returns the exit status."""
    # After the flags: Beam and TensorFlow take seconds to import.
    try:
        import apache_beam  # noqa: F401
    except ImportError:
        raise InputError(
            "Apache Beam is not installed. Install it beside this package: pip install "
            "'apache-beam>=2.77,<3'."
        ) from None
    from export import beam_pipeline

    runner, pipeline_options = beam_options(arguments[1:])
    job = make_job(flags.FLAGS)
    check_files(job)
    claim_output(job)
    counts = beam_pipeline.run(job, runner=runner, options=pipeline_options)
    failed = counts[beam_pipeline.FAILED]
    print(
        f"Translated {counts[beam_pipeline.TRANSLATED]:,} files to '{job.output}', passed over "
        f"{counts[beam_pipeline.SKIPPED]:,} that were finished; {failed:,} failed"
        + (f", see '{job.output}/{beam_pipeline.DEAD_LETTERS}'." if failed else ".")
    )
    return EXIT_SOME_FAILED if failed else 0


def beam_options(arguments: list[str]):
    """Returns Beam's runner and its `PipelineOptions`, from what followed `--`.

    Raises:
        InputError: If one is no option, or has a value that Beam refuses.
    """
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.runner import create_runner

    for argument in arguments[:1]:
        if not argument.startswith("--"):
            raise InputError(
                f"'{argument}' is no flag. Write settings as --name=value, and Beam's own options "
                "after a --."
            )
    refused = io.StringIO()
    try:
        with contextlib.redirect_stderr(refused):
            options = PipelineOptions(arguments)
            options.get_all_options()  # They are parsed only now.
    except SystemExit:
        reason = refused.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise InputError(f"Beam refuses its options ({reason}). Mend what follows --.") from None
    name = options.view_as(StandardOptions).runner or _LOCAL_RUNNER
    try:
        return create_runner(name), options
    except (AttributeError, ImportError, ValueError) as error:
        raise InputError(
            f"--runner is '{name}', which Beam cannot make ({error}). Name another runner."
        ) from None


def make_job(options):
    """Returns the `beam_pipeline.Job` that flags describe.

    Raises:
        InputError: If the model cannot be used.
    """
    from export import beam_pipeline
    from pix2pix_tf import serving
    from pix2pix_tf.config import TrainConfig

    with beam_errors(f"--model is '{options.model}'"):
        model = beam_pipeline.newest_version(beam_pipeline.absolute(options.model))
        with beam_pipeline.local_copy(model) as folder:
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
    return beam_pipeline.Job(
        model=model,
        # The index holds a checksum of every weight.
        model_digest=hashlib.sha256(weights + behaviour).hexdigest(),
        config=config,
        pattern=beam_pipeline.absolute(options.input),
        output=beam_pipeline.absolute(options.output),
        noise=options.noise,
        seed=options.seed,
        max_pixels=options.max_pixels,
        crops_per_batch=options.batch_size,
        is_batch_independent=card["statistics"] == "image",
    )


def check_files(job) -> None:
    """Refuses inputs that are not there, and outputs that would be among them.

    Raises:
        InputError: If so.
    """
    from apache_beam.io.filesystems import FileSystems

    from export import beam_pipeline

    if job.folder.startswith(f"{job.output}/"):
        raise InputError(
            f"--output is '{job.output}', which the inputs are in: they would be overwritten, or "
            "taken for results. Pass another folder."
        )
    with beam_errors(f"--input is '{job.pattern}'"):
        is_folder = not beam_pipeline.has_wildcard(job.pattern) and any(
            match.metadata_list for match in FileSystems.match([f"{job.pattern}/**"], [1])
        )
        (found,) = FileSystems.match([job.pattern], [1])
    if is_folder:
        raise InputError(
            f"--input is '{job.pattern}', a folder. Name its files: --input='{job.pattern}/**'."
        )
    if not found.metadata_list:
        raise MissingInputError(
            f"--input is '{job.pattern}', which no file matches. Check the glob, and put it in "
            "quotes."
        )


def claim_output(job) -> None:
    """Writes down which settings an output is of; others may not go on with it.

    Raises:
        InputError: If the output holds results of other settings, or cannot be written.
    """
    from apache_beam.io.filesystems import FileSystems

    path = f"{job.output}/{SETTINGS}"
    # Names of results are relative to the folder of the inputs: of another one they would
    # be taken for finished.
    settings = dict(
        folder=job.folder, model_digest=job.model_digest, noise=job.noise, seed=job.seed
    )
    with beam_errors(f"--output is '{job.output}'"):
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
def beam_errors(subject: str):
    """Turns what Beam's file systems raise into an `InputError` about `subject`."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{subject}, which cannot be used ({error}). Name another.") from None


if __name__ == "__main__":
    define_flags()
    commands.run(main, takes_arguments=True)
