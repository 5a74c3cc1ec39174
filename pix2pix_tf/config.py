"""The configuration of a run: one frozen dataclass, one flag per field.

Every field states its unit, its default and where the value comes from; the
`--help` of the training command is made from these texts. Nothing here needs
TensorFlow.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import pathlib
import re
from typing import Any

from pix2pix_tf.errors import InputError, MissingInputError
from pix2pix_tf.files import is_file, write_atomically

CONFIG_FILE = "config.json"
UNKNOWN_DATASET = "unknown"  # Of a model that was trained elsewhere.
PAPER_LOAD_RATIO = 286 / 256  # Paper: appendix 6.2, jitter.
MAX_SERVED_PIXELS = 2**22  # 2048 x 2048, unless an export says otherwise.
PICTURE_CHANNELS = (1, 3, 4)  # What PNG, JPEG and BMP files are read as.
MAX_CHANNELS = 16
RGB, LAB = "rgb", "lab"
MAX_CROP_SIDE = 4096  # Pixels of a crop that is not square.
# Below these sizes the discriminator has no logit left: receptive field, crop_size.
_SMALLEST_CROP_SIZE = {142: 64, 286: 128}


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Returns a dataclass field that knows what `--help` says and what is allowed."""
    metadata = dict(help=help, choices=choices, minimum=minimum, maximum=maximum)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run does, written as `config.json`.

    Raises:
        InputError: If a value is not allowed, naming the field and what is.
    """

    # Data.
    dataset: str = setting(
        "demo",
        "Name of a published set (facades, cityscapes, maps, edges2shoes, edges2handbags, "
        "night2day), a folder of pairs or of records, or 'demo': scenes that the program draws "
        "itself.",
    )
    data_dir: str = setting("", "Folder that holds published sets. Empty: Keras' own cache.")
    direction: str = setting(
        "AtoB",
        "AtoB: A, the left half or the folder A, is the input and B the target. BtoA: the other "
        "way round. The paper's facades and night2day go BtoA, cityscapes and maps both ways.",
        choices=("AtoB", "BtoA"),
    )
    load_size: int = setting(
        0,
        "Pixels of the shorter side before the random crop. With crop_height or crop_width the "
        "image is scaled to load_size / crop_size of the size that just covers the crop. 0: "
        "286/256 of crop_size, the paper's jitter (appendix 6.2).",
        minimum=0,
        maximum=8192,
    )
    crop_size: int = setting(
        256,
        "Pixels of a square crop; a power of two from 32 to 1024. The depth of the generator "
        "follows. Paper: 256.",
        minimum=32,
        maximum=1024,
    )
    crop_height: int = setting(
        0, "Pixels of a training crop; a multiple of crop_size. 0: crop_size. Ours.", minimum=0
    )
    crop_width: int = setting(
        0, "Pixels of a training crop; a multiple of crop_size. 0: crop_size. Ours.", minimum=0
    )
    mirror: bool = setting(
        True, "Whether half of the pairs are flipped left to right (paper: yes)."
    )
    vertical_flip: bool = setting(
        False,
        "Whether half of the pairs are flipped top to bottom: for views from above and "
        "microscopes. Ours.",
    )
    rotate90: bool = setting(
        False,
        "Whether pairs are turned by a random multiple of 90 degrees, for the same; square crops "
        "only. Ours.",
    )
    input_jitter: float = setting(
        0.0,
        "Most random change of the input's contrast, as a share, and of its brightness, in units "
        "of [-1, 1]: 0.2 is much. The target keeps its values. Not for inputs that are labels. "
        "Ours.",
        minimum=0.0,
        maximum=1.0,
    )
    input_channels: int = setting(
        3,
        "Channels of the input: 1 grey, 3 colour, 4 with alpha; other numbers are read from NumPy "
        "arrays and TIFF.",
        minimum=1,
        maximum=MAX_CHANNELS,
    )
    output_channels: int = setting(
        3, "Channels of the output, as those of the input.", minimum=1, maximum=MAX_CHANNELS
    )
    input_range: str = setting(
        "",
        "LOW,HIGH: the values in the files of the input that become -1 and 1; what lies beyond is "
        "clipped. Empty: all of the integer type, 0,255 or 0,65535. Files with other types than "
        "these two, such as float, need it. Ours.",
    )
    output_range: str = setting(
        "",
        "LOW,HIGH: the same of the output. Translations are written in it: in 8 bits if empty or "
        "LOW,255, in 16 for other whole numbers from 256 to 65535 with LOW from 0, else as float. "
        "Ours.",
    )
    color_space: str = setting(
        RGB,
        "What the channels are. rgb: those of the files, as they are. lab: colorization (paper: "
        "section 4), from CIE L of a photo to its a and b, so input_channels becomes 1 and "
        "output_channels 2; files hold photos all the same. Scaled as L / 50 - 1 and ab / 110 "
        "(authors' PyTorch code).",
        choices=(RGB, LAB),
    )
    classes: str = setting(
        "",
        "Of outputs that are label maps: the classes that they show, by the name of a data set "
        "(facades, cityscapes, demo), a .json file, or 'targets', learned from the training "
        "targets. For best_metric class_iou, evaluate and translate --to=classes. Empty: those of "
        "a data set that is known. Ours.",
    )
    cache_megabytes: int = setting(
        2048, "Memory for decoded images; larger sets are read anew each epoch. Ours.", minimum=0
    )

    check_data: bool = setting(
        True,
        "Whether all pairs are read once before the first step, so that damaged files are found "
        "and odd values are told. Where no file has changed since, a run that goes on leaves it "
        "out anyway. Ours.",
    )

    # Networks.
    generator: str = setting(
        "unet",
        "Generator: unet or encoder_decoder (paper: section 3.2), or the name of a registered one.",
    )
    discriminator: str = setting(
        "patchgan", "Discriminator: patchgan (paper: section 3.3), or the name of a registered one."
    )
    upsampling: str = setting(
        "transposed",
        "How the decoder doubles the size. transposed: 4x4 transposed convolutions (paper). "
        "resize: nearest neighbours, then 3x3 convolutions, which make no checkerboard (Odena et "
        "al., Distill 2016).",
        choices=("transposed", "resize"),
    )
    base_filters: int = setting(
        64, "Filters of the first block of both networks. Paper: 64.", minimum=1, maximum=512
    )
    receptive_field: int = setting(
        70,
        "Pixels that one logit of the discriminator sees. 1: PixelGAN, 286: ImageGAN. Paper: 70.",
        choices=(1, 16, 34, 70, 142, 286),
    )
    norm: str = setting(
        "batch",
        "Normalisation. Batch uses the statistics of the batch at hand, always (paper).",
        choices=("batch", "instance", "none"),
    )
    bottleneck_norm: bool = setting(
        False,
        "Whether the 1x1 bottleneck is normalised, as the paper's text says. At batch size 1 that "
        "makes it exactly zero; the authors' code leaves it out, hence the default.",
    )
    spectral_norm: bool = setting(
        False, "Whether the discriminator's kernels are kept at spectral norm 1. Not in the paper."
    )
    dropout: float = setting(
        0.5,
        "Share of units dropped in three decoder blocks: the noise z, on after training too "
        "(paper: 0.5). 0 makes the generator deterministic.",
        minimum=0.0,
        maximum=0.95,
    )
    dropout_blocks: str = setting(
        "1,2,3",
        "Which decoder blocks drop units, with commas, 1 being the innermost. Paper: the first "
        "three; in the authors' PyTorch code, at 256 pixels: 2,3,4.",
    )
    unnormalized_bias: bool = setting(
        False,
        "Whether the encoder's two convolutions without normalisation have biases, as in models "
        "that the authors' PyTorch code trains with instance norm; and the PixelGAN's last one. "
        "With norm none all of the generator's have.",
    )
    conditional: bool = setting(
        True, "Whether the discriminator sees the input too. No: the paper's 'GAN' ablation."
    )

    init_from: str = setting(
        "",
        "Model whose weights training starts from: a run folder, an export, a model of the package "
        "(houses). Generator, and discriminator where there is one; optimizers start anew. Empty: "
        "random weights (paper).",
    )

    # Objective.
    gan_loss: str = setting(
        "vanilla",
        "Adversarial loss. vanilla: cross entropy from logits (paper); lsgan: least squares (Mao "
        "et al. 2017) and hinge (Lim and Ye 2017), not in the paper; none: no discriminator.",
        choices=("vanilla", "lsgan", "hinge", "none"),
    )
    lambda_gan: float = setting(1.0, "Weight of the adversarial term. Paper: 1.", minimum=0.0)
    lambda_l1: float = setting(
        100.0, "Weight of the L1 term (paper: 100, equation 4).", minimum=0.0
    )
    lambda_l2: float = setting(0.0, "Weight of the L2 term, the paper's alternative.", minimum=0.0)
    extra_terms: str = setting(
        "",
        "More terms of the generator's objective, registered by name, with their weights: "
        "perceptual=10,gradient=1. Empty: none. Ours.",
    )

    # Optimisation.
    batch_size: int = setting(
        1, "Images a step, over all devices. Paper: 1 for facades, up to 10.", minimum=1
    )
    accumulate: int = setting(
        1,
        "Equal parts of a device's batch that go through the networks one after the other, their "
        "gradients averaged: less memory, more time. Each part is normalised by its own "
        "statistics, as on so many devices. Ours.",
        minimum=1,
    )
    update_order: str = setting(
        "sequential",
        "Whether the generator learns against the discriminator just updated (sequential, the "
        "authors' PyTorch code) or the one before (simultaneous, TensorFlow's tutorial: less "
        "work).",
        choices=("sequential", "simultaneous"),
    )
    num_steps: int = setting(
        80_000,
        "Steps to train; one is an update of each network. Paper: 200 epochs, 80,000 for facades.",
        minimum=1,
    )
    learning_rate: float = setting(2e-4, "Adam's step size. Paper: section 3.3.", minimum=0.0)
    adam_beta_1: float = setting(
        0.5, "Adam's decay of the mean. Paper: section 3.3.", minimum=0.0, maximum=0.9999
    )
    adam_beta_2: float = setting(
        0.999, "Adam's decay of the square. Paper: section 3.3.", minimum=0.0, maximum=0.999999
    )
    decay_steps: int = setting(
        0,
        "Last steps over which the rate falls linearly to 0. 0: constant rate (paper); the "
        "authors' PyTorch code uses half of the run.",
        minimum=0,
    )
    ema_decay: float = setting(
        0.999,
        "Decay of the average of the generator's weights over the steps, which samples, measures, "
        "translations and exports use; it changes nothing in training. Less in the first steps "
        "(Yazici et al., ICLR 2019). 0: none (paper).",
        minimum=0.0,
        maximum=0.999999,
    )
    precision: str = setting(
        "auto",
        "Arithmetic of the networks; weights, outputs and losses stay float32. auto: float16 on a "
        "GPU that has it, bfloat16 on a CPU or TPU that computes it natively, else float32.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    strategy: str = setting(
        "default",
        "Devices: default (one), mirrored (all GPUs of a machine), multiworker, tpu.",
        choices=("default", "mirrored", "multiworker", "tpu"),
    )
    seed: int = setting(
        0, "Seed of the weights, the jitter and the dropout. Ours.", minimum=0, maximum=2**31 - 1
    )
    deterministic: bool = setting(
        False, "Whether TensorFlow's deterministic kernels are used: same bits, slower on a GPU."
    )
    jit_compile: bool = setting(
        False,
        "Whether XLA compiles the update of the networks, on one device alone. Slower on a CPU "
        "(docs/speed.md); not tried on a GPU. Ours.",
    )
    steps_per_call: int = setting(
        1,
        "Steps that TensorFlow takes without going back to Python, as long as nothing else is due. "
        "A wish to stop, the progress bar and actions of your own wait for them. Changes no "
        "number. Ours.",
        minimum=1,
    )

    # What a run writes, and when.
    log_every: int = setting(50, "Steps between lines of metrics. Ours.", minimum=1)
    sample_every: int = setting(500, "Steps between grids of samples. Ours.", minimum=1)
    num_samples: int = setting(4, "Rows of a grid. Ours.", minimum=1, maximum=64)
    checkpoint_every: int = setting(1000, "Steps between checkpoints. Ours.", minimum=1)
    keep_checkpoints: int = setting(2, "Newest checkpoints to keep, beside the best.", minimum=1)
    best_metric: str = setting(
        "l1",
        "Measure on held-out pairs by which the best checkpoint is kept: l1, psnr, ssim, ms_ssim, "
        "class_iou, of outputs that are label maps, one that was added with "
        "pix2pix_tf.metrics.register; or none. Ours.",
    )
    num_evaluated: int = setting(
        32, "Held-out pairs measured for best_metric at each checkpoint. Ours.", minimum=1
    )

    def __post_init__(self) -> None:
        """Checks every value and resolves those that follow from others."""
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        if self.crop_size & (self.crop_size - 1):
            raise InputError(
                f"crop_size is {self.crop_size}. Use a power of two from 32 to 1024: the "
                "generator halves the image until one pixel is left."
            )
        smallest = _SMALLEST_CROP_SIZE.get(self.receptive_field, 0)
        if self.uses_gan and self.discriminator == "patchgan" and self.crop_size < smallest:
            raise InputError(
                f"crop_size is {self.crop_size}, too small for receptive_field "
                f"{self.receptive_field}: no logit is left. Use a crop_size of {smallest} or more, "
                "or a smaller field."
            )
        if self.load_size == 0:
            # The only way to set a field of a frozen dataclass.
            object.__setattr__(self, "load_size", round(self.crop_size * PAPER_LOAD_RATIO))
        if self.load_size < self.crop_size:
            raise InputError(
                f"load_size is {self.load_size}, less than crop_size {self.crop_size}: there is "
                "nothing to crop. Make load_size at least crop_size, or leave it at 0."
            )
        for name in ("crop_height", "crop_width"):
            side = getattr(self, name)
            if side % self.crop_size or side > MAX_CROP_SIDE:
                raise InputError(
                    f"{name} is {side} and crop_size {self.crop_size}. Use a multiple of crop_size "
                    f"up to {MAX_CROP_SIDE}, or 0: the generator halves crop_size pixels until one "
                    "is left."
                )
        if self.rotate90 and self.crop_shape[0] != self.crop_shape[1]:
            height, width = self.crop_shape
            raise InputError(
                f"rotate90 turns square crops only, and a crop has {width}x{height} pixels. Leave "
                "rotate90 out, or crop_height and crop_width."
            )
        if self.input_jitter and self.color_space == LAB:
            raise InputError(
                f"input_jitter is {self.input_jitter}, but color_space lab has lightness in and "
                "colours out, which go together. Leave it out."
            )
        if self.classes and not self.shows_classes:
            raise InputError(
                f"classes is '{self.classes}', but outputs have {self.output_channels} channel(s), "
                f"color_space {self.color_space}, and classes are told by the colours of pictures. "
                "Leave it out."
            )
        self.dropout_block_numbers  # noqa: B018  Refuses what is not such a list.
        for name in ("input_range", "output_range"):
            value_range(getattr(self, name), name=name)  # Refuses what is not a range.
        if self.color_space == LAB:
            self._settle_lab()
        weights = [self.lambda_l1, self.lambda_l2, *self.extra_weights.values()]
        if not self.uses_gan and not any(weights):
            raise InputError(
                f"The generator has no objective: gan_loss is {self.gan_loss}, lambda_gan "
                f"{self.lambda_gan}, lambda_l1 and lambda_l2 0. Give one of them a weight."
            )
        if self.decay_steps > self.num_steps:
            raise InputError(
                f"decay_steps is {self.decay_steps}, more than num_steps {self.num_steps}. "
                "The rate falls over the last decay_steps of the run: use at most num_steps."
            )

    def _settle_lab(self) -> None:
        """Sets the channels that `color_space` "lab" means; refuses what does not go with it."""
        for name, photo, network in (("input_channels", 3, 1), ("output_channels", 3, 2)):
            channels = getattr(self, name)
            if channels not in (photo, network):
                raise InputError(
                    f"color_space is lab, from L to a and b, but {name} is {channels}. Leave it "
                    "out, or leave color_space at rgb."
                )
            object.__setattr__(self, name, network)
        for name in ("input_range", "output_range"):
            if getattr(self, name):
                raise InputError(
                    f"{name} is {getattr(self, name)!r}, but color_space lab has a range of its "
                    "own. Leave it empty."
                )

    @property
    def uses_gan(self) -> bool:
        """Whether there is an adversarial term, hence a discriminator to train."""
        return self.gan_loss != "none" and self.lambda_gan > 0

    @property
    def dropout_block_numbers(self) -> tuple[int, ...]:
        """The numbers of `dropout_blocks`; refuses a list that does not fit the crop."""
        most = self.crop_size.bit_length() - 2  # One less than there are halvings.
        parts = self.dropout_blocks.split(",")
        if not all(re.fullmatch("[1-9][0-9]?", part) for part in parts) or not (
            len(set(parts)) == len(parts) and max(map(int, parts)) <= most
        ):
            raise InputError(
                f"dropout_blocks is {self.dropout_blocks!r}. Write different numbers from 1 to "
                f"{most} with commas, as 1,2,3; for no dropout at all, dropout is 0."
            )
        return tuple(sorted(map(int, parts)))

    @property
    def extra_weights(self) -> dict[str, float]:
        """The weights of `extra_terms` by their names."""
        return parse_weights(self.extra_terms)

    @property
    def crop_shape(self) -> tuple[int, int]:
        """(height, width) of a training crop, in pixels."""
        return self.crop_height or self.crop_size, self.crop_width or self.crop_size

    @property
    def load_shape(self) -> tuple[int, int]:
        """(height, width) that an image is scaled to cover before the random crop, in pixels."""
        height, width = self.crop_shape
        scale = self.load_size / self.crop_size
        return round(height * scale), round(width * scale)

    @property
    def input_limits(self) -> tuple[float, float] | None:
        """(lowest, highest) value of the input; None: those of the files' integer type."""
        return value_range(self.input_range, name="input_range")

    @property
    def output_limits(self) -> tuple[float, float] | None:
        """(lowest, highest) value of the output; None: those of the files' integer type."""
        return value_range(self.output_range, name="output_range")

    @property
    def input_file_channels(self) -> int:
        """Channels that the files of inputs are read with: those of the input, or of a photo."""
        return 3 if self.color_space == LAB else self.input_channels

    @property
    def output_file_channels(self) -> int:
        """Channels that translations are written with."""
        return 3 if self.color_space == LAB else self.output_channels

    @property
    def shows_classes(self) -> bool:
        """Whether the colours of outputs can show classes: pictures in RGB or grey."""
        return self.output_file_channels in PICTURE_CHANNELS and self.color_space != LAB

    @property
    def output_dtype(self) -> str:
        """Type of the values that translations are written as: "uint8", "uint16" or "float32"."""
        if self.output_limits is None:
            return "uint8"
        low, high = self.output_limits
        if not (low.is_integer() and high.is_integer() and low >= 0 and 255 <= high <= 65535):
            return "float32"
        return "uint8" if high == 255 else "uint16"

    @property
    def makes_pictures(self) -> bool:
        """Whether a PNG holds an output: 1, 3 or 4 channels of 8 or 16 bits."""
        return self.output_file_channels in PICTURE_CHANNELS and self.output_dtype != "float32"

    @property
    def has_encoded_signature(self) -> bool:
        """Whether an export takes PNG and JPEG files and makes PNG files.

        It does where these hold all channels of input and output. A stated input range
        is in the units of a file's own depth, which an exported graph does not ask for.
        """
        takes_pictures = self.input_file_channels in PICTURE_CHANNELS and not self.input_range
        return takes_pictures and self.makes_pictures

    def save(self, folder: pathlib.Path) -> None:
        """Writes `config.json` into `folder`."""
        text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"
        write_atomically(folder / CONFIG_FILE, text.encode())

    @classmethod
    def load(cls, folder: pathlib.Path) -> TrainConfig:
        """Returns the configuration of the run in `folder`.

        Raises:
            MissingInputError: If `folder` holds no `config.json`.
            InputError: If it is not a JSON object, or names an unknown field.
        """
        path = pathlib.Path(folder) / CONFIG_FILE
        if not is_file(path):
            raise MissingInputError(
                f"No {CONFIG_FILE} in '{folder}', so it is not a run folder. Pass the --workdir "
                "of a training run."
            )
        try:
            values = {**json.loads(path.read_text(encoding="utf-8"))}
        except (ValueError, TypeError) as error:
            raise InputError(
                f"'{path}' is not a JSON object of settings ({error}). Restore it, or train anew."
            ) from None
        return cls.from_dict({**_BEFORE, **values})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Returns a configuration from field names and values; absent fields take their default."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {name: value for name, value in values.items() if name not in _FORMER}
        for name in values:
            if name not in known:
                near = "".join(difflib.get_close_matches(name, known, n=1))
                hint = f" Did you mean '{near}'?" if near else ""
                raise InputError(f"There is no setting '{name}'.{hint} See train --help for all.")
        return cls(**values)


# Settings of version 0.1 that changed nothing in what was trained.
_FORMER = frozenset({"profile_steps"})
# What was done before there was a setting for it, where that is not its default.
_BEFORE = dict(ema_decay=0.0)
# What may change between a run and its continuation: everything else would make
# the continued run another experiment, or not fit the saved networks.
_MAY_CHANGE_ON_RESUME = frozenset(
    "data_dir num_steps cache_megabytes check_data strategy log_every sample_every "
    "num_samples checkpoint_every keep_checkpoints best_metric classes num_evaluated jit_compile "
    "steps_per_call".split()
)


def check_resumable(saved: TrainConfig, asked: TrainConfig) -> None:
    """Refuses to continue a run under a configuration that does not fit it.

    Raises:
        InputError: Naming each field that differs, with both values.
    """
    differences = [
        f"{field.name} (was {getattr(saved, field.name)!r}, now {getattr(asked, field.name)!r})"
        for field in dataclasses.fields(TrainConfig)
        if field.name not in _MAY_CHANGE_ON_RESUME
        and getattr(saved, field.name) != getattr(asked, field.name)
    ]
    if saved.decay_steps and saved.num_steps != asked.num_steps:
        differences.append(
            f"num_steps (was {saved.num_steps}, now {asked.num_steps}: the linear decay ends there)"
        )
    if differences:
        raise InputError(
            f"This run cannot be continued with other settings: {'; '.join(differences)}. "
            "Use the settings of its config.json, or another --workdir for a new run."
        )


def value_range(text: str, *, name: str) -> tuple[float, float] | None:
    """Returns the lowest and the highest value of a range; None for an empty text.

    Args:
        text: LOW,HIGH.
        name: The setting's name, for the error message.

    Raises:
        InputError: If the text is not such a range.
    """
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise InputError(
            f"{name} is {text!r}. Give the lowest and the highest value with a comma between, such "
            "as 0,1 or -40,85.5."
        )
    return low, high


def parse_weights(text: str) -> dict[str, float]:
    """Returns the weights of NAME=WEIGHT,NAME=WEIGHT by their names.

    Raises:
        InputError: If the text is not of that form, or a weight is not a number above 0.
    """
    weights = {}
    for part in filter(None, text.split(",")):
        name, _, weight = part.partition("=")
        try:
            weights[name.strip()] = float(weight)
        except ValueError:
            weights[name.strip()] = math.nan
    if "" in weights or not all(0 < weight < math.inf for weight in weights.values()):
        raise InputError(
            f"extra_terms is {text!r}. Give names and weights above 0, such as "
            "perceptual=10,gradient=1."
        )
    return weights


def check_value(field: dataclasses.Field, value: Any) -> None:
    """Refuses a value of the wrong type or outside what the field allows."""
    kind = type(field.default)
    # JSON and Python callers may write 1 for 1.0; a bool is never a number here.
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (kind is not bool and isinstance(value, bool)):
        raise InputError(f"{field.name} is {value!r}. Give a value of type {kind.__name__}.")
    rules = field.metadata
    if rules["choices"] and value not in rules["choices"]:
        raise InputError(
            f"{field.name} is {value!r}. Use one of {', '.join(map(str, rules['choices']))}."
        )
    below = rules["minimum"] is not None and not value >= rules["minimum"]
    above = rules["maximum"] is not None and not value <= rules["maximum"]
    is_infinite = isinstance(value, float) and math.isinf(value)
    if below or above or is_infinite:
        least = "" if rules["minimum"] is None else f" from {rules['minimum']}"
        most = "" if rules["maximum"] is None else f" to {rules['maximum']}"
        raise InputError(f"{field.name} is {value}. Use a number{least}{most}.")
