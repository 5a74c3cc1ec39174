r"""Measures a model on pairs that it was not trained on.

    python -m pix2pix_tf.evaluate --model=runs/facades --output=runs/facades/test

Prints a table of L1, PSNR and SSIM, and writes `evaluation.json`, the outputs and a
grid of examples. The data set is the model's own unless `--dataset` names another.
Training chooses its best checkpoint on val where there is such a split: test is then
the fair measure.
"""

from __future__ import annotations

import dataclasses
import pathlib

from absl import flags

from pix2pix_tf import commands


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("model", None, "A run folder, or an exported SavedModel.", required=True)
    flags.DEFINE_string("checkpoint", "newest", commands.CHECKPOINT_HELP)
    flags.DEFINE_string("output", None, "Folder for the results; made if needed.", required=True)
    flags.DEFINE_string("dataset", "", "Name or folder. Empty: the one of the training.")
    flags.DEFINE_string("data_dir", "", "Folder of published sets. Empty: as in the training.")
    flags.DEFINE_enum(
        "split", "", ("", "train", "val", "test"), "Which split. Empty: test, or else val."
    )
    flags.DEFINE_integer("seed", 0, "Seed of the dropout noise.", lower_bound=0)


def main(unused_arguments: list[str]) -> None:
    """Evaluates what the flags name."""
    from pix2pix_tf.data import pairs
    from pix2pix_tf.evaluation import full_reference
    from pix2pix_tf.inference import translator
    from pix2pix_tf.training import loop

    options = flags.FLAGS
    translate = translator.load(options.model, checkpoint=options.checkpoint)
    config = dataclasses.replace(
        translate.config,
        dataset=options.dataset or translate.config.dataset,
        data_dir=options.data_dir or translate.config.data_dir,
    )
    split = options.split or pairs.find_split(
        config.dataset, ("test", "val"), data_dir=config.data_dir
    )
    # Without either, the refusal to read test names what there is.
    reader = loop.open_reader(config, split or "test", size=config.crop_size)
    result = full_reference.evaluate_pairs(
        translate,
        reader,
        pathlib.Path(options.output),
        dataset=config.dataset,
        split=split,
        seed=options.seed,
    )
    step = "" if result["step"] is None else f", step {result['step']:,}"
    print(f"{result['num_images']} images of {config.dataset}, {split}{step}:")
    for name, mean in result["mean"].items():
        print(f"  {name:5} {mean:8.4f}  (standard error {result['standard_error'][name]:.4f})")


if __name__ == "__main__":
    define_flags()
    commands.run(main)
