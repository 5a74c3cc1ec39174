"""Image files and pixel ranges.

Two forms of an image, everywhere in the project: *pixels*, uint8 or uint16 as
in a file, and *image*, float32 in [-1, 1]. Layout is `[height, width, channels]`.
PNG and JPEG are decoded by TensorFlow, so that the exported model reads them exactly as
training did. What no exported model reads is the subject of `arrays` (NumPy, TIFF) and
`picture_files` (BMP, GIF, WebP, ...).
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from pix2pix_tf import files
from pix2pix_tf.config import PICTURE_CHANNELS
from pix2pix_tf.data import arrays, image_files, orientation, picture_files
from pix2pix_tf.data.image_files import ImageFile
from pix2pix_tf.errors import InputError, printable

IMAGE_SUFFIXES = (*picture_files.SUFFIXES, *arrays.SUFFIXES)
# Pictures that are not read. Pairs would be missing without a word if these were passed over
# like other files.
OTHER_SUFFIXES = (
    *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".apng", ".ico", ".pcx", ".svg", ".eps"),
    *(".psd", ".psb", ".xcf", ".kra", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf"),
    *(".rw2", ".pef", ".srw", ".exr", ".hdr", ".pfm", ".dcm", ".nii", ".fits", ".czi", ".nd2"),
    *(".lif", ".svs", ".npz", ".mpo", ".dib", ".jpx", ".jpf", ".j2c", ".jpc", ".avifs", ".qoi"),
    *(".dds", ".sgi", ".ras", ".xbm", ".xpm", ".icns", ".dicom", ".nii.gz", ".fit", ".nrrd"),
    *(".mha", ".mrc", ".lsm", ".oib", ".ndpi"),
)
MAX_PIXELS = picture_files.MAX_PIXELS
# Of a JPEG, where cameras and programs make up to 14. Each passes over the whole picture, and
# one that changes nothing takes some bytes: a small file could decode for hours.
MAX_SCANS = 500
# The marker is followed by a length in two bytes, of which the first is always 0.
START_OF_SCAN = b"\xff\xda\0"
JPEG_QUALITY = 95  # Of pictures that we write; TensorFlow's default as well.
_EXIF_ORIENTATION = 0x0112
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff")  # Of what TensorFlow decodes: PNG and JPEG.
# Where pixels begin in nearly all PNG: the second chunk, or after a profile of some kilobytes.
_PNG_HEAD_BYTES = 2**14
_PNG_DEPTH = 24  # Its place, after signature, length, "IHDR", width and height.
_PIXELS_AT_ONCE = 2**20  # Of those whose channels are converted.


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """What a file's header says; width and height are those of the picture upright."""

    width: int
    height: int
    channels: int
    bits: int  # Per channel.
    is_array: bool = False  # NumPy or TIFF: read with the channels that it has, no others.
    has_other_colours: bool = False  # An ICC profile that is not sRGB's, which is not applied.
    has_full_range: bool = True  # 8 or 16 bits, unsigned, so that black and white are known.
    exif_orientation: int = orientation.UPRIGHT  # Of a JPEG, 1 to 8; it is turned by it.


def inspect_image(path: ImageFile) -> ImageInfo:
    """Returns what the header of an image file says, without decoding it.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it is not one picture of a format that is read, or too large.
    """
    if arrays.is_array(path):
        (height, width, channels), dtype = arrays.inspect(path)
        is_pixels = dtype.kind == "u" and dtype.itemsize <= 2
        kind = dict(is_array=True, has_full_range=is_pixels)
        return ImageInfo(width, height, channels, bits=8 * dtype.itemsize, **kind)
    with image_files.reading(path), image_files.open_file(path) as file:
        picture = picture_files.open_picture(path, file)
        width, height = picture.size
        channels, bits = picture_files.channels_and_bits(picture)
        is_jpeg = picture.format in ("JPEG", "MPO")
        file.seek(0)
        header = file.read(orientation.HEAD_BYTES if is_jpeg else _PNG_DEPTH + 1)
        if picture.format == "PNG":
            channels = 2 if picture.mode == "LA" else channels
            bits = 8 if picture.mode == "P" else header[_PNG_DEPTH]
        profile = picture.info.get("icc_profile") or b"sRGB"
        turned = int(orientation.of_jpeg(tf.constant(header))) if is_jpeg else orientation.UPRIGHT
        if not is_jpeg:  # It may hold what the decoder passes over.
            exif = Image.Exif()
            exif.load(picture.info.get("exif", b""))
            if exif.get(_EXIF_ORIENTATION, orientation.UPRIGHT) != orientation.UPRIGHT:
                raise ValueError(f"a {picture.format} that is turned by its Exif orientation")
    return ImageInfo(
        *((height, width) if turned >= 5 else (width, height)),
        channels,
        bits,
        # By the name that it carries: in version 2 of ICC it is ASCII, in version 4 UTF-16.
        has_other_colours=not any("sRGB".encode(x) in profile for x in ("ascii", "utf-16-be")),
        exif_orientation=turned,
    )


def warn_of_colours(infos: Mapping[ImageFile, ImageInfo]) -> None:
    """Says how many files carry a colour profile that is passed over, if any."""
    paths = sorted(str(path) for path, info in infos.items() if info.has_other_colours)
    if paths:
        text = (
            "%d of %d files carry a colour profile other than sRGB, '%s' for one. Their values are "
            "read as they are, by an exported model too; convert them to sRGB if colours matter."
        )
        logging.warning(text, len(paths), len(infos), printable(paths[0]))


def decode_pixels(contents: tf.Tensor, *, channels: int, dtype: tf.DType = tf.uint8) -> tf.Tensor:
    """Returns the pixels of an encoded image; for eager code and for graphs.

    Grey becomes colour by repetition, colour becomes grey by luminance (ITU-R BT.601), and
    transparent pixels are laid over white where `channels` has no alpha. A JPEG is turned upright
    as its Exif says. Colour profiles are not applied.

    Args:
        contents: A PNG or JPEG file, as a string scalar.
        channels: 1, 3 or 4. An image without alpha, read with 4, is opaque.
        dtype: tf.uint8, or tf.uint16 to keep the depth of a 16-bit PNG; 8-bit
            values are then multiplied by 257, so that white stays white.

    Returns:
        `[height, width, channels]` of `dtype`.

    Raises:
        tf.errors.InvalidArgumentError: If it cannot be decoded.
        InputError: If `channels` is not one that image files have.
    """
    if channels not in PICTURE_CHANNELS:
        raise InputError(
            f"Images are read as 1 (grey), 3 (colour) or 4 (with alpha) channels, not {channels}. "
            "Set input_channels and output_channels accordingly."
        )
    return _with_channels(_decode(contents, dtype), channels)


def _with_channels(decoded: tf.Tensor, channels: int) -> tf.Tensor:
    # Most files are as they are asked for; a large one then takes no copies in float32.
    is_as_asked = tf.equal(tf.shape(decoded)[-1], channels)
    pixels = tf.cond(is_as_asked, lambda: decoded, lambda: _convert(decoded, channels))
    pixels.set_shape([None, None, channels])
    return pixels


def _convert(decoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns decoded pixels with other channels than they have; see `decode_pixels`.

    Some rows of a large picture at a time: it is done in float32, which at once would take 3 GB
    for a grey file of 66 kB.
    """
    height, width = tf.unstack(tf.shape(decoded)[:2])
    num_rows = tf.maximum(_PIXELS_AT_ONCE // tf.maximum(width, 1), 1)

    def convert_in_parts() -> tf.Tensor:
        num_parts = -(-height // num_rows)
        parts = tf.TensorArray(
            decoded.dtype, num_parts, element_shape=[None, None, channels], infer_shape=False
        )

        def convert_part(number: tf.Tensor, parts: tf.TensorArray):
            rows = decoded[number * num_rows : (number + 1) * num_rows]
            return number + 1, parts.write(number, _convert_rows(rows, channels))

        loop = [tf.constant(0), parts]
        _, parts = tf.while_loop(
            lambda number, _: number < num_parts, convert_part, loop, parallel_iterations=1
        )
        return parts.concat()

    return tf.cond(height <= num_rows, lambda: _convert_rows(decoded, channels), convert_in_parts)


def _convert_rows(decoded: tf.Tensor, channels: int) -> tf.Tensor:
    white = float(decoded.dtype.max)
    found = tf.shape(decoded)[-1]  # 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha.
    values = tf.cast(decoded, tf.float32)
    has_alpha = tf.logical_or(tf.equal(found, 2), tf.equal(found, 4))
    alpha = tf.cond(
        has_alpha, lambda: values[..., -1:] / white, lambda: tf.ones_like(values[..., :1])
    )
    color = tf.cond(
        found <= 2, lambda: tf.repeat(values[..., :1], 3, axis=-1), lambda: values[..., :3]
    )
    if channels == 4:
        result = tf.concat([color, alpha * white], axis=-1)
    else:
        result = color * alpha + white * (1.0 - alpha)
        if channels == 1:
            # Exact for grey input, where the three channels agree.
            luminance = tf.tensordot(result, tf.constant([0.299, 0.587, 0.114]), axes=1)
            result = tf.cond(found <= 2, lambda: result[..., :1], lambda: luminance[..., None])
    return tf.cast(tf.round(result), decoded.dtype)


def _decode(contents: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns the decoded file with the channels that it has."""
    # 8-bit values times 257 fill 16 bits; decode_image would take 256, leaving white 0.4 % grey.
    widening = 1 if dtype == tf.uint8 else 257

    def decode_jpeg():
        # TensorFlow's default transform is off by 1.4 levels on average (24 at most, facades).
        pixels = tf.io.decode_jpeg(contents, dct_method="INTEGER_ACCURATE")
        pixels = orientation.turn_upright(pixels, orientation.of_jpeg(contents))
        return tf.cast(pixels, dtype) * widening

    def decode_png():
        # The decoder takes no notice of a transparent colour (tRNS beside grey or RGB) unless it
        # is asked for alpha. Where pixels begin late the chunk may stand before them, unseen.
        head = tf.strings.substr(contents, 0, _PNG_HEAD_BYTES)
        is_opaque = tf.strings.regex_full_match(head, r"\C*IDAT\C*")
        is_opaque &= ~tf.strings.regex_full_match(head, r"\C*tRNS\C*")
        return tf.cond(
            is_opaque,
            lambda: tf.io.decode_png(contents, dtype=dtype),
            lambda: tf.io.decode_png(contents, channels=4, dtype=dtype),
        )

    # Of anything else the decoder of PNG says that it cannot be decoded.
    return tf.cond(tf.io.is_jpeg(contents), decode_jpeg, decode_png)


def check_fits(
    path: ImageFile,
    info: ImageInfo,
    *,
    channels: int,
    value_range: tuple[float, float] | None = None,
) -> None:
    """Raises InputError if a file cannot be read with so many channels, or without a range."""
    of_pictures = PICTURE_CHANNELS if info.channels in (2, 4) else (1, 3)
    if channels not in ((info.channels,) if info.is_array else of_pictures):
        raise InputError(
            f"'{path}' has {info.channels} channel(s), but {channels} were asked for. Arrays and "
            "TIFF are read with the channels that they have, other images as 1 (grey), 3 (colour) "
            "or 4 (where they have alpha). Set input_channels or output_channels accordingly."
        )
    if not info.has_full_range and value_range is None:
        raise InputError(
            f"'{path}' has values of {info.bits} bits, not 8 or 16 bits without a sign, so which "
            "of them are black and white is not known. State their range with --input_range or "
            "--output_range (of prepare check: --a_range, --b_range), such as 0,1."
        )


def read_image(
    path: ImageFile, *, channels: int, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Returns an image file as float32 `[height, width, channels]` in [-1, 1].

    Args:
        path: The file.
        channels: For an array, those that it has; else see `decode_pixels`.
        value_range: The values, in the file's own units, that become -1 and 1; what
            lies beyond is clipped. None: all of the integer type.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If the file is damaged or does not fit, naming it; or if more than
            half of its values lie beyond `value_range`.
    """
    values = read_values(path, channels=channels, value_range=value_range)
    return scale_values(values, value_range)


def read_values(
    path: ImageFile, *, channels: int, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Returns the values of an image file, of which `scale_values` makes what `read_image` gives.

    Args:
        path: The file.
        channels: As of `read_image`.
        value_range: As of `read_image`.

    Returns:
        `[height, width, channels]`, the numbers of the file; uint16 without a range.

    Raises:
        InputError: As `read_image`.
    """
    info = inspect_image(path)
    check_fits(path, info, channels=channels, value_range=value_range)
    if value_range is None:
        return read_pixels(path, channels=channels, dtype=tf.uint16)
    if info.is_array:
        values = arrays.read(path)
    else:
        dtype = tf.uint16 if info.bits == 16 else tf.uint8
        values = read_pixels(path, channels=channels, dtype=dtype)
    low, high = value_range
    beyond = np.mean((values < low) | (values > high))
    if beyond > 0.5:
        raise InputError(
            f"'{path}' has {beyond:.0%} of its values beyond the stated range {low:g},{high:g}: "
            f"they are from {values.min():g} to {values.max():g}. Correct the range, or the file."
        )
    return values


def scale_values(values: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """Returns float32 in [-1, 1] from values as `read_values` gives them."""
    if value_range is None:
        return normalize_image(values).numpy()
    low, high = value_range
    # In float64, since float32 does not hold all integers of 32 bits.
    unit = values.astype(np.float64)
    unit -= low
    unit *= 2.0 / (high - low)
    unit -= 1.0
    return np.clip(unit, -1.0, 1.0, out=unit).astype(np.float32)


def read_pixels(path: ImageFile, *, channels: int, dtype: tf.DType = tf.uint8) -> np.ndarray:
    """Returns the pixels of an image file; see `decode_pixels`.

    Raises:
        InputError: If the file is missing, truncated or not an image, naming it; or is an
            array with other channels, or of other types than 8 and 16 bits.
    """
    if arrays.is_array(path):
        check_fits(path, inspect_image(path), channels=channels)
        return _in_depth(arrays.read(path), dtype)
    contents = image_files.read_bytes(path)
    num_scans = contents.count(START_OF_SCAN)
    if num_scans > MAX_SCANS:
        raise InputError(
            f"'{path}' has {num_scans} scans; {MAX_SCANS} are the limit of what is decoded. Save "
            "it again with another program."
        )
    if not contents.startswith(_BEGINNINGS):
        pixels = _in_depth(picture_files.read_pixels(path, contents), dtype)
        return _with_channels(tf.constant(pixels), channels).numpy()
    try:
        return _compiled_decoder(channels, dtype)(contents).numpy()
    except tf.errors.OpError:
        raise InputError(
            f"'{path}' cannot be decoded: it is truncated or damaged ({len(contents):,} bytes). "
            "Replace it, or take it out of the folder."
        ) from None


@functools.cache
def _compiled_decoder(channels: int, dtype: tf.DType) -> Callable:
    """Returns `decode_pixels` as one operation, on the CPU: many single ones take twice as long."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def decode(contents: tf.Tensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            return decode_pixels(contents, channels=channels, dtype=dtype)

    return decode


def _in_depth(pixels: np.ndarray, dtype: tf.DType) -> np.ndarray:
    """Returns uint8 or uint16 pixels as `dtype`, as the decoder of PNG does it."""
    if pixels.dtype == dtype.as_numpy_dtype:
        return pixels
    return pixels.astype(np.uint16) * 257 if dtype == tf.uint16 else (pixels >> 8).astype("u1")


def normalize_image(pixels) -> tf.Tensor:
    """Returns float32 in [-1, 1] from uint8 or uint16 pixels; an image is left as it is."""
    pixels = tf.convert_to_tensor(pixels)
    if pixels.dtype.is_floating:
        return tf.cast(pixels, tf.float32)
    return tf.cast(pixels, tf.float32) * (2.0 / pixels.dtype.max) - 1.0


def denormalize_image(
    image, *, dtype: tf.DType = tf.uint8, value_range: tuple[float, float] | None = None
) -> tf.Tensor:
    """Returns the values of a file from an image in [-1, 1]; values beyond are clipped.

    Args:
        image: Any shape.
        dtype: Type of the values; integers are rounded.
        value_range: What -1 and 1 become; None: all of the integer type.
    """
    low, high = value_range or (0.0, float(dtype.max))
    scaled = (tf.cast(image, tf.float32) + 1.0) * ((high - low) / 2.0)
    values = tf.clip_by_value(scaled, 0.0, high - low) + low
    return tf.cast(tf.round(values) if dtype.is_integer else values, dtype)


def in_colour(image: np.ndarray) -> np.ndarray:
    """Returns what is shown of an image of any channels, `[..., 3]` of the same dtype.

    Grey is repeated; of two channels the first is shown as red, the second as green,
    without blue; of more the first three are, without alpha.
    """
    channels = image.shape[-1]
    if channels == 1:
        return np.repeat(image, 3, axis=-1)
    if channels == 2:
        darkest = -1 if np.issubdtype(image.dtype, np.floating) else 0
        return np.concatenate([image, np.full_like(image[..., :1], darkest)], axis=-1)
    return image[..., :3]


def shown_pixels(image) -> np.ndarray:
    """Returns what is shown of an image in [-1, 1], uint8 `[..., 3]`; see `in_colour`."""
    return in_colour(denormalize_image(image).numpy())


def encode_image(pixels, suffix: str) -> bytes:
    """Returns the bytes of a file of `suffix` (".png", ".jpg", ".npy", ...); JPEG loses alpha."""
    if suffix.lower() in arrays.SUFFIXES:
        return arrays.encode(np.asarray(pixels), suffix)
    if suffix.lower() in (".jpg", ".jpeg"):
        return tf.io.encode_jpeg(pixels[..., :3], quality=JPEG_QUALITY).numpy()
    return tf.io.encode_png(pixels).numpy()


def list_images(
    folder: pathlib.Path, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> list[pathlib.Path]:
    """Returns the image files of a folder, sorted by name; hidden files are passed over."""
    return [
        path
        for path in files.list_folder(folder)
        if path.name.lower().endswith(tuple(suffixes)) and not path.name.startswith(".")
    ]
