"""The task `combine`: two folders, paired by name, to pictures A|B, or to folders A and B.

The partner of `photos/train/1.jpg` is `labels/train/1.png`: the same name below the
other folder, where the suffix may differ, and what matches `--ignore_in_names`. Pairs are named
after their A.
"""

from __future__ import annotations

import pathlib
import re
import unicodedata

from pix2pix_tf.data import decoding, images, nearby
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import folders, pair_files, work


def run(options) -> work.Outcome:
    """Combines `--input`, which becomes A, and `--input_b`."""
    if not options.input_b:
        raise InputError("combine needs --input_b, the folder of the partners of --input.")
    if options.layout == "inputs":
        raise InputError("--layout=inputs leaves B out, which combine is for. Use another layout.")
    ignored = options.ignore_in_names
    try:
        re.compile(ignored)
    except re.error as error:
        raise InputError(
            f"--ignore_in_names is '{ignored}', which is not a regular expression ({error}). Give "
            "one such as '_mask$'."
        ) from None
    output, are_copies = pathlib.Path(options.output), options.layout == "folders"
    a_folder, b_folder = pathlib.Path(options.input), pathlib.Path(options.input_b)
    (a, a_faults), (b, b_faults) = (_list(folder, ignored) for folder in (a_folder, b_folder))
    faults = [*a_faults, *b_faults]
    for folder, mine, other, others in ((a_folder, a, b_folder, b), (b_folder, b, a_folder, a)):
        problem = f"has no partner in '{other}'. Add it, or take this out."
        faults += [work.Fault(f"{folder}/{mine[x]}", problem) for x in mine.keys() - others.keys()]
    told, pattern = nearby.differences_of_names(a, b)
    if told and not ignored:  # Before anything is written, for that command to have an output.
        command = nearby.combine(
            *(a_folder, b_folder, output), layout=options.layout, ignored=pattern
        )
        return work.Outcome(f"Wrote nothing. {told}: {command} makes pairs of them.", faults)
    # Outputs of earlier versions have no word of it.
    settings = dict(ignore_in_names=ignored) if ignored else {}
    settings["layout"] = options.layout
    folders.open_output(output, [a_folder, b_folder], "combine", settings)
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


def _list(folder: pathlib.Path, ignored: str) -> tuple[dict[str, str], list[work.Fault]]:
    """Returns the images of a folder by what is compared of their names, and the faults.

    Raises:
        InputError: If two have the same name without what is ignored.
    """
    names, faults = folders.find_images(folder, prefix=f"{folder}/")
    found = {}
    for name in names:
        stem = unicodedata.normalize("NFC", str(pathlib.PurePosixPath(name).with_suffix("")))
        compared = nearby.without(ignored, stem)
        if found.setdefault(compared, name) != name:
            raise InputError(
                f"--ignore_in_names is '{ignored}', without which '{folder}/{found[compared]}' and "
                f"'{folder}/{name}' have the same name. Give one that matches less."
            )
    return found, faults


def _combine(job: folders.Job) -> list[bytes]:
    """Returns A|B."""
    return pair_files.encode_pair(*map(pair_files.read, job.inputs), "pairs")


def _copy(job: folders.Job) -> list[bytes]:
    """Returns both files as they are, once they have been read."""
    decoding.check_size(job.inputs, [images.inspect_image(path) for path in job.inputs])
    for path in job.inputs:
        pair_files.read_values(path)
    return folders.copy(job)
