"""The task `colorize`: photos to pairs of a grey picture and the photo, both of one lightness.

A is the grey whose CIE lightness L is that of the photo, B the photo, bit for bit. Of B, training
with `--color_space=lab` takes L, a and b, with no loss by rounding. The L of A is off by the
rounding to the photo's own depth, as that of a grey photo that is to be coloured later will be.
"""

from __future__ import annotations

import numpy as np

from pix2pix_tf.data import lab
from pix2pix_tf.errors import InputError
from pix2pix_tf.prepare import pair_files, work

# Rows that are converted at a time: float64 takes 24 bytes for 3 of the photo.
_ROWS = 256


def run(options) -> work.Outcome:
    """Makes grey|colour pairs of the photos of `--input`."""
    return pair_files.make_pairs(options, "colorize", make_grey)


def make_grey(photo: np.ndarray, unused_name: str) -> np.ndarray:
    """Returns the grey picture of the same CIE lightness.

    Args:
        photo: sRGB pixels `[height, width, 3]`, uint8 or uint16.
        unused_name: Decides nothing here.

    Returns:
        The same type, `[height, width, 1]`.

    Raises:
        InputError: If no pixel of the photo has a colour, for nothing could be learnt from it.
    """
    if (photo == photo[..., :1]).all():
        raise InputError("has no colours, so there is nothing to learn from it. Take it out.")
    white = np.iinfo(photo.dtype).max
    strips = []
    for top in range(0, len(photo), _ROWS):
        strip = lab.lightness_of(photo[top : top + _ROWS] * (2.0 / white) - 1.0)
        grey = (lab.grey_of(strip).numpy()[..., :1] + 1.0) / 2.0
        strips.append(np.rint(grey * white).astype(photo.dtype))
    return np.concatenate(strips)
