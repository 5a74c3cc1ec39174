"""What the contenders compute: a training step, and the translation of an image.

Each function makes the work of a process, see `contenders`, from settings that all share:
`crop_size` and `base_filters`, and for a step `batch_size` and `precision`. They get the same
synthetic batch. Imports are inside the function whose process needs them: one has TensorFlow,
another PyTorch.
"""

from __future__ import annotations

import math
import pathlib
import tempfile

import numpy as np

from benchmarks.contenders import Work, timed


def synthetic_batch(settings: dict) -> tuple[np.ndarray, np.ndarray]:
    """Returns (source, target), float32 `[batch, size, size, 3]` in [-1, 1]."""
    size = settings["crop_size"]
    random = np.random.RandomState(0)
    shape = [2, settings["batch_size"], size, size, 3]
    source, target = random.uniform(-1, 1, shape).astype(np.float32)
    return source, target


def project_step(settings: dict) -> tuple[Work, dict]:
    """Makes this project's step, by the code that training runs.

    Args:
        settings: Also `update_order` and `accumulate`, if they are not the default.
    """
    import tensorflow as tf

    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.training.state import TrainState
    from pix2pix_tf.training.step import make_train_step

    config = TrainConfig(**settings, ema_decay=0.0)  # The peers keep no average.
    train_step = make_train_step(TrainState(config), config, tf.distribute.get_strategy())
    batch = tuple(map(tf.constant, synthetic_batch(settings)))

    def step():
        check(float(train_step(batch)["l1_loss"]))

    return timed(step), _tensorflow_facts()


def tutorial_step(settings: dict) -> tuple[Work, dict]:
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
        check(float(train_step(source, target)))

    return timed(step), _tensorflow_facts()


def pytorch_step(settings: dict) -> tuple[Work, dict]:
    """Makes the step of the PyTorch reference.

    Args:
        settings: Also `channels_last` and `is_compiled`.
    """
    import torch

    from benchmarks import pytorch_recipe

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
    train_step = pytorch_recipe.make_train_step(*networks, precision=settings["precision"])
    source, target = (
        torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        for x in synthetic_batch(settings)
    )
    return timed(lambda: check(train_step(source, target))), _pytorch_facts()


def project_translation(settings: dict) -> tuple[Work, dict]:
    """Makes the translation of one image by `serving_default` of an exported model."""
    from pix2pix_tf import networks, serving
    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.inference import exported
    from pix2pix_tf.run_folder import GENERATOR_WEIGHTS

    config = TrainConfig(crop_size=settings["crop_size"], base_filters=settings["base_filters"])
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder)
        config.save(run)
        networks.build_generator(config).save_weights(str(run / GENERATOR_WEIGHTS))
        model = exported.load(serving.save_version(run, run / "exported"))
    image, _ = synthetic_batch(dict(settings, batch_size=1))
    return timed(lambda: model.translate(image)), _tensorflow_facts()


def tutorial_translation(settings: dict) -> tuple[Work, dict]:
    """Makes the tutorial's call of its generator.

    Args:
        settings: Also `is_compiled`.
    """
    import tensorflow as tf

    from benchmarks import tutorial_recipe

    generator = tutorial_recipe.build_generator(
        crop_size=settings["crop_size"], base_filters=settings["base_filters"]
    )

    def call(image):
        return generator(image, training=True)

    translate = tf.function(call) if settings["is_compiled"] else call
    source, _ = synthetic_batch(dict(settings, batch_size=1))
    image = tf.constant(source)
    return timed(lambda: translate(image).numpy()), _tensorflow_facts()


def pytorch_translation(settings: dict) -> tuple[Work, dict]:
    """Makes the call of the PyTorch reference's generator, in training mode as the others.

    Args:
        settings: Also `is_compiled`.
    """
    import torch

    from benchmarks import pytorch_recipe

    generator = pytorch_recipe.Generator(
        crop_size=settings["crop_size"], base_filters=settings["base_filters"]
    )
    if settings["is_compiled"]:
        generator.compile()
    source, _ = synthetic_batch(dict(settings, batch_size=1))
    image = torch.from_numpy(source).permute(0, 3, 1, 2).contiguous()

    def translate():
        with torch.inference_mode():
            generator(image).numpy()

    return timed(translate), _pytorch_facts()


def _tensorflow_facts() -> dict:
    import keras
    import tensorflow as tf

    return dict(versions=dict(tensorflow=tf.__version__, keras=keras.__version__))


def _pytorch_facts() -> dict:
    import torch

    return dict(versions=dict(torch=torch.__version__))


def check(l1: float) -> None:
    """Stops a contender that computes nonsense, however fast."""
    if not math.isfinite(l1):
        raise ArithmeticError(f"L1 is {l1}: the step does not train.")
