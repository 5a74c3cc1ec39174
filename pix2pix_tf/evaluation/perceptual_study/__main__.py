r"""Builds a perceptual study, a page on which people say which of two pictures is fake.

    pix2pix evaluate --model=runs/facades --output=runs/facades/test
    pix2pix perceptual_study --algorithm=cgan=runs/facades/test \
        --output=study
    pix2pix perceptual_study results answers/*.json

An algorithm is a name and a folder: what evaluate wrote, whose targets are the real pictures, or
outputs, with --targets, a folder of real pictures of the same names. Open study/index.html, or
put the folder on any file host. Each session tests one algorithm, drawn by chance, or given in
the address: index.html?algorithm=cgan. The last command counts the files that people save: see
`results --help`.
"""

from __future__ import annotations

import pathlib
import runpy
import sys

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.perceptual_study import protocol


def define_flags() -> None:
    """Defines the flags of the command that builds."""
    flags.DEFINE_multi_string(
        "algorithm",
        None,
        "NAME=DIR: outputs of an algorithm. Once for each of several.",
        required=True,
    )
    flags.DEFINE_string(
        "targets",
        "",
        "Folder of the real pictures, of the outputs' names and sizes. Empty: the targets that "
        "evaluate wrote beside the outputs.",
    )
    flags.DEFINE_string("output", None, "Folder of the study; not there yet.", required=True)
    commands.define_flags(protocol.Settings)
    flags.adopt_module_key_flags(commands)  # Else --help would not list them.
    flags.DEFINE_integer("seed", 0, "Seed of the order that names the files.")


def main(unused_arguments: list[str]) -> None:
    """Builds what the flags name."""
    options = flags.FLAGS
    algorithms = {}
    for value in options.algorithm:
        name, _, folder = value.partition("=")
        if not (name and folder) or name in algorithms:
            raise InputError(f"--algorithm is {value!r}. Write NAME=DIR, each name once.")
        algorithms[name] = pathlib.Path(folder)
    from pix2pix_tf.evaluation.perceptual_study import build

    output = pathlib.Path(options.output)
    description = build.build(
        algorithms,
        output,
        targets=pathlib.Path(options.targets) if options.targets else None,
        settings=commands.config_from_flags(protocol.Settings),
        seed=options.seed,
    )
    print(
        f"Wrote the study {description['study']} to '{output}': {len(description['pairs'])} pairs; "
        f"algorithms: {', '.join(algorithms)}. Open '{output / 'index.html'}', or put the folder "
        "on a file host."
    )
    if not options.notice:
        print("It does not say who runs it, nor where to send the answers: --notice does.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["results"]:
        del sys.argv[1]
        # As the main module, so that --help is its own.
        runpy.run_module(f"{__package__}.results", run_name="__main__", alter_sys=True)
    else:
        define_flags()
        commands.run(main)
