"""The flags of the check, and the configurations of training that follow from them."""

from __future__ import annotations

import dataclasses

from pix2pix_tf.config import TrainConfig, check_value, setting
from pix2pix_tf.errors import InputError

# What a CPU does in a minute or two: it tries the program, and no number in it is of interest.
WITHOUT_GPU = dict(crop_size=64, base_filters=8, batch_sizes="1,4", num_steps=40, short_steps=20)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How large the check is; the defaults are the paper's networks, and 15 minutes on a T4.

    Raises:
        InputError: If a value is not allowed, naming the field and what is.
    """

    dataset: str = setting(
        "",
        "Pairs to train on, as of pix2pix_tf.train; 'facades' is downloaded (30 MB) unless it is "
        "there. Empty: facades if it is on this machine, else scenes that the program draws.",
    )
    data_dir: str = setting("", "Folder that holds published sets. Empty: Keras' own cache.")
    crop_size: int = setting(256, "Pixels; the paper's are 256.", minimum=32, maximum=1024)
    base_filters: int = setting(64, "Filters of both networks; the paper's are 64.", minimum=1)
    batch_sizes: str = setting("1,4,16", "Images a step, of which the speed is measured.")
    num_steps: int = setting(500, "Steps of the run that is exported.", minimum=2)
    # More than the 15 that loss scaling may skip, see `loss_scaling`.
    short_steps: int = setting(30, "Steps of each shorter measurement.", minimum=20)

    def __post_init__(self):
        """Checks every value."""
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        self.batch_size_numbers  # noqa: B018  Refuses what is not such a list.
        self.train_config()

    @property
    def batch_size_numbers(self) -> list[int]:
        """The numbers of `batch_sizes`."""
        parts = self.batch_sizes.split(",")
        if not all(part.isdecimal() and int(part) for part in parts):
            raise InputError(
                f"batch_sizes is {self.batch_sizes!r}. Write numbers from 1 with commas, as 1,4,16."
            )
        return [int(part) for part in parts]

    def train_config(self, **changes) -> TrainConfig:
        """Returns the settings of training of this size, with `changes`."""
        sizes = dict(crop_size=self.crop_size, base_filters=self.base_filters)
        return TrainConfig(**{**sizes, **changes})
