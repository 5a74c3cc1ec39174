r"""Shows that a trained model gives the same picture on every runtime.

    pix2pix export verify --workdir=runs/facades --checkpoint=best --output=parity

Exports the run, converts it in every form, and gives the same images and the same
noise z to Keras, the SavedModel in Python and in TensorFlow Serving's C++ session,
TFLite, ONNX and TF.js. Writes `parity.json`, `parity.md` (the table) and `parity.png` (the
outputs and their differences), and ends with exit status 1 if a runtime is further
from Keras than its limit or fails, or the noise is not alive.

TFLite needs LiteRT, ONNX the extra `onnx`, TF.js Node and `export browser`, and Chromium on
the path.
Where one of them is not there, `--runtimes`, once for each, names the others:

    pix2pix export verify --workdir=runs/facades --output=parity --runtimes=cpp --runtimes=tflite

The images are held-out ones of the training's data set. Where that is not on this machine,
`--dataset` and `--data_dir` name other pairs, with which int8 is calibrated too.
"""

from __future__ import annotations

import pathlib

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.errors import printable

from .parity import verification
from .parity.runtimes import Settings

EXIT_DIFFERS = 1


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("workdir", None, commands.RUN_FOLDER_HELP, required=True)
    flags.DEFINE_string("output", None, "Folder for the results.", required=True)
    commands.define_checkpoint_flags()
    flags.DEFINE_integer("num_images", 5, "Held-out images to compare.", lower_bound=1)
    flags.DEFINE_integer("repeat", 5, "Runs of which the median time is taken.", lower_bound=1)
    flags.DEFINE_integer(
        "num_draws", 64, "Draws of the noise whose mean is compared.", lower_bound=2
    )
    flags.DEFINE_integer("num_threads", 2, "CPU threads of TFLite.", lower_bound=1)
    kinds = verification.kinds()
    flags.DEFINE_multi_enum(
        "runtimes",
        kinds,
        kinds,
        "A runtime to compare, beside Python's SavedModel. For several, repeat the flag.",
    )
    flags.DEFINE_string(
        "dataset", "", "Pairs to compare with: name or folder. Empty: as in the training."
    )
    flags.DEFINE_string("data_dir", "", "Folder of published sets. Empty: as in the training.")


def main(unused_arguments: list[str]) -> int:
    """Verifies what the flags name; returns the exit status."""
    options = flags.FLAGS
    output = pathlib.Path(options.output)
    result = verification.verify(
        pathlib.Path(options.workdir),
        output,
        **commands.checkpoint_from_flags(),
        num_images=options.num_images,
        repeat=options.repeat,
        num_draws=options.num_draws,
        wanted=options.runtimes,
        settings=Settings(options.num_threads, options.dataset, options.data_dir),
    )
    print((output / "parity.md").read_text(encoding="utf-8"))
    faults = [fault for row in result["runtimes"] for fault in row["faults"]]
    for fault in faults:
        print(f"FAILED: {printable(fault)}")
    return EXIT_DIFFERS if faults else 0


if __name__ == "__main__":
    define_flags()
    commands.run(main)
