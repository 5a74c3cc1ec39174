r"""Asks a TensorFlow Serving server for translations: as a command, or as a module.

    python -m export.tf_serving.client --address=localhost:8500 --input=photos --output=out
    python -m export.tf_serving.client --address=http://localhost:8501 --input=a.png --output=out

An address is host:port for gRPC, http://host:port for REST. An image, or each PNG
and JPEG of a folder, is sent as a file to the signature `encoded`; a PNG of the same
size and name is written (of `a.jpg`: `a.jpg.png`). A file that the server refuses is
named, and the others go on. A model of other channels or values than files hold has no
such signature: it takes arrays, by the module alone. Exit status: 0 if all was written,
1 if some files were refused, 2 if nothing could be done.

    with Client("localhost:8500") as client:
        (png,) = client.translate_files([pathlib.Path("labels.png").read_bytes()])
        output = client.translate(image, z)
"""

from __future__ import annotations

import pathlib
import random
import sys
import time

import numpy as np
from absl import flags

from export.tf_serving import protocols
from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError, MissingInputError, first_line

EXIT_REFUSED = 1
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
MODEL = "pix2pix"  # As in models.config.
MAX_MESSAGE_BYTES = 64 * 2**20  # A float32 image of 2048 x 2048 takes 48 MiB.
_TOO_MUCH = "Pass a smaller image, or try again when the server has less to do."
_FIRST_DELAY = 0.2  # Seconds; it doubles with each attempt.


class Client:
    """A connection to a server; a context manager, for one thread at a time.

    Args:
        address: host:port for gRPC; http://host:port, or https, for REST.
        model: The name it is served under.
        timeout: Seconds for each attempt.
        attempts: How often a request is sent while the server is UNAVAILABLE: it
            starts, its queue is full, or the network is away. Other errors are
            final: the same request would have the same answer.
        max_message_bytes: Of a request and of an answer.

    Raises:
        InputError: If the address is none, or gRPC is not installed.
    """

    def __init__(
        self,
        address: str,
        *,
        model: str = MODEL,
        timeout: float = 60.0,
        attempts: int = 5,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ):
        self._model, self._timeout, self._attempts = model, timeout, attempts
        if address.startswith(("http://", "https://")):
            protocol = protocols.RestProtocol
        elif ":" in address and "/" not in address:
            protocol = protocols.GrpcProtocol
        else:
            raise InputError(
                f"'{address}' is no address. Pass host:port for gRPC, as in localhost:8500, or "
                "http://host:port for REST, as in http://localhost:8501."
            )
        self._protocol = protocol(address, max_message_bytes=max_message_bytes)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._protocol.close()

    def translate_files(self, contents: list[bytes]) -> list[bytes]:
        """Returns PNG files, each of its input's size, with noise drawn by the server.

        Args:
            contents: PNG or JPEG files, of any sizes.

        Raises:
            InputError: If there are none.
            ServingError: If the server refuses, or does not answer.
        """
        if not contents:
            raise InputError("There are 0 files to translate. Pass at least one.")
        return self.predict("encoded", image_bytes=list(contents))

    def translate(self, image: np.ndarray, z: np.ndarray | None = None) -> np.ndarray:
        """Returns G(x, z) of a batch of images.

        Args:
            image: float32 `[batch, height, width, channels]` in [-1, 1].
            z: float32 `[batch, noise_size]` in [0, 1); None lets the server draw it.

        Returns:
            float32 `[batch, height, width, channels]` in [-1, 1].

        Raises:
            InputError: If `image` has another type or rank, or is empty.
            ServingError: If the server refuses, or does not answer.
        """
        if image.dtype != np.float32 or image.ndim != 4 or not image.size:
            raise InputError(
                f"image is {image.dtype} {list(image.shape)}. Pass float32 [batch, height, width, "
                "channels] in [-1, 1], none of them 0."
            )
        if z is None:
            return self.predict("serving_default", image=image)
        return self.predict("with_noise", image=image, z=z)

    def predict(self, signature: str, **inputs):
        """Returns a signature's output; sends what it is given, unchecked.

        Args:
            signature: Its name.
            **inputs: Arrays, or lists of bytes.

        Returns:
            An array, or a list of bytes.

        Raises:
            ServingError: If the server refuses, or does not answer.
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
    paths = find_inputs(pathlib.Path(options.input))
    output = pathlib.Path(options.output)
    files.make_output_folder(output)
    if any(path.parent.resolve() == output.resolve() for path in paths):
        raise InputError(
            f"--output is '{output}', where the inputs are: they would be overwritten. Pass "
            "another folder."
        )
    refused = 0
    with Client(options.address, model=options.model, timeout=options.timeout) as client:
        for path in paths:
            try:
                (png,) = client.translate_files([path.read_bytes()])
            except protocols.ServingError as error:
                of_the_file = error.code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
                if not of_the_file or takes_no_files(error):
                    raise InputError(explain(options.address, error)) from None
                refused += 1
                reason = f"'{path}' was refused ({first_line(error)})."
                advice = f" {_TOO_MUCH}" if error.code == "RESOURCE_EXHAUSTED" else ""
                print(f"error: {reason}{advice}", file=sys.stderr)
                continue
            files.write_atomically(output / output_name(path), png)
    print(f"Wrote {len(paths) - refused} of {len(paths)} images to '{output}'.")
    return EXIT_REFUSED if refused else 0


def find_inputs(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the image files that `--input` means.

    Raises:
        InputError: If there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MissingInputError(f"There is no '{path}'. Pass an image, or a folder of images.")
    paths = sorted(
        child
        for child in path.iterdir()
        if child.suffix.lower() in IMAGE_SUFFIXES
        and not child.name.startswith(".")
        and child.is_file()
    )
    if not paths:
        raise InputError(
            f"'{path}' holds no images (0 files that end in {', '.join(IMAGE_SUFFIXES)})."
        )
    return paths


def output_name(path: pathlib.Path) -> str:
    """Returns the name of the PNG that a translation of `path` is."""
    # Not in place of another suffix: "a.png" may be an input too.
    return path.name if path.suffix.lower() == ".png" else f"{path.name}.png"


def takes_no_files(error: protocols.ServingError) -> bool:
    """Returns whether the server has refused a file because its model has no `encoded`."""
    # By gRPC with the code FAILED_PRECONDITION, by REST with that of a bad request.
    return all(part in error.message for part in ("signature", '"encoded"', "not found"))


def explain(address: str, error: protocols.ServingError) -> str:
    """Returns one line on why nothing is translated, and what to do about it."""
    if takes_no_files(error):
        return (
            f"'{address}' serves a model that takes arrays, and no files: it has no signature "
            "'encoded', since PNG and JPEG do not hold its channels or values. Send arrays: "
            "export.tf_serving.client.Client.translate."
        )
    advice = {
        "UNAVAILABLE": "Start the server, or correct --address.",
        "INVALID_ARGUMENT": "Pass another --input.",
        "DEADLINE_EXCEEDED": "Pass a larger --timeout.",
        "NOT_FOUND": "Correct --model; models.config has the names.",
        "RESOURCE_EXHAUSTED": _TOO_MUCH,
    }.get(error.code, "The server's log may say more.")
    return f"'{address}' does not translate ({first_line(error)}). {advice}"


if __name__ == "__main__":
    define_flags()
    commands.run(main)
