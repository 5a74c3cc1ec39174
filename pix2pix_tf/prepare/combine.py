"""The task `combine`: two folders, paired by name, to pictures A|B.

The partner of `photos/train/1.jpg` is `labels/train/1.png`: the same name below the
other folder, where the suffix may differ.
"""

from __future__ import annotations

import functools
import pathlib

from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, pair_files, work


def run(options) -> work.Outcome:
    """Combines `--input`, which becomes A, and `--input_b`."""
    if not options.input_b:
        raise InputError("combine needs --input_b, the folder of the partners of --input.")
    output = pathlib.Path(options.output)
    found = [
        folders.find_images(folder, prefix=f"{pathlib.Path(folder)}/")
        for folder in (options.input, options.input_b)
    ]
    partners, faults = match(*found)
    folders.open_output(output, [found[0].folder, found[1].folder], "combine", {})
    function = functools.partial(
        _combine, a_folder=found[0].folder, b_folder=found[1].folder, output=output
    )
    return work.make_all(
        function,
        partners,
        name_of=lambda names: found[0].prefix + names[0],
        processes=options.processes,
        is_finished=lambda names: folders.is_finished(
            pair_files.output_paths(output, names[0], "pairs"),
            [side.folder / name for side, name in zip(found, names)],
        ),
        faults=faults,
        what="pairs",
        output=output,
    )


def match(a: folders.Found, b: folders.Found) -> tuple[list[tuple[str, str]], list[work.Fault]]:
    """Returns the names of the pairs, in A and in B, and the faults of both folders."""
    names = [
        {str(pathlib.PurePosixPath(name).with_suffix("")): name for name in side.names}
        for side in (a, b)
    ]
    faults = [*a.faults, *b.faults]
    for side, mine, other, others in ((a, names[0], b, names[1]), (b, names[1], a, names[0])):
        problem = f"has no partner in '{other.folder}'. Add it, or take this out."
        faults += [
            work.Fault(side.prefix + mine[stem], problem)
            for stem in sorted(mine.keys() - others.keys())
        ]
    both = sorted(names[0].keys() & names[1].keys())
    return [(names[0][stem], names[1][stem]) for stem in both], faults


def _combine(
    names: tuple[str, str],
    *,
    a_folder: pathlib.Path,
    b_folder: pathlib.Path,
    output: pathlib.Path,
) -> None:
    a, b = pair_files.read(a_folder / names[0]), pair_files.read(b_folder / names[1])
    pair_files.write_pair(output, names[0], a, b, layout="pairs")
