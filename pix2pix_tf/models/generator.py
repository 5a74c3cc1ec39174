"""The paper's two generators, U-Net and encoder-decoder, as G(x, z).

Both are fully convolutional: any height and width that are multiples of the
crop size they are built for (`2 ** num_downs`) go through.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import keras

from pix2pix_tf.errors import InputError
from pix2pix_tf.models import layers, shapes

GENERATORS = ("unet", "encoder_decoder")
MIN_CROP_SIZE, MAX_CROP_SIZE = 32, 1024
MAX_FILTERS_FACTOR = 8  # Paper: filters double from 64 to 512 and stay there.
DROPOUT_BLOCKS = (1, 2, 3)  # Paper: the first three blocks of the decoder are CDk.


def build_generator(
    kind: str,
    *,
    crop_size: int = 256,
    input_channels: int = 3,
    output_channels: int = 3,
    base_filters: int = 64,
    norm: str = "batch",
    bottleneck_norm: bool = False,
    dropout: float = 0.5,
    dropout_blocks: Collection[int] = DROPOUT_BLOCKS,
    unnormalized_bias: bool = False,
    upsampling: str = layers.TRANSPOSED,
    statistics: str = "batch",
    dtype: str = "float32",
) -> keras.Model:
    """Returns a generator from (`image`, `z`) to an image.

    It says of itself what padding and tiling need: `multiple`, by which the sides of an image have
    to be divisible, and `mirrored_with_skips`, see `inference.stages.take_apart`.

    Encoder C64-C128-C256-C512-... down to 1x1 at `crop_size`; decoder back up,
    some of its blocks with dropout; then a convolution and tanh.

    Shapes:
        - image: `[batch, height, width, input_channels]`, float32 in [-1, 1];
            height and width multiples of `crop_size`.
        - z: `[batch, noise_size(model, ...)]`, float32 in [0, 1).
        - output: `[batch, height, width, output_channels]`, float32 in [-1, 1].

    Args:
        kind: "unet", whose layer i is joined to layer n - i; or "encoder_decoder", without
            these skips.
        crop_size: Power of two from 32 to 1024; the depth follows, so that the
            bottleneck is 1x1.
        input_channels: Channels of the image.
        output_channels: Channels of the output.
        base_filters: Filters of the first block, 64 in the paper.
        norm: One of `layers.NORMS`.
        bottleneck_norm: Whether the 1x1 bottleneck is normalised, as the paper's
            text has it. A batch of one image then makes the bottleneck exactly
            0 and its weights get no gradient, which is why the authors' code
            leaves it out.
        dropout: Rate in some decoder blocks, which is the noise z.
        dropout_blocks: Which these are, 1 being the innermost.
        unnormalized_bias: Whether the convolutions of the encoder that are not normalised have
            biases; with `norm` "none" they do anyway.
        upsampling: How the decoder doubles the size; see `layers.upsampling_convolution`.
        statistics: "batch" in training; "image" for serving, where strangers
            share a batch. See `layers.StatisticsNormalization`.
        dtype: Keras dtype policy name; the output is float32 always.

    Raises:
        InputError: If an argument is not one of those above.

    Reference:
        Isola et al., "Image-to-Image Translation with Conditional Adversarial
        Networks", CVPR 2017, section 3.2 and appendix 6.1.1.
    """
    if kind not in GENERATORS:
        raise InputError(f"generator is {kind!r}. Use one of {', '.join(GENERATORS)}.")
    encoder_filters = filters_of_encoder(crop_size, base_filters)
    num_downs = len(encoder_filters)
    common: dict[str, Any] = dict(statistics=statistics, dtype=dtype)
    has_bias = unnormalized_bias or norm == "none"

    image = keras.Input([None, None, input_channels], name="image")
    noise = z = keras.Input([None], name="z")

    x = image
    skips = []
    for depth, filters in enumerate(encoder_filters, start=1):
        has_norm = depth > 1 and (depth < num_downs or bottleneck_norm)
        if has_norm:
            x = layers.down_block(x, filters, norm=norm, **common)
        else:
            x = layers.down_block(x, filters, norm="none", use_bias=has_bias, **common)
        skips.append(x)

    # ReLU(LeakyReLU(x)) = ReLU(x): what the decoder takes from the encoder is
    # rectified, as in the authors' code, where ReLU follows the concatenation.
    x = keras.layers.ReLU(dtype=dtype)(skips.pop())
    for depth, filters in enumerate(reversed(encoder_filters[:-1]), start=1):
        rate = dropout if depth in dropout_blocks else None
        x, noise = layers.up_block(
            x, noise, filters, norm=norm, dropout=rate, upsampling=upsampling, **common
        )
        if kind == "unet":
            skip = keras.layers.ReLU(dtype=dtype)(skips.pop())
            x = keras.layers.Concatenate(dtype=dtype)([x, skip])
    x = layers.upsampling_convolution(
        x, output_channels, upsampling=upsampling, use_bias=True, dtype=dtype
    )
    output = keras.layers.Activation("tanh", dtype="float32", name="output")(x)
    model = keras.Model([image, z], output, name=kind)
    model.multiple = crop_size
    model.mirrored_with_skips = kind == "unet"
    return model


def filters_of_encoder(crop_size: int, base_filters: int) -> list[int]:
    """Returns the filters of each encoder block: 64, 128, 256, 512, 512, ... at the default."""
    is_power_of_two = crop_size > 0 and crop_size & (crop_size - 1) == 0
    if not is_power_of_two or not MIN_CROP_SIZE <= crop_size <= MAX_CROP_SIZE:
        raise InputError(
            f"crop_size is {crop_size}. Use a power of two from {MIN_CROP_SIZE} to "
            f"{MAX_CROP_SIZE}: the generator halves the image until one pixel is left."
        )
    num_downs = crop_size.bit_length() - 1
    return [base_filters * min(2**depth, MAX_FILTERS_FACTOR) for depth in range(num_downs)]


def noise_size(model: keras.Model, *, height: int, width: int) -> int:
    """Returns how many numbers z has for one image: the units of the model's `NoiseDropout` layers.

    Args:
        model: A generator of (image, z).
        height: Pixels of the image, a multiple of what the model takes.
        width: As `height`.
    """
    noisy = [x for x in model.layers if isinstance(x, layers.NoiseDropout) and x.rate > 0.0]
    found = shapes.output_shapes(model, noisy, size=(height, width))
    return sum(math.prod(shape) for shape in found)
