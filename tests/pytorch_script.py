"""Prints what `test_benchmarks.py` asks of the PyTorch peer; run by an interpreter that has it."""

from __future__ import annotations

import json

import torch

from benchmarks import pytorch_recipe


def train(*, precision: str, channels_last: bool) -> list[float]:
    """Returns L1 of some steps on one tiny pair."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator = pytorch_recipe.Generator(crop_size=32, base_filters=8).to(memory_format=layout)
    discriminator = pytorch_recipe.Discriminator(base_filters=8).to(memory_format=layout)
    for network in (generator, discriminator):
        pytorch_recipe.initialize(network)
    step = pytorch_recipe.make_train_step(generator, discriminator, precision=precision)
    source = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    source = source.contiguous(memory_format=layout)
    return [step(source, 0.5 * source.flip(1)) for _ in range(40)]


generator, discriminator = pytorch_recipe.Generator(), pytorch_recipe.Discriminator()
dropout_sizes = []
for dropout in generator.dropouts:
    if isinstance(dropout, torch.nn.Dropout):
        dropout.register_forward_hook(lambda *call: dropout_sizes.append(call[2].shape[-1]))
shapes = [
    list(generator(torch.zeros(1, 3, 256, 256)).shape),
    list(discriminator(torch.zeros(1, 6, 256, 256)).shape),
]
losses = {
    "float32": train(precision="float32", channels_last=False),
    "bfloat16": train(precision="bfloat16", channels_last=True),
}
networks = (generator, discriminator)
print(
    json.dumps(
        dict(
            num_parameters=[sum(x.numel() for x in net.parameters()) for net in networks],
            shapes=shapes,
            l1=losses,
            dropout_sizes_px=dropout_sizes,
        )
    )
)
