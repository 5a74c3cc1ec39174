"""Translation of large images in bounded memory: tile by tile, and layer by layer.

Cutting an image into tiles and translating each would show seams: each tile would be
normalised by its own statistics, and its bottleneck would see nothing else. Here the
result is that of the whole image, up to rounding. The layers are gone through in order,
and each in tiles:

- A first pass over the tiles of a layer takes the mean and variance over its whole map,
  which the layers behind it are then normalised by.
- The inner maps, from some level on, are small and are kept whole. The outer ones, which
  are large but need few layers, are computed anew for each tile of each later pass, from
  the image and from the maps that are kept.
- A tile reads as far beyond its border as the layers in between see: a few pixels. So
  tiles meet without blending.
- The noise of a tile is what the whole image's z has at that place.

A map of level k has 1 / 2**k of the image's height and width; level 0 is the image.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf.config import LAB, TrainConfig
from pix2pix_tf.data import augment, images, lab
from pix2pix_tf.errors import InputError
from pix2pix_tf.inference import noise, stages, windows
from pix2pix_tf.inference.windows import Window
from pix2pix_tf.models.layers import LEAKY_RELU_SLOPE

# For the maps that are kept. More would be faster: fewer levels are computed anew.
MAX_KEPT_BYTES = 2**30
_LAB_ROWS = 256  # Rows of a photo that are converted at a time.


class TiledTranslator:
    """Translates image files as `translator.Translator` does, in bounded memory.

    Args:
        config: Settings of the model.
        generator: With its weights; both are from `translator.load_generator`.
        tile: Height and width of a tile, in pixels.
        track: See `TiledGenerator`.

    Raises:
        InputError: If `tile` is not a multiple of the model's crop_size.
    """

    def __init__(
        self,
        config: TrainConfig,
        generator: keras.Model,
        *,
        tile: int,
        track: Callable[[Sequence], Iterable] = iter,
    ):
        if tile < config.crop_size or tile % config.crop_size:
            raise InputError(
                f"tile is {tile}. Use a multiple of the model's crop_size, {config.crop_size} "
                f"pixels, such as {max(1, round(tile / config.crop_size)) * config.crop_size}."
            )
        self.config = config
        is_lab = config.color_space == LAB
        self._generator = TiledGenerator(
            generator,
            crop_size=config.crop_size,
            tile=tile,
            # a and b are not rounded before they are a photo.
            dtype="float32" if is_lab else config.output_dtype,
            value_range=(-1.0, 1.0) if is_lab else config.output_limits,
            track=track,
        )

    def translate_file(self, path: pathlib.Path, *, seed: int = 0, sample: int = 0) -> np.ndarray:
        """Returns the translation of an image file; see `Translator.translate_file`."""
        channels, value_range = self.config.input_file_channels, self.config.input_limits
        info = images.inspect_image(path)
        if value_range is None and info.bits <= 8 and info.channels == channels:
            # Nothing is lost by keeping 8 bits, a quarter of the memory.
            images.check_fits(path, info, channels=channels, value_range=value_range)
            image = images.read_pixels(path, channels=channels)
        else:
            image = images.read_image(path, channels=channels, value_range=value_range)
        if self.config.color_space == LAB:
            return self._colorize(image, entropy=[seed, sample])
        return self._generator(image, entropy=[seed, sample])

    def _colorize(self, photo: np.ndarray, *, entropy: list[int]) -> np.ndarray:
        """Returns the photo, uint8, that the generator makes of the L of a photo."""
        strips = [slice(top, top + _LAB_ROWS) for top in range(0, len(photo), _LAB_ROWS)]
        lightness = np.concatenate(
            [lab.lightness_of(images.normalize_image(photo[x])) for x in strips]
        )
        ab = self._generator(lightness, entropy=entropy)
        return np.concatenate(
            [images.denormalize_image(lab.photo_of(lightness[x], ab[x])) for x in strips]
        )


class TiledGenerator:
    """Translates images of any size as its generator does, in bounded memory.

    Args:
        generator: From `models.generator.build_generator`, of any statistics: those of
            the image are taken.
        crop_size: What the image's sides are padded to multiples of.
        tile: Height and width of a tile, in pixels; a multiple of `crop_size`.
        dtype: Type of the values that are returned.
        value_range: See `images.denormalize_image`.
        max_kept_bytes: Memory for the inner maps.
        track: Passes on the passes over the image, as tqdm does.
    """

    def __init__(
        self,
        generator: keras.Model,
        *,
        crop_size: int,
        tile: int,
        dtype: str = "uint8",
        value_range: tuple[float, float] | None = None,
        max_kept_bytes: int = MAX_KEPT_BYTES,
        track: Callable[[Sequence], Iterable] = iter,
    ):
        self.crop_size = crop_size
        self.tile = tile
        self.dtype = tf.as_dtype(dtype)
        self.value_range = value_range
        self.max_kept_bytes = max_kept_bytes
        self.track = track
        self.encoder, self.decoder, self.has_skips = stages.take_apart(generator)

    def __call__(self, pixels: np.ndarray, *, entropy: list[int]) -> np.ndarray:
        """Returns the translation of an image, as values of a file.

        Args:
            pixels: `[height, width, input_channels]`, uint8, uint16, or float32 in [-1, 1].
            entropy: See `noise.draw`.

        Returns:
            `[height, width, output_channels]` of `dtype`.
        """
        return _Translation(self, pixels, entropy).run(self.track)

    def first_kept_level(self, num_pixels: int) -> int:
        """Returns the level from which on the maps of a padded image are kept."""
        num_downs = len(self.encoder)
        num_bytes = 0
        for level in range(num_downs, 0, -1):
            channels = self.encoder[level - 1].channels
            if level < num_downs:
                channels += self.decoder[num_downs - 1 - level].channels
            num_bytes += num_pixels // 4**level * channels * 4
            if num_bytes > self.max_kept_bytes:
                return min(level + 1, num_downs)
        return 1


class _Translation:
    """One image on its way through a generator."""

    def __init__(self, generator: TiledGenerator, pixels: np.ndarray, entropy: list[int]):
        self._generator = generator
        self._pixels = pixels
        self._entropy = entropy
        # By level, as the encoder's; the last goes to level 0.
        self._num_downs = len(generator.encoder)
        self._decoder = generator.decoder[::-1]
        # Which row and column of the image each of the padded image is.
        self._rows, self._columns = (
            augment.reflected_indices(tf.constant(side), generator.crop_size).numpy()
            for side in pixels.shape[:2]
        )
        self._first_kept = generator.first_kept_level(len(self._rows) * len(self._columns))
        # By (is decoder's, level): what normalises a map, and the maps themselves.
        self._statistics: dict[tuple[bool, int], tuple[tf.Tensor, tf.Tensor]] = {}
        self._kept: dict[tuple[bool, int], np.ndarray] = {}
        self._encoded: dict[int, tuple[Window, tf.Tensor]] = {}  # For the tile at hand.
        self._noise_offsets = self._find_noise_offsets()

    def run(self, track: Callable[[Sequence], Iterable]) -> np.ndarray:
        """Returns the translated pixels."""
        height, width, _ = self._pixels.shape
        channels = self._stage(True, 0).channels
        output = np.empty([height, width, channels], self._generator.dtype.as_numpy_dtype)
        for is_decoder, level in track(self._passes()):
            if level == 0:
                self._write(output)
            else:
                self._take_statistics(is_decoder, level)
                self._forget(is_decoder, level)
        return output

    def _passes(self) -> list[tuple[bool, int]]:
        """Returns which maps are gone through, in their order: (is decoder's, level)."""
        levels = range(1, self._num_downs + 1)
        maps = [(False, level) for level in levels] + [(True, level) for level in levels[-2::-1]]
        return [one for one in maps if self._is_kept(one[1]) or self._has_norm(*one)] + [(True, 0)]

    def _stage(self, is_decoder: bool, level: int) -> stages.Stage:
        return self._decoder[level] if is_decoder else self._generator.encoder[level - 1]

    def _is_kept(self, level: int) -> bool:
        return level >= self._first_kept

    def _has_norm(self, is_decoder: bool, level: int) -> bool:
        return self._stage(is_decoder, level).gamma is not None

    def _size(self, level: int) -> tuple[int, int]:
        return len(self._rows) >> level, len(self._columns) >> level

    def _take_statistics(self, is_decoder: bool, level: int) -> None:
        """Goes through the tiles of a map: takes its statistics, and keeps it if it is small."""
        size, channels = self._size(level), self._stage(is_decoder, level).channels
        moments = _Moments(channels) if self._has_norm(is_decoder, level) else None
        kept = np.empty([*size, channels], np.float32) if self._is_kept(level) else None
        side = self._generator.tile >> min(level, self._first_kept)
        for window in windows.tile(*size, side):
            self._encoded.clear()
            values = self._convolved(is_decoder, level, window)
            if moments is not None:
                moments.add(values)
            if kept is not None:
                kept[window.rows, window.columns] = values[0].numpy()
        if moments is not None:
            self._statistics[is_decoder, level] = moments.mean_and_variance()
        if kept is not None:
            self._kept[is_decoder, level] = kept

    def _forget(self, is_decoder: bool, level: int) -> None:
        """Drops the maps that nothing reads once this one is kept."""
        if not self._is_kept(level):
            return
        if is_decoder:
            self._kept.pop((True, level + 1), None)
            self._kept.pop((False, level + 1), None)
        elif not self._generator.has_skips:
            self._kept.pop((False, level - 1), None)

    def _write(self, output: np.ndarray) -> None:
        """Goes through the tiles of the output; what pads the image is left out."""
        for window in windows.tile(*output.shape[:2], self._generator.tile):
            self._encoded.clear()
            image = tf.tanh(self._convolved(True, 0, window))[0]
            output[window.rows, window.columns] = images.denormalize_image(
                image, dtype=self._generator.dtype, value_range=self._generator.value_range
            ).numpy()

    def _convolved(self, is_decoder: bool, level: int, window: Window) -> tf.Tensor:
        """Returns a window of what the convolution to a map outputs, computed anew."""
        stage = self._stage(is_decoder, level)
        source = level + 1 if is_decoder else level - 1
        read = stage.window_read(window)
        inside = read.clipped(*self._size(source))
        take = self._decoder_input if is_decoder else self._activated
        # Layers see zeros beyond the map.
        return stage.convolve(tf.pad(take(source, inside), read.paddings_of(inside)), window)

    def _normalized(self, is_decoder: bool, level: int, window: Window) -> tf.Tensor:
        """Returns a window of a map, normalised: of the one that is kept, or computed anew."""
        kept = self._kept.get((is_decoder, level))
        if kept is None:
            x = self._convolved(is_decoder, level, window)
        else:
            x = tf.constant(kept[window.rows, window.columns][np.newaxis])
        statistics = self._statistics.get((is_decoder, level))
        return self._stage(is_decoder, level).normalize(x, *statistics) if statistics else x

    def _activated(self, level: int, window: Window) -> tf.Tensor:
        """Returns a window of the encoder's map after activation, computed once for a tile."""
        if level == 0:
            places = np.ix_(self._rows[window.rows], self._columns[window.columns])
            return images.normalize_image(self._pixels[places])[tf.newaxis]
        # A tile asks for the innermost level first, which takes more of the outer ones than
        # their own skip connections do.
        known, values = self._encoded.get(level, (None, None))
        if known is not None and known.contains(window):
            rows, columns = known.slices_of(window)
            return values[:, rows, columns]
        x = tf.nn.leaky_relu(self._normalized(False, level, window), LEAKY_RELU_SLOPE)
        self._encoded[level] = window, x
        return x

    def _decoder_input(self, level: int, window: Window) -> tf.Tensor:
        """Returns a window of what the decoder takes from a level."""
        if level == self._num_downs:
            return tf.nn.relu(self._activated(level, window))
        x = tf.nn.relu(self._dropped(level, window, self._normalized(True, level, window)))
        if not self._generator.has_skips:
            return x
        return tf.concat([x, tf.nn.relu(self._activated(level, window))], axis=-1)

    def _dropped(self, level: int, window: Window, x: tf.Tensor) -> tf.Tensor:
        stage = self._stage(True, level)
        if stage.rate == 0.0:
            return x
        z = noise.draw_window(
            window,
            offset=self._noise_offsets[level],
            width=self._size(level)[1],
            channels=stage.channels,
            entropy=self._entropy,
        )
        return x * tf.cast(z >= stage.rate, tf.float32) * (1.0 / (1.0 - stage.rate))

    def _find_noise_offsets(self) -> dict[int, int]:
        """Returns where in z the numbers of each level begin; the innermost come first."""
        offsets, offset = {}, 0
        for level in range(self._num_downs - 1, 0, -1):
            if self._decoder[level].rate > 0.0:
                height, width = self._size(level)
                offsets[level] = offset
                offset += height * width * self._decoder[level].channels
        return offsets


class _Moments:
    """Mean and variance over the pixels of a map that comes in tiles, each pixel once."""

    def __init__(self, channels: int):
        self._count = 0
        self._mean = np.zeros(channels)
        self._squares = np.zeros(channels)  # Sum of squared differences from the mean.

    def add(self, values: tf.Tensor) -> None:
        """Takes in a tile, `[1, height, width, channels]`."""
        mean, variance = (x.numpy().astype(np.float64) for x in tf.nn.moments(values, [0, 1, 2]))
        count = values.shape[1] * values.shape[2]
        difference = mean - self._mean
        total = self._count + count
        self._squares += variance * count + difference**2 * (self._count * count / total)
        self._mean += difference * (count / total)
        self._count = total

    def mean_and_variance(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns both, float32 `[channels]`; the variance is the biased one."""
        return (
            tf.constant(self._mean, tf.float32),
            tf.constant(self._squares / self._count, tf.float32),
        )
