"""What a study is: the numbers of the paper's protocol, and the form of the files.

Paper, section 4.1: on each trial a real and a fake picture appear for 1 second each,
then there is unlimited time to say which was fake. 10 trials of practice with
feedback come first, then 40 without. A session tests one algorithm, and a person does
one session. The authors' page shows the two one after the other, at the left and at
the right, 0.9 seconds after the trial begins and 0.6 seconds after one another.
"""

from __future__ import annotations

import dataclasses
import zlib

from pix2pix_tf.config import check_value, setting

VERSION = 1  # Of the files; the page knows the same number.
ANSWERS_FORMAT = "pix2pix_tf perceptual study answers"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a session goes; the defaults are the paper's.

    Raises:
        InputError: If a value is not allowed, naming the field and what is.
    """

    num_practice: int = setting(10, "Trials with feedback, which do not count (paper).", minimum=0)
    num_trials: int = setting(40, "Trials that count (paper).", minimum=1)
    exposure: float = setting(1.0, "Seconds that a picture is shown (paper).", minimum=0.05)
    # Paper, of "different": "to make the task more difficult and avoid floor-level results".
    pairing: str = setting(
        "same",
        "Whether both pictures of a trial show one scene (paper: colorization), or different ones "
        "(paper: maps and aerial photos).",
        choices=("same", "different"),
    )
    notice: str = setting(
        "", "Who runs the study, and where to send the file: shown before the start."
    )

    def __post_init__(self):
        """Checks every value."""
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))


def checksum(text: str) -> str:
    """Returns the CRC-32 of a text's UTF-8 bytes as 8 hexadecimal digits, as the page does."""
    return f"{zlib.crc32(text.encode()):08x}"
