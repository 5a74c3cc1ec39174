r"""Runs the paper's ablations: losses, generators, receptive fields.

    python -m benchmarks.ablation --dataset=facades --direction=BtoA --crop_size=128 \
        --base_filters=32 --num_steps=6000 --seeds=0,1 --output=ablation

Every setting of training that the grids do not decide is a flag. Each configuration is
trained in its own folder, OUTPUT/runs/VARIANT-seedN, and evaluated on the same images;
the last checkpoint counts, never a chosen one. What is done is not done again: the same
command goes on after a stop. `--report` writes the report of what there is so far.

Writes `ablation.json`, `ablation.md`, `ablation.html` and a picture for each grid, with
the paper's claims held against the numbers.
"""

from __future__ import annotations

import pathlib
import shlex
import sys

from absl import flags

from benchmarks.ablation import grids
from pix2pix_tf import commands, files
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError

_OF_EVALUATION = ("segmenter", "class_maps", "feature_weights")


def define_flags() -> None:
    """Defines the flags of this command: those of training, and its own."""
    commands.define_flags(TrainConfig, leave_out=grids.DECIDED)
    # All are compared at their last step: by L1, the best checkpoint of GAN alone means nothing.
    flags.FLAGS.set_default("best_metric", "none")
    flags.FLAGS.set_default("keep_checkpoints", 1)
    flags.DEFINE_string("output", None, "Folder of the ablation; made if needed.", required=True)
    flags.DEFINE_multi_enum(
        "grids", list(grids.GRIDS), list(grids.GRIDS), "Which comparisons; all unless named."
    )
    flags.DEFINE_list(
        "seeds",
        ["0"],
        "Seeds; the first for every configuration, the others for those of the headline claims.",
    )
    for name in _OF_EVALUATION:
        flags.DEFINE_string(name, "", "As for pix2pix_tf.evaluate.")
    flags.DEFINE_boolean("report", False, "Only write the report of the runs that are evaluated.")
    flags.adopt_module_key_flags(commands)


def main(unused_arguments: list[str]) -> None:
    """Trains, evaluates and reports as the flags say."""
    options = flags.FLAGS
    base = commands.config_from_flags(TrainConfig)
    output = pathlib.Path(options.output)
    planned = grids.list_runs(options.grids, base, _read_seeds(options.seeds), output)
    from benchmarks.ablation import report, runs

    files.make_output_folder(output)
    arguments = [f"--samples={report.NUM_SAMPLES}"]
    for name in _OF_EVALUATION:
        if options[name].value:
            arguments.append(f"--{name}={options[name].value}")
    for number, run in enumerate(planned, start=1):
        if options.report:
            break
        print(f"[{number}/{len(planned)}] {run.name}", flush=True)
        runs.train(run)
        runs.evaluate(run, arguments)
    outcomes = [found for found in map(runs.read_outcome, planned) if found is not None]
    if not outcomes:
        raise InputError(f"No run in '{output}' is evaluated yet. Leave out --report to run them.")
    command = shlex.join(["python", "-m", "benchmarks.ablation", *sys.argv[1:]])
    print(report.write(outcomes, output, wanted=options.grids, command=command))
    print(f"Open '{output / report.PAGE}' for the pictures.")


def _read_seeds(texts: list[str]) -> list[int]:
    try:
        seeds = [int(text) for text in texts]
    except ValueError:
        raise InputError(
            f"seeds is {','.join(texts)!r}. Write whole numbers with commas, as 0,1."
        ) from None
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds is {','.join(texts)!r}. Give at least one, each once.")
    return seeds


if __name__ == "__main__":
    define_flags()
    commands.run(main)
