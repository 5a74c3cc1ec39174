r"""Translates an image, or every image of a folder.

    python -m pix2pix_tf.translate --model=runs/facades --input=labels.png --output=out
    python -m pix2pix_tf.translate --model=exported/facades --input=folder --output=out \
        --samples=4 --seed=1

No target is needed, images may have any size, and nothing about the model has to
be repeated. An output has its input's size and name; with several samples a
number is added to the name, and to all but PNG and JPEG the suffix .png. Outputs of
16 bits are PNG files only. Those that a PNG cannot hold, since they have other
channels or are no integers, are NumPy arrays (.npy), or TIFF where the input is. The
same seed gives the same pictures. Large images take --tile=512, or another multiple of
the model's crop_size: the picture is the same, the memory bounded.
"""

from __future__ import annotations

import functools
import pathlib

from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError, MissingInputError


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


def main(unused_arguments: list[str]) -> None:
    """Translates what the flags name."""
    options = flags.FLAGS
    paths = find_inputs(pathlib.Path(options.input))
    output = pathlib.Path(options.output)
    # After the cheap checks: TensorFlow takes seconds to import.
    import tensorflow as tf
    import tqdm

    from pix2pix_tf.data import images
    from pix2pix_tf.inference import tiles, translator

    # All headers before the first translation.
    infos = {path: images.inspect_image(path) for path in paths}
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
        for path in paths:
            translate.check_size(path)
    config = translate.config
    for path, info in infos.items():
        images.check_fits(
            path, info, channels=config.input_file_channels, value_range=config.input_limits
        )
    for path in tqdm.tqdm(paths, unit="image", disable=None):
        for sample in range(options.samples):
            pixels = translate.translate_file(path, seed=options.seed, sample=sample)
            number = None if options.samples == 1 else sample
            target = output / output_name(path, number, translate.config)
            files.write_atomically(target, images.encode_image(tf.constant(pixels), target.suffix))
    print(f"Wrote {len(paths) * options.samples} images to '{output}'.")


def output_name(path: pathlib.Path, sample: int | None, config: TrainConfig) -> str:
    """Returns the name of a translation of `path`.

    Args:
        path: Of the input.
        sample: Number of the draw; None if there is but one.
        config: Of the model, which says what kind of file holds its outputs.
    """
    stem = path.stem if sample is None else f"{path.stem}_{sample}"
    if not config.makes_pictures:
        suffixes = (".npy", ".tif", ".tiff")
    elif config.output_dtype == "uint16":
        suffixes = (".png",)
    else:
        suffixes = (".png", ".jpg", ".jpeg")
    if path.suffix.lower() in suffixes:
        return stem + path.suffix
    # Not in place of the suffix: "a.png" may be another input.
    return f"{stem}{path.suffix}{suffixes[0]}"


def find_inputs(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the image files that `--input` means.

    Raises:
        InputError: If there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MissingInputError(f"There is no '{path}'. Pass an image, or a folder of images.")
    from pix2pix_tf.data import images

    paths = images.list_images(path)
    names = {image.name for image in paths}
    others = sorted(
        other.name
        for other in path.iterdir()
        if other.name not in names and other.name[0] != "." and other.is_file()
    )
    if paths and others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        print(
            f"Passed over in '{path}', since they do not end in "
            f"{', '.join(images.IMAGE_SUFFIXES)}: {', '.join(others[:5])}{more}."
        )
    if not paths:
        raise InputError(
            f"'{path}' holds no images (0 files that end in {', '.join(images.IMAGE_SUFFIXES)})."
        )
    return paths


if __name__ == "__main__":
    define_flags()
    commands.run(main)
