"""FCN-8s on a VGG-16 body, as one functional Keras model.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation",
CVPR 2015; Simonyan and Zisserman's configuration D, ICLR 2015. Departures:

- Padding is by zeros around each convolution. The original pads the picture by 100
  pixels and crops the scores.
- `batch_norm`: without weights to start from, the 13 layers of the body do not learn
  from a few hundred pictures, so a body from scratch normalises after each convolution.
- The two layers that take the place of VGG's fully connected ones start from scratch.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

FEATURES = "fc7"  # The layer before the scores.
_BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))  # Convolutions, and width in base filters.
_IMAGENET_MEAN = (123.68, 116.779, 103.939)  # Red, green, blue, 0-255: what VGG's weights expect.
IMAGENET_FILTERS = 64  # Of the first block, as VGG-16 has them.
_DROPOUT = 0.5


def build_fcn(
    num_classes: int, *, base_filters: int = 64, batch_norm: bool = True, dtype: str = "float32"
) -> keras.Model:
    """Returns FCN-8s with fresh weights: `logits, features = model(image)`.

    Shapes:
        image: `[batch, height, width, 3]`, float32 in [-1, 1]; sides are multiples of 32.
        logits: `[batch, height, width, num_classes]`, float32.
        features: `[batch, height / 32, width / 32, 64 * base_filters]`, the
            layer before the scores.

    Args:
        num_classes: Classes to tell apart.
        base_filters: Filters of the first block; 64 is VGG-16.
        batch_norm: Whether the body normalises; see above. Without, the input is
            scaled as the ImageNet weights expect it.
        dtype: Keras' policy for the body; scores are float32 always.
    """
    image = keras.Input([None, None, 3])
    x = image
    if not batch_norm:
        offset = [127.5 - mean for mean in _IMAGENET_MEAN]
        x = keras.layers.Rescaling(127.5, offset=offset, dtype="float32")(x)
    pools = []
    for block, (depth, width) in enumerate(_BLOCKS, start=1):
        for number in range(1, depth + 1):
            name = f"block{block}_conv{number}"
            x = _convolution(x, width * base_filters, 3, name, batch_norm, dtype)
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool", dtype=dtype)(x)
        pools.append(x)
    x = _convolution(x, 64 * base_filters, 7, "fc6", batch_norm, dtype)
    x = keras.layers.Dropout(_DROPOUT, dtype=dtype)(x)
    x = _convolution(x, 64 * base_filters, 1, FEATURES, batch_norm, dtype)
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
            kernel_initializer=_Bilinear(),
            name=f"upsample_to_{name}",
            dtype="float32",
        )(score)
        skip = _score(pool, num_classes, f"score_{name}")
        score = keras.layers.Add(dtype="float32")([score, skip])
    logits = keras.layers.UpSampling2D(8, interpolation="bilinear", dtype="float32")(score)
    return keras.Model(image, [logits, features], name="fcn_8s")


def load_imagenet_body(model: keras.Model, weights: str) -> None:
    """Copies VGG-16's convolutions into a model with 64 base filters and no batch norm.

    Args:
        model: As `build_fcn` returns it.
        weights: "imagenet", or a file of keras.applications' VGG-16 without its top.

    Raises:
        Exception: Whatever Keras raises, of several kinds, where there is no
            network or the file is another one.
    """
    body = keras.applications.VGG16(weights=weights, include_top=False)
    for layer in body.layers:
        if not layer.get_weights():
            continue
        kernel, bias = layer.get_weights()
        if layer.name == "block1_conv1":
            kernel = kernel[:, :, ::-1]  # They were trained on blue, green, red.
        model.get_layer(layer.name).set_weights([kernel, bias])


def _convolution(x, filters: int, size: int, name: str, batch_norm: bool, dtype: str):
    x = keras.layers.Conv2D(
        filters,
        size,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
        name=name,
        dtype=dtype,
    )(x)
    if batch_norm:
        # Averages over some twenty steps: Keras' hundred would lag behind a short run.
        x = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_norm", dtype=dtype)(x)
    return keras.layers.ReLU(dtype=dtype)(x)


def _score(x, num_classes: int, name: str):
    # Zero at first, as in the original: a skip adds nothing until it has learned.
    return keras.layers.Conv2D(
        num_classes, 1, kernel_initializer="zeros", name=name, dtype="float32"
    )(x)


class _Bilinear(keras.initializers.Initializer):
    """A kernel `[4, 4, out, in]` that doubles each score map by interpolation."""

    def __call__(self, shape, dtype=None):
        slope = np.array([0.25, 0.75, 0.75, 0.25])
        return tf.constant(np.outer(slope, slope)[..., None, None] * np.eye(shape[-1]), dtype)
