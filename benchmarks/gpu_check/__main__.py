r"""Measures everything of this project that needs a GPU, once, for a report to send back.

    python -m benchmarks.gpu_check --output=gpu_check

Takes about 15 minutes on a T4, which is an estimate: nobody has run it on one. Writes
`gpu_check.json` and `gpu_check.html` after each part, so that a lost session leaves what it has
measured. A part that fails is reported, and the others go on; the exit status is then 1.

Without a GPU it tries itself on small networks, unless flags ask for others, and reports what
needs a GPU as not measured.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Sequence

from absl import flags

from benchmarks.gpu_check.settings import WITHOUT_GPU, Settings
from pix2pix_tf import commands, files

EXIT_FAILED = 1


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("output", "gpu_check", "Folder for the report and the run; a new one.")
    commands.define_flags(Settings)


def main(unused_arguments: list[str]) -> int:
    """Measures and reports; returns the exit status."""
    output = pathlib.Path(flags.FLAGS.output)
    files.check_free(output)
    commands.config_from_flags(Settings)  # What is wrong is said before TensorFlow is imported.
    from benchmarks.gpu_check import environment, report

    has_gpu = bool(environment.gpus())
    settings = commands.config_from_flags(Settings, preset={} if has_gpu else WITHOUT_GPU)
    files.make_output_folder(output)
    if not has_gpu:
        print("No GPU was found: what needs one is not measured, and the networks are small.")
    result = run_parts(_parts(), settings, output, has_gpu=has_gpu)
    print(f"Verdict: {result['verdict']}.")
    print(f"Send back '{output / report.JSON}' and '{output / report.PAGE}'.")
    return EXIT_FAILED if result["verdict"] == "failed" else 0


def _parts() -> Sequence:
    """Returns the modules that measure, in the order in which they do."""
    from benchmarks.gpu_check import (
        agreement,
        environment,
        exporting,
        idle,
        loss_scaling,
        speed,
        training,
    )

    # What can be lost soonest is measured last, and the export needs the run.
    return (environment, loss_scaling, agreement, speed, training, exporting, idle)


def run_parts(parts: Sequence, settings: Settings, folder: pathlib.Path, *, has_gpu: bool) -> dict:
    """Lets each part measure, writes the report after each, and returns what the JSON holds.

    Args:
        parts: Modules, or what has their `TITLE`, `MINUTES` and `measure(settings, folder)`.
        settings: The size of the check.
        folder: Of the check.
        has_gpu: Whether there is one; the report says so.
    """
    from benchmarks.gpu_check import checks, report

    def add(described: dict, check: checks.Check) -> None:
        row = dataclasses.asdict(check)
        described["checks"].append(row)
        bound = f" ({check.bound})" if check.bound else ""
        print(f"  {check.verdict}: {check.name}: {report.text(row)}{bound}", flush=True)

    result = dict(
        benchmark="gpu_check",
        verdict="",
        has_gpu=has_gpu,
        settings=dataclasses.asdict(settings),
        parts=[],
    )
    for part in parts:  # All from the start, so that a report shows what was not reached.
        unfinished = dict(state=report.NOT_FINISHED, seconds=0.0, checks=[])
        result["parts"].append(dict(title=part.TITLE, **unfinished))
    for number, (part, described) in enumerate(zip(parts, result["parts"]), start=1):
        estimate = f", about {part.MINUTES:g} min on a T4 (estimated)" if has_gpu else ""
        print(f"[{number}/{len(parts)}] {part.TITLE}{estimate}", flush=True)
        start = time.monotonic()
        try:
            for check in part.measure(settings, folder):
                add(described, check)
            described["state"] = report.FINISHED
        # Whatever it is: the others are still worth knowing, and the report has the traceback.
        except Exception as error:
            add(described, checks.raised(part.TITLE, error))
            described["state"] = report.RAISED
        finally:  # Ctrl-C, too.
            described["seconds"] = time.monotonic() - start
            report.write(result, folder)
    return result


if __name__ == "__main__":
    define_flags()
    commands.run(main)
