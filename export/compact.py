r"""Writes a small run folder of a trained generator, to keep or to give away.

    pix2pix export compact --workdir=runs/facades --output=facades

The folder holds the networks' weights in float16, their settings, a model card and the last
measures: 29 MB with 32 filters, where a run takes a gigabyte. It goes wherever a run folder does
but for resuming: translate, evaluate, all exports, and --init_from of train. Names of folders and
of pairs are not in it.
"""

from __future__ import annotations

import io
import json
import os
import pathlib

from absl import flags

from pix2pix_tf import commands, files, pretrained, run_folder
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError

CARD = "model_card.json"


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("workdir", None, commands.RUN_FOLDER_HELP, required=True)
    flags.DEFINE_string("output", None, "Folder to write; not there yet.", required=True)
    commands.define_checkpoint_flags()


def main(unused_arguments: list[str]) -> None:
    """Writes what the flags name."""
    options = flags.FLAGS
    written = compact(options.workdir, options.output, **commands.checkpoint_from_flags())
    print(f"Wrote '{written}', {files.megabytes(written):.1f} MB.")


def compact(
    workdir: str | os.PathLike,
    output: str | os.PathLike,
    *,
    checkpoint: str = run_folder.NEWEST,
    weights: str = run_folder.AVERAGE,
) -> pathlib.Path:
    """Writes a run folder that holds one generator, its discriminator, and what is known of them.

    Args:
        workdir: The run folder.
        output: The folder to write.
        checkpoint: "newest", "best", or a step.
        weights: "average" or "last", see `run_folder.find_weights`.

    Returns:
        `output`.

    Raises:
        InputError: If `workdir` is not a run folder, or has no weights yet; if a weight is
            beyond what float16 holds; or if there is something in the place of `output`.
        WriteError: If it cannot be written; nothing is left of it then.
    """
    from pix2pix_tf import serving
    from pix2pix_tf.networks import read_generator_weights

    workdir, output = pretrained.find_model(workdir), pathlib.Path(output)
    files.check_free(output)
    config = TrainConfig.load(workdir)
    path, step = run_folder.find_weights(workdir, checkpoint, weights=weights)
    model = serving.ServingModel(config, read_generator_weights(config, path))
    card = serving.published_card(serving.model_card_of(model, workdir, step, weights=weights))
    if weights == run_folder.LAST:
        card["config"]["ema_decay"] = 0.0  # There is no average beside these.
    files.make_output_folder(output.parent)
    with files.writing(output), files.unfinished_folder(output.parent, output.name) as unfinished:
        folder = unfinished
        if step is not None:
            folder = unfinished / run_folder.CHECKPOINTS_FOLDER / run_folder.checkpoint_name(step)
        folder.mkdir(parents=True)
        (folder / run_folder.GENERATOR_WEIGHTS).write_bytes(_in_float16(path))
        discriminator = workdir / run_folder.DISCRIMINATOR_WEIGHTS
        # It is of the newest checkpoint.
        if discriminator.is_file() and step == run_folder.find_weights(workdir)[1]:
            contents = _in_float16(discriminator)
            (unfinished / run_folder.DISCRIMINATOR_WEIGHTS).write_bytes(contents)
        TrainConfig.from_dict(card["config"]).save(unfinished)
        (unfinished / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        if form := run_folder.read_data(workdir):
            form = dict(run_folder.NO_DATA, **{name: form[name] for name in run_folder.PAIR_FORM})
            (unfinished / run_folder.DATA_FILE).write_text(json.dumps(form), encoding="utf-8")
        if "classes" in card:
            text = json.dumps(card["classes"], indent=1)
            (unfinished / run_folder.CLASSES_FILE).write_text(text, encoding="utf-8")
        if card["metrics"]:
            line = json.dumps(card["metrics"]) + "\n"
            (unfinished / run_folder.METRICS_FILE).write_text(line, encoding="utf-8")
        os.replace(unfinished, output)
    return output


def _in_float16(path: pathlib.Path) -> bytes:
    """Returns a weights file with its arrays in float16.

    Raises:
        InputError: If a weight is beyond what float16 holds.
    """
    import h5py  # With Keras, which needs it.
    import numpy as np

    written = io.BytesIO()

    def copy(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Group):
            copied = target.require_group(name)
        else:
            with np.errstate(over="ignore"):
                values = node[()].astype(np.float16)
            if not np.isfinite(values).all():
                raise InputError(
                    f"'{path}' holds {np.abs(node[()]).max():g} in {name}, and float16 goes to "
                    "65504. Give the run folder as it is."
                )
            copied = target.create_dataset(name, data=values)
        copied.attrs.update(node.attrs)

    with h5py.File(path) as source, h5py.File(written, "w") as target:
        copy("/", source["/"])
        source.visititems(copy)
    return written.getvalue()


if __name__ == "__main__":
    define_flags()
    commands.run(main)
