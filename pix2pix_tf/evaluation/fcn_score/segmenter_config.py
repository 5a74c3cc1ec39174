"""The settings of a segmenter's training. Nothing here needs TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pix2pix_tf.config import check_value, setting
from pix2pix_tf.errors import InputError

STRIDE = 32  # The network halves a picture five times: sides have to be multiples.


@dataclasses.dataclass(frozen=True)
class SegmenterConfig:
    """Everything that decides how a segmenter is trained.

    Raises:
        InputError: If a value is not allowed, naming the field and what is.
    """

    dataset: str = setting(
        "facades",
        "Name or folder of the pairs, of labels and photos.",
    )
    classes: str = setting(
        "",
        "The classes that the labels show: a .json file, or the name of a data set whose classes "
        "are known (facades, cityscapes, demo). Empty: told by the name of --dataset.",
    )
    data_dir: str = setting("", "Folder that holds published sets. Empty: Keras' own cache.")
    class_maps: str = setting(
        "",
        "Folder with SPLIT/NAME.png, the index of each pixel's class. Empty: the nearest class "
        "colour of the label pictures, which errs where they were JPEGs.",
    )
    crop_size: int = setting(
        256, "Pixels of a training crop; a multiple of 32.", minimum=32, maximum=1024
    )
    base_filters: int = setting(
        64, "Filters of the first block; 64 is VGG-16, 16 suits two cores.", minimum=1, maximum=512
    )
    batch_size: int = setting(8, "Photos a step.", minimum=1)
    num_steps: int = setting(3000, "Steps to train.", minimum=1)
    learning_rate: float = setting(
        1e-3, "Adam's step size at the start; it falls linearly to 0.", minimum=0.0
    )
    validate_every: int = setting(250, "Steps between validations and checkpoints.", minimum=1)
    precision: str = setting(
        "auto",
        "Arithmetic of the body. auto: float16 on a GPU that has it, bfloat16 on a CPU or TPU "
        "that computes it natively, else float32.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    seed: int = setting(
        0, "Seed of the weights, the order and the augmentation.", minimum=0, maximum=2**31 - 1
    )

    @classmethod
    def from_saved(cls, values: Mapping[str, Any]) -> SegmenterConfig:
        """Returns the settings in a file, without those of earlier versions alone."""
        names = [field.name for field in dataclasses.fields(cls) if field.name in values]
        return cls(**{name: values[name] for name in names})

    def __post_init__(self):
        """Checks every value."""
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        if self.crop_size % STRIDE:
            raise InputError(f"crop_size is {self.crop_size}. Use a multiple of {STRIDE}.")
