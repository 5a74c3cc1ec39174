r"""Exports a trained generator as a SavedModel for TensorFlow Serving and converters.

    pix2pix export saved_model --workdir=runs/facades --output=exported/facades

Writes the next version, `exported/facades/1` and so on, with three signatures:
`serving_default` (tensors), `with_noise` (tensors and the noise z) and `encoded`
(image files of any size); the last only where PNG and JPEG hold the model's channels and
values. Of colorization, `encoded` makes a colour photo of a photo, grey or not, where the others
take L and give a and b. `assets.extra/model_card.json` describes them.
"""

from __future__ import annotations

import pathlib

from absl import flags

from pix2pix_tf import commands, pretrained
from pix2pix_tf.config import MAX_SERVED_PIXELS, TrainConfig


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("workdir", None, commands.RUN_FOLDER_HELP, required=True)
    flags.DEFINE_string("output", None, "Model folder; versions go below it.", required=True)
    commands.define_checkpoint_flags()
    flags.DEFINE_enum(
        "statistics",
        "image",
        ("image", "batch"),
        "What normalisation looks at. image: each image alone, so that a server may batch "
        "strangers' requests. batch: the paper's rule to the letter.",
    )
    flags.DEFINE_enum(
        "dropout",
        "on",
        ("on", "off"),
        "Whether the noise stays on, as in the paper. off: the same output for the same input, "
        "which does not flicker in video.",
    )
    flags.DEFINE_enum(
        "device",
        "cpu",
        ("cpu", "gpu"),
        "What the server computes on. cpu: the innermost convolutions of small images are products "
        "of matrices, which are faster there. gpu: all are left to the GPU's own. Either export "
        "computes the same, on either device.",
    )
    flags.DEFINE_integer(
        "max_pixels",
        MAX_SERVED_PIXELS,
        "Most pixels of an image that `encoded` takes, its sides padded to multiples of crop_size.",
        lower_bound=1,
    )


def main(unused_arguments: list[str]) -> None:
    """Exports what the flags name."""
    from pix2pix_tf import serving

    options = flags.FLAGS
    version = serving.save_version(
        pathlib.Path(options.workdir),
        pathlib.Path(options.output),
        **commands.checkpoint_from_flags(),
        statistics=options.statistics,
        dropout=options.dropout == "on",
        max_pixels=options.max_pixels,
        device=options.device,
    )
    print(f"Wrote '{version}'.")
    reason = serving.why_not_encoded(TrainConfig.load(pretrained.find_model(options.workdir)))
    if reason:
        print(f"{reason}. It does not have a signature `encoded`; the other two take arrays.")


if __name__ == "__main__":
    define_flags()
    commands.run(main)
