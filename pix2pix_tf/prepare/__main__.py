r"""Prepares data sets, in the layouts that training reads.

    python -m pix2pix_tf.prepare combine  --input=labels --input_b=photos --output=pairs
    python -m pix2pix_tf.prepare colorize --input=photos --output=pairs
    python -m pix2pix_tf.prepare edges    --input=photos --output=pairs --size=286
    python -m pix2pix_tf.prepare inpaint  --input=photos --output=pairs --holes=strokes
    python -m pix2pix_tf.prepare labels   --input=class_maps --output=labels --classes=facades
    python -m pix2pix_tf.prepare split    --input=pairs --output=dataset
    python -m pix2pix_tf.prepare records  --input=dataset --output=records
    python -m pix2pix_tf.prepare check    --input=dataset --output=report

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
import itertools
import os
import sys

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.config import LAB, RGB, TrainConfig
from pix2pix_tf.errors import InputError, printable

_FROM_PHOTOS = ("size", "layout")
# What each task takes beside what all take.
_TASKS = {
    "combine": ("input_b", "layout"),
    "colorize": _FROM_PHOTOS,
    "edges": (*_FROM_PHOTOS, "smoothing", "edge_low", "edge_high", "min_length"),
    "inpaint": (*_FROM_PHOTOS, "holes", "hole_area", "seed"),
    "labels": ("classes", "to"),
    "split": ("shares", "hash_distance", "seed"),
    "records": ("shard_megabytes",),
    "check": ("a_channels", "b_channels", "a_range", "b_range", "load_size", "color_space"),
}
_MOST_FAULTS_SHOWN = 100


def define_flags() -> None:
    """Defines the flags of all tasks."""
    flags.DEFINE_string("input", None, "Folder to read, with those below it.")
    flags.DEFINE_string("output", "", "Folder for the results; made if needed. check: optional.")
    flags.DEFINE_integer(
        "processes",
        os.cpu_count(),
        "How many work at once; each holds one image: of 24 megapixels up to 1.7 GB.",
        lower_bound=1,
    )
    flags.DEFINE_string("input_b", "", "combine: folder of the partners, which become B.")
    flags.DEFINE_integer(
        "size",
        0,
        "colorize, edges, inpaint: pixels that the shorter side of the photo is scaled to first; 0 "
        "keeps its size.",
        lower_bound=0,
    )
    flags.DEFINE_enum(
        "layout",
        "pairs",
        ("pairs", "folders", "inputs"),
        "colorize, edges, inpaint, combine: pairs, A|B side by side in a PNG; folders, A/NAME and "
        "B/NAME, by combine as they are; inputs, A alone, for translate.",
    )
    flags.DEFINE_float(
        "smoothing",
        2.0,
        "edges: standard deviation of the Gaussian, in pixels, up to 100; more leaves texture out.",
    )
    flags.DEFINE_float(
        "edge_low", 0.06, "edges: least contrast along a line; 1 is black against white."
    )
    flags.DEFINE_float("edge_high", 0.2, "edges: contrast that a line reaches somewhere.")
    flags.DEFINE_integer(
        "min_length", 20, "edges: pixels of the shortest line that is kept.", lower_bound=0
    )
    flags.DEFINE_enum(
        "holes",
        "centre",
        ("centre", "boxes", "strokes"),
        "inpaint: a box in the middle, boxes anywhere, or strokes of a brush.",
    )
    flags.DEFINE_float("hole_area", 0.25, "inpaint: share of the photo that is cut out; up to 0.9.")
    flags.DEFINE_string(
        "classes",
        "facades",
        "labels: facades, cityscapes, or a .json file: a list, in the order of the indexes, of "
        '{"name": "door", "color": [1, 207, 255]}, with "ignored": true for what is not a class.',
    )
    flags.DEFINE_enum(
        "to",
        "colours",
        ("colours", "onehot"),
        "labels: colour pictures, or .npy arrays with a channel a class, 255 where it is.",
    )
    flags.DEFINE_string("shares", "0.8,0.1,0.1", "split: of train, val and test; they sum to 1.")
    flags.DEFINE_integer(
        "hash_distance",
        30,
        "split: bits of 256 of their hashes that two pictures that look alike may differ in; "
        "chance alone gives half.",
        lower_bound=0,
        upper_bound=127,
    )
    flags.DEFINE_integer(
        "shard_megabytes",
        32,
        "records: 10^6 bytes of the files in a shard; a command that was stopped resumes after "
        "the last whole one.",
        lower_bound=1,
    )
    flags.DEFINE_integer("seed", 0, "inpaint, split: seed of the draws.", lower_bound=0)
    for side, name in (("a", "left"), ("b", "right")):
        flags.DEFINE_integer(
            f"{side}_channels", 3, f"check: channels that {side.upper()}, the {name}, is read as."
        )
        flags.DEFINE_string(
            f"{side}_range",
            "",
            f"check: LOW,HIGH of {side.upper()}, as training's input_range and output_range.",
        )
    flags.DEFINE_integer(
        "load_size",
        TrainConfig().load_size,
        "check: pixels of the shorter side in training; a strip so thin that it would then fill "
        "the memory is wrong.",
        lower_bound=1,
    )
    flags.DEFINE_enum(
        "color_space",
        RGB,
        (RGB, LAB),
        "check: as of the training. lab, colorization: each file is a photo, or grey and photo "
        "side by side; of folders A and B those of B are the photos.",
    )


def main(arguments: list[str]) -> int:
    """Does the task that the arguments name; returns the exit status."""
    options = flags.FLAGS
    task = _check(arguments, options)
    # After the cheap checks: TensorFlow takes seconds to import.
    module = importlib.import_module(f"pix2pix_tf.prepare.{task}")
    try:
        outcome = module.run(options)
    except KeyboardInterrupt as stop:
        with contextlib.suppress(OSError):  # The terminal may be gone.
            how = "" if task == "check" else " Run the same command again to resume."
            print(f"Stopped.{how}", file=sys.stderr)
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
    tasks = ", ".join(_TASKS)
    if len(arguments) != 2 or arguments[1] not in _TASKS:
        given = " ".join(arguments[1:]) or "nothing"
        raise InputError(f"The task is {given!r}. Give one of {tasks}, before the flags.")
    task = arguments[1]
    if not options.input:
        raise InputError(f"{task} needs --input, the folder to read.")
    for name in sorted({*itertools.chain(*_TASKS.values())} - {*_TASKS[task]}):
        if options[name].present:
            owners = ", ".join(owner for owner, names in _TASKS.items() if name in names)
            raise InputError(f"--{name} is for {owners}, not for {task}. Leave it out.")
    if not options.output and task != "check":
        raise InputError(f"{task} needs --output, the folder for its results.")
    return task


if __name__ == "__main__":
    define_flags()
    commands.run(main, takes_arguments=True)
