"""Tests of `pix2pix_tf.data.untrusted`: what is decoded, what is refused, and by which words."""

from __future__ import annotations

import io
import struct

import hostile_files
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf.data import images, untrusted


def encode(kind: str, *, width: int = 20, height: int = 10, mode: str = "RGB") -> bytes:
    """Returns an image file of noise."""
    random = np.random.RandomState(0)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = random.randint(0, 256, (height, width, channels)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(buffer, kind)
    return buffer.getvalue()


def claim_size(width: int, height: int) -> bytes:
    """Returns a PNG whose header claims a size that its data has not; the checksum is right."""
    return hostile_files.png_header(width, height) + encode("png")[33:]


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def decode_batch(files):
    """Returns the sizes of a batch, decoded as the `encoded` signature does."""

    def decode(file, index):
        pixels = untrusted.decode_checked(file, index, channels=3, multiple=32, max_pixels=2**14)
        return tf.shape(pixels)

    return tf.map_fn(
        lambda x: decode(*x),
        (files, tf.range(tf.size(files))),
        fn_output_signature=tf.TensorSpec([3], tf.int32),
    )


class DecodeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 3)
    def test_pixels_are_those_of_any_other_reader(self, channels):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def decode(file):
            return untrusted.decode_checked(
                file, tf.constant(0), channels=channels, multiple=32, max_pixels=2**14
            )

        for kind in ("png", "jpeg"):
            for mode in ("RGB", "L"):
                file = tf.constant(encode(kind, mode=mode))
                expected = images.decode_pixels(file, channels=channels, dtype=tf.uint16)
                self.assertAllEqual(decode(file), expected)

    def test_the_limit_counts_what_padding_adds(self):
        # 2**14 pixels are four rows of four blocks, or one row of sixteen.
        for width, height in ((128, 128), (97, 97), (512, 1), (512, 32), (1, 512)):
            self.assertAllEqual(
                decode_batch([encode("png", width=width, height=height)])[0], [height, width, 3]
            )
        for width, height in ((129, 128), (128, 129), (513, 1), (1, 513), (512, 33)):
            kind = "png" if width % 2 else "jpeg"
            self.assert_refused(
                encode(kind, width=width, height=height),
                f"[has] [{width}] [x] [{height}] [pixels]",
            )

    def assert_refused(self, file: bytes, expected: str) -> None:
        with self.assertRaises(tf.errors.InvalidArgumentError) as caught:
            decode_batch([encode("png"), file])
        self.assertIn(f"[image 1 of the batch] {expected}", str(caught.exception))

    @parameterized.named_parameters(
        ("large", 50_000, 50_000), ("largest", 2**31 - 1, 2**31 - 1), ("long", 2**31 - 1, 1)
    )
    def test_a_bomb_is_refused_by_its_header(self, width, height):
        self.assert_refused(claim_size(width, height), f"[has] [{width}] [x] [{height}] [pixels]")

    @parameterized.parameters(b"aaAa", b"tEXt")
    def test_a_bomb_behind_a_small_size_that_is_none(self, name):
        # Its first chunk, which a decoder passes over, looks like a header of 8 x 8 pixels.
        decoy = hostile_files.chunk(name, struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
        large = encode("png", width=600, height=600)
        self.assert_refused(large[:8] + decoy + large[8:], "[is neither a PNG nor a JPEG file]")

    def test_a_jpeg_of_very_many_scans(self):
        most = images.MAX_SCANS - 1  # Beside the first one.
        file = hostile_files.many_scans(most, width=64, height=32)
        self.assertAllEqual(decode_batch([file]), [[32, 64, 3]])
        file = hostile_files.many_scans(most + 1, width=64, height=32)
        self.assert_refused(file, "[has] [501] [scans; the limit is 500]")

    @parameterized.named_parameters(
        ("text", b"hello"),
        ("nothing", b""),
        ("gif", encode("gif", mode="L")),
        ("bmp", encode("bmp")),
        ("half_a_png_header", encode("png")[:20]),
    )
    def test_other_files(self, file):
        self.assert_refused(file, "[is neither a PNG nor a JPEG file]")

    @parameterized.named_parameters(
        ("png", encode("png")[:-20]),
        ("png_header_alone", encode("png")[:24]),
        ("png_without_width", claim_size(0, 5)),
        ("png_of_another_size", claim_size(21, 10)),
        ("jpeg", encode("jpeg")[:400]),
        ("jpeg_header", encode("jpeg")[:5]),
        ("jpeg_without_size", encode("jpeg")[:160]),
    )
    def test_damaged_files(self, file):
        self.assert_refused(file, "[cannot be decoded: it is truncated or damaged]")
