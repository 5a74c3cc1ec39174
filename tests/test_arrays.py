"""Tests of `pix2pix_tf.data.arrays`: NumPy and TIFF files of any channels and types."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from unittest import mock

import numpy as np
import tensorflow as tf
import tifffile
from absl.testing import parameterized
from PIL import Image
from refusals import refused

from pix2pix_tf.data import arrays


def random_values(*shape: int, dtype="float32") -> np.ndarray:
    """Returns values all over an integer type, or around zero."""
    random = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return random.normal(0.0, 50.0, shape).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype, endpoint=True)


class _FolderTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())

    def save(self, name: str, values: np.ndarray) -> pathlib.Path:
        path = self.folder / name
        np.save(path, values)
        return path

    def assert_refused(self, path: pathlib.Path, *shown) -> None:
        for function in (arrays.inspect, arrays.read):
            with refused(f"'{path}'", *shown):
                function(path)


@dataclasses.dataclass
class _Harm:
    """Makes a folder where it is unpickled."""

    folder: pathlib.Path

    def __reduce__(self):
        return os.mkdir, (self.folder,)


class NpyTest(_FolderTest):
    @parameterized.product(
        dtype=("uint8", "uint16", "int16", "float16", "float32", "float64"), channels=(1, 5, 16)
    )
    def test_values_are_those_of_the_file(self, dtype, channels):
        values = random_values(4, 7, channels, dtype=dtype)
        path = self.save("1.npy", values)
        self.assertEqual(arrays.inspect(path), ((4, 7, channels), np.dtype(dtype)))
        read = arrays.read(path)
        self.assertEqual(read.dtype, np.dtype(dtype))
        self.assertAllEqual(read, values)

    @parameterized.named_parameters(
        ("one_axis", np.zeros(5, "f4"), "(5,)"),
        ("four_axes", np.zeros((1, 4, 4, 3), "f4"), "(1, 4, 4, 3)"),
        ("complex", np.zeros((4, 4), "c8"), "complex64"),
        ("bool", np.zeros((4, 4), "?"), "bool"),
        ("text", np.full((4, 4), "a"), "<U1"),
        ("no_rows", np.zeros((0, 4, 3), "f4"), ""),
    )
    def test_refuses_what_is_no_picture(self, values, shown):
        self.assert_refused(self.save("1.npy", values), shown)

    @parameterized.named_parameters(("nan", np.nan), ("inf", np.inf), ("minus_inf", -np.inf))
    def test_refuses_values_that_are_no_numbers(self, value):
        values = random_values(4, 7, 2)
        values[1, 2, 0] = values[3, 3, 1] = value
        path = self.save("1.npy", values)
        with refused(path, "2 of 56 values", "NaN"):
            arrays.read(path)

    def test_refuses_what_is_another_form_with_the_way_to_save_it(self):
        self.assert_refused(self.save("1.npy", random_values(3, 20, 24)), "moveaxis(x, 0, -1)")
        self.assert_refused(self.save("1.npy", np.zeros((4, 4), "?")), "255 * x.astype('uint8')")

    def test_refuses_pickles_unread_and_archives(self):
        path = self.folder / "1.npy"
        harm = _Harm(self.folder / "unpickled")
        np.save(path, np.array([[harm, 1]], object), allow_pickle=True)
        self.assert_refused(path)
        self.assertFalse(harm.folder.exists())
        with path.open("wb") as file:
            np.savez(file, a=np.zeros((4, 4)))
        self.assert_refused(path)

    def test_more_values_than_are_read(self):
        path = self.save("1.npy", random_values(4, 7, 2))
        with mock.patch.object(arrays, "MAX_VALUES", 55):
            self.assert_refused(path, "(4, 7, 2)", "55")
        with mock.patch.object(arrays, "MAX_VALUES", 56):
            arrays.read(path)


class TiffTest(_FolderTest):
    def write(self, values: np.ndarray, **options) -> pathlib.Path:
        path = self.folder / "1.TIF"
        tifffile.imwrite(path, values, **{"photometric": "minisblack", **options})
        return path

    @parameterized.product(dtype=("uint8", "int16", "float32"), channels=(1, 2, 5))
    def test_the_layouts(self, dtype, channels):
        values = random_values(20, 24, channels, dtype=dtype)
        planes = np.moveaxis(values, -1, 0)
        layouts = dict(
            together=(values, dict(planarconfig="contig")),
            planes=(planes, dict(planarconfig="separate")),
            pages=(planes, dict(metadata=None)),
            compressed=(values, dict(planarconfig="contig", compression="zlib")),
            tiled=(values, dict(planarconfig="contig", tile=(16, 16))),
        )
        for name, (stored, options) in layouts.items():
            if channels == 1:
                stored, options = values[..., 0], {**options, "planarconfig": None}
            path = self.write(stored, **options)
            self.assertEqual(arrays.inspect(path), ((20, 24, channels), np.dtype(dtype)), msg=name)
            self.assertAllEqual(arrays.read(path), values, msg=name)

    @parameterized.named_parameters(
        ("lzw", "uint8", dict(compression="lzw")),
        ("lzw_differences", "uint16", dict(compression="lzw", predictor=True)),
        ("float_predictor", "float32", dict(compression="zlib", predictor=3)),
        ("zstd", "int16", dict(compression="zstd")),
    )
    def test_compressions(self, dtype, options):
        values = random_values(20, 24, 3, dtype=dtype)
        path = self.write(values, planarconfig="contig", **options)
        self.assertAllEqual(arrays.read(path), values)
        # As it is where the package is not installed.
        failure = ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")
        with mock.patch.object(tifffile.TiffPageSeries, "asarray", side_effect=failure):
            with refused(path, "COMPRESSION.LZW", "pip install imagecodecs", "without compression"):
                arrays.read(path)

    @parameterized.parameters("rgb", "minisblack")
    def test_jpeg(self, photometric):
        """With colours, tifffile stores them as YCbCr."""
        values = np.full((20, 24, 3), (200, 100, 50), "u1")
        values = values if photometric == "rgb" else values[..., 0]
        path = self.write(values, compression="jpeg", photometric=photometric)
        read = arrays.read(path)
        self.assertAllClose(read, values.reshape(read.shape), rtol=0, atol=2)
        # The header of the file is that of a small picture, still.
        contents = path.read_bytes()
        frame = contents.index(b"\xff\xc0") + 5
        large = (60_000).to_bytes(2, "big") * 2
        path.write_bytes(contents[:frame] + large + contents[frame + 4 :])
        with refused(path, "60000x60000"):
            arrays.read(path)

    def test_refuses_other_compressions(self):
        path = self.write(random_values(20, 24, dtype="uint8"), compression="png")
        self.assert_refused(path, "PNG", "deflate")

    @parameterized.named_parameters(
        ("channels", "CYX", 4), ("slices", "ZYX", 5), ("one_slice_of_two", "ZCYX", 1, 2)
    )
    def test_pictures_of_imagej(self, axes, *sizes):
        values = random_values(*sizes, 20, 24, dtype="uint16")
        path = self.write(values, imagej=True, metadata=dict(axes=axes))
        self.assertAllEqual(arrays.read(path), np.moveaxis(values.reshape(-1, 20, 24), 0, -1))

    @parameterized.named_parameters(
        ("times", "TYX", (4,), "4 times"), ("all", "TZCYX", (2, 3, 4), "2 times, 3 slices, 4 chan")
    )
    def test_refuses_stacks_of_imagej(self, axes, sizes, shown):
        values = random_values(*sizes, 20, 24, dtype="uint16")
        self.assert_refused(self.write(values, imagej=True, metadata=dict(axes=axes)), shown)

    def test_refuses_values_that_are_no_brightnesses(self):
        values = random_values(20, 24, 4, dtype="uint8")
        self.assert_refused(self.write(values[..., 0], photometric="miniswhite"), "MINISWHITE")
        self.assert_refused(self.write(values, photometric="separated"), "SEPARATED")
        path = self.folder / "1.tif"
        Image.new("P", (24, 20)).save(path)
        self.assert_refused(path, "PALETTE", "Save it as RGB or grey")

    def test_refuses_pages_that_are_no_channels(self):
        self.assert_refused(self.write(random_values(2, 3, 20, 24)), "pages")

    def test_reads_no_other_file_that_is_named_inside(self):
        values = random_values(20, 24, dtype="uint8")
        other, path = self.folder / "other.ome.tif", self.folder / "1.ome.tif"
        tifffile.imwrite(other, np.zeros_like(values))
        tifffile.imwrite(path, values)
        with tifffile.TiffFile(path) as file:
            text = file.ome_metadata
        named = '<TiffData><UUID FileName="other.ome.tif">urn:uuid:1</UUID></TiffData>'
        text = re.sub(r"<TiffData.*(/>|</TiffData>)", named, text)
        self.assertIn(named, text)
        tifffile.imwrite(path, values, ome=False, description=text, metadata=None)
        self.assertAllEqual(arrays.read(path)[..., 0], values)


class EncodeTest(_FolderTest):
    @parameterized.product(
        suffix=(".npy", ".TIFF"), dtype=("uint8", "uint16", "float32"), channels=(1, 2, 4, 16)
    )
    def test_is_read_back(self, suffix, dtype, channels):
        values = random_values(20, 24, channels, dtype=dtype)
        path = self.folder / f"1{suffix}"
        path.write_bytes(arrays.encode(values, suffix))
        read = arrays.read(path)
        self.assertEqual(read.dtype, np.dtype(dtype))
        self.assertAllEqual(read, values)
