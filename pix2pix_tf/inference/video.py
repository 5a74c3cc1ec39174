"""Translating a video, frame by frame, with PyAV (the extra `video`).

All frames get the same noise, which therefore does not flicker; each is translated by itself. Frame
times are those of the video; sound is left out.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.errors import InputError, MissingInputError, first_line

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
WRITTEN_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")  # That hold H.264.
INSTALL = "pip install 'av>=13', or the extra [video] of this package"
_QUALITY = "18"  # x264's constant rate factor; 18 is hard to tell from the original.


def is_video(path: pathlib.Path) -> bool:
    """Returns whether a file is a video, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def translate_video(
    path: pathlib.Path,
    output: pathlib.Path,
    translate: Callable[[np.ndarray], np.ndarray],
    *,
    channels: int = 3,
    side_by_side: bool = False,
    track: Callable[..., Iterable] = lambda frames, total: frames,
) -> int:
    """Writes the translation of a video, whole or not at all.

    Args:
        path: The video.
        output: The file to write, H.264 in a container of `WRITTEN_SUFFIXES`.
        translate: From a frame, uint8 `[height, width, channels]`, to a picture of the same
            height and width, uint8 `[height, width, 1 or 3]`.
        channels: What frames are read as: 1, grey, or 3.
        side_by_side: Whether to show the frame at the left of its translation.
        track: Called with the frames and their number, None if unknown; gives the frames.

    Returns:
        The number of frames.

    Raises:
        MissingInputError: If PyAV is not installed, or there is no such video.
        InputError: If the video cannot be read, or its frames change size.
        WriteError: If it cannot be written; nothing is left of it then.
    """
    try:
        import av
    except ImportError:
        raise MissingInputError(f"There is no PyAV, which reads videos. Run: {INSTALL}.") from None
    files.require_file(path)
    place = dict(dir=output.parent, prefix=f".{output.name}.")
    with files.writing(output), tempfile.TemporaryDirectory(**place) as folder:
        unfinished = pathlib.Path(folder, output.name)
        try:
            count = _convert(av, path, unfinished, translate, channels, side_by_side, track)
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise InputError(
                f"'{path}' cannot be translated as a video ({first_line(error)}). Convert it "
                "first: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4"
            ) from None
        os.replace(unfinished, output)
    return count


def _convert(av, path, output, translate, channels, side_by_side, track) -> int:
    count = 0
    with av.open(os.fspath(path)) as source, av.open(os.fspath(output), "w") as target:
        if not source.streams.video:
            raise InputError(f"'{path}' does not have a video stream. Pass a video.")
        stream, encoder = source.streams.video[0], None
        stream.thread_type = "AUTO"
        for frame in track(source.decode(stream), total=stream.frames or None):
            pixels = _upright(frame, channels)
            picture = _in_colour(translate(pixels))
            if side_by_side:
                picture = np.concatenate([_in_colour(pixels), picture], axis=1)
            if encoder is None:
                encoder = _add_stream(target, stream, *picture.shape[:2])
            if picture.shape[:2] != (encoder.height, encoder.width):
                raise InputError(
                    f"'{path}' has frames of several sizes: number {count} differs from the first. "
                    "Convert it first: ffmpeg -i INPUT -vf scale=WIDTH:HEIGHT OUTPUT.mp4"
                )
            written = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            written.pts, written.time_base = frame.pts, frame.time_base
            target.mux(encoder.encode(written))
            count += 1
        if encoder is None:
            raise InputError(f"'{path}' does not have frames that can be read. Is it whole?")
        target.mux(encoder.encode())
    return count


def _add_stream(target, stream, height: int, width: int):
    """Returns the stream of the written video, with the frame rate and times of the one read."""
    encoder = target.add_stream("libx264", rate=stream.average_rate or stream.guessed_rate or 25)
    encoder.height, encoder.width = height, width
    # Players expect colours at half the resolution, which takes even sides.
    encoder.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
    encoder.options = {"crf": _QUALITY}
    encoder.codec_context.time_base = stream.time_base
    return encoder


def _upright(frame, channels: int) -> np.ndarray:
    """Returns a frame's pixels, `[height, width, channels]`, as the camera was held."""
    pixels = frame.to_ndarray(format="gray" if channels == 1 else "rgb24")
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    # Degrees, counter-clockwise; of versions before 14 it is not known.
    return np.rot90(pixels, round(getattr(frame, "rotation", 0) / 90))


def _in_colour(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture[..., :3]
