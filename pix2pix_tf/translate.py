r"""Translates an image, or every image of a folder.

    pix2pix translate --model=runs/facades --input=labels.png --output=out
    pix2pix translate --model=exported/facades --input=folder --output=out \
        --samples=4 --seed=1

No target is needed, images may have any size, and nothing about the model has to
be repeated. An output has its input's size and name; with several samples a
number is added to the name, and to all but PNG and JPEG the suffix .png. Outputs of
16 bits, or with alpha, are PNG files only. Those that a PNG cannot hold, since they have other
channels or are not integers, are NumPy arrays (.npy), or TIFF where the input is. The
same seed gives the same pictures. A video (--input=clip.mp4 --output=out.mp4) gets one noise for
all frames; it needs the extra `video`. Of a model whose outputs are label maps, --to=classes writes
the index of each pixel's class, grey PNG. Large images take --tile=512, or another multiple of
the model's crop_size: the picture is the same, the memory bounded.

A file that cannot be used stops the command, before the first picture where its header
says so, with status 2. With --keep_going all others are translated, those that cannot be
are named at the end, and the status is 1.
"""

from __future__ import annotations

import functools
import pathlib
import sys
from collections.abc import Callable, Iterable

from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.config import PICTURE_CHANNELS, TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError, WriteError, list_faults, printable
from pix2pix_tf.inference import video

_WITH_ALPHA = 4  # Channels.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("model", None, commands.MODEL_HELP, required=True)
    commands.define_checkpoint_flags()
    flags.DEFINE_string("input", None, "An image, a folder of images, or a video.", required=True)
    flags.DEFINE_string(
        "output",
        None,
        "Folder for the results; made if needed. Of a video, its file or folder.",
        required=True,
    )
    flags.DEFINE_integer("samples", 1, "Draws of the dropout noise for each image.", lower_bound=1)
    flags.DEFINE_integer(
        "tile",
        0,
        "Side in pixels, a multiple of the model's crop_size, of the tiles that large images are "
        "translated by: the result is the same, in bounded memory. 0: none.",
        lower_bound=0,
    )
    flags.DEFINE_integer("seed", 0, "Seed of the noise.", lower_bound=0)
    flags.DEFINE_enum(
        "to",
        "pictures",
        ("pictures", "classes"),
        "What is written. classes: of label maps, the index of each pixel's class, its place in "
        "the list of classes, as grey PNG.",
    )
    flags.DEFINE_string(
        "classes",
        "",
        "For --to=classes: name of a data set, or a .json file. Empty: those of the model.",
    )
    flags.DEFINE_boolean(
        "side_by_side", False, "Of a video: show each frame at the left of its translation."
    )
    flags.DEFINE_boolean(
        "keep_going",
        False,
        "Translate what can be translated, and name the other files at the end, with status 1.",
    )


def main(unused_arguments: list[str]) -> int:
    """Translates what the flags name; returns the exit status."""
    options = flags.FLAGS
    if video.is_video(pathlib.Path(options.input)):
        return _translate_video(pathlib.Path(options.input), pathlib.Path(options.output))
    if options.side_by_side:
        raise InputError("--side_by_side is for videos. Leave it out.")
    paths = find_inputs(pathlib.Path(options.input))
    output = pathlib.Path(options.output)
    # After the cheap checks: TensorFlow takes seconds to import.
    import numpy as np
    import tensorflow as tf
    import tqdm

    from pix2pix_tf.data import classes, images
    from pix2pix_tf.inference import tiles, translator

    if options.classes and options.to != "classes":
        raise InputError("--classes is for --to=classes. Leave it out.")
    if options.tile:
        translate = tiles.TiledTranslator(
            *translator.load_generator(options.model, **commands.checkpoint_from_flags()),
            tile=options.tile,
            # Minutes for a large image; gone when it is done.
            track=functools.partial(tqdm.tqdm, unit="pass", leave=False, disable=None),
        )
    else:
        translate = translator.load(options.model, **commands.checkpoint_from_flags())
    config = translate.config
    table = _find_classes(options, config) if options.to == "classes" else None
    files.make_output_folder(output)
    files.check_apart(output, paths)

    def name_of(path: pathlib.Path, sample: int) -> str:
        name = output_name(path, None if options.samples == 1 else sample, config)
        return name if table is None or name.endswith(".png") else f"{name}.png"

    first_of: dict[str, pathlib.Path] = {}  # Inputs by the names of their outputs.
    infos = {}

    def check(path: pathlib.Path) -> None:
        infos[path] = info = images.inspect_image(path)
        first = first_of.setdefault(name_of(path, 0), path)
        if first != path:
            raise InputError(
                f"'{first}' and '{path}' would have the same output, '{name_of(path, 0)}'. Rename "
                "one of them."
            )
        images.check_fits(
            path, info, channels=config.input_file_channels, value_range=config.input_limits
        )
        if not options.tile:
            translate.check_size(path)

    def translate_all_samples(path: pathlib.Path) -> None:
        for sample in range(options.samples):
            pixels = translate.translate_file(path, seed=options.seed, sample=sample)
            target = output / name_of(path, sample)
            if table is not None:
                found = classes.nearest(images.in_colour(pixels), table.guesses)
                pixels = np.array(table.indexes, np.uint8)[found][..., np.newaxis]
            files.write_atomically(target, images.encode_image(tf.constant(pixels), target.suffix))

    # All headers before the first translation.
    usable, faults = _attempt(check, paths)
    images.warn_of_colours(infos)
    if faults and not options.keep_going:
        raise InputError(list_faults(faults, num_items=len(paths), what="images"))
    size = translator.pair_file_size(options.model)
    if all((infos[path].width, infos[path].height) == size for path in usable):
        print(
            f"Note: all inputs are {size[0]}x{size[1]} pixels, as the files that the model was "
            "trained on, which hold A and B side by side. If these do too, pass A alone.",
            flush=True,
        )
    with tqdm.tqdm(usable, unit="image", disable=None) as bar:
        done, damaged = _attempt(translate_all_samples, bar, stops=not options.keep_going)
    print(f"Wrote {len(done) * options.samples} images to '{output}'.")
    faults += damaged
    for message in sorted(set(faults)):
        print(f"error: {message}", file=sys.stderr)
    if faults:
        print(f"{len(faults)} of {len(paths)} could not be translated.", file=sys.stderr)
        return commands.EXIT_FAULTS
    return 0


def _attempt(
    function: Callable, paths: Iterable[pathlib.Path], *, stops: bool = False
) -> tuple[list[pathlib.Path], list[str]]:
    """Returns the paths that a function takes, and what it says of the others.

    Raises:
        InputError: If it `stops` at the first that it refuses.
        WriteError: If a result cannot be written, which holds for the next one too.
    """
    taken, faults = [], []
    for path in paths:
        try:
            function(path)
        except InputError as error:
            if stops or isinstance(error, WriteError):
                raise
            faults.append(str(error))
        else:
            taken.append(path)
    return taken, faults


def _find_classes(options, config: TrainConfig):
    """Returns the classes that outputs show; every pixel gets one of the scored."""
    from pix2pix_tf.data import classes
    from pix2pix_tf.inference import translator

    if options.classes:
        table = classes.read(options.classes)
        classes.check_told_apart(table)
    else:
        table = translator.classes_of(options.model)
    if table is None:
        raise InputError(
            f"The classes that '{options.model}' shows are not known. Name them by --classes: "
            f"{', '.join(classes.TABLES)}, or a .json file."
        )
    if config.output_dtype != "uint8" or config.output_file_channels not in PICTURE_CHANNELS:
        raise InputError(
            f"'{options.model}' makes {config.output_file_channels} channel(s) of "
            f"{config.output_dtype}, and classes are told by the colours of pictures with 8 bits. "
            "Leave --to=classes out."
        )
    return table


def _translate_video(path: pathlib.Path, output: pathlib.Path) -> int:
    """Translates a video as the flags say; returns the exit status."""
    options = flags.FLAGS
    for name in ("tile", "samples", "keep_going", "to", "classes"):
        if options[name].present:
            raise InputError(f"--{name} does not go with a video. Leave it out.")
    files.require_file(path)
    if output.suffix.lower() not in video.WRITTEN_SUFFIXES:
        if output.suffix.lower() in video.SUFFIXES:
            kinds = ", ".join(video.WRITTEN_SUFFIXES)
            raise InputError(f"--output is '{output}'. Videos are written as {kinds}.")
        output = output / path.with_suffix(".mp4").name
    if output.resolve() == path.resolve():
        raise InputError(f"--output is '{output}', the input itself. Name another file.")
    import tqdm

    from pix2pix_tf.inference import translator

    translate = translator.load(options.model, **commands.checkpoint_from_flags())
    config = translate.config
    channels = config.input_file_channels
    if channels not in (1, 3) or config.input_range or config.output_dtype != "uint8":
        raise InputError(
            f"'{options.model}' takes {channels} channel(s) and makes {config.output_dtype}; the "
            "frames of a video have 8 bits, grey or in colour."
        )
    files.make_output_folder(output.parent)
    count = video.translate_video(
        path,
        output,
        functools.partial(translate.translate_pixels, seed=options.seed),
        channels=channels,
        side_by_side=options.side_by_side,
        track=functools.partial(tqdm.tqdm, unit="frame", disable=None),
    )
    print(f"Wrote {count} frames to '{output}'.")
    return 0


def output_name(path: pathlib.Path, sample: int | None, config: TrainConfig) -> str:
    """Returns the name of a translation of `path`.

    Args:
        path: Input file.
        sample: Number of the draw; None if there is but one.
        config: Settings of the model, which say what kind of file holds its outputs.
    """
    stem = path.stem if sample is None else f"{path.stem}_{sample}"
    if not config.makes_pictures:
        suffixes = (".npy", ".tif", ".tiff")
    elif config.output_dtype == "uint16" or config.output_file_channels == _WITH_ALPHA:
        suffixes = (".png",)
    else:
        suffixes = (".png", ".jpg", ".jpeg")
    if path.suffix.lower() in suffixes:
        return stem + path.suffix
    # Not in place of the suffix: "a.png" may be another input.
    return f"{stem}{path.suffix}{suffixes[0]}"


def find_inputs(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the image files that `--input` means, also of kinds that are not read.

    Raises:
        InputError: If there are none, or the folder cannot be read.
    """
    if files.is_file(path):
        return [path]
    if not files.is_folder(path):
        raise MissingInputError(f"There is no '{path}'. Pass an image, or a folder of images.")
    from pix2pix_tf.data import images, nearby, picture_folders

    # Pictures of other kinds are faults, which their headers show; to be told, not passed over.
    paths = images.list_images(path, picture_folders.PICTURE_SUFFIXES)
    unused = picture_folders.describe_unused(path, picture_folders.find_unused(path, [path]))
    names = {image.name for image in paths}
    others = sorted(
        other.name
        for other in files.list_folder(path)
        if other.name not in names
        and not picture_folders.is_litter(other.name)
        and files.is_file(other)
    )
    if paths and others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        text = (
            f"Passed over in '{path}', since they do not end in "
            f"{', '.join(images.IMAGE_SUFFIXES)}: {', '.join(others[:5])}{more}."
        )
        print(printable(text))
    if paths and unused:
        print(printable(unused))
    if not paths:
        raise InputError(
            f"'{path}' does not hold images: 0 files end in {', '.join(images.IMAGE_SUFFIXES)}. "
            f"{unused or nearby.list_names(path)}"
        )
    return paths


if __name__ == "__main__":
    define_flags()
    commands.run(main)
