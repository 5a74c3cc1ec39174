"""FCN-8s on a body like VGG-16, as one functional Keras model.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation",
CVPR 2015; Simonyan and Zisserman's configuration D, ICLR 2015. Departures:

- All layers start from scratch, not from ImageNet. Each convolution of the body is followed by
  batch normalisation, without which its 13 layers do not learn from a few hundred pictures.
- Padding is by zeros around each convolution. The original pads the picture by 100
  pixels and crops the scores.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

FEATURES = "fc7"  # The layer before the scores.
_BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))  # Convolutions, and width in base filters.
_DROPOUT = 0.5


def build_fcn(num_classes: int, *, base_filters: int = 64, dtype: str = "float32") -> keras.Model:
    """Returns FCN-8s with fresh weights: `logits, features = model(image)`.

    Shapes:
        image: `[batch, height, width, 3]`, float32 in [-1, 1]; sides are multiples of 32.
        logits: `[batch, height, width, num_classes]`, float32.
        features: `[batch, height / 32, width / 32, 64 * base_filters]`, the
            layer before the scores.

    Args:
        num_classes: Classes to tell apart.
        base_filters: Filters of the first block; 64 is VGG-16.
        dtype: Keras' policy for the body; scores are float32 always.
    """
    image = keras.Input([None, None, 3])
    x = image
    pools = []
    for block, (depth, width) in enumerate(_BLOCKS, start=1):
        for number in range(1, depth + 1):
            x = _convolution(x, width * base_filters, 3, f"block{block}_conv{number}", dtype)
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool", dtype=dtype)(x)
        pools.append(x)
    x = _convolution(x, 64 * base_filters, 7, "fc6", dtype)
    x = keras.layers.Dropout(_DROPOUT, dtype=dtype)(x)
    x = _convolution(x, 64 * base_filters, 1, FEATURES, dtype)
    features = keras.layers.Activation("linear", dtype="float32")(x)
    x = keras.layers.Dropout(_DROPOUT, dtype=dtype)(x)

    score = _score(x, num_classes, "score")
    for pool, name in ((pools[3], "pool4"), (pools[2], "pool3")):
        # Learned, from a bilinear start; the last one stays bilinear, as in the paper.
        score = keras.layers.Conv2DTranspose(
            num_classes,
            4,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=_bilinear,
            name=f"upsample_to_{name}",
            dtype="float32",
        )(score)
        skip = _score(pool, num_classes, f"score_{name}")
        score = keras.layers.Add(dtype="float32")([score, skip])
    logits = keras.layers.UpSampling2D(8, interpolation="bilinear", dtype="float32")(score)
    return keras.Model(image, [logits, features], name="fcn_8s")


def _convolution(x, filters: int, size: int, name: str, dtype: str):
    x = keras.layers.Conv2D(
        filters,
        size,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
        dtype=dtype,
    )(x)
    # Averages over some twenty steps: Keras' hundred would lag behind a short run.
    x = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_norm", dtype=dtype)(x)
    return keras.layers.ReLU(dtype=dtype)(x)


def _score(x, num_classes: int, name: str):
    # Zero at first, as in the original: a skip adds nothing until it has learned.
    return keras.layers.Conv2D(
        num_classes, 1, kernel_initializer="zeros", name=name, dtype="float32"
    )(x)


def _bilinear(shape, dtype=None):
    """Returns a kernel `[4, 4, out, in]` that doubles each score map by interpolation."""
    slope = np.array([0.25, 0.75, 0.75, 0.25])
    return tf.constant(np.outer(slope, slope)[..., None, None] * np.eye(shape[-1]), dtype)
