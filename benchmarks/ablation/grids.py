"""What is compared: the paper's configurations (section 4), recipes, and numbers of pairs."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

from benchmarks.ablation import subsets
from pix2pix_tf import run_folder
from pix2pix_tf.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Variant:
    """One configuration of a grid."""

    title: str  # In the paper's words, where it has it.
    settings: dict[str, object]  # Fields of `TrainConfig` that make it what it is.
    decays: bool = False  # Whether the rate falls to 0 over the last half.
    num_pairs: int = 0  # Training pairs, spread evenly over all; 0: all.


_L1_ONLY = dict(gan_loss="none")
_GAN_ONLY = dict(lambda_l1=0.0)
_UNCONDITIONAL = dict(conditional=False)
_ENCODER_DECODER = dict(generator="encoder_decoder")
_RESIZE = dict(upsampling="resize")
_TURNED = dict(_RESIZE, vertical_flip=True, rotate90=True)
NUMBERS_OF_PAIRS = (25, 50, 100, 200, 400)

VARIANTS = {
    "l1": Variant("L1", _L1_ONLY),
    "gan": Variant("GAN", {**_GAN_ONLY, **_UNCONDITIONAL}),
    "cgan": Variant("cGAN", _GAN_ONLY),
    "l1_gan": Variant("L1+GAN", _UNCONDITIONAL),
    # The full method: U-Net, receptive field 70. All three grids share it.
    "l1_cgan": Variant("L1+cGAN", {}),
    "encoder_decoder_l1": Variant("Encoder-decoder, L1", {**_ENCODER_DECODER, **_L1_ONLY}),
    "encoder_decoder_l1_cgan": Variant("Encoder-decoder, L1+cGAN", _ENCODER_DECODER),
    "receptive_field_1": Variant("1x1 (PixelGAN)", dict(receptive_field=1)),
    "receptive_field_16": Variant("16x16", dict(receptive_field=16)),
    "receptive_field_286": Variant("286x286 (ImageGAN)", dict(receptive_field=286)),
    "resize": Variant("L1+cGAN, resize", _RESIZE),
    "decay": Variant("L1+cGAN, falling rate", {}, decays=True),
    "resize_decay": Variant("L1+cGAN, resize, falling rate", _RESIZE, decays=True),
    **{
        f"pairs_{count}": Variant(f"{count} pairs", _RESIZE, num_pairs=count)
        for count in NUMBERS_OF_PAIRS
    },
    **{
        f"pairs_{count}_turned": Variant(f"{count} pairs, turned", _TURNED, num_pairs=count)
        for count in NUMBERS_OF_PAIRS
    },
}

GRIDS = {
    "losses": ("l1", "gan", "cgan", "l1_gan", "l1_cgan"),
    "generators": ("encoder_decoder_l1", "encoder_decoder_l1_cgan", "l1", "l1_cgan"),
    "receptive_fields": (
        "receptive_field_1",
        "receptive_field_16",
        "l1_cgan",
        "receptive_field_286",
    ),
    "recipes": ("l1_cgan", "resize", "decay", "resize_decay"),
    "labels": ("l1", "cgan", "l1_cgan"),
    "pairs": tuple(f"pairs_{count}" for count in NUMBERS_OF_PAIRS),
    "turned_pairs": tuple(f"pairs_{count}_turned" for count in NUMBERS_OF_PAIRS),
}
# Those of the paper; what is compared unless others are asked for.
PAPER_GRIDS = ("losses", "generators", "receptive_fields")
GRID_TITLES = {
    "losses": "Losses (the paper's table 1)",
    "generators": "Generators (table 2, which has batch size 10)",
    "receptive_fields": "Receptive fields of the discriminator (table 3)",
    "recipes": "Recipes: how the decoder doubles the size, and the rate (not in the paper)",
    "labels": "Losses, from photos to labels (section 4.6)",
    "pairs": "Numbers of training pairs (not in the paper)",
    "turned_pairs": "The same, flipped top to bottom and turned by 90 degrees too",
}
# The settings that a grid decides; all others are the user's choice.
DECIDED = {"seed", "decay_steps"}.union(*(variant.settings for variant in VARIANTS.values()))
# Of the paper's grids, the two headline claims are compared with every seed, the others with the
# first.
HEADLINE = ("l1", "gan", "l1_cgan", "encoder_decoder_l1", "encoder_decoder_l1_cgan")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training of the grids."""

    variant: str  # Key of `VARIANTS`.
    config: TrainConfig
    folder: pathlib.Path

    @property
    def readings(self) -> tuple[str, ...]:
        """Which of its weights are evaluated, see `run_folder.find_weights`."""
        return run_folder.WEIGHTS if self.config.ema_decay else (run_folder.LAST,)

    def evaluation(self, weights: str) -> pathlib.Path:
        """Returns the folder of the evaluation of some of its weights."""
        return self.folder / f"evaluation_{weights}"

    @property
    def name(self) -> str:
        """Variant and seed."""
        return f"{VARIANTS[self.variant].title}, seed {self.config.seed}"


def list_runs(
    grids: Sequence[str], base: TrainConfig, seeds: Sequence[int], output: pathlib.Path
) -> list[Run]:
    """Returns the runs that grids need, each once, in the order in which they are of most use.

    Args:
        grids: Keys of `GRIDS`.
        base: What all runs share.
        seeds: The first is for all variants; of the paper's grids, the others for those of the
            headline claims.
        output: Folder of the ablation.
    """
    wanted = dict.fromkeys(itertools.chain.from_iterable(GRIDS[grid] for grid in grids))
    own = [GRIDS[grid] for grid in grids if grid not in PAPER_GRIDS]
    every_seed = {*HEADLINE, *itertools.chain.from_iterable(own)}
    runs = []
    for number, seed in enumerate(seeds):
        for variant in wanted:
            if number == 0 or variant in every_seed:
                settings = VARIANTS[variant].settings
                decay_steps = base.num_steps // 2 if VARIANTS[variant].decays else 0
                config = dataclasses.replace(base, **settings, decay_steps=decay_steps, seed=seed)
                if VARIANTS[variant].num_pairs:
                    subset = subsets.folder_of(output, base, VARIANTS[variant].num_pairs)
                    config = dataclasses.replace(config, dataset=str(subset))
                folder = output / "runs" / f"{variant}-seed{seed}"
                runs.append(Run(variant, config, folder))
    return runs
