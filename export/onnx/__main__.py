r"""Converts a model to an ONNX file.

    pix2pix export onnx --saved_model=exported/facades --output=facades.onnx
    pix2pix export onnx --saved_model=exported/facades --output=facades.onnx \
        --signature=serving_default --quantize=float16 --size=dynamic

The file keeps the noise and the statistics of each image: nothing in it is in an evaluation mode.
Its metadata has the model card. It is compared with the SavedModel before it is written.
"""

from __future__ import annotations

import os

from absl import flags

from pix2pix_tf import commands

from .. import image_size
from . import conversion


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("saved_model", None, commands.EXPORTED_HELP, required=True)
    flags.DEFINE_string("output", None, "The .onnx file to write.", required=True)
    flags.DEFINE_enum(
        "signature",
        "with_noise",
        image_size.SIGNATURES,
        "with_noise: takes image and z, and is repeatable. serving_default: takes the image alone, "
        "and draws its noise at each call.",
    )
    flags.DEFINE_enum(
        "quantize",
        "none",
        conversion.QUANTIZATIONS,
        "none: float32. float16: weights of half the size, which a runtime makes float32 of.",
    )
    flags.DEFINE_string("size", "", image_size.FLAG_HELP)


def main(unused_arguments: list[str]) -> None:
    """Converts what the flags name."""
    options = flags.FLAGS
    difference = conversion.convert(
        options.saved_model,
        options.output,
        signature=options.signature,
        quantize=options.quantize,
        size=image_size.parse(options.size),
    )
    print(
        f"Wrote '{options.output}', {os.path.getsize(options.output) / 1e6:.1f} MB. Outputs, in "
        f"[-1, 1], differ from the SavedModel's by {difference['mean']:.1e} on average and "
        f"{difference['max']:.1e} at most."
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
