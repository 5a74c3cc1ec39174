r"""Runs the paper's ablations: losses, generators, receptive fields; and comparisons of our own.

    python -m benchmarks.ablation --dataset=facades --direction=BtoA --crop_size=128 \
        --base_filters=32 --num_steps=6000 --seeds=0,1 --output=ablation

Every setting of training that the grids do not decide is a flag. Each configuration is
trained in its own folder, OUTPUT/runs/VARIANT-seedN, and evaluated on the same images;
the last checkpoint counts, never a chosen one. What is done is not done again: the same
command resumes after a stop.

Writes `ablation.json`, `ablation.md`, `ablation.html` and a picture for each grid, with
the paper's claims compared with the numbers; anew after each run, so that there is always a
report of what is done.
"""

from __future__ import annotations

import pathlib
import re
import shlex
import sys

from absl import flags

from benchmarks.ablation import grids, subsets
from pix2pix_tf import commands, files
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError

# All are compared at their last step: by L1, the best checkpoint of GAN alone means nothing.
_DEFAULTS = dict(best_metric="none", keep_checkpoints=1)
_OF_EVALUATION = ("segmenter", "class_maps", "feature_weights")


def define_flags() -> None:
    """Defines the flags of this command: those of training, and its own."""
    commands.define_flags(TrainConfig, leave_out=grids.DECIDED)
    for name, value in _DEFAULTS.items():
        flags.FLAGS.set_default(name, value)
    flags.DEFINE_string("output", None, "Folder of the ablation; made if needed.", required=True)
    flags.DEFINE_multi_enum(
        "grids",
        list(grids.PAPER_GRIDS),
        list(grids.GRIDS),
        "Which comparisons; those of the paper unless named.",
    )
    flags.DEFINE_list(
        "seeds",
        ["0"],
        "Seeds. Of the paper's grids, the first is for every configuration, the others for those "
        "of the headline claims; of other grids, all are for all.",
    )
    for name in _OF_EVALUATION:
        flags.DEFINE_string(name, "", "As for pix2pix_tf.evaluate.")
    flags.adopt_module_key_flags(commands)


def main(unused_arguments: list[str]) -> None:
    """Trains, evaluates and reports as the flags say."""
    options = flags.FLAGS
    base = commands.config_from_flags(TrainConfig, preset=_DEFAULTS)
    output = pathlib.Path(options.output)
    planned = grids.list_runs(options.grids, base, _read_seeds(options.seeds), output)
    from benchmarks.ablation import report, runs

    for run in planned:
        runs.check_folder(run)
    _check_evaluation(base)
    files.make_output_folder(output)
    for count in sorted({grids.VARIANTS[run.variant].num_pairs for run in planned} - {0}):
        subsets.write(output, base, count)
    settings = {name: options[name].value for name in _OF_EVALUATION if options[name].value}
    outcomes, text = [], ""
    for number, run in enumerate(planned, start=1):
        print(f"[{number}/{len(planned)}] {run.name}", flush=True)
        runs.train(run)
        for weights in run.readings:
            runs.evaluate(run, weights, dict(settings, samples=report.NUM_SAMPLES))
            outcomes.append(runs.read_outcome(run, weights))
        text = report.write(outcomes, output, wanted=options.grids, command=_command_line())
    print(f"{text}\nOpen '{output / report.PAGE}' for the pictures.")


def _check_evaluation(config: TrainConfig) -> None:
    """Opens what the evaluations need, so that a wrong flag is not found after hours."""
    from pix2pix_tf.data import classes, pairs
    from pix2pix_tf.evaluation import reference

    split = pairs.find_split(config.dataset, ("test", "val"), data_dir=config.data_dir)
    table = classes.of_side(config.dataset, config.direction[-1])
    if "labels" in flags.FLAGS.grids and not (config.classes or table):
        raise InputError(
            f"--grids=labels is of outputs that are label maps, and those of {config.dataset} "
            f"{config.direction} are not known to be. Give the other --direction, or --classes."
        )
    reference.Reference(
        config,
        split=split or "test",  # Which is refused, naming what there is.
        size=config.crop_size,
        classes=None if config.classes else table,
        **{name: flags.FLAGS[name].value for name in _OF_EVALUATION},
    )


def _command_line() -> str:
    """Returns the command for the record; of absolute paths the last part alone."""
    words = [re.sub("(^|=)/.*/(?=.)", r"\1", argument) for argument in sys.argv[1:]]
    return shlex.join(["python", "-m", "benchmarks.ablation", *words])


def _read_seeds(texts: list[str]) -> list[int]:
    if not texts or len(set(texts)) < len(texts) or not all(text.isdecimal() for text in texts):
        raise InputError(
            f"--seeds is '{','.join(texts)}'. Write different whole numbers with commas, as 0,1."
        )
    return list(map(int, texts))


if __name__ == "__main__":
    define_flags()
    commands.run(main)
