"""A generator taken apart: its convolutions, with what follows each, as plain arrays.

What a Keras model computes in one go, `tiles` computes layer by layer and window by
window. The model stays the only place where the layers' order and sizes are decided.
"""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from pix2pix_tf.errors import InputError
from pix2pix_tf.inference.windows import Window
from pix2pix_tf.models.layers import NORMALIZATION_EPSILON, NoiseDropout


@dataclasses.dataclass
class Stage:
    """One 4x4 convolution of stride 2, or a transposed one, and what follows it.

    Attributes:
        is_transposed: Whether it is a transposed one.
        kernel: `[4, 4, in, out]`, or `[4, 4, out, in]` of a transposed one.
        bias: `[out]`, or None.
        gamma: Scale of the normalisation, `[out]`; None if there is none.
        beta: Its offset, or None.
        rate: Share of the units that dropout drops.
    """

    is_transposed: bool
    kernel: tf.Tensor
    bias: tf.Tensor | None
    gamma: tf.Tensor | None = None
    beta: tf.Tensor | None = None
    rate: float = 0.0

    @property
    def channels(self) -> int:
        """Channels that it outputs."""
        return self.kernel.shape[2 if self.is_transposed else 3]

    def window_read(self, window: Window) -> Window:
        """Returns the window of the input that `convolve` takes to compute `window`."""
        return window.read_by_transposed() if self.is_transposed else window.read_by_convolution()

    def convolve(self, x: tf.Tensor, window: Window) -> tf.Tensor:
        """Returns `window` of the convolved map, before normalisation.

        Args:
            x: `window_read(window)` of the input, `[1, height, width, in]`.
            window: Which.

        Returns:
            `[1, height, width, out]`.
        """
        if self.is_transposed:
            _, height, width, _ = x.shape
            size = [1, 2 * height, 2 * width, self.channels]
            x = tf.nn.conv2d_transpose(x, self.kernel, size, 2, "SAME")
            # Its outermost pixels lack what comes from beyond the window.
            rows, columns = self.window_read(window).doubled().slices_of(window)
            x = x[:, rows, columns]
        else:
            x = tf.nn.conv2d(x, self.kernel, 2, "VALID")
        return x if self.bias is None else tf.nn.bias_add(x, self.bias)

    def normalize(self, x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        """Returns `x` normalised by given statistics, both `[out]`."""
        return tf.nn.batch_normalization(
            x, mean, variance, self.beta, self.gamma, NORMALIZATION_EPSILON
        )


def take_apart(generator: keras.Model) -> tuple[list[Stage], list[Stage], bool]:
    """Returns the stages of a generator's encoder and decoder, and whether skips join them.

    The stages are in the order they run.

    Args:
        generator: Its decoder mirrors its encoder, which it says by `mirrored_with_skips`:
            4x4 convolutions of stride 2, each followed by an optional normalisation and
            LeakyReLU; then as many transposed ones, with normalisation, `NoiseDropout` and
            ReLU; the last is followed by tanh. With skips, stage i of the encoder, rectified,
            is joined behind the output of stage n - i of the decoder.

    Raises:
        InputError: If the generator does not say so.
    """
    has_skips = getattr(generator, "mirrored_with_skips", None)
    if has_skips is None:
        raise InputError(
            f"Generator {generator.name!r} cannot be translated by tiles, which know the layout of "
            "unet and encoder_decoder only. Leave --tile out."
        )
    stages = []
    for layer in generator.layers:
        weights = [tf.convert_to_tensor(weight) for weight in layer.weights]
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            is_transposed = isinstance(layer, keras.layers.Conv2DTranspose)
            kernel, bias = weights if layer.use_bias else (*weights, None)
            stages.append(Stage(is_transposed, kernel, bias))
        elif weights:  # Either of the two normalisations.
            stages[-1].gamma, stages[-1].beta = weights
        elif isinstance(layer, NoiseDropout):
            stages[-1].rate = layer.rate
    num_downs = len(stages) // 2
    return stages[:num_downs], stages[num_downs:], has_skips
