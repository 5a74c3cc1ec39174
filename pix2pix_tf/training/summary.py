"""What a run says of itself before its first step."""

from __future__ import annotations

import pathlib

import tensorflow as tf

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pairs, registry
from pix2pix_tf.training import inputs


def describe_run(
    config: TrainConfig,
    workdir: pathlib.Path,
    strategy: tf.distribute.Strategy,
    given: inputs.Inputs,
) -> list[str]:
    """Returns lines that say what is trained on what, and what might be a mistake.

    Args:
        config: The settings, with "auto" resolved.
        workdir: The run folder.
        strategy: The devices.
        given: The pairs.
    """
    data = f"'{config.dataset}'"
    if config.dataset == pairs.DEMO:
        data += ", scenes that the program draws (--dataset names another set)"
    published = registry.PUBLISHED.get(config.dataset)
    folder = published and registry.find_published(config.dataset, config.data_dir)
    if folder is not None:  # Several places are looked in.
        data += f" in '{folder.resolve()}'"
    held_out = given.held_out
    held = f"{_number(given.num_held_out)} held out ({held_out})" if held_out else "none held out"
    lines = [
        f"Data: {data}; {config.direction}; {_number(given.num_pairs)} training pairs, {held}.",
        f"Devices: {_devices(strategy)}; {config.precision}.",
        f"Run folder: '{workdir}'.",
    ]
    if published is not None and not (
        published.has_both_directions or published.direction == config.direction
    ):
        lines.append(
            f"Note: the paper's task on '{config.dataset}' is {published.direction}; this run is "
            f"{config.direction} (--direction)."
        )
    if held_out is None:
        lines.append(
            "Note: there is no val or test split, so samples show training pairs and no best "
            "checkpoint is chosen."
        )
    elif held_out == "test" and config.best_metric != "none":
        lines.append(
            "Note: there is no val split, so the best checkpoint is chosen on test. What it "
            "reaches there is then no fair measure of it."
        )
    return lines


def _number(count: int | None) -> str:
    return "an unknown number of" if count is None else f"{count:,}"


def _devices(strategy: tf.distribute.Strategy) -> str:
    count = strategy.num_replicas_in_sync
    gpus = tf.config.list_physical_devices("GPU")
    if isinstance(strategy, tf.distribute.TPUStrategy):
        kind = "TPU core"
    elif gpus:
        kind = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    else:
        kind = "CPU"
    return f"{count} x {kind}"
