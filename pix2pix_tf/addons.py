"""The only module that imports TensorFlow Addons, and what stands in for it.

TensorFlow Addons ended in May 2024 and has no wheels for Python 3.12 and later,
so where it cannot be imported Keras' own layers take its place.
`tests/test_addons.py` shows, where both exist, that they give the same numbers.
"""

from __future__ import annotations

import warnings

import keras

try:
    with warnings.catch_warnings():
        # Addons announces its end of life and doubts TensorFlow 2.15 on import;
        # both are known (BUILD.md, "Two stacks").
        warnings.simplefilter("ignore")
        import tensorflow_addons
except ImportError:
    tensorflow_addons = None

HAS_ADDONS = tensorflow_addons is not None


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
