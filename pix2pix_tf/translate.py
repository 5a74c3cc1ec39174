r"""Translates an image, or every image of a folder.

    python -m pix2pix_tf.translate --model=runs/facades --input=labels.png --output=out
    python -m pix2pix_tf.translate --model=exported/facades --input=folder --output=out \
        --samples=4 --seed=1

No target is needed, images may have any size, and nothing about the model has to
be repeated. An output has its input's size and name; with several samples a
number is added to the name, and to all but PNG and JPEG the suffix .png. Outputs of
16 bits, or with alpha, are PNG files only. Those that a PNG cannot hold, since they have other
channels or are not integers, are NumPy arrays (.npy), or TIFF where the input is. The
same seed gives the same pictures. Large images take --tile=512, or another multiple of
the model's crop_size: the picture is the same, the memory bounded.

A file that cannot be used stops the command, before the first picture where its header
says so, with status 2. With --keep_going all others are translated, those that cannot be
are named at the end, and the status is 1.
"""

from __future__ import annotations

import collections
import functools
import pathlib
import sys
from collections.abc import Callable, Iterable

from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError, WriteError, list_faults, printable

_WITH_ALPHA = 4  # Channels.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("model", None, "A run folder, or an exported SavedModel.", required=True)
    flags.DEFINE_string("checkpoint", "newest", commands.CHECKPOINT_HELP)
    flags.DEFINE_string("input", None, "An image, or a folder of images.", required=True)
    flags.DEFINE_string("output", None, "Folder for the results; made if needed.", required=True)
    flags.DEFINE_integer("samples", 1, "Draws of the dropout noise for each image.", lower_bound=1)
    flags.DEFINE_integer(
        "tile",
        0,
        "Side in pixels, a multiple of the model's crop_size, of the tiles that large images are "
        "translated by: the result is the same, in bounded memory. 0: none.",
        lower_bound=0,
    )
    flags.DEFINE_integer("seed", 0, "Seed of the noise.", lower_bound=0)
    flags.DEFINE_boolean(
        "keep_going",
        False,
        "Translate what can be translated, and name the other files at the end, with status 1.",
    )


def main(unused_arguments: list[str]) -> int:
    """Translates what the flags name; returns the exit status."""
    options = flags.FLAGS
    paths = find_inputs(pathlib.Path(options.input))
    output = pathlib.Path(options.output)
    # After the cheap checks: TensorFlow takes seconds to import.
    import tensorflow as tf
    import tqdm

    from pix2pix_tf.data import images
    from pix2pix_tf.inference import tiles, translator

    faults = _Faults(len(paths), keep_going=options.keep_going)
    # All headers before the first translation.
    infos = faults.collect(images.inspect_image, paths)
    images.warn_of_colours(infos)
    files.make_output_folder(output)
    if any(path.parent.resolve() == output.resolve() for path in paths):
        raise InputError(
            f"--output is '{output}', where the inputs are: they would be overwritten. Pass "
            "another folder."
        )
    if options.tile:
        translate = tiles.load(
            options.model,
            checkpoint=options.checkpoint,
            tile=options.tile,
            # Minutes for a large image; gone when it is done.
            track=functools.partial(tqdm.tqdm, unit="pass", leave=False, disable=None),
        )
    else:
        translate = translator.load(options.model, checkpoint=options.checkpoint)
    config = translate.config

    def name_of(path: pathlib.Path, sample: int) -> str:
        return output_name(path, None if options.samples == 1 else sample, config)

    inputs_of = collections.defaultdict(list)
    for path in infos:
        inputs_of[name_of(path, 0)].append(path)

    def check(path: pathlib.Path) -> None:
        name = name_of(path, 0)
        first, *others = inputs_of[name]
        if others:
            raise InputError(
                f"'{first}' and '{others[0]}' would have the same output, '{name}'. Rename one of "
                "them."
            )
        images.check_fits(
            path,
            infos[path],
            channels=config.input_file_channels,
            value_range=config.input_limits,
        )
        if not options.tile:
            translate.check_size(path)

    def translate_all_samples(path: pathlib.Path) -> None:
        for sample in range(options.samples):
            pixels = translate.translate_file(path, seed=options.seed, sample=sample)
            target = output / name_of(path, sample)
            files.write_atomically(target, images.encode_image(tf.constant(pixels), target.suffix))

    usable = faults.collect(check, infos)
    with tqdm.tqdm(usable, unit="image", disable=None) as bar:
        done = faults.collect(translate_all_samples, bar, stop_at_first=True)
    print(f"Wrote {len(done) * options.samples} images to '{output}'.")
    for message in sorted(set(faults.messages)):
        print(f"error: {message}", file=sys.stderr)
    if faults.messages:
        print(f"{len(faults.messages)} of {len(paths)} could not be translated.", file=sys.stderr)
        return commands.EXIT_FAULTS
    return 0


class _Faults:
    """What is wrong with files: told at once, or kept until the others are done.

    Args:
        num_files: Number of all files.
        keep_going: Whether to keep it.
    """

    def __init__(self, num_files: int, *, keep_going: bool):
        self._num_files = num_files
        self._keep_going = keep_going
        self.messages: list[str] = []

    def collect(
        self, function: Callable, paths: Iterable[pathlib.Path], *, stop_at_first: bool = False
    ) -> dict:
        """Returns what a function returns for each path, without those it refuses.

        Args:
            function: Takes a path.
            paths: To call it with.
            stop_at_first: Whether the first that is refused ends all, unless faults are kept.

        Raises:
            InputError: If faults are not kept, and there are some.
            WriteError: If a result cannot be written, which holds for the next one too.
        """
        results = {}
        for path in paths:
            try:
                results[path] = function(path)
            except WriteError:
                raise
            except InputError as error:
                if stop_at_first and not self._keep_going:
                    raise
                self.messages.append(str(error))
        if self.messages and not self._keep_going:
            raise InputError(list_faults(self.messages, num_items=self._num_files, what="images"))
        return results


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
    from pix2pix_tf.data import images, layouts

    # Pictures of other kinds are faults, which their headers show; to be told, not passed over.
    paths = sorted([*images.list_images(path), *layouts.list_other_pictures(path)])
    names = {image.name for image in paths}
    others = sorted(
        other.name
        for other in files.list_folder(path)
        if other.name not in names and other.name[0] != "." and files.is_file(other)
    )
    if paths and others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        text = (
            f"Passed over in '{path}', since they do not end in "
            f"{', '.join(images.IMAGE_SUFFIXES)}: {', '.join(others[:5])}{more}."
        )
        print(printable(text))
    if not paths:
        raise InputError(
            f"'{path}' does not hold images: 0 files end in {', '.join(images.IMAGE_SUFFIXES)}."
        )
    return paths


if __name__ == "__main__":
    define_flags()
    commands.run(main)
