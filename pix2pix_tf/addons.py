"""The only module that imports TensorFlow Addons, and what stands in for it.

TensorFlow Addons ended in May 2024 and has no wheels for Python 3.12 and later,
so where it cannot be imported Keras' own layers and scikit-image take its place.
`tests/test_addons.py` shows, where both exist, that they give the same numbers.
"""

from __future__ import annotations

import warnings

import keras
import numpy as np

try:
    with warnings.catch_warnings():
        # Addons announces its end of life and doubts TensorFlow 2.15 on import;
        # both are known (BUILD.md, "Two stacks").
        warnings.simplefilter("ignore")
        import tensorflow_addons
except ImportError:
    tensorflow_addons = None

HAS_ADDONS = tensorflow_addons is not None
_GAUSSIAN_DEVIATIONS = 4.0  # Where the bell is cut off.
# Pixels. Addons goes over the whole square for each, scikit-image along rows, then columns.
_MOST_ADDONS_RADIUS = 40


@keras.utils.register_keras_serializable("pix2pix_tf")
class InstanceNormalization(keras.layers.GroupNormalization):
    """Keras' group normalisation under the name of Addons' class.

    A `.weights.h5` file addresses layers by the name of their class: with equal
    names it travels between the stacks.
    """


def instance_normalization(
    *, epsilon: float, gamma_initializer, dtype: str = "float32", name: str | None = None
) -> keras.layers.Layer:
    """Returns a layer that normalises each image and channel by its own statistics.

    Args:
        epsilon: Added to the variance.
        gamma_initializer: Keras initializer of the scale; the offset starts at 0.
        dtype: Keras dtype policy name.
        name: Layer name.

    Returns:
        `tensorflow_addons.layers.InstanceNormalization` where Addons is
        installed, else `InstanceNormalization` with a group a channel. Both
        have `gamma` and `beta` of shape `[channels]`, in this order.
    """
    arguments = dict(epsilon=epsilon, gamma_initializer=gamma_initializer, dtype=dtype, name=name)
    if HAS_ADDONS:
        return tensorflow_addons.layers.InstanceNormalization(**arguments)
    return InstanceNormalization(groups=-1, **arguments)


def spectral_normalization(
    layer: keras.layers.Layer, *, name: str | None = None
) -> keras.layers.Layer:
    """Returns `layer` wrapped so that its kernel has spectral norm 1.

    Miyato et al., "Spectral Normalization for Generative Adversarial Networks",
    ICLR 2018. One power iteration a call with `training=True`.
    """
    if HAS_ADDONS:
        return tensorflow_addons.layers.SpectralNormalization(layer, name=name)
    return keras.layers.SpectralNormalization(layer, name=name)


def gaussian_radius(sigma: float) -> int:
    """Returns how many pixels on each side `gaussian_blur` takes into one; 0 for none."""
    return int(_GAUSSIAN_DEVIATIONS * sigma + 0.5)


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Returns an image smoothed by a Gaussian; beyond its border it is mirrored.

    By `tensorflow_addons.image.gaussian_filter2d` where Addons is installed, else, and for
    images smaller than the filter and wide filters, by `skimage.filters.gaussian`, which then
    has to be there.

    Args:
        image: float32 `[height, width, channels]`.
        sigma: Standard deviation in pixels, above 0.

    Returns:
        float32, as `image`.
    """
    radius = gaussian_radius(sigma)
    if HAS_ADDONS and min(image.shape[:2]) > radius and radius <= _MOST_ADDONS_RADIUS:
        return tensorflow_addons.image.gaussian_filter2d(
            image, filter_shape=2 * radius + 1, sigma=sigma, padding="REFLECT"
        ).numpy()
    import skimage.filters  # Of an extra.

    return skimage.filters.gaussian(
        image, sigma, mode="mirror", truncate=_GAUSSIAN_DEVIATIONS, channel_axis=-1
    )
