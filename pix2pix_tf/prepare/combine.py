"""The task `combine`: two folders, paired by name, to pictures A|B, or to folders A and B.

The partner of `photos/train/1.jpg` is `labels/train/1.png`: the same name below the
other folder, where the suffix may differ.
"""

from __future__ import annotations

import functools
import pathlib

from pix2pix_tf.config import PICTURE_CHANNELS
from pix2pix_tf.data import decoding, images
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, pair_files, work


def run(options) -> work.Outcome:
    """Combines `--input`, which becomes A, and `--input_b`."""
    if not options.input_b:
        raise InputError("combine needs --input_b, the folder of the partners of --input.")
    if options.layout == "inputs":
        raise InputError("--layout=inputs leaves B out, which combine is for. Use another layout.")
    output = pathlib.Path(options.output)
    found = [
        folders.find_images(folder, prefix=f"{pathlib.Path(folder)}/")
        for folder in (options.input, options.input_b)
    ]
    partners, faults = match(*found)
    sides = [side.folder for side in found]
    folders.open_output(output, sides, "combine", dict(layout=options.layout))
    function = functools.partial(
        _copy if options.layout == "folders" else _combine, sides=sides, output=output
    )
    return work.make_all(
        function,
        partners,
        name_of=lambda names: found[0].prefix + names[0],
        processes=options.processes,
        is_finished=lambda names: folders.is_finished(
            _output_paths(output, names, options.layout),
            [folder / name for folder, name in zip(sides, names)],
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


def _output_paths(output: pathlib.Path, names: tuple[str, str], layout: str) -> list[pathlib.Path]:
    """Returns the files of a pair; in folders each keeps its suffix."""
    paths = pair_files.output_paths(output, names[0], layout)
    if layout != "folders":
        return paths
    return [path.with_suffix(pathlib.Path(name).suffix) for path, name in zip(paths, names)]


def _combine(
    names: tuple[str, str], *, sides: list[pathlib.Path], output: pathlib.Path
) -> list[pathlib.Path]:
    """Writes A|B; returns the files whose colour profile is lost."""
    paths = [folder / name for folder, name in zip(sides, names)]
    for path in paths:
        info = images.inspect_image(path)
        if info.is_array and not (info.has_full_range and info.channels in PICTURE_CHANNELS):
            raise InputError(
                f"'{path}' has {info.channels} channel(s) of {info.bits} bits each, which no PNG "
                "holds. Put A and B into two folders, with --layout=folders."
            )
    a, b = map(pair_files.read, paths)
    pair_files.write_pair(output, names[0], a, b, layout="pairs")
    return pair_files.with_other_colours(paths)


def _copy(names: tuple[str, str], *, sides: list[pathlib.Path], output: pathlib.Path) -> None:
    """Copies both files as they are, once they have been read."""
    paths = [folder / name for folder, name in zip(sides, names)]
    decoding.check_size(paths, [images.inspect_image(path) for path in paths])
    for path in paths:
        pair_files.read_values(path)
    for path, target in zip(paths, _output_paths(output, names, "folders")):
        folders.write_output(target, path.read_bytes(), output=output)
