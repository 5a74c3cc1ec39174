"""Tests of `pix2pix_tf.data.picture_files`, by way of `images`, which everything else calls."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from hostile_files import exif, save
from PIL import Image
from refusals import refused

from pix2pix_tf.data import images

_RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
_GREY = _RGB[..., 0]
_ALPHA = np.dstack([_RGB, np.where(_GREY > 99, 255, 0).astype(np.uint8)])
_OVER_WHITE = np.where(_ALPHA[..., 3:] == 255, _RGB, 255).astype(np.uint8)
_PALETTE = Image.fromarray(_RGB).quantize(16)
_IN_PALETTE = np.asarray(_PALETTE.convert("RGB"))
# A binary file, whose rows begin at a byte; 12 bits in 16, where 4095 is white.
_BITS = b"P4 7 2\n" + bytes([0b10101010, 0b01010100])
_TWELVE_BITS = b"P5 3 1 4095\n" + np.array([0, 2048, 4095], ">u2").tobytes()


class PicturesTest(tf.test.TestCase, parameterized.TestCase):
    def write(self, name: str, contents: bytes) -> pathlib.Path:
        path = pathlib.Path(self.get_temp_dir()) / name
        path.write_bytes(contents)
        return path

    @parameterized.named_parameters(
        ("bmp", "1.bmp", save(_RGB, "BMP"), _RGB),
        ("bmp_palette", "1.bmp", save(_PALETTE, "BMP"), _IN_PALETTE),
        # Of 32 bits the last 8 mean nothing in a BMP without masks.
        ("bmp_32_bits", "1.bmp", save(_ALPHA, "BMP"), _RGB),
        ("gif", "1.gif", save(_PALETTE, "GIF"), _IN_PALETTE),
        ("gif_of_another_name", "1.png", save(_PALETTE, "GIF"), _IN_PALETTE),
        ("webp", "1.webp", save(_RGB, "WEBP", lossless=True), _RGB),
        ("webp_alpha", "1.webp", save(_ALPHA, "WEBP", lossless=True, exact=True), _OVER_WHITE),
        ("ppm", "1.ppm", save(_RGB, "PPM"), _RGB),
        ("pgm", "1.pgm", save(_GREY, "PPM"), _GREY[..., np.newaxis]),
        ("pgm_plain", "1.pgm", b"P2 2 1 255\n7 255\n", [[[7], [255]]]),
        ("pbm", "1.pbm", _BITS, [[[0], [255]] * 3 + [[0]], [[255], [0]] * 3 + [[255]]]),
        ("tga", "1.TGA", save(_ALPHA, "TGA"), _OVER_WHITE),
        ("png_of_another_name", "1.gif", save(_RGB, "PNG"), _RGB),
    )
    def test_pixels(self, name, contents, expected):
        path, expected = self.write(name, contents), np.asarray(expected, np.uint8)
        info = images.inspect_image(path)
        self.assertEqual((info.width, info.height, info.bits), (*expected.shape[1::-1], 8))
        channels = expected.shape[-1]
        self.assertEqual(channels, min(info.channels, 3))
        for dtype, scale in ((tf.uint8, 1), (tf.uint16, 257)):
            pixels = images.read_pixels(path, channels=channels, dtype=dtype)
            self.assertAllEqual(pixels, expected.astype(np.int32) * scale)

    def test_alpha(self):
        path = self.write("1.webp", save(_ALPHA, "WEBP", lossless=True, exact=True))
        self.assertAllEqual(images.read_pixels(path, channels=4), _ALPHA)

    def test_twelve_bits(self):
        path = self.write("1.pgm", _TWELVE_BITS)
        self.assertEqual(images.inspect_image(path).bits, 16)
        pixels = images.read_pixels(path, channels=1, dtype=tf.uint16)
        self.assertAllEqual(np.squeeze(pixels), [0, 32776, 65535])
        self.assertAllEqual(np.squeeze(images.read_pixels(path, channels=1)), [0, 128, 255])

    @parameterized.named_parameters(
        ("gif", "1.gif", save(_PALETTE, "GIF", save_all=True,
                              append_images=[Image.fromarray(255 - _RGB)]), "animated"),
        ("webp", "1.webp", save(_PALETTE, "WEBP", save_all=True,
                                append_images=[Image.fromarray(255 - _RGB)]), "animated"),
        ("webp_turned", "1.webp", save(_RGB, "WEBP", exif=exif(6)), "orientation"),
        ("ppm_of_16_bits", "1.ppm", b"P6 1 1 65535\n123456", "16 bits"),
        ("fractions", "1.pnm", b"Pf\n1 1\n-1.0\n1234", "fractions"),
        ("photo_of_a_phone", "1.jpg", b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
        ("too_large", "1.pgm", b"P5 8192 8193 255\n", str(images.MAX_PIXELS)),
    )  # fmt: skip
    def test_refused_by_the_header(self, name, contents, shown):
        path = self.write(name, contents)
        with refused(path, shown):
            images.inspect_image(path)
        if "turned" not in self.id():
            with refused(path, shown):
                images.read_pixels(path, channels=3)

    @parameterized.parameters("BMP", "GIF", "WEBP", "PPM", "TGA")
    def test_truncated(self, kind):
        contents = save(np.random.default_rng(1).integers(0, 256, (99, 99, 3), np.uint8), kind)
        path = self.write(f"1.{kind.lower()}", contents[: len(contents) // 2])
        with refused(path):
            images.read_pixels(path, channels=3)
