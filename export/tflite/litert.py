"""Runs .tflite files, with LiteRT or with TensorFlow's own interpreter, and reads their metadata.

The metadata is JSON in a zip archive behind the model. That is how the format carries
associated files: readers of the model do not look beyond its end, and readers of archives begin
there. So any zip tool shows it (`unzip -p FILE metadata.json`), also on a phone.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sys
import zipfile

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.errors import InputError, MissingInputError, first_line

from .. import image_size
from ..errors import ModelError

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # No wheels for this system, or not installed; TensorFlow has the like.
    import tensorflow as tf

    # Later versions leave it to LiteRT.
    Interpreter = tf.lite.Interpreter if hasattr(tf, "lite") else None

METADATA_FILE = "metadata.json"


def check_installed() -> None:
    """Refuses to go on without LiteRT, where nothing less will do.

    Raises:
        MissingInputError: If TensorFlow's interpreter stands in for it.
    """
    if Interpreter is None or not Interpreter.__module__.startswith("ai_edge_litert"):
        raise MissingInputError(
            "LiteRT is not installed, which runs .tflite files as a device does. It needs Python "
            f"3.10 or newer. Run: {sys.executable} -m pip install 'ai-edge-litert>=2.3,<3'"
        )


def read_metadata(path: str | pathlib.Path) -> dict:
    """Returns the metadata of a model file.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it has no metadata.
    """
    files.require_file(pathlib.Path(path))
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(METADATA_FILE))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(
            f"'{path}' does not have {METADATA_FILE} ({error}): it was not written by this "
            "project, or is damaged. Convert the model again with pix2pix export tflite."
        ) from None


class LiteRtModel:
    """A model file, with its signatures as they are named.

    Args:
        path: The .tflite file.
        num_threads: CPU threads; None leaves it to the runtime.

    Attributes:
        signatures: Names of the signatures, in alphabetical order.

    Raises:
        MissingInputError: If there is no such file, or nothing to run it with.
        InputError: If it is not a model, or needs operators that LiteRT does not have.
    """

    def __init__(self, path: str | pathlib.Path, *, num_threads: int | None = None):
        self.path, self._about = pathlib.Path(path), {}
        files.require_file(self.path)
        if Interpreter is None:
            check_installed()
        with contextlib.suppress(InputError):  # A file of somebody else's runs too.
            self._about = read_metadata(path)
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=num_threads)
            self.signatures = sorted(interpreter.get_signature_list())
            self._runners = {x: interpreter.get_signature_runner(x) for x in self.signatures}
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"'{path}' cannot be loaded by LiteRT ({first_line(error)}). Convert the model "
                "again with pix2pix export tflite."
            ) from None

    def input_shapes(self, signature: str) -> dict[str, list[int]]:
        """Returns the shape of each input of a signature; -1 is any size."""
        if signature not in self.signatures:
            raise InputError(
                f"'{self.path}' does not have a signature {signature!r}. It has "
                f"{', '.join(self.signatures) or 'none'}."
            )
        details = self._runners[signature].get_input_details()
        return {name: detail["shape_signature"].tolist() for name, detail in details.items()}

    def run(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name.

        Args:
            signature: "serving_default" or "with_noise", in files of this project.
            **inputs: float32, by name.

        Raises:
            InputError: If an input is missing, unknown, or of another shape or type than
                the file takes, or z is not as long as the image needs.
            ModelError: If the interpreter fails nevertheless.
        """
        shapes = self.input_shapes(signature)
        is_dynamic = self._about.get("size") == image_size.DYNAMIC
        if is_dynamic and "z" in inputs and inputs["image"].ndim == 4:
            # The network would take the front of a z that is too long.
            batch, height, width, _ = inputs["image"].shape
            block = image_size.block_of(self._about["model_card"])
            shapes["z"] = [batch, block.noise_size_of(height, width)]
        # LiteRT itself would try to resize a graph that is made for one size.
        if shapes.keys() != inputs.keys() or not all(
            _fits(inputs[name], shape) for name, shape in shapes.items()
        ):
            given = ", ".join(f"{key} {x.dtype} {list(x.shape)}" for key, x in inputs.items())
            taken = ", ".join(f"{name} float32 {shape}" for name, shape in shapes.items())
            raise InputError(
                f"{signature} of '{self.path}' takes {taken}, and was given {given or 'nothing'}. "
                "Scale the image, or convert the model for that size."
            )
        try:
            return self._runners[signature](**inputs)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"'{self.path}', {signature}: {error}") from error


def _fits(value: np.ndarray, shape: list[int]) -> bool:
    return (
        value.dtype == np.float32
        and value.ndim == len(shape)
        and all(size in (-1, given) for size, given in zip(shape, value.shape))
    )
