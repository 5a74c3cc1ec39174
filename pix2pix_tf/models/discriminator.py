"""PatchGAN discriminators, named by the receptive field of one logit."""

from __future__ import annotations

from typing import Any

import keras

from pix2pix_tf.errors import InputError
from pix2pix_tf.models import layers

# Receptive field in pixels: filters of the stride-2 blocks as multiples of
# base_filters, then of the stride-1 block. Paper: appendix 6.1.2.
_BLOCKS = {
    16: ([1], 2),
    34: ([1, 2], 4),
    70: ([1, 2, 4], 8),
    142: ([1, 2, 4, 8], 8),
    286: ([1, 2, 4, 8, 8], 8),
}
RECEPTIVE_FIELDS = (1, *_BLOCKS)


def patchgan(
    *,
    receptive_field: int = 70,
    input_channels: int = 6,
    base_filters: int = 64,
    norm: str = "batch",
    pixel_bias: bool = False,
    spectral_norm: bool = False,
    dtype: str = "float32",
) -> keras.Model:
    """Returns a discriminator that judges every patch of an image.

    70 is the paper's C64-C128-C256-C512; 1 the PixelGAN; 286 the ImageGAN, which
    sees all of a 256x256 image. The first block has no normalisation.

    Shapes:
        - image: `[batch, height, width, input_channels]`, float32 in [-1, 1]: source
            and target joined along the channels when conditional, the target alone
            when not.
        - logits: `[batch, patch_rows, patch_cols, 1]`, float32, *no* sigmoid applied;
            30x30 for 256x256 and a field of 70.

    Args:
        receptive_field: Pixels, one of `RECEPTIVE_FIELDS`.
        input_channels: Channels of `image`.
        base_filters: Filters of the first block, 64 in the paper.
        norm: One of `layers.NORMS`.
        pixel_bias: Whether the last convolution of the PixelGAN has a bias.
        spectral_norm: Whether every kernel is brought to spectral norm 1 at each call
            with `training=True`.
        dtype: Keras dtype policy name; the logits are float32 always.

    Raises:
        InputError: If an argument is not one of those above.
    """
    if receptive_field not in RECEPTIVE_FIELDS:
        fields = ", ".join(map(str, RECEPTIVE_FIELDS))
        raise InputError(f"receptive_field is {receptive_field}. Use one of {fields}.")
    image = keras.Input([None, None, input_channels], name="image")
    common: dict[str, Any] = dict(spectral_norm=spectral_norm, dtype=dtype)
    if receptive_field == 1:
        x = layers.down_block(image, base_filters, norm="none", stride=1, kernel_size=1, **common)
        x = layers.down_block(x, 2 * base_filters, norm=norm, stride=1, kernel_size=1, **common)
        # No bias here in the authors' code under batch norm; 9,024 parameters in all.
        x = layers.convolution(x, 1, use_bias=pixel_bias, kernel_size=1, **common)
    else:
        factors, last_factor = _BLOCKS[receptive_field]
        x = layers.down_block(image, base_filters, norm="none", **common)
        for factor in factors[1:]:
            x = layers.down_block(x, factor * base_filters, norm=norm, **common)
        x = layers.down_block(x, last_factor * base_filters, norm=norm, stride=1, **common)
        x = layers.convolution(x, 1, use_bias=True, **common)
    logits = keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=f"patchgan_{receptive_field}")
