r"""Writes a trained model for the authors' PyTorch code.

    pix2pix export pytorch --workdir=runs/facades --output=latest_net_G.pth

junyanz/pytorch-CycleGAN-and-pix2pix loads the file where it would load its own:
checkpoints/NAME/latest_net_G.pth. The flags that it takes there are printed. PyTorch is not needed
to write it.
"""

from __future__ import annotations

import os
import pathlib

from absl import flags

from pix2pix_tf import commands, files, pretrained, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError

_SIZES_THERE = (128, 256)
_NUM_LAYERS = {16: 1, 34: 2, 142: 4, 286: 5}  # By receptive field.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("workdir", None, commands.RUN_FOLDER_HELP, required=True)
    flags.DEFINE_string("output", None, "File for the generator.", required=True)
    flags.DEFINE_string(
        "discriminator", "", "File for the discriminator, of the newest checkpoint. Empty: none."
    )
    commands.define_checkpoint_flags()


def main(unused_arguments: list[str]) -> None:
    """Writes what the flags name."""
    options = flags.FLAGS
    config, norm = write(
        options.workdir,
        options.output,
        discriminator=options.discriminator,
        **commands.checkpoint_from_flags(),
    )
    print(f"Wrote '{options.output}'. There: {_describe(config, norm, options.discriminator)}")
    print(
        "Use it as test.py does without --eval, in train() mode: the file has no running "
        "statistics, as the model normalises by each image's own."
    )
    # Their U-Nets have it in 2, 3 and 4 at 256 pixels, 2 and 3 at 128; an imported model too.
    theirs = tuple(range(2, config.crop_size.bit_length() - 4))
    if config.dropout and tuple(config.dropout_blocks) != theirs:
        print(
            f"Dropout is in the decoder's blocks {config.dropout_blocks} here, counted from the "
            "inside, and in those after the first there: its draws differ. Compare outputs "
            "without any: --no_dropout there, and `export saved_model --dropout=off` here."
        )


def _describe(config: TrainConfig, norm: str, discriminator: str) -> str:
    """Returns the flags with which that code builds the networks, and what has no flag."""
    flags_there = [
        f"--netG=unet_{config.crop_size}",
        f"--ngf={config.base_filters}",
        f"--input_nc={config.input_channels}",
        f"--output_nc={config.output_channels}",
        f"--norm={norm.split(',')[0]}",
    ]
    if not config.dropout:
        flags_there.append("--no_dropout")
    if discriminator:
        kinds = {1: "pixel", 70: "basic"}
        flags_there += [
            f"--netD={kinds.get(config.receptive_field, 'n_layers')}",
            f"--ndf={config.base_filters}",
        ]
        if config.receptive_field not in kinds:
            flags_there.append(f"--n_layers_D={_NUM_LAYERS[config.receptive_field]}")
    words = []
    if config.crop_size not in _SIZES_THERE:
        num_downs = config.crop_size.bit_length() - 1
        words.append(
            f"its define_G knows sizes {' and '.join(map(str, _SIZES_THERE))} alone; build others "
            f"with UnetGenerator(num_downs={num_downs})"
        )
    if "," in norm:
        words.append(f"its get_norm_layer has to give {norm.split(', with ')[1]}")
    return " ".join(flags_there) + (f" ({'; '.join(words)})" if words else "") + "."


def write(
    workdir: str | os.PathLike,
    output: str | os.PathLike,
    *,
    discriminator: str | os.PathLike = "",
    checkpoint: str = run_folder.NEWEST,
    weights: str = run_folder.AVERAGE,
) -> tuple[TrainConfig, str]:
    """Writes the networks of a run.

    Args:
        workdir: The run folder; or a name of `pretrained`.
        output: File for the generator.
        discriminator: File for the discriminator; empty for none.
        checkpoint: "newest", "best", or a step.
        weights: "average" or "last", see `run_folder.find_weights`.

    Returns:
        The settings of the run, and the `--norm` of the networks there.

    Raises:
        InputError: If `workdir` is not a run folder, or that code does not have such networks.
        WriteError: If a file cannot be written.
    """
    from pix2pix_tf import networks as our_networks
    from pix2pix_tf.pytorch import networks, torch_file

    folder = pretrained.find_model(workdir)
    config = TrainConfig.load(folder)
    path, _ = run_folder.find_weights(folder, checkpoint, weights=weights)
    arrays = our_networks.read_generator_weights(config, path)
    written, norm = networks.write_generator(vars(config), arrays)
    contents = {pathlib.Path(output): torch_file.state_dict_file(written)}
    if discriminator:
        if config.discriminator != "patchgan" or not config.uses_gan:
            raise InputError(f"'{folder}' has no PatchGAN. Leave --discriminator out.")
        if not config.conditional:
            raise InputError(
                f"The discriminator of '{folder}' is not conditional, and that code's are. Leave "
                "--discriminator out."
            )
        model = our_networks.build_discriminator(config)
        our_networks.load_weights(model, folder / run_folder.DISCRIMINATOR_WEIGHTS)
        written = networks.write_discriminator(vars(config), model.get_weights(), norm=norm)
        contents[pathlib.Path(discriminator)] = torch_file.state_dict_file(written)
    for target, content in contents.items():
        files.make_output_folder(target.parent)
        files.write_atomically(target, content)
    return config, norm


if __name__ == "__main__":
    define_flags()
    commands.run(main)
