"""Runs .tflite files, with LiteRT or with TensorFlow's own interpreter."""

from __future__ import annotations

import pathlib
import sys

import numpy as np

from export import image_size, tflite_metadata
from pix2pix_tf.errors import InputError, MissingInputError, first_line

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # No wheels for this system, or not installed; TensorFlow has the like.
    import tensorflow as tf

    Interpreter = tf.lite.Interpreter


class LiteRtError(RuntimeError):
    """The interpreter failed at what it was given."""


def check_installed() -> None:
    """Refuses to go on without LiteRT, where nothing less will do.

    Raises:
        MissingInputError: If TensorFlow's interpreter stands in for it.
    """
    if not Interpreter.__module__.startswith("ai_edge_litert"):
        remedy = f"Run: {sys.executable} -m pip install 'ai-edge-litert>=2.3,<3'"
        if sys.version_info < (3, 10):
            remedy = (
                f"There is none for Python {sys.version_info[0]}.{sys.version_info[1]}: take 3.10 "
                "or newer."
            )
        raise MissingInputError(
            f"LiteRT is not installed, which runs .tflite files as a device does. {remedy}"
        )


class LiteRtModel:
    """A model file, with its signatures as they are named.

    Args:
        path: The .tflite file.
        num_threads: CPU threads; None leaves it to the runtime.

    Raises:
        MissingInputError: If there is no such file.
        InputError: If it is no model, or needs operators that LiteRT has not.
    """

    def __init__(self, path: str | pathlib.Path, *, num_threads: int | None = None):
        self.path = pathlib.Path(path)
        if not self.path.is_file():
            raise MissingInputError(f"There is no file '{path}'. Check the name.")
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=num_threads)
            names = interpreter.get_signature_list()
            self._runners = {name: interpreter.get_signature_runner(name) for name in names}
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"'{path}' cannot be loaded by LiteRT ({first_line(error)}). Convert the model "
                "again with python -m export.tflite."
            ) from None
        try:
            self._about = tflite_metadata.read(self.path)
        except InputError:  # A file of somebody else's runs too.
            self._about = {}

    @property
    def signatures(self) -> list[str]:
        """The names of the signatures, in alphabetical order."""
        return sorted(self._runners)

    def input_shapes(self, signature: str) -> dict[str, list[int]]:
        """Returns the shape of each input of a signature; -1 is any size."""
        details = self._runner(signature).get_input_details()
        return {name: detail["shape_signature"].tolist() for name, detail in details.items()}

    def run(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name.

        Args:
            signature: "serving_default" or "with_noise", in files of this project.
            **inputs: float32, by name.

        Raises:
            InputError: If an input is missing, unknown, or of another shape or type than
                the file has, or z is not as long as the image takes.
            LiteRtError: If the interpreter fails nevertheless.
        """
        runner = self._runner(signature)
        shapes = self.input_shapes(signature)
        if shapes.keys() != inputs.keys():
            raise InputError(
                f"{signature} takes {', '.join(sorted(shapes))}, and was given "
                f"{', '.join(sorted(inputs)) or 'nothing'}. Pass these by name."
            )
        for name, shape in shapes.items():
            value = inputs[name]
            # LiteRT itself would try to resize a graph that is made for one size.
            fits = len(shape) == value.ndim and all(
                size in (-1, given) for size, given in zip(shape, value.shape)
            )
            if not fits or value.dtype != np.float32:
                raise InputError(
                    f"{name} is {value.dtype} {list(value.shape)}, and '{self.path}' takes "
                    f"float32 {shape}. Scale the image, or convert the model for that size."
                )
        if "z" in inputs and self._about.get("size") == image_size.DYNAMIC:
            self._check_noise(inputs["image"], inputs["z"])
        try:
            return runner(**inputs)
        except (RuntimeError, ValueError) as error:
            raise LiteRtError(f"'{self.path}', {signature}: {error}") from error

    def _check_noise(self, image: np.ndarray, z: np.ndarray) -> None:
        """Refuses a z of the wrong length; the network would take the front of a longer one."""
        crop_size = self._about["model_card"]["config"]["crop_size"]
        batch, height, width, _ = image.shape
        tiles = -(-height // crop_size) * -(-width // crop_size)
        needed = (batch, self._about["noise_size"] * tiles)
        if z.shape != needed:
            raise InputError(
                f"z is {list(z.shape)}, and an image of {list(image.shape)} takes {list(needed)}: "
                f"{self._about['noise_size']} numbers for each started {crop_size}x{crop_size} "
                "tile. Pass so many."
            )

    def _runner(self, signature: str):
        if signature not in self._runners:
            raise InputError(
                f"'{self.path}' has no signature {signature!r}. It has "
                f"{', '.join(self.signatures) or 'none'}."
            )
        return self._runners[signature]
