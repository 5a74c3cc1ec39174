r"""Trains the segmenter that the FCN-score asks, on photos and class maps.

    pix2pix train_segmenter --dataset=facades --data_dir=DATA \
        --class_maps=DATA/facades_index --output=runs/segmenter --base_filters=16

Prints the scores of real photos, the most that a translation can be expected to reach,
and the share of the most frequent class, the least. The same command continues a
training that was stopped; so does `--output` alone.
"""

from __future__ import annotations

import pathlib
import sys

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.errors import NonFiniteLossError
from pix2pix_tf.evaluation.fcn_score.segmenter_config import SegmenterConfig


def define_flags() -> None:
    """Defines the flags of this command: the folder, and one per setting."""
    flags.DEFINE_string("output", None, "The segmenter's folder; made if needed.", required=True)
    commands.define_flags(SegmenterConfig)
    flags.adopt_module_key_flags(commands)  # Else --help would not list them.


def main(unused_arguments: list[str]) -> int:
    """Trains as the flags say; returns the exit status."""
    from pix2pix_tf.evaluation.fcn_score import segmenter_training

    output = pathlib.Path(flags.FLAGS.output)
    saved = segmenter_training.read_training(output)
    if saved is not None:
        print(f"Settings that are not given are those of '{output}'.")
    config = commands.config_from_flags(SegmenterConfig, saved=saved)
    try:
        info = segmenter_training.train(config, output)
    except NonFiniteLossError as error:
        print(f"error: {error}", file=sys.stderr)
        return commands.EXIT_NON_FINITE
    if info is None:
        return 0
    print(f"Real photos, step {info['step']}:")
    for split in ("val", "test"):
        if split in info:
            frequent = info[split]["most_frequent_class"]
            print(
                f"  {split:5} {segmenter_training.score_text(info[split])} "
                f"({frequent['name']}, the most frequent class, has {frequent['share']:.3f})"
            )
    if info["val"]["per_pixel_accuracy"] <= info["val"]["most_frequent_class"]["share"]:
        print(
            "warning: on val this is no better than the most frequent class everywhere. Do not "
            "score translations with it: train it longer, or with another --learning_rate."
        )
    return 0


if __name__ == "__main__":
    define_flags()
    commands.run(main)
