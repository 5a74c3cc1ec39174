"""The paper's blocks: Ck and CDk, down and up, with noise as an input.

Images are `[batch, height, width, channels]`. All convolutions are 4x4 unless
said otherwise. Weights start from N(0, 0.02), the scale of a normalisation from
N(1, 0.02), as in the authors' code (phillipi/pix2pix, models.lua).

Two rules of the paper's inference shape this module. Normalisation always uses
the statistics of what it is given, so no layer keeps moving averages; and dropout
is the generator's noise z, alive after training too, so the noise is an *input*.
A model is then a pure function of its inputs, the same in training, in a
SavedModel, in TFLite and in TF.js.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from pix2pix_tf import addons
from pix2pix_tf.errors import InputError
from pix2pix_tf.models import convolutions
from pix2pix_tf.models.convolutions import KERNEL_SIZE

LEAKY_RELU_SLOPE = 0.2  # Paper: appendix 6.1. Keras' default is 0.3.
WEIGHT_STDDEV = 0.02  # Paper: appendix 6.2, "Gaussian distribution with mean 0".
NORMALIZATION_EPSILON = 1e-5  # Authors' code. Keras' default is 1e-3.
NORMS = ("batch", "instance", "none")
STATISTICS = ("batch", "image")
UPSAMPLINGS = TRANSPOSED, RESIZE = "transposed", "resize"


def _normal(*, mean: float) -> keras.initializers.Initializer:
    """Returns a new N(mean, 0.02); one per layer, since Keras refuses to share unseeded ones."""
    return keras.initializers.RandomNormal(mean=mean, stddev=WEIGHT_STDDEV)


@keras.utils.register_keras_serializable("pix2pix_tf")
class StatisticsNormalization(keras.layers.Layer):
    """Normalises by the statistics of the tensor at hand, in training and after.

    `gamma * (x - mean) / sqrt(variance + epsilon) + beta` for each channel, with
    the biased variance. There are no moving averages, hence no `training` argument.
    The layer computes in float32, whatever `dtype` it is given, and returns the type
    of its input.

    The statistics of a batch are taken by TensorFlow's fused operation, three times as
    fast on a CPU, unless `formulation` is "portable": neither TFLite nor TF.js has that
    operation in its training form. Those of an image are always written out.

    Args:
        statistics: "batch": mean and variance over the whole batch, which is
            batch normalisation as in training. "image": each image by its own,
            so that nothing else in the batch changes it. For a batch of one
            image both are the same.
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(self, *, statistics: str = "batch", **kwargs: Any):
        # In bfloat16 a mean over a 128x128 map would lose most of its digits, and
        # gamma and beta all but two or three of theirs. Without autocast the input
        # arrives as it is: the fused operation reads half the bytes.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        if statistics not in STATISTICS:
            raise InputError(f"statistics is {statistics!r}. Use one of {', '.join(STATISTICS)}.")
        self.statistics = statistics
        self.formulation = convolutions.PLAIN  # See `convolutions.set_formulation`.

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates `gamma` and `beta`, both `[channels]`."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer=_normal(mean=1.0))
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the normalised `inputs`."""
        if self.statistics == "batch" and self.formulation != convolutions.PORTABLE:
            unused = tf.zeros([0])  # In place of moving averages.
            return tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=self.gamma,
                offset=self.beta,
                mean=unused,
                variance=unused,
                epsilon=NORMALIZATION_EPSILON,
                is_training=True,
            ).y
        values = tf.cast(inputs, tf.float32)
        axes = [0, 1, 2] if self.statistics == "batch" else [1, 2]
        # As tf.nn.moments up to TensorFlow 2.21. From 2.22 on it takes other operations, which the
        # converters do not know as those of a variance.
        mean = tf.reduce_mean(values, axes, keepdims=True)
        differences = tf.math.squared_difference(values, tf.stop_gradient(mean))
        variance = tf.reduce_mean(differences, axes, keepdims=True)
        normalized = tf.nn.batch_normalization(
            values, mean, variance, self.beta, self.gamma, NORMALIZATION_EPSILON
        )
        return tf.cast(normalized, inputs.dtype)

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Keras 3 asks for a spec, and would take the layer's own type for its output's."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what `__init__` takes."""
        return {**super().get_config(), "statistics": self.statistics}


@keras.utils.register_keras_serializable("pix2pix_tf")
class NoiseDropout(keras.layers.Layer):
    """Dropout whose random numbers are an input: the paper's z.

    Takes the first `height * width * channels` numbers of the noise, drops the
    units whose number is under `rate`, scales the others by `1 / (1 - rate)`,
    and returns the noise that is left for the next such layer. With `rate` 0
    it does not take noise.

    Shapes:
        - features: `[batch, height, width, channels]`.
        - noise: `[batch, at least height * width * channels]`, float32 in [0, 1).

    Args:
        rate: Share of the units to drop, in [0, 1).
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(self, rate: float, **kwargs: Any):
        # The noise stays float32 in mixed precision: it decides by comparison.
        super().__init__(autocast=False, **kwargs)
        if not 0.0 <= rate < 1.0:
            raise InputError(f"The dropout rate is {rate}. Use a number from 0 up to, not at, 1.")
        self.rate = rate

    def call(self, features: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns (features with some units dropped, what is left of `noise`)."""
        if self.rate == 0.0:
            return features, noise
        shape = tf.shape(features)
        num_units = tf.reduce_prod(shape[1:])
        kept = tf.reshape(noise[:, :num_units], shape) >= self.rate
        scale = tf.cast(1.0 / (1.0 - self.rate), features.dtype)
        dropped = features * tf.cast(kept, features.dtype) * scale
        return dropped, noise[:, num_units:]

    def compute_output_spec(
        self, features: keras.KerasTensor, noise: keras.KerasTensor
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Keras 3 asks for specs; how much noise is left is not known."""
        return (
            keras.KerasTensor(features.shape, dtype=features.dtype),
            keras.KerasTensor((noise.shape[0], None), dtype=noise.dtype),
        )

    def get_config(self) -> dict[str, Any]:
        """Returns what `__init__` takes."""
        return {**super().get_config(), "rate": self.rate}


@keras.utils.register_keras_serializable("pix2pix_tf")
class LeakyReLU(keras.layers.Layer):
    """`x` where it is positive, else `0.2 * x`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the rectified `inputs`."""
        if inputs.dtype == tf.bfloat16 and convolutions.is_cpu_alone():
            return _leaky_relu_in_bfloat16(inputs)
        return tf.nn.leaky_relu(inputs, LEAKY_RELU_SLOPE)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `input_shape`."""
        return input_shape


@tf.custom_gradient
def _leaky_relu_in_bfloat16(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Returns `tf.nn.leaky_relu(x)`; the operation for its gradient is slow on a CPU.

    Eigen takes five times as long for it as for the same in float32, casts included.
    The product is rounded once in either, so that the bits are the same.
    """

    def gradient(outer: tf.Tensor) -> tf.Tensor:
        inner = tf.raw_ops.LeakyReluGrad(
            gradients=tf.cast(outer, tf.float32),
            features=tf.cast(x, tf.float32),
            alpha=LEAKY_RELU_SLOPE,
        )
        return tf.cast(inner, tf.bfloat16)

    return tf.nn.leaky_relu(x, LEAKY_RELU_SLOPE), gradient


def normalize(x: tf.Tensor, *, norm: str, statistics: str = "batch") -> tf.Tensor:
    """Returns `x` normalised per channel in float32, or `x` itself for `norm="none"`.

    Args:
        x: `[batch, height, width, channels]`.
        norm: One of `NORMS`. "instance" is TensorFlow Addons' layer where it is
            installed. Both norms hold `gamma` and `beta`, in this order.
        statistics: See `StatisticsNormalization`. "image" serves both norms.
    """
    if norm not in NORMS:
        raise InputError(f"norm is {norm!r}. Use one of {', '.join(NORMS)}.")
    if norm == "none":
        return x
    if norm == "instance" and statistics == "batch":
        return addons.instance_normalization(
            epsilon=NORMALIZATION_EPSILON, gamma_initializer=_normal(mean=1.0)
        )(x)
    return StatisticsNormalization(statistics=statistics)(x)


def down_block(
    x: tf.Tensor,
    filters: int,
    *,
    norm: str,
    use_bias: bool | None = None,
    statistics: str = "batch",
    dtype: str = "float32",
    stride: int = 2,
    kernel_size: int = KERNEL_SIZE,
    spectral_norm: bool = False,
) -> tf.Tensor:
    """Returns the paper's Ck of an encoder or a discriminator.

    Convolution, normalisation, LeakyReLU(0.2).

    Args:
        x: `[batch, height, width, channels]`.
        filters: k, the channels that the convolution outputs.
        norm: One of `NORMS`.
        use_bias: Whether the convolution has a bias; None means where no
            normalisation would cancel it.
        statistics: See `StatisticsNormalization`.
        dtype: Keras dtype policy name.
        stride: 2 halves height and width; 1 with a 4x4 kernel shrinks them by 1
            (padding 1 on each side, as in the authors' code).
        kernel_size: 4, or 1 for the PixelGAN.
        spectral_norm: Whether the kernel is kept at spectral norm 1.
    """
    x = convolution(
        x,
        filters,
        use_bias=norm == "none" if use_bias is None else use_bias,
        dtype=dtype,
        stride=stride,
        kernel_size=kernel_size,
        spectral_norm=spectral_norm,
    )
    x = normalize(x, norm=norm, statistics=statistics)
    return LeakyReLU(dtype=dtype)(x)


def convolution(
    x: tf.Tensor,
    filters: int,
    *,
    use_bias: bool,
    dtype: str = "float32",
    stride: int = 1,
    kernel_size: int = KERNEL_SIZE,
    spectral_norm: bool = False,
) -> tf.Tensor:
    """Returns a convolution with the padding of the authors' code; see `down_block`."""
    padding = "same"  # For an even size and stride 2 this is 1 pixel on each side.
    if stride == 1 and kernel_size == KERNEL_SIZE:
        x = keras.layers.ZeroPadding2D(1, dtype=dtype)(x)
        padding = "valid"
    make = convolutions.Conv2D if kernel_size == KERNEL_SIZE else keras.layers.Conv2D
    layer = make(
        filters,
        kernel_size,
        strides=stride,
        padding=padding,
        use_bias=use_bias,
        kernel_initializer=_normal(mean=0.0),
        dtype=dtype,
    )
    return addons.spectral_normalization(layer)(x) if spectral_norm else layer(x)


def up_block(
    x: tf.Tensor,
    noise: tf.Tensor,
    filters: int,
    *,
    norm: str,
    dropout: float | None = None,
    upsampling: str = TRANSPOSED,
    statistics: str = "batch",
    dtype: str = "float32",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the paper's Ck, or CDk, of a decoder, and what is left of `noise`.

    Upsampling by 2, normalisation, dropout, ReLU.

    Args:
        x: `[batch, height, width, channels]`.
        noise: `[batch, n]`, see `NoiseDropout`.
        filters: k, the channels that the convolution *outputs*. The paper's list
            for the U-Net (CD512-CD1024-...) counts those that it receives.
        norm: One of `NORMS`.
        dropout: Rate for a CDk, None for a Ck.
        upsampling: See `upsampling_convolution`.
        statistics: See `StatisticsNormalization`.
        dtype: Keras dtype policy name.
    """
    x = upsampling_convolution(
        x, filters, upsampling=upsampling, use_bias=norm == "none", dtype=dtype
    )
    x = normalize(x, norm=norm, statistics=statistics)
    if dropout is not None:
        x, noise = NoiseDropout(dropout, dtype=dtype)(x, noise)
    return keras.layers.ReLU(dtype=dtype)(x), noise


def upsampling_convolution(
    x: tf.Tensor, filters: int, *, use_bias: bool, dtype: str, upsampling: str = TRANSPOSED
) -> tf.Tensor:
    """Returns a convolution that doubles height and width.

    Args:
        x: `[batch, height, width, channels]`.
        filters: Channels of the output.
        use_bias: Whether it has a bias.
        dtype: Keras dtype policy name.
        upsampling: "transposed": a 4x4 transposed convolution (paper). "resize": nearest
            neighbours, then a 3x3 convolution, a departure from the paper; see
            `convolutions.ResizeConv2D`.
    """
    if upsampling not in UPSAMPLINGS:
        raise InputError(f"upsampling is {upsampling!r}. Use one of {', '.join(UPSAMPLINGS)}.")
    is_resized = upsampling == RESIZE
    make = convolutions.ResizeConv2D if is_resized else convolutions.Conv2DTranspose
    return make(
        filters,
        kernel_size=KERNEL_SIZE,
        strides=2,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=_normal(mean=0.0),
        dtype=dtype,
    )(x)
