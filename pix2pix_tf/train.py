r"""Trains pix2pix, or continues a run.

    pix2pix train --dataset=facades --direction=BtoA --workdir=runs/facades

Every setting is a flag; `--help` lists them with their units, defaults and sources.
The run folder then holds the networks, checkpoints, metrics, TensorBoard events,
samples and `index.html`, a page to open in a browser. The same command continues
a run that was stopped; so does `--workdir` alone, since settings that are not given
are then those of the run. `--preset=NAME` sets what the paper's appendix says of a task;
flags that are given win, and `--preset=help` lists the tasks.
"""

from __future__ import annotations

import pathlib
import sys

from absl import flags

from pix2pix_tf import commands, files, presets
from pix2pix_tf.config import CONFIG_FILE, TrainConfig
from pix2pix_tf.errors import InputError, NonFiniteLossError

# What a preset would choose, but a run that goes on keeps unless it is given.
_OF_A_RUN = ("dataset", "load_size", "crop_size")


def define_flags() -> None:
    """Defines the flags of this command: the run folder, and one per setting."""
    # Not marked as required: --preset=help goes without.
    flags.DEFINE_string("workdir", "", "Run folder; made if it is not there. Required.")
    flags.DEFINE_enum(
        "preset",
        None,
        [*presets.PRESETS, presets.HELP],
        "A task of the paper, or own for pairs of yours, by which the settings below are chosen "
        "unless they are given: data set, direction, batch, jitter, mirroring, upsampling, and the "
        f"steps of the task's epochs over the data set at hand. --preset={presets.HELP} prints the "
        f"list:\n{presets.describe()}",
    )
    commands.define_flags(TrainConfig)
    flags.adopt_module_key_flags(commands)  # Else --help would not list them.


def main(unused_arguments: list[str]) -> int:
    """Trains as the flags say; returns the exit status."""
    if flags.FLAGS.preset == presets.HELP:
        print(presets.describe())
        return 0
    if not flags.FLAGS.workdir:
        raise InputError("There is no --workdir. Name the run folder; it is made if new.")
    workdir = pathlib.Path(flags.FLAGS.workdir)
    saved = None
    if files.is_file(workdir / CONFIG_FILE):
        saved = TrainConfig.load(workdir)
        print(f"Settings that are not given are those of '{workdir / CONFIG_FILE}'.")
    if flags.FLAGS.preset:
        config = config_of_preset(flags.FLAGS.preset, saved)
    else:
        config = commands.config_from_flags(TrainConfig, saved=saved)
    # After the flags are known to be right: TensorFlow takes seconds to import.
    from pix2pix_tf.training import loop

    try:
        loop.train(config, workdir)
    except NonFiniteLossError as error:
        print(f"error: {error}", file=sys.stderr)
        return commands.EXIT_NON_FINITE
    except loop.WorkerLostError as error:
        print(
            f"error: {error} Start all workers again: they go on from the newest checkpoint.",
            file=sys.stderr,
        )
        return commands.EXIT_WORKER_LOST
    return 0


def config_of_preset(name: str, saved: TrainConfig | None) -> TrainConfig:
    """Returns the settings of a preset, under the flags that are given; says what it chose.

    Args:
        name: Name of the preset.
        saved: Settings of the run that goes on, if one does. Its data set and sizes win over
            the preset's; of another direction or colours it is another task, which the run refuses.

    Raises:
        InputError: If a value is not allowed, or the data set is not there.
    """
    given = commands.given_flags(TrainConfig)
    kept = {field: getattr(saved, field) for field in _OF_A_RUN} if saved else {}
    chosen = presets.settings(name, {**kept, **given})
    config = commands.config_from_flags(TrainConfig, saved=saved, preset=chosen)
    if "num_steps" in chosen:
        # After the flags are known to be right: a published set is downloaded here.
        from pix2pix_tf.data import pairs

        num_pairs = pairs.count_pairs(config.dataset, "train", data_dir=config.data_dir)
        chosen["num_steps"] = presets.num_steps(name, num_pairs, config.batch_size)
        config = commands.config_from_flags(TrainConfig, saved=saved, preset=chosen)
    listed = ", ".join(f"{field}={value}" for field, value in chosen.items())
    print(f"Preset {name}: {listed}.", flush=True)
    return config


if __name__ == "__main__":
    define_flags()
    commands.run(main)
