"""The networks and the step of TensorFlow's pix2pix tutorial, re-written to compare speed.

What the tutorial does otherwise than the paper's authors, and so than this project: LeakyReLU
slope 0.3, epsilon 1e-3 and scales that start at 1 in batch normalisation, a norm on the 1x1
bottleneck, negatives of the encoder passed through the skips, a discriminator loss that is not
halved, gradients of both networks from one forward pass, Adam's epsilon 1e-7. Facts from
tensorflow/docs, `tutorials/generative/pix2pix.ipynb`.
"""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers


def build_generator(*, crop_size: int = 256, base_filters: int = 64):
    """Returns the tutorial's generator, image to image; dropout and norms in training mode."""

    def norm(x):
        return layers.BatchNormalization()(x, training=True)

    num_downs = crop_size.bit_length() - 1
    encoder_filters = [base_filters * min(2**depth, 8) for depth in range(num_downs)]
    x = image = keras.Input([crop_size, crop_size, 3])
    skips = []
    for depth, filters in enumerate(encoder_filters):
        x = _convolution(layers.Conv2D, filters)(x)
        x = norm(x) if depth else x
        x = layers.LeakyReLU(0.3)(x)
        skips.append(x)
    for depth, filters in enumerate(reversed(encoder_filters[:-1])):
        x = norm(_convolution(layers.Conv2DTranspose, filters)(x))
        x = layers.Dropout(0.5)(x, training=True) if depth < 3 else x
        x = layers.ReLU()(x)
        x = layers.Concatenate()([x, skips[-2 - depth]])
    x = _convolution(layers.Conv2DTranspose, 3, use_bias=True, activation="tanh")(x)
    return keras.Model(image, x)


def build_discriminator(*, crop_size: int = 256, base_filters: int = 64):
    """Returns the tutorial's discriminator of source and image joined."""
    x = image = keras.Input([crop_size, crop_size, 6])
    for depth, factor in enumerate([1, 2, 4]):
        x = _convolution(layers.Conv2D, factor * base_filters)(x)
        x = layers.BatchNormalization()(x, training=True) if depth else x
        x = layers.LeakyReLU(0.3)(x)
    no_padding = dict(strides=1, padding="valid")
    x = layers.ZeroPadding2D()(x)
    x = _convolution(layers.Conv2D, 8 * base_filters, **no_padding)(x)
    x = layers.LeakyReLU(0.3)(layers.BatchNormalization()(x, training=True))
    x = layers.ZeroPadding2D()(x)
    return keras.Model(image, _convolution(layers.Conv2D, 1, **no_padding, use_bias=True)(x))


def _convolution(kind, filters: int, **settings):
    """Returns a layer of 4x4 kernels, which differs from the usual one by the settings."""
    initializer = keras.initializers.RandomNormal(0.0, 0.02)
    usual = dict(strides=2, padding="same", use_bias=False, kernel_initializer=initializer)
    return kind(filters, 4, **{**usual, **settings})


def make_train_step(generator, discriminator, *, is_compiled: bool = False):
    """Returns the tutorial's step: both gradients from one forward pass.

    Args:
        generator: From `build_generator`.
        discriminator: From `build_discriminator`.
        is_compiled: By XLA; the tutorial's is not.
    """
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
