"""Tests of translating videos: frames, times, sizes, and what is refused."""

from __future__ import annotations

import fractions
import pathlib
import sys
from unittest import mock

import command_line
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized

av = pytest.importorskip("av")

from pix2pix_tf import translate  # noqa: E402
from pix2pix_tf.inference import translator, video  # noqa: E402

_LUMA = np.array([0.299, 0.587, 0.114])  # Of ITU-R BT.601, which the encoder goes by.
_RATE = fractions.Fraction(30000, 1001)


def write_video(path: pathlib.Path, frames: np.ndarray, *, times: list[int] | None = None) -> None:
    """Writes frames, uint8 `[count, height, width, 3]`; without loss, at times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=_RATE)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = "rgb24", {"crf": "0"}
        if times:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], fractions.Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_video(path: pathlib.Path) -> tuple[np.ndarray, list[float], fractions.Fraction]:
    """Returns frames, their times in seconds, and the rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        return pixels, [frame.time for frame in frames], stream.average_rate


class VideoTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = tiny_runs.shared_run()

    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.path, self.output = self.folder / "clip.mp4", self.folder / "out.mp4"
        random = np.random.RandomState(0)
        coarse = random.randint(0, 256, [2, 4, 4, 3]).astype(np.uint8)
        scenes = coarse.repeat(8, axis=1).repeat(8, axis=2)
        self.frames = scenes[[0, 0, 0, 1, 1, 1]]

    def translate(self, *flags: str):
        paths = (f"--input={self.path}", f"--output={self.output}")
        return command_line.run(translate, f"--model={self.run_folder}", *paths, *flags)

    def test_frames_times_and_size(self):
        write_video(self.path, self.frames)
        result = self.translate()
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("6 frames", result.stdout)
        pixels, times, rate = read_video(self.output)
        self.assertEqual(pixels.shape, self.frames.shape)
        self.assertEqual(rate, _RATE)
        self.assertAllClose(times, read_video(self.path)[1])
        # One noise: what stands still stays, but for what the encoder makes of it.
        translate = translator.load(self.run_folder).translate_pixels
        expected, other = (translate(self.frames[x]) @ _LUMA for x in (0, -1))
        for number in range(3):  # Of brightness: colours are kept at half the resolution.
            brightness = pixels[number] @ _LUMA
            distances = [np.abs(brightness - x).mean() for x in (expected, other)]
            self.assertLess(distances[0], 0.5 * distances[1])
        self.assertLess(np.abs(pixels[0].astype(float) - pixels[2]).mean(), 3)
        self.assertGreater(np.abs(pixels[0].astype(float) - pixels[3]).mean(), 6)

    def test_frames_that_are_not_evenly_spaced(self):
        write_video(self.path, self.frames, times=[0, 40, 200, 210, 500, 1000])
        self.assertEqual(self.translate().exit_code, 0)
        self.assertAllClose(read_video(self.output)[1], read_video(self.path)[1], atol=1e-3)
        self.assertAllClose(read_video(self.output)[1], [0, 0.04, 0.2, 0.21, 0.5, 1.0], atol=2e-3)

    def test_side_by_side(self):
        write_video(self.path, self.frames)
        self.assertEqual(self.translate("--side_by_side").exit_code, 0)
        pixels, _, _ = read_video(self.output)
        self.assertEqual(pixels.shape, (6, 32, 64, 3))
        self.assertLess(np.abs(pixels[:, :, :32].astype(float) - self.frames).mean(), 12)

    def test_odd_sizes(self):
        write_video(self.path, self.frames[:2, :31, :29])
        self.assertEqual(self.translate().exit_code, 0)
        self.assertEqual(read_video(self.output)[0].shape, (2, 31, 29, 3))

    def test_into_a_folder(self):
        write_video(self.path, self.frames[:1])
        self.output = self.folder / "results"
        self.assertEqual(self.translate().exit_code, 0)
        self.assertEqual(tiny_runs.names_in(self.output), ["clip.mp4"])

    def test_a_turned_frame_is_put_upright(self):
        frame = mock.Mock(rotation=-90)
        frame.to_ndarray.return_value = self.frames[0]
        expected = np.rot90(self.frames[0], -1)
        self.assertAllEqual(video._upright(frame, 3), expected)

    @parameterized.parameters(
        ("--samples=2", "samples"), ("--tile=64", "tile"), ("--keep_going", "keep_going")
    )
    def test_flags_of_pictures(self, flag, name):
        write_video(self.path, self.frames[:1])
        self.translate(flag).check_refused(name)

    def test_files_that_are_not_videos(self):
        self.path.write_bytes(b"no video")
        self.translate().check_refused(self.path)
        write_video(self.path, self.frames)
        contents = self.path.read_bytes()
        self.path.write_bytes(contents[: len(contents) // 2])
        self.translate().check_refused(self.path)
        self.path.unlink()
        self.translate().check_refused(self.path)
        self.assertEqual(tiny_runs.names_in(self.folder), [])

    def test_what_is_missing_is_told(self):
        write_video(self.path, self.frames[:1])
        with mock.patch.dict(sys.modules, {"av": None}):
            self.translate().check_refused("PyAV", "pip install")

    def test_the_input_itself(self):
        write_video(self.path, self.frames[:1])
        self.output = self.path
        self.translate().check_refused(self.path)
        self.output = self.folder / "out.webm"
        self.translate().check_refused("out.webm", ".mp4")

    def test_side_by_side_is_for_videos(self):
        self.path = self.folder
        self.translate("--side_by_side").check_refused("side_by_side")
