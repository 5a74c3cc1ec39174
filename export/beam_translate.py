r"""Translates any number of pictures with Apache Beam, on one machine or on many.

    pix2pix export beam_translate --model=exported/facades --input='photos/**' --output=out
    pix2pix export beam_translate --model=exported/facades --input='photos/**' --output=out \
        -- --direct_num_workers=4 --direct_running_mode=multi_processing

What follows `--` is Beam's own: which engine (`--runner=FlinkRunner` and its kin) and
how many workers; without it one process of this machine works. `--model`, `--input`
and `--output` may be folders of any file system that Beam knows (`gs://...`).

Results keep the folders below the glob's first wildcard, and are otherwise named as
`pix2pix_tf.translate` names them. A result appears when it is whole. The same command resumes
after a stop: what is in the output is not done again. So for another model, or other noise,
name another output. Which noise a picture gets follows from `--seed` and its name, whoever
translates it.

A file that cannot be read stops nothing: it goes to `failed.jsonl` in the output, an
object `{"name": ..., "reason": ...}` a line, written anew by each run. Exit status: 0 if
nothing failed, 4 if files failed, 2 if a setting cannot be used.
"""

from __future__ import annotations

import contextlib
import io

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.errors import InputError

EXIT_SOME_FAILED = 4
# Beam's local engine in Python. Its default, DirectRunner, first downloads another program.
_LOCAL_RUNNER = "FnApiRunner"


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "model", None, f"{commands.MODEL_HELP} Every worker has to see it.", required=True
    )
    flags.DEFINE_string(
        "input",
        None,
        "Glob of image files, in quotes: * is any part of a name, ** also of several folders.",
        required=True,
    )
    flags.DEFINE_string("output", None, "Folder for the results; made if needed.", required=True)
    flags.DEFINE_enum(
        "noise",
        "per_file",
        ("per_file", "same"),
        "per_file: each picture has a draw of its own, which follows from its name. same: pictures "
        "of one size share one, as with pix2pix translate.",
    )
    flags.DEFINE_integer("seed", 0, "Seed of the noise.", lower_bound=0)


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
    from .beam import pipeline

    options = flags.FLAGS
    runner, beam_options = _read_beam_options(arguments[1:])
    job = pipeline.make_job(
        options.model, options.input, options.output, noise=options.noise, seed=options.seed
    )
    counts = pipeline.run(job, runner=runner, options=beam_options)
    failed = counts[pipeline.FAILED]
    print(
        f"Translated {counts[pipeline.TRANSLATED]:,} files to '{job.output}', passed over "
        f"{counts[pipeline.SKIPPED]:,} that were finished; {failed:,} failed"
        + (f", see '{job.output}/{pipeline.DEAD_LETTERS}'." if failed else ".")
    )
    if set_aside := counts[pipeline.SET_ASIDE]:
        print(f"Not used: {set_aside:,} files in folders of a NAS, such as @eaDir.")
    return EXIT_SOME_FAILED if failed else 0


def _read_beam_options(arguments: list[str]):
    """Returns Beam's runner and its `PipelineOptions`, from what followed `--`.

    Raises:
        InputError: If one is not an option, or has a value that Beam refuses.
    """
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.runner import create_runner

    if arguments and not arguments[0].startswith("--"):
        raise InputError(f"'{arguments[0]}' is not a flag. Write settings as --name=value.")
    refused = io.StringIO()
    try:
        with contextlib.redirect_stderr(refused):
            options = PipelineOptions(arguments)
            options.get_all_options()  # They are parsed only now.
        return create_runner(options.view_as(StandardOptions).runner or _LOCAL_RUNNER), options
    except (SystemExit, AttributeError, ImportError, ValueError) as error:
        reason = refused.getvalue().strip() or str(error)
        raise InputError(
            f"Beam refuses its options ({reason.splitlines()[-1]}). Mend what follows --."
        ) from None


if __name__ == "__main__":
    define_flags()
    commands.run(main, takes_arguments=True)
