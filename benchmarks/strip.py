r"""Makes one JPEG of an evaluation: input, output and target of some pairs, for a document.

    python -m pix2pix_tf.evaluate --model=runs/colorization --output=runs/colorization/val
    python -m benchmarks.strip --evaluation=runs/colorization/val \
        --output=docs/tasks/colorization.jpg

The pairs are spread evenly over the evaluation in the order of their names, not chosen by how
well they came out; `--names` takes others.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from absl import flags

from pix2pix_tf import commands, files, grids
from pix2pix_tf.errors import InputError, MissingInputError

_COLUMNS = ("inputs", "outputs", "targets")  # As the evaluation calls their folders.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "evaluation", None, "Folder that pix2pix_tf.evaluate has written.", required=True
    )
    flags.DEFINE_string("output", None, "The JPEG; its folder is made if needed.", required=True)
    flags.DEFINE_integer("count", 4, "Pairs to show, one a row.", lower_bound=1)
    flags.DEFINE_list("names", [], "Names of the pairs to show, instead of --count.")


def main(unused_arguments: list[str]) -> None:
    """Makes the picture that the flags name."""
    options = flags.FLAGS
    output = pathlib.Path(options.output)
    if output.suffix not in (".jpg", ".jpeg"):
        raise InputError(f"--output is '{output}'. Name a file that ends in .jpg.")
    evaluation = pathlib.Path(options.evaluation)
    names = choose(evaluation, count=options.count, names=options.names)
    # After the cheap checks: TensorFlow takes seconds to import.
    from pix2pix_tf.data import images

    files.make_output_folder(output.parent)
    files.write_atomically(output, images.encode_image(draw(evaluation, names), ".jpg"))
    print(f"Wrote '{output}': {', '.join(names)}.")


def choose(evaluation: pathlib.Path, *, count: int, names: Sequence[str] = ()) -> list[str]:
    """Returns the names of the pairs to show.

    Args:
        evaluation: See `define_flags`.
        count: How many, spread evenly over all; all if there are fewer.
        names: Those to show instead.

    Raises:
        MissingInputError: If there are no pictures, or none of such a name.
    """
    found = sorted(path.stem for path in (evaluation / "outputs").glob("*.png"))
    if not found:
        raise MissingInputError(
            f"'{evaluation / 'outputs'}' holds no pictures. Pass the --output of python -m "
            "pix2pix_tf.evaluate."
        )
    for name in names:
        if name not in found:
            raise MissingInputError(
                f"'{evaluation / 'outputs'}' has no picture '{name}'. The first is '{found[0]}'."
            )
    count = min(count, len(found))
    spread = [found[round(i * (len(found) - 1) / max(count - 1, 1))] for i in range(count)]
    return list(names) or spread


def draw(evaluation: pathlib.Path, names: Sequence[str]):
    """Returns the picture, uint8 `[height, width, 3]`: a row a pair, under titles.

    Raises:
        InputError: If a picture is missing or damaged, naming it.
    """
    from pix2pix_tf.data import images

    rows = [
        [
            images.normalize_image(
                images.read_pixels(evaluation / column / f"{name}.png", channels=3)
            )
            for column in _COLUMNS
        ]
        for name in names
    ]
    return grids.sample_grid(rows)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
