"""Folders of tiny pictures, in pairs."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf.data import pairs

LEFT, RIGHT = (200, 30, 60), (10, 120, 240)


def picture(color=LEFT, *, width: int = 6, height: int = 4, mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (width, height), color).convert(mode)


def aligned(left=LEFT, right=RIGHT, *, width: int = 6, height: int = 4) -> Image.Image:
    """Returns two pictures side by side."""
    both = picture(left, width=2 * width, height=height)
    both.paste(right, (width, 0, 2 * width, height))
    return both


class FolderTest(tf.test.TestCase, parameterized.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir()) / "data"
        self.folder.mkdir()

    def save(self, name: str, content: Image.Image | bytes) -> pathlib.Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path)
        return path

    def open(self, split: str = "train", **channels) -> pairs.PairSource:
        return pairs.open_pairs(str(self.folder), split, **channels)
