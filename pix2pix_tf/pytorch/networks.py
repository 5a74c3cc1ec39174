"""The networks of junyanz/pytorch-CycleGAN-and-pix2pix as settings and weights of this project.

Read off names and shapes alone, so that forks of that code with the same networks do as well. What
differs between the two is undone here:

- Kernels there are `[out, in, height, width]`, or `[in, out, ...]` of a transposed convolution.
- In a concatenation the skip comes first there, and last here: the input channels of a transposed
  convolution are swapped in halves.
- A bias under a normalisation by the image's own statistics changes nothing. Here there is none.
- Instance normalisation there has no scale and offset unless asked for: here they are 1 and 0.
- Dropout is in the decoder blocks whose outputs have 4, 8 and 16 pixels, and in the paper's text
  in the three before: `dropout_blocks` says which.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pix2pix_tf.errors import InputError

Arrays = Mapping[str, np.ndarray]
EPSILON = 1e-5  # Of PyTorch's normalisations, and of this project's.
RECEPTIVE_FIELDS = {1: 16, 2: 34, 3: 70, 4: 142, 5: 286}  # By the n_layers of that code.
_MIN_DOWNS, _MAX_DOWNS = 5, 10  # 32 to 1024 pixels.
AFFINE = "instance, with affine=True"  # In the words of `torch.nn.InstanceNorm2d`.
_FIRST_DROPOUT_BLOCK = 2  # Of the decoder, from the inside, 1 being the innermost.
_GENERATOR_START = "model.model."
_MAX_FILTERS_FACTOR = 8


class Layer(NamedTuple):
    """A convolution of that code, and the normalisation after it.

    Attributes:
        convolution: The beginning of its arrays' names.
        norm: As `convolution`; None where there is none whatever the settings.
    """

    convolution: str
    norm: str | None = None


class GeneratorLayers(NamedTuple):
    """Of a U-Net: the encoder from the outside in, the decoder from the inside out."""

    downs: list[Layer]
    ups: list[Layer]


_PIXEL_END = Layer("net.5")  # Of the PixelGAN, the last; it has a bias with instance norm alone.


def generator_layers(num_downs: int) -> GeneratorLayers:
    """Returns what the layers of a U-Net with so many halvings are called."""
    start = _GENERATOR_START
    downs, ups = [Layer(f"{start}0")], [Layer(f"{start}3")]
    start += "1.model."
    for _ in range(num_downs - 2):
        downs.append(Layer(f"{start}1", f"{start}2"))
        ups.insert(0, Layer(f"{start}5", f"{start}6"))
        start += "3.model."
    downs.append(Layer(f"{start}1"))
    ups.insert(0, Layer(f"{start}3", f"{start}4"))
    return GeneratorLayers(downs, ups)


def discriminator_layers(num_layers: int) -> list[Layer]:
    """Returns what the layers of a discriminator are called; `num_layers` 0 is the PixelGAN."""
    if not num_layers:
        return [Layer("net.0"), Layer("net.2", "net.3"), _PIXEL_END]
    middle = [Layer(f"model.{3 * i - 1}", f"model.{3 * i}") for i in range(1, num_layers + 1)]
    return [Layer("model.0"), *middle, Layer(f"model.{3 * num_layers + 2}")]


class Network(NamedTuple):
    """A network as this project has it.

    Attributes:
        settings: Fields of `TrainConfig`.
        weights: Arrays in the order of `keras.Model.get_weights`.
    """

    settings: dict[str, object]
    weights: list[np.ndarray]


class _Reader:
    """Hands out the arrays of a file, and knows which were not asked for.

    Args:
        arrays: Of a `state_dict`.
        source: The file, for messages.
    """

    def __init__(self, arrays: Arrays, source: str):
        if arrays and all(name.startswith("module.") for name in arrays):  # Of several GPUs.
            arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
        self._left = dict(arrays)
        self.source = source

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def has(self, layers: Sequence[Layer], *, norm: str = "", bias: bool = False) -> bool:
        """Returns whether normalised layers have an array of their norm, or biases."""
        names = [f"{x.norm}.{norm}" if norm else f"{x.convolution}.bias" for x in layers if x.norm]
        found = [name in self._left for name in names]
        if any(found) and not all(found):
            missing = names[found.index(False)]
            raise InputError(
                f"'{self.source}' has no '{missing}', though other layers have such arrays. It is "
                "of a network that this project does not have."
            )
        return any(found)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a kernel; refuses a missing one."""
        if name in self._left and self._left[name].ndim == 4:
            return self._left[name].shape
        raise InputError(
            f"'{self.source}' has no kernel '{name}'. It is not of the network that its other "
            "names tell of, or not whole."
        )

    def take(self, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Returns an array; refuses a missing one, and one of another shape."""
        if name not in self._left:
            raise InputError(
                f"'{self.source}' has no '{name}'. It is not of the network that its other names "
                "tell of, or not whole."
            )
        array = self._left.pop(name)
        if shape is not None and array.shape != shape:
            raise InputError(
                f"'{name}' in '{self.source}' has shape {array.shape}, where a U-Net or PatchGAN "
                f"of that code has {shape}."
            )
        return array.astype(np.float32)

    def finish(self) -> None:
        """Refuses arrays that were not asked for."""
        left = [name for name in self._left if not name.endswith(".num_batches_tracked")]
        if left:
            raise InputError(
                f"'{self.source}' has arrays that no network of this project has: "
                f"{', '.join(left[:5])}{', ...' if len(left) > 5 else ''}."
            )


def read_generator(
    arrays: Arrays, *, source: str, dropout: float, running: bool, norm: str = ""
) -> Network:
    """Returns a U-Net.

    Args:
        arrays: Of its `state_dict`.
        source: The file, for messages.
        dropout: Rate with which it was trained, which is not in the file: 0.5 unless it was
            trained with `--no_dropout`.
        running: Whether to normalise by the running statistics, and so without dropout: what
            `test.py --eval` of that code does. They are folded into the kernels.
        norm: "batch", "instance" or "none"; empty: as the arrays that there are have it.

    Raises:
        InputError: If it is of another network, or `running` and it has no such statistics.
    """
    reader = _Reader(arrays, source)
    if f"{_GENERATOR_START}0.weight" not in reader:
        kind = "a ResNet generator" if "model.1.weight" in reader else "no U-Net"
        raise InputError(
            f"'{source}' is of {kind}: it has no '{_GENERATOR_START}0.weight'. This project has "
            "the U-Nets of pix2pix (--netG=unet_256 and its kin)."
        )
    num_downs = _count_downs(reader)
    downs, ups = generator_layers(num_downs)
    base_filters, input_channels = reader.shape(f"{downs[0].convolution}.weight")[:2]
    output_channels = reader.shape(f"{ups[-1].convolution}.weight")[1]
    filters = [base_filters * min(2**depth, _MAX_FILTERS_FACTOR) for depth in range(num_downs)]
    norm = norm or _find_norm(reader, [*downs, *ups])
    plain_bias = f"{downs[0].convolution}.bias" in reader
    if plain_bias != (f"{downs[-1].convolution}.bias" in reader):
        raise InputError(
            f"In '{source}' one of '{downs[0].convolution}' and '{downs[-1].convolution}' has a "
            "bias and the other has not. This project has networks with both or without."
        )
    taken = _Taken(reader, norm, running=running)
    weights = []
    for layer, inputs, outputs in zip(downs, [input_channels, *filters], filters):
        kernel = reader.take(f"{layer.convolution}.weight", (outputs, inputs, 4, 4))
        weights += taken.layer(layer, kernel.transpose(2, 3, 1, 0), has_bias=plain_bias)
    outputs_of_ups = [*filters[-2::-1], output_channels]
    inputs_of_ups = [filters[-1], *(2 * x for x in filters[-2::-1])]
    for layer, inputs, outputs in zip(ups, inputs_of_ups, outputs_of_ups):
        kernel = reader.take(f"{layer.convolution}.weight", (inputs, outputs, 4, 4))
        if layer is not ups[0]:
            kernel = _swap_halves(kernel)
        kernel = kernel.transpose(2, 3, 1, 0)
        weights += taken.layer(layer, kernel, has_bias=layer is ups[-1], is_transposed=True)
    reader.finish()
    blocks = range(_FIRST_DROPOUT_BLOCK, _FIRST_DROPOUT_BLOCK + num_downs - _MIN_DOWNS)
    has_dropout = dropout > 0 and bool(blocks) and not running
    settings = dict(
        crop_size=2**num_downs,
        base_filters=base_filters,
        input_channels=input_channels,
        output_channels=output_channels,
        norm=taken.norm,
        unnormalized_bias=plain_bias and taken.norm != "none",
        dropout=dropout if has_dropout else 0.0,
    )
    if has_dropout:
        settings["dropout_blocks"] = ",".join(map(str, blocks))
    return Network(settings, weights)


def _count_downs(reader: _Reader) -> int:
    """Returns how often a U-Net halves the image."""
    start, count = f"{_GENERATOR_START}1.model.", 2
    while f"{start}3.model.1.weight" in reader:
        start, count = f"{start}3.model.", count + 1
    if not _MIN_DOWNS <= count <= _MAX_DOWNS:
        raise InputError(
            f"'{reader.source}' is of a U-Net that halves images {count} times. This project has "
            f"those of {_MIN_DOWNS} to {_MAX_DOWNS}, for images of {2**_MIN_DOWNS} to "
            f"{2**_MAX_DOWNS} pixels."
        )
    return count


def _find_norm(reader: _Reader, layers: Sequence[Layer]) -> str:
    """Returns which normalisation a network has: "batch", "instance" or "none"."""
    has_scales, has_means = (reader.has(layers, norm=x) for x in ("weight", "running_mean"))
    if reader.has(layers, bias=True):  # That code leaves biases out under batch norm alone.
        return "instance"
    return "batch" if has_scales or has_means else "none"


class _Taken:
    """Takes what belongs to a convolution out of a file.

    Args:
        reader: The file.
        norm: That of the network in it.
        running: See `read_generator`.

    Attributes:
        norm: That of the network as it is here.
    """

    def __init__(self, reader: _Reader, norm: str, *, running: bool):
        self._reader = reader
        self._norm = norm
        self._running = running
        self.norm = "none" if running else norm

    def layer(
        self, layer: Layer, kernel: np.ndarray, *, has_bias: bool, is_transposed: bool = False
    ) -> list[np.ndarray]:
        """Returns the arrays of a convolution and its normalisation, in the order of Keras.

        Args:
            layer: Their names.
            kernel: As Keras has it.
            has_bias: Whether it has to have one: under a normalisation it may.
            is_transposed: Whether it is a transposed convolution.
        """
        count = kernel.shape[2 if is_transposed else 3]
        reader, zeros = self._reader, np.zeros(count, np.float32)
        bias_name = f"{layer.convolution}.bias"
        is_there = (has_bias and layer.norm is None) or bias_name in reader
        bias = reader.take(bias_name, (count,)) if is_there else zeros
        if layer.norm is None or self._norm == "none":
            return [kernel, bias] if has_bias or self.norm == "none" else [kernel]
        arrays = {
            name: reader.take(f"{layer.norm}.{name}", (count,))
            for name in ("weight", "bias", "running_mean", "running_var")
            if f"{layer.norm}.{name}" in reader
        }
        gamma, beta = arrays.get("weight", zeros + 1), arrays.get("bias", zeros)
        if not self._running:
            return [kernel, gamma, beta]
        if "running_mean" not in arrays:
            raise InputError(
                f"'{reader.source}' has no running statistics, so --eval of that code normalises "
                "by the image's own. Leave --statistics out, and pass --dropout=0 for its pictures."
            )
        scale = gamma / np.sqrt(arrays["running_var"] + EPSILON)
        offset = beta + (bias - arrays["running_mean"]) * scale
        return [kernel * (scale[:, np.newaxis] if is_transposed else scale), offset]


def _swap_halves(kernel: np.ndarray) -> np.ndarray:
    """Returns a kernel with its input channels in the other order of skip and decoder."""
    return np.concatenate(np.split(kernel, 2)[::-1])


def read_discriminator(
    arrays: Arrays, *, source: str, generator: Mapping[str, object], norm: str = ""
) -> Network:
    """Returns a discriminator that belongs to a generator.

    Args:
        arrays: Of its `state_dict`.
        source: The file, for messages.
        generator: Settings of the generator.
        norm: As for `read_generator`.

    Raises:
        InputError: If it is of another network, or does not go with the generator.
    """
    reader = _Reader(arrays, source)
    layers, num_layers = _find_discriminator(reader)
    base_filters, seen = reader.shape(f"{layers[0].convolution}.weight")[:2]
    outputs, inputs = generator["output_channels"], generator["input_channels"]
    if seen not in (outputs, inputs + outputs):
        raise InputError(
            f"'{source}' takes {seen} channels, where the generator makes {outputs} from {inputs}: "
            f"{outputs}, or {inputs + outputs} with its input, go together."
        )
    norm = norm or _find_norm(reader, layers)
    for name, value in (("base_filters", base_filters), ("norm", norm)):
        if value != generator[name]:
            raise InputError(
                f"'{source}' has {name} {value} and the generator {generator[name]}; a run has one "
                "for both. Leave the discriminator out."
            )
    kernel_size = 4 if num_layers else 1
    factors = [min(2**depth, _MAX_FILTERS_FACTOR) for depth in range(len(layers) - 1)]
    channels = [seen, *(base_filters * factor for factor in factors), 1]
    plain_bias = bool(generator["unnormalized_bias"])
    taken = _Taken(reader, norm, running=False)
    weights = []
    for layer, taking, making in zip(layers, channels, channels[1:]):
        shape = (making, taking, kernel_size, kernel_size)
        kernel = reader.take(f"{layer.convolution}.weight", shape).transpose(2, 3, 1, 0)
        if layer is layers[-1] and not num_layers and not plain_bias:
            weights.append(kernel)  # The last of the PixelGAN: biased with instance norm alone.
        else:
            weights += taken.layer(layer, kernel, has_bias=True)
    reader.finish()
    settings = dict(
        receptive_field=RECEPTIVE_FIELDS[num_layers] if num_layers else 1,
        conditional=seen != outputs,
    )
    return Network(settings, weights)


def _find_discriminator(reader: _Reader) -> tuple[list[Layer], int]:
    """Returns the layers of a discriminator and its `n_layers`, 0 of the PixelGAN."""
    for num_layers in (0, *RECEPTIVE_FIELDS):
        layers = discriminator_layers(num_layers)
        following = discriminator_layers(num_layers + 1)[-1] if num_layers else None
        names = {f"{layer.convolution}.weight" for layer in layers}
        longer = following and f"{following.convolution}.weight" in reader
        if all(name in reader for name in names) and not longer:
            return layers, num_layers
    raise InputError(
        f"'{reader.source}' is not of a discriminator of that code: --netD=basic, pixel, or "
        f"n_layers with {', '.join(map(str, RECEPTIVE_FIELDS))}."
    )


def write_generator(
    settings: Mapping[str, object], weights: Sequence[np.ndarray]
) -> tuple[dict[str, np.ndarray], str]:
    """Returns the `state_dict` of a U-Net as that code loads it, and its `--norm` there.

    Args:
        settings: Fields of `TrainConfig`.
        weights: In the order of `keras.Model.get_weights`.

    Raises:
        InputError: If that code does not have such a network.
    """
    for name, value in (("generator", "unet"), ("bottleneck_norm", False)):
        if settings[name] != value:
            raise InputError(
                f"{name} is {settings[name]!r}; that code has U-Nets with {value!r} alone."
            )
    downs, ups = generator_layers(int(settings["crop_size"]).bit_length() - 1)
    parts = _take_apart(settings, weights, [*downs, *ups], with_bias={ups[-1]}, transposed=ups)
    for number, part in enumerate(parts):
        if part.layer in ups[1:]:
            kernel = _swap_halves(part.kernel.transpose(3, 2, 0, 1))
            parts[number] = part._replace(kernel=kernel.transpose(2, 3, 1, 0))
    norm = str(settings["norm"])
    if norm == "instance" and _has_scales(parts):
        # Of one image both are the same, and only this one has scales there. It does not have the
        # biases that a model of a fork with affine=True came with.
        biased = any(x.bias is not None and x.bias.any() and not x.has_bias_there for x in parts)
        norm = AFFINE if biased else "batch"
    return _put_together(parts, norm), norm


def write_discriminator(
    settings: Mapping[str, object], weights: Sequence[np.ndarray], *, norm: str
) -> dict[str, np.ndarray]:
    """Returns the `state_dict` of a discriminator as that code loads it.

    Args:
        settings: Fields of `TrainConfig`.
        weights: In the order of `keras.Model.get_weights`.
        norm: As `write_generator` gave it.

    Raises:
        InputError: If that code does not have such a network.
    """
    if settings["spectral_norm"]:
        raise InputError("spectral_norm is on, which the discriminators of that code do not have.")
    by_field = {field: number for number, field in RECEPTIVE_FIELDS.items()}
    layers = discriminator_layers(by_field.get(settings["receptive_field"], 0))
    with_bias = {layers[0]} if settings["receptive_field"] == 1 else {layers[0], layers[-1]}
    parts = _take_apart(settings, weights, layers, with_bias=with_bias)
    if norm == "instance" and _has_scales(parts):
        norm = AFFINE
    return _put_together(parts, norm)


class _Part(NamedTuple):
    """A convolution of this project and its normalisation; None where there is no such array."""

    layer: Layer
    kernel: np.ndarray
    bias: np.ndarray | None
    gamma: np.ndarray | None
    beta: np.ndarray | None
    has_bias_there: bool  # Whatever the norm.
    count: int  # Channels that it makes.


def _take_apart(
    settings: Mapping[str, object],
    weights: Sequence[np.ndarray],
    layers: Sequence[Layer],
    *,
    with_bias: Collection[Layer],
    transposed: Collection[Layer] = (),
) -> list[_Part]:
    """Returns which arrays are of which layer.

    Args:
        settings: Fields of `TrainConfig`.
        weights: In the order of Keras.
        layers: In the same.
        with_bias: Those that have a bias whatever the norm.
        transposed: Those that are transposed convolutions.
    """
    left = iter(weights)
    parts = []
    for layer in layers:
        is_normalized = layer.norm is not None and settings["norm"] != "none"
        plain = settings["unnormalized_bias"] or (
            settings["norm"] == "none" and layer != _PIXEL_END
        )
        kernel = next(left)
        count = kernel.shape[2 if layer in transposed else 3]
        bias = next(left) if layer in with_bias or (plain and not is_normalized) else None
        gamma, beta = (next(left), next(left)) if is_normalized else (None, None)
        parts.append(_Part(layer, kernel, bias, gamma, beta, layer in with_bias, count))
    return parts


def _has_scales(parts: Sequence[_Part]) -> bool:
    return any(x.gamma is not None and ((x.gamma != 1).any() or x.beta.any()) for x in parts)


def _put_together(parts: Sequence[_Part], norm: str) -> dict[str, np.ndarray]:
    arrays = {}
    for part in parts:
        name = part.layer.convolution
        has_bias = part.has_bias_there or norm in ("instance", AFFINE)
        if part.bias is not None and part.bias.any() and not has_bias:
            raise InputError(
                f"{name} has a bias, which that code does not have with norm {norm}: this model "
                "cannot be written for it."
            )
        arrays[f"{name}.weight"] = np.ascontiguousarray(part.kernel.transpose(3, 2, 0, 1))
        zeros = np.zeros(part.count, np.float32)
        if has_bias:
            arrays[f"{name}.bias"] = zeros if part.bias is None else part.bias
        if part.layer.norm is not None and norm in ("batch", AFFINE):
            arrays[f"{part.layer.norm}.weight"] = part.gamma
            arrays[f"{part.layer.norm}.bias"] = part.beta
        if part.layer.norm is not None and norm == "batch":
            arrays[f"{part.layer.norm}.running_mean"] = zeros  # Those of a new network: unknown.
            arrays[f"{part.layer.norm}.running_var"] = zeros + 1
            arrays[f"{part.layer.norm}.num_batches_tracked"] = np.zeros((), np.int64)
    return arrays
