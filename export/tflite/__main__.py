r"""Converts an exported SavedModel to a file for TensorFlow Lite, now LiteRT.

    pix2pix export tflite --saved_model=exported/facades --output=facades.tflite \
        --quantize=float16

The file has the signatures `serving_default` (image) and `with_noise` (image and the
noise z), needs no more than LiteRT's own operators, and says about itself what the
model card says (`unzip -p facades.tflite metadata.json`). It is made for one size of
image, `crop_size` unless `--size` names another; docs/tflite.md has the measures.
"""

from __future__ import annotations

import os
import pathlib

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.errors import InputError

from .. import image_size
from . import conversion


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("saved_model", None, commands.EXPORTED_HELP, required=True)
    flags.DEFINE_string("output", None, "The .tflite file to write.", required=True)
    flags.DEFINE_enum(
        "quantize",
        "none",
        conversion.QUANTIZATIONS,
        "none: float32. float16: weights of half the size. dynamic: 8-bit weights. int8: 8-bit "
        "weights and activations, with normalisation in float32. Inputs and outputs are float32 "
        "in all of them.",
    )
    flags.DEFINE_string("size", "", image_size.FLAG_HELP)
    flags.DEFINE_string(
        "dataset", "", "Pairs to calibrate int8 with: name or folder. Empty: as in the training."
    )
    flags.DEFINE_string(
        "data_dir", "", "Folder of published sets, for int8. Empty: as in the training."
    )
    flags.DEFINE_integer(
        "calibration_pairs",
        conversion.CALIBRATION_PAIRS,
        "Training pairs to calibrate int8 with, chosen at random, always the same.",
        lower_bound=1,
    )


def main(unused_arguments: list[str]) -> None:
    """Converts what the flags name."""
    options = flags.FLAGS
    given = [x for x in ("dataset", "data_dir", "calibration_pairs") if options[x].present]
    if given and options.quantize != "int8":
        raise InputError(f"--{given[0]} is for --quantize=int8 alone. Leave it out.")
    metadata = conversion.convert(
        pathlib.Path(options.saved_model),
        pathlib.Path(options.output),
        quantize=options.quantize,
        size=image_size.parse(options.size),
        dataset=options.dataset,
        data_dir=options.data_dir,
        calibration_pairs=options.calibration_pairs,
    )
    difference = metadata["difference"]
    print(
        f"Wrote '{options.output}', {os.path.getsize(options.output) / 1e6:.1f} MB. Outputs, in "
        f"[-1, 1], differ from the SavedModel's by {difference['mean']:.1e} on average and "
        f"{difference['max']:.1e} at most."
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
