"""The arithmetic of a training step, counted from the layer list.

A multiplication and an addition are two FLOP. Every position of a kernel counts,
also those that meet padding; normalisation, activations and losses, some 1 %, do not.
"""

from __future__ import annotations

_KERNEL_AREA = 4 * 4
_DISCRIMINATOR_FACTORS = (1, 2, 4)  # Filters of its stride-2 blocks: the 70x70 PatchGAN.

PARAMETER_BYTES = 4
# Reads of the weight, its gradient and two moments; writes of the weight and the moments.
_ADAM_PASSES = 7


def generator_macs(*, crop_size: int = 256, base_filters: int = 64) -> list[int]:
    """Returns multiply-adds of each convolution of the U-Net for one image, first to last."""
    num_downs = crop_size.bit_length() - 1
    encoder = [base_filters * min(2**depth, 8) for depth in range(num_downs)]
    macs, size, channels = [], crop_size, 3
    for filters in encoder:
        size //= 2
        macs.append(size**2 * _KERNEL_AREA * channels * filters)
        channels = filters
    for filters in reversed(encoder[:-1]):
        macs.append(size**2 * _KERNEL_AREA * channels * filters)  # Transposed: at its input.
        size *= 2
        channels = 2 * filters  # With the skip.
    macs.append(size**2 * _KERNEL_AREA * channels * 3)
    return macs


def discriminator_macs(*, crop_size: int = 256, base_filters: int = 64) -> list[int]:
    """Returns multiply-adds of each convolution of the 70x70 PatchGAN for one pair."""
    macs, size, channels = [], crop_size, 6
    for factor in _DISCRIMINATOR_FACTORS:
        size //= 2
        macs.append(size**2 * _KERNEL_AREA * channels * factor * base_filters)
        channels = factor * base_filters
    for filters in (8 * base_filters, 1):
        size -= 1  # Stride 1, padding 1.
        macs.append(size**2 * _KERNEL_AREA * channels * filters)
        channels = filters
    return macs


def step_gflop(*, crop_size: int = 256, base_filters: int = 64, fresh_logits: bool = True) -> float:
    """Returns GFLOP of a training step per image.

    Args:
        crop_size: Pixels.
        base_filters: Of both networks.
        fresh_logits: Whether the generator learns against the discriminator just
            updated, for which D runs once more on the fake: the authors' order,
            86.9 GFLOP at the default. The tutorial takes both gradients from one
            forward pass: 80.5.
    """
    generator = generator_macs(crop_size=crop_size, base_filters=base_filters)
    discriminator = discriminator_macs(crop_size=crop_size, base_filters=base_filters)
    forward_g, forward_d = sum(generator), sum(discriminator)
    # A backward pass costs a forward one to the weights and one to the inputs, which
    # the first layer does not need.
    generator_update = 3 * forward_g - generator[0]
    discriminator_update = 2 * (3 * forward_d - discriminator[0])
    through_discriminator = forward_d * (2 if fresh_logits else 1)
    return 2 * (generator_update + discriminator_update + through_discriminator) / 1e9


def adam_gigabytes(num_parameters: int) -> float:
    """Returns how much memory an update by Adam has to move at least, in 1e9 bytes."""
    return num_parameters * PARAMETER_BYTES * _ADAM_PASSES / 1e9
