"""Makes pytorch_*.pth and pytorch_expected.npz; needs PyTorch, and nothing of this project.

    python tests/golden/make_pytorch.py --output=tests/golden

Networks with the names and shapes of junyanz/pytorch-CycleGAN-and-pix2pix, re-written, with random
weights. Each generator's outputs of an image are written beside them; where it has dropout, mean
and standard deviation over draws.
"""

from __future__ import annotations

import argparse
import functools
import pathlib

import numpy as np
import torch
from torch import nn

NORMS = dict(
    batch=nn.BatchNorm2d,
    instance=nn.InstanceNorm2d,  # Without weights and running statistics.
    affine=functools.partial(nn.InstanceNorm2d, affine=True, track_running_stats=True),
    none=lambda channels: nn.Identity(),
)


NUM_DRAWS = 256
EVERY = 4  # Pixels, of which one is kept.


class Block(nn.Module):
    """A halving, what is inside of it, and a doubling."""

    def __init__(self, outer, inner, *, norm, inside=None, taken=None, dropout=False):
        super().__init__()
        make, bias = NORMS[norm], norm in ("instance", "affine")
        down = nn.Conv2d(taken or outer, inner, 4, 2, 1, bias=bias)
        from_below = inner if inside is None else 2 * inner
        up = functools.partial(nn.ConvTranspose2d, from_below, outer, 4, 2, 1)
        self.is_outermost = taken is not None
        if self.is_outermost:
            parts = [down, inside, nn.ReLU(True), up(), nn.Tanh()]
        elif inside is None:
            parts = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up(bias=bias), make(outer)]
        else:
            parts = [nn.LeakyReLU(0.2, True), down, make(inner), inside]
            parts += [nn.ReLU(True), up(bias=bias), make(outer)]
            parts += [nn.Dropout(0.5)] * dropout
        self.model = nn.Sequential(*parts)

    def forward(self, x):
        """Returns the image, or what goes on beside the skip."""
        return self.model(x) if self.is_outermost else torch.cat([x, self.model(x)], 1)


class Generator(nn.Module):
    """The U-Net."""

    def __init__(self, *, size, filters, norm, channels=(3, 3), dropout=True):
        super().__init__()
        block = Block(8 * filters, 8 * filters, norm=norm)
        for _ in range(size.bit_length() - 1 - 5):
            block = Block(8 * filters, 8 * filters, norm=norm, inside=block, dropout=dropout)
        for factor in (4, 2, 1):
            block = Block(factor * filters, 2 * factor * filters, norm=norm, inside=block)
        self.model = Block(channels[1], filters, taken=channels[0], norm=norm, inside=block)

    def forward(self, x):
        """Returns the translation."""
        return self.model(x)


class PatchDiscriminator(nn.Module):
    """With `num_layers` halvings."""

    def __init__(self, *, channels, filters, norm, num_layers=3):
        super().__init__()
        bias = norm in ("instance", "affine")
        parts = [nn.Conv2d(channels, filters, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        widths = [filters * min(2**i, 8) for i in range(num_layers + 1)]
        for number, (taken, given) in enumerate(zip(widths, widths[1:]), start=1):
            stride = 1 if number == num_layers else 2
            parts += [nn.Conv2d(taken, given, 4, stride, 1, bias=bias), NORMS[norm](given)]
            parts += [nn.LeakyReLU(0.2, True)]
        self.model = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x):
        """Returns the logits."""
        return self.model(x)


class PixelDiscriminator(nn.Module):
    """Of single pixels."""

    def __init__(self, *, channels, filters, norm):
        super().__init__()
        bias = norm in ("instance", "affine")
        self.net = nn.Sequential(
            nn.Conv2d(channels, filters, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(filters, 2 * filters, 1, bias=bias),
            NORMS[norm](2 * filters),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * filters, 1, 1, bias=bias),
        )

    def forward(self, x):
        """Returns the logits."""
        return self.net(x)


def disturb(network: nn.Module, seed: int) -> nn.Module:
    """Returns a network with weights and running statistics unlike those it starts with."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in [*network.named_parameters(), *network.named_buffers()]:
            if value.dtype.is_floating_point:
                is_scale = value.ndim == 1 and name.endswith(("weight", "running_var"))
                value.copy_(
                    torch.rand_like(value) + 0.5 if is_scale else 0.1 * torch.randn_like(value)
                )
    return network


def random_image(*, channels: int) -> np.ndarray:
    """Returns an image, float32 `[64, 64, channels]`."""
    return np.random.default_rng(0).uniform(-1, 1, (64, 64, channels)).astype(np.float32)


def translate(network: nn.Module, x: np.ndarray, draws: int) -> np.ndarray:
    """Returns outputs of one image, `[draws, height, width, channels]`."""
    image = torch.from_numpy(x.transpose(2, 0, 1))[None]
    with torch.no_grad():
        outputs = [network(image.clone())[0].numpy().transpose(1, 2, 0) for _ in range(draws)]
    return np.stack(outputs)


def save(network: nn.Module, path: pathlib.Path, *, is_old: bool, prefix: str = "") -> None:
    """Writes the state_dict, in today's format or in that from before PyTorch 1.6."""
    arrays = {prefix + name: value for name, value in network.state_dict().items()}
    torch.save(arrays, path, _use_new_zipfile_serialization=not is_old)


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=pathlib.Path, required=True)
    folder = parser.parse_args().output
    expected = {}
    for norm in NORMS:
        has_dropout = norm == "batch"
        generator = Generator(size=64, filters=1, norm=norm, channels=(1, 6), dropout=has_dropout)
        disturb(generator, seed=1)
        prefix = "module." if norm == "instance" else ""
        save(generator, folder / f"pytorch_{norm}_G.pth", is_old=norm != "batch", prefix=prefix)
        image = random_image(channels=1)
        if norm in ("batch", "affine"):  # First: draws move the running statistics.
            expected[f"{norm}_eval"] = translate(generator.eval(), image, draws=1)[0]
        outputs = translate(generator.train(), image, draws=NUM_DRAWS if has_dropout else 1)
        expected[f"{norm}_mean"] = outputs.mean(axis=0)
        if has_dropout:
            expected[f"{norm}_deviation"] = outputs.std(axis=0)
        seen = random_image(channels=6 if norm == "none" else 7)
        made = dict(channels=seen.shape[-1], filters=1, norm=norm)
        if norm == "instance":
            critic = PixelDiscriminator(**made)
        else:
            critic = PatchDiscriminator(**made, num_layers=3 if norm == "batch" else 2)
        save(disturb(critic, seed=2), folder / f"pytorch_{norm}_D.pth", is_old=norm == "none")
        expected[f"{norm}_logits"] = translate(critic, seen, draws=1)[0]
    thinned = {name: array[::EVERY, ::EVERY] for name, array in expected.items()}
    np.savez_compressed(folder / "pytorch_expected.npz", **thinned)


if __name__ == "__main__":
    main()
