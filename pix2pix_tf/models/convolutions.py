"""The 4x4 convolutions of both networks, each in the formulation that is fastest.

A convolution relates three tensors: the larger map, the smaller one and the kernel.
Two of them give the third, and these three products are the forward and both backward
passes of a convolution, and of a transposed one:

    to_small   the larger map and the kernel: a convolution; of a transposed one, the
               gradient of its input.
    to_large   the smaller map and the kernel: a transposed convolution; of a
               convolution, the gradient of its input.
    to_kernel  both maps: the gradient of the kernel, of either.

Each is one operation of TensorFlow, or a product of matrices: the 4x4 patches of the
larger map as rows, times the kernel as it lies in memory. The operation lays the kernel
out anew first, which for the innermost layers, with up to 8.4 million weights for a few
pixels, takes longer than the arithmetic (docs/speed.md). The sums are the same: only the
order of their terms, so rounding, differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import keras_compat, precision
from pix2pix_tf.models import shapes

KERNEL_SIZE = 4  # Paper: appendix 6.1, "All convolutions are 4x4 spatial filters".
PLAIN, PORTABLE, FAST, INFERENCE = "plain", "portable", "fast", "inference"


class _Limits(NamedTuple):
    """Most pixels of the smaller map, over the whole batch, up to which matrices win on a CPU."""

    to_small: int
    to_large: int
    to_kernel: int


class _Layers(NamedTuple):
    """The limits for each kind of layer; what is measured is in docs/speed.md."""

    halving: _Limits  # Stride 2.
    dense: _Limits  # Stride 1.
    few: _Limits  # Stride 1, to few channels.


_FEW_CHANNELS = 16  # Fewer than so many.
# By the arithmetic; the operation for the kernel is slow in bfloat16. Of processors with AVX-512.
_LIMITS = {
    "float32": _Layers(_Limits(256, 256, 256), _Limits(0, 0, 256), _Limits(0, 0, 256)),
    "bfloat16": _Layers(_Limits(256, 256, 4096), _Limits(0, 0, 4096), _Limits(0, 0, 4096)),
}
# Without AVX-512, where bfloat16 is emulated anyway. There the operation `to_small` of TensorFlow
# 2.21 takes twice the time of 2.15, and to one channel fourteen times (docs/speed.md).
_LIMITS_WITHOUT_AVX512 = {
    "float32": _Layers(
        _Limits(4096 if keras_compat.IS_KERAS_3 else 64, 64, 16384),
        _Limits(0, 0, 16384),
        _Limits(16384, 0, 0),
    )
}
# Up to this height a layer in bfloat16 casts its weights for longer than it computes.
_MAX_HEIGHT_IN_FLOAT32 = 2
# Rows: the 16 places of a 4x4 kernel; columns: the 9 of a 3x3 one, each at four of those.
_SHIFT = np.eye(4, 3) + np.eye(4, 3, -1)
_SHIFTS = np.kron(_SHIFT, _SHIFT).astype(np.float32)


def to_small(
    large: tf.Tensor, kernel: tf.Tensor, *, stride: int, as_matrices: bool | tf.Tensor
) -> tf.Tensor:
    """Returns the convolution of `large`.

    Shapes:
        - large: `[batch, height, width, large_channels]`.
        - kernel: `[4, 4, large_channels, small_channels]`.
        - result: `[batch, rows, columns, small_channels]`.

    Args:
        large: At stride 2, even sides, padded by 1 pixel; at stride 1, not padded.
        kernel: Has the same type.
        stride: 1 or 2.
        as_matrices: Whether by a product of matrices; also a tensor that says so.
    """

    def by_matrices() -> tf.Tensor:
        if stride == 1 and kernel.shape[3] < _FEW_CHANNELS:
            return _sum_of_shifted(large, kernel)
        rows = patches(large, stride=stride)
        small = _product(_flat(rows), _flat_kernel(kernel))
        return tf.reshape(small, [*_sizes(rows), kernel.shape[3]])

    return _either(
        as_matrices, by_matrices, lambda: tf.nn.conv2d(large, kernel, stride, _padding(stride))
    )


def to_large(
    small: tf.Tensor, kernel: tf.Tensor, *, stride: int, as_matrices: bool | tf.Tensor
) -> tf.Tensor:
    """Returns the transposed convolution of `small`, the adjoint of `to_small`.

    Args:
        small: `[batch, rows, columns, small_channels]`.
        kernel: `[4, 4, large_channels, small_channels]`.
        stride: 1 or 2.
        as_matrices: As in `to_small`; at stride 2 alone.
    """
    batch, rows, columns = _sizes(small)

    def by_matrices() -> tf.Tensor:
        products = _product(_flat(small), _flat_kernel(kernel), transpose_b=True)
        return sum_of_patches(tf.reshape(products, [batch, rows, columns, products.shape[-1]]))

    def by_operation() -> tf.Tensor:
        grown = 0 if stride == 2 else KERNEL_SIZE - 1
        size = [batch, stride * rows + grown, stride * columns + grown, kernel.shape[2]]
        return tf.nn.conv2d_transpose(small, kernel, size, stride, _padding(stride))

    return _either(as_matrices, by_matrices, by_operation)


def to_kernel(
    large: tf.Tensor, small: tf.Tensor, *, stride: int, as_matrices: bool | tf.Tensor
) -> tf.Tensor:
    """Returns the gradient of the kernel, `[4, 4, large_channels, small_channels]`.

    Args:
        large: As in `to_small`.
        small: The gradient of its result; or the other way about, for `to_large`.
        stride: 1 or 2.
        as_matrices: As in `to_small`.
    """
    shape = [KERNEL_SIZE, KERNEL_SIZE, large.shape[-1], small.shape[-1]]

    def by_matrices() -> tf.Tensor:
        if stride == 2 and not precision.has_avx512():
            return tf.reshape(_product(_patches_as_columns(large), _flat(small)), shape)
        rows = _flat(patches(large, stride=stride))
        return tf.reshape(_product(rows, _flat(small), transpose_a=True), shape)

    def by_operation() -> tf.Tensor:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=large,
            filter_sizes=shape,
            out_backprop=small,
            strides=[1, stride, stride, 1],
            padding=_padding(stride),
        )

    return _either(as_matrices, by_matrices, by_operation)


def patches(large: tf.Tensor, *, stride: int) -> tf.Tensor:
    """Returns the 4x4 patches of a map, `[batch, rows, columns, 16 * channels]`.

    The same as `tf.image.extract_patches`, which takes three times as long.

    Args:
        large: As in `to_small`.
        stride: 1 or 2.
    """
    batch, height, width = _sizes(large)
    if stride == 1:
        rows, columns = height - KERNEL_SIZE + 1, width - KERNEL_SIZE + 1
        taps = range(KERNEL_SIZE)
        return tf.concat([large[:, i : i + rows, j : j + columns] for i in taps for j in taps], -1)
    # Pixels two by two: a patch is two such columns of each of four rows.
    rows, columns = height // 2, width // 2
    padded = tf.pad(large, [[0, 0], [1, 1], [1, 1], [0, 0]])
    pairs = tf.reshape(padded, [batch, rows + 1, 2, columns + 1, 2 * large.shape[-1]])
    return tf.concat(
        [
            pairs[:, i : i + rows, a, j : j + columns]
            for i in (0, 1)
            for a in (0, 1)
            for j in (0, 1)
        ],
        axis=-1,
    )


def _patches_as_columns(large: tf.Tensor) -> tf.Tensor:
    """Returns the patches of a map at stride 2 as columns, `[16 * channels, pixels]`.

    The transposed of `patches`, laid out so from the start: with AVX2 alone a product whose first
    factor has to be transposed takes twice as long.
    """
    batch, height, width = _sizes(large)
    channels = large.shape[-1]
    rows, columns = height // 2, width // 2
    padded = tf.pad(large, [[0, 0], [1, 1], [1, 1], [0, 0]])
    pairs = tf.reshape(padded, [batch, rows + 1, 2, columns + 1, 2, channels])
    pairs = tf.transpose(pairs, [2, 4, 5, 0, 1, 3])
    return tf.concat(
        [
            tf.reshape(pairs[a, b, :, :, i : i + rows, j : j + columns], [channels, -1])
            for i in (0, 1)
            for a in (0, 1)
            for j in (0, 1)
            for b in (0, 1)
        ],
        axis=0,
    )


def sum_of_patches(values: tf.Tensor) -> tf.Tensor:
    """Returns the map whose every pixel is the sum over the patches it is in, at stride 2.

    The adjoint of `patches`.

    Args:
        values: `[batch, rows, columns, 16 * channels]`.
    """
    batch, rows, columns = _sizes(values)
    parts = tf.split(values, 8, axis=-1)
    lines = []
    for a in (0, 1):
        shifted = [
            tf.pad(parts[4 * i + 2 * a + j], [[0, 0], [i, 1 - i], [j, 1 - j], [0, 0]])
            for i in (0, 1)
            for j in (0, 1)
        ]
        lines.append(tf.add_n(shifted))
    channels = values.shape[-1] // KERNEL_SIZE**2
    padded = tf.reshape(tf.stack(lines, axis=2), [batch, 2 * rows + 2, 2 * columns + 2, channels])
    return padded[:, 1:-1, 1:-1]


def _sum_of_shifted(large: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns the convolution at stride 1 by a product of all pixels, not of patches.

    Each pixel times each of the 16 places of the kernel; the sums are of these, which for few
    channels are less than the patches.
    """
    channels, few = kernel.shape[2:]
    places = tf.reshape(tf.transpose(kernel, [2, 0, 1, 3]), [channels, KERNEL_SIZE**2 * few])
    batch, height, width = _sizes(large)
    values = tf.reshape(_product(_flat(large), places), [batch, height, width, -1, few])
    rows, columns = height - KERNEL_SIZE + 1, width - KERNEL_SIZE + 1
    taps = range(KERNEL_SIZE)
    return tf.add_n(
        [values[:, i : i + rows, j : j + columns, KERNEL_SIZE * i + j] for i in taps for j in taps]
    )


def _either(
    as_matrices: bool | tf.Tensor,
    by_matrices: Callable[[], tf.Tensor],
    by_operation: Callable[[], tf.Tensor],
) -> tf.Tensor:
    if isinstance(as_matrices, bool):
        return by_matrices() if as_matrices else by_operation()
    return tf.cond(as_matrices, by_matrices, by_operation)


def _product(a: tf.Tensor, b: tf.Tensor, **transposed: bool) -> tf.Tensor:
    """Returns the product of two matrices."""
    # As a batch of one: oneDNN takes that, while in float32 Eigen takes a plain product,
    # which is up to five times slower where `b` is transposed.
    return tf.matmul(a[tf.newaxis], b[tf.newaxis], **transposed)[0]


def _flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1, values.shape[-1]])


def _flat_kernel(kernel: tf.Tensor) -> tf.Tensor:
    return tf.reshape(kernel, [KERNEL_SIZE**2 * kernel.shape[2], kernel.shape[3]])


def _padding(stride: int) -> str:
    # At stride 2 and even sides "SAME" is 1 pixel on each side. The same as explicit
    # padding is up to a hundred times slower in bfloat16: no kernel of oneDNN takes it.
    return "SAME" if stride == 2 else "VALID"


def _sizes(values: tf.Tensor) -> list:
    """Returns batch, height and width, as integers where they are known."""
    shape = tf.shape(values)
    return [shape[axis] if size is None else size for axis, size in enumerate(values.shape[:3])]


class _Convolution(keras.layers.Layer):
    """What a convolution and a transposed one share: type and formulation of their products.

    The layers keep float32 weights, and cast them and their input themselves, so that both can
    be chosen after the network is built; see `set_formulation`. Each class says which product
    it is, and the `[batch, rows, columns]` of the smaller map; None if matrices cannot be taken.

    Attributes:
        formulation: "plain": the operation of TensorFlow, which GPUs know
            best. "portable": the same here; the other layers then keep to operations that
            converters know. "fast": whatever wins on a CPU. "inference": the same without
            gradients of its own, which would make a SavedModel ten times as slow to load.
        typical_height: Pixels of the smaller map for images of the size that the network is
            made for: decides what is worth choosing where the size is not known, as in a model
            for images of any size. None: nothing is.
        arithmetic: Type of the products and of the output.
    """

    def __init__(self, *args: Any, dtype: str = "float32", **kwargs: Any):
        super().__init__(*args, dtype="float32", autocast=False, **kwargs)
        self.policy = dtype
        self.arithmetic = dtype.removeprefix("mixed_")
        self.formulation = PLAIN
        self.typical_height: int | None = None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the convolved `inputs`."""
        inputs = tf.cast(inputs, self.arithmetic)
        kernel = tf.cast(self._read_kernel(), self.arithmetic)
        stride = self.strides[0]
        choice = self._choose(inputs) if self.formulation in (FAST, INFERENCE) else None
        if choice is None:
            outputs = self._convolve(inputs, kernel, stride=stride, as_matrices=False)
        elif self.formulation == INFERENCE:
            as_matrices = choice[self._convolve.__name__]
            outputs = self._convolve(inputs, kernel, stride=stride, as_matrices=as_matrices)
        else:
            outputs = _with_gradients(self._convolve, inputs, kernel, stride=stride, choice=choice)
        if not self.use_bias:
            return outputs
        return tf.nn.bias_add(outputs, tf.cast(tf.convert_to_tensor(self.bias), self.arithmetic))

    def _read_kernel(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.kernel)

    def _choose(self, inputs: tf.Tensor) -> dict | None:
        """Returns for which products matrices win, by their names.

        None where only the operation of TensorFlow will do.
        """
        shape = self._shape_of_smaller(inputs)
        if shape is None:
            return None
        limits = self._limits()
        if all(isinstance(size, int) for size in shape):
            num_pixels = math.prod(shape)
            return {name: num_pixels <= limit for name, limit in limits.items()}
        if self.typical_height is None:
            return dict.fromkeys(limits, False)
        # To decide at each call is not worth it where only one answer is likely.
        typical, num_pixels = self.typical_height**2, tf.reduce_prod(tf.stack(shape))
        return {name: typical <= limit and num_pixels <= limit for name, limit in limits.items()}

    def _limits(self) -> dict[str, int]:
        """Returns up to how many pixels matrices win, by the name of the product."""
        # What is exported may serve on another machine.
        is_here = self.formulation == FAST and not precision.has_avx512()
        table = _LIMITS_WITHOUT_AVX512 if is_here else _LIMITS
        layers = table.get(self.arithmetic)
        if layers is None:
            return dict.fromkeys(_Limits._fields, 0)
        if self.strides[0] == 2:
            return layers.halving._asdict()
        is_few = self.kernel.shape[3] < _FEW_CHANNELS
        return (layers.few if is_few else layers.dense)._asdict()

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Keras 3 would take the type of the weights for that of the output."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.arithmetic)

    def get_config(self) -> dict[str, Any]:
        """Returns what `__init__` takes."""
        return {**super().get_config(), "dtype": self.policy}


@keras.utils.register_keras_serializable("pix2pix_tf")
class Conv2D(_Convolution, keras.layers.Conv2D):
    """A 4x4 convolution of stride 2 with padding "same", or of stride 1 with "valid".

    Args:
        *args: Passed to `keras.layers.Conv2D`.
        dtype: Keras dtype policy name.
        **kwargs: Passed to `keras.layers.Conv2D`.
    """

    _convolve = staticmethod(to_small)

    def _shape_of_smaller(self, inputs: tf.Tensor) -> list | None:
        batch, *sides = _sizes(inputs)
        if self.strides[0] == 1:
            return [batch, *(side - KERNEL_SIZE + 1 for side in sides)]
        if any(isinstance(side, int) and side % 2 for side in sides):
            return None  # "same" then pads one side alone, which has no adjoint here.
        return [batch, *(side // 2 for side in sides)]


@keras.utils.register_keras_serializable("pix2pix_tf")
class Conv2DTranspose(_Convolution, keras.layers.Conv2DTranspose):
    """A 4x4 transposed convolution of stride 2 with padding "same"; arguments as of `Conv2D`."""

    _convolve = staticmethod(to_large)

    def _shape_of_smaller(self, inputs: tf.Tensor) -> list:
        return _sizes(inputs)


@keras.utils.register_keras_serializable("pix2pix_tf")
class ResizeConv2D(Conv2DTranspose):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution with padding "same".

    Computed as the transposed convolution that it is, whose 4x4 kernel is the sum of the 3x3
    kernel at its four shifts: the four pixels that a pixel becomes are each seen by the 3x3
    kernel. So what is trained is `[3, 3, filters, channels]`, and what serves is a
    `Conv2DTranspose`; see `serving_weights`. All pixels of the output are made of the same
    number of products, so that no grid is there to begin with (Odena et al., "Deconvolution and
    Checkerboard Artifacts", Distill 2016).

    Args:
        filters: Channels of the output.
        **kwargs: As of `Conv2DTranspose`.
    """

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(filters, **{**kwargs, "kernel_size": 3})

    def _read_kernel(self) -> tf.Tensor:
        return sum_of_shifts(super()._read_kernel())


def sum_of_shifts(kernel: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Returns the 4x4 kernel, `[4, 4, m, n]`, that is a 3x3 one at four places one pixel apart.

    Args:
        kernel: `[3, 3, m, n]`, float32.
    """
    # One product, which goes through the kernel once; so does its gradient.
    flat = tf.reshape(kernel, [9, -1])
    return tf.reshape(tf.matmul(_SHIFTS, flat), [KERNEL_SIZE, KERNEL_SIZE, *kernel.shape[2:]])


def serving_weights(model: keras.Model) -> list[np.ndarray]:
    """Returns the weights that a model has where each `ResizeConv2D` is a `Conv2DTranspose`.

    In the order of `model.get_weights()`, all else as it is.
    """
    weights = []
    for layer in model.layers:
        arrays = layer.get_weights()
        if isinstance(layer, ResizeConv2D):
            arrays[0] = sum_of_shifts(arrays[0]).numpy()
        weights += arrays
    return weights


def trained_weights(model: keras.Model, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the weights of a model that is trained, of those that `serving_weights` gave.

    Args:
        model: Has the layers, a `ResizeConv2D` among them.
        weights: Sums of 3x3 kernels where it has these; rounded ones will do.
    """
    back = np.linalg.pinv(_SHIFTS)
    iterator, found = iter(weights), []
    for layer in model.layers:
        arrays = [next(iterator) for _ in layer.get_weights()]
        if isinstance(layer, ResizeConv2D):
            kernel = back @ arrays[0].reshape(len(_SHIFTS), -1)
            arrays[0] = kernel.reshape(3, 3, *arrays[0].shape[2:]).astype(np.float32)
        found += arrays
    return found


def is_cpu_alone() -> bool:
    """Whether this process computes on a CPU; the operations of other devices are fast."""
    return not any(map(tf.config.list_logical_devices, ("GPU", "TPU")))


def set_formulation(
    model: keras.Model, formulation: str, *, size: tuple[int, int] | None = None
) -> None:
    """Lets the layers of a model that have a choice compute in a form from now on.

    Args:
        model: A generator or discriminator, before it is traced.
        formulation: `PLAIN`, `PORTABLE`, `FAST` or `INFERENCE`; see `Conv2D`. In the fast one the
            innermost layers of a network in bfloat16 compute in float32.
        size: (height, width) of the images that it is made for; None where every size is known
            when it is traced.
    """
    layers = [getattr(layer, "layer", layer) for layer in model.layers]  # Wrapped.
    layers = [layer for layer in layers if hasattr(layer, "formulation")]
    for layer in layers:
        layer.formulation = formulation
    if formulation not in (FAST, INFERENCE) or size is None:
        return
    convolutions = [layer for layer in layers if isinstance(layer, _Convolution)]
    outputs = shapes.output_shapes(model, convolutions, size=size)
    for layer, (_, height, _, _) in zip(convolutions, outputs):
        is_transposed = isinstance(layer, Conv2DTranspose)
        layer.typical_height = height // 2 if is_transposed else height
        is_innermost = layer.typical_height <= _MAX_HEIGHT_IN_FLOAT32
        if formulation == FAST and is_innermost and layer.arithmetic == "bfloat16":
            layer.arithmetic = "float32"


def _with_gradients(
    product: Callable[..., tf.Tensor],
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    *,
    stride: int,
    choice: dict,
) -> tf.Tensor:
    """Returns a product whose gradients are products of this module too.

    Args:
        product: `to_small` or `to_large`.
        inputs: As of `product`.
        kernel: As of `product`.
        stride: 1 or 2.
        choice: `as_matrices` of each product, by its name.
    """

    @tf.custom_gradient
    def convolve(inputs: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradient(outer: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            adjoint: Callable[..., tf.Tensor]
            if product is to_small:
                adjoint, large, small = to_large, inputs, outer
            else:
                adjoint, large, small = to_small, outer, inputs
            return (
                adjoint(outer, kernel, stride=stride, as_matrices=choice[adjoint.__name__]),
                to_kernel(large, small, stride=stride, as_matrices=choice[to_kernel.__name__]),
            )

        as_matrices = choice[product.__name__]
        return product(inputs, kernel, stride=stride, as_matrices=as_matrices), gradient

    return convolve(inputs, kernel)
