"""The task `combine`: two folders, paired by name, to pictures A|B, or to folders A and B.

The partner of `photos/train/1.jpg` is `labels/train/1.png`: the same name below the
other folder, where the suffix may differ.
"""

from __future__ import annotations

import pathlib

from pix2pix_tf.data import decoding, images
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, pair_files, work


def run(options) -> work.Outcome:
    """Combines `--input`, which becomes A, and `--input_b`."""
    if not options.input_b:
        raise InputError("combine needs --input_b, the folder of the partners of --input.")
    if options.layout == "inputs":
        raise InputError("--layout=inputs leaves B out, which combine is for. Use another layout.")
    output, are_copies = pathlib.Path(options.output), options.layout == "folders"
    a_folder, b_folder = pathlib.Path(options.input), pathlib.Path(options.input_b)
    (a, a_faults), (b, b_faults) = map(_list, (a_folder, b_folder))
    faults = [*a_faults, *b_faults]
    for folder, mine, other, others in ((a_folder, a, b_folder, b), (b_folder, b, a_folder, a)):
        problem = f"has no partner in '{other}'. Add it, or take this out."
        faults += [work.Fault(f"{folder}/{mine[x]}", problem) for x in mine.keys() - others.keys()]
    folders.open_output(output, [a_folder, b_folder], "combine", dict(layout=options.layout))
    pairs = []
    for stem in sorted(a.keys() & b.keys()):
        inputs = (a_folder / a[stem], b_folder / b[stem])
        outputs = pair_files.output_paths(output, a[stem], options.layout)
        if are_copies:  # Each keeps its suffix.
            outputs = tuple(new.with_suffix(old.suffix) for new, old in zip(outputs, inputs))
        pairs.append(folders.Job(f"{a_folder}/{a[stem]}", inputs, outputs))
    make = _copy if are_copies else _combine
    return folders.make_all(
        make, pairs, options, what="pairs", faults=faults, are_copies=are_copies
    )


def _list(folder: pathlib.Path) -> tuple[dict[pathlib.PurePosixPath, str], list[work.Fault]]:
    """Returns the images of a folder by their names without the suffix, and the faults."""
    names, faults = folders.find_images(folder, prefix=f"{folder}/")
    return {pathlib.PurePosixPath(name).with_suffix(""): name for name in names}, faults


def _combine(job: folders.Job) -> list[bytes]:
    """Returns A|B."""
    return pair_files.encode_pair(*map(pair_files.read, job.inputs), "pairs")


def _copy(job: folders.Job) -> list[bytes]:
    """Returns both files as they are, once they have been read."""
    decoding.check_size(job.inputs, [images.inspect_image(path) for path in job.inputs])
    for path in job.inputs:
        pair_files.read_values(path)
    return folders.copy(job)
