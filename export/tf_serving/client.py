r"""Asks a TensorFlow Serving server for translations: as a command, or as a module.

    pix2pix export tf_serving.client --address=localhost:8500 --input=photos --output=out
    pix2pix export tf_serving.client --address=http://localhost:8501 --input=a.png --output=out

An address is host:port for gRPC, http://host:port for REST. An image, or each PNG
and JPEG of a folder, is sent as a file to the signature `encoded`; a PNG of the same
size and name is written (of `a.jpg`: `a.jpg.png`). What else is in the folder is named. A file
that the server refuses is named too, and the others go on. Exit status: 0 if all was written,
1 if some files were refused, 2 if nothing could be done.

    with Client("localhost:8500") as client:
        (png,) = client.translate_files([pathlib.Path("labels.png").read_bytes()])
        output = client.translate(image, z)
"""

from __future__ import annotations

import contextlib
import pathlib
import random
import sys
import time

import numpy as np
from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError, MissingInputError, first_line, printable

from . import protocols

# Not the list of `pix2pix_tf.data.images`: importing that imports TensorFlow, and the server
# reads these two kinds alone.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
MODEL = "pix2pix"  # As in models.config.
_FIRST_DELAY = 0.2  # Seconds; it doubles with each attempt.
# What the server says of one request, and not of all.
_REFUSALS = ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")


class Client(contextlib.AbstractContextManager):
    """A connection to a server; a context manager, for one thread at a time.

    Its methods raise `ServingError` if the server refuses, or does not answer.

    Args:
        address: host:port for gRPC; http://host:port, or https, for REST.
        model: Name that the model is served under.
        timeout: Seconds for each attempt.
        attempts: How often a request is sent while the server is UNAVAILABLE: it
            starts, its queue is full, or the network is away. Other errors are
            final: the same request would have the same answer.

    Raises:
        InputError: If the address is not one, or gRPC is not installed.
    """

    def __init__(
        self, address: str, *, model: str = MODEL, timeout: float = 60.0, attempts: int = 5
    ):
        self._model, self._timeout, self._attempts = model, timeout, attempts
        if address.startswith(("http://", "https://")):
            self._protocol = protocols.RestProtocol(address)
        elif ":" in address and "/" not in address:
            self._protocol = protocols.GrpcProtocol(address)
        else:
            raise InputError(
                f"'{address}' is not an address. Pass host:port for gRPC, as in localhost:8500, or "
                "http://host:port for REST, as in http://localhost:8501."
            )

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._protocol.close()

    def translate_files(self, contents: list[bytes]) -> list[bytes]:
        """Returns PNG files, each of its input's size, with noise drawn by the server.

        Args:
            contents: PNG or JPEG files, of any sizes.
        """
        return self.predict("encoded", image_bytes=list(contents))

    def translate(self, image: np.ndarray, z: np.ndarray | None = None) -> np.ndarray:
        """Returns G(x, z) of a batch of images.

        Args:
            image: float32 `[batch, height, width, channels]` in [-1, 1].
            z: float32 `[batch, noise_size]` in [0, 1); None lets the server draw it.

        Returns:
            float32 `[batch, height, width, channels]` in [-1, 1].

        Raises:
            InputError: If `image` has another type or rank.
        """
        if image.dtype != np.float32 or image.ndim != 4:  # As numbers in JSON they would pass.
            raise InputError(
                f"image is {image.dtype} {list(image.shape)}. Pass float32 [batch, height, width, "
                "channels] in [-1, 1]."
            )
        if z is None:
            return self.predict("serving_default", image=image)
        return self.predict("with_noise", image=image, z=z)

    def predict(self, signature: str, **inputs):
        """Returns a signature's output, an array or a list of bytes.

        Args:
            signature: Name of the signature.
            **inputs: Arrays, or lists of bytes; the server checks them.
        """
        for attempt in range(self._attempts):
            try:
                return self._protocol.predict(self._model, signature, inputs, timeout=self._timeout)
            except protocols.ServingError as error:
                if error.code != "UNAVAILABLE" or attempt == self._attempts - 1:
                    raise
            # Not all clients at the same time.
            time.sleep(_FIRST_DELAY * 2**attempt * random.uniform(0.5, 1.0))


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "address", None, "host:port for gRPC, http://host:port for REST.", required=True
    )
    flags.DEFINE_string("input", None, "An image, or a folder of images.", required=True)
    flags.DEFINE_string("output", None, "Folder for the results; made if needed.", required=True)
    flags.DEFINE_string("model", MODEL, "The name that the model is served under.")
    flags.DEFINE_float("timeout", 60.0, "Seconds for each image.", lower_bound=0.001)


def main(unused_arguments: list[str]) -> int:
    """Translates what the flags name; returns the exit status."""
    options = flags.FLAGS
    paths = _find_inputs(pathlib.Path(options.input))
    output = pathlib.Path(options.output)
    files.make_output_folder(output)
    files.check_apart(output, paths)
    targets: dict[pathlib.Path, pathlib.Path] = {}  # Inputs by their outputs.
    for path in paths:
        first = targets.setdefault(output / _output_name(path), path)
        if first != path:
            raise InputError(
                f"'{first}' and '{path}' would have the same output, '{_output_name(path)}'. "
                "Rename one of them."
            )
    refused = 0
    with Client(options.address, model=options.model, timeout=options.timeout) as client:
        for target, path in targets.items():
            try:
                (png,) = client.translate_files([path.read_bytes()])
            except protocols.ServingError as error:
                if error.code not in _REFUSALS:
                    raise InputError(
                        f"'{options.address}' does not translate ({first_line(error)}). Check that "
                        "the server runs, its log, and --address, --model and --timeout."
                    ) from None
                refused += 1
                print(f"error: '{path}' was refused ({first_line(error)}).", file=sys.stderr)
                continue
            files.write_atomically(target, png)
    print(f"Wrote {len(paths) - refused} of {len(paths)} images to '{output}'.")
    return commands.EXIT_FAULTS if refused else 0


def _output_name(path: pathlib.Path) -> str:
    # Not in place of another suffix: "a.png" may be an input too.
    return path.name if path.suffix.lower() == ".png" else f"{path.name}.png"


def _find_inputs(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the image files that `--input` means, and says what it passes over."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MissingInputError(f"There is no '{path}'. Pass an image, or a folder of images.")
    children = [child for child in files.list_folder(path) if child.name[0] != "."]
    paths = [child for child in children if child.suffix.lower() in IMAGE_SUFFIXES]
    if not paths:
        raise InputError(f"'{path}' does not hold images ({', '.join(IMAGE_SUFFIXES)}).")
    others = [child.name for child in children if child.suffix.lower() not in IMAGE_SUFFIXES]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        text = (
            f"Passed over in '{path}', since they do not end in {', '.join(IMAGE_SUFFIXES)}: "
            f"{', '.join(others[:5])}{more}."
        )
        print(printable(text))
    return paths


if __name__ == "__main__":
    define_flags()
    commands.run(main)
