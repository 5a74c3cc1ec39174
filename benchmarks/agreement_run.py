"""One training of `benchmarks.agreement`, in a process of its own.

python -m benchmarks.agreement_run FORM SETTINGS_AS_JSON LOSSES.json
"""

from __future__ import annotations

import json
import pathlib
import sys
from unittest import mock

import keras
import tensorflow as tf

from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pipeline
from pix2pix_tf.models import convolutions
from pix2pix_tf.training import state
from pix2pix_tf.training.step import make_train_step


def train(form: str, settings: dict) -> list[dict[str, float]]:
    """Returns the losses of each step.

    Args:
        form: "project", "plain" or "plain, one thread".
        settings: Of `TrainConfig`.
    """
    if form == "plain, one thread":
        tf.config.threading.set_intra_op_parallelism_threads(1)
    config = TrainConfig(**settings)
    if form == "project":
        run_state = state.TrainState(config)
    else:
        with mock.patch.object(state, "FusedAdam", keras.optimizers.Adam):
            run_state = state.TrainState(config)
        for network in (run_state.generator, run_state.discriminator):
            convolutions.set_formulation(network, convolutions.PORTABLE)
    strategy = tf.distribute.get_strategy()
    train_step = make_train_step(run_state, config, strategy)
    reader = pipeline.open_reader(
        config, "train", size=config.load_size, cache_megabytes=config.cache_megabytes
    )
    batches = iter(
        pipeline.training_batches(
            reader,
            batch_size=config.batch_size,
            crop_size=config.crop_size,
            input_channels=config.input_channels,
            output_channels=config.output_channels,
            mirror=config.mirror,
            seed=config.seed,
            start=0,
            shard=(0, 1),
        )
    )
    losses = []
    for _ in range(config.num_steps):
        losses.append({name: float(x) for name, x in train_step(next(batches)).items()})
    return losses


if __name__ == "__main__":
    form, settings, path = sys.argv[1:]
    pathlib.Path(path).write_text(json.dumps(train(form, json.loads(settings))), encoding="utf-8")
