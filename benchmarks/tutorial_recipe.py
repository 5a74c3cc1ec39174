r"""The recipe of TensorFlow's pix2pix tutorial, re-written, to compare results with.

    python -m benchmarks.tutorial_recipe --dataset=facades --output=FOLDER --num_steps=3000

What it does otherwise than the paper's authors, and so than this project: LeakyReLU
slope 0.3, epsilon 1e-3 and scales that start at 1 in batch normalisation, a norm on
the 1x1 bottleneck, nearest-neighbour resizing, negatives of the encoder passed
through the skips, a discriminator loss that is not halved, gradients of both networks
from one forward pass, Adam's epsilon 1e-7. Facts from tensorflow/docs,
`tutorials/generative/pix2pix.ipynb`.

Writes `outputs/NAME.png` for the test split and `evaluation.json` with L1.
"""

from __future__ import annotations

import json
import pathlib
import time

import numpy as np
from absl import flags

from pix2pix_tf import commands, files


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("dataset", "facades", "Name or folder, translated B to A.")
    flags.DEFINE_string("data_dir", "", "Folder of published sets.")
    flags.DEFINE_string("output", None, "Folder for the results.", required=True)
    flags.DEFINE_integer("num_steps", 3000, "Steps to train.")


def build_generator(*, crop_size: int = 256, base_filters: int = 64):
    """Returns the tutorial's generator, image to image; dropout and norms in training mode."""
    import keras

    layers = keras.layers

    def norm(x):
        return layers.BatchNormalization()(x, training=True)

    def convolution(kind, filters):
        initializer = keras.initializers.RandomNormal(0.0, 0.02)
        return kind(
            filters, 4, strides=2, padding="same", use_bias=False, kernel_initializer=initializer
        )

    num_downs = crop_size.bit_length() - 1
    encoder_filters = [base_filters * min(2**depth, 8) for depth in range(num_downs)]
    x = image = keras.Input([crop_size, crop_size, 3])
    skips = []
    for depth, filters in enumerate(encoder_filters):
        x = convolution(layers.Conv2D, filters)(x)
        x = norm(x) if depth else x
        x = layers.LeakyReLU(0.3)(x)
        skips.append(x)
    for depth, filters in enumerate(reversed(encoder_filters[:-1])):
        x = norm(convolution(layers.Conv2DTranspose, filters)(x))
        x = layers.Dropout(0.5)(x, training=True) if depth < 3 else x
        x = layers.ReLU()(x)
        x = layers.Concatenate()([x, skips[-2 - depth]])
    initializer = keras.initializers.RandomNormal(0.0, 0.02)
    x = layers.Conv2DTranspose(
        3, 4, strides=2, padding="same", kernel_initializer=initializer, activation="tanh"
    )(x)
    return keras.Model(image, x)


def build_discriminator(*, crop_size: int = 256, base_filters: int = 64):
    """Returns the tutorial's discriminator of source and image joined."""
    import keras

    layers = keras.layers

    def convolution(x, filters, stride, *, padding="same", use_bias=False):
        initializer = keras.initializers.RandomNormal(0.0, 0.02)
        return layers.Conv2D(
            filters,
            4,
            strides=stride,
            padding=padding,
            use_bias=use_bias,
            kernel_initializer=initializer,
        )(x)

    x = image = keras.Input([crop_size, crop_size, 6])
    for depth, factor in enumerate([1, 2, 4]):
        x = convolution(x, factor * base_filters, 2)
        x = layers.BatchNormalization()(x, training=True) if depth else x
        x = layers.LeakyReLU(0.3)(x)
    x = convolution(layers.ZeroPadding2D()(x), 8 * base_filters, 1, padding="valid")
    x = layers.LeakyReLU(0.3)(layers.BatchNormalization()(x, training=True))
    x = convolution(layers.ZeroPadding2D()(x), 1, 1, padding="valid", use_bias=True)
    return keras.Model(image, x)


def make_train_step(generator, discriminator, *, is_compiled: bool = False):
    """Returns the tutorial's step: both gradients from one forward pass.

    Args:
        generator: From `build_generator`.
        discriminator: From `build_discriminator`.
        is_compiled: By XLA; the tutorial's is not.
    """
    import keras
    import tensorflow as tf

    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizers = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
    for optimizer, model in zip(optimizers, (generator, discriminator)):
        optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=is_compiled)
    def train_step(source, target):
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            # Nothing to cast in the tutorial; under a policy of Keras outputs are bfloat16.
            fake = tf.cast(generator(source), tf.float32)
            real_logits = tf.cast(discriminator(tf.concat([source, target], -1)), tf.float32)
            fake_logits = tf.cast(discriminator(tf.concat([source, fake], -1)), tf.float32)
            l1 = tf.reduce_mean(tf.abs(target - fake))
            generator_loss = entropy(tf.ones_like(fake_logits), fake_logits) + 100.0 * l1
            discriminator_loss = entropy(tf.ones_like(real_logits), real_logits) + entropy(
                tf.zeros_like(fake_logits), fake_logits
            )
        for tape, loss, model, optimizer in (
            (generator_tape, generator_loss, generator, optimizers[0]),
            (discriminator_tape, discriminator_loss, discriminator, optimizers[1]),
        ):
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return l1

    return train_step


def main(unused_arguments: list[str]) -> None:
    """Trains by the tutorial's recipe and translates the test split."""
    import keras
    import tensorflow as tf

    from pix2pix_tf.data import images, pairs, pipeline

    options = flags.FLAGS
    output = pathlib.Path(options.output)
    (output / "outputs").mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)

    def reader(split):
        source = pairs.open_pairs(options.dataset, split, data_dir=options.data_dir)
        return pipeline.PairReader(source, size=256, direction="BtoA", cache_megabytes=1024)

    def jitter(source, target):
        both = tf.concat([source, target], axis=-1)[0]
        both = tf.image.resize(both, [286, 286], method="nearest")
        both = tf.image.random_flip_left_right(tf.image.random_crop(both, [256, 256, 6]))
        return both[tf.newaxis, ..., :3], both[tf.newaxis, ..., 3:]

    training = reader("train")
    training.read_all()
    batches = pipeline.training_batches(training, batch_size=1, crop_size=256, mirror=False).map(
        jitter
    )
    generator = build_generator()
    train_step = make_train_step(generator, build_discriminator())
    started = time.monotonic()
    for step, (source, target) in enumerate(batches.take(options.num_steps), start=1):
        l1 = train_step(source, target)
        if step % 100 == 0:
            seconds = time.monotonic() - started
            print(f"step {step}: L1 {float(l1):.3f}, {step / seconds:.2f} steps/s", flush=True)

    scores = []
    for example in pipeline.evaluation_examples(reader("test"), crop_size=256):
        fake = generator(example.source)
        scores.append(float(tf.reduce_mean(tf.abs(fake - example.target))))
        pixels = images.denormalize_image(fake[0])
        path = output / "outputs" / f"{example.name}.png"
        files.write_atomically(path, images.encode_image(pixels, ".png"))
    result = dict(num_steps=options.num_steps, num_images=len(scores), l1=float(np.mean(scores)))
    (output / "evaluation.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(result)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
