"""Where outputs come from: a model that is asked, or a folder that another program wrote.

Both have:

    size          pixels of a side if they are square; else (height, width)
    num_samples   draws of each input
    names         names of the pairs that have outputs; None for all there are
    notes, about  what a reader of the results should know; kind, name and step
    draws(example, number)   `MeasuredPair.draws` for pair `number`
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Union

import numpy as np
import tensorflow as tf

from pix2pix_tf import metrics
from pix2pix_tf.data import classes, images, label_pictures, layouts, picture_folders
from pix2pix_tf.data.pipeline import Example
from pix2pix_tf.errors import InputError, MissingInputError, printable
from pix2pix_tf.inference.translator import Translator

_MOST_NAMES_SHOWN = 5
_NUM_CHECKED = 8  # Pictures that are looked at for indexes.


class ModelOutputs:
    """What a model makes of each source, with noise of its own for each draw.

    Args:
        translate: The model.
        name: Name of the model, for the record.
        num_pairs: Pairs of the split; the noise of further draws follows from it.
        seed: Seed of the noise.
        num_samples: Draws of each input.
    """

    names = None

    def __init__(
        self,
        translate: Translator,
        *,
        name: str,
        num_pairs: int,
        seed: int = 0,
        num_samples: int = 1,
    ):
        self._translate, self._num_pairs, self._seed = translate, num_pairs, seed
        height, width = translate.config.crop_shape
        self.size = height if height == width else (height, width)
        self.num_samples = num_samples
        self.notes: list[str] = []
        self.about = dict(kind="model", name=name, step=translate.step)

    def draws(self, example: Example, number: int) -> np.ndarray:
        """Returns what the model makes of pair `number`."""
        draws = np.stack(
            [
                self._translate.translate_example(
                    example, seed=self._seed, sample=number + draw * self._num_pairs
                )
                for draw in range(self.num_samples)
            ]
        )
        config = self._translate.config
        dtype = tf.as_dtype(config.output_dtype)
        if dtype.is_floating or config.output_limits not in (None, (0, dtype.max)):
            return draws
        return images.denormalize_image(draws, dtype=dtype).numpy()


class FolderOutputs:
    """Pictures of any program, matched to the pairs by name.

    Args:
        folder: Holds one picture a pair: PNG, JPEG or BMP; or an array of the target's
            channels, NumPy or TIFF.
        pairs: Names of the pairs.
        suffix: What follows a pair's name in the names of the files, such as
            "_fake_B"; other files count as extra.
        value_range: The values that are -1 and 1; None: all of 8 bits, or of 16 where a
            file has these.

    Raises:
        InputError: If there is no picture of any pair, the pictures are not square or differ in
            size or are too small, two have the same name, or their values do not go with the range.
    """

    num_samples = 1

    def __init__(
        self,
        folder: str | pathlib.Path,
        *,
        pairs: Sequence[str],
        suffix: str = "",
        value_range: tuple[float, float] | None = None,
    ):
        folder = pathlib.Path(folder)
        found = layouts.images_by_name(folder)
        self._paths = {name: found[name + suffix] for name in pairs if name + suffix in found}
        used = set(self._paths.values())
        extra = [path.name for path in found.values() if path not in used]
        missing = [name for name in pairs if name not in self._paths]
        if not self._paths:
            raise MissingInputError(
                f"No picture in '{folder}' has the name of a pair: it has {_listed(extra)}, and "
                f"the pairs are called {_listed([name + suffix for name in pairs])}. Rename the "
                "pictures, or give --outputs_suffix."
            )
        unused = picture_folders.find_unused(folder, [folder])
        infos = {path: images.inspect_image(path) for path in self._paths.values()}
        self.size = _check(infos, value_range)
        self._value_range = value_range
        self._deep = {path for path, info in infos.items() if info.bits == 16}
        self.names = self._paths.keys()
        self.notes = [picture_folders.describe_unused(folder, unused)] if unused else []
        if missing:
            self.notes.append(
                f"{len(missing)} of {len(pairs)} pairs have no picture and are left out: "
                f"{_listed(missing)}. Scores of other pairs are not comparable."
            )
        if self._deep and value_range is None:
            self.notes.append(
                f"{len(self._deep)} of {len(self._paths)} pictures have 16 bits, of which 0 counts "
                "as black and 65535 as white; --outputs_range states other values."
            )
        if extra:
            self.notes.append(f"{len(extra)} files belong to no pair: {_listed(extra)}.")
        self.about = dict(
            kind="folder", name=folder.resolve().name, step=None, missing=missing, extra=extra
        )

    def check_shows_colours(self, table: classes.ClassTable, *, channels: int) -> None:
        """Refuses pictures of indexes, which would all be taken for the class nearest to black.

        Args:
            table: The classes whose colours they should show.
            channels: Channels of the pictures.

        Raises:
            InputError: If the first pictures hold indexes of classes; or if one cannot be read.
        """
        test = label_pictures.LabelTest(table)
        for path in list(self._paths.values())[:_NUM_CHECKED]:
            image = images.normalize_image(self._read(path, channels))
            test.add(images.shown_pixels(image))
        if test.holds_indexes:
            raise InputError(f"The pictures of --outputs {label_pictures.OF_INDEXES}")

    def draws(self, example: Example, number: int) -> np.ndarray:
        """Returns the one picture of a pair.

        It has the 8 or 16 bits of its file; with a range of its own it is float32 in [-1, 1].
        """
        channels = example.picture_of(example.target).shape[-1]
        return self._read(self._paths[example.name], channels)[np.newaxis]

    def _read(self, path: pathlib.Path, channels: int) -> np.ndarray:
        if self._value_range is not None:
            return images.read_image(path, channels=channels, value_range=self._value_range)
        dtype = tf.uint16 if path in self._deep else tf.uint8
        return images.read_pixels(path, channels=channels, dtype=dtype)


Outputs = Union[ModelOutputs, FolderOutputs]


def _check(
    infos: Mapping[pathlib.Path, images.ImageInfo], value_range: tuple[float, float] | None
) -> int:
    """Returns the size of pictures, in pixels of a side; refuses as `FolderOutputs` says."""
    size = next(iter(infos.values())).width
    for path, info in infos.items():
        about = f"'{path}' is {info.width}x{info.height} pixels of {info.bits} bits"
        if not info.width == info.height == size or size < metrics.SMALLEST_SIZE:
            raise InputError(
                f"{about}. Outputs have to be square, all of one size, and of "
                f"{metrics.SMALLEST_SIZE} pixels or more. Crop or scale them."
            )
        is_unknown = value_range is None and not info.has_full_range
        if is_unknown or value_range is not None and info.bits <= 8 and value_range[1] > 255:
            given = "left out" if value_range is None else f"up to {value_range[1]:g}"
            raise InputError(
                f"{about}, so --outputs_range cannot be {given}. State the values that are black "
                "and white in the files, such as 0,1."
            )
    return size


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{printable(name)}'" for name in names[:_MOST_NAMES_SHOWN])
    more = len(names) - _MOST_NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
