"""The training step of this project and of its peers, as `contenders` make them.

All take settings: `crop_size`, `base_filters`, `batch_size`, `precision`, and the same
synthetic batch. Each import is inside the function whose process needs it.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.contenders import Work, timed


def synthetic_batch(settings: dict) -> tuple[np.ndarray, np.ndarray]:
    """Returns (source, target), float32 `[batch, size, size, 3]` in [-1, 1]."""
    size = settings["crop_size"]
    random = np.random.RandomState(0)
    shape = [2, settings["batch_size"], size, size, 3]
    source, target = random.uniform(-1, 1, shape).astype(np.float32)
    return source, target


def project(settings: dict) -> tuple[Work, dict]:
    """Makes this project's step, by the code that training runs.

    Args:
        settings: Also, if they are not the default, `threads` of the CPU, `strategy`,
            `update_order` and `accumulate`.
    """
    import keras
    import tensorflow as tf

    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.training import distribution
    from pix2pix_tf.training.state import TrainState
    from pix2pix_tf.training.step import make_train_step

    if settings.get("threads"):
        tf.config.threading.set_intra_op_parallelism_threads(settings["threads"])
    config = TrainConfig(
        crop_size=settings["crop_size"],
        base_filters=settings["base_filters"],
        batch_size=settings["batch_size"],
        precision=settings["precision"],
        strategy=settings.get("strategy", "default"),
        update_order=settings.get("update_order", "sequential"),
        accumulate=settings.get("accumulate", 1),
    )
    strategy = distribution.build_strategy(config.strategy)
    with strategy.scope():
        state = TrainState(config)
    train_step = make_train_step(state, config, strategy)
    pairs = tf.data.Dataset.from_tensor_slices(synthetic_batch(settings)).repeat()
    batches = iter(
        strategy.distribute_datasets_from_function(
            lambda context: pairs.batch(context.get_per_replica_batch_size(config.batch_size))
        )
    )

    def step():
        _check(float(train_step(next(batches))["l1_loss"]))

    networks = (state.generator, state.discriminator)
    is_fresh = config.update_order == "sequential"
    return timed(step), _tensorflow_facts(tf, keras, networks, fresh_logits=is_fresh)


def tutorial(settings: dict) -> tuple[Work, dict]:
    """Makes the step of TensorFlow's tutorial, whose own precision is float32.

    Args:
        settings: Also `is_compiled`.
    """
    import keras
    import tensorflow as tf

    from benchmarks import tutorial_recipe

    if settings["precision"] == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    sizes = dict(crop_size=settings["crop_size"], base_filters=settings["base_filters"])
    generator = tutorial_recipe.build_generator(**sizes)
    discriminator = tutorial_recipe.build_discriminator(**sizes)
    train_step = tutorial_recipe.make_train_step(
        generator, discriminator, is_compiled=settings["is_compiled"]
    )
    source, target = map(tf.constant, synthetic_batch(settings))

    def step():
        _check(float(train_step(source, target)))

    return timed(step), _tensorflow_facts(tf, keras, (generator, discriminator), fresh_logits=False)


def pytorch(settings: dict) -> tuple[Work, dict]:
    """Makes the step of the PyTorch reference.

    Args:
        settings: Also `threads`, `channels_last`, `adam` and `is_compiled`.
    """
    import torch

    from benchmarks import pytorch_recipe

    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    layout = torch.channels_last if settings["channels_last"] else torch.contiguous_format
    networks = (
        pytorch_recipe.Generator(
            crop_size=settings["crop_size"], base_filters=settings["base_filters"]
        ),
        pytorch_recipe.Discriminator(base_filters=settings["base_filters"]),
    )
    for network in networks:
        pytorch_recipe.initialize(network)
        network.to(memory_format=layout)
        if settings["is_compiled"]:
            network.compile()
    train_step = pytorch_recipe.make_train_step(
        *networks, adam=settings["adam"], precision=settings["precision"]
    )
    source, target = (
        torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        for x in synthetic_batch(settings)
    )
    facts = dict(
        versions=dict(torch=torch.__version__),
        num_parameters=[sum(x.numel() for x in net.parameters()) for net in networks],
        fresh_logits=True,
    )
    return timed(lambda: _check(train_step(source, target))), facts


def _tensorflow_facts(tf, keras, networks, *, fresh_logits: bool) -> dict:
    return dict(
        versions=dict(tensorflow=tf.__version__, keras=keras.__version__),
        num_parameters=[
            sum(math.prod(weight.shape) for weight in network.trainable_weights)
            for network in networks
        ],
        fresh_logits=fresh_logits,
    )


def _check(l1: float) -> None:
    """Stops a contender that computes nonsense, however fast."""
    if not math.isfinite(l1):
        raise ArithmeticError(f"L1 is {l1}: the step does not train.")
