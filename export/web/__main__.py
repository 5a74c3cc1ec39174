r"""Assembles the drawing page of a trained model: a static site, for any file host.

    pix2pix export browser
    pix2pix export web --workdir=runs/facades --output=site
    pix2pix export web.serve --site=site    # opens it in the browser

The first command fetches LiteRT.js and TF.js, of which one is copied into the site. At run time the
page asks no other host for anything.
"""

from __future__ import annotations

import pathlib

from absl import flags

from pix2pix_tf import commands, files

from .runtimes import DEFAULT, RUNTIMES


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("workdir", None, commands.RUN_FOLDER_HELP, required=True)
    flags.DEFINE_string("output", None, "Folder of the site; not there yet.", required=True)
    commands.define_checkpoint_flags()
    flags.DEFINE_enum(
        "runtime",
        DEFAULT,
        list(RUNTIMES),
        "litert: LiteRT.js, the faster one on processors, and with WebGPU. tfjs: TF.js, smaller by "
        "8 MB for a visitor, and with WebGL too, for computers with an older GPU.",
    )
    flags.DEFINE_enum(
        "quantize",
        "float16",
        sorted({name for runtime in RUNTIMES.values() for name in runtime.quantizations}),
        "How kernels are stored: as they are; in half the bytes, which makes no difference that "
        "can be seen; or in a quarter, dynamic for litert and uint8 for tfjs.",
    )
    flags.DEFINE_string(
        "data_dir", "", "Published sets, for samples; none is fetched. Empty: as in the training."
    )


def main(unused_arguments: list[str]) -> None:
    """Assembles what the flags name."""
    from . import assemble

    options = flags.FLAGS
    site = assemble.assemble(
        pathlib.Path(options.workdir),
        pathlib.Path(options.output),
        **commands.checkpoint_from_flags(),
        runtime=options.runtime,
        quantize=options.quantize,
        data_dir=options.data_dir,
    )
    print(
        f"Wrote '{site}', {files.megabytes(site):.1f} MB. To look at it: pix2pix export web.serve "
        f"--site='{site}'."
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
