r"""Properties of everything that decodes files, for Hypothesis to find exceptions to.

    FUZZ_SECONDS=600 python tests/fuzz_decoders.py

Whatever the bytes are, what comes is a picture of the right form, or the one error that is
meant for it. The bytes are those of whole files, damaged; the checksums of a damaged PNG are
mended half of the time, so that the damage gets past them.
"""

from __future__ import annotations

import faulthandler
import os
import pathlib
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable

import hostile_files
import hypothesis
import numpy as np
import tensorflow as tf
from hypothesis import strategies

from pix2pix_tf.data import arrays, images, untrusted
from pix2pix_tf.errors import InputError

_WHOLE = hostile_files.whole_files(np.random.default_rng(0))
_ARRAYS = [name for name in _WHOLE if name.endswith((".npy", ".tif", ".tiff"))]
_PICTURES = [name for name in _WHOLE if name not in _ARRAYS]
_MAX_PIXELS, _MULTIPLE = 2**14, 32  # Of what strangers send.
_SECONDS_A_FILE = 120  # They take milliseconds; more than this is a hang.


@strategies.composite
def damaged(draw, names: list[str]) -> tuple[str, bytes]:
    """Returns a suffix, and contents of that kind in which up to three places are damaged."""
    name = draw(strategies.sampled_from(names))
    contents = bytearray(_WHOLE[name])
    for _ in range(draw(strategies.integers(0, 3))):
        _damage(draw, contents, names)
    if name.endswith(".png") and draw(strategies.booleans()):
        _mend_checksums(contents)
    return pathlib.Path(name).suffix, bytes(contents)


def _damage(draw, contents: bytearray, names: list[str]) -> None:
    """Changes one place of a file."""
    # Headers are short, and matter most.
    end = len(contents) if draw(strategies.booleans()) else min(len(contents), 200)
    start = draw(strategies.integers(0, end))
    how = draw(strategies.sampled_from(("flip", "number", "bytes", "cut", "leave out", "other")))
    if how == "flip" and start < len(contents):
        contents[start] ^= 1 << draw(strategies.integers(0, 7))
    elif how == "number":  # One at which sizes overflow.
        value = draw(strategies.sampled_from((0, 1, 2**7, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1)))
        form = draw(strategies.sampled_from(("<I", ">I", "<H", ">H")))
        data = struct.pack(form, value % 2 ** (8 * struct.calcsize(form)))
        contents[start : start + len(data)] = data
    elif how == "bytes":
        contents[start:start] = draw(strategies.binary(max_size=40))
    elif how == "cut":
        del contents[start:]
    elif how == "leave out":
        del contents[start : start + draw(strategies.integers(1, 40))]
    elif how == "other":  # A part of another file.
        other = _WHOLE[draw(strategies.sampled_from(names))]
        first = draw(strategies.integers(0, len(other)))
        contents[start:start] = other[first : first + draw(strategies.integers(1, 300))]


def _mend_checksums(contents: bytearray) -> None:
    position = len(hostile_files.PNG_SIGNATURE)
    while position + 12 <= len(contents):
        (length,) = struct.unpack_from(">I", contents, position)
        end = position + 8 + length
        if end + 4 > len(contents):
            return
        struct.pack_into(">I", contents, end, zlib.crc32(contents[position + 4 : end]))
        position = end + 4


any_file = strategies.one_of(
    damaged(_PICTURES),
    damaged(_PICTURES),
    damaged(_ARRAYS),
    strategies.tuples(
        strategies.sampled_from(images.IMAGE_SUFFIXES), strategies.binary(max_size=200)
    ),
)
picture_channels = strategies.sampled_from((1, 3, 4))
value_ranges = strategies.sampled_from((None, (0.0, 255.0), (0.0, 1.0)))


class Properties:
    """The properties; each takes drawn arguments and raises AssertionError if it does not hold."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        # How many files were read and how many refused, by property.
        self.counts: dict[tuple[str, str], int] = {}
        self._decode_checked = tf.function(
            self._decode_checked, input_signature=[tf.TensorSpec([], tf.string)]
        )

    def all(self) -> dict[str, Callable]:
        """Returns the properties by name, each with the arguments that it is to be given."""
        return {
            "read_image": hypothesis.given(any_file, picture_channels, value_ranges)(
                self.read_image
            ),
            "decode_pixels": hypothesis.given(
                any_file, picture_channels, strategies.sampled_from((tf.uint8, tf.uint16))
            )(self.decode_pixels),
            "decode_checked": hypothesis.given(any_file)(self.decode_checked),
            "read_array": hypothesis.given(damaged(_ARRAYS))(self.read_array),
        }

    def read_image(self, file, channels, value_range) -> None:
        """Any file becomes an image of the size that its header states, or an InputError."""
        path = self._write(file)
        try:
            image = images.read_image(path, channels=channels, value_range=value_range)
        except InputError as error:
            self._count("read_image", "refused")
            assert str(path) in str(error), error
            return
        self._count("read_image", "read")
        info = images.inspect_image(path)
        assert image.shape == (info.height, info.width, channels), (image.shape, info)
        assert image.dtype == np.float32 and image.size > 0
        # Written so that NaN fails.
        assert image.min() >= -1 and image.max() <= 1, (image.min(), image.max())

    def decode_pixels(self, file, channels, dtype) -> None:
        """Any bytes become pixels, or an InvalidArgumentError."""
        try:
            pixels = images.decode_pixels(tf.constant(file[1]), channels=channels, dtype=dtype)
        except tf.errors.InvalidArgumentError:
            self._count("decode_pixels", "refused")
            return
        self._count("decode_pixels", "read")
        assert pixels.dtype == dtype and pixels.shape[2] == channels and pixels.shape.rank == 3

    def decode_checked(self, file) -> None:
        """What a stranger sends becomes no more pixels than are allowed, or is refused by name."""
        try:
            pixels = self._decode_checked(tf.constant(file[1]))
        except tf.errors.InvalidArgumentError as error:
            self._count("decode_checked", "refused")
            assert "image 7 of the batch" in str(error), error
            return
        self._count("decode_checked", "read")
        height, width, _ = pixels.shape
        assert pixels.dtype == tf.uint16 and 0 < height * width <= _MAX_PIXELS, pixels.shape

    @staticmethod
    def _decode_checked(contents: tf.Tensor) -> tf.Tensor:
        return untrusted.decode_checked(
            contents, tf.constant(7), channels=3, multiple=_MULTIPLE, max_pixels=_MAX_PIXELS
        )

    def read_array(self, file) -> None:
        """Any file becomes finite numbers of the shape that its header states, or an InputError."""
        path = self._write(file)
        try:
            values = arrays.read(path)
        except InputError as error:
            self._count("read_array", "refused")
            assert str(path) in str(error), error
            return
        self._count("read_array", "read")
        assert (values.shape, values.dtype.itemsize) == (
            arrays.inspect(path)[0],
            arrays.inspect(path)[1].itemsize,
        )
        assert values.size > 0 and np.isfinite(values).all()

    def _write(self, file: tuple[str, bytes]) -> pathlib.Path:
        suffix, contents = file
        path = self._folder / f"file{suffix}"
        path.write_bytes(contents)
        # Of a file that takes longer the process says where it is, and ends; the file stays.
        faulthandler.dump_traceback_later(_SECONDS_A_FILE, exit=True)
        return path

    def _count(self, name: str, outcome: str) -> None:
        self.counts[name, outcome] = self.counts.get((name, outcome), 0) + 1


def run(properties: Properties, *, seed: int, num_examples: int) -> None:
    """Gives each property so many files; what one of them raises is raised, with the file."""
    settings = hypothesis.settings(
        max_examples=num_examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for check in properties.all().values():
        try:
            hypothesis.seed(seed)(settings(check))()
        finally:
            faulthandler.cancel_dump_traceback_later()


def main() -> None:
    """Runs rounds until FUZZ_SECONDS have passed, with other files in each."""
    deadline = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "600"))
    with tempfile.TemporaryDirectory(prefix="pix2pix_tf_") as folder:
        properties = Properties(pathlib.Path(folder))
        # Of the clock, so that every night tries other files; a failure prints its own.
        first_seed = seed = int(time.time())
        while time.monotonic() < deadline:
            run(properties, seed=seed, num_examples=100)
            seed += 1
    print(f"{seed - first_seed} rounds from seed {first_seed}: {properties.counts}, lost: 0")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
