"""Tests of `pix2pix_tf.data.orientation`, against Pillow."""

from __future__ import annotations

import io
import struct
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image, ImageOps

from pix2pix_tf.data import images, orientation


def jpeg(stated: int | None = None, **options) -> bytes:
    """Returns a JPEG of 24x16 pixels, no two of whose turns are alike."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "A camera"  # An entry before the orientation's.
    if stated is not None:
        exif[0x0112] = stated
    buffer = io.BytesIO()
    Image.fromarray(coarse.repeat(4, 0).repeat(4, 1)).save(
        buffer, "JPEG", **{"exif": exif, **options}
    )
    return buffer.getvalue()


def little_endian(stated: int) -> bytes:
    """Returns a JPEG whose Exif is little-endian; Pillow writes big-endian."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, stated, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    plain = jpeg(exif=b"")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def decode_in_graph(contents):
    return images.decode_pixels(contents, channels=3)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def of_jpeg_in_graph(contents):
    return orientation.of_jpeg(contents)


class OrientationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*((stated, jpeg) for stated in range(1, 9)), (6, little_endian))
    def test_equals_pillow(self, stated, write):
        contents = write(stated)
        self.assertEqual(orientation.of_jpeg(tf.constant(contents)), stated)
        with Image.open(io.BytesIO(contents)) as picture:
            expected = np.asarray(ImageOps.exif_transpose(picture))
        self.assertAllEqual(images.decode_pixels(contents, channels=3), expected)
        self.assertAllEqual(decode_in_graph(contents), expected)

    @parameterized.named_parameters(
        ("no_exif", jpeg(exif=b"")),
        ("exif_without_it", jpeg()),
        ("zero", jpeg(0)),
        ("nine", jpeg(9)),
        ("empty", b""),
        ("header_alone", jpeg(6)[:4]),
        ("cut_in_exif", jpeg(6)[:14]),
    )
    def test_all_else_is_upright(self, contents):
        self.assertEqual(orientation.of_jpeg(tf.constant(contents)), 1)
        self.assertEqual(of_jpeg_in_graph(contents), 1)

    def test_no_operations_where_there_is_no_exif(self):
        with mock.patch.object(orientation, "_of_head", side_effect=AssertionError):
            self.assertEqual(orientation.of_jpeg(tf.constant(jpeg(exif=b""))), 1)

    def test_exif_after_other_segments(self):
        comment = b"\xff\xfe" + struct.pack(">H", 1002) + b"Exif".ljust(1000, b"x")
        contents = jpeg(8)
        contents = contents[:2] + comment + contents[2:]
        self.assertEqual(orientation.of_jpeg(tf.constant(contents)), 8)
