"""Tests of `pix2pix_tf.data.images`. Files are written by hand or by Pillow, not by TensorFlow."""

from __future__ import annotations

import functools
import io
import pathlib
import warnings
import zlib
from unittest import mock

import hostile_files
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from hostile_files import chunk, png_header, save
from PIL import Image, ImageCms
from refusals import refused

from pix2pix_tf.data import images
from pix2pix_tf.errors import MissingInputError

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # Of the PNG header, by number of channels.


def png_bytes(pixels: np.ndarray) -> bytes:
    """Returns a PNG of uint8 or uint16 pixels; Pillow cannot write 16-bit colour."""
    height, width, channels = pixels.shape
    values = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    return hostile_files.png(
        width, height, values, bits=8 * pixels.itemsize, colour=_COLOR_TYPES[channels]
    )


def random_pixels(channels: int, dtype=np.uint8, *, height: int = 6, width: int = 9) -> np.ndarray:
    generator = np.random.default_rng(channels)
    highest = np.iinfo(dtype).max
    pixels = generator.integers(0, highest, (height, width, channels), dtype, endpoint=True)
    pixels[0, 0], pixels[0, 1] = 0, highest
    return pixels


def smooth_picture(width: int = 67, height: int = 45) -> Image.Image:
    """Returns a colour picture that a JPEG keeps: its size is no multiple of a JPEG block."""
    noise = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def expected_values(pixels: np.ndarray, channels: int, white: int) -> np.ndarray:
    """Returns, unrounded, what a file of `pixels` is read as."""
    values = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    alpha = values[..., -1:] if values.shape[-1] in (2, 4) else np.ones_like(values[..., :1])
    color = values[..., :3] if values.shape[-1] >= 3 else values[..., :1].repeat(3, axis=-1)
    if channels == 4:
        return white * np.concatenate([color, alpha], axis=-1)
    over_white = color * alpha + (1.0 - alpha)
    if channels == 1:
        over_white = over_white @ np.array([[0.299], [0.587], [0.114]])
    return white * over_white


class RangeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("every_uint8", tf.uint8, np.arange(256)),
        ("some_uint16", tf.uint16, np.append(np.arange(0, 2**16, 97), [1, 32767, 32768, 65535])),
    )
    def test_denormalize_undoes_normalize(self, dtype, values):
        pixels = values.astype(dtype.as_numpy_dtype)
        image = images.normalize_image(pixels)
        self.assertEqual(image.dtype, tf.float32)
        back = images.denormalize_image(image, dtype=dtype)
        self.assertEqual(back.dtype, dtype)
        self.assertAllEqual(back, pixels)

    @parameterized.named_parameters(("uint8", np.uint8, 255), ("uint16", np.uint16, 65535))
    def test_range_is_from_minus_one_to_one(self, dtype, white):
        image = images.normalize_image(np.array([0, white // 3, white], dtype))
        # A third of white is a whole number in both: -1 + 2 / 3.
        self.assertAllClose(image, [-1.0, -1.0 / 3.0, 1.0], rtol=0, atol=1e-6)
        self.assertAllEqual(image[::2], [-1.0, 1.0])


class DecodeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        found=(1, 2, 3, 4),
        depth=(np.uint8, np.uint16),
        channels=(1, 3, 4),
        dtype=(tf.uint8, tf.uint16),
    )
    def test_png(self, found, depth, channels, dtype):
        pixels = random_pixels(found, depth)
        decoded = images.decode_pixels(png_bytes(pixels), channels=channels, dtype=dtype)
        self.assertEqual(decoded.dtype, dtype)
        self.assertEqual(decoded.shape, (6, 9, channels))
        if depth == np.uint16 and dtype == tf.uint8:
            pixels = (pixels >> 8).astype(np.uint8)  # libpng cuts the lower byte off.
        expected = expected_values(pixels, channels, dtype.max)
        self.assertAllClose(decoded.numpy().astype(np.float64), expected, rtol=0, atol=0.51)

    @parameterized.product(bits=(8, 16), channels=(1, 3, 4), in_graph=(False, True))
    def test_five_ways_of_transparency_are_one(self, bits, channels, in_graph):
        """All of black strokes on a ground that is to be seen through."""
        is_ground = np.indices((5, 7)).sum(axis=0) % 3 > 0
        depth = f">u{bits // 8}"
        white = np.iinfo(depth).max
        alpha = np.where(is_ground, 0, white)
        key = 200 if bits == 8 else 51_201  # One that cutting the lower byte off changes.

        def write(colour: int, *planes: np.ndarray, before: tuple[bytes, ...] = ()) -> bytes:
            values = np.stack(planes, axis=-1).astype(depth).tobytes()
            return hostile_files.png(7, 5, values, *before, bits=bits, colour=colour)

        keyed, zeros = np.where(is_ground, key, 0), np.zeros_like(alpha)
        grey_key = chunk(b"tRNS", np.array([key], ">u2").tobytes())
        colour_key = chunk(b"tRNS", np.array([key, 0, key], ">u2").tobytes())
        palette = (chunk(b"PLTE", bytes([0, 0, 0, 255, 0, 255])), chunk(b"tRNS", b"\xff\0"))
        # A long text, so that what decides is not where it is looked for.
        text = chunk(b"tEXt", b"k\0" + images._PNG_HEAD_BYTES * b"x")
        files = dict(
            colour_alpha=write(6, keyed, zeros, keyed, alpha),
            grey_alpha=write(4, keyed, alpha),
            grey_key=write(0, keyed, before=(grey_key,)),
            colour_key=write(2, keyed, zeros, keyed, before=(colour_key,)),
            colour_key_after_a_text=write(2, keyed, zeros, keyed, before=(text, colour_key)),
            palette=hostile_files.png(7, 5, is_ground.astype("u1").tobytes(), *palette, colour=3),
        )
        for dtype in (tf.uint16,) if in_graph else (tf.uint8, tf.uint16):
            decode = functools.partial(images.decode_pixels, channels=channels, dtype=dtype)
            decode = tf.function(decode, autograph=False) if in_graph else decode
            for name, contents in files.items():
                pixels = decode(tf.constant(contents)).numpy()
                if channels == 4:  # The colour of what is not to be seen is anything.
                    self.assertAllEqual(pixels[..., 3], np.where(is_ground, 0, dtype.max), name)
                    self.assertFalse(pixels[~is_ground, :3].any(), name)
                else:
                    expected = np.where(is_ground, dtype.max, 0)[..., np.newaxis]
                    self.assertAllEqual(pixels, expected.repeat(channels, axis=-1), name)
                path = pathlib.Path(self.get_temp_dir()) / "1.png"
                path.write_bytes(contents)
                self.assertEqual(images.inspect_image(path).channels % 2, 0, name)

    @parameterized.product(channels=(1, 3, 4), in_graph=(False, True))
    def test_large_pictures_change_channels_in_parts(self, channels, in_graph):
        files = [tf.constant(png_bytes(random_pixels(n, height=13, width=9))) for n in range(1, 5)]
        # 13 rows are then 4 parts of 3 and one row more; or parts of a row, which is too much.
        for at_once in (30,) if in_graph else (30, 1):
            decode = functools.partial(images.decode_pixels, channels=channels)
            whole = [decode(file) for file in files]
            with mock.patch.object(images, "_PIXELS_AT_ONCE", at_once):
                decode = tf.function(decode) if in_graph else decode
                for file, expected in zip(files, whole):
                    self.assertAllEqual(decode(file), expected)

    @parameterized.named_parameters(
        ("subsampled", "RGB", {"subsampling": 2}),
        ("not_subsampled", "RGB", {"subsampling": 0}),
        ("progressive", "RGB", {"progressive": True}),
        ("grey", "L", {}),
    )
    def test_jpeg_equals_pillow(self, mode, options):
        contents = save(smooth_picture().convert(mode), "JPEG", quality=90, **options)
        decoded = images.decode_pixels(contents, channels=len(mode))
        self.assertAllEqual(np.squeeze(decoded), np.asarray(Image.open(io.BytesIO(contents))))


class _FolderTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())

    def write(self, name: str, contents: bytes) -> pathlib.Path:
        path = self.folder / name
        path.write_bytes(contents)
        return path


class FileTest(_FolderTest):
    @parameterized.named_parameters(
        ("grey_png", png_bytes(random_pixels(1)), 1, 8),
        ("grey_alpha_png", png_bytes(random_pixels(2)), 2, 8),
        ("color_png", png_bytes(random_pixels(3)), 3, 8),
        ("color_alpha_png", png_bytes(random_pixels(4)), 4, 8),
        ("grey_png_16", png_bytes(random_pixels(1, np.uint16)), 1, 16),
        ("color_png_16", png_bytes(random_pixels(3, np.uint16)), 3, 16),
        ("color_alpha_png_16", png_bytes(random_pixels(4, np.uint16)), 4, 16),
        ("one_bit_png", save(Image.new("1", (9, 6)), "PNG"), 1, 1),
        ("palette_png", save(Image.new("P", (9, 6)), "PNG"), 3, 8),
        ("palette_alpha_png", save(Image.new("P", (9, 6)), "PNG", transparency=0), 4, 8),
        ("grey_jpeg", save(Image.new("L", (9, 6)), "JPEG"), 1, 8),
        ("color_jpeg", save(Image.new("RGB", (9, 6)), "JPEG"), 3, 8),
        ("cmyk_jpeg", save(Image.new("CMYK", (9, 6)), "JPEG"), 3, 8),
        ("color_bmp", save(Image.new("RGB", (9, 6)), "BMP"), 3, 8),
        ("grey_bmp", save(Image.new("L", (9, 6)), "BMP"), 1, 8),
        ("one_frame_gif", save(Image.new("RGB", (9, 6)), "GIF"), 3, 8),
    )
    def test_inspect(self, contents, channels, bits):
        # The contents decide, not the suffix: both decoders go by the first bytes.
        path = self.write("picture.png", contents)
        info = images.inspect_image(path)
        self.assertEqual(info, images.ImageInfo(width=9, height=6, channels=channels, bits=bits))
        self.assertEqual(images.read_pixels(path, channels=3).shape, (6, 9, 3))

    @parameterized.named_parameters(
        ("empty", b""),
        ("text", b"not a picture\n"),
        ("signature_only", b"\x89PNG\r\n\x1a\n"),
        ("half_a_header", png_bytes(random_pixels(3))[:20]),
        ("tiff", save(Image.new("RGB", (4, 4)), "TIFF"), "TIFF"),
        ("targa_of_another_name", save(Image.new("RGB", (4, 4)), "TGA"), "TGA"),
        ("too_large_by_a_row", png_header(8192, 8193) + chunk(b"IDAT", b""), images.MAX_PIXELS),
        ("where_pillow_warns", png_header(10_000, 10_000) + chunk(b"IDAT", b""), "pixels"),
        ("where_pillow_refuses", png_header(30_000, 30_000) + chunk(b"IDAT", b""), "pixels"),
    )
    def test_inspect_refuses_what_is_no_image(self, contents, shown=""):
        path = self.write("1.png", contents)
        with refused(path, shown):
            images.inspect_image(path)

    @parameterized.named_parameters(
        ("truncated_png", png_bytes(random_pixels(3))[:-40]),
        ("truncated_jpeg", save(smooth_picture(), "JPEG")[:-200]),
        ("palette_of_16_bits", hostile_files.png(9, 6, bytes(108), bits=16, colour=3)),
    )
    def test_read_refuses_damaged_files(self, contents):
        path = self.write("1.png", contents)
        with refused(path, f"{len(contents):,} bytes"):
            images.read_pixels(path, channels=3)

    @parameterized.named_parameters(("empty", b""), ("text", b"not a picture\n"))
    def test_read_refuses_what_is_no_image(self, contents):
        path = self.write("1.png", contents)
        with refused(path):
            images.read_pixels(path, channels=3)

    @parameterized.named_parameters(
        ("inspect", images.inspect_image),
        ("read", lambda path: images.read_pixels(path, channels=3)),
    )
    def test_missing_file(self, function):
        path = self.folder / "missing.png"
        with refused(path, kind=MissingInputError) as caught:
            function(path)
        self.assertIsInstance(caught.value, FileNotFoundError)

    def test_a_jpeg_of_very_many_scans_is_refused(self):
        """Each takes some bytes, and passes over all of the picture."""
        for count, is_read in ((images.MAX_SCANS - 1, True), (images.MAX_SCANS, False)):
            path = self.write("1.jpg", hostile_files.many_scans(count, width=64, height=32))
            if is_read:
                self.assertEqual(images.read_pixels(path, channels=3).shape, (32, 64, 3))
            else:
                with refused(path, "501", "500"):
                    images.read_pixels(path, channels=3)


class HeaderTest(_FolderTest):
    """What a file says beside its pixels."""

    @parameterized.named_parameters(
        ("packed_text", lambda long: chunk(b"zTXt", b"k\0\0" + zlib.compress(long))),
        ("plain_text", lambda long: chunk(b"tEXt", b"k\0" + 2 * long)),
        ("text_of_any_tongue", lambda long: chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(long))),
        ("profile", lambda long: chunk(b"iCCP", b"k\0\0" + zlib.compress(long))),
    )
    def test_a_png_beside_much_else_is_read(self, write):
        long = np.random.default_rng(0).integers(97, 123, 2**20 + 2**18, np.uint8).tobytes()
        pixels = random_pixels(3)
        whole = png_bytes(pixels)
        contents = whole[:33] + write(long) + whole[33:]
        path = self.write("1.png", contents)
        info = images.inspect_image(path)
        self.assertEqual((info.width, info.channels), (9, 3))
        self.assertEqual(info.has_other_colours, "profile" in self.id())
        self.assertAllEqual(images.read_pixels(path, channels=3), pixels)

    def test_an_animated_png_is_refused(self):
        frames = [Image.new("RGB", (9, 6), color) for color in ("red", "green", "blue")]
        contents = save(frames[0], "PNG", save_all=True, append_images=frames[1:])
        path = self.write("1.png", contents)
        with refused(path, "animated"):
            images.inspect_image(path)

    def test_a_png_that_is_not_upright_is_refused(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = self.write("1.png", save(Image.new("RGB", (9, 6)), "PNG", exif=exif))
        with refused(path, "orientation"):
            images.inspect_image(path)
        exif[0x0112] = 1
        self.write("1.png", save(Image.new("RGB", (9, 6)), "PNG", exif=exif))
        self.assertEqual(images.inspect_image(path).width, 9)

    @parameterized.parameters("JPEG", "PNG")
    def test_a_damaged_exif_is_passed_over(self, kind):
        cut = b"Exif\0\0MM\0*\0\0\0\x08\0\xff"
        path = self.write("1", save(Image.new("RGB", (9, 6)), kind, exif=cut))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.assertEqual(images.inspect_image(path).width, 9)

    def test_size_of_a_jpeg_is_that_of_the_picture_upright(self):
        exif = Image.Exif()
        for stated, size in ((1, (67, 45)), (3, (67, 45)), (6, (45, 67)), (8, (45, 67))):
            exif[0x0112] = stated
            path = self.write("1.jpg", save(smooth_picture(), "JPEG", exif=exif))
            info = images.inspect_image(path)
            self.assertEqual((info.width, info.height), size)
            self.assertEqual(images.read_pixels(path, channels=3).shape, (*size[::-1], 3))

    @parameterized.product(kind=("JPEG", "PNG"), description=("sRGB", "Display P3"))
    def test_colour_profiles_are_said_not_applied(self, kind, description):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        name = "sRGB".encode("utf-16-be")
        self.assertIn(name, profile)
        profile = profile.replace(name, description[:4].encode("utf-16-be"))
        path = self.write("1.png", save(smooth_picture(), kind, icc_profile=profile))
        plain = self.write("2.png", save(smooth_picture(), kind))
        infos = {x: images.inspect_image(x) for x in (path, plain)}
        self.assertFalse(infos[plain].has_other_colours)
        self.assertEqual(infos[path].has_other_colours, description != "sRGB")
        self.assertAllEqual(
            images.read_pixels(path, channels=3), images.read_pixels(plain, channels=3)
        )
        with mock.patch.object(images.logging, "warning") as warning:
            images.warn_of_colours(infos)
        self.assertEqual(warning.call_count, description != "sRGB")
        if warning.called:
            self.assertEqual(warning.call_args.args[1:], (1, 2, str(path)))


class ReadImageTest(_FolderTest):
    """Files as images in [-1, 1]."""

    @parameterized.named_parameters(("float64", "f8"), ("int32", "i4"), ("int16", "i2"))
    def test_a_range_is_mapped_and_what_lies_beyond_is_clipped(self, dtype):
        path = self.folder / "1.npy"
        np.save(path, np.array([[-40, -15, 10, 60, 61, -99]], dtype))
        image = images.read_image(path, channels=1, value_range=(-40.0, 60.0))
        self.assertAllClose(image[0, :, 0], [-1, -0.5, 0, 1, 1, -1], rtol=0, atol=1e-6)

    def test_a_range_that_most_values_miss_is_refused(self):
        path = self.folder / "1.npy"
        np.save(path, np.array([[0.5, 7.0, 8.0]]))
        with refused(path, "67%", "0,1", "0.5", "8"):
            images.read_image(path, channels=1, value_range=(0.0, 1.0))

    @parameterized.product(
        dtype=("uint8", "uint16", "float32"), value_range=((0.0, 100.0), (10.0, 250.0))
    )
    def test_writing_undoes_reading(self, dtype, value_range):
        path = self.folder / "1.npy"
        values = np.linspace(*value_range, 24).reshape(4, 6, 1).round().astype(dtype)
        np.save(path, values)
        image = images.read_image(path, channels=1, value_range=value_range)
        back = images.denormalize_image(image, dtype=tf.as_dtype(dtype), value_range=value_range)
        self.assertEqual(back.dtype, dtype)
        self.assertAllClose(back, values, rtol=0, atol=1e-4 if dtype == "float32" else 0)


class WriteTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(channels=(1, 2, 3, 4), dtype=(np.uint8, np.uint16))
    def test_png_is_lossless(self, channels, dtype):
        pixels = random_pixels(channels, dtype)
        contents = images.encode_image(pixels, ".PNG")
        self.assertAllEqual(tf.io.decode_png(contents, dtype=dtype), pixels)

    @parameterized.named_parameters(("grey", 1), ("color", 3), ("alpha", 4))
    def test_jpeg(self, channels):
        picture = smooth_picture()
        pixels = np.asarray(picture.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
        pixels = pixels.reshape(45, 67, channels)
        with Image.open(io.BytesIO(images.encode_image(pixels, ".JPG"))) as written:
            self.assertEqual(written.format, "JPEG")
            self.assertEqual(written.getbands(), ("L",) if channels == 1 else ("R", "G", "B"))
            difference = np.asarray(written, np.float32).reshape(45, 67, -1) - pixels[..., :3]
            tables = written.quantization
        self.assertLess(np.abs(difference).mean(), 4.0)
        with Image.open(io.BytesIO(save(picture, "JPEG", quality=95))) as same_quality:
            self.assertEqual(tables[0], same_quality.quantization[0])
