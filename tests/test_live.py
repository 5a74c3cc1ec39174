"""Tests of the picture that a notebook shows while a run trains."""

from __future__ import annotations

import io
import types
from unittest import mock

import IPython.display
import numpy as np
import pytest
from PIL import Image

from pix2pix_tf import grids
from pix2pix_tf.training import reports
from pix2pix_tf.training.live import LivePicture


@pytest.fixture
def display():
    with mock.patch.object(IPython.display, "display") as shown:
        yield shown


def make_event(workdir, step, *, at_samples):
    """Returns what the action asks of an event, its grid and metrics written as in a run."""
    reports.append_metrics(workdir, dict(step=step, l1_loss=0.5))
    if at_samples:
        reports.write_sample_grid(workdir, step, np.full([90, 30, 3], 10 * step, np.uint8))
    config = types.SimpleNamespace(gan_loss="none")
    return types.SimpleNamespace(workdir=workdir, step=step, at_samples=at_samples, config=config)


def pixels_of(image: IPython.display.Image) -> np.ndarray:
    with Image.open(io.BytesIO(image.data)) as picture:
        return np.asarray(picture)


class TestLivePicture:
    def test_replaces_what_it_has_shown(self, tmp_path, display):
        show = LivePicture()
        for step, at_samples in ((1, False), (2, True), (3, False), (4, True)):
            show(make_event(tmp_path, step, at_samples=at_samples))
        (first,) = display.call_args.args
        display.assert_called_once_with(first, display_id=True)
        (second,) = display.return_value.update.call_args.args
        display.return_value.update.assert_called_once()
        for picture, step in ((first, 2), (second, 4)):
            pixels = pixels_of(picture)
            assert len(pixels) == 90  # The grid is the lower one.
            assert (pixels[:, :30] == 10 * step).all()
            assert len(np.unique(pixels[:, 34:])) > 2  # Curves beside it.

    def test_each_run_has_its_own(self, tmp_path, display):
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            LivePicture()(make_event(tmp_path / folder, 1, at_samples=True))
        assert display.call_count == 2
        display.return_value.update.assert_not_called()


def test_side_by_side_scales_to_the_lowest(tmp_path):
    paths = []
    for name, size, color in (("a", (40, 20), "red"), ("b", (30, 60), "blue")):
        paths.append(tmp_path / f"{name}.png")
        Image.new("RGB", size, color).save(paths[-1])
    with Image.open(io.BytesIO(grids.side_by_side(paths))) as picture:
        assert picture.size == (40 + 4 + 10, 20)
        assert picture.getpixel((0, 0)) == (255, 0, 0)
        assert picture.getpixel((53, 19)) == (0, 0, 255)
        assert picture.getpixel((41, 0)) == (255, 255, 255)
