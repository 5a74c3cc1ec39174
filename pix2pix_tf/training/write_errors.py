"""TensorFlow's errors of writing, as those of Python."""

from __future__ import annotations

import contextlib
import errno
import pathlib
from collections.abc import Iterator

import tensorflow as tf

from pix2pix_tf import files
from pix2pix_tf.errors import first_line


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Takes what writes a file or folder with TensorFlow or Python, as `files.writing` does.

    Raises:
        WriteError: In place of an OSError or an error of an operation.
    """
    with files.writing(path):
        try:
            yield
        except tf.errors.OpError as error:
            number = errno.ENOSPC if isinstance(error, tf.errors.ResourceExhaustedError) else None
            # "{{node}} PATH; REASON [Op:SaveV2]", for events with more lines.
            reason = first_line(error).split("; ")[-1].split(" [Op:")[0]
            raise OSError(number, reason) from error
