r"""Makes a run folder of a model that the authors' PyTorch code trained.

    pix2pix import_pytorch --weights=latest_net_G.pth --output=runs/imported
    pix2pix translate --model=runs/imported --input=labels.png --output=out

Reads the U-Nets of junyanz/pytorch-CycleGAN-and-pix2pix and of its forks, without PyTorch: sizes,
channels and normalisation are read off the file. Nothing in it is run; a file that names anything
but arrays is refused. Then the folder goes wherever a run folder does.
"""

from __future__ import annotations

import os
import pathlib

from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.config import UNKNOWN_DATASET, TrainConfig

RUNNING = "running"


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("weights", None, "The generator, as latest_net_G.pth.", required=True)
    flags.DEFINE_string(
        "discriminator",
        "",
        "Its discriminator, as latest_net_D.pth, for those who train on from it. Empty: none.",
    )
    flags.DEFINE_string("output", None, "The run folder; not there yet.", required=True)
    flags.DEFINE_string(
        "dataset", "", "Pairs that it was trained on, for evaluate: name or folder. Empty: unknown."
    )
    flags.DEFINE_enum("direction", "AtoB", ("AtoB", "BtoA"), "As it was trained.")
    flags.DEFINE_float(
        "dropout",
        TrainConfig.dropout,
        "Rate of dropout, which is not in the file. 0: it was trained with --no_dropout.",
        lower_bound=0.0,
        upper_bound=0.95,
    )
    flags.DEFINE_enum(
        "norm",
        "",
        ("", "batch", "instance", "none"),
        "As it was trained. Empty: told by which arrays the file has. A fork whose networks "
        "without normalisation have biases looks like instance norm: pass none.",
    )
    flags.DEFINE_enum(
        "statistics",
        "image",
        ("image", RUNNING),
        "What normalisation goes by. image: each image's own mean and variance, as in the paper "
        "and in test.py of that code. running: the averages over the training, and no dropout, as "
        "in its test.py --eval; they are folded into the kernels.",
    )


def main(unused_arguments: list[str]) -> None:
    """Imports what the flags name."""
    options = flags.FLAGS
    config = import_model(
        options.weights,
        options.output,
        discriminator=options.discriminator,
        dataset=options.dataset,
        direction=options.direction,
        dropout=options.dropout,
        norm=options.norm,
        running=options.statistics == RUNNING,
    )
    noise = f"{config.dropout} in blocks {config.dropout_blocks}" if config.dropout else "none"
    print(
        f"Wrote '{options.output}': U-Net for {config.crop_size}x{config.crop_size} pixels and "
        f"their multiples, {config.base_filters} filters, {config.input_channels} to "
        f"{config.output_channels} channels, norm {config.norm}, dropout {noise}."
    )


def import_model(
    weights: str | os.PathLike,
    output: str | os.PathLike,
    *,
    discriminator: str | os.PathLike = "",
    dataset: str = "",
    direction: str = "AtoB",
    dropout: float = TrainConfig.dropout,
    norm: str = "",
    running: bool = False,
) -> TrainConfig:
    """Writes the run folder of an imported model.

    Args:
        weights: The generator's file.
        output: The run folder.
        discriminator: The discriminator's file; empty for none.
        dataset: Pairs that it was trained on, name or folder; empty if unknown.
        direction: As it was trained.
        dropout: Rate with which it was trained.
        norm: "batch", "instance" or "none"; empty: told by which arrays there are.
        running: Whether it is to normalise by the running statistics.

    Returns:
        The settings of the run.

    Raises:
        InputError: If a file is damaged, of another network, or names anything but arrays; or
            if there is something in the place of `output`.
        WriteError: If it cannot be written; nothing is left of it then.
    """
    from pix2pix_tf.pytorch import networks, torch_file

    output = pathlib.Path(output)
    files.check_free(output)
    arrays = torch_file.read_state_dict(weights)
    generator = networks.read_generator(
        arrays, source=os.fspath(weights), dropout=dropout, running=running, norm=norm
    )
    settings = dict(generator.settings)
    critic = None
    if discriminator:
        critic = networks.read_discriminator(
            torch_file.read_state_dict(discriminator),
            source=os.fspath(discriminator),
            generator=settings,
            norm=norm,
        )
        settings.update(critic.settings)
    config = TrainConfig(
        dataset=dataset or UNKNOWN_DATASET,
        direction=direction,
        ema_decay=0.0,  # There is no average beside these weights.
        **settings,
    )
    _write(config, generator.weights, critic and critic.weights, output)
    return config


def _write(config: TrainConfig, generator: list, discriminator: list | None, output) -> None:
    # After the cheap checks: TensorFlow takes seconds to import.
    from pix2pix_tf import keras_compat, networks, run_folder

    models = {run_folder.GENERATOR_WEIGHTS: (networks.build_generator(config), generator)}
    if discriminator is not None:
        critic = networks.build_discriminator(config)
        models[run_folder.DISCRIMINATOR_WEIGHTS] = (critic, discriminator)
    files.make_output_folder(output.parent)
    with files.writing(output), files.unfinished_folder(output.parent, output.name) as unfinished:
        unfinished.mkdir()
        config.save(unfinished)
        for name, (model, weights) in models.items():
            model.set_weights(weights)
            (unfinished / name).write_bytes(keras_compat.weights_file(model))
        os.replace(unfinished, output)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
