"""The shapes of a model's maps, asked of the model itself."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


def output_shapes(
    model: keras.Model, layers: Sequence[keras.layers.Layer], *, size: tuple[int, int]
) -> list[tuple[int, ...]]:
    """Returns the shape of what each layer outputs for one image; nothing is computed.

    Args:
        model: A functional model, whose first input is `[batch, height, width, channels]`; the
            others are `[batch, n]`.
        layers: Layers of the model, each called once. Of several outputs the first counts.
        size: (height, width) of the image.
    """
    if not layers:
        return []
    outputs = [tf.nest.flatten(layer.output)[0] for layer in layers]
    image, *others = model.inputs
    inputs = [keras.Input(batch_shape=(1, *size, image.shape[-1]))]
    inputs += [keras.Input(batch_shape=(1, None)) for _ in others]
    found = keras.Model(model.inputs, outputs)(inputs if others else inputs[0])
    # Keras 2 gives a single output without its list.
    return [tuple(x.shape) for x in tf.nest.flatten(found)]
