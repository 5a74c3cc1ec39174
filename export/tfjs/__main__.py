r"""Converts an exported SavedModel to TF.js graph models, one a signature.

    pix2pix export tfjs --saved_model=exported/facades --output=exported/facades_tfjs

Writes `serving_default/model.json` (an image in, noise drawn inside) and
`with_noise/model.json` (image and z in, determined by its inputs), which share the
files in `weights/`. TF.js 4.22 loads each with `tf.loadGraphModel`. The model card
is each model.json's `userDefinedMetadata`.

The signature `encoded` is left out: TF.js does not have an operation that decodes an image,
and a browser decodes images by itself.
"""

from __future__ import annotations

import pathlib

from absl import flags

from pix2pix_tf import commands, files

from .. import image_size
from . import conversion, weights


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("saved_model", None, commands.EXPORTED_HELP, required=True)
    flags.DEFINE_string("output", None, "Folder to write; not there yet.", required=True)
    flags.DEFINE_enum("quantize", "none", weights.QUANTIZATIONS, weights.FLAG_HELP)
    flags.DEFINE_string("size", "", image_size.FLAG_HELP)


def main(unused_arguments: list[str]) -> None:
    """Converts what the flags name."""
    options = flags.FLAGS
    written = conversion.convert(
        pathlib.Path(options.saved_model),
        pathlib.Path(options.output),
        quantize=options.quantize,
        size=image_size.parse(options.size),
    )
    print(f"Wrote '{written}', {files.megabytes(written):.1f} MB.")


if __name__ == "__main__":
    define_flags()
    commands.run(main)
