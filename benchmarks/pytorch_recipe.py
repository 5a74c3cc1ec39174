"""The networks and the step of junyanz/pytorch-CycleGAN-and-pix2pix, re-written to compare speed.

Runs in any environment with PyTorch; TensorFlow is not needed. The networks are the
paper's, as in this project (54,413,955 and 2,768,705 parameters). What differs: dropout
sits at the decoder's outputs of 4, 8 and 16 pixels.

Beyond the original, the options that make it faster on a CPU: `channels_last` memory,
Adam in one pass over all weights, bfloat16 by autocast.
"""

from __future__ import annotations

import contextlib

import torch
from torch import nn
from torch.nn import functional

_KERNEL_SIZE = 4
_SLOPE = 0.2


class Generator(nn.Module):
    """The U-Net, `[batch, 3, size, size]` to the same, in [-1, 1].

    Args:
        crop_size: Pixels; a power of two.
        base_filters: Filters of the first block.
    """

    def __init__(self, *, crop_size: int = 256, base_filters: int = 64):
        super().__init__()
        num_downs = crop_size.bit_length() - 1
        encoder = [base_filters * min(2**depth, 8) for depth in range(num_downs)]
        self.downs, self.down_norms = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for depth, filters in enumerate(encoder):
            self.downs.append(_down(channels, filters))
            # None at the first block and at the 1x1 bottleneck.
            has_norm = 0 < depth < num_downs - 1
            self.down_norms.append(nn.BatchNorm2d(filters) if has_norm else nn.Identity())
            channels = filters
        self.ups, self.up_norms, self.dropouts = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for depth, filters in enumerate(reversed(encoder[:-1])):
            self.ups.append(_up(channels, filters))
            self.up_norms.append(nn.BatchNorm2d(filters))
            # At outputs of 4, 8 and 16 pixels: not at the innermost block's, of 2.
            has_dropout = 1 <= depth <= 3
            self.dropouts.append(nn.Dropout(0.5) if has_dropout else nn.Identity())
            channels = 2 * filters
        self.last = _up(channels, 3, bias=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Returns the translation."""
        x = self.downs[0](image)
        skips = []
        for down, norm in zip(self.downs[1:], self.down_norms[1:]):
            x = functional.leaky_relu_(x, _SLOPE)
            skips.append(x)
            x = norm(down(x))
        for up, norm, dropout in zip(self.ups, self.up_norms, self.dropouts):
            x = dropout(norm(up(functional.relu_(x))))
            x = torch.cat([skips.pop(), x], dim=1)
        return torch.tanh(self.last(functional.relu_(x)))


class Discriminator(nn.Sequential):
    """The 70x70 PatchGAN of source and image joined, `[batch, 6, size, size]` to logits.

    Args:
        base_filters: Filters of the first block.
    """

    def __init__(self, *, base_filters: int = 64):
        layers = [_down(6, base_filters, bias=True), nn.LeakyReLU(_SLOPE, inplace=True)]
        channels = base_filters
        for factor, stride in ((2, 2), (4, 2), (8, 1)):
            filters = factor * base_filters
            layers += [_down(channels, filters, stride=stride), nn.BatchNorm2d(filters)]
            layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
            channels = filters
        super().__init__(*layers, _down(channels, 1, stride=1, bias=True))


def _down(channels: int, filters: int, *, stride: int = 2, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(channels, filters, _KERNEL_SIZE, stride, 1, bias=bias)


def _up(channels: int, filters: int, *, bias: bool = False) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, filters, _KERNEL_SIZE, 2, 1, bias=bias)


def initialize(network: nn.Module) -> None:
    """Draws weights from N(0, 0.02), scales of norms from N(1, 0.02)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def make_train_step(generator: Generator, discriminator: Discriminator, *, precision: str):
    """Returns `train_step(source, target)`, which returns L1 as a float.

    D is updated on the halved loss of a true and a generated pair, then G against
    the discriminator just updated.

    Args:
        generator: Its weights are updated.
        discriminator: Likewise.
        precision: "float32", or "bfloat16" by autocast.
    """
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
        for network in (generator, discriminator)
    ]
    entropy = nn.BCEWithLogitsLoss()

    def arithmetic():
        if precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def judge(source, image, is_real):
        logits = discriminator(torch.cat([source, image], dim=1)).float()
        return entropy(logits, torch.full_like(logits, float(is_real)))

    def train_step(source: torch.Tensor, target: torch.Tensor) -> float:
        with arithmetic():
            fake = generator(source)
        discriminator.requires_grad_(True)
        optimizers[1].zero_grad()
        with arithmetic():
            loss = 0.5 * (judge(source, fake.detach(), False) + judge(source, target, True))
        loss.backward()
        optimizers[1].step()

        discriminator.requires_grad_(False)
        optimizers[0].zero_grad()
        with arithmetic():
            adversarial = judge(source, fake, True)
            l1 = functional.l1_loss(fake.float(), target)
        (adversarial + 100.0 * l1).backward()
        optimizers[0].step()
        return float(l1.detach())

    return train_step
