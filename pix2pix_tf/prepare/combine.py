"""The task `combine`: two folders, paired by name, to pictures A|B, or to folders A and B.

The partner of `photos/train/1.jpg` is `labels/train/1.png`: the same name below the
other folder, where the suffix may differ.
"""

from __future__ import annotations

import pathlib

from pix2pix_tf.config import PICTURE_CHANNELS
from pix2pix_tf.data import decoding, images
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, jobs, pair_files, work


def run(options) -> work.Outcome:
    """Combines `--input`, which becomes A, and `--input_b`."""
    if not options.input_b:
        raise InputError("combine needs --input_b, the folder of the partners of --input.")
    if options.layout == "inputs":
        raise InputError("--layout=inputs leaves B out, which combine is for. Use another layout.")
    output = pathlib.Path(options.output)
    a, b = (
        folders.find_images(folder, prefix=f"{pathlib.Path(folder)}/")
        for folder in (options.input, options.input_b)
    )
    partners, faults = match(a, b)
    folders.open_output(output, [a.folder, b.folder], "combine", dict(layout=options.layout))
    are_copies = options.layout == "folders"
    return jobs.make_all(
        _copy if are_copies else _combine,
        [
            folders.Job(
                a.prefix + names[0],
                (a.folder / names[0], b.folder / names[1]),
                _output_paths(output, names, options.layout),
            )
            for names in partners
        ],
        output=output,
        what="pairs",
        faults=faults,
        processes=options.processes,
        are_copies=are_copies,
    )


def match(a: folders.Found, b: folders.Found) -> tuple[list[tuple[str, str]], list[work.Fault]]:
    """Returns the names of the pairs, in A and in B, and the faults of both folders."""
    a_of, b_of = (
        {str(pathlib.PurePosixPath(name).with_suffix("")): name for name in side.names}
        for side in (a, b)
    )
    faults = [*a.faults, *b.faults]
    for side, mine, other, others in ((a, a_of, b, b_of), (b, b_of, a, a_of)):
        problem = f"has no partner in '{other.folder}'. Add it, or take this out."
        faults += [
            work.Fault(side.prefix + mine[stem], problem)
            for stem in sorted(mine.keys() - others.keys())
        ]
    return [(a_of[stem], b_of[stem]) for stem in sorted(a_of.keys() & b_of.keys())], faults


def _output_paths(
    output: pathlib.Path, names: tuple[str, str], layout: str
) -> tuple[pathlib.Path, ...]:
    """Returns the files of a pair; in folders each keeps its suffix."""
    paths = pair_files.output_paths(output, names[0], layout)
    if layout != "folders":
        return paths
    return tuple(path.with_suffix(pathlib.Path(name).suffix) for path, name in zip(paths, names))


def _combine(job: folders.Job) -> list[bytes]:
    """Returns A|B."""
    for path in job.inputs:
        info = images.inspect_image(path)
        if info.is_array and not (info.has_full_range and info.channels in PICTURE_CHANNELS):
            raise InputError(
                f"'{path}' has {info.channels} channel(s) of {info.bits} bits each, which no PNG "
                "holds. Put A and B into two folders, with --layout=folders."
            )
    return pair_files.encode_pair(*map(pair_files.read, job.inputs), "pairs")


def _copy(job: folders.Job) -> list[bytes]:
    """Returns both files as they are, once they have been read."""
    decoding.check_size(job.inputs, [images.inspect_image(path) for path in job.inputs])
    for path in job.inputs:
        pair_files.read_values(path)
    return jobs.copy(job)
