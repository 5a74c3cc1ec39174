"""What a study is: the numbers of the paper's protocol, and the form of the files.

Paper, section 4.1: on each trial a real and a fake picture appear for 1 second each,
then there is unlimited time to say which was fake. 10 trials of practice with
feedback come first, then 40 without. A session tests one algorithm, and a person does
one session. The authors' page shows the two one after the other, at the left and at
the right, 0.9 seconds after the trial begins and 0.6 seconds after one another.
"""

from __future__ import annotations

import zlib

VERSION = 1  # Of the files; the page knows the same number.
ANSWERS_FORMAT = "pix2pix_tf perceptual study answers"
NUM_PRACTICE = 10
NUM_TRIALS = 40
EXPOSURE_MS = 1000
# Whether the fake and the real picture of a trial show the same scene. Paper: the same for
# colorization; different for maps and aerial photos, "to make the task more difficult and
# avoid floor-level results".
PAIRINGS = ("same", "different")


def checksum(text: str) -> str:
    """Returns the CRC-32 of a text's UTF-8 bytes as 8 hexadecimal digits, as the page does."""
    return f"{zlib.crc32(text.encode()):08x}"
