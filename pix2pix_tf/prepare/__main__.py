r"""Prepares data sets, in the layouts that training reads.

    pix2pix prepare combine --input=labels --input_b=photos --output=pairs
    pix2pix prepare colorize --input=photos --output=pairs
    pix2pix prepare edges --input=photos --output=pairs --size=286
    pix2pix prepare inpaint --input=photos --output=pairs --holes=strokes
    pix2pix prepare labels --input=class_maps --output=labels --classes=facades
    pix2pix prepare split --input=pairs --output=dataset
    pix2pix prepare records --input=dataset --output=records
    pix2pix prepare check --input=dataset --output=report

combine: pictures of two folders, paired by name, side by side or as A and B. colorize: pairs
of grey and photo. edges: pairs of edge map and photo. inpaint: pairs of the photo with holes,
and whole. labels: class indexes to colours or to one-hot arrays. split: train, val and test,
with what looks alike in one of them. records: the files of a data set, as they are, in a few
large ones with checksums, which training reads by the same --dataset. check: reads everything
as training does, and lists what is wrong.

Subfolders are kept, so a folder with train, val and test becomes another such folder. A
command that was stopped resumes when it is given again; check alone starts over. Files that
cannot be used stop nothing: they are named at the end, when all others are done; the exit status
is then 1.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import NamedTuple

from absl import flags

from pix2pix_tf import commands, signals
from pix2pix_tf.config import LAB, RGB
from pix2pix_tf.errors import InputError, printable

_TASKS = ("combine", "colorize", "edges", "inpaint", "labels", "split", "records", "check")
_MOST_FAULTS_SHOWN = 100


class _Flag(NamedTuple):
    """A flag of some tasks, given with spaces between; numbers are from 0."""

    tasks: str
    name: str
    default: str | float | tuple[str, ...]  # A tuple: of its choices, the first by default.
    help: str
    largest: float | None = None


_FLAGS = (
    _Flag("combine", "input_b", "", "folder of the partners, which become B."),
    _Flag(
        "combine",
        "ignore_in_names",
        "",
        "regular expression; what matches it is taken out of the names, without folders and "
        "suffix, before they are compared: '_A$|_B$' pairs 1_A.jpg with 1_B.png.",
    ),
    _Flag("colorize edges inpaint", "size", 0, "pixels of the shorter side; 0 keeps the size."),
    _Flag(
        "combine colorize edges inpaint",
        "layout",
        ("pairs", "folders", "inputs"),
        "pairs, A|B side by side in a PNG; folders, A/NAME and B/NAME, by combine as they are; "
        "inputs, A alone, for translate.",
    ),
    _Flag(
        "edges",
        "detector",
        ("canny", "hed"),
        "canny, or hed: the network that the authors' sets were made with (extra hed).",
    ),
    _Flag("edges", "threshold", 0.45, "hed: least probability along a line.", 1.0),
    _Flag(
        "edges", "smoothing", 2.0, "canny: standard deviation of the Gaussian, in pixels.", 100.0
    ),
    _Flag(
        "edges", "edge_low", 0.12, "canny: least contrast along a line; 1 is black against white."
    ),
    _Flag("edges", "edge_high", 0.24, "canny: contrast that a line reaches somewhere."),
    _Flag("edges", "min_length", 12, "pixels of the shortest line that is kept."),
    _Flag("inpaint", "holes", ("centre", "strokes"), "a box in the middle, or strokes of a brush."),
    _Flag("inpaint", "hole_area", 0.25, "share of the photo that is cut out.", 0.9),
    _Flag(
        "labels",
        "classes",
        "facades",
        "facades, cityscapes, or a .json file: a list, in the order of the indexes, of "
        '{"name": "door", "color": [1, 207, 255]}, with "ignored": true for what is not a class.',
    ),
    _Flag(
        "labels",
        "to",
        ("colours", "onehot"),
        "colour pictures, or .npy arrays with a channel a class, 255 where it is.",
    ),
    _Flag("split", "shares", "0.8,0.1,0.1", "shares of train, val and test, which sum to 1."),
    _Flag("split", "hash_distance", 30, "bits of 256 that hashes of two alike may differ in.", 127),
    _Flag(
        "split",
        "group_by",
        "",
        "regular expression: files in whose names (below the folder, without A or B) it finds the "
        "same stay together, such as scene[0-9]+ or ^[^_]+; of (...) in it, what the first finds.",
    ),
    _Flag("records", "shard_megabytes", 32, "10^6 bytes of the files in a shard."),
    _Flag("inpaint split", "seed", 0, "seed of the draws."),
    _Flag("check", "a_channels", 3, "channels that A, the left, is read as."),
    _Flag("check", "b_channels", 3, "channels that B, the right, is read as."),
    _Flag("check", "a_range", "", "LOW,HIGH of A, as input_range of the training."),
    _Flag("check", "b_range", "", "LOW,HIGH of B, as output_range of the training."),
    _Flag(
        "check",
        "color_space",
        (RGB, LAB),
        "color_space of the training. lab, colorization: each file is a photo, or grey and photo "
        "side by side; of folders A and B those of B are the photos.",
    ),
)


def define_flags() -> None:
    """Defines the flags of all tasks."""
    flags.DEFINE_string("input", None, "Folder to read, with those below it.")
    flags.DEFINE_string("output", "", "Folder for the results; made if needed. check: optional.")
    flags.DEFINE_integer(
        "processes",
        os.cpu_count(),
        "How many work at once; each holds one image: of 24 megapixels up to 1.7 GB. With "
        "--detector=hed each takes 2.3 GB for 724x724 pixels, the most there.",
        lower_bound=1,
    )
    for flag in _FLAGS:
        text = f"{', '.join(flag.tasks.split())}: {flag.help}"
        if isinstance(flag.default, tuple):
            flags.DEFINE_enum(flag.name, flag.default[0], flag.default, text)
        elif isinstance(flag.default, str):
            flags.DEFINE_string(flag.name, flag.default, text)
        else:
            is_whole = isinstance(flag.default, int)
            define = flags.DEFINE_integer if is_whole else flags.DEFINE_float
            define(flag.name, flag.default, text, lower_bound=0, upper_bound=flag.largest)


def main(arguments: list[str]) -> int:
    """Does the task that the arguments name; returns the exit status."""
    options = flags.FLAGS
    task = _check(arguments, options)
    try:  # After the cheap checks: TensorFlow takes seconds to import.
        module = importlib.import_module(f"pix2pix_tf.prepare.{task}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"{task} needs {error.name}, which is not installed. Run: python -m pip install "
            "'scikit-image>=0.22,<0.27' 'ImageHash>=4.3,<5'"
        ) from None
    try:
        with signals.as_interrupts():
            outcome = module.run(options)
    except KeyboardInterrupt as stop:
        if task == "check":
            raise
        with contextlib.suppress(OSError):  # The terminal may be gone.
            print("Stopped. Run the same command again to resume.", file=sys.stderr)
        return commands.exit_status(stop)
    print(outcome.summary)
    if not outcome.faults:
        return 0
    faults = sorted(outcome.faults, key=lambda fault: fault.name)
    for fault in faults[:_MOST_FAULTS_SHOWN]:
        print(f"error: {printable(fault.name)}: {printable(fault.problem)}", file=sys.stderr)
    more = len(faults) - _MOST_FAULTS_SHOWN
    tail = f", of which {more} are not listed" if more > 0 else ""
    print(f"{len(faults)} could not be used{tail}.", file=sys.stderr)
    return commands.EXIT_FAULTS


def _check(arguments: list[str], options) -> str:
    """Returns the task, having checked that the flags are for it."""
    if len(arguments) != 2 or arguments[1] not in _TASKS:
        given = " ".join(arguments[1:]) or "nothing"
        raise InputError(
            f"The task is {given!r}. Give one of {', '.join(_TASKS)}, before the flags."
        )
    task = arguments[1]
    for flag in _FLAGS:
        if options[flag.name].present and task not in flag.tasks.split():
            raise InputError(f"--{flag.name} is for {flag.tasks}, not for {task}. Leave it out.")
    if not options.input or not (options.output or task == "check"):
        raise InputError(
            f"{task} needs --input, the folder to read, and --output, that for its results."
        )
    return task


if __name__ == "__main__":
    define_flags()
    commands.run(main, takes_arguments=True)
